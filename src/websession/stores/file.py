"""
`FileStore`: one file per session, in a directory that many processes share.

What lies on disk is described in csrc/FORMAT.md; how one file is read and
written, by the backends. Here: names, encoding, authentication, and what to do
when a session is not what one hoped for.
"""

from __future__ import annotations

import os
import time
from struct import Struct

from .. import _backend, serializers
from .. import _status as status
from ..exceptions import (
    CorruptData,
    InvalidSessionId,
    SessionBusy,
    SessionRenewed,
    SessionTooLarge,
)
from ..ids import handle
from ..record import (
    CLOCK_SLACK,
    HEADER_LENGTH,
    ORIGIN,
    SUPERSEDE,
    SUPERSEDED,
    SessionRecord,
    pack,
)
from .count import SessionCount
from .errors import loud
from .keep import KEEP, NoGuard, SessionInfo
from .layout import Layout, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from .locks import StripeLock
    from .sweep import Sweeper

__all__ = ["FileStore"]

DURABILITIES = ("none", "data", "full")
LARGEST_MAX_SIZE = 32 << 20
_REMEMBERED = 256
_MAX_REMEMBERED = 4096
_STORED = Struct("<d")
_make = tuple.__new__


def _later(now: float, stored: float) -> float:
    """
    The time a write gets: it never steps back because of a clock that is a
    little behind, and follows one that was put right.
    """
    return stored if 0 < stored - now <= CLOCK_SLACK else now


