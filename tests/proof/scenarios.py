"""
The operations that are interrupted: what is there before, what is done, and
which states of each session may be found afterwards.
"""

from __future__ import annotations

import os
import pickle
import shutil
from contextlib import suppress
from datetime import datetime

# Not inside an operation:
import filelock  # noqa: F401

from clocks import Clock
from support import at
from websession import (
    CorruptData,
    FileStore,
    InvalidSessionId,
    WebSession,
)
from websession.cli import main, migrate  # noqa: F401
from websession.disk import backend as backends
from websession.disk import (  # noqa: F401
    ledger,
    lock,
    sweep,
    sweepnote,
)
from websession.disk.plain import operations  # noqa: F401
from websession.disk.plain import sweep as plain_sweep  # noqa: F401
from websession.ids import handle
from websession.legacy import CherryPyFiles, MovingSession
from websession.stores import succession  # noqa: F401

__all__ = ["GONE", "SCENARIOS", "Scenario"]

GONE = "<gone>"
IDLE, SHARDS = 3600, 16
LARGE = "large" * 3000
KEPT = {"keptKeptKept": "kept", "alsoAlsoAlso": LARGE}
OLD = "sessionOfOld"
NEW = "sessionOfNew"


class Fixed(WebSession):
    """Draws IDs that are known beforehand."""

    drawn = NEW

    def _generateSessionID(self, maxtry=1):
        return self.drawn


class Scenario:
    """
    An operation.

    Attributes:
        limit: whether the store counts its sessions.
        before: what the session `OLD` holds at first; None: there is none.
        after: for each ID the states that are allowed when the operation was
            interrupted; the last one is that of an operation that went well.
    """

    limit: int | None = None
    before: object = "old"
    after: dict[str, tuple[object, ...]] = {}

    def open(self, root, backend, now=0.0):
        # As few directories as can be: a sweep looks into each.
        store = FileStore(
            root, backend=backend, sweep_interval=0, shards=SHARDS
        )
        clock = Clock(1_800_000_000.0 + now)
        return Fixed(store, 0, IDLE, (), self.limit, clock=clock)

    def prepare(self, root, backend):
        """Makes the store."""
        ws = self.open(root, backend)
        for session_id, data in KEPT.items():
            self.make(ws, session_id, data)
        if self.before is not None:
            self.make(ws, OLD, self.before)

    @staticmethod
    def make(ws, session_id, data):
        ws.drawn = session_id
        ws.newSession()
        ws.storeSession(session_id, data)
        ws.drawn = NEW

    def ready(self, root, backend):
        """The operation, as a function that does it and nothing else."""
        ws = self.open(root, backend)
        return lambda: self.perform(ws)

    def copies(self, directory, backend):
        """
        A function that makes a store, prepared and to be broken, with the name
        that it is given; it returns the store's path and the operation on it.
        """
        template = directory / "template"
        self.prepare(template, backend)

        def fresh(name):
            root = directory / name
            if template.exists():
                shutil.copytree(template, root, symlinks=True)
            return root, self.ready(root, backend)

        return fresh

    def perform(self, ws):
        raise NotImplementedError

    def check(self, root, backend, went_well):
        """What must hold whatever happened."""
        ws = self.open(root, backend)
        found = {each: state_of(ws, each) for each in (*KEPT, *self.after)}
        for session_id, data in KEPT.items():
            assert found[session_id] == data, session_id
        for session_id, allowed in self.after.items():
            states = allowed[-1:] if went_well else allowed
            assert found[session_id] in states, (session_id, found)
        self.check_more(found)
        there = {each for each in found if found[each] != GONE}
        self.repair(ws)
        # The count is right, and what is there works on.
        assert ws.countSessions() == self.counted(there)
        for session_id in there:
            with suppress(InvalidSessionId):  # one that has been renewed
                ws.storeSession(session_id, "works")
                assert ws.retrieveSession(session_id) == "works"
        ws.drawn = "oneMoreOfThem"[:12]
        assert ws.retrieveSession(ws.newSession()) == "_created_"
        assert ws.countSessions() == self.counted(there) + 1

    def repair(self, ws):
        """What has to happen first; mostly nothing."""

    def counted(self, there):
        return len(there)

    def check_more(self, found):
        """What else must hold of the states that were found."""


def file_of(root, session_id):
    name = handle(session_id).decode()
    return root / name[0] / name[1:]


def state_of(ws, session_id):
    try:
        return ws.retrieveSession(session_id)
    except InvalidSessionId:
        return GONE


class Create(Scenario):
    before = None
    after = {NEW: (GONE, "new")}

    def perform(self, ws):
        ws.newSession(data="new")


class CreateCounted(Create):
    limit = 50


