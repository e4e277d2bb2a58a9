"""
A session engine for Django.

    SESSION_ENGINE = "websession.django"
    WEBSESSION_PATH = "/var/lib/example/sessions"

Optional: ``WEBSESSION_OPTIONS``, a dict of arguments of `WebSession.for_web`
(``max_sessions``, and those of `FileStore`, like ``durability``), and
``WEBSESSION_LIFETIME``, seconds or a `timedelta` since a session was made,
after which it ends, whatever its activity and `set_expiry`; 0: never. In the
place of a path ``WEBSESSION_PATH`` may be a store, or a `WebSession` that
cross-checks nothing. The other settings are Django's own ``SESSION_*``, and
``SESSION_COOKIE_PARTITIONED``, see `SessionMiddleware`. With
``"websession.django"`` in ``INSTALLED_APPS``, ``manage.py check`` looks at
them.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress

try:
    from asgiref.sync import sync_to_async
    from django.conf import settings
    from django.contrib.sessions.backends.base import (
        CreateError,
        SessionBase,
        UpdateError,
    )
    from django.contrib.sessions.middleware import (
        SessionMiddleware as _SessionMiddleware,
    )
    from django.contrib.sessions.serializers import JSONSerializer
    from django.core import checks
    from django.core.exceptions import BadRequest, ImproperlyConfigured
    from django.utils.module_loading import import_string
except ImportError as error:
    raise ImportError(
        "websession.django needs Django 4.2 or newer: pip install django"
    ) from error

from .exceptions import (
    BadSessionId,
    CorruptData,
    GenerateIDError,
    InvalidSessionId,
    SessionBusy,
    SessionExpired,
    SessionHijacked,
    SessionStoreError,
    SessionTooLarge,
)
from .serializers import Serializer, naming
from .session import WebSession
from .web.aio import PATIENCE
from .web.draft import Draft, as_dict
from .web.manager import SessionManager, as_websession, lifetime_in_seconds
from .web.morsel import partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .options import EventName
    from .record import SessionRecord

__all__ = ["SessionMiddleware", "SessionStore", "TooLarge"]

_ENGINE = "websession.django"
_JSON, _OTHER = 4, 132
_DJANGOS = {"idle": "SESSION_COOKIE_AGE", "lifetime": "WEBSESSION_LIFETIME"}
_MISSING = "where are the sessions to be? Set WEBSESSION_PATH to a directory"

# The manager of the present settings, with what it was made of.
_made: tuple[tuple[Any, ...], SessionManager] | None = None


def _manager() -> SessionManager:
    """
    The `SessionManager` that the settings ask for: made once, and again when
    settings have changed, as they do in tests.
    """
    global _made
    key = (
        getattr(settings, "WEBSESSION_PATH", None),
        getattr(settings, "WEBSESSION_OPTIONS", None),
        settings.SESSION_SERIALIZER,
        settings.SESSION_COOKIE_AGE,
        getattr(settings, "WEBSESSION_LIFETIME", None),
    )
    made = _made
    if made is None or made[0] != key:
        _made = made = key, SessionManager(_sessions(*key))
    return made[1]


def _sessions(
    path: Any,
    options: dict[str, Any] | None,
    serializer: str,
    age: int,
    lifetime: Any,
) -> WebSession:
    if _is_missing(path):
        raise ImproperlyConfigured(_MISSING)
    sessions = _opened(path, options or {}, serializer, age, lifetime)
    if sessions.crossCheckVars:
        raise ImproperlyConfigured(
            "Django's engines do not see the request: WEBSESSION_PATH has to "
            "be a WebSession with crossCheckVars=()"
        )
    return sessions


def _is_missing(path: Any) -> bool:
    return path is None or (isinstance(path, str) and not path.strip())


def check_settings(**_: Any) -> list[Any]:
    """
    What is wrong with the settings, as far as that can be said without making
    or opening a directory: whoever runs ``manage.py`` may be another user.
    """
    if settings.SESSION_ENGINE != _ENGINE:
        return []
    found = []
    if _is_missing(getattr(settings, "WEBSESSION_PATH", None)):
        found.append(checks.Error(_MISSING, id="websession.E001"))
    try:
        lifetime_in_seconds(getattr(settings, "WEBSESSION_LIFETIME", None))
    except ValueError as error:
        found.append(checks.Error(str(error), id="websession.E002"))
    if (
        getattr(settings, "SESSION_COOKIE_PARTITIONED", False)
        and f"{_ENGINE}.SessionMiddleware" not in settings.MIDDLEWARE
    ):
        found.append(
            checks.Warning(
                "SESSION_COOKIE_PARTITIONED needs "
                f"{_ENGINE}.SessionMiddleware in the place of Django's",
                id="websession.W001",
            )
        )
    return found


checks.register(check_settings)


def _opened(
    path: Any,
    options: dict[str, Any],
    serializer: str,
    age: int,
    lifetime: Any,
) -> WebSession:
    try:
        return as_websession(
            path,
            options,
            _DJANGOS,
            serializer=_serializer(serializer),
            idle=age,
            lifetime=lifetime_in_seconds(lifetime),
        )
    except (SessionStoreError, TypeError, ValueError) as error:
        what = str(error)
        if not what.startswith("WEBSESSION"):
            what = f"WEBSESSION_PATH or WEBSESSION_OPTIONS: {what}"
        raise ImproperlyConfigured(what) from error


def _serializer(name: str) -> Serializer:
    """
    The serialiser that stands for a class named in ``SESSION_SERIALIZER``, be
    it Django's or the application's.
    """
    made = import_string(name)
    is_json = made is JSONSerializer
    return Serializer(
        _JSON if is_json else _OTHER,
        "django",
        naming(made().dumps),
        made().loads,
        canonical=is_json,
    )


class TooLarge(SessionTooLarge, BadRequest):  # type: ignore[misc]
    """
    What Django answers with 400, as it does where a session was deleted
    meanwhile. ``handler400`` gets it, and may answer 413 in its own words.
    """


@contextmanager
def _answered(key: str | None) -> Iterator[None]:
    try:
        yield
    except SessionTooLarge as error:
        _manager().emit("too-large", key, str(error))
        raise TooLarge(*error.args) from error


class SessionStore(SessionBase):  # type: ignore[misc]
    """
    The session of a request. Beyond what Django promises: what other requests
    stored meanwhile is merged key by key, and a change inside a list or dict
    is saved without `modified` being set. `set_expiry` is exact, for longer
    and for shorter than ``SESSION_COOKIE_AGE``.
    """

    _session_key: Any  # the base class's property
    _draft: Draft | None = None
    _modified = False

    @property
    def modified(self) -> bool:
        """Whether the middleware is to save it."""
        if self._modified or self._draft is None:
            return self._modified
        return self._draft.differs(self._session_cache)

    @modified.setter
    def modified(self, value: bool) -> None:
        self._modified = value

    # What Django asks of an engine

    def load(self) -> dict[str, Any]:
        """The contents; empty, and without a key, if there is no session."""
        return self._loaded(None)

    def _loaded(self, timeout: float | None) -> dict[str, Any]:
        manager, key = _manager(), self.session_key
        self._draft = None
        try:
            record = self._read(key, timeout)
        except (BadSessionId, InvalidSessionId):
            return self._nothing("unknown-id", key)
        except SessionExpired as error:
            return self._nothing("expire", key, str(error))
        except SessionHijacked as error:
            # It has cross-check variables, of another program.
            return self._nothing("hijack", key, str(error))
        except CorruptData as error:
            return self._nothing("corrupt", key, str(error))
        self._draft, data = Draft.of(manager, record)
        manager.emit("load", key)
        return data

    def _read(self, key: str, timeout: float | None) -> SessionRecord:
        """
        Raises what `readSession` raises, SessionExpired too for a date of
        expiry that has passed, which no limit in seconds knows exactly.
        """
        sessions = _manager().sessions
        while True:
            record = sessions.readSession(key, timeout=timeout)
            if not self._is_over(as_dict(record.data)):
                return record
            if sessions._deleteExpired(key, record.version):
                raise SessionExpired(record.stored, record.data)

    def _is_over(self, data: dict[str, Any]) -> bool:
        """Whether an expiry of its own has ended it."""
        expiry = data.get("_session_expiry")
        return bool(expiry and self.get_expiry_age(expiry=expiry) <= 0)

    def _nothing(
        self, event: EventName, key: str, about: str = ""
    ) -> dict[str, Any]:
        _manager().emit(event, key, about)
        self._session_key = None
        return {}

    def exists(self, session_key: str) -> bool:
        """Whether there is such a session."""
        return self._is_there(session_key, None)

    def _is_there(self, session_key: str, timeout: float | None) -> bool:
        try:
            self._read(session_key, timeout)
        except (BadSessionId, InvalidSessionId, SessionExpired):
            return False
        except (CorruptData, SessionHijacked):
            return True
        return True

    def create(self) -> None:
        """
        Stores the contents as a new session, under a new key. What its own
        expiry has ended is not stored.
        """
        manager = _manager()
        data = self._get_session(no_load=True)
        encoded = manager.dumps(data)
        if self._is_over(data):
            self._session_key = manager.sessions._generateSessionID()
            return
        try:
            with _answered(None):
                key = manager.sessions.newSession(
                    data=manager.to_store(encoded), idle=self._idle()
                )
        except GenerateIDError as error:
            raise CreateError(str(error)) from error
        self._session_key = key
        self._draft = Draft(manager, encoded)
        self.modified = True
        manager.emit("create", key)

    def save(self, must_create: bool = False) -> None:
        """
        Stores the contents, merged with what others stored meanwhile.

        Args:
            must_create: as a new session, under a key of its own.

        Raises:
            UpdateError: the session was deleted, or has expired, since it was
                loaded. It stays so.
            TooLarge: it is more than the store's `max_size`.
            TypeError: the serialiser cannot keep something, and its key.
        """
        if self.session_key is None or must_create:
            return self.create()
        manager, key = _manager(), self.session_key
        data = self._get_session(no_load=False)
        if self._is_over(data):
            self._end()
            return None
        draft, encoded = self._checked_out(), manager.dumps(data)
        try:
            with _answered(key):
                if not draft.replace(key, encoded, self._idle()):
                    self._update(draft, encoded, lambda merged: merged)
        except InvalidSessionId as error:
            manager.emit("drop", key, "deleted or expired")
            raise UpdateError from error
        return None

    def _end(self) -> None:
        """What its own expiry has ended is gone, for everybody."""
        manager, key = _manager(), self.session_key
        manager.sessions.deleteSession(key)
        manager.emit("expire", key)

    def _checked_out(self) -> Draft:
        """What changes are told from; clear() has not loaded it."""
        if self._draft is None:
            self.load()
            if self._draft is None:
                raise UpdateError
        return self._draft

    def _update(
        self,
        draft: Draft,
        encoded: bytes,
        func: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        """Stores `func` of what is stored and what this request changed."""
        sessions, key, idle = (
            _manager().sessions,
            self.session_key,
            self._idle(),
        )
        self._session_cache = draft.update(
            encoded,
            func,
            lambda change: sessions.updateSession(key, change, idle=idle),
        )

    def _idle(self) -> int:
        """Its limit in seconds, where that is not the limit of all; or 0."""
        age = int(self.get_expiry_age())
        return 0 if age == _manager().sessions.idleLimit() else max(1, age)

    def delete(self, session_key: str | None = None) -> None:
        """Ends a session, for good; this one unless another one is named."""
        key = self.session_key if session_key is None else session_key
        if key is not None:
            manager = _manager()
            manager.sessions.deleteSession(key)
            manager.emit("delete", key)

    def flush(self) -> None:
        """Ends the session and begins an empty one."""
        super().flush()
        self._draft = None

    def cycle_key(self) -> None:
        """
        Gives the session a new key, at log-in; the old one is dead. If the
        session was deleted since it was loaded, it stays so, and `save` raises
        `UpdateError`.
        """
        manager, data = _manager(), self._session
        key = self.session_key
        if key is None:
            self.create()
            return
        # What is not there any more, since somebody logged out, does not come
        # back: `save` will say so.
        self.modified = True
        try:
            new_key = manager.sessions.regenerateSession(key)
        except InvalidSessionId:
            return
        self._session_key, self._session_cache = new_key, data
        if self._draft is not None:
            self._draft.version = None
        manager.emit("renew", new_key)

    def atomically(self, func: Callable[[dict[str, Any]], object]) -> None:
        """
        Changes the session at once, so that no change of another request gets
        in between: for counters. What else this request changed so far is
        stored too.

        Args:
            func: gets the contents as they are stored, with this request's
                changes, and changes them in place. Runs again when another
                request was faster.

        Raises:
            UpdateError: the session was deleted, or has expired.
        """
        data = self._session

        def applied(merged: dict[str, Any]) -> dict[str, Any]:
            func(merged)
            return merged

        if self.session_key is None:
            applied(data)
            self.create()
            return
        draft = self._checked_out()
        try:
            self._update(draft, _manager().dumps(data), applied)
        except InvalidSessionId as error:
            raise UpdateError from error
        if self._is_over(self._session):
            self._end()

    @classmethod
    def clear_expired(cls) -> None:
        """Removes all expired sessions, as ``manage.py clearsessions``."""
        _manager().sessions.cleanUp()

    # The same for asynchronous views: what writes may wait for a lock or the
    # disk and goes to a thread, a read takes microseconds unless a writer was
    # stopped in the middle.

    async def aload(self) -> dict[str, Any]:
        """See `load`."""
        if _manager().is_quick:
            with suppress(SessionBusy):
                return self._loaded(PATIENCE)
        return await sync_to_async(self.load)()

    async def aexists(self, session_key: str) -> bool:
        """See `exists`."""
        if _manager().is_quick:
            with suppress(SessionBusy):
                return self._is_there(session_key, PATIENCE)
        return await sync_to_async(self.exists)(session_key)

    async def acreate(self) -> None:
        """See `create`."""
        await sync_to_async(self.create)()

    async def asave(self, must_create: bool = False) -> None:
        """See `save`."""
        await sync_to_async(self.save)(must_create)

    async def adelete(self, session_key: str | None = None) -> None:
        """See `delete`."""
        await sync_to_async(self.delete)(session_key)

    async def aflush(self) -> None:
        """See `flush`."""
        await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        """See `cycle_key`."""
        await sync_to_async(self.cycle_key)()

    @classmethod
    async def aclear_expired(cls) -> None:
        """See `clear_expired`."""
        await sync_to_async(cls.clear_expired)()


class SessionMiddleware(_SessionMiddleware):  # type: ignore[misc]
    """
    Django's, in its place in ``MIDDLEWARE``, for what Django has no setting
    for: ``SESSION_COOKIE_PARTITIONED = True`` has browsers keep a cookie for
    each site that embeds this one (CHIPS). It is secure then, and needs
    ``SESSION_COOKIE_SAMESITE = "None"`` to be sent there.
    """

    def process_response(self, request: Any, response: Any) -> Any:
        """See Django."""
        response = super().process_response(request, response)
        if getattr(settings, "SESSION_COOKIE_PARTITIONED", False):
            partition(response.cookies, settings.SESSION_COOKIE_NAME)
        return response
