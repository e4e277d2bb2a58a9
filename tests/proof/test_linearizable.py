"""
What processes see of a session that all of them change has an explanation in
which one thing happens after the other: reads without a lock included.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time

import pytest

from effort import effort
from histories import ABSENT, Done, linearizable
from machine import NO_EXTENSION
from support import in_processes
from websession import FileStore, GenerateIDError, InvalidSessionId, WebSession

pytestmark = [pytest.mark.proof, pytest.mark.stress]

PROCESSES, OPERATIONS, ROUNDS = 4, 6, effort(1500, 50_000)
SID = "sessionOfOld"


class Fixed(WebSession):
    def _generateSessionID(self, maxtry=1):
        return SID


def perform(ws, kind, argument):
    """Does it; what it was told."""
    try:
        if kind == "create":
            ws.newSession(data=argument)
        elif kind == "read":
            return ws.retrieveSession(SID)
        elif kind == "store":
            ws.storeSession(SID, argument)
        elif kind == "update":
            return ws.updateSession(SID, lambda data: data + argument)
        else:
            return ws.sessiondict.delete(SID)
    except GenerateIDError:
        return False
    except InvalidSessionId:
        return ABSENT if kind in ("read", "update") else False
    return True


def without_races_to_create(done):
    """
    A name is taken from the moment that its file is made, but what is made
    there is there when `create` returns: who was told "taken" by one that was
    under way has learnt nothing of the session.
    """
    made = [each for each in done if each.kind == "create" and each.result]
    return [
        each
        for each in done
        if each.kind != "create"
        or each.result
        or not any(
            one.called < each.returned and each.called < one.returned
            for one in made
        )
    ]


def histories(root, number, backends, barrier):
    """One process's operations, round by round."""
    backend = backends[number % len(backends)]
    ws = Fixed(FileStore(root, backend=backend, sweep_interval=0), 0, 0, ())
    rng = random.Random(number)
    found = []
    for turn in range(ROUNDS):
        barrier.wait()
        done = []
        for step in range(OPERATIONS):
            kind = rng.choice(
                ["read", "read", "store", "update", "update", "create",
                 "delete"]
            )  # fmt: skip
            # No two write the same; some are larger than a page.
            argument = f"{turn}.{number}.{step};" * rng.choice([1, 1, 30, 900])
            called = time.monotonic_ns()
            result = perform(ws, kind, argument)
            done.append(
                Done(called, time.monotonic_ns(), kind, argument, result)
            )
        found.append(done)
        barrier.wait()
        # The state that the next round begins with: nobody is changing it.
        found[-1].append(perform(ws, "read", None))
    return found


@pytest.mark.parametrize("backends", ["c", "python", "c python"])
def test_concurrent_operations_have_an_order(root, backends):
    backends = backends.split()
    if NO_EXTENSION and "c" in backends:
        pytest.skip("this install is meant to be without the extension")
    FileStore(root, backend=backends[0])
    barrier = multiprocessing.get_context("fork").Barrier(PROCESSES)

    def work(number):
        try:
            return histories(root, number, backends, barrier)
        except BaseException:
            barrier.abort()  # nobody waits for this one
            raise

    of_each = in_processes(PROCESSES, work)
    state, overlapping = ABSENT, 0
    for turn in zip(*of_each, strict=True):
        after = {each[-1] for each in turn}
        assert len(after) == 1
        done = [each for one in turn for each in one[:-1]]
        overlapping += any(
            one.called < other.returned and other.called < one.returned
            for mine, yours in itertools.combinations(turn, 2)
            for one in mine[:-1]
            for other in yours[:-1]
        )
        last = max(each.returned for each in done)
        (after,) = after
        done.append(Done(last + 1, last + 2, "read", None, after))
        done = without_races_to_create(done)
        assert linearizable(done, state), (state, done)
        state = after
    # They did run at the same time, as far as a busy machine lets them.
    assert overlapping >= 10


def test_the_checker_tells_orders_that_cannot_be():
    def history(*operations):
        return [Done(*operation) for operation in operations]

    stale = history((1, 2, "store", "new", True), (3, 4, "read", None, "old"))
    assert not linearizable(stale, "old")
    concurrent = history(
        (1, 4, "store", "new", True), (2, 3, "read", None, "old")
    )
    assert linearizable(concurrent, "old")
    lost = history(
        (1, 4, "update", "a", "xa"),
        (2, 3, "update", "b", "xb"),
        (5, 6, "read", None, "xa"),
    )
    assert not linearizable(lost, "x")
    back_again = history(
        (1, 2, "read", None, "new"),
        (0, 9, "store", "new", True),
        (3, 4, "read", None, "old"),
    )
    assert not linearizable(back_again, "old")
    revived = history(
        (1, 2, "delete", None, True),
        (3, 4, "store", "late", True),
    )
    assert not linearizable(revived, "old")