class UseALimit(CreateCounted):
    """For the first time, over sessions that were made without one."""

    before = "old"
    after = {OLD: ("old",), NEW: (GONE, "new")}

    def prepare(self, root, backend):
        self.limit = None
        super().prepare(root, backend)
        self.limit = 50


class CreateInANewStore(Scenario):
    """With the first opening of a store: its key, its marker, a shard."""

    before = None
    after = {NEW: (GONE, "new")}

    def prepare(self, root, backend):
        pass

    def ready(self, root, backend):
        return lambda: self.open(root, backend).newSession(data="new")

    def check(self, root, backend, went_well):
        ws = self.open(root, backend)
        found = state_of(ws, NEW)
        assert found == "new" if went_well else found in (GONE, "new")
        ws.drawn = "oneMoreOfThem"[:12]
        assert ws.retrieveSession(ws.newSession()) == "_created_"


class RepairTheCount(Scenario):
    """An operation that a crash left announced is settled by the next."""

    limit = 50
    before = None
    after = {NEW: (GONE, "new")}

    def prepare(self, root, backend):
        super().prepare(root, backend)
        ws = self.open(root, backend)

        def crash(counted):
            raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            ws._store.engine.sessions.create(handle("neverNeverId"), 50, crash)

    def perform(self, ws):
        ws.newSession(data="new")


class Store(Scenario):
    after = {OLD: ("old", "new")}

    def perform(self, ws):
        ws.storeSession(OLD, "new")


class StoreWhatIsLarger(Scenario):
    after = {OLD: ("old", LARGE)}

    def perform(self, ws):
        ws.storeSession(OLD, LARGE)


class Retrieve(Scenario):
    after = {OLD: ("old",)}

    def perform(self, ws):
        assert ws.retrieveSession(OLD) == "old"


class RetrieveWhatIsLarge(Scenario):
    before = LARGE
    after = {OLD: (LARGE,)}

    def perform(self, ws):
        assert ws.retrieveSession(OLD) == LARGE


class Update(Scenario):
    after = {OLD: ("old", "older")}

    def perform(self, ws):
        ws.updateSession(OLD, lambda data: data + "er")


class Touch(Scenario):
    after = {OLD: ("old",)}

    def perform(self, ws):
        ws.touchSession(OLD)


class Delete(Scenario):
    after = {OLD: ("old", GONE)}

    def perform(self, ws):
        ws.deleteSession(OLD)


class DeleteCounted(Delete):
    limit = 50


class Regenerate(Scenario):
    grace = 0
    readable = False
    after = {OLD: ("old", GONE), NEW: (GONE, "old")}

    def perform(self, ws):
        ws.regenerateSession(OLD, grace=self.grace, readable=self.readable)

    def check_more(self, found):
        assert set(found.values()) & {"old"}, "lost in between"

    def repair(self, ws):
        # A session that was marked and not yet superseded counts again.
        ws.cleanUp()


class RegenerateWithGrace(Regenerate):
    grace = 30


class RegenerateReadable(RegenerateWithGrace):
    readable = True
    after = {OLD: ("old",), NEW: (GONE, "old")}

    def repair(self, ws):
        super().repair(ws)
        self.superseded = ws.readSession(OLD).superseded

    def counted(self, there):
        return len(there) - self.superseded


class RegenerateCounted(Regenerate):
    limit = 50


class RegenerateCountedWithGrace(RegenerateReadable):
    limit = 50


class DeleteRenewed(Scenario):
    """A log-out with an ID of before the last two."""

    after = {OLD: (GONE,), NEW: (GONE,), "sessionNewer": ("old", GONE)}

    def prepare(self, root, backend):
        super().prepare(root, backend)
        ws = self.open(root, backend)
        ws.regenerateSession(OLD, grace=30)
        ws.drawn = "sessionNewer"
        ws.regenerateSession(NEW, grace=30)

    def perform(self, ws):
        ws.deleteSession(OLD)


class DeleteRenewedCounted(DeleteRenewed):
    limit = 50


class Sweep(Scenario):
    """Three expired, one whose grace is over, the rest alive."""

    after = {OLD: ("old",)}
    expired = ("expiredOne11", "expiredTwo22", "expiredThr33")

    def prepare(self, root, backend):
        super().prepare(root, backend)
        past = self.open(root, backend, now=-2 * IDLE)
        for session_id in self.expired:
            self.make(past, session_id, "expired")
        ws = self.open(root, backend)
        self.make(ws, "renewedRenew", "renewed")
        ws.drawn = "successorSuc"
        ws.regenerateSession("renewedRenew", grace=1e-9)
        ws.deleteSession("successorSuc")

    def perform(self, ws):
        ws._clock.move(1)
        ws.cleanUp()

    def check(self, root, backend, went_well):
        ws = self.open(root, backend, now=1)
        left = [each for each in self.expired if file_of(root, each).exists()]
        assert not (went_well and left)
        ws.cleanUp()
        assert all(state_of(ws, each) == GONE for each in self.expired)
        super().check(root, backend, went_well)


