"""
A plugin for Bottle.

    app.install(SessionPlugin("/var/lib/example/sessions"))

In a callback, the argument `session` is the request's session, if it has one
of that name; `request.session` always is, in hooks and error handlers too.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from functools import wraps

try:
    import bottle
except ImportError as error:
    raise ImportError(
        "websession.bottle needs Bottle 0.12 or newer: pip install bottle"
    ) from error

from .web import refusal
from .web.body import Body, is_made
from .web.cookie import SessionCookie
from .web.events import log_event
from .web.headers import to_set
from .web.manager import SessionManager
from .web.session import Session
from .wsgi import SessionMiddleware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from typing_extensions import Unpack

    from .options import WebOptions
    from .web.events import SessionEvent
    from .web.manager import Sessions

__all__ = ["SessionPlugin"]


class SessionPlugin:
    """
    Gives each request its session, and stores what changed in it before the
    first header leaves, whether the callback returns, redirects or aborts,
    after the hooks and the error handlers. An exception that is no response
    stores nothing of what was before it.

    Args:
        sessions: a `WebSession`, a store, or the path of a directory; see
            `SessionManager`.
        keyword: name of the argument that callbacks get the session in.
        cookie: name and attributes of the cookie. Default: secure, which
            browsers do not send over plain HTTP (some do to localhost):
            ``SessionCookie(secure=None)`` for a server without TLS.
        touch_interval, grace, on_event: see `SessionManager`.
        options: ``idle``, ``lifetime``, ``durability`` and so on, see
            `WebSession.for_web`.

    Attributes:
        manager: the `SessionManager`, and through it the `WebSession`.
    """

    name = "websession"
    api = 2

    def __init__(
        self,
        sessions: Sessions,
        *,
        keyword: str = "session",
        cookie: SessionCookie | None = None,
        touch_interval: float | None = None,
        grace: float = 10.0,
        on_event: Callable[[SessionEvent], object] = log_event,
        **options: Unpack[WebOptions],
    ) -> None:
        self.manager: SessionManager = SessionManager(
            sessions,
            cookie=cookie,
            touch_interval=touch_interval,
            grace=grace,
            on_event=on_event,
            **options,
        )
        self._keyword = keyword
        if keyword != "session":
            # Of two plugins with one name Bottle applies one.
            self.name = f"{self.name}-{keyword}"
        # In the environ, of each plugin: the session, and whether it was
        # discarded before the error handler was called.
        self._key = f"websession.bottle.{id(self)}"
        self._discarded = f"{self._key}.discarded"

    def setup(self, app: Any) -> None:
        """
        Takes its place around the application, where hooks and error handlers
        are too. Refuses to be installed twice with the same keyword.
        """
        for other in app.plugins:
            if (
                isinstance(other, SessionPlugin)
                and other._keyword == self._keyword
            ):
                raise bottle.PluginError(
                    "two plugins for sessions: give one another keyword"
                )
        # Bottle's own way refuses what another plugin has set already.
        vars(app)["wsgi"] = self._around(app, app.wsgi)

    def _around(self, app: Any, wsgi: Any) -> Any:
        def inner(environ: Any, start_response: Any) -> Any:
            session = environ[self._key]

            def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
                if exc_info is not None and self._discarded not in environ:
                    session._discard()  # a hook's; 0.12 does not tell
                return start_response(status, headers, exc_info)

            # Bottle's own is a file to the middleware too then.
            environ.setdefault("wsgi.file_wrapper", bottle.WSGIFileWrapper)
            with _as_request_session(environ, session):
                return wsgi(environ, start)

        middleware = SessionMiddleware(
            inner, self.manager.sessions, environ_key=self._key
        )
        middleware.manager = self.manager

        def around(environ: Any, start_response: Any) -> Any:
            if self not in app.plugins or self._key in environ:
                # Uninstalled, or the application is mounted on another one.
                return wsgi(environ, start_response)
            return middleware(environ, start_response)

        return around

    def apply(
        self, callback: Callable[..., Any], route: Any
    ) -> Callable[..., Any]:
        """The callback of a route, with a session."""
        wanted = self._keyword in inspect.signature(route.callback).parameters

        @wraps(callback)
        def with_session(*args: Any, **kwargs: Any) -> Any:
            environ = bottle.request.environ
            session = environ.get(self._key)
            if session is not None:
                if wanted:
                    kwargs[self._keyword] = session
                return self._inside(session, callback, args, kwargs)
            # The route of an application that was merged into another one.
            session = Session(self.manager, environ)
            if wanted:
                kwargs[self._keyword] = session
            with _as_request_session(environ, session):
                try:
                    result = _called(callback, args, kwargs)
                except bottle.HTTPResponse as response:
                    result = response
                return _finish(session, result)

        return with_session

    def _inside(
        self, session: Session, callback: Any, args: Any, kwargs: Any
    ) -> Any:
        try:
            result = _called(callback, args, kwargs)
        except bottle.HTTPResponse:
            session._end_if_empty()
            raise
        except Exception:
            session._discard()
            bottle.request.environ[self._discarded] = True
            raise
        session._end_if_empty()
        return result


@contextmanager
def _as_request_session(environ: Any, session: Session) -> Iterator[None]:
    """
    Makes a session `request.session` for a while, and then puts back that of
    another application, if there was one.
    """
    name = "bottle.request.ext.session"
    before = environ.get(name)
    environ[name] = session
    try:
        yield
    finally:
        if before is not None:
            environ[name] = before


def _called(callback: Any, args: Any, kwargs: Any) -> Any:
    result = callback(*args, **kwargs)
    # The first piece of a body comes before the first header.
    return _begun(result) if inspect.isgenerator(result) else result


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
    """
    Stores the session and returns what is to be answered: `result`, or a
    response in its place if the session cannot be stored.
    """
    is_response = isinstance(result, bottle.HTTPResponse)
    body = result.body if is_response else result
    is_whole = _is_made(body)
    session._end_if_empty()
    try:
        session._commit(is_last=is_whole)
    except refusal.REFUSED as error:
        answer = refusal.of(error)
        headers = dict(answer.headers)
        return bottle.HTTPResponse(answer.body, answer.status, **headers)
    if session._concerns(is_whole):
        response = result if is_response else bottle.response
        cookie = session._cookie() if session.accessed else None
        headers = to_set(
            response.get_header("Vary"),
            response.get_header("Cache-Control"),
            cookie is not None,
        )
        for name, value in headers.items():
            response.set_header(name, value)
        if cookie is not None:
            response.add_header("Set-Cookie", cookie)
    if is_whole:
        return result
    body = Body(body, lambda: session._finish(apart_from=()))
    if not is_response:
        return body
    result.body = body
    return result
