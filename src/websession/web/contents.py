"""
What a request's session holds, and its way from the store and back.
"""

from __future__ import annotations

from ..exceptions import (
    BadSessionId,
    CorruptData,
    InvalidSessionId,
    SessionException,
    SessionExpired,
    SessionHijacked,
    SessionRenewed,
)
from ..ids import handle
from .merge import merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from .manager import SessionManager

__all__ = ["Contents"]

_SET, _CLEAR = "set", "clear"


class Contents:
    """
    Loads, merges and stores; `Session` is what applications see of it.

    Args:
        manager: the application's.
        env: the request; see `SessionManager.open`.
    """

    # Values until something happens: most requests assign few of them.
    ended: SessionException | None = None
    new = True
    keep_alive = True
    _data: dict[Any, Any] | None = None
    _id: str | None = None
    _base = b""
    _version: object = None
    _created: float | None = None
    _stored: float | None = None
    _read_only = False
    _renew: float | None = None
    _idle = 0
    _new_idle: int | None = None
    _to_browser: str | None = None
    _closed = False
    _guard: AbstractContextManager[None] | None = None

    def __init__(
        self, manager: SessionManager, env: Mapping[str, Any]
    ) -> None:
        self._manager = manager
        self._env = env

    # Loading

    @property
    def _https(self) -> bool:
        return bool(self._env.get("wsgi.url_scheme") == "https")

    def _load(self) -> None:
        """The session that the cookie names; an empty one otherwise."""
        self.ended = self._to_browser = None
        self._data, self._id = {}, None
        header = self._env.get("HTTP_COOKIE")
        if not header:
            return
        for session_id in self._manager.cookie.values(header, self._https):
            try:
                self._adopt(session_id)
            except (BadSessionId, InvalidSessionId) as error:
                self._failed("unknown-id", session_id, error)
            except SessionExpired as error:
                self._failed("expire", session_id, error)
            except SessionHijacked as error:
                self._failed("hijack", session_id, error)
            except CorruptData as error:
                # Perhaps an older worker that does not know the new secret:
                # the browser keeps its cookie for the others.
                self._failed("corrupt", session_id, error)
                self._to_browser = None
            else:
                self.ended = self._to_browser = None
                return

    def _failed(
        self, event: str, session_id: str, error: SessionException
    ) -> None:
        self.ended = error
        self._to_browser = _CLEAR
        about = "" if event == "unknown-id" else str(error)
        self._manager.emit(event, session_id, about)

    def _adopt(self, session_id: str) -> None:
        manager = self._manager
        record = manager.sessions.readSession(session_id, self._env)
        payload, data = record.payload, record.data
        if type(data) is not dict:
            # A session that was made by hand and holds nothing yet.
            data = self._as_dict(data)
            payload = manager.dumps(data)
        elif payload is None:
            payload = manager.dumps(data)
            data = manager.loads(payload)
        self._data, self._base = data, payload
        self._id, self._version = session_id, record.version
        self._created, self._stored = record.created, record.stored
        self._read_only, self._idle = record.superseded, record.idle
        self.new = False
        manager.emit("load", session_id)

    @staticmethod
    def _as_dict(data: object) -> dict[Any, Any]:
        if isinstance(data, dict):
            return dict(data)
        if data == "_created_":
            return {}
        raise TypeError(
            f"the session holds {type(data).__name__} instead of a dict: "
            "another program stores in the same directory"
        )

    def _clear_cookie(self) -> None:
        self._to_browser = _CLEAR

    def _forget(self) -> None:
        self._data, self._base = {}, b""
        self._id = self._version = self._created = self._stored = None
        self._read_only, self._renew, self.new = False, None, True
        self._idle, self._new_idle = 0, None

    # What adapters do with it

    def lock(self, timeout: float, label: str = "") -> None:
        """
        Keeps other requests that ask for it out, until `unlock`. Does nothing
        where the cookie names no session.

        Raises:
            SessionLocked: not to be had within `timeout` seconds.
        """
        if self._data is None:
            self._load()
        if self._id is None:
            return
        guard = self._manager.sessions.lockSession(self._id, timeout, label)
        guard.__enter__()
        self._guard = guard
        self._forget()
        self._load()  # what the one before made of it

    def unlock(self) -> None:
        """Lets the next one in; nothing if `lock` was not called."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.__exit__(None, None, None)

    def commit(self) -> None:
        """
        Stores what changed. To be called once, before the first header leaves.

        Raises:
            MaxSessionCountExceeded: a new session is one too many.
            TypeError: the serialiser cannot keep something, and its key.
            SessionStoreError: the store failed.
        """
        if self._closed:
            return
        self._closed = True
        if self._data is None:
            return
        if self._id is None:
            if self._data:
                self._create()
            return
        session_id = self._id
        try:
            self._save()
        except SessionRenewed:
            # The browser has the new ID by now, or will have it.
            self._manager.emit("drop", session_id, "it has a new ID")
        except InvalidSessionId:
            self._to_browser = _CLEAR
            self._manager.emit("drop", session_id, "deleted or expired")

    def for_browser(self) -> str | None:
        """
        What the browser is to know after `commit`: the ID, an empty string if
        it is to forget the one it has, None if nothing changes for it.
        """
        if self._to_browser == _SET:
            return self._id
        return "" if self._to_browser == _CLEAR else None

    def cookie(self) -> str | None:
        """
        The value of the ``Set-Cookie`` header that the response needs after
        `commit`; None: none.
        """
        session_id = self.for_browser()
        if session_id is None:
            return None
        cookie = self._manager.cookie
        if session_id:
            return cookie.set(session_id, self._https, self._idle or None)
        return cookie.clear(self._https)

    # Storing

    def _create(self) -> None:
        manager = self._manager
        self._base = manager.dumps(self._data)
        self._id = manager.sessions.newSession(
            self._env,
            data=manager.to_store(self._base),
            idle=self._new_idle or 0,
        )
        self._version = None
        self._created = manager.sessions.now()
        self._written()
        self._to_browser = _SET
        manager.emit("create", self._id)

    def _save(self) -> None:
        manager = self._manager
        encoded = manager.dumps(self._data)
        is_changed = self._new_idle is not None or not manager.is_unchanged(
            encoded, self._base
        )
        if self._read_only:
            if is_changed or self._renew is not None:
                raise SessionRenewed(self._id or "")
            return
        if self._renew is not None:
            self._take_new_id(self._renew)
        if is_changed:
            self._replace(encoded)
        else:
            self._touch_if_due()

    def _take_new_id(self, grace: float) -> None:
        # Before the data is stored: what comes with a log-in is never to be
        # had under the old ID.
        manager, old_id = self._manager, self._id or ""
        self._id = manager.sessions.regenerateSession(old_id, self._env, grace)
        self._version = None
        self._to_browser = _SET
        manager.emit(
            "renew", self._id, f"before: {handle(old_id).decode('ascii')}"
        )

    def _replace(self, encoded: bytes) -> None:
        manager, version = self._manager, self._version
        if version is not None:
            version = manager.sessions.replaceSession(
                self._id or "",
                manager.to_store(encoded),
                version,
                idle=self._new_idle,
            )
        if version is None:
            self._update(lambda merged: merged)
        self._written()

    def _update(
        self, func: Callable[[dict[Any, Any]], dict[Any, Any]]
    ) -> None:
        """Stores `func` of what is stored and this request's changes."""
        manager, base = self._manager, self._manager.loads(self._base)
        data: dict[Any, Any] = {}
        payload = encoded = manager.dumps(self._data)

        def change(stored: object) -> object:
            nonlocal data, payload
            theirs = self._as_dict(stored)
            if manager.copies:
                theirs = manager.loads(manager.dumps(theirs))
            # A copy, since what the function changes in it must not be there
            # already when it runs again.
            mine = manager.loads(encoded)
            data = func(merge(base, mine, theirs, manager.dumps))
            payload = manager.dumps(data)
            return manager.to_store(payload)

        manager.sessions.updateSession(
            self._id or "", change, idle=self._new_idle
        )
        self._data, self._base, self._version = data, payload, None
        self._written()

    def _written(self) -> None:
        self._stored = self._manager.sessions.now()
        if self._new_idle is not None:
            self._idle, self._new_idle = self._new_idle, None
            self._to_browser = _SET
        if self._idle or self._manager.cookie.max_age is not None:
            self._to_browser = _SET

    def _touch_if_due(self) -> None:
        sessions = self._manager.sessions
        if self.keep_alive and self._manager.is_touch_due(
            self._stored or 0.0, sessions.now(), self._idle
        ):
            sessions.touchSession(self._id or "")
            self._written()
