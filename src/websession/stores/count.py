"""
How many sessions there are, exactly, at a cost that does not grow with them.

The file ``.count`` is made when a limit is first used. It holds a total, the
number of each shard, and at most one operation that was announced and may or
may not have been carried out: whoever comes next settles it by looking whether
the session is there. So a crash at any moment is repaired by one `stat`. The
sweep corrects what else may have gone wrong, shard by shard.

Lock order: the count, then a session.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX
from struct import Struct, calcsize
from zlib import crc32

from .. import _status as status
from .._files import File, Outcome
from ..exceptions import MaxSessionCountExceeded
from .errors import loud
from .layout import COUNT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .layout import Layout

    T = TypeVar("T")

__all__ = ["SessionCount"]

_MAGIC = b"WSC\x01"
# magic, CRC-32 of all that follows it, kind and name of what is announced,
# total; then the number of each shard as u32
_HEAD = Struct("<4sIB3x32sQ")
_CRC_FROM = calcsize("<4sI")
_U32 = Struct("<I")
_NOTHING, _CREATE, _REMOVE, _SUPERSEDE = range(4)


def _counts(info: os.stat_result) -> bool:
    """A session in force: not empty, and not marked as superseded."""
    return info.st_size > 0 and not info.st_mode & 0o100


def _look(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None


class _Ledger:
    """The count, while its file is open and locked."""

    def __init__(self, layout: Layout, file: File) -> None:
        self._layout = layout
        self._file = file
        self._length = _HEAD.size + _U32.size * layout.shards
        self._raw = bytearray(file.read_at(self._length + 1, 0))
        self.total = 0
        if self._is_good():
            kind, name, self.total = _HEAD.unpack_from(self._raw)[2:]
            self._settle(kind, name)
        else:
            self._rebuild()

    def _is_good(self) -> bool:
        raw = self._raw
        if len(raw) != self._length:
            return False
        magic, crc = _HEAD.unpack_from(raw)[:2]
        return bool(magic == _MAGIC and crc == crc32(raw[_CRC_FROM:]))

    def _rebuild(self) -> None:
        self._raw = bytearray(self._length)
        os.ftruncate(self._file.fd, self._length)
        for shard in range(self._layout.shards):
            self.set_shard(shard, self._scan(shard))

    def _scan(self, shard: int) -> int:
        return sum(1 for _ in counted_files(self._layout, shard))

    def _settle(self, kind: int, name: bytes) -> None:
        """Was what is announced carried out?"""
        if kind == _NOTHING:
            return
        info = _look(self._layout.path(name))
        shard = int(name[: self._layout.digits], 16)
        if kind == _CREATE and info is not None and _counts(info):
            self._add(shard, 1)
        elif (kind == _REMOVE and info is None) or (
            kind == _SUPERSEDE and (info is None or not _counts(info))
        ):
            self._add(shard, -1)

    def _shard(self, shard: int) -> int:
        at = _HEAD.size + _U32.size * shard
        value: int = _U32.unpack_from(self._raw, at)[0]
        return value

    def _add(self, shard: int, change: int) -> None:
        self.set_shard(shard, max(0, self._shard(shard) + change))

    def set_shard(self, shard: int, number: int) -> None:
        self.total += number - self._shard(shard)
        _U32.pack_into(self._raw, _HEAD.size + _U32.size * shard, number)

    def save(self, kind: int = _NOTHING, name: bytes = b"") -> None:
        """Writes the count, announcing an operation."""
        raw = self._raw
        _HEAD.pack_into(raw, 0, _MAGIC, 0, kind, name, self.total)
        _U32.pack_into(raw, 4, crc32(raw[_CRC_FROM:]))
        self._file.write_at(raw, 0)


@loud
def counted_files(layout: Layout, shard: int) -> list[str]:
    """File names of the sessions in force in one shard."""
    prefix = layout.prefix(shard)
    length = 32 - len(prefix)
    digits = frozenset("0123456789abcdef")
    found = []
    try:
        with os.scandir(os.fsdecode(layout.join(prefix))) as entries:
            for entry in entries:
                if len(entry.name) != length or not digits.issuperset(
                    entry.name
                ):
                    continue
                try:
                    info = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if entry.is_file(follow_symlinks=False) and _counts(info):
                    found.append(entry.name)
    except FileNotFoundError:
        pass
    return found


class SessionCount:
    """
    The count of a store, for everything that makes or removes a session.

    Args:
        layout: the store's directory.
        timeout: longest wait for the count's lock, in seconds.
    """

    def __init__(self, layout: Layout, timeout: float) -> None:
        self._layout = layout
        self._path = layout.join(COUNT)
        self._timeout = timeout

    def _with_ledger(
        self,
        make: bool,
        action: Callable[[_Ledger], T],
        without: Callable[[], T],
    ) -> T:
        """
        Does something with the count locked, or without it if no limit was
        ever used here and none is now.
        """
        if not make:
            try:
                os.stat(self._path)  # cheaper than to fail with a File
            except FileNotFoundError:
                return without()
        flags = os.O_RDWR | os.O_CREAT if make else os.O_RDWR
        try:
            with File(self._path, flags) as file:
                if os.fstat(file.fd).st_mode & 0o777 != 0o600:
                    os.fchmod(file.fd, 0o600)
                file.lock(LOCK_EX, self._timeout)
                return action(_Ledger(self._layout, file))
        except Outcome as outcome:
            if outcome.status != status.ABSENT or make:
                status.fail(outcome.status, outcome.error, b".count")
        return without()

    def create(
        self, name: bytes, limit: int | None, action: Callable[[], int]
    ) -> int:
        """
        Creates a session, within the limit.

        Args:
            limit: how many there may be; None or 0: no limit.
            action: creates the file; its status is returned.

        Raises:
            MaxSessionCountExceeded: there are `limit` sessions.
        """

        def counted(ledger: _Ledger) -> int:
            if _look(self._layout.path(name)) is not None:
                return status.EXISTS
            if limit and ledger.total >= limit:
                ledger.save()
                raise MaxSessionCountExceeded(limit)
            ledger.save(_CREATE, name)
            return action()

        return self._with_ledger(bool(limit), counted, action)

    def remove(self, name: bytes, action: Callable[[], T]) -> T:
        """Removes a session by `action`, which may find that it may not."""
        return self._announce(_REMOVE, name, action)

    def supersede(self, name: bytes, action: Callable[[], T]) -> T:
        """The same for a session that stops being counted."""
        return self._announce(_SUPERSEDE, name, action)

    def _announce(self, kind: int, name: bytes, action: Callable[[], T]) -> T:
        def counted(ledger: _Ledger) -> T:
            info = _look(self._layout.path(name))
            if info is not None and _counts(info):
                ledger.save(kind, name)
            else:
                ledger.save()
            return action()

        return self._with_ledger(False, counted, action)

    def correct(
        self, shard: int, action: Callable[[], status.Swept | None]
    ) -> status.Swept | None:
        """Sweeps a shard by `action` and takes over what it counted."""

        def counted(ledger: _Ledger) -> status.Swept | None:
            swept = action()
            ledger.set_shard(shard, swept.live if swept else 0)
            ledger.save()
            return swept

        return self._with_ledger(False, counted, action)

    def total(self) -> int:
        """How many sessions there are."""

        def counted(ledger: _Ledger) -> int:
            ledger.save()
            return ledger.total

        def scanned() -> int:
            return sum(
                len(counted_files(self._layout, shard))
                for shard in range(self._layout.shards)
            )

        return self._with_ledger(False, counted, scanned)
