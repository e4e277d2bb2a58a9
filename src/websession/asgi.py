"""
Sessions for ASGI applications: Starlette, FastAPI and others, on asyncio.

    app = SessionMiddleware(app, "/var/lib/example/sessions")

In the application, `scope["session"]` is the request's session, which
Starlette and FastAPI call `request.session`.
"""

from __future__ import annotations

from _collections_abc import Mapping

from .exceptions import SessionBusy, SessionException, SessionLocked
from .web import refusal
from .web.aio import AsyncSession, Hold, ReadOnlySession, in_thread
from .web.cookie import SessionCookie
from .web.events import log_event
from .web.headers import with_session
from .web.manager import SessionManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping
    from typing import Any

    from typing_extensions import Unpack

    from .options import MiddlewareOptions
    from .web.events import SessionEvent
    from .web.manager import Sessions
    from .web.session import Session

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["AsyncSession", "SessionMiddleware"]


class SessionMiddleware:
    """
    Gives each request its session, and stores what changed in it before the
    response begins, so that a response that streams holds nothing. What
    changes while the body is sent is stored before its last piece, without a
    new cookie. A websocket gets a session for reading. An exception that
    reaches the middleware stores nothing.

    Adds ``Vary: Cookie`` where the session was used, or may be used by a body
    that is made while it is sent. Where a cookie is set, makes
    ``Cache-Control`` keep the response out of shared caches.

    The event loop does what takes microseconds: reading a session, and storing
    it again if nobody else is writing it. What may wait goes to a thread:
    making a session, a new ID, log-out, a merge, every write with
    ``durability="data"`` or ``"full"``, waiting for `lock`. A session of
    another store than a `FileStore` is loaded in a thread too, before the
    application is called, and so is one of a `MovingSession`. Where a process
    was stopped in the middle of writing a session, its first use raises
    `SessionBusy`, for which the answer is 503; ``await session.aload()`` waits
    for it.

    Args:
        app: the ASGI application.
        sessions: a `WebSession`, a store, or the path of a directory; see
            `SessionManager`.
        lock: True: requests of one session that come with its cookie run one
            after the other, from before the application is called until the
            response begins; in this process and in others.
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
        app: App,
        sessions: Sessions,
        *,
        lock: bool = False,
        lock_timeout: float = 10.0,
        cookie: SessionCookie | None = None,
        touch_interval: float | None = None,
        grace: float = 10.0,
        on_event: Callable[[SessionEvent], object] = log_event,
        **options: Unpack[MiddlewareOptions],
    ) -> None:
        self._app = app
        self._lock_timeout = lock_timeout if lock else None
        self.manager: SessionManager = SessionManager(
            sessions,
            cookie=cookie,
            touch_interval=touch_interval,
            grace=grace,
            on_event=on_event,
            **options,
        )

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answers a request."""
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
            return
        if kind == "websocket":
            session = ReadOnlySession(self.manager, _Environ(scope))
            await self._prepare(session)
            scope["session"] = session
        await self._app(scope, receive, send)

    async def _prepare(self, session: Session) -> None:
        if not self.manager.is_quick and session._has_cookie:
            await in_thread(session._ensure_loaded)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        session = scope["session"] = AsyncSession(
            self.manager, _Environ(scope)
        )
        answer = _Answer(session, send)
        hold = None
        if self._lock_timeout is not None and session._has_cookie:
            hold = Hold(session, self._lock_timeout, _label(scope))
            answer.hold = hold
        try:
            if hold is not None:
                await hold.acquire()
            else:
                await self._prepare(session)
        except SessionLocked as error:
            await answer.refuse(error)
            return
        try:
            await self._app(scope, receive, answer.send)
        except SessionBusy as error:
            if not await answer.refuse_busy(error):
                raise
        finally:
            if hold is not None:
                hold.release()
        await answer.end()


def _label(scope: Scope) -> str:
    """Who has the session: what a request that waits for it is told."""
    return f"{scope['method']} {scope['path']}"[:80]


