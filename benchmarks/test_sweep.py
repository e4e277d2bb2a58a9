"""
A sweep over sessions that live, and over some that have expired.

    python -m pytest benchmarks/test_sweep.py
"""

from __future__ import annotations

import os
import time

import pytest

from conftest import scaled
from contestants.files import Cachelib, Django
from contestants.ours import NativeFiles, PythonFiles
from floor import Floor
from test_operations import data_of

LIVE = 100_000
EXPIRED = 20_000
ROUNDS = 5
DATA = data_of(250)
KINDS = [NativeFiles, PythonFiles, Cachelib, Django]


class Scan:
    """os.scandir and stat, what a sweep in Python cannot do without."""

    name = "os.scandir and stat, from Python"

    def __init__(self, root):
        self.root = root

    def sweep(self):
        for shard in os.scandir(self.root):
            if not shard.is_dir():
                continue
            for entry in os.scandir(shard):
                entry.stat(follow_symlinks=False)


@pytest.fixture(scope="module")
def floor(floor_library, place):
    return Floor(floor_library, place / "sweep-floor", scaled(LIVE), 250, 1)


def timed(func):
    started = time.perf_counter()
    func()
    return time.perf_counter() - started


def over_floor(floor, sweep, rounds=ROUNDS):
    """The best of some sweeps over the best of as many floors."""
    floors, sweeps = [], []
    for _ in range(rounds):
        floors.append(floor.sweep())
        sweeps.append(timed(sweep))
    best = min(sweeps)
    return {"best": best / min(floors), "ms": best * 1e3}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_live(request, note, floor, place, kind):
    missing = kind.missing()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    contestant = kind(place / f"sweep-{kind.__name__}")
    request.addfinalizer(contestant.close)
    contestant.fill(scaled(LIVE), DATA)
    rounds = ROUNDS if kind in (NativeFiles, PythonFiles) else 1
    note(
        f"sweep of {scaled(LIVE):,} live sessions",
        contestant.name,
        lambda: over_floor(floor, contestant.sweep, rounds),
    )


def test_scan(note, floor):
    note(
        f"sweep of {scaled(LIVE):,} live sessions",
        Scan.name,
        lambda: over_floor(floor, Scan(floor.root).sweep),
    )


@pytest.mark.parametrize("kind", [NativeFiles, PythonFiles])
def test_some_expired(note, place, kind):
    """What it takes to remove them: over as many bare unlinks."""
    root = place / f"expired-{kind.__name__}"
    contestant = kind(root)
    contestant.fill_in_the_past(scaled(EXPIRED), DATA, 90_000)
    contestant.fill(scaled(EXPIRED), DATA)

    def run():
        seconds = timed(contestant.sweep)
        return {"removed": scaled(EXPIRED), "ms": seconds * 1e3}

    note(
        f"sweep of {scaled(EXPIRED):,} live and as many expired",
        contestant.name,
        run,
    )
    assert contestant.sessions.countSessions() == scaled(EXPIRED)
