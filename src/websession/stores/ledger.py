"""
The file ``.count``: a total, the number of each shard, and at most one
operation that was announced and may or may not have been carried out. Whoever
comes next settles it by looking whether the session is there, so that a crash
at any moment is repaired by one `stat`.
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .layout import Layout

    T = TypeVar("T")

__all__ = ["Ledger", "counted_files", "with_ledger"]

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


class Ledger:
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
            self.set_shard(shard, self.scan(shard))

    def scan(self, shard: int) -> int:
        """How many sessions are in a shard."""
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

    def shard(self, shard: int) -> int:
        """How many the count says are in a shard."""
        at = _HEAD.size + _U32.size * shard
        value: int = _U32.unpack_from(self._raw, at)[0]
        return value

    def _add(self, shard: int, change: int) -> None:
        self.set_shard(shard, max(0, self.shard(shard) + change))

    def set_shard(self, shard: int, number: int) -> None:
        """Notes how many are in a shard."""
        self.total += number - self.shard(shard)
        _U32.pack_into(self._raw, _HEAD.size + _U32.size * shard, number)

    def save(self, kind: int = _NOTHING, name: bytes = b"") -> None:
        """Writes the count, announcing an operation."""
        raw = self._raw
        _HEAD.pack_into(raw, 0, _MAGIC, 0, kind, name, self.total)
        _U32.pack_into(raw, 4, crc32(raw[_CRC_FROM:]))
        self._file.write_at(raw, 0)

    def announce_new(self, name: bytes, limit: int | None) -> bool:
        """
        That a session is about to be made; False if the name is taken.

        Raises:
            MaxSessionCountExceeded: there are `limit` sessions.
        """
        if _look(self._layout.path(name)) is not None:
            return False
        if limit and self.total >= limit:
            self.save()
            raise MaxSessionCountExceeded(limit)
        self.save(_CREATE, name)
        return True

    def announce_removal(self, name: bytes) -> None:
        """That a session may be about to be removed."""
        self._announce(_REMOVE, name)

    def announce_superseding(self, name: bytes) -> None:
        """That a session may be about to be superseded."""
        self._announce(_SUPERSEDE, name)

    def _announce(self, kind: int, name: bytes) -> None:
        info = _look(self._layout.path(name))
        if info is not None and _counts(info):
            self.save(kind, name)
        else:
            self.save()


def with_ledger(
    layout: Layout,
    path: bytes,
    make: bool,
    timeout: float,
    action: Callable[[Ledger], T],
    without: Callable[[], T],
) -> T:
    """Does something with the ledger locked, or without it if it is gone."""
    flags = os.O_RDWR | os.O_CREAT if make else os.O_RDWR
    try:
        with File(path, flags) as file:
            if os.fstat(file.fd).st_mode & 0o777 != 0o600:
                os.fchmod(file.fd, 0o600)
            file.lock(LOCK_EX, timeout)
            return action(Ledger(layout, file))
    except Outcome as outcome:
        if outcome.status != status.ABSENT or make:
            status.fail(outcome.status, outcome.error, b".count")
    return without()


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