class _Answer:
    """
    Stands between application and server: holds the beginning of the response
    back until the session is stored, and its end until what changed meanwhile
    is.
    """

    __slots__ = (
        "_has_begun", "_has_pieces", "_is_over", "_is_refused", "_send",
        "_session", "_start", "hold",
    )  # fmt: skip

    def __init__(self, session: AsyncSession, send: Send) -> None:
        self._session = session
        self._send = send
        self._has_begun = self._has_pieces = False
        self._is_over = self._is_refused = False
        self._start: Message | None = None
        self.hold: Hold | None = None

    async def send(self, message: Message) -> None:
        """The application's `send`."""
        if self._has_begun:
            await self._go_on(message)
        elif message["type"] != "http.response.start":
            await self._send(message)  # an early hint
        else:
            self._has_begun = True
            await self._begin(message)

    async def _begin(self, message: Message) -> None:
        try:
            await self._commit()
        except refusal.REFUSED as error:
            await self.refuse(error)
            return
        if self._session._concerns(is_made=False):
            if not self._session.accessed and _has_length(message):
                # Its body comes at once: whether that is all tells if the
                # session can still be used.
                self._start = message
                return
            message = self._with_session(message)
        await self._send(message)

    async def _go_on(self, message: Message) -> None:
        if self._is_over:
            if not self._is_refused:
                await self._send(message)
            return
        is_last = message["type"] in _BODY and not message.get("more_body")
        is_made = is_last and not self._has_pieces
        self._has_pieces = True
        await self._send_start(is_made)
        if is_last:
            await self._finish(is_made)
        await self._send(message)

    async def _send_start(self, is_made: bool) -> None:
        message, self._start = self._start, None
        if message is None:
            return
        if self._session._concerns(is_made):
            message = self._with_session(message)
        await self._send(message)

    async def _finish(self, is_made: bool) -> None:
        self._is_over, session = True, self._session
        if not session._finish_at_once(is_made):
            await in_thread(lambda: session._finish(is_made, ()))

    async def end(self) -> None:
        """The application has returned."""
        if self._has_begun and not self._is_over:
            await self._send_start(False)
            await self._finish(False)

    async def _commit(self) -> None:
        session = self._session
        try:
            # Emptied: ended, as Starlette's users expect.
            if not session._is_emptied and session._commit_at_once():
                return
            await in_thread(lambda: _store(session))
        finally:
            if self.hold is not None:
                self.hold.release()

    def _with_session(self, message: Message) -> Message:
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in message.get("headers", ())
        ]
        session = self._session
        cookie = session._cookie() if session.accessed else None
        headers = with_session(headers, cookie)
        encoded = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
        ]
        return {**message, "headers": encoded}

    async def refuse_busy(self, error: SessionBusy) -> bool:
        """
        Answers 503, with the advice to try again, since a session is busy.
        False if the response has begun: then it is too late for that.
        """
        if self._has_begun:
            return False
        import logging

        logging.getLogger("websession").warning("answered 503: %s", error)
        await self.refuse(error)
        return True

    async def refuse(self, error: SessionException) -> None:
        """Answers in the place of the application."""
        self._has_begun = self._is_over = self._is_refused = True
        answer = refusal.of(error)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers
        ]
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.code,
                "headers": headers,
            }
        )
        await self._send({"type": "http.response.body", "body": answer.body})


def _has_length(message: Message) -> bool:
    return any(
        name.lower() == b"content-length"
        for name, _ in message.get("headers", ())
    )


def _store(session: Session) -> None:
    session._end_if_empty()
    session._commit()


class _Environ(Mapping[str, "Any"]):
    """
    A scope as CGI and WSGI describe a request, as far as sessions look at it:
    the scheme, the client's address and the headers, looked up when asked for.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default`."""
        scope = self._scope
        if name == "wsgi.url_scheme":
            return "https" if scope.get("scheme") in _SECURE else "http"
        if name == "REMOTE_ADDR":
            client = scope.get("client")
            return client[0] if client else default
        if not name.startswith("HTTP_"):
            return default
        wanted = name[5:].replace("_", "-").lower().encode("latin-1")
        found = [value for key, value in scope["headers"] if key == wanted]
        if not found:
            return default
        # HTTP/2 may send the cookies in several headers.
        between = b"; " if wanted == b"cookie" else b","
        return between.join(found).decode("latin-1")

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        yield "wsgi.url_scheme"
        if "REMOTE_ADDR" in self:
            yield "REMOTE_ADDR"
        for name in dict.fromkeys(key for key, _ in self._scope["headers"]):
            yield f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"

    def __len__(self) -> int:
        return sum(1 for _ in self)


_SECURE = ("https", "wss")
_BODY = tuple(
    f"http.response.{kind}" for kind in ("body", "pathsend", "zerocopysend")
)
