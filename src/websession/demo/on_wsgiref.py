"""
The demo's server is the one in Python's library, in several processes.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from _typeshed.wsgi import WSGIApplication

__all__ = ["MISSING", "available", "run"]

MISSING = ""

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def available() -> bool:
    """Whether wsgiref is there: always."""
    return True


def run(
    app: WSGIApplication,
    directory: str,
    listener: socket.socket,
    workers: int,
    announce: Callable[[], None],
) -> int:
    """Serves until it is stopped; see `on_gunicorn.run`."""
    # Of several workers that see a connection one gets it.
    listener.setblocking(False)
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, _stop)
    pids: set[int] = set()
    try:
        while len(pids) < workers:
            _add(pids, app, listener)
        announce()
        while True:
            pid, _ = os.wait()
            pids.remove(pid)
            _add(pids, app, listener)
    except KeyboardInterrupt:
        return 0
    finally:
        _end(pids)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(pids: set[int]) -> None:
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def _add(
    pids: set[int], app: WSGIApplication, listener: socket.socket
) -> None:
    """Makes a worker, and notes it."""
    # Held back: what a handler raises while a fork is prepared is lost, and
    # what it raises before the worker is noted leaves that alone.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        pids.add(_fork(app, listener))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _fork(app: WSGIApplication, listener: socket.socket) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # our parent's business
        for number in signal.SIGTERM, signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        try:
            _work(app, listener)
        finally:
            os._exit(1)
    return pid


def _work(app: WSGIApplication, listener: socket.socket) -> None:
    """One worker process, with a thread for each request."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    host, port = listener.getsockname()[:2]
    server = Server((host, port), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = host, port
    server.setup_environ()
    server.set_app(app)
    server.serve_forever()
