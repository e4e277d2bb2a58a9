"""
A process that is stopped at every system call of an operation, while another
one does what must not come in between.
"""

from __future__ import annotations

import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from injection import Attempt, chosen, need_strace, places_of, told
from scenarios import (
    OLD,
    Create,
    CreateCounted,
    Delete,
    Regenerate,
    RegenerateWithGrace,
    Sweep,
    UseALimit,
    file_of,
    state_of,
)
from support import Child, until
from websession import SessionBusy

pytestmark = pytest.mark.proof


def stopped_everywhere(scenario, directory, backend, meanwhile, kinds=""):
    """
    For each place: does something, with the store's path and the process,
    while the operation is stopped there.

    Args:
        kinds: of the system calls; empty: all.

    Yields:
        The store's path, and what `meanwhile` returned, when all is over.
    """
    fresh = scenario.copies(directory, backend)
    places = [
        place
        for place in places_of(fresh("dry")[1])
        if not kinds or place[0] in kinds
    ]
    for kind, number in chosen(places):
        root, operation = fresh(f"{kind}-{number}")
        returned = []
        what = f"inject={kind}:signal=STOP:when={number}"
        with told(what):
            attempt = Attempt(
                operation,
                *("-o", os.devnull, "-e", what),
                meanwhile=lambda pid, root=root, returned=returned: (
                    returned.append(meanwhile(root, pid))
                ),
            )
            assert attempt.error is None, attempt.error[2]
            # A call more or less, of an allocation, is nobody's fault.
            if returned:
                yield root, returned[0]


def is_exact(ws):
    return ws.countSessions() == len(ws.listSessions())


UNCOUNTED = [Create, Delete, Regenerate, RegenerateWithGrace, Sweep]


@pytest.mark.parametrize("scenario", UNCOUNTED, ids=lambda each: each.__name__)
@pytest.mark.parametrize("killed", [False, True])
def test_a_limit_is_used_first_in_the_middle_of_an_operation(
    tmp_path, backend, scenario, killed
):
    need_strace()

    def use_a_limit(root, pid):
        ws = CreateCounted().open(root, backend)
        ws.drawn = "withALimit12"
        ws.newSession()
        if killed:
            os.kill(pid, signal.SIGKILL)

    for root, _ in stopped_everywhere(
        scenario(), tmp_path, backend, use_a_limit
    ):
        ws = scenario().open(root, backend, now=1)
        if killed:
            assert abs(ws.countSessions() - len(ws.listSessions())) <= 1
            ws.cleanUp()
        assert is_exact(ws)


def is_done_or_waits(child):
    state = Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2]
    return state[0] in "ZS"


def test_operations_in_the_middle_of_a_first_use_of_a_limit(tmp_path, backend):
    """They wait for whoever counts, or are counted after all."""
    need_strace()

    def work(root):
        ws = Create().open(root, backend)
        ws.drawn = "withoutALimi"
        ws.newSession()
        ws.deleteSession(OLD)
        ws.drawn = "renewedRenew"
        ws.regenerateSession("alsoAlsoAlso")

    def start(root, pid):
        child = Child(work, root)
        until(lambda: is_done_or_waits(child))
        return child

    for root, child in stopped_everywhere(
        UseALimit(), tmp_path, backend, start
    ):
        child.result()
        ws = Create().open(root, backend)
        assert is_exact(ws)
        assert ws.countSessions() == 4


def test_a_session_made_anew_in_the_middle_of_a_sweep_stays(tmp_path, backend):
    """Under the name of one that the sweep is about to remove."""
    need_strace()
    expired = Sweep.expired[0]

    def make_anew(root, pid):
        ws = Sweep().open(root, backend, now=1)
        ws._store.engine.timeout = 0
        with suppress(SessionBusy):
            ws.deleteSession(expired)
            Sweep.make(ws, expired, "again")
            return True
        return False

    made = 0
    for root, done in stopped_everywhere(
        Sweep(), tmp_path, backend, make_anew, ("openat", "flock")
    ):
        ws = Sweep().open(root, backend, now=1)
        if done:
            made += 1
            assert state_of(ws, expired) == "again"
    assert made > 3


def test_a_sweep_waits_for_nobody(tmp_path, backend):
    need_strace()
    root, sweep = Sweep().copies(tmp_path, backend)("store")
    with open(file_of(root, Sweep.expired[0]), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kinds = {kind for kind, _ in places_of(sweep)}
    assert "flock" in kinds
    assert not kinds & {"nanosleep", "clock_nanosleep"}