class FileStore:
    """
    Sessions as files that any number of processes share.

    Safe for concurrent use by threads and processes, before and after a fork.
    No descriptor and no lock is held between calls. Satisfies `SessionStore`,
    whose docstrings say what the methods do.

    Args:
        path: the directory, ``str``, ``bytes`` or path-like. Made with mode
            0700 if it is missing; otherwise it must be empty or a store, and
            private to this user.
        serializer: ``"pickle"`` (default: any object), ``"json"``, or a
            `serializers.Serializer`.
        also_accept: serialisers that records may have been written with
            besides. Default: none, so that nothing is unpickled by surprise.
        secret: authenticates the records: ``bytes`` or ``str`` of at least 16
            bytes, or a sequence of these, of which the last signs and all
            verify (rotation). None: a random key in the store's ``.key``.
        durability: ``"none"`` survives any crash of processes; ``"data"``
            also a power loss (``fdatasync`` at each write); ``"full"`` also
            makes creation and removal durable, so that a log-out stays.
        max_size: largest serialised data in bytes, default 1 MiB, at most
            32 MiB.
        shards: directories to spread a new store over: 16, 256 (default) or
            4096. An existing store keeps what it was made with.
        sweep_interval: seconds between automatic sweeps, default 60;
            0: none.
        sweep_budget: seconds that one slice of an automatic sweep may take,
            default 0.005.
        lock_timeout: longest wait for a session's file, default 10 seconds.
            Locks are held for microseconds: only a stopped process reaches
            this.
        allow_network: open even on a network file system, for a store that a
            single machine uses.
        backend: ``"auto"``, ``"c"`` or ``"python"``; None: what
            ``WEBSESSION_BACKEND`` says.

    Raises:
        UnsafeStore: others can reach into the directory.
        SessionStoreError: not a store, wrong key, newer format, system error.
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        *,
        serializer: str | serializers.Serializer = "pickle",
        also_accept: Sequence[str | serializers.Serializer] = (),
        secret: bytes | str | Sequence[bytes | str] | None = None,
        durability: str = "none",
        max_size: int = 1 << 20,
        shards: int = 256,
        sweep_interval: float = 60.0,
        sweep_budget: float = 0.005,
        lock_timeout: float = 10.0,
        allow_network: bool = False,
        backend: str | None = None,
    ) -> None:
        if durability not in DURABILITIES:
            raise ValueError(f"durability is one of {DURABILITIES}")
        if not 0 < max_size <= LARGEST_MAX_SIZE:
            raise ValueError("max_size is 1 to 32 MiB, in bytes")
        self._backend = (
            _backend.backend if backend is None else _backend.choose(backend)
        )
        self._layout = Layout(path, _secrets(secret), shards, allow_network)
        self._path = self._layout.path
        self._keyring = self._layout.keyring
        self._serializer = serializers.get(serializer)
        accepted = [self._serializer, *map(serializers.get, also_accept)]
        self._accepted = {each.number: each.loads for each in accepted}
        self._durability = DURABILITIES.index(durability)
        self._max_size = max_size
        self._timeout = lock_timeout
        self._count = SessionCount(self._layout, lock_timeout)
        self._sweep_settings = (sweep_interval, sweep_budget)
        # Creation time and env never change in a session's life: a store
        # after a retrieve by the same process needs no second read.
        self._recent: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"<FileStore {self.path!r}, {self.backend} backend>"

    @property
    def path(self) -> str:
        """The directory, absolute."""
        return self._layout.shown

    @property
    def backend(self) -> str:
        """``"c"`` or ``"python"``."""
        name: str = self._backend.NAME
        return name

    def draw_id(self, length: int, alphabet: bytes) -> str:
        """A random ID from this store's backend."""
        drawn: str = self._backend.draw_id(length, alphabet)
        return drawn

    # Encoding and decoding

    def _dumps(self, data: object) -> bytes:
        payload = self._serializer.dumps(data)
        if len(payload) > self._max_size:
            raise SessionTooLarge(len(payload), self._max_size)
        return payload

    def _raw(self, session_id: str, name: bytes) -> bytes:
        """The live record, authenticated."""
        try:
            raw: bytes | None = self._backend.read(
                self._path(name), name, self._timeout
            )
        except status.DamagedFile as damage:
            self._set_aside(name)
            raise CorruptData(damage.reason) from damage
        if raw is None:
            raise InvalidSessionId(session_id)
        if not self._keyring.verifies(name, raw):
            raise CorruptData(
                f"session {name.decode()} is not authentic: it was written "
                "with another secret, or by somebody else; it is left as it is"
            )
        return raw

    def _loads(self, name: bytes, raw: bytes) -> SessionRecord:
        """Decodes a record that has been authenticated."""
        created, stored, env_len, number, flags = ORIGIN.unpack_from(raw)
        at = HEADER_LENGTH
        if flags:
            at += SUPERSEDE.size
        elif len(raw) <= _MAX_REMEMBERED:
            if len(self._recent) >= _REMEMBERED:
                self._recent.clear()
            self._recent[name] = raw
        try:
            loads = self._accepted[number]
        except KeyError:
            raise CorruptData(
                f"session {name.decode()} was written by serializer {number}, "
                "which this store does not accept (also_accept)"
            ) from None
        try:
            env: Any = {}
            if env_len:
                env = loads(raw[at : at + env_len])
                at += env_len
            data = loads(raw[at:])
        except Exception as error:
            raise CorruptData(
                f"session {name.decode()} cannot be decoded: {error}"
            ) from error
        version = raw[:HEADER_LENGTH]
        return _make(
            SessionRecord, (created, stored, env, data, version, flags != 0)
        )

    def _remember(self, name: bytes, raw: bytes) -> None:
        if len(self._recent) >= _REMEMBERED:
            self._recent.clear()
        self._recent[name] = raw

    def _successor_ends(self, raw: bytes, now: float) -> bool:
        """Whether a superseded session is over, by time or by log-out."""
        until, successor = SUPERSEDE.unpack_from(raw, HEADER_LENGTH)
        path = self._path(successor.hex().encode("ascii"))
        return now >= until or not os.path.exists(path)

    def _set_aside(self, name: bytes) -> None:
        from .sweep import set_aside

        self._recent.pop(name, None)
        set_aside(
            self._layout, self._backend, self._count, name, self._timeout
        )

    # The protocol

    @loud
    def create(
        self,
        session_id: str,
        data: object,
        env: Mapping[str, object],
        *,
        now: float,
        created: float | None = None,
        limit: int | None = None,
        idle: float = 0.0,
        lifetime: float = 0.0,
    ) -> bool:
        """See `SessionStore.create`."""
        name = handle(session_id)
        record = pack(
            self._keyring,
            name,
            now if created is None else created,
            now,
            self._serializer.dumps(dict(env)) if env else b"",
            self._dumps(data),
            self._serializer.number,
        )
        self._sweeper().slice_if_due(now, idle, lifetime)
        outcome = self._count.create(
            name, limit, lambda: self._create_file(name, record)
        )
        if outcome == status.EXISTS:
            return False
        if len(record) <= _MAX_REMEMBERED:
            self._remember(name, record)
        return True

    def _create_file(self, name: bytes, record: bytes) -> int:
        path = self._path(name)
        outcome: int = status.ABSENT
        for _ in range(3):
            outcome = self._backend.create(
                path, name, record, self._durability, self._timeout
            )
            if outcome != status.ABSENT:
                break
            self._layout.make_shard(name)
        if outcome == status.ABSENT:
            status.fail(status.ERRNO, 2, name)
        if self._durability == 2:
            sync_directory(self._layout.directory(name))
        return outcome

    def read(self, session_id: str, now: float) -> SessionRecord:
        """See `SessionStore.read`."""
        name = handle(session_id)
        raw = self._raw(session_id, name)
        if raw[41] & SUPERSEDED and self._successor_ends(raw, now):
            raise InvalidSessionId(session_id)
        return self._loads(name, raw)

    def commit(
        self,
        session_id: str,
        data: object,
        *,
        now: float,
        idle: float = 0.0,
        lifetime: float = 0.0,
        expected: object = None,
    ) -> object:
        """See `SessionStore.commit`."""
        name = handle(session_id)
        if data is KEEP:
            return self._touch(session_id, name, now, idle, lifetime, expected)
        payload = self._dumps(data)
        old = self._recent.get(name)
        stored = now
        if isinstance(expected, bytes):
            stored = _later(now, _STORED.unpack_from(expected, 24)[0])
        deadline = None
        while True:
            if old is None:
                old = self._current(session_id, name, now)
                stored = _later(now, _STORED.unpack_from(old, 24)[0])
            created, _, env_len, _, _ = ORIGIN.unpack_from(old)
            env = old[HEADER_LENGTH : HEADER_LENGTH + env_len]
            record = pack(
                self._keyring, name, created, stored, env, payload,
                self._serializer.number,
            )  # fmt: skip
            outcome, header = self._backend.commit(
                self._path(name), name, record, expected, now, idle, lifetime,
                self._durability, self._timeout,
            )  # fmt: skip
            if outcome == status.OK:
                return header
            if outcome != status.CONFLICT:
                self._refuse(outcome, session_id, name, now)
            if expected is not None and header != expected:
                return None
            # Not what was remembered, or a clock is behind: look, try again.
            old = None
            deadline = self._wait_on(deadline)

    def _touch(
        self,
        session_id: str,
        name: bytes,
        now: float,
        idle: float,
        lifetime: float,
        expected: object,
    ) -> object:
        deadline = None
        while True:
            old = self._current(session_id, name, now)
            if expected is not None and old[:HEADER_LENGTH] != expected:
                return None
            record = self._copy(name, old, now)
            outcome, header = self._backend.commit(
                self._path(name), name, record, old[:HEADER_LENGTH], now, idle,
                lifetime, self._durability, self._timeout,
            )  # fmt: skip
            if outcome == status.OK:
                return header
            if outcome != status.CONFLICT:
                self._refuse(outcome, session_id, name, now)
            deadline = self._wait_on(deadline)

    def _current(self, session_id: str, name: bytes, now: float) -> bytes:
        """The live record, for one that is to follow it."""
        raw = self._raw(session_id, name)
        if raw[41] & SUPERSEDED:
            self._refuse(status.SUPERSEDED, session_id, name, now)
        if len(raw) <= _MAX_REMEMBERED:
            self._remember(name, raw)
        return raw

    def _copy(
        self, name: bytes, old: bytes, now: float, supersede: bytes = b""
    ) -> bytes:
        """The same record with another time, and perhaps a successor."""
        created, stored, env_len, number, _ = ORIGIN.unpack_from(old)
        env_end = HEADER_LENGTH + env_len
        return pack(
            self._keyring, name, created, _later(now, stored),
            old[HEADER_LENGTH:env_end], old[env_end:], number, supersede,
        )  # fmt: skip

    def _wait_on(self, deadline: float | None) -> float:
        """Bounds a loop of tries; the deadline to hand in next time."""
        if deadline is None:
            return time.monotonic() + self._timeout
        if time.monotonic() > deadline:
            raise SessionBusy(
                "other processes kept changing the session for "
                f"{self._timeout:g} s"
            )
        return deadline

    def _refuse(
        self, outcome: int, session_id: str, name: bytes, now: float
    ) -> None:
        """Says why a session could not be written."""
        self._recent.pop(name, None)
        if outcome == status.SUPERSEDED:
            raw = self._raw(session_id, name)
            if raw[41] & SUPERSEDED and not self._successor_ends(raw, now):
                raise SessionRenewed(session_id)
        raise InvalidSessionId(session_id)

    @loud
    def supersede(
        self,
        session_id: str,
        successor_id: str,
        until: float,
        *,
        expected: object,
        now: float,
        idle: float = 0.0,
        lifetime: float = 0.0,
    ) -> bool:
        """See `SessionStore.supersede`."""
        name = handle(session_id)
        old = self._current(session_id, name, now)
        header = old[:HEADER_LENGTH]
        if header != expected:
            return False
        successor = bytes.fromhex(handle(successor_id).decode())
        record = self._copy(name, old, now, SUPERSEDE.pack(until, successor))
        outcome, _ = self._count.supersede(
            name,
            lambda: self._backend.commit(
                self._path(name), name, record, header, now, idle, lifetime,
                self._durability, self._timeout,
            ),
        )  # fmt: skip
        if outcome not in (status.OK, status.CONFLICT):
            self._refuse(outcome, session_id, name, now)
        self._recent.pop(name, None)
        return bool(outcome == status.OK)

    @loud
    def delete(self, session_id: str, expected: object = None) -> bool:
        """See `SessionStore.delete`."""
        name = handle(session_id)
        self._recent.pop(name, None)
        outcome = self._count.remove(
            name,
            lambda: self._backend.remove(
                self._path(name), name, expected, self._timeout
            ),
        )
        if outcome == status.OK and self._durability == 2:
            sync_directory(self._layout.directory(name))
        return bool(outcome == status.OK)

    @loud
    def sweep(self, now: float, idle: float, lifetime: float) -> int:
        """See `SessionStore.sweep`. 0 while another process sweeps."""
        return self._sweeper().sweep_all(now, idle, lifetime)

    def _sweeper(self) -> Sweeper:
        from .sweep import Sweeper

        return Sweeper(
            self._layout, self._backend, self._count, *self._sweep_settings,
            self._timeout,
        )  # fmt: skip

    @loud
    def count(self) -> int:
        """See `SessionStore.count`."""
        return self._count.total()

    def entries(self) -> Iterator[SessionInfo]:
        """See `SessionStore.entries`. Needs no secret; skips damaged files."""
        from .listing import entries

        return entries(self._layout, self._backend, self._timeout)

    def lock(
        self, session_id: str, timeout: float, label: str = ""
    ) -> StripeLock:
        """See `SessionStore.lock`."""
        from .locks import StripeLock

        return StripeLock(self._layout, handle(session_id), timeout, label)

    def updating(self, session_id: str) -> NoGuard:
        """Nothing: `expected` is exact across processes."""
        return NoGuard()

    def sync(self) -> None:
        """Nothing: every write is in the kernel when it returns."""

    def close(self) -> None:
        """Forgets what was remembered; no descriptor or lock is ever held."""
        self._recent.clear()

    # What clients of the original read: `sessiondict[id]` and the like

    def __getitem__(self, session_id: str) -> tuple[float, object]:
        record = self.read(session_id, time.time())
        return record.stored, record.data

    def __contains__(self, session_id: object) -> bool:
        if not isinstance(session_id, str):
            return False
        try:
            self.read(session_id, time.time())
        except InvalidSessionId:
            return False
        except CorruptData:
            return True
        return True

    def __len__(self) -> int:
        return self.count()

    __iter__ = None  # it has no IDs to iterate over


def _secrets(
    secret: bytes | str | Sequence[bytes | str] | None,
) -> list[bytes]:
    if secret is None:
        return []
    if isinstance(secret, (bytes, str)):
        secret = [secret]
    found = [
        each.encode("utf-8") if isinstance(each, str) else bytes(each)
        for each in secret
    ]
    if not found:
        raise ValueError("secret is an empty list; None means the store's own")
    return found
