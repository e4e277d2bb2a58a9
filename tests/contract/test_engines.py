"""Every engine passes the contract; what passes it is an engine."""

from __future__ import annotations

import pytest

from contract.engine import UNLIMITED, EngineContract, draft
from contract.store import FaultContract
from memory import memory_engine
from raw_records import NAME
from rules import ROWS, rule
from support import file_of
from websession import SessionBusy
from websession.disk.engine import DiskEngine
from websession.engine import OK
from websession.ids import handle
from websession.keyring import Keyring
from websession.record import Parts
from wrapping import WrappingEngine

FORGER = Keyring([b"the secret of a forger"], bytes(16))


def forged(name):
    return FORGER.pack(handle(name), *draft(b"forged"))


class TestDiskEngine(EngineContract, FaultContract):
    @pytest.fixture
    def engine(self, root, backend):
        return DiskEngine(root, backend=backend, sweep_interval=0)

    @pytest.fixture
    def forge(self, root, engine):
        def forge(name):
            file_of(root, name).unlink()
            _, path = engine.locate(name)
            engine.backend.create(path, handle(name), forged(name), 0, 0.0)

        return forge


class TestMemoryEngine(EngineContract, FaultContract):
    @pytest.fixture
    def engine(self):
        return memory_engine()

    @pytest.fixture
    def forge(self, engine):
        def forge(name):
            engine._records[handle(name)] = forged(name)

        return forge


class TestWrappedDiskEngine(TestDiskEngine):
    @pytest.fixture
    def engine(self, root, backend):
        return WrappingEngine(
            DiskEngine(root, backend=backend, sweep_interval=0)
        )


class TestWrappedMemoryEngine(TestMemoryEngine):
    @pytest.fixture
    def engine(self):
        return WrappingEngine(memory_engine())


def test_what_is_planned_happens_at_that_call_and_on_that_side(any_engine):
    engine, happened = WrappingEngine(any_engine), []
    address = engine.locate("here")
    fault = SessionBusy("planned")
    engine.before("create", fault)
    engine.after("create", lambda: happened.append("created"))
    engine.after("remove", fault, 2)
    engine.before("read", lambda: happened.append("read"), None)
    with pytest.raises(SessionBusy):
        engine.create(address, draft(), UNLIMITED, None)
    assert engine.read(address) is None
    assert engine.create(address, draft(), UNLIMITED, None) == OK
    assert engine.remove(address) == OK
    assert engine.create(address, draft(), UNLIMITED, None) == OK
    with pytest.raises(SessionBusy):
        engine.remove(address)
    assert engine.read(address) is None
    assert happened == ["read", "created", "read"]
    assert [each.name for each in engine.trace] == [
        "locate", "create", "read", "create", "remove", "create", "remove",
        "read",
    ]  # fmt: skip
    assert engine.outcomes("create") == [fault, OK, OK]
    assert engine.outcomes("remove") == [OK, fault]
    with pytest.raises(AssertionError):
        engine.before("red", fault)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_who_may_follow_whom_in_memory(row):
    engine = memory_engine()
    live, new, expected, limits, outcome = rule(row)
    engine._records[NAME] = live
    parts = Parts(new)
    found, _ = engine.commit(
        NAME,
        (
            parts.created, parts.stored, parts.env, parts.data, parts.number,
            parts.supersede, parts.idle, parts.user,
        ),
        expected,
        limits,
    )  # fmt: skip
    assert found == outcome
