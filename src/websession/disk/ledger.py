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

from .. import engine
from ..engine import NO_ROOM, loud
from ..exceptions import MaxSessionCountExceeded
from .plain.files import File, Outcome
from .walk import session_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .root import Layout

    T = TypeVar("T")

__all__ = ["Ledger", "counted_handles", "with_ledger"]

_MAGIC = b"WSC\x01"
# magic, CRC-32 of all that follows it, kind and name of what is announced,
# total; then the number of each shard as u32
_HEAD = Struct("<4sIB3x32sQ")
_CRC_FROM = calcsize("<4sI")
_U32 = Struct("<I")
_NOTHING, _CREATE, _REMOVE, _SUPERSEDE = range(4)


def _counts(info: os.stat_result) -> bool:
    """Whether a file counts: not empty, and not marked as superseded."""
    return info.st_size > 0 and not info.st_mode & 0o100


def _look(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None


class Ledger:
    """
    The count, while its file is open and locked.

    What is not as it should be is counted anew, when its numbers are needed:
    until then nothing need be announced in it.
    """

    def __init__(self, layout: Layout, file: File) -> None:
        self._layout = layout
        self._file = file
        self._length = _HEAD.size + _U32.size * layout.shards
        self._raw = bytearray(file.read_at(self._length + 1, 0))
        self._too_long = len(self._raw) > self._length
        self._good = self._is_good()
        self._total = 0
        # What is not written yet; what is under way unannounced.
        self._changed = False
        self._unannounced: tuple[int, bytes] | None = None
        if self._good:
            kind, name, self._total = _HEAD.unpack_from(self._raw)[2:]
            self._changed = kind != _NOTHING
            self._settle(kind, name)

    def _is_good(self) -> bool:
        raw = self._raw
        if len(raw) != self._length:
            return False
        magic, crc = _HEAD.unpack_from(raw)[:2]
        return bool(magic == _MAGIC and crc == crc32(raw[_CRC_FROM:]))

    def _rebuild(self) -> None:
        self._raw = bytearray(self._length)
        self._total, self._good, self._changed = 0, True, True
        for shard in range(self._layout.shards):
            self.set_shard(shard, self.scan(shard))

    def scan(self, shard: int) -> int:
        """How many sessions are in a shard."""
        return len(counted_handles(self._layout, shard))

    def _settle(self, kind: int, name: bytes) -> None:
        """Counts the announced operation if it was carried out."""
        if kind == _NOTHING:
            return
        info = _look(self._layout.path(name))
        shard = self._layout.shard(name)
        if kind == _CREATE and info is not None and _counts(info):
            self._add(shard, 1)
        elif (kind == _REMOVE and info is None) or (
            kind == _SUPERSEDE and (info is None or not _counts(info))
        ):
            self._add(shard, -1)

    @property
    def total(self) -> int:
        """How many sessions the count says there are."""
        if not self._good:
            self._rebuild()
        return self._total

    def shard(self, shard: int) -> int:
        """How many sessions the count says are in a shard."""
        if not self._good:
            self._rebuild()
        at = _HEAD.size + _U32.size * shard
        value: int = _U32.unpack_from(self._raw, at)[0]
        return value

    def _add(self, shard: int, change: int) -> None:
        self.set_shard(shard, max(0, self.shard(shard) + change))

    def set_shard(self, shard: int, number: int) -> None:
        """Notes how many sessions are in a shard."""
        change = number - self.shard(shard)
        if change:
            self._total += change
            _U32.pack_into(self._raw, _HEAD.size + _U32.size * shard, number)
            self._changed = True

    def _save(self, kind: int, name: bytes = b"") -> None:
        """Writes the count, announcing an operation."""
        raw = self._raw
        _HEAD.pack_into(raw, 0, _MAGIC, 0, kind, name, self.total)
        _U32.pack_into(raw, 4, crc32(raw[_CRC_FROM:]))
        self._file.write_at(raw, 0)
        if self._too_long:
            os.ftruncate(self._file.fd, self._length)
            self._too_long = False
        self._changed = False

    def _saves(self, kind: int, name: bytes = b"") -> bool:
        """Calls `_save`; False if the disk has no room for that."""
        try:
            self._save(kind, name)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            return False
        return True

    def announce_new(self, name: bytes, limit: int | None) -> bool:
        """
        That a session is about to be made; False if the name is taken.

        Raises:
            MaxSessionCountExceeded: there are `limit` sessions.
        """
        if _look(self._layout.path(name)) is not None:
            return False
        if limit and self.total >= limit:
            raise MaxSessionCountExceeded(limit)
        if self._good:
            self._save(_CREATE, name)
        return True

    def announce_removal(self, name: bytes) -> None:
        """Announces that a session may be about to be removed."""
        self._announce(_REMOVE, name)

    def announce_superseding(self, name: bytes) -> None:
        """Announces that a session may be about to be superseded."""
        self._announce(_SUPERSEDE, name)

    def _announce(self, kind: int, name: bytes) -> None:
        if not self._good:
            return
        info = _look(self._layout.path(name))
        if info is None or not _counts(info):
            return
        if not self._saves(kind, name):
            # A log-out must work on a full disk. If it is interrupted, there
            # is one too many in the count, until the sweep comes by.
            self._unannounced = kind, name

    def finish(self) -> None:
        """Writes what has changed and is not written, if there is room."""
        if self._unannounced is not None:
            self._settle(*self._unannounced)
        if self._changed:
            self._saves(_NOTHING)


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
            ledger = Ledger(layout, file)
            done = action(ledger)
            ledger.finish()
            return done
    except Outcome as outcome:
        if outcome.status != engine.ABSENT or make:
            engine.fail(outcome.status, outcome.error, b".count")
    return without()


@loud
def counted_handles(layout: Layout, shard: int) -> list[bytes]:
    """Handles of the sessions of one shard, superseded ones left out."""
    return [
        name for name, info in session_files(layout, shard) if _counts(info)
    ]
