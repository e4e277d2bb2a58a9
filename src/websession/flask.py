"""
Sessions for Flask.

    app.session_interface = WebSessionInterface("/var/lib/example/sessions")

`flask.session` is then a `FlaskSession`: Flask's own, and `regenerate`,
`invalidate`, `atomically` and the rest of `websession.web.Session`. Import it
from here, and editors and type checkers know:

    from websession.flask import session
"""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal

try:
    import flask
    from flask.json.tag import JSONTag, TaggedJSONSerializer
    from flask.sessions import SessionInterface, SessionMixin
except ImportError as error:
    raise ImportError(
        "websession.flask needs Flask 2.3 or newer: pip install flask"
    ) from error

from . import _tagged_json
from .exceptions import SessionException
from .limits import checked_limit
from .serializers import Serializer, naming
from .web import refusal
from .web.body import Body
from .web.cookie import SessionCookie
from .web.dictsession import DictSession
from .web.events import log_event
from .web.manager import (
    SessionManager,
    as_websession,
    lifetime_in_seconds,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from flask import Flask, Request, Response
    from typing_extensions import Unpack

    from .options import SiteOptions
    from .session import WebSession
    from .web.events import SessionEvent
    from .web.manager import Sessions

__all__ = ["FlaskSession", "WebSessionInterface", "session", "tagged_json"]


class _Kept(JSONTag):
    """What Flask refuses to keep, or makes a string of."""

    key = " ws"
    kinds = (set, frozenset, Decimal, date, time, timedelta)

    def check(self, value: Any) -> bool:
        # A datetime, which is a date, is Flask's.
        return type(value) in self.kinds

    def to_json(self, value: Any) -> Any:
        return _tagged_json.dumps(value).decode("ascii")

    def to_python(self, value: Any) -> Any:
        return _tagged_json.loads(value.encode("ascii"))


_tagger = TaggedJSONSerializer()
_tagger.register(_Kept)
# The keys of a session that holds nothing.
_IDLE = "PERMANENT_SESSION_LIFETIME"
_NOTHING = ("_permanent",)


@naming
def _dumps(data: object) -> bytes:
    return _tagger.dumps(data).encode("utf-8")


def _loads(raw: bytes) -> object:
    return _tagger.loads(raw.decode("utf-8"))


tagged_json: Serializer = Serializer(
    3, "flask", _dumps, _loads, canonical=True
)
"""
What Flask keeps in its cookies: JSON, tuples, bytes, `Markup`, UUID and
datetimes (as Flask does, in UTC and whole seconds); and sets, dates, times and
`Decimal`. Keys become strings. For a `FileStore` with settings of its own:
``FileStore(path, serializer=tagged_json)``.
"""


class FlaskSession(DictSession, SessionMixin):  # type: ignore[misc, override]
    """
    The session of one request, with what Flask promises of it: `permanent`,
    and a `modified` that may be set, though nothing needs it: a change inside
    a list or dict is noticed by itself.
    """

    _is_forced = False
    _was_permanent = False

    def _adopt(self, session_id: str) -> None:
        super()._adopt(session_id)
        self._was_permanent = self.permanent

    @property
    def _is_permanent_no_more(self) -> bool:
        """
        Whether the session was permanent when it was loaded and is not now, so
        that the browser has a cookie that outlasts it.
        """
        return self._was_permanent and not self.permanent

    @property
    def modified(self) -> bool:
        """
        Whether this request has changed the session, or was told so by setting
        this to True.
        """
        return self._is_forced or super().modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self._is_forced = value

    @property
    def _current_id(self) -> str | None:
        """The ID, unless the browser has a newer one by now."""
        return None if self._read_only else self.id


session: FlaskSession = flask.session  # type: ignore[assignment]
"""`flask.session` itself, as a `FlaskSession`."""


class WebSessionInterface(SessionInterface):
    """
    Flask's sessions, on the server. Honours ``SESSION_COOKIE_*``,
    ``PERMANENT_SESSION_LIFETIME``, which is how long a session without a
    request lives, permanent or not, and ``SESSION_REFRESH_EACH_REQUEST`` for
    requests that use the session: others, for which Flask sends the cookie
    too, do not look at it. ``SECRET_KEY`` is not needed.

    Args:
        sessions: a path, for a `FileStore` that keeps what Flask's cookies
            keep; a store; or a `WebSession`, whose own limits hold. None: what
            the configuration says in ``WEBSESSION_PATH``.
        lifetime: seconds, or a `timedelta`, since a session was made after
            which it ends, whatever its activity. 0: none. None: what
            ``WEBSESSION_LIFETIME`` says, or none, since
            ``PERMANENT_SESSION_LIFETIME`` knows no such end.
        touch_interval, grace, on_event: see `SessionManager`. None: what
            ``WEBSESSION_TOUCH_INTERVAL`` and ``WEBSESSION_GRACE`` say, or its
            defaults.
        options: ``max_sessions``, ``durability``, ``secret`` and so on, see
            `WebSession.for_web`. ``idle`` is the configuration's.

    Raises:
        SessionStoreError: the directory cannot be used, and why.
    """

    def __init__(
        self,
        sessions: Sessions | None = None,
        *,
        lifetime: float | timedelta | None = None,
        touch_interval: float | None = None,
        grace: float | None = None,
        on_event: Callable[[SessionEvent], object] = log_event,
        **options: Unpack[SiteOptions],
    ) -> None:
        self._options = options
        self._given = sessions
        self._sessions = None if sessions is None else self._open(sessions)
        self._lifetime = lifetime
        self._touch_interval = touch_interval
        self._grace = grace
        self._on_event = on_event
        self._manager: SessionManager | None = None

    def _open(self, place: Any) -> WebSession:
        # At once, to say what is wrong with a directory; limits come later.
        return as_websession(
            place, self._options, {"idle": _IDLE}, serializer=tagged_json
        )

    def init_app(self, app: Flask) -> None:
        """
        Makes this the application's interface, as extensions do.

        Raises:
            RuntimeError: no directory is configured.
            SessionStoreError: it cannot be used, and why.
        """
        if self._sessions is None:
            self._configured(app)
        app.session_interface = self

    def _configured(self, app: Flask) -> WebSession:
        path = app.config.get("WEBSESSION_PATH")
        if path is None:
            raise RuntimeError(
                "where are the sessions to be? Set WEBSESSION_PATH to a "
                "directory, or pass it to WebSessionInterface"
            )
        self._given, self._sessions = path, self._open(path)
        return self._sessions

    def manager(self, app: Flask) -> SessionManager:
        """
        The application's `SessionManager`, made at the first request, when
        the configuration is complete.
        """
        if self._manager is None:
            sessions = self._sessions or self._configured(app)
            config = app.config
            grace = self._grace
            if grace is None:
                grace = config.get("WEBSESSION_GRACE", 10.0)
            lifetime = self._lifetime
            if lifetime is None:
                lifetime = config.get("WEBSESSION_LIFETIME")
            interval = self._touch_interval
            if interval is None:
                interval = config.get("WEBSESSION_TOUCH_INTERVAL")
            if sessions is not self._given:
                idle = app.permanent_session_lifetime.total_seconds()
                sessions.expireRemove = checked_limit(_IDLE, idle)
                sessions.maxLifetime = lifetime_in_seconds(lifetime)
            self._manager = SessionManager(
                sessions,
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
        # A file is passed through; other streams may still use it.
        is_made = not response.is_streamed or response.direct_passthrough
        if not session.accessed:
            session._commit()
            _finish_with(response, session, is_made)
            if session._concerns(is_made):
                response.vary.add("Cookie")
            return
        # An application that calls every session permanent, before it knows
        # the visitor, stores nothing yet.
        session._end_if_empty(*_NOTHING)
        renews_cookie = session._is_permanent_no_more or (
            session.permanent and self.should_set_cookie(app, session)
        )
        try:
            session._commit()
        except refusal.REFUSED as error:
            _refuse(response, error)
            return
        _finish_with(response, session, is_made)
        response.vary.add("Cookie")
        session_id = session._for_browser()
        if session_id is None and renews_cookie:
            session_id = session._current_id
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


def _finish_with(
    response: Response, session: FlaskSession, is_made: bool
) -> None:
    """
    Has the session stored once more when the body is made and the response is
    closed, for what is changed until then.
    """

    def end() -> None:
        session._finish(is_made, _NOTHING)

    if not is_made:
        response.response = Body(response.response, end)
    response.call_on_close(end)


def _refuse(response: Response, error: SessionException) -> None:
    """Answers in the place of the application."""
    answer = refusal.of(error)
    response.status = answer.status
    response.set_data(answer.body)
    response.headers.update(answer.headers)
