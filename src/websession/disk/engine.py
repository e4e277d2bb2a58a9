"""
`DiskEngine`: one file for each record, in a directory that many processes
share. What lies there is described in csrc/FORMAT.md.
"""

from __future__ import annotations

from ..engine import (
    ABSENT,
    COUNTED,
    ERRNO,
    EXISTS,
    LARGE,
    OK,
    DamagedFile,
    Engine,
    ForgedRecord,
    fail,
    loud,
)
from ..exceptions import (
    CorruptData,
    MaxSessionCountExceeded,
    UnsafeStore,
)
from ..ids import handle
from ..record import PAGE
from .backend import choose
from .count import SessionCount
from .private import sync_directory
from .root import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from ..engine import Draft, Limits, Scanned
    from ..options import Durability, StorePath

    Address = tuple[bytes, bytes]  # a handle, and the path of its file
    from .limitsnote import InUse
    from .lock import StripeLock
    from .sweep import Sweeper

__all__ = ["DURABILITIES", "DiskEngine"]

DURABILITIES: tuple[Durability, ...] = ("none", "data", "full")
# A name of a shard may be taken away while it is made, by who made it anew.
_TRIES = 3
# How many limits a process knows to be noted.
_MOST_NOTED = 64


class DiskEngine(Engine):
    """
    Records as files of a directory. Holds no descriptor and no lock between
    calls.

    Args:
        path: the directory; made if it is missing.
        secrets: the application's own, oldest first; empty: the store keeps
            a random one in ``.key``.
        shards: directories to spread a new store over: 16, 256 or 4096.
        allow_network: do not refuse network file systems.
        backend: ``"auto"``, ``"c"`` or ``"python"``; None: what
            ``WEBSESSION_BACKEND`` says.
        durability: what is synced: ``"none"``; ``"data"``: each record;
            ``"full"``: also its name.
        timeout: longest wait for a file's lock, in seconds.
        sweep_interval, sweep_budget: of the automatic sweep, in seconds; see
            `FileStore`.
        existing: make nothing; without a store there, say so. A key that is
            missing is not missed before it is needed.

    Attributes:
        layout: the directory.
        backend: the module that does what is to be done to one file.
        sessions: how many there are, for all that makes or removes one.
        notes_limits: whether the limits of whoever makes sessions are noted
            in the store. False for who copies sessions, and has none.

    Raises:
        UnsafeStore, SessionStoreError, ValueError: as `FileStore`.
    """

    def __init__(
        self,
        path: StorePath,
        *,
        secrets: Sequence[bytes] = (),
        shards: int = 256,
        allow_network: bool = False,
        backend: str | None = None,
        durability: Durability = "none",
        timeout: float = 10.0,
        sweep_interval: float = 60.0,
        sweep_budget: float = 0.005,
        existing: bool = False,
    ) -> None:
        if durability not in DURABILITIES:
            raise ValueError(f"durability is one of {DURABILITIES}")
        self.backend = choose(backend)
        self.layout = Layout(path, secrets, shards, allow_network, existing)
        self.timeout = timeout
        self.sessions = SessionCount(self.layout, timeout)
        self.parts = self.layout.shards
        self._durability = DURABILITIES.index(durability)
        self.quick = not self._durability
        self._sweep_settings = (sweep_interval, sweep_budget)
        self._sweeps: Sweeper | None = None
        self._tends = sweep_interval > 0 and not existing
        # Limits that this process has noted, and until when that will do.
        self._noted: dict[tuple[float, ...], float] = {}
        self.notes_limits = not existing
        self._read, self._write = self.backend.read, self.backend.commit
        self._replace = self.backend.replace
        self._keys: Any = None
        self._pack: Callable[..., bytes] = self._pack_late
        if not existing:
            self._unlock()

    # Where a key that is missing is not missed before.

    def _unlock(self) -> None:
        keyring = self.layout.keyring
        self._pack = keyring.pack
        self._keys = self.backend.keys_of(keyring)

    def _pack_late(self, handle: bytes, *draft: Any) -> bytes:
        self._unlock()
        return self._pack(handle, *draft)

    @property
    def durability(self) -> Durability:
        """``"none"``, ``"data"`` or ``"full"``."""
        return DURABILITIES[self._durability]

    # One record

    def locate(self, session_id: str) -> Address:
        """See `Engine.locate`."""
        name = handle(session_id)
        return name, self.layout.path(name)

    def address(self, handle: bytes) -> Address:
        """See `Engine.address`."""
        return handle, self.layout.path(handle)

    def read(
        self,
        address: Address,
        known: bytes = b"",
        timeout: float | None = None,
    ) -> bytes | None:
        """See `Engine.read`."""
        name, path = address
        if timeout is None:
            timeout = self.timeout
        try:
            if self._keys is None and self._read(path, name, timeout):
                self._unlock()
            raw: bytes | None = self._read(
                path, name, timeout, known, self._keys
            )
        except (DamagedFile, ForgedRecord) as error:
            self._report(address, error)
        if raw is None:
            self.layout.check()
        return raw

    def _report(
        self, address: Address, error: DamagedFile | ForgedRecord
    ) -> NoReturn:
        """Raises what it means for the session that a record is bad."""
        if isinstance(error, DamagedFile):
            self.quarantine(address)
        else:
            self.layout.check()
        raise CorruptData(error.reason) from error

    def create(
        self, address: Address, draft: Draft, limits: Limits, cap: int | None
    ) -> int:
        """See `Engine.create`."""
        name, path = address
        self.layout.check_at_times()
        record = self._pack(name, *draft)
        if self.notes_limits and self._noted.get(limits[1:], 0) < limits[0]:
            self._note(limits)
        self.tend(limits)
        *_, own, _ = draft
        if own and self._tends:
            self.sweeper().expect(limits[0], own)

        def make(counted: bytes) -> int:
            return self._make(name, path, record, counted)

        is_last = not self._tends
        while True:
            try:
                outcome = self.sessions.create(name, cap, make)
                if outcome == EXISTS and self.reap(address):
                    outcome = self.sessions.create(name, cap, make)
                return outcome
            except MaxSessionCountExceeded:
                if is_last:
                    raise
            # Nobody is refused while an expired session has a place; and
            # another process may have found them all meanwhile.
            now, _, lifetime, remove = limits
            is_last = not self.sweeper().make_room(now, remove, lifetime)

    def _make(
        self, name: bytes, path: bytes, record: bytes, counted: bytes
    ) -> int:
        """Makes a session's file, and its shard if need be."""
        durability = self._durability
        outcome: int = ABSENT
        for _ in range(_TRIES):
            outcome = self.backend.create(
                path, name, record, durability, self.timeout, counted
            )
            if outcome != ABSENT:
                break
            self.layout.make_shard(name)
            if durability == 2:
                sync_directory(self.layout.root)
        if outcome == ABSENT:
            fail(ERRNO, 2, name)
        if durability == 2 and outcome != COUNTED:
            sync_directory(self.layout.directory(name))
        return outcome

    def commit(
        self,
        address: Address,
        draft: Draft,
        expected: bytes | None,
        limits: Limits,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """See `Engine.commit`."""
        name, path = address
        if timeout is None:
            timeout = self.timeout
        # Written out: a call with *draft would cost more than all of this.
        created, stored, env, data, number, block, own, user = draft
        record = self._pack(
            name, created, stored, env, data, number, block, own, user
        )
        now, idle, lifetime, _ = limits
        if block:  # a successor: it does not count as a session any more
            outcome, header = self.sessions.supersede(
                name,
                lambda: self._write(
                    path, name, record, expected, now, idle,
                    lifetime, self._durability, timeout,
                ),
            )  # fmt: skip
        else:
            outcome, header = self._write(
                path, name, record, expected, now, idle,
                lifetime, self._durability, timeout,
            )  # fmt: skip
        return outcome, header

    def replace(
        self,
        address: Address,
        known: bytes,
        data: bytes,
        number: int,
        limits: Limits,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """See `Engine.replace`: of what is small, under one lock."""
        name, path = address
        if timeout is None:
            timeout = self.timeout
        if self._keys is None:
            self._unlock()
        now, idle, lifetime, _ = limits
        # Two hashes of what is large would make the lock a long one.
        if len(known) <= PAGE >= len(data):
            try:
                outcome, raw = self._replace(
                    path, name, self._keys, known, data,
                    number, now, idle, lifetime, self._durability, timeout,
                )  # fmt: skip
            except (DamagedFile, ForgedRecord) as error:
                self._report(address, error)
            if outcome != LARGE:
                return outcome, raw
        return super().replace(address, known, data, number, limits, timeout)

    def remove(
        self,
        address: Address,
        expected: bytes | None = None,
        superseded: bool = False,
    ) -> int:
        """See `Engine.remove`."""
        name, path = address
        outcome = self.sessions.remove(
            name,
            lambda counted: self.backend.remove(
                path, name, expected, self.timeout, superseded, counted
            ),
        )  # fmt: skip
        if outcome == ABSENT:
            self.layout.check()
        if outcome == OK and self._durability == 2:
            sync_directory(self.layout.directory(name))
        return outcome

    def inspect(self, address: Address) -> bytes | None:
        """See `Engine.inspect`."""
        name, path = address
        raw: bytes | None = self._read(path, name, self.timeout)
        return raw

    @loud
    def quarantine(self, address: Address) -> None:
        """See `Engine.quarantine`: it goes to ``.damaged/``."""
        from .sweep import set_aside

        name, _ = address
        set_aside(self.layout, self.backend, self.sessions, name, self.timeout)

    def reap(
        self,
        address: Address,
        age: float = 0.0,
        timeout: float | None = None,
    ) -> bool:
        """
        Deletes a file that whoever was to fill it has left empty.

        Args:
            age: for how many seconds, at least.
            timeout: longest wait for whoever has it locked, in seconds; None:
                the engine's.

        Returns:
            False if it is not empty, not so old, or gone.
        """
        from .sweep import reap

        name, path = address
        if timeout is None:
            timeout = self.timeout
        return reap(path, name, age, timeout)

    # All of them

    def _note(self, limits: Limits) -> None:
        """Notes limits where others find them: no matter if that fails."""
        from .limitsnote import NOTED_FOR, TRY_AGAIN, note_limits

        good_for = NOTED_FOR
        try:
            note_limits(self.layout, limits)
        except (OSError, UnsafeStore) as error:
            import logging

            good_for = TRY_AGAIN
            logging.getLogger("websession").debug(
                "the limits cannot be noted: %s", error
            )
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted[limits[1:]] = limits[0] + good_for

    def limits(self, now: float) -> InUse | None:
        """The limits of whoever makes sessions here; None: not known."""
        from .limitsnote import in_use

        return in_use(self.layout, now)

    def tend(self, limits: Limits) -> None:
        """See `Engine.tend`: a slice of the automatic sweep, if it is time."""
        if self._tends:
            now, _, lifetime, remove = limits
            self.sweeper().slice_if_due(now, remove, lifetime)

    def sweep(self, limits: Limits) -> int:
        """See `Engine.sweep`. 0 while another process sweeps."""
        self.layout.check()
        now, _, lifetime, remove = limits
        return self.sweeper().sweep_all(now, remove, lifetime)

    def sweeper(self) -> Sweeper:
        """What sweeps this directory."""
        if self._sweeps is None:
            from .sweep import Sweeper

            self._sweeps = Sweeper(
                self.layout,
                self.backend,
                self.sessions,
                *self._sweep_settings,
                self.timeout,
            )
        return self._sweeps

    def count(self) -> int:
        """See `Engine.count`."""
        self.layout.check()
        return self.sessions.total()

    @loud
    def handles(self, part: int) -> list[bytes]:
        """See `Engine.handles`: a part is a shard."""
        from .ledger import counted_handles

        return counted_handles(self.layout, part)

    def scan(
        self, shard: int, every: int = 1, seen: int = 0
    ) -> Scanned | None:
        """
        What a shard holds; None if there is no such directory yet.

        Args:
            every: read the header of every so manieth session; 0: of none.
            seen: how many sessions of other shards came before.
        """
        prefix = self.layout.prefix(shard)
        found: Scanned | None = self.backend.scan_shard(
            self.layout.join(prefix), prefix, every, seen
        )
        return found

    def lock(self, address: Address, timeout: float, label: str) -> StripeLock:
        """See `Engine.lock`."""
        from .lock import StripeLock

        name, _ = address
        return StripeLock(self.layout, name, timeout, label)

    def check(self) -> None:
        """See `Engine.check`."""
        self.layout.check()
