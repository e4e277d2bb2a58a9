"""
A storage class for CherryPy's sessions.

    tools.sessions.on = True
    tools.sessions.storage_class = websession.cherrypy.WebSessionStorage
    tools.sessions.storage_path = "/var/lib/example/sessions"

``timeout`` (minutes) and the settings of the cookie are CherryPy's. So is
``locking``: "implicit" lets the requests of a session in one by one, with
"explicit" their changes are merged. Ours are the attributes of the class:
``tools.sessions.lifetime`` and so on.
"""

from __future__ import annotations

try:
    import cherrypy
    from cherrypy.lib import sessions as cherrypy_sessions
except ImportError as error:
    raise ImportError(
        "websession.cherrypy needs CherryPy 18 or newer: pip install cherrypy"
    ) from error

from .limits import LIFETIME
from .web import refusal
from .web.cookie import SessionCookie
from .web.dictsession import DictSession
from .web.headers import to_set
from .web.manager import SessionManager, as_websession
from .web.morsel import partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from .options import SerializerName, SiteOptions
    from .serializers import Serializer
    from .web.manager import Sessions

__all__ = ["WebSessionStorage"]

_LOCK_TIMEOUT = 60.0
_CHERRYPYS = {
    "idle": "tools.sessions.timeout",
    "lifetime": "tools.sessions.lifetime",
    "serializer": "tools.sessions.serializer",
}
# With the settings that each was made of, which need not be hashable.
_managers: list[tuple[tuple[Any, ...], SessionManager]] = []


class _Session(DictSession):
    """
    The contents of a request's session.

    Attributes:
        sent: the ID that CherryPy has sent already, if there is one.
    """

    sent: str | None = None

    def _make(self, data: object) -> str:
        return self._manager.sessions._newSession(
            self._env, data, self._new_idle or 0, self.sent
        )


def _cookie_name() -> Any:
    return cherrypy.serving.request.config.get(
        "tools.sessions.name", "session_id"
    )


class WebSessionStorage(cherrypy_sessions.Session):  # type: ignore[misc]
    """
    The session of a request. Nothing is stored, and no cookie sent, before
    something is in it; an unknown ID is never adopted; no clean-up thread.

    Attributes:
        storage_path: a directory, a store, or a `WebSession`, whose own
            limits hold.
        serializer: of a store in that directory; default: ``"pickle"``.
        lifetime: minutes since a session was made after which it ends,
            whatever its activity. 0: none. None: 30 days, but none where
            ``timeout`` is longer than that.
        options: a dict of further arguments of `WebSession.for_web`, like
            ``{"durability": "data"}``; what the settings above say is no part
            of it.
        partitioned: whether the browser keeps a cookie for each site that
            embeds this one (CHIPS); it is secure and ``SameSite=None`` then.
    """

    id: Any  # the base class's property
    storage_path: Sessions | None = None
    serializer: SerializerName | Serializer = "pickle"
    lifetime: float | None = None
    options: SiteOptions | None = None
    partitioned = False
    clean_freq = 0
    _lock: AbstractContextManager[None] | None = None

    def __init__(self, id: str | None = None, **settings: Any) -> None:
        super().__init__(id, **settings)
        cherrypy.serving.request.hooks.attach(
            "before_finalize", self._prepare_stream
        )

    @property
    def _manager(self) -> SessionManager:
        settings = (
            self.storage_path, self.serializer, self.timeout, self.lifetime,
            self.options,
        )  # fmt: skip
        for made_of, manager in _managers:
            if made_of == settings:
                return manager
        if self.storage_path is None:
            raise RuntimeError(
                "where are the sessions to be? Set "
                "tools.sessions.storage_path to a directory"
            )
        sessions = as_websession(
            self.storage_path,
            self.options or {},
            _CHERRYPYS,
            serializer=self.serializer,
            idle=self.timeout * 60,
            lifetime=self._lifetime(),
        )
        cookie = SessionCookie("id", secure=False)
        manager = SessionManager(sessions, cookie=cookie)
        _managers.append((settings, manager))
        return manager

    def _lifetime(self) -> float:
        if self.lifetime is None:
            return LIFETIME if self.timeout * 60 <= LIFETIME else 0.0
        return float(self.lifetime * 60)

    def _open(self) -> None:
        # CherryPy has read the cookie, and writes it.
        cookie = f"id={self.id}" if self._is_stored else ""
        environ = getattr(cherrypy.serving.request, "wsgi_environ", {})
        self._data = _Session(
            self._manager, {**environ, "HTTP_COOKIE": cookie}
        )
        self.loaded = True

    def generate_id(self) -> str:
        """A new ID, of which there is no session yet."""
        self._is_stored = False
        return self._manager.sessions._generateSessionID()

    def _exists(self) -> bool:
        self._is_stored = True
        self._open()
        self._data._ensure_loaded()
        return not self._data.new

    def _regenerate(self) -> None:
        if self.id is None:
            self.id = self.generate_id()
            self._open()
        elif self._is_stored:
            data = dict(self._data)
            self.id = self._manager.sessions.regenerateSession(self.id)
            self._open()
            self._data.clear()
            self._data.update(data)

    def load(self) -> None:
        """Does nothing: the session is loaded when it is first used."""

    def save(self) -> None:
        """Stores what changed, merged with what others stored."""
        session = self._data
        try:
            session._end_if_empty()
            session.sent = None if self._is_stored else self.id
            session._commit()
        except refusal.REFUSED as error:
            answer = refusal.of(error)
            raise cherrypy.HTTPError(
                answer.code, answer.body.decode("ascii")
            ) from error
        finally:
            if self.locked:
                self.release_lock()
        self._tell_browser(session)
        if session.accessed:
            self._open()

    def _prepare_stream(self) -> None:
        # It is saved at its end, and CherryPy sends the cookie before.
        if cherrypy.serving.response.stream:
            self._say_headers()

    def _tell_browser(self, session: Any) -> None:
        response, told = cherrypy.serving.response, session._for_browser()
        name = _cookie_name()
        is_stored = told != "" and (self._is_stored or bool(told))
        if not is_stored and (told == "" or self.missing):
            cherrypy_sessions.expire()
            response.cookie[name]["max-age"] = 0
        elif not is_stored:
            response.cookie.pop(name, None)
        self._is_stored = is_stored
        if self.partitioned and name in response.cookie:
            partition(response.cookie, name)
            response.cookie[name]["samesite"] = "None"
        if session.accessed:
            self._say_headers()

    @staticmethod
    def _say_headers() -> None:
        response = cherrypy.serving.response
        headers = response.headers
        headers.update(
            to_set(
                headers.get("Vary"),
                headers.get("Cache-Control"),
                _cookie_name() in response.cookie,
            )
        )

    def _delete(self) -> None:
        self._data.invalidate()

    def acquire_lock(self) -> None:
        """
        Waits until no other request has the session.

        Raises:
            SessionLocked: another request has it for more than a minute.
        """
        if self._is_stored:
            sessions = self._manager.sessions
            self._lock = sessions.lockSession(self.id, _LOCK_TIMEOUT)
            self._lock.__enter__()
            self._open()  # what the one before made of it
        # Otherwise nobody else knows its ID, and there is nothing to lock.
        self.locked = True

    def release_lock(self) -> None:
        """Gives up the lock that `acquire_lock` has taken, if it has."""
        lock, self._lock = self._lock, None
        self.locked = False
        if lock is not None:
            lock.__exit__(None, None, None)

    def __len__(self) -> int:
        """How many sessions there are."""
        return self._manager.sessions.countSessions()
