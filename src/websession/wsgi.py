"""
Sessions for WSGI applications (PEP 3333).

    application = SessionMiddleware(application, "/var/lib/example/sessions")

In the application, `environ["websession.session"]` is the request's `Session`.
"""

from __future__ import annotations

from .exceptions import SessionException, SessionLocked
from .web import refusal
from .web.body import Body, close, is_file, is_made
from .web.cookie import SessionCookie
from .web.events import log_event
from .web.headers import with_session
from .web.manager import SessionManager
from .web.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import (
        StartResponse,
        WSGIApplication,
        WSGIEnvironment,
    )
    from typing_extensions import Unpack

    from .options import MiddlewareOptions
    from .web.events import SessionEvent
    from .web.manager import Sessions

    Headers = list[tuple[str, str]]

__all__ = ["ENVIRON_KEY", "SessionMiddleware"]

ENVIRON_KEY = "websession.session"


class SessionMiddleware:
    """
    Gives each request its `Session`, and stores what changed in it before the
    first header of the response leaves, so that a response that streams holds
    nothing. What a body that is made while it is sent changes is stored at its
    end, without a new cookie. An exception that the application does not catch
    stores nothing.

    Adds ``Vary: Cookie`` where the session was used, or may be used by a body
    that is made while it is sent. Where a cookie is set, makes
    ``Cache-Control`` keep the response out of shared caches.

    Args:
        app: the WSGI application.
        sessions: a `WebSession`, a store, or the path of a directory; see
            `SessionManager`.
        environ_key: where the application finds the session.
        lock: True: requests of one session that come with its cookie run one
            after the other, from before the application is called until the
            response begins.
        lock_timeout: seconds to wait for that; then the answer is 503.
        cookie: name and attributes of the cookie. Default: secure, which
            browsers do not send over plain HTTP (some do to localhost):
            ``SessionCookie(secure=None)`` for a server without TLS.
        touch_interval, grace, on_event: see `SessionManager`.
        options: ``idle``, ``lifetime``, ``durability`` and so on, see
            `WebSession.for_web`.

    Attributes:
        manager: the `SessionManager`, and through it the `WebSession`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        sessions: Sessions,
        *,
        environ_key: str = ENVIRON_KEY,
        lock: bool = False,
        lock_timeout: float = 10.0,
        cookie: SessionCookie | None = None,
        touch_interval: float | None = None,
        grace: float = 10.0,
        on_event: Callable[[SessionEvent], object] = log_event,
        **options: Unpack[MiddlewareOptions],
    ) -> None:
        self._app = app
        self._key = environ_key
        self._lock_timeout = lock_timeout if lock else None
        self.manager: SessionManager = SessionManager(
            sessions,
            cookie=cookie,
            touch_interval=touch_interval,
            grace=grace,
            on_event=on_event,
            **options,
        )

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answers a request."""
        session = Session(self.manager, environ)
        environ[self._key] = session
        answer = _Answer(session, environ, start_response)
        if self._lock_timeout is not None:
            try:
                session._lock(self._lock_timeout, _label(environ))
            except SessionLocked as error:
                return answer.refuse(error)
        try:
            body = self._app(environ, answer.start)
            if answer.held is None:
                # Not begun: what goes by in a generator begins with the
                # first piece of its body.
                return _Body(answer, body)
        except BaseException:
            session._unlock()
            raise
        return answer.send(body)


def _label(environ: WSGIEnvironment) -> str:
    """Who has the session: what a request that waits for it is told."""
    return f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"[:80]


class _Answer:
    """
    Stands between application and server: holds the headers back until the
    session is stored.
    """

    __slots__ = ("_environ", "_session", "_start_response", "_write", "held")

    def __init__(
        self,
        session: Session,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._session = session
        self._environ = environ
        self._start_response = start_response
        self._write: Callable[[bytes], object] | None = None
        self.held: tuple[str, Headers] | None = None

    def start(
        self,
        status: str,
        headers: Headers,
        exc_info: OptExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        """The application's `start_response`."""
        if self._write is not None:
            # Too late, which the server says if there is a reason.
            return self._start_response(status, headers, exc_info)
        if self.held is not None and exc_info is None:
            raise AssertionError("start_response was called twice")
        self.held = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        """The old way to send a body."""
        if self._write is None:
            self._begin(False)
        self._write(data)  # type: ignore[misc]

    def _begin(self, is_made: bool) -> None:
        """Stores the session, then lets the headers go before their body."""
        if self.held is None:
            raise AssertionError("start_response was not called")
        session = self._session
        try:
            session._commit(is_made)
        finally:
            session._unlock()
        status, headers = self.held
        if session._concerns(is_made):
            cookie = session._cookie() if session.accessed else None
            headers = with_session(headers, cookie)
        self._write = self._start_response(status, headers)

    def send(
        self, body: Iterable[bytes], pieces: Iterator[bytes] | None = None
    ) -> Iterable[bytes]:
        """
        The body, after the headers.

        Args:
            pieces: of it, if it has begun to give them.
        """
        if self._write is not None:
            return Body(body, self._session._finish)
        is_whole = is_made(body) or is_file(body, self._environ)
        try:
            self._begin(is_whole)
        except refusal.REFUSED as error:
            close(body)
            return self.refuse(error)
        except BaseException:
            close(body)
            raise
        return body if is_whole else Body(body, self._session._finish, pieces)

    def refuse(self, error: SessionException) -> list[bytes]:
        """Answers in the place of the application."""
        answer = refusal.of(error)
        self._write = self._start_response(answer.status, list(answer.headers))
        return [answer.body]

    def end(self) -> None:
        """Whatever became of it."""
        self._session._unlock()


class _Body:
    """A body that calls `start_response` when it is asked for a piece."""

    __slots__ = ("_answer", "_body", "_has_begun", "_pieces")

    def __init__(self, answer: _Answer, body: Iterable[bytes]) -> None:
        self._answer = answer
        self._body = body
        self._pieces = iter(body)
        self._has_begun = False

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        if self._has_begun:
            return next(self._pieces)
        return self._first()

    def _first(self) -> bytes:
        self._has_begun = True
        piece = next(self._pieces, None)  # calls start_response
        self._body = self._answer.send(self._body, self._pieces)
        self._pieces = iter(self._body)
        if piece is None or isinstance(self._body, list):  # refused
            return next(self._pieces)
        return piece

    def close(self) -> None:
        """The server calls it at the end, also of half a response."""
        try:
            close(self._body)
        finally:
            self._answer.end()
