"""
kill -9 at every system call of every operation: each session reads as a state
that was stored, the count is right, and nothing of it is left in the end.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from injection import Attempt, chosen, need_strace, places_of, told
from scenarios import SCENARIOS
from shim import shimmed
from support import open_descriptors

pytestmark = pytest.mark.proof

# With a clock that is two hours ahead: a sweep, and what is still there then.
AFTERWARDS = """
import sys
from pathlib import Path
from websession import FileStore, WebSession
for root in sys.argv[2:]:
    store = FileStore(root, backend=sys.argv[1], sweep_interval=0)
    WebSession(store, 0, 3600).cleanUp()
    for path in Path(root).rglob("*"):
        if path.is_file() and (
            path.stat().st_size == 0 and len(path.name) == 31
            or path.name.startswith(".new-")
        ):
            print(path)
"""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_killed_at_every_system_call(tmp_path, backend, scenario):
    need_strace()
    scenario = scenario()
    fresh = scenario.copies(tmp_path, backend)
    before = open_descriptors()
    places = places_of(fresh("dry")[1])
    roots, killed = [], 0
    for kind, number in chosen(places):
        root, operation = fresh(f"{kind}-{number}")
        what = f"inject={kind}:signal=KILL:when={number}"
        attempt = Attempt(operation, "-o", os.devnull, "-e", what)
        killed += attempt.killed
        roots.append(root)
        with told(what):
            type(scenario)().check(root, backend, not attempt.killed)
    # A call more or less, of an allocation, is nobody's fault.
    assert killed >= 0.9 * len(roots)
    assert open_descriptors() == before
    done = subprocess.run(
        [sys.executable, "-c", AFTERWARDS, backend, *map(str, roots)],
        env=shimmed(tmp_path, ahead=7200),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done
