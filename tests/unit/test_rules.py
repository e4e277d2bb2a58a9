"""
Which record may follow which: `rules.tsv`, on every implementation of it.
"""

from __future__ import annotations

import pytest

from raw_records import NAME, finished, put
from rules import ROWS, rule
from websession import engine
from websession.record import version_of


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
