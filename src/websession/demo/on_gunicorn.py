"""
The demo's server is gunicorn.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from _typeshed.wsgi import WSGIApplication

__all__ = ["MISSING", "available", "run"]

MISSING = "websession demo needs gunicorn: pip install 'websession[demo]'"


def available() -> bool:
    """Whether gunicorn is installed."""
    return find_spec("gunicorn") is not None


def run(
    app: WSGIApplication,
    directory: str,
    listener: socket.socket,
    workers: int,
    announce: Callable[[], None],
) -> int:
    """
    Serves until it is stopped.

    Args:
        app: the application.
        directory: where its sessions are.
        listener: the socket.
        workers: how many processes.
        announce: to be called when the server is ready.

    Returns:
        The exit status.
    """
    from gunicorn.app.base import (  # type: ignore[import-untyped]
        BaseApplication,
    )

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
        "when_ready": lambda arbiter: announce(),
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
