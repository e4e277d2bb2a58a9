"""
`Engine`, what keeps records: the contract; the rule of which record may follow
which; and what is said of an operation: plain numbers for the outcomes that a
store acts on, exceptions for the rest.

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
from .ids import handle
from .record import (
    CLOCK_SLACK,
    CREATION,
    FLAG_SUPERSEDED,
    SEQUENCE,
    USER_SIZE,
    VERSION,
    is_expired,
    later,
    number_of,
    origin_of,
    stored_at,
    unpack_origin,
    unpack_stored,
    user_of,
    version_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from typing import Any, NoReturn, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
    Limits = tuple[float, float, float, float]
    Draft = tuple[float, float, bytes, bytes, int, bytes, int, bytes]

OK = 0
COUNTED = 1
COUNTED_SINCE = 2
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
FORGED = -14
LARGE = -15

_LAST_SEQUENCE = b"\xff" * 8


class DamagedFile(CorruptData):
    """No slot of the file is valid: the store moves it to ``.damaged/``."""


class ForgedRecord(CorruptData):
    """None of the store's secrets has signed it."""


def fail(status: int, error: int, name: bytes) -> NoReturn:
    """
    Raises what an outcome means that no store acts on.

    Args:
        status: one of the numbers above, from DAMAGED on.
        error: errno, for ERRNO and UNSYNCED.
        name: the handle, for the message.
    """
    shown = name.decode("ascii", "replace")
    if status == DAMAGED:
        raise DamagedFile(f"no readable state in the file of {shown}")
    if status == UNSUPPORTED:
        raise CorruptData(
            f"{shown} was written by a newer version of websession; "
            "it is left as it is"
        )
    if status == FORGED:
        raise ForgedRecord(
            f"session {shown} is not authentic: it was written with another "
            "secret, or by somebody else; it is left as it is"
        )
    if status == UNSAFE:
        raise UnsafeStore(
            f"the file of {shown} is not a regular file of this user; "
            "it is not touched"
        )
    if status == BUSY:
        raise SessionBusy(
            f"another process holds the file of {shown} locked; is it stopped?"
        )
    if status == EXHAUSTED:
        raise SessionStoreError(
            f"the sequence numbers of {shown} are used up; delete it"
        )
    written = ""
    if status == UNSYNCED:
        written = "written, but perhaps not to the disk: "
    raise SessionStoreError(
        error, f"{written}{os.strerror(error)} (session {shown})"
    )


def may_follow(
    live: bytes,
    record: bytes,
    expected: bytes | None,
    now: float,
    idle: float,
    lifetime: float,
) -> int:
    """
    Whether a record may follow the live one: OK, CONFLICT, SUPERSEDED, EXPIRED
    or EXHAUSTED. Every engine in Python asks this under its lock; csrc/rules.c
    has it in C, and tests/rules.tsv holds all of them to it.

    Args:
        expected: the header of the live record, if it must be that.
        now, idle, lifetime: limits in seconds, 0: none.
    """
    if expected is not None and live[VERSION] != expected:
        return CONFLICT
    created, stored, _, _, flags, own = unpack_origin(live)
    if flags & FLAG_SUPERSEDED:
        return SUPERSEDED
    if is_expired(created, stored, now, own or idle, lifetime):
        return EXPIRED
    if 0 < stored - unpack_stored(record)[0] <= CLOCK_SLACK:
        return CONFLICT
    if live[CREATION] != record[CREATION]:
        return CONFLICT
    if live[USER_SIZE] != record[USER_SIZE] or (
        flags and user_of(live) != user_of(record)
    ):
        return CONFLICT
    # Only who knows the live record may change what else it holds.
    if expected is None and origin_of(record) != origin_of(live):
        return CONFLICT
    if live[SEQUENCE] == _LAST_SEQUENCE:
        return EXHAUSTED
    return OK


