"""
A store seen from outside, by handle: what an administrator's commands are made
of. Knows no session ID, makes nothing, and is safe beside live traffic: looks
take no lock for longer than any reader, removals go the way of all others.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from ..disk.engine import DiskEngine
from ..disk.private import belongs
from ..disk.root import LOCKS
from ..disk.sweepnote import SweepNote
from ..disk.walk import session_files
from ..engine import (
    ABSENT,
    DAMAGED,
    OK,
    SUPERSEDED,
    Scanned,
    loud,
)
from ..exceptions import (
    CorruptData,
    InvalidSessionId,
    SessionBusy,
    SessionStoreError,
    UnsafeStore,
)
from ..record import (
    FLAG_SUPERSEDED,
    Parts,
    is_expired,
    is_superseded,
    stored_at,
    unpack_fields,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..disk.limitsnote import InUse
    from ..disk.sweep import Sweeper

    LeftOut = Callable[[CorruptData | SessionStoreError], None]

__all__ = ["Inspector", "StoredSession"]

_HEX = frozenset("0123456789abcdef")
_BLOCK = 512  # of st_blocks, whatever the file system's are


class StoredSession(NamedTuple):
    """
    What a session's file tells without its ID and without the key.

    Attributes:
        handle: 32 hex digits.
        created: seconds since the epoch.
        stored: when it was last stored or touched, seconds since the epoch.
        idle: its own idle limit in seconds; 0: none.
        size: bytes of the serialised data.
        disk: bytes that the file takes on the disk.
        serializer: number of the serialiser.
        superseded: whether another ID has replaced this one.
    """

    handle: str
    created: float
    stored: float
    idle: int
    size: int
    disk: int
    serializer: int
    superseded: bool

    def is_expired(self, now: float, limits: InUse | None) -> bool:
        """Past its own limit, or past the largest of those in use."""
        idle = self.idle or (0 if limits is None else limits.idle[1])
        lifetime = 0 if limits is None else limits.lifetime[1]
        return is_expired(self.created, self.stored, now, idle, lifetime)


class Inspector:
    """
    An existing store, for looking at it and for removing from it.

    Args:
        path: the directory.
        secrets: the application's own, if the store has no ``.key``; needed
            only by `payload`.
        allow_network: open even on a network file system.
        backend: ``"auto"``, ``"c"`` or ``"python"``; None: what
            ``WEBSESSION_BACKEND`` says.
        timeout: longest wait for a lock, in seconds.

    Attributes:
        engine: what everything is done through.
        layout: the directory.

    Raises:
        UnsafeStore, SessionStoreError: no store, or not one of this user.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        *,
        secrets: Sequence[bytes] = (),
        allow_network: bool = False,
        backend: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.engine = DiskEngine(
            path,
            secrets=secrets,
            allow_network=allow_network,
            backend=backend,
            timeout=timeout,
            sweep_budget=0.0,
            existing=True,
        )
        self.layout = self.engine.layout

    # Looking

    @loud
    def files(self, shard: int) -> list[tuple[bytes, os.stat_result]]:
        """
        Handle and `lstat` of each regular file of a shard that is named like
        a session's; see `disk.walk`.
        """
        return list(session_files(self.layout, shard))

    def look(self, name: bytes) -> StoredSession | None:
        """
        The session of a handle; None if there is none.

        Raises:
            CorruptData: it is unreadable, or of a newer version.
            UnsafeStore: it is no regular file of this user.
        """
        info = self._info(name)
        if info is None:
            return None
        return self.session_of((name, b"", info.st_blocks * _BLOCK, DAMAGED))

    @loud
    def scan(self, shard: int, every: int = 1, seen: int = 0) -> Scanned:
        """What a shard holds; see `DiskEngine.scan`."""
        return self.engine.scan(shard, every, seen) or Scanned()

    @loud
    def session_of(
        self, row: tuple[bytes, bytes, int, int]
    ) -> StoredSession | None:
        """
        The session of a row of a scan; None if it is gone.

        Raises:
            CorruptData, SessionBusy, UnsafeStore: as `look`.
        """
        name, _, disk, _ = row
        header = self._version(row)
        if header is None:
            return None
        created, stored, _, size, number, flags, _, idle = unpack_fields(
            header
        )
        return StoredSession(
            name.decode("ascii"), created, stored, idle, size, disk, number,
            flags & FLAG_SUPERSEDED != 0,
        )  # fmt: skip

    def _version(self, row: tuple[bytes, bytes, int, int]) -> bytes | None:
        name, header, _, status = row
        if status in (OK, ABSENT):
            return header or None
        raw = self._raw(name)
        return None if raw is None else version_of(raw)

    def _raw(self, name: bytes) -> bytes | None:
        try:
            return self.engine.inspect(self.engine.address(name))
        except SessionStoreError as error:
            info = self._info(name)
            if info is None or info.st_uid == os.geteuid():
                raise
            raise UnsafeStore(
                f"session {name.decode('ascii')} {belongs(info)}"
            ) from error

    def _info(self, name: bytes) -> os.stat_result | None:
        try:
            return os.lstat(self.layout.path(name))
        except FileNotFoundError:
            return None

    def shard(
        self, number: int, left_out: LeftOut = lambda error: None
    ) -> Iterator[StoredSession]:
        """
        The readable sessions of a shard, superseded ones too.

        Args:
            left_out: is called with what is wrong with each other one.
        """
        for row in self.scan(number).rows:
            try:
                found = self.session_of(row)
            except (CorruptData, SessionStoreError) as error:
                left_out(error)
                continue
            if found is not None:
                yield found

    def older(
        self,
        number: int,
        before: float,
        left_out: LeftOut = lambda error: None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """
        Handle and version of the sessions of a shard that were last stored
        before a time: `delete` with that version ends none that was stored
        meanwhile. `left_out` as of `shard`.
        """
        for row in self.scan(number).rows:
            try:
                version = self._version(row)
            except (CorruptData, SessionStoreError) as error:
                left_out(error)
                continue
            if (
                version is not None
                and stored_at(version) < before
                and not is_superseded(version)
            ):
                yield row[0], version

    def sessions(
        self, left_out: LeftOut = lambda error: None
    ) -> Iterator[StoredSession]:
        """The live sessions, shard by shard; `left_out` as of `shard`."""
        for number in range(self.layout.shards):
            for each in self.shard(number, left_out):
                if not each.superseded:
                    yield each

    def find(self, beginning: str) -> list[bytes]:
        """
        The handles that begin so, where it is at least as long as what names
        a shard.

        Raises:
            ValueError: it is no beginning of a handle, or too short.
        """
        digits = self.layout.digits
        text = beginning.lower()
        if not digits <= len(text) <= 32 or not _HEX.issuperset(text):
            raise ValueError(
                f"a handle, or at least the first {digits} of its 32 hex "
                f"digits, not {beginning!r}"
            )
        name = text.encode("ascii")
        found = self.files(int(text[:digits], 16))
        return sorted(each for each, _ in found if each.startswith(name))

    def payload(self, name: bytes) -> tuple[int, bytes, bytes]:
        """
        Number of the serialiser, encoded cross-check variables and encoded
        data of a session, authenticated.

        Raises:
            InvalidSessionId: there is none.
            CorruptData: unreadable, or not authentic.
            SessionStoreError: the key is missing, or another one.
        """
        raw = self._raw(name)
        if raw is None:
            raise InvalidSessionId(name.decode("ascii"))
        if not self.layout.keyring.verifies(name, raw):
            raise CorruptData(
                f"session {name.decode('ascii')} is not authentic: it was "
                "written with another secret, or by somebody else"
            )
        parts = Parts(raw)
        return parts.number, parts.env, parts.data

    # Removing

    @loud
    def delete(self, name: bytes, expected: bytes | None = None) -> bool:
        """
        Deletes the session of a handle; if it has a new ID, under that too.

        Args:
            expected: only if this is the header of its live record, and then
                nothing else.

        Returns:
            False if there was none, or another one.
        """
        address = self.engine.address(name)
        outcome = self.engine.remove(address, expected)
        if outcome == SUPERSEDED:
            from ..stores.succession import delete

            return delete(self.engine, address)
        return outcome == OK

    @loud
    def delete_empty(self, name: bytes, age: float) -> bool:
        """
        Deletes a file that whoever was to fill it has left empty.

        Args:
            age: for how many seconds, at least.

        Returns:
            False if it is not empty, not so old, locked, or gone.
        """
        address = self.engine.address(name)
        try:
            return self.engine.reap(address, age, 0.0)
        except SessionBusy:
            return False

    def sweeper(self) -> Sweeper:
        """What sweeps the store; see `Sweeper.whole_pass`."""
        return self.engine.sweeper()

    def limits(self) -> InUse | None:
        """The limits of the applications; None: none was ever noted."""
        return self.engine.limits(time.time())

    def sweep_note(self) -> SweepNote:
        """When sweeps ran and what they did."""
        return SweepNote(self.layout.join(LOCKS, b"sweep.stamp"))
