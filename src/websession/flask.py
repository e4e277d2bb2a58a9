"""
Sessions for Flask.

    app.session_interface = WebSessionInterface("/var/lib/example/sessions")

`flask.session` is then a `FlaskSession`: Flask's own, and `regenerate`,
`invalidate`, `atomically` and the rest of `websession.web.Session`.
"""

from __future__ import annotations

try:
    from flask.json.tag import TaggedJSONSerializer
    from flask.sessions import SessionInterface, SessionMixin
except ImportError as error:
    raise ImportError(
        "websession.flask needs Flask 2.3 or newer: pip install flask"
    ) from error

from .exceptions import MaxSessionCountExceeded
from .serializers import Serializer
from .web import refusal
from .web.cookie import SessionCookie
from .web.culprit import naming
from .web.events import log_event
from .web.manager import SessionManager, as_websession, opened
from .web.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from flask import Flask, Request, Response

    from .web.events import SessionEvent

__all__ = ["FlaskSession", "WebSessionInterface", "tagged_json"]

_tagger = TaggedJSONSerializer()


@naming
def _dumps(data: object) -> bytes:
    return _tagger.dumps(data).encode("utf-8")


def _loads(raw: bytes) -> object:
    return _tagger.loads(raw.decode("utf-8"))


tagged_json = Serializer(3, "flask", _dumps, _loads, canonical=True)
"""
What Flask keeps in its cookies: JSON, tuples, bytes, `Markup`, UUID and
datetimes. Keys become strings. For a `FileStore` with settings of its own:
``FileStore(path, serializer=tagged_json)``.
"""


class FlaskSession(Session, SessionMixin):  # type: ignore[override]
    """
    The session of one request, with what Flask promises of it: `permanent`,
    and a `modified` that may be set, though nothing needs it: a change inside
    a list or dict is noticed by itself.
    """

    _is_forced = False

    @property
    def modified(self) -> bool:
        """Whether it holds something else than what is stored."""
        return self._is_forced or super().modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self._is_forced = value

    @property
    def current_id(self) -> str | None:
        """The ID, unless the browser has a newer one by now."""
        return None if self._read_only else self.id


class WebSessionInterface(SessionInterface):
    """
    Flask's sessions, on the server. Honours ``SESSION_COOKIE_*``,
    ``PERMANENT_SESSION_LIFETIME``, which is how long a session without a
    request lives, permanent or not, and ``SESSION_REFRESH_EACH_REQUEST`` for
    requests that use the session. ``SECRET_KEY`` is not needed.

    Args:
        sessions: a path, for a `FileStore` that keeps what Flask's cookies
            keep; a store; or a `WebSession`, whose own limits hold. None: what
            the configuration says in ``WEBSESSION_PATH``.
        touch_interval, grace, on_event: see `SessionManager`. None: what
            ``WEBSESSION_TOUCH_INTERVAL`` and ``WEBSESSION_GRACE`` say, or its
            defaults.

    Raises:
        SessionStoreError: the directory cannot be used, and why.
    """

    def __init__(
        self,
        sessions: Any = None,
        *,
        touch_interval: float | None = None,
        grace: float | None = None,
        on_event: Callable[[SessionEvent], object] = log_event,
    ) -> None:
        if sessions is not None:
            sessions = opened(sessions, tagged_json)
        self._sessions = sessions
        self._touch_interval = touch_interval
        self._grace = grace
        self._on_event = on_event
        self._manager: SessionManager | None = None

    def init_app(self, app: Flask) -> None:
        """
        Makes this the application's interface, as extensions do.

        Raises:
            RuntimeError: no directory is configured.
            SessionStoreError: it cannot be used, and why.
        """
        if self._sessions is None:
            path = app.config.get("WEBSESSION_PATH")
            if path is None:
                raise RuntimeError(
                    "where are the sessions to be? Set WEBSESSION_PATH to a "
                    "directory, or pass it to WebSessionInterface"
                )
            self._sessions = opened(path, tagged_json)
        app.session_interface = self

    def manager(self, app: Flask) -> SessionManager:
        """
        The application's `SessionManager`, made at the first request, when
        the configuration is complete.
        """
        if self._manager is None:
            if self._sessions is None:
                self.init_app(app)
            config = app.config
            grace = self._grace
            if grace is None:
                grace = config.get("WEBSESSION_GRACE", 10.0)
            interval = self._touch_interval
            if interval is None:
                interval = config.get("WEBSESSION_TOUCH_INTERVAL")
            self._manager = SessionManager(
                as_websession(
                    self._sessions,
                    idle=app.permanent_session_lifetime.total_seconds(),
                    lifetime=0,
                ),
                # For reading: Flask writes it.
                cookie=SessionCookie(self.get_cookie_name(app)),
                touch_interval=interval,
                grace=grace,
                on_event=self._on_event,
            )
        return self._manager

    def open_session(self, app: Flask, request: Request) -> FlaskSession:
        """The session of a request; looks at nothing before it is used."""
        return FlaskSession(self.manager(app), request.environ)

    def save_session(
        self, app: Flask, session: SessionMixin, response: Response
    ) -> None:
        """Stores what changed, and tells the browser."""
        assert isinstance(session, FlaskSession)
        if not session.accessed:
            session.close()
            # A file is passed through; other streams may still use it.
            is_made = not response.is_streamed or response.direct_passthrough
            if session.concerns(is_made):
                response.vary.add("Cookie")
            return
        # An application that calls every session permanent, before it knows
        # the visitor, stores nothing yet.
        session.end_if_empty("_permanent")
        renews_cookie = session.permanent and self.should_set_cookie(
            app, session
        )
        try:
            session.commit()
        except MaxSessionCountExceeded:
            _refuse(response)
            return
        response.vary.add("Cookie")
        session_id = session.for_browser()
        if session_id is None and renews_cookie:
            session_id = session.current_id
        if session_id is not None:
            self._tell_browser(app, session, response, session_id)

    def _tell_browser(
        self,
        app: Flask,
        session: FlaskSession,
        response: Response,
        session_id: str,
    ) -> None:
        attributes: dict[str, Any] = {
            "httponly": self.get_cookie_httponly(app),
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "samesite": self.get_cookie_samesite(app),
        }
        if hasattr(self, "get_cookie_partitioned"):  # Flask 3.1
            attributes["partitioned"] = self.get_cookie_partitioned(app)
        name = self.get_cookie_name(app)
        if session_id:
            expires = self.get_expiration_time(app, session)
            response.set_cookie(
                name, session_id, expires=expires, **attributes
            )
        else:
            response.delete_cookie(name, **attributes)
        cache = response.cache_control
        if not cache.no_store:
            # No shared cache is to hand it to somebody else.
            cache.public, cache.private = False, True


def _refuse(response: Response) -> None:
    """Answers 503 in the place of the application."""
    response.status_code = 503
    response.set_data(refusal.FULL)
    response.headers.update(refusal.headers(refusal.FULL))