class Engine:
    """
    What keeps records: the contract of everything below a store. Whatever an
    engine reads it has authenticated; whatever is a condition of a write it
    looks at under one lock.

    A *handle* is what a record is kept under: 32 hex digits, made of the
    session's ID, and no way back. An *address* is whatever an engine makes of
    a handle. A *draft* is what a record is made of: created, stored, env,
    data, number of their serialiser, block of the successor, own idle limit,
    user, as `Keyring.pack` takes them. *Limits* are now, idle, lifetime and
    remove, in seconds: a record is over, and absent to whoever writes, when it
    was stored more than idle, or its own limit, or created more than lifetime
    seconds before now; nobody needs it any more when it was stored more than
    remove seconds before; 0: no such limit. *Outcomes* are the numbers of this
    module.

    A whole engine, in memory, for threads::

        class MemoryEngine(Engine):
            def __init__(self, keyring):
                self._keyring = keyring
                self._records = {}
                self._sequence = itertools.count(1)
                self._writing = threading.RLock()
                self._locks = ThreadLocks()

            def address(self, handle):
                return handle

            def _record(self, address, draft):
                raw = self._keyring.pack(address, *draft)
                return numbered(raw, next(self._sequence), zlib.crc32)

            def read(self, address, known=b"", timeout=None):
                raw = self._records.get(address)
                if raw is None or raw == known:
                    return raw and known
                if not self._keyring.verifies(address, raw):
                    raise CorruptData("it is not authentic")
                return raw

            def create(self, address, draft, limits, cap=None):
                with self._writing:
                    if address in self._records:
                        return EXISTS
                    if cap and self.count() >= cap:
                        raise MaxSessionCountExceeded(cap)
                    self._records[address] = self._record(address, draft)
                    return OK

            def commit(self, address, draft, expected, limits, timeout=None):
                with self._writing:
                    live = self._records.get(address)
                    if live is None:
                        return ABSENT, b""
                    record = self._record(address, draft)
                    outcome = may_follow(live, record, expected, *limits[:3])
                    if outcome == OK:
                        live = self._records[address] = record
                    return outcome, version_of(live)

            def remove(self, address, expected=None, superseded=False):
                with self._writing:
                    live = self._records.get(address)
                    if live is None:
                        return ABSENT
                    if expected not in (None, version_of(live)):
                        return CONFLICT
                    if is_superseded(live) and not (expected or superseded):
                        return SUPERSEDED
                    del self._records[address]
                    return OK

            def inspect(self, address):
                return self._records.get(address)

            def handles(self, part):
                found = list(self._records.items())
                return [each for each, raw in found if not is_superseded(raw)]

            def sweep(self, limits):
                now, _, lifetime, remove = limits
                over = [
                    (each, version_of(raw))
                    for each, raw in list(self._records.items())
                    if is_over(raw, now, remove, lifetime)
                ]
                return sum(self.remove(*each) == OK for each in over)

            def lock(self, address, timeout, label):
                return ThreadLock(self._locks, address, timeout, label)

    Attributes:
        quick: whether it reads and writes in microseconds if nobody is in the
            way, so that an event loop may do it.
        parts: how many parts `handles` has.
        timeout: longest wait for others that are at one record, in seconds.
    """

    quick = False
    parts = 1
    timeout = 10.0

    def locate(self, session_id: str) -> Any:
        """The address of a session."""
        return self.address(handle(session_id))

    def address(self, handle: bytes) -> Any:
        """The address of a handle."""
        raise NotImplementedError

    def read(
        self, address: Any, known: bytes = b"", timeout: float | None = None
    ) -> bytes | None:
        """
        The live record, authenticated; None if there is none.

        Args:
            known: a record of this address that was read or written before;
                if it is still the live one, it is returned itself.
            timeout: seconds to wait for a writer; None: the engine's.

        Raises:
            CorruptData: it cannot be read, or is not authentic.
            SessionBusy: a writer is in the way.
            SessionStoreError: the system failed.
        """
        raise NotImplementedError

    def create(
        self, address: Any, draft: Draft, limits: Limits, cap: int | None
    ) -> int:
        """
        Makes a record where there is none.

        Args:
            cap: how many sessions there may be; None or 0: no limit.

        Returns:
            OK, or EXISTS: nothing was changed.

        Raises:
            MaxSessionCountExceeded: there are `cap` of them.
        """
        raise NotImplementedError

    def commit(
        self,
        address: Any,
        draft: Draft,
        expected: bytes | None,
        limits: Limits,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """
        Writes a record that may follow the live one.

        Args:
            expected: the header of the live record, if it must be that; None:
                whichever has the same creation time, env and idle limit. The
                user must be the same in either case.

        Returns:
            OK and the header as written; CONFLICT, EXPIRED or SUPERSEDED and
            the live one; or ABSENT and nothing.
        """
        raise NotImplementedError

    def replace(
        self,
        address: Any,
        known: bytes,
        data: bytes,
        number: int,
        limits: Limits,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """
        Writes the live record, whichever it is, with other data and the time
        now: creation time, env, own idle limit and user stay. This reads and
        commits, as often as others come in between; an engine may know how to
        do it at once.

        Args:
            known: as `read` takes it.
            number: of the serialiser of the data.

        Returns:
            OK and the record as written; ABSENT, EXPIRED or SUPERSEDED.
            CONFLICT: there is env, which another serialiser has written;
            whoever knows it has to write both anew.

        Raises:
            CorruptData, SessionBusy, SessionStoreError: as `read`.
        """
        now = limits[0]
        deadline: Deadline | None = None
        raw = known or self.read(address, b"", timeout)
        while raw is not None:
            created, env, own, user = origin_of(raw)
            if env and number_of(raw) != number:
                return CONFLICT, version_of(raw)
            stored = later(now, stored_at(raw))
            draft = created, stored, env, data, number, b"", own, user
            outcome, header = self.commit(
                address, draft, None, limits, timeout
            )
            if outcome == OK:
                return OK, header + user[2:] + env + data
            if outcome != CONFLICT:
                return outcome, header
            # Not what was known, or somebody's clock is ahead.
            if deadline is None:
                deadline = Deadline(
                    self.timeout if timeout is None else timeout
                )
            deadline.check()
            raw = self.read(address, b"", timeout)
        return ABSENT, b""

    def remove(
        self,
        address: Any,
        expected: bytes | None = None,
        superseded: bool = False,
    ) -> int:
        """
        Removes a record.

        Args:
            expected: the header of the live record, if it must be that.
            superseded: also one that leads to another, without `expected`.

        Returns:
            OK, ABSENT, CONFLICT; SUPERSEDED: it leads to another, and is left.
        """
        raise NotImplementedError

    def inspect(self, address: Any) -> bytes | None:
        """
        The live record as it lies there, not authenticated: the only such
        read.

        Raises:
            CorruptData, SessionBusy, UnsafeStore: it cannot be read.
        """
        raise NotImplementedError

    def quarantine(self, address: Any) -> None:
        """Puts what cannot be read where nobody stumbles over it."""

    def tend(self, limits: Limits) -> None:
        """Does a little of what `sweep` does, where it is time for it."""

    def sweep(self, limits: Limits) -> int:
        """
        Removes records that nobody needs any more: their lifetime is over, or
        remove seconds, or their own idle limit; how many.
        """
        raise NotImplementedError

    def handles(self, part: int) -> Iterable[bytes]:
        """
        The handles of sessions, superseded ones not counted.

        Args:
            part: 0 to `parts` - 1.
        """
        raise NotImplementedError

    def count(self) -> int:
        """How many sessions there are, superseded ones not counted."""
        return sum(1 for part in range(self.parts) for _ in self.handles(part))

    def lock(
        self, address: Any, timeout: float, label: str
    ) -> AbstractContextManager[None]:
        """
        Exclusive use of a session among those who ask for it.

        Raises:
            SessionLocked: not to be had within `timeout` seconds.
        """
        raise NotImplementedError

    def check(self) -> None:
        """SessionStoreError if this is not what was opened any more."""

    def close(self) -> None:
        """Gives up what is held."""


class Swept:
    """
    What a sweep of a shard found and did.

    Attributes:
        live: sessions that are left, superseded ones not counted.
        removed: expired sessions deleted.
        reaped: abandoned empty files and superseded sessions deleted.
        busy: files that looked expired but were locked by somebody.
        failed: files on which a system call failed.
        error: the errno of the last of these, or 0.
        own: of the sessions that are left and have an idle limit of their own,
            shorter than the common ones, the shortest; whole seconds, 0: none.
        odd: file names of damaged sessions, as far as there was room.
    """

    __slots__ = (
        "busy", "error", "failed", "live", "odd", "own", "reaped", "removed"
    )  # fmt: skip

    def __init__(self) -> None:
        self.live = self.removed = self.reaped = 0
        self.busy = self.failed = self.error = self.own = 0
        self.odd: list[bytes] = []


class Scanned:
    """
    What a scan of a shard found, by the marks of its files and without a lock.

    Attributes:
        sessions: in force, as far as the marks tell.
        superseded: that another ID has replaced.
        empty: files that somebody is about to fill, or crashed before that.
        disk: bytes that all of them take.
        rows: of those that were to be read: handle, header of the live record
            or nothing, bytes on the disk, status. With DAMAGED only a look
            under the lock tells.
    """

    __slots__ = ("disk", "empty", "rows", "sessions", "superseded")

    def __init__(self) -> None:
        self.sessions = self.superseded = self.empty = self.disk = 0
        self.rows: Iterable[tuple[bytes, bytes, int, int]] = ()


class Deadline:
    """Bounds a loop of tries."""

    __slots__ = ("_timeout", "_until")

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._until: float | None = None

    def check(self) -> None:
        """
        Raises `SessionBusy` once `timeout` seconds have passed since the first
        call.
        """
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
