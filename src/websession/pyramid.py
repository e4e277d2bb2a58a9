"""
A session factory for Pyramid.

    config.set_session_factory(WebSessionFactory("/var/lib/example/sessions"))
"""

from __future__ import annotations

import secrets
import time

try:
    from pyramid.interfaces import ISession, ISessionFactory
    from zope.interface import implementer
except ImportError as error:
    raise ImportError(
        "websession.pyramid needs Pyramid 2.0 or newer: pip install pyramid"
    ) from error

from .web import refusal
from .web.body import Body, is_file, is_made
from .web.cookie import SessionCookie
from .web.dictsession import DictSession
from .web.events import log_event
from .web.headers import with_session
from .web.manager import SessionManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Unpack

    from .options import WebOptions
    from .web.events import SessionEvent
    from .web.manager import Sessions

__all__ = ["PyramidSession", "WebSessionFactory"]

_FLASH, _TOKEN = "_f_", "_csrft_"


@implementer(ISession)
class PyramidSession(DictSession):
    """
    The session of a request, with what Pyramid's `ISession` asks for. A change
    inside a list or dict is noticed by itself; `changed` need not be called.
    """

    @property
    def created(self) -> int:
        """When it was first stored, or now, seconds since the epoch."""
        return int(super().created or time.time())

    def changed(self) -> None:
        """Does nothing: changes are found by comparing the contents."""

    def flash(
        self, msg: object, queue: str = "", allow_duplicate: bool = True
    ) -> None:
        """Keeps a message for a later request; see Pyramid."""
        messages = self.setdefault(_FLASH + queue, [])
        if allow_duplicate or msg not in messages:
            messages.append(msg)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """The messages of a queue, which is empty then."""
        found: list[Any] = self.pop(_FLASH + queue, [])
        return found

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of a queue."""
        found: list[Any] = self.get(_FLASH + queue, [])
        return found

    def new_csrf_token(self) -> str:
        """A new token against forged requests, 64 hex digits."""
        token = self[_TOKEN] = secrets.token_hex(32)
        return token

    def get_csrf_token(self) -> str:
        """The token against forged requests; made if there is none."""
        token: str | None = self.get(_TOKEN)
        return self.new_csrf_token() if token is None else token


@implementer(ISessionFactory)
class WebSessionFactory:
    """
    Makes the sessions of requests; Pyramid calls it when `request.session` is
    first used.

    Args:
        sessions: a `WebSession`, a store, or the path of a directory; see
            `SessionManager`.
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
        sessions: Sessions,
        *,
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

    def __call__(self, request: Any) -> PyramidSession:
        """The session of a request, stored when its response is complete."""
        session = PyramidSession(self.manager, request.environ)
        request.add_response_callback(
            lambda request, response: _finish(
                session, response, request.environ
            )
        )
        return session


def _finish(session: PyramidSession, response: Any, environ: Any) -> None:
    body = response.app_iter
    is_whole = is_made(body) or is_file(body, environ)
    session._end_if_empty()
    try:
        session._commit(is_last=is_whole)
    except refusal.REFUSED as error:
        answer = refusal.of(error)
        response.status = answer.status
        response.body = answer.body
        response.headers.update(answer.headers)
        return
    if session._concerns(is_whole):
        cookie = session._cookie() if session.accessed else None
        response.headerlist = with_session(response.headerlist, cookie)
    if not is_whole:
        length = response.content_length  # which the next line drops
        response.app_iter = Body(body, lambda: session._finish(apart_from=()))
        response.content_length = length
