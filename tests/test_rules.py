"""
Which record may follow which: `rules.tsv`, on every implementation of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from test_record import CREATED, KEYRING, NAME, backend_module, finished, put
from websession import engine
from websession.record import pack_successor, version_of

__all__ = ["backend_module"]

LINES = Path(__file__).with_name("rules.tsv").read_text().splitlines()
ROWS = [line.split("\t") for line in LINES if not line.startswith("#")][1:]


class Rule(NamedTuple):
    """A row of the table, with records instead of words."""

    live: bytes
    record: bytes
    expected: bytes | None
    limits: tuple[float, float, float]
    outcome: int


def record(text, data, sequence):
    created, stored, idle, env, *superseded = text.split()
    block = b""
    if superseded:
        block = pack_successor(CREATED + 100, NAME)
    raw = KEYRING.pack(
        NAME, CREATED + float(created), CREATED + float(stored),
        env.encode() if env != "-" else b"", data, 2, block, int(idle),
    )  # fmt: skip
    return finished(raw, sequence)


def rule(row):
    _, live, new, expected, now, idle, lifetime, outcome = row
    found = record(live, b"live", 7)
    known = {
        "-": None,
        "live": version_of(found),
        "other": version_of(record(live, b"live", 6)),
    }
    return Rule(
        found,
        record(new, b"new", 0),
        known[expected],
        (CREATED + float(now), float(idle), float(lifetime)),
        getattr(engine, outcome),
    )


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_may_this_record_follow_that_one(row, backend_module, tmp_path):
    live, new, expected, limits, outcome = rule(row)
    where = put(tmp_path / "session", live)
    found, header = backend_module.commit(
        where, NAME, new, expected, *limits, 0, 0.0
    )
    assert found == outcome
    there = backend_module.read(where, NAME, 0.0)
    assert header == version_of(there)
    assert there == (finished(new, 8) if outcome == engine.OK else live)


def test_every_outcome_has_a_row():
    outcomes = {row[-1] for row in ROWS}
    assert outcomes == {"OK", "CONFLICT", "EXPIRED", "SUPERSEDED"}
    assert len(ROWS) > 30
