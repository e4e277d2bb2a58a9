"""
How cost grows with the number of sessions: of a thousand that are spread over
all of them, and of many in turn, so that none is remembered.

    WEBSESSION_BENCH_LARGE=1 python -m pytest benchmarks/test_scale.py

with the variable for a million sessions, which take 4 GiB and some minutes.
"""

from __future__ import annotations

import os
import random

import pytest

from conftest import scaled
from contestants.databases import Lmdb, Sqlite
from contestants.files import RenamedFiles
from contestants.ours import NativeFiles, PythonFiles
from floor import Floor
from test_operations import data_of

SIZE = 250
NUMBERS = [1_000, 10_000, 100_000]
if os.environ.get("WEBSESSION_BENCH_LARGE"):
    NUMBERS.append(1_000_000)
# Everywhere in the tree.
CHOSEN = 1_000
# More than any process remembers.
IN_TURN = 5_000
KINDS = [NativeFiles, PythonFiles, Lmdb, Sqlite, RenamedFiles]


@pytest.fixture(
    scope="module",
    params=sorted({scaled(number, CHOSEN) for number in NUMBERS}),
    ids="{:_}".format,
)
def number(request):
    return request.param


@pytest.fixture(scope="module")
def floor(floor_library, place, number):
    return Floor(
        floor_library, place / f"floor-of-{number}", number, SIZE, CHOSEN
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_growth(request, measure, floor, place, number, kind):
    missing = kind.missing()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    data = data_of(SIZE)
    contestant = kind(place / f"{kind.__name__}-of-{number}")
    request.addfinalizer(contestant.close)
    keys = contestant.fill(number, data)
    keys = random.Random(1).sample(keys, CHOSEN)
    for _ in range(2):
        contestant.timed("store", keys, data, CHOSEN)

    def call(times):
        begin = random.randrange(CHOSEN - times)
        return contestant.timed(
            "retrieve", keys[begin : begin + times], data, times
        )

    measure(
        f"retrieve among {number:,} sessions",
        contestant.name,
        lambda times: call(times)[0],
        floor.retrieve,
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_in_turn(request, measure, floor_library, place, kind):
    missing = kind.missing()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    number = scaled(IN_TURN)
    data = data_of(SIZE)
    contestant = kind(place / f"{kind.__name__}-in-turn")
    request.addfinalizer(contestant.close)
    keys = contestant.fill(number, data)
    for _ in range(2):
        contestant.timed("store", keys, data, number)
    at = 0

    def call(times):
        nonlocal at
        chosen = (keys[at:] + keys[:at])[:times]
        at = (at + times) % number
        return contestant.timed("retrieve", chosen, data, times)[0]

    floor = Floor(
        floor_library,
        place / f"floor-in-turn-{kind.__name__}",
        number,
        SIZE,
        number,
    )
    measure(
        f"retrieve of {number:,} sessions in turn",
        contestant.name,
        call,
        floor.retrieve,
    )
