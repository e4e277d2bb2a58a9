"""
Several processes: requests per second on sessions of their own, and on
sessions that change from one to another; and increments of one session, of
which none may be lost.

    python -m pytest benchmarks/test_processes.py
"""

from __future__ import annotations

import json
import os
import random
import time
import traceback

import pytest

from conftest import SCALE
from contestants import CONTESTANTS
from floor import Floor
from test_operations import data_of

PROCESSES = (1, 2, 4, 8)
SECONDS = max(0.1, 1.0 * SCALE)
SESSIONS = 64  # of each process
SIZE = 250
# Those that several processes share and that open again after a fork.
SHARED = [
    kind for kind in CONTESTANTS if kind.shared and kind.name != "PHP files"
]


@pytest.fixture(params=SHARED, ids=lambda kind: kind.name)
def kind(request):
    missing = request.param.missing()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    return request.param


def in_processes(count, work):
    """work(number, start) in as many processes; what they return, as JSON."""
    children = []
    start = time.time() + 0.05
    for number in range(count):
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                result = json.dumps(work(number, start))
                os.write(write_end, result.encode())
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(write_end)
        children.append((pid, read_end))
    found = []
    for pid, read_end in children:
        with os.fdopen(read_end) as pipe:
            found.append(pipe.read())
        os.waitpid(pid, 0)
    return [json.loads(each) for each in found]


def repeat(start, call):
    """Calls until the time is over; how often, and the slow ones in µs."""
    while time.time() < start:
        pass
    end = time.perf_counter() + SECONDS
    costs, before = [], time.perf_counter()
    while before < end:
        call(len(costs))
        now = time.perf_counter()
        costs.append(now - before)
        before = now
    costs.sort()
    return len(costs), [
        costs[int(len(costs) * part)] * 1e6 for part in (0.5, 0.99)
    ]


def shared(kind, where, count, data):
    """
    A store with so many sessions for several processes: the keys, a function
    that opens it in one of them, and one that ends it.
    """
    maker = kind(where)
    keys = maker.fill(count, data)
    if hasattr(maker, "join"):  # a server, which lives as long as its maker
        return keys, maker.join, maker.close
    maker.close()
    return keys, lambda: kind(where), lambda: None


def summary(results, **more):
    return {
        "per second": int(sum(count for count, _ in results) / SECONDS),
        "p50, µs": max(quantiles[0] for _, quantiles in results),
        "p99, µs": max(quantiles[1] for _, quantiles in results),
        **more,
    }


@pytest.mark.parametrize("processes", PROCESSES)
def test_sessions_of_their_own(note, place, kind, processes):
    serve(
        note, place / f"own-{kind.__name__}-{processes}", kind, processes,
        "requests of sessions of their own",
        lambda keys, number: keys[number::processes],
    )  # fmt: skip


@pytest.mark.parametrize("processes", PROCESSES[1:])
def test_changing_workers(note, place, kind, processes):
    """Whoever has a moment serves the next request of a session."""

    def in_any_order(keys, number):
        random.Random(number).shuffle(keys)
        return keys

    serve(
        note, place / f"any-{kind.__name__}-{processes}", kind, processes,
        "requests of sessions served by changing workers", in_any_order,
    )  # fmt: skip


def serve(note, where, kind, processes, what, served):
    """served(keys, number): those that a process serves, in their order."""
    keys, join, end = shared(kind, where, SESSIONS * processes, data_of(SIZE))

    def work(number, start):
        contestant = join()
        mine = served(keys, number)

        def request(count):
            key = mine[count % len(mine)]
            contestant.store(key, contestant.retrieve(key))

        return repeat(start, request)

    note(
        f"{what}, processes: {processes}",
        kind.name,
        lambda: summary(in_processes(processes, work)),
    )
    end()


@pytest.mark.parametrize("processes", PROCESSES)
def test_floor_of_their_own(note, floor_library, place, processes):
    floors = [
        Floor(
            floor_library,
            place / f"own-floor-{processes}-{number}",
            SESSIONS,
            SIZE,
            SESSIONS,
        )
        for number in range(processes)
    ]

    def work(number, start):
        return repeat(start, lambda count: floors[number].cycle(1))

    note(
        f"requests of sessions of their own, processes: {processes}",
        "system calls alone, from Python",
        lambda: summary(in_processes(processes, work)),
    )


def increment(data):
    return {**data, "n": data.get("n", 0) + 1}


@pytest.mark.parametrize("processes", PROCESSES)
def test_one_session(note, place, kind, processes):
    where = place / f"one-{kind.__name__}-{processes}"
    (key,), join, end = shared(kind, where, 1, data_of(SIZE))

    def work(number, start):
        contestant = join()
        failed = 0

        def request(count):
            nonlocal failed
            try:
                contestant.update(key, increment)
            except Exception:
                failed += 1  # of those that others got in the way of

        count, quantiles = repeat(start, request)
        return count - failed, quantiles

    def run():
        results = in_processes(processes, work)
        done = sum(count for count, _ in results)
        reader = join()
        kept = reader.retrieve(key)["n"]
        reader.close()
        return summary(results, **{"lost, %": 100 * (done - kept) / done})

    note(f"increments of one session, processes: {processes}", kind.name, run)
    end()
