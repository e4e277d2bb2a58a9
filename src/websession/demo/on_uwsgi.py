"""
The demo's server is uWSGI, from PyPI or from the system.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from ..cli.output import complain

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from _typeshed.wsgi import WSGIApplication

__all__ = ["MISSING", "available", "run"]

MISSING = (
    "websession demo --server uwsgi needs uWSGI: pip install uwsgi, or the "
    "packages uwsgi-core and uwsgi-plugin-python3 of Debian"
)


def _program() -> str | None:
    beside = os.path.dirname(sys.executable)
    return shutil.which("uwsgi", path=beside) or shutil.which("uwsgi")


def available() -> bool:
    """Whether uWSGI is installed."""
    return _program() is not None


def run(
    app: WSGIApplication,
    directory: str,
    listener: socket.socket,
    workers: int,
    announce: Callable[[], None],
) -> int:
    """Serves until it is stopped; see `on_gunicorn.run`."""
    import tempfile

    program = _program()
    assert program is not None, MISSING
    with tempfile.TemporaryFile() as log:
        # It takes a socket as its standard input, and is told to speak HTTP.
        process = subprocess.Popen(  # noqa: S603 - no shell
            [program, *_options(program, workers)],
            stdin=listener.fileno(),
            stdout=log,
            stderr=log,
            env={**os.environ, "WEBSESSION_DEMO_DIRECTORY": directory},
            start_new_session=True,
        )
        announce()
        if _wait(process):
            return 0
        log.seek(0)
        for line in log.read().decode("utf-8", "replace").splitlines():
            complain(line)
        complain(f"uWSGI ended with status {process.returncode}")
        return 1


def _options(program: str, workers: int) -> list[str]:
    options = ["--protocol", "http", "--master", "--processes", str(workers)]
    options += ["--enable-threads", "--threads", "4", "--single-interpreter"]
    options += ["--need-app", "--die-on-term", "--disable-logging"]
    # It closes connections, and does not say so by itself.
    options += ["--add-header", "Connection: close"]
    # A worker has 3 seconds to finish what it does.
    options += ["--worker-reload-mercy", "3", "--reload-mercy", "3"]
    for path in _paths():
        options += ["--pythonpath", path]
    options += ["--module", "websession.demo.wsgi_app"]
    listed = subprocess.run(  # noqa: S603 - no shell
        [program, "--plugins-list"], capture_output=True, check=False
    )
    if b": python" in listed.stdout + listed.stderr:
        return options
    return ["--plugin", "python3", *options]  # Debian's, not from PyPI


def _paths() -> list[str]:
    """Where uWSGI's Python, which may be another one, finds modules."""
    import filelock

    import websession

    modules = websession.__path__[0], filelock.__path__[0]
    return list(dict.fromkeys(map(os.path.dirname, modules)))


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Until we are told to stop: True. False: it ended by itself."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, stop)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return True
    return False
