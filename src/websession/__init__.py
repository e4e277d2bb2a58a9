"""
Server-side web sessions, one file per session, shared by many processes.

    >>> import tempfile
    >>> from websession import WebSession
    >>> ws = WebSession(tempfile.mkdtemp(), expireRemove=3600)
    >>> session_id = ws.newSession()
    >>> _ = ws.storeSession(session_id, {"user": "ann"})
    >>> ws.retrieveSession(session_id)
    {'user': 'ann'}
"""

from __future__ import annotations

import os

from .disk.backend import BACKEND
from .exceptions import (
    BadSessionId,
    CorruptData,
    GenerateIDError,
    InvalidSessionId,
    MaxSessionCountExceeded,
    SessionBusy,
    SessionException,
    SessionExpired,
    SessionHijacked,
    SessionLocked,
    SessionRenewed,
    SessionStoreError,
    SessionTooLarge,
    UnsafeStore,
    WeakSessionIDWarning,
)
from .ids import SESSION_ID_CHARS
from .session import SESSION_CROSSCHECKVARS, WebSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cleanup import CleanUpThread
    from .stores import FileStore, MappingStore, SessionStore

__version__ = "0.1.0"

__all__ = [
    "BACKEND",
    "SESSION_CROSSCHECKVARS",
    "SESSION_ID_CHARS",
    "BadSessionId",
    "CleanUpThread",
    "CorruptData",
    "FileStore",
    "GenerateIDError",
    "InvalidSessionId",
    "MappingStore",
    "MaxSessionCountExceeded",
    "SessionBusy",
    "SessionException",
    "SessionExpired",
    "SessionHijacked",
    "SessionLocked",
    "SessionRenewed",
    "SessionStore",
    "SessionStoreError",
    "SessionTooLarge",
    "UnsafeStore",
    "WeakSessionIDWarning",
    "WebSession",
]


def _before_fork() -> None:
    # Only a process that forks needs it, and what a child would have to import
    # first might be what another thread was importing.
    from . import _fork  # noqa: F401


def _after_fork() -> None:
    from ._fork import after_in_child

    after_in_child()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


if not TYPE_CHECKING:  # or every misspelt name is one that may be there

    def __getattr__(name: str) -> object:
        # Not everybody needs these, and threading alone takes a millisecond.
        if name == "CleanUpThread":
            from .cleanup import CleanUpThread

            return CleanUpThread
        if name in ("FileStore", "MappingStore", "SessionStore"):
            from . import stores

            return getattr(stores, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
