"""
Runs the demo on gunicorn: a pre-fork server, several processes that share one
directory of sessions.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from importlib.util import find_spec

from .. import BACKEND
from ..exceptions import SessionStoreError
from .app import IDLE, LIFETIME, make_app

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from _typeshed.wsgi import WSGIApplication

__all__ = ["available", "serve"]

_START = """\
{where}
{workers} worker processes, {backend} backend.
Open {url} and try:
  - save a text and reload: whichever process answers, the text is there
  - wait {idle} seconds, then reload: the session has expired, its text is
    offered (it expires {lifetime} seconds after its start in any case)
  - look into the directory: one file per session, an ID nowhere
Ctrl-C stops it.
"""


def available() -> bool:
    """Whether gunicorn is installed."""
    return find_spec("gunicorn") is not None


def serve(
    host: str, port: int, workers: int, directory: str | None = None
) -> int:
    """
    Serves the demo until it is stopped by SIGINT, SIGTERM or SIGHUP.

    Args:
        host: where to listen, a name or an address.
        port: where to listen; 0: any free port.
        workers: how many processes.
        directory: where to keep the sessions. None: in a new temporary
            directory, which is removed at the end.

    Returns:
        The exit status.
    """
    try:
        listener = _listen(host, port)
    except OSError as error:
        # Newer Pythons add the address in brackets.
        why = str(error.strerror).partition(" (")[0]
        return _fail(f"cannot listen on {host}, port {port}: {why}")
    with listener:
        if directory is not None:
            return _serve(listener, workers, directory, "kept")
        with _temporary_directory() as directory:
            return _serve(listener, workers, directory, "removed at the end")


@contextmanager
def _temporary_directory() -> Iterator[str]:
    """A new private directory, removed by the process that made it."""
    import shutil
    import tempfile

    directory = tempfile.mkdtemp(prefix="websession-demo-")
    owner = os.getpid()
    try:
        yield directory
    finally:
        # The workers come through here too when they end.
        if os.getpid() == owner:
            shutil.rmtree(directory, ignore_errors=True)


def _listen(host: str, port: int) -> socket.socket:
    """
    The socket for gunicorn, which would say in five lines and as many
    seconds that a port is in use, and could not say which free one it took.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family)


def _serve(
    listener: socket.socket, workers: int, directory: str, fate: str
) -> int:
    try:
        app = make_app(directory)
    except SessionStoreError as error:
        return _fail(str(error))
    host, port = listener.getsockname()[:2]
    start = _START.format(
        where=f"Sessions are in {os.path.abspath(directory)} ({fate}).",
        workers=workers,
        backend=BACKEND,
        url=f"http://{f'[{host}]' if ':' in host else host}:{port}/",
        idle=IDLE,
        lifetime=LIFETIME,
    )
    return _run(app, listener, workers, start)


def _fail(sentence: str) -> int:
    sys.stderr.write(f"websession demo: {sentence}\n")
    return 1


def _run(
    app: WSGIApplication, listener: socket.socket, workers: int, start: str
) -> int:
    """Hands the application and the socket over to gunicorn."""
    from gunicorn.app.base import (  # type: ignore[import-untyped]
        BaseApplication,
    )

    def when_ready(arbiter: object) -> None:
        sys.stdout.write(start)
        sys.stdout.flush()

    settings = {
        "bind": f"fd://{listener.detach()}",  # gunicorn closes it
        "workers": workers,
        # With threads: a browser's idle connections do not block a worker.
        "worker_class": "gthread",
        "threads": 4,
        "preload_app": True,
        # A worker that is told to stop while it starts may miss it.
        "graceful_timeout": 3,
        "loglevel": "warning",
        "proc_name": "websession-demo",
        "when_ready": when_ready,
        "on_reload": _halt,
        "control_socket_disable": True,
    }

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in settings.items():
                if name in self.cfg.settings:  # not all versions have all
                    self.cfg.set(name, value)

        def load(self) -> WSGIApplication:
            return app

    try:
        Server().run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _halt(arbiter: Any) -> None:
    """
    SIGHUP, which would mean "begin anew": here a terminal was closed.
    """
    raise KeyboardInterrupt