class SweepCounted(Sweep):
    limit = 50


class SetAside(Scenario):
    """A damaged file is moved, when it is met."""

    after = {OLD: (GONE,)}

    def prepare(self, root, backend):
        super().prepare(root, backend)
        file_of(root, OLD).write_bytes(b"damaged" * 100)

    def perform(self, ws):
        with suppress(CorruptData):
            ws.retrieveSession(OLD)

    def check(self, root, backend, went_well):
        damaged = root / ".damaged"
        kept = [file_of(root, OLD)]
        if damaged.exists():
            kept += damaged.iterdir()
        kept = [path for path in kept if path.exists()]
        assert [path.read_bytes() for path in kept] == [b"damaged" * 100]
        with suppress(CorruptData, InvalidSessionId):
            self.open(root, backend).retrieveSession(OLD)
        super().check(root, backend, went_well)


class LockSession(Scenario):
    after = {OLD: ("old", "new")}

    def perform(self, ws):
        with ws.lockSession(OLD, timeout=1):
            ws.storeSession(OLD, "new")

    def check(self, root, backend, went_well):
        with self.open(root, backend).lockSession(OLD, timeout=1):
            pass
        super().check(root, backend, went_well)


class FixedMoving(Fixed, MovingSession):
    """Fetches sessions of another store."""


class Move(Scenario):
    """From CherryPy's files, which lie in the store here."""

    moved = "0123456789" * 4
    before = None
    after = {moved: ("old",)}

    def source(self, root):
        return CherryPyFiles(root / "old")

    def open(self, root, backend, now=0.0):
        ws = super().open(root, backend, now)
        return FixedMoving(
            ws.sessiondict, 0, IDLE, (), self.limit, clock=ws._clock,
            sources=[self.source(root)],
        )  # fmt: skip

    def prepare(self, root, backend):
        WebSession(FileStore(root, backend=backend, shards=SHARDS))
        (root / "old").mkdir(mode=0o700)
        super().prepare(root, backend)
        path = root / "old" / f"session-{self.moved}"
        path.write_bytes(pickle.dumps(("old", datetime(9999, 1, 1))))
        path.chmod(0o600)
        os.utime(path, (1.8e9, 1.8e9))

    def perform(self, ws):
        assert ws.retrieveSession(self.moved) == "old"

    def check(self, root, backend, went_well):
        source, store = self.source(root), self.open(root, backend)._store
        here = self.moved in store
        assert here or source.find(self.moved).data == "old"
        assert not went_well or (here and source.find(self.moved) is None)
        super().check(root, backend, went_well)
        # What a crash left there goes with the session.
        self.open(root, backend).deleteSession(self.moved)
        assert source.find(self.moved) is None


class MoveCounted(Move):
    limit = 50


class MoveWhatWasCopied(Move):
    """A crash came before the removal, and the application after it."""

    after = {Move.moved: ("new",)}

    def prepare(self, root, backend):
        super().prepare(root, backend)
        path = root / "old" / f"session-{self.moved}"
        raw = path.read_bytes()
        self.open(root, backend).move(self.moved)
        path.write_bytes(raw)
        path.chmod(0o600)
        os.utime(path, (1.7e9, 1.7e9))
        self.open(root, backend)._store.commit(self.moved, "new", at(1.8e9))

    def perform(self, ws):
        assert not ws.move(self.moved)

    def check(self, root, backend, went_well):
        there = self.source(root).find(self.moved)
        assert there is None or not went_well
        Scenario.check(self, root, backend, went_well)


class Migrate(Move):
    """The same for all sessions, by command."""

    def ready(self, root, backend):
        def perform():
            backends.default = backends.choose(backend)
            words = ["--from", "cherrypy", "--unsafe-pickle", "--move"]
            main(["migrate", str(root / "old"), str(root), *words])

        return perform


SCENARIOS = [
    Create, CreateCounted, UseALimit, CreateInANewStore, RepairTheCount, Store,
    StoreWhatIsLarger, Retrieve, RetrieveWhatIsLarge, Update, Touch, Delete,
    DeleteCounted, DeleteRenewed, DeleteRenewedCounted, Regenerate,
    RegenerateWithGrace, RegenerateReadable, RegenerateCounted,
    RegenerateCountedWithGrace, Sweep, SweepCounted, SetAside, LockSession,
    Move, MoveCounted, MoveWhatWasCopied, Migrate,
]  # fmt: skip
