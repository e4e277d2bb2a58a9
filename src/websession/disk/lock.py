"""
Exclusive use of a session across processes.

Through `filelock`, which is imported when first needed (it takes longer than
everything else here). Lock objects are made for each use and never kept:
one made before a fork is of no use after it.
"""

from __future__ import annotations

import os
from _thread import get_ident

from ..engine import loud
from ..exceptions import SessionLocked, SessionStoreError, printable
from .private import open_note, read_file
from .root import LOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from filelock import BaseFileLock

    from .root import Layout

__all__ = ["StripeLock", "file_lock"]

_POLL_INTERVAL = 0.01
_STRIPE_DIGITS = 4
_LONGEST_LABEL = 100


def file_lock(path: bytes) -> BaseFileLock:
    """A new lock on a file of the store."""
    from filelock import FileLock

    return FileLock(
        os.fsdecode(path),
        mode=0o600,
        thread_local=False,
        poll_interval=_POLL_INTERVAL,
        # Where flock does not work, a lock file's mere existence would not do.
        fallback_to_soft=False,
    )


class _Held:
    """A stripe that a thread of this process holds."""

    __slots__ = ("depth", "lock")

    def __init__(self, lock: BaseFileLock) -> None:
        self.lock = lock
        self.depth = 1


# By thread and path: every store object on one directory finds the same. In a
# forked child it is empty, since the locks are its parent's.
_held: dict[tuple[int, bytes], _Held] = {}


class StripeLock:
    """
    The lock of a session: one of 65,536 files that are shared by all sessions
    whose handle begins alike, and never deleted.

    A context manager, re-entrant in its thread. Tasks and greenlets of one
    thread do not exclude each other.

    Args:
        layout: the store's directory.
        name: the session's handle.
        timeout: seconds to wait.
        label: what others are told about the holder, in a hundred characters
            at most.
    """

    __slots__ = ("_key", "_label", "_layout", "_name", "_path", "_timeout")

    def __init__(
        self, layout: Layout, name: bytes, timeout: float, label: str
    ) -> None:
        self._layout = layout
        self._name = name
        self._timeout = timeout
        self._label = label
        self._path = layout.join(LOCKS, name[:_STRIPE_DIGITS] + b".lock")
        self._key = (0, b"")

    def __enter__(self) -> None:
        self._key = (get_ident(), self._path)
        held = _held.get(self._key)
        if held is not None:
            held.depth += 1
        else:
            _held[self._key] = _Held(self._acquire())

    @loud
    def __exit__(self, *exc: object) -> None:
        held = _held.get(self._key)
        if held is None:
            return  # a forked child: the lock is its parent's
        held.depth -= 1
        if held.depth == 0:
            del _held[self._key]
            self._note(b"")
            held.lock.release()

    @loud
    def _acquire(self) -> BaseFileLock:
        from filelock import Timeout

        lock = file_lock(self._path)
        try:
            self._layout.make(LOCKS)
            lock.acquire(timeout=self._timeout)
        except Timeout:
            raise SessionLocked(self._holder(), self._timeout) from None
        except OSError as error:
            raise SessionStoreError(
                error.errno, error.strerror, os.fsdecode(self._path)
            ) from error
        from time import gmtime, strftime

        since = strftime("%Y-%m-%d %H:%M:%S UTC", gmtime())
        text = f"process {os.getpid()} since {since}"
        text += f", session {self._name.decode('ascii')}"
        if self._label:
            text += f", {printable(self._label)[:_LONGEST_LABEL]}"
        self._note(text.encode("utf-8"))
        return lock

    def _note(self, text: bytes) -> None:
        """Says who holds the lock; only for the message of others."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            fd = open_note(self._path[:-5] + b".holder", flags)
            try:
                os.write(fd, text)
            finally:
                os.close(fd)
        except OSError:
            pass  # the lock itself holds, whatever becomes of the note

    def _holder(self) -> str:
        try:
            text = read_file(self._path[:-5] + b".holder") or b""
        except OSError:
            text = b""
        return text.decode("utf-8", "replace") or "another process"
