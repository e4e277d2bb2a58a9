"""Exclusive use of a session among the threads of one process."""

from __future__ import annotations

from _thread import get_ident
from threading import Condition, Lock

from ..exceptions import SessionLocked

__all__ = ["ThreadLock", "ThreadLocks"]


class _Owner:
    __slots__ = ("depth", "label", "thread")

    def __init__(self, thread: int, label: str) -> None:
        self.thread = thread
        self.label = label
        self.depth = 0


class ThreadLocks:
    """A lock for each session that somebody wants to lock, and no others."""

    def __init__(self) -> None:
        self._owners: dict[str, _Owner] = {}
        self._changed = Condition(Lock())

    def forked(self, me: int) -> None:
        """Keeps what this thread has, in a forked child that has no other."""
        self._owners = {
            session_id: owner
            for session_id, owner in self._owners.items()
            if owner.thread == me
        }
        self._changed = Condition(Lock())

    def acquire(self, session_id: str, timeout: float, label: str) -> None:
        """Waits for the session; SessionLocked after `timeout` seconds."""
        me = get_ident()

        def is_mine() -> bool:
            owner = self._owners.get(session_id)
            return owner is None or owner.thread == me

        with self._changed:
            if not self._changed.wait_for(is_mine, timeout):
                owner = self._owners[session_id]
                holder = f"thread {owner.thread} of this process"
                if owner.label:
                    holder += f", {owner.label}"
                raise SessionLocked(holder, timeout)
            mine = self._owners.setdefault(session_id, _Owner(me, label))
            mine.depth += 1

    def release(self, session_id: str) -> None:
        with self._changed:
            owner = self._owners[session_id]
            owner.depth -= 1
            if owner.depth == 0:
                del self._owners[session_id]
                self._changed.notify_all()


class ThreadLock:
    """One use of a `ThreadLocks`, for ``with``."""

    __slots__ = ("_label", "_locks", "_session_id", "_timeout")

    def __init__(
        self, locks: ThreadLocks, session_id: str, timeout: float, label: str
    ) -> None:
        self._locks = locks
        self._session_id = session_id
        self._timeout = timeout
        self._label = label

    def __enter__(self) -> None:
        self._locks.acquire(self._session_id, self._timeout, self._label)

    def __exit__(self, *exc: object) -> None:
        self._locks.release(self._session_id)
