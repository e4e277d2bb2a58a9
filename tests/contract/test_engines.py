"""Every engine passes the contract; what passes it is an engine."""

from __future__ import annotations

import pytest

from contract.engine import EngineContract, draft
from memory import memory_engine
from raw_records import NAME
from rules import ROWS, rule
from support import file_of
from websession.disk.engine import DiskEngine
from websession.ids import handle
from websession.keyring import Keyring
from websession.record import Parts

FORGER = Keyring([b"the secret of a forger"], bytes(16))


def forged(name):
    return FORGER.pack(handle(name), *draft(b"forged"))


class TestDiskEngine(EngineContract):
    @pytest.fixture
    def engine(self, root, backend):
        return DiskEngine(root, backend=backend, sweep_interval=0)

    @pytest.fixture
    def forge(self, root, engine):
        def forge(name):
            file_of(root, name).unlink()
            path = engine.locate(name).path
            engine.backend.create(path, handle(name), forged(name), 0, 0.0)

        return forge


class TestMemoryEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return memory_engine()

    @pytest.fixture
    def forge(self, engine):
        def forge(name):
            engine._records[handle(name)] = forged(name)

        return forge


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
            parts.supersede, parts.idle,
        ),
        expected,
        limits,
    )  # fmt: skip
    assert found == outcome
