"""
What is said of an operation on a record: plain numbers for the outcomes that
a store acts on, exceptions for the rest.

The numbers are those of ``enum ws_status`` in csrc/ws_api.h; a test holds the
two against each other.
"""

from __future__ import annotations

import errno
import os
import time

from .exceptions import (
    CorruptData,
    SessionBusy,
    SessionException,
    SessionStoreError,
    UnsafeStore,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

OK = 0
ABSENT = -1
EXISTS = -2
EXPIRED = -3
CONFLICT = -4
SUPERSEDED = -5
DAMAGED = -6
UNSUPPORTED = -7
UNSAFE = -8
BUSY = -9
INTERRUPTED = -10
EXHAUSTED = -11
ERRNO = -12
UNSYNCED = -13


class DamagedFile(CorruptData):
    """No slot of the file is valid: the store moves it to ``.damaged/``."""


def fail(status: int, error: int, name: bytes) -> NoReturn:
    """
    Raises what an outcome means that no store acts on.

    Args:
        status: one of the numbers above, from DAMAGED on.
        error: errno, for ERRNO and UNSYNCED.
        name: the handle, for the message.
    """
    handle = name.decode("ascii", "replace")
    if status == DAMAGED:
        raise DamagedFile(f"no readable state in the file of {handle}")
    if status == UNSUPPORTED:
        raise CorruptData(
            f"{handle} was written by a newer version of websession; "
            "it is left as it is"
        )
    if status == UNSAFE:
        raise UnsafeStore(
            f"the file of {handle} is not a regular file of this user; "
            "it is not touched"
        )
    if status == BUSY:
        raise SessionBusy(
            f"another process holds the file of {handle} locked; "
            "is it stopped?"
        )
    if status == EXHAUSTED:
        raise SessionStoreError(
            f"the sequence numbers of {handle} are used up; delete it"
        )
    written = ""
    if status == UNSYNCED:
        written = "written, but perhaps not to the disk: "
    raise SessionStoreError(
        error, f"{written}{os.strerror(error)} (session {handle})"
    )


class Swept:
    """
    What a sweep of a shard found and did.

    Attributes:
        live: sessions left in force (superseded ones are not counted).
        removed: expired sessions deleted.
        reaped: abandoned empty files and superseded sessions deleted.
        busy: files that looked expired but were locked by somebody.
        failed: files on which a system call failed.
        error: the errno of the last of these, or 0.
        odd: file names of damaged sessions, as far as there was room.
    """

    __slots__ = (
        "busy", "error", "failed", "live", "odd", "reaped", "removed"
    )  # fmt: skip

    def __init__(self) -> None:
        self.live = self.removed = self.reaped = 0
        self.busy = self.failed = self.error = 0
        self.odd: list[bytes] = []


class Deadline:
    """Bounds a loop of tries."""

    __slots__ = ("_timeout", "_until")

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._until: float | None = None

    def check(self) -> None:
        """SessionBusy, `timeout` seconds after the first call."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._timeout
        elif now > self._until:
            raise SessionBusy(
                "other processes kept changing the session for "
                f"{self._timeout:g} s"
            )


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""A full disk: what makes room must work in spite of it."""

UNREADABLE = (CorruptData, SessionBusy, UnsafeStore)
"""Because of the session's file: another one may be read all the same."""


def loud(func: Callable[P, R]) -> Callable[P, R]:
    """Makes a function raise `SessionStoreError` for every `OSError`."""

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return func(*args, **kwargs)
        except SessionException:
            raise
        except OSError as error:
            where = error.filename
            if isinstance(where, bytes):
                where = os.fsdecode(where)
            details = (error.errno, error.strerror, where)
            raise SessionStoreError(*details) from error

    # What functools.wraps does, whose import takes 2 ms.
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(wrapper, name, getattr(func, name))
    wrapper.__wrapped__ = func  # type: ignore[attr-defined]
    return wrapper
