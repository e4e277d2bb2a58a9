"""
The demo as a WSGI application: how a web application uses the middleware.
"""

from __future__ import annotations

import os

from .. import WebSession
from ..exceptions import SessionStoreError
from ..web import SessionCookie
from ..wsgi import SessionMiddleware
from .site import IDLE, KEPT, LIFETIME, Demo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import (
        StartResponse,
        WSGIApplication,
        WSGIEnvironment,
    )

__all__ = ["default_directory", "make_app"]

# What a slow request takes; 0 in tests that need none.
SLOW = 3.0


def default_directory() -> str:
    """
    Where the sessions are if a server runs the application by itself: what
    the variable WEBSESSION_DEMO_DIRECTORY names, otherwise under the
    temporary directory. FileStore refuses what is not our own.
    """
    named = os.environ.get("WEBSESSION_DEMO_DIRECTORY")
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108
    return named or os.path.join(temporary, f"websession-demo-{os.geteuid()}")


def make_app(
    directory: str | os.PathLike[str],
    clock: Callable[[], float] | None = None,
    slow: float = SLOW,
) -> WSGIApplication:
    """
    The demo's WSGI application. May be made before the server forks.

    Args:
        directory: where the sessions are kept; made if it is missing.
        clock: returns seconds since the epoch. None: `time.time`.
        slow: seconds that a slow request takes.

    Raises:
        SessionStoreError: the directory cannot be used, and why.
    """
    # No cross-check: telephones change their address.
    sessions = WebSession.for_web(
        directory, idle=KEPT, lifetime=LIFETIME, clock=clock
    )
    sessions.expireDeactivate = IDLE
    app = SessionMiddleware(
        Demo(sessions, os.path.abspath(directory), slow),
        sessions,
        # The demo runs without TLS, too.
        cookie=SessionCookie(secure=None),
    )
    return _without_store_errors(app)


def _without_store_errors(app: WSGIApplication) -> WSGIApplication:
    """Answers 503 where the sessions cannot be reached, and says why to us."""

    def guarded(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except SessionStoreError as error:
            environ["wsgi.errors"].write(f"websession demo: {error}\n")
        sentence = b"The sessions cannot be reached. Try again later.\n"
        start_response(
            "503 Service Unavailable",
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(sentence))),
                ("Cache-Control", "no-store"),
            ],
        )
        return [sentence]

    return guarded
