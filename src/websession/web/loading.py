"""
What a request's session holds, on its way from the store.
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
from .draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from ..options import EventName
    from ..record import SessionRecord
    from .manager import SessionManager

__all__ = ["BEFORE", "CLEAR", "DURING", "OVER", "SET", "LoadedContents"]

# What is to be told to the browser.
SET, CLEAR = "set", "clear"

# Where a request is: before its response begins, in its body, after its end.
BEFORE, DURING, OVER = range(3)


class LoadedContents:
    """
    Loads, and locks; `Contents` stores.

    Args:
        manager: the application's.
        env: the request as CGI and WSGI describe it: ``HTTP_COOKIE``,
            ``wsgi.url_scheme``, and the cross-check variables.
    """

    # Values until something happens: most requests assign few of them.
    _ended: SessionException | None = None
    _is_new = True
    keep_alive: bool = True
    _data: dict[Any, Any] | None = None
    _id: str | None = None
    # Only where there is a session, or its place is held.
    _draft: Draft = None  # type: ignore[assignment]
    _created: float | None = None
    _stored: float | None = None
    _read_only = False
    _renew: tuple[float, bool] | None = None
    _idle = 0
    _new_idle: int | None = None
    _to_browser: str | None = None
    _is_changed = False
    _phase = BEFORE
    _is_used_late = False
    _is_spoilt = False
    _warned: tuple[str, ...] = ()
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

    @property
    def _has_cookie(self) -> bool:
        """Whether the request came with a cookie of our name."""
        header = self._env.get("HTTP_COOKIE")
        return bool(
            header and self._manager.cookie.values(header, self._https)
        )

    def _load(self) -> None:
        """The session that the cookie names; an empty one otherwise."""
        self._ended = self._to_browser = None
        self._data, self._id = {}, None
        header = self._env.get("HTTP_COOKIE")
        if not header:
            return
        try:
            self._load_one_of(header)
        except BaseException:
            # Nobody knows what it holds: the next use looks again.
            self._data = None
            raise

    def _load_one_of(self, header: str) -> None:
        renewed: SessionRenewed | None = None
        for session_id in self._manager.cookie.values(header, self._https):
            try:
                self._adopt(session_id)
            except SessionRenewed as error:
                renewed = error
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
                self._ended = self._to_browser = None
                return
        if renewed is not None:
            self._hold(renewed)

    def _hold(self, renewed: SessionRenewed) -> None:
        """
        An empty session in the place of one that has a new ID, which the
        browser has by now, or will have. All that can be done with it is to
        end it.
        """
        self._ended, self._to_browser = renewed, None
        self._id = renewed.session_id
        self._draft = Draft(self._manager, self._manager.dumps({}))
        self._read_only, self._is_new = True, False
        self._manager.emit("unknown-id", self._id, "it has a new ID")

    def _failed(
        self, event: EventName, session_id: str, error: SessionException
    ) -> None:
        self._ended = error
        self._to_browser = CLEAR
        about = "" if event == "unknown-id" else str(error)
        self._manager.emit(event, session_id, about)

    def _adopt(self, session_id: str) -> None:
        manager = self._manager
        record = self._read(session_id)
        self._draft, self._data = Draft.of(manager, record)
        self._id = session_id
        self._created, self._stored = record.created, record.stored
        self._read_only, self._idle = record.superseded, record.idle
        self._is_new = False
        manager.emit("load", session_id)

    def _read(self, session_id: str) -> SessionRecord:
        return self._manager.sessions.readSession(session_id, self._env)

    def _clear_cookie(self) -> None:
        self._to_browser = CLEAR

    def _forget(self) -> None:
        self._data = {}
        self._draft = None  # type: ignore[assignment]
        self._id = self._created = self._stored = None
        self._read_only, self._renew, self._is_new = False, None, True
        self._idle, self._new_idle = 0, None

    # What adapters do with it

    def _ensure_loaded(self) -> None:
        """Loads the session now, unless it is loaded."""
        if self._data is None:
            self._load()

    def _discard(self) -> None:
        """Forgets what this request changed: the next use loads it anew."""
        self._forget()
        self._data = self._to_browser = None
        self._is_changed = False

    def _lock(self, timeout: float, label: str = "") -> None:
        """
        Waits for exclusive use of the session among the requests that ask for
        it, until `_unlock`, and loads it anew. Does nothing where the cookie
        names no session.

        Args:
            timeout: seconds to wait.
            label: what others are told who wait meanwhile.

        Raises:
            SessionLocked: not to be had within `timeout` seconds.
        """
        self._ensure_loaded()
        if self._id is None:
            return
        guard = self._manager.sessions.lockSession(self._id, timeout, label)
        guard.__enter__()
        self._guard = guard
        self._forget()
        try:
            self._load()  # what the one before made of it
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        """Ends the exclusive use; does nothing if `_lock` was not called."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.__exit__(None, None, None)
