"""
Runs the demo on a pre-fork server: several processes that share one directory
of sessions.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..cli.output import complain, say
from ..exceptions import SessionStoreError, printable
from . import on_gunicorn, on_uwsgi, on_wsgiref
from .app import make_app
from .site import IDLE, KEPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from _typeshed.wsgi import WSGIApplication

    Run = Callable[
        [WSGIApplication, str, socket.socket, int, Callable[[], None]], int
    ]

__all__ = ["PORTS", "SERVERS", "missing", "serve"]

# Tried one after the other where none is asked for.
PORTS = range(8000, 8100)

# Each module has `MISSING`, a sentence; `available()`; and
# `run(directory, listener, workers, announce)`.
SERVERS = {
    "gunicorn": on_gunicorn,
    "uwsgi": on_uwsgi,
    "wsgiref": on_wsgiref,
}

_START = """\
{where}
{workers} worker processes of {server}.
Open {url}{taken} and try:
  - log in, edit the two notes in two tabs, hammer at the counter: whichever
    process answers, nothing is lost
  - leave it alone for {idle} seconds: the session expires; come back within
    {kept} minutes, log in under the same name, and its notes are back
  - look into the directory: a file for each session, an ID nowhere
Ctrl-C stops it.
"""


def missing(server: str) -> str | None:
    """What to install for a server, in a sentence. None: it is there."""
    module = SERVERS[server]
    return None if module.available() else module.MISSING


def serve(
    host: str,
    port: int | None,
    workers: int,
    directory: str | None = None,
    server: str = "gunicorn",
) -> int:
    """
    Serves the demo until it is stopped by SIGINT, SIGTERM or SIGHUP.

    Args:
        host: where to listen, a name or an address.
        port: where to listen; 0: any free port. None: the first of `PORTS`
            that is free.
        workers: how many processes.
        directory: where to keep the sessions. None: in a new temporary
            directory, which is removed at the end.
        server: a key of `SERVERS`, which must not be `missing`.

    Returns:
        The exit status.
    """
    try:
        listener = _listen(host, PORTS if port is None else [port])
    except OSError as error:
        return _fail(_refused(host, port, error))
    with listener:
        instead = port is None and listener.getsockname()[1] != PORTS[0]
        taken = f" (port {PORTS[0]} is in use)" if instead else ""
        if directory is not None:
            return _serve(listener, taken, workers, directory, "kept", server)
        with _temporary_directory() as directory:
            fate = "removed at the end"
            return _serve(listener, taken, workers, directory, fate, server)


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
        # Workers may come through here too when they end.
        if os.getpid() == owner:
            shutil.rmtree(directory, ignore_errors=True)


def _listen(host: str, ports: Sequence[int]) -> socket.socket:
    """
    The socket for the server, at the first of these ports that is free: some
    would say in five lines and as many seconds that one is in use, and not
    say which they took.
    """
    family = socket.getaddrinfo(host, ports[0], type=socket.SOCK_STREAM)[0][0]

    def listen(port: int) -> socket.socket:
        address = host, port
        return socket.create_server(address, family=family, backlog=512)

    for port in ports[:-1]:
        try:
            return listen(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return listen(ports[-1])


def _refused(host: str, port: int | None, error: OSError) -> str:
    if port is None:
        where = f"{host}, ports {PORTS[0]} to {PORTS[-1]}"
    else:
        where = f"{host}, port {port}"
    # Newer Pythons add the address in brackets.
    why = str(error.strerror).partition(" (")[0]
    if error.errno == errno.EADDRINUSE:
        why += "; choose another port with --port, or any free one: --port 0"
    return f"cannot listen on {where}: {why}"


def _serve(
    listener: socket.socket,
    taken: str,
    workers: int,
    directory: str,
    fate: str,
    server: str,
) -> int:
    directory = os.path.abspath(directory)
    try:
        app = make_app(directory)
    except SessionStoreError as error:
        return _fail(str(error))
    host, port = listener.getsockname()[:2]
    start = _START.format(
        where=f"Sessions are in {printable(directory)} ({fate}).",
        workers=workers,
        server=server,
        url=f"http://{f'[{host}]' if ':' in host else host}:{port}/",
        taken=taken,
        idle=IDLE,
        kept=KEPT // 60,
    )

    def announce() -> None:
        for line in start.splitlines():
            say(line)
        sys.stdout.flush()

    run: Run = SERVERS[server].run
    return run(app, directory, listener, workers, announce)


def _fail(sentence: str) -> int:
    complain(f"websession demo: {sentence}")
    return 1
