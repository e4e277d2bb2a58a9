"""
A plugin for Bottle.

    app.install(SessionPlugin("/var/lib/example/sessions"))

In a callback, the argument `session` is the request's session, if it has one
of that name; `request.session` always is.
"""

from __future__ import annotations

import inspect
from functools import wraps

try:
    import bottle
except ImportError as error:
    raise ImportError(
        "websession.bottle needs Bottle 0.12 or newer: pip install bottle"
    ) from error

from .exceptions import MaxSessionCountExceeded
from .web import refusal
from .web.headers import is_made, to_set
from .web.manager import SessionManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .web.session import Session

__all__ = ["SessionPlugin"]


class SessionPlugin:
    """
    Gives each request its session, and stores what changed in it before the
    first header leaves, whether the callback returns, redirects or aborts. An
    exception that is no response stores nothing.

    Args:
        sessions: a `WebSession`, a store, or the path of a directory; see
            `SessionManager`.
        keyword: name of the argument that callbacks get the session in.
        settings: `cookie`, `touch_interval`, `grace` and `on_event` of
            `SessionManager`. The cookie is secure by default:
            ``SessionCookie(secure=None)`` for a server without TLS.

    Attributes:
        manager: the `SessionManager`, and through it the `WebSession`.
    """

    name = "websession"
    api = 2

    def __init__(
        self, sessions: Any, *, keyword: str = "session", **settings: Any
    ) -> None:
        self.manager = SessionManager(sessions, **settings)
        self._keyword = keyword

    def setup(self, app: Any) -> None:
        """Refuses to be installed twice with the same keyword."""
        for other in app.plugins:
            if (
                isinstance(other, SessionPlugin)
                and other._keyword == self._keyword
            ):
                raise bottle.PluginError(
                    "two plugins for sessions: give one another keyword"
                )

    def apply(
        self, callback: Callable[..., Any], route: Any
    ) -> Callable[..., Any]:
        """The callback of a route, with a session."""
        wanted = self._keyword in inspect.signature(route.callback).parameters

        @wraps(callback)
        def with_session(*args: Any, **kwargs: Any) -> Any:
            session = self.manager.open(bottle.request.environ)
            bottle.request.session = session
            if wanted:
                kwargs[self._keyword] = session
            try:
                result = callback(*args, **kwargs)
                if inspect.isgenerator(result):
                    # Its first piece comes before the first header.
                    result = _begun(result)
            except bottle.HTTPResponse as response:
                result = response
            return _finish(session, result)

        return with_session


def _begun(pieces: Any) -> Iterator[Any]:
    first = next(pieces, b"")
    if isinstance(first, bottle.HTTPResponse):
        raise first
    return _from(first, pieces)


def _from(first: Any, rest: Any) -> Iterator[Any]:
    try:
        yield first
        yield from rest
    finally:
        rest.close()


def _is_made(body: Any) -> bool:
    return is_made(body) or hasattr(body, "read")  # a file


def _finish(session: Session, result: Any) -> Any:
    """Stores the session; `result`, or what is answered instead."""
    session.end_if_empty()
    try:
        session.commit()
    except MaxSessionCountExceeded:
        headers = dict(refusal.headers(refusal.FULL))
        return bottle.HTTPResponse(refusal.FULL, 503, **headers)
    is_response = isinstance(result, bottle.HTTPResponse)
    if session.concerns(_is_made(result.body if is_response else result)):
        response = result if is_response else bottle.response
        cookie = session.cookie() if session.accessed else None
        headers = to_set(
            response.get_header("Vary"),
            response.get_header("Cache-Control"),
            cookie is not None,
        )
        for name, value in headers.items():
            response.set_header(name, value)
        if cookie is not None:
            response.add_header("Set-Cookie", cookie)
    return result
