"""
`FileStore`: one file per session, in a directory that many processes share.

What lies on disk is described in csrc/FORMAT.md; how one file is read and
written, by the backends. Here: names, encoding, authentication, and what to do
when a session is not what one hoped for.
"""

from __future__ import annotations

import os
import time

from .. import engine, serializers
from ..disk.backend import choose
from ..disk.count import SessionCount
from ..disk.root import Layout
from ..disk.sessionfile import Tools
from ..engine import loud
from ..exceptions import (
    CorruptData,
    InvalidSessionId,
    SessionRenewed,
    SessionTooLarge,
)
from ..ids import handle
from ..record import (
    HEADER_LENGTH,
    SessionInfo,
    SessionRecord,
    env_at,
    pack_successor,
    successor_of,
    unpack_origin,
    version_of,
)
from .base import KEEP, SessionStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ..disk.lock import StripeLock
    from ..disk.sweep import Sweeper

__all__ = ["FileStore"]

DURABILITIES = ("none", "data", "full")
LARGEST_MAX_SIZE = 32 << 20
_make = tuple.__new__


class FileStore(SessionStore):
    """
    Sessions as files that any number of processes share.

    Safe for concurrent use by threads and processes, before and after a fork.
    No descriptor and no lock is held between calls. The docstrings of
    `SessionStore` say what the methods do.

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
            makes creation and removal durable, so that a log-out stays. Both
            need a file system with a journal or the like.
        max_size: largest serialised data in bytes, default 1 MiB, at most
            32 MiB.
        shards: directories to spread a new store over: 16, 256 (default) or
            4096. An existing store keeps what it was made with.
        sweep_interval: seconds between automatic sweeps, default 60;
            0: none.
        sweep_budget: seconds of processor time that one slice of an automatic
            sweep may take, default 0.005; of real time four times as much.
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

    @loud
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
        self._backend = choose(backend)
        self._layout = Layout(path, _secrets(secret), shards, allow_network)
        self.serializer = serializers.get(serializer)
        self._number = self.serializer.number
        accepted = [self.serializer, *map(serializers.get, also_accept)]
        self._accepted = {each.number: each.loads for each in accepted}
        self._max_size = max_size
        self._count = SessionCount(self._layout, self._backend, lock_timeout)
        self._tools = Tools(
            self._layout,
            self._backend,
            self._count,
            DURABILITIES.index(durability),
            lock_timeout,
        )
        self._sweep_settings = (sweep_interval, sweep_budget, lock_timeout)
        self._sweeps: Sweeper | None = None
        self._file = self._tools.file
        self._recent = self._tools.recent

    def __repr__(self) -> str:
        return f"<FileStore {self.path!r}, {self.backend} backend>"

    @property
    def path(self) -> str:
        """The directory, absolute."""
        return os.fsdecode(self._layout.root)

    @property
    def backend(self) -> str:
        """``"c"`` or ``"python"``."""
        name: str = self._backend.NAME
        return name

    serializer: serializers.Serializer

    @property
    def quick(self) -> bool:  # type: ignore[override]
        """Whether nothing is waited for: files that are not synced."""
        return self._tools.durability == 0

    @property
    def durability(self) -> str:
        """``"none"``, ``"data"`` or ``"full"``."""
        return DURABILITIES[self._tools.durability]

    def draw_id(self, length: int, alphabet: bytes) -> str:
        """A random ID from this store's backend."""
        drawn: str = self._backend.draw_id(length, alphabet)
        return drawn

    # Encoding and decoding

    def _dumps(self, data: object) -> bytes:
        if type(data) is serializers.Encoded:
            payload: bytes = data
        else:
            payload = self.serializer.dumps(data)
        if len(payload) > self._max_size:
            from .sizes import largest

            keys = largest(payload, self.serializer)
            raise SessionTooLarge(len(payload), self._max_size, keys)
        return payload

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
        own_idle: int = 0,
        stored: float | None = None,
    ) -> bool:
        """See `SessionStore.create`."""
        self._layout.check_at_times()
        file = self._file(session_id)
        if created is None:
            created = now
        packed = self.serializer.dumps(dict(env)) if env else b""
        if stored is None:
            stored = now
        record = self._tools.pack(
            file.name, created, stored, packed, self._dumps(data),
            self._number, b"", own_idle,
        )  # fmt: skip
        if self._sweep_settings[0]:
            self._sweeper().slice_if_due(now, idle, lifetime)
        outcome = self._count.create(
            file.name, limit, lambda: file.create(record)
        )
        if outcome == engine.EXISTS and file.reap():
            outcome = self._count.create(
                file.name, limit, lambda: file.create(record)
            )
        if outcome == engine.OK:
            file.seen = b"", (created, packed, own_idle)
        return outcome == engine.OK

    def read(
        self, session_id: str, now: float, timeout: float | None = None
    ) -> SessionRecord:
        """See `SessionStore.read`."""
        file = self._recent.get(session_id) or self._file(session_id)
        raw = file.raw(timeout)
        created, stored, env_len, number, flags, own_idle = unpack_origin(raw)
        at = HEADER_LENGTH
        if flags:
            at = env_at(flags)
            file.check_readable(raw, now)
        if number not in self._accepted:
            raise CorruptData(
                f"session {file.name.decode()} was written by serializer "
                f"{number}, which this store does not accept (also_accept)"
            )
        loads = self._accepted[number]
        env: Any = {}
        try:
            if env_len:
                env = loads(raw[at : at + env_len])
                at += env_len
            payload = raw[at:]
            data = loads(payload)
        except Exception as error:
            raise CorruptData(
                f"session {file.name.decode()} cannot be decoded: {error}"
            ) from error
        version = version_of(raw)
        return _make(
            SessionRecord,
            (
                created,
                stored,
                env,
                data,
                version,
                flags != 0,
                payload,
                own_idle,
            ),
        )

    def commit(
        self,
        session_id: str,
        data: object,
        *,
        now: float,
        idle: float = 0.0,
        lifetime: float = 0.0,
        expected: object = None,
        own_idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        """See `SessionStore.commit`."""
        file = self._recent.get(session_id) or self._file(session_id)
        if data is KEEP:
            return file.touch(expected, now, idle, lifetime)
        return file.store(
            self._dumps(data), self._number, expected, now, idle, lifetime,
            own_idle, timeout,
        )  # fmt: skip

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
        readable: bool = False,
    ) -> object:
        """See `SessionStore.supersede`."""
        file = self._file(session_id)
        old = file.current(now)
        header = version_of(old)
        if header != expected:
            return None
        block = pack_successor(until, handle(successor_id))
        record = file.copy(old, now, block, readable)
        outcome, written = self._count.supersede(
            file.name,
            lambda: file.commit(record, header, now, idle, lifetime),
        )
        if outcome not in (engine.OK, engine.CONFLICT):
            file.refuse(outcome, now)
        file.forget()
        return written if outcome == engine.OK else None

    def leads_to(self, session_id: str, successor_id: str) -> bool:
        """See `SessionStore.leads_to`."""
        try:
            raw = self._file(session_id).raw()
        except InvalidSessionId:
            return False
        return successor_of(raw)[1] == handle(successor_id)

    @loud
    def delete(self, session_id: str, expected: object = None) -> bool:
        """See `SessionStore.delete`."""
        return self._file(session_id).remove(expected)

    @loud
    def sweep(self, now: float, idle: float, lifetime: float) -> int:
        """See `SessionStore.sweep`. 0 while another process sweeps."""
        self._layout.check()
        return self._sweeper().sweep_all(now, idle, lifetime)

    def _sweeper(self) -> Sweeper:
        if self._sweeps is None:
            from ..disk.sweep import Sweeper

            self._sweeps = Sweeper(
                self._layout,
                self._backend,
                self._count,
                *self._sweep_settings,
            )
        return self._sweeps

    @loud
    def count(self) -> int:
        """See `SessionStore.count`."""
        self._layout.check()
        return self._count.total()

    @loud
    def entries(self) -> Iterator[SessionInfo]:
        """See `SessionStore.entries`. Needs no secret; skips damaged files."""
        from ..disk.listing import entries

        self._layout.check()
        return entries(self._layout, self._backend, self._tools.timeout)

    @loud
    def lock(
        self, session_id: str, timeout: float, label: str = ""
    ) -> StripeLock:
        """See `SessionStore.lock`."""
        from ..disk.lock import StripeLock

        return StripeLock(self._layout, handle(session_id), timeout, label)

    def close(self) -> None:
        """Forgets what was remembered; no descriptor or lock is ever held."""
        self._tools.forget()

    # What clients of the original read: `sessiondict[id]` and the like

    def __getitem__(self, session_id: str) -> tuple[float, object]:
        record = self.read(session_id, time.time())
        return record.stored, record.data

    def __contains__(self, session_id: object) -> bool:
        if not isinstance(session_id, str):
            return False
        try:
            self.read(session_id, time.time())
        except (CorruptData, SessionRenewed):
            return True
        except InvalidSessionId:
            return False
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
