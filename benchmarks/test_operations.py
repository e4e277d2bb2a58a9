"""
One operation of one process, by each contestant, over the floor.

    python -m pytest benchmarks/test_operations.py
"""

from __future__ import annotations

import gc
import random
from functools import cache
from itertools import product

import pytest

from conftest import scaled
from contestants import CONTESTANTS
from floor import Floor

FIRST_LOOKS = ("retrieve", "store", "cycle")
OPERATIONS = ("new", "retrieve", "store", "update", "cycle", "delete")
SESSIONS = {250: 10_000, 4096: 10_000, 65536: 1_000}
# The sessions that a worker sees again and again.
CHOSEN = 100


def data_of(size):
    """What pickles to about that many bytes."""
    return {"user": "ann", "roles": ["reader"], "text": "x" * (size - 55)}


@pytest.fixture(scope="module")
def floors(floor_library, place):
    """The floor for each size, made when it is needed."""

    @cache
    def make(size, chosen):
        count = scaled(SESSIONS[size], CHOSEN)
        where = place / f"floor-{size}-{chosen}"
        return Floor(floor_library, where, count, size, chosen)

    return make


@pytest.fixture(
    scope="module",
    params=product(SESSIONS, CONTESTANTS),
    ids=lambda pair: f"{pair[0]}B-{pair[1].name}",
)
def contestant(request, place):
    size, kind = request.param
    missing = kind.missing()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    contestant = kind(place / f"{kind.__name__}-{size}")
    contestant.size = size
    keys = contestant.fill(scaled(SESSIONS[size], CHOSEN), data_of(size))
    contestant.keys = keys[:: len(keys) // CHOSEN][:CHOSEN]
    random.Random(1).shuffle(keys)
    contestant.all_keys = keys
    yield contestant
    contestant.close()


@pytest.mark.parametrize("operation", FIRST_LOOKS)
def test_first_look(measure, floors, contestant, operation):
    """Of a session that the process has not seen among its last thousand."""
    if operation not in contestant.operations:
        pytest.skip(f"{contestant.name} has no {operation} of its own")
    size, keys = contestant.size, contestant.all_keys
    data = data_of(size)
    at = 0

    def call(times):
        nonlocal at
        if at + times > len(keys):
            at = 0
        at += times
        asked = keys[at - times : at]
        return contestant.timed(operation, asked, data, times)[0]

    gc.collect()
    measure(
        f"{operation}, first look, {size} bytes",
        contestant.name,
        call,
        getattr(floors(size, len(keys)), operation),
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation(measure, floors, contestant, operation):
    if operation not in contestant.operations:
        pytest.skip(f"{contestant.name} has no {operation} of its own")
    size = contestant.size
    data = data_of(size)
    made = []

    def call(times):
        if operation == "delete":
            keys = contestant.fill(times, data)
            return contestant.timed(operation, keys, data, times)[0]
        while made:
            contestant.timed("delete", made, None, len(made))
            made.clear()
        seconds, new = contestant.timed(
            operation, contestant.keys, data, times
        )
        made.extend(new)
        return seconds

    gc.collect()
    measure(
        f"{operation}, {size} bytes",
        contestant.name,
        call,
        getattr(floors(size, CHOSEN), operation),
    )
