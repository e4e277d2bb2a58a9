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
    HEADER,
    HEADER_LENGTH,
    SUPERSEDE,
    SUPERSEDED,
    SessionRecord,
    pack,
)
from .count import SessionCount
from .keep import KEEP, NoGuard, SessionInfo
from .layout import Layout, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .locks import StripeLock
    from .sweep import Sweeper

__all__ = ["FileStore"]

DURABILITIES = ("none", "data", "full")
LARGEST_MAX_SIZE = 64 << 20
_REMEMBERED = 256
_MAX_REMEMBERED_ENV = 4096
_STORED = Struct("<d")


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
            64 MiB.
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
            raise ValueError("max_size is 1 to 64 MiB, in bytes")
        self._backend = (
            _backend.backend if backend is None else _backend.choose(backend)
        )
        self._layout = Layout(path, _secrets(secret), shards, allow_network)
        self._path = self._layout.path
        self._keyring = self._layout.keyring
        self._serializer = serializers.get(serializer)
        accepted = [self._serializer, *map(serializers.get, also_accept)]
        self._accepted = {each.number: each for each in accepted}
        self._durability = DURABILITIES.index(durability)
        self._max_size = max_size
        self._timeout = lock_timeout
        self._count = SessionCount(self._layout, lock_timeout)
        self._sweep_settings = (sweep_interval, sweep_budget)
        # Creation time and env never change in a session's life: a store
        # after a retrieve by the same process needs no second read.
        self._origins: dict[bytes, tuple[float, bytes]] = {}

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

    def _pack(
        self,
        name: bytes,
        origin: tuple[float, bytes],
        stored: float,
        data: bytes,
        supersede: bytes = b"",
    ) -> bytes:
        return pack(
            self._keyring, name, origin[0], stored, origin[1], data,
            self._serializer.number, supersede,
        )  # fmt: skip

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
        _, _, _, created, stored, env_len, _, number, flags, _, _ = (
            HEADER.unpack_from(raw)
        )
        serializer = self._accepted.get(number)
        if serializer is None:
            raise CorruptData(
                f"session {name.decode()} was written by serializer {number}, "
                "which this store does not accept (also_accept)"
            )
        at = HEADER_LENGTH + (SUPERSEDE.size if flags & SUPERSEDED else 0)
        env = raw[at : at + env_len]
        try:
            record = SessionRecord(
                created,
                stored,
                serializer.loads(env) if env else {},  # type: ignore[arg-type]
                serializer.loads(raw[at + env_len :]),
                raw[:HEADER_LENGTH],
                bool(flags & SUPERSEDED),
            )
        except Exception as error:
            raise CorruptData(
                f"session {name.decode()} cannot be decoded: {error}"
            ) from error
        if not flags:
            self._remember(name, created, env)
        return record

    def _remember(self, name: bytes, created: float, env: bytes) -> None:
        if len(self._origins) >= _REMEMBERED:
            self._origins.clear()
        if len(env) <= _MAX_REMEMBERED_ENV:
            self._origins[name] = (created, env)

    def _successor_ends(self, raw: bytes, now: float) -> bool:
        """Whether a superseded session is over, by time or by log-out."""
        until, successor = SUPERSEDE.unpack_from(raw, HEADER_LENGTH)
        path = self._path(successor.hex().encode("ascii"))
        return now >= until or not os.path.exists(path)

    def _set_aside(self, name: bytes) -> None:
        from .sweep import set_aside

        self._origins.pop(name, None)
        set_aside(
            self._layout, self._backend, self._count, name, self._timeout
        )

    # The protocol

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
        origin = (
            now if created is None else created,
            self._serializer.dumps(dict(env)) if env else b"",
        )
        record = self._pack(name, origin, now, self._dumps(data))
        self._sweeper().slice_if_due(now, idle, lifetime)
        outcome = self._count.create(
            name, limit, lambda: self._create_file(name, record)
        )
        if outcome == status.EXISTS:
            return False
        self._remember(name, *origin)
        return True

    def _create_file(self, name: bytes, record: bytes) -> int:
        path = self._path(name)
        outcome: int = status.ABSENT
        for _ in range(3):
            outcome = self._backend.create(
                path, name, record, self._durability
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
        origin = self._origins.get(name)
        stored = now
        if isinstance(expected, bytes):
            stored = _later(now, _STORED.unpack_from(expected, 24)[0])
        deadline = None
        while True:
            if origin is None:
                origin, stored = self._origin(session_id, name, now)
            record = self._pack(name, origin, stored, payload)
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
            origin = None
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
            raw = self._raw(session_id, name)
            header = raw[:HEADER_LENGTH]
            if expected is not None and header != expected:
                return None
            if header[41] & SUPERSEDED:
                self._refuse(status.SUPERSEDED, session_id, name, now)
            _, _, _, created, stored, env_len, _, number, _, _, _ = (
                HEADER.unpack(header)
            )
            at = HEADER_LENGTH + env_len
            record = pack(
                self._keyring, name, created, _later(now, stored),
                raw[HEADER_LENGTH:at], raw[at:], number,
            )  # fmt: skip
            outcome, written = self._backend.commit(
                self._path(name), name, record, header, now, idle, lifetime,
                self._durability, self._timeout,
            )  # fmt: skip
            if outcome == status.OK:
                return written
            if outcome != status.CONFLICT:
                self._refuse(outcome, session_id, name, now)
            deadline = self._wait_on(deadline)

    def _origin(
        self, session_id: str, name: bytes, now: float
    ) -> tuple[tuple[float, bytes], float]:
        """What a new record takes over from the one on disk."""
        raw = self._raw(session_id, name)
        _, _, _, created, stored, env_len, _, _, flags, _, _ = (
            HEADER.unpack_from(raw)
        )
        if flags & SUPERSEDED:
            self._refuse(status.SUPERSEDED, session_id, name, now)
        env = raw[HEADER_LENGTH : HEADER_LENGTH + env_len]
        self._remember(name, created, env)
        return (created, env), _later(now, stored)

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
        self._origins.pop(name, None)
        if outcome == status.SUPERSEDED:
            raw = self._raw(session_id, name)
            if raw[41] & SUPERSEDED and not self._successor_ends(raw, now):
                raise SessionRenewed(session_id)
        raise InvalidSessionId(session_id)

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
        raw = self._raw(session_id, name)
        header = raw[:HEADER_LENGTH]
        if header != expected:
            return False
        if header[41] & SUPERSEDED:
            self._refuse(status.SUPERSEDED, session_id, name, now)
        fields = HEADER.unpack(header)
        env_end = HEADER_LENGTH + fields[5]
        successor = bytes.fromhex(handle(successor_id).decode("ascii"))
        record = pack(
            self._keyring, name, fields[3], _later(now, fields[4]),
            raw[HEADER_LENGTH:env_end], raw[env_end:], fields[7],
            SUPERSEDE.pack(until, successor),
        )  # fmt: skip
        outcome, _ = self._count.supersede(
            name,
            lambda: self._backend.commit(
                self._path(name), name, record, header, now, idle, lifetime,
                self._durability, self._timeout,
            ),
        )  # fmt: skip
        if outcome not in (status.OK, status.CONFLICT):
            self._refuse(outcome, session_id, name, now)
        self._origins.pop(name, None)
        return bool(outcome == status.OK)

    def delete(self, session_id: str, expected: object = None) -> bool:
        """See `SessionStore.delete`."""
        name = handle(session_id)
        self._origins.pop(name, None)
        outcome = self._count.remove(
            name,
            lambda: self._backend.remove(
                self._path(name), name, expected, self._timeout
            ),
        )
        if outcome == status.OK and self._durability == 2:
            sync_directory(self._layout.directory(name))
        return bool(outcome == status.OK)

    def sweep(self, now: float, idle: float, lifetime: float) -> int:
        """See `SessionStore.sweep`. 0 while another process sweeps."""
        return self._sweeper().sweep_all(now, idle, lifetime)

    def _sweeper(self) -> Sweeper:
        from .sweep import Sweeper

        return Sweeper(
            self._layout, self._backend, self._count, *self._sweep_settings,
            self._timeout,
        )  # fmt: skip

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
        self._origins.clear()

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


