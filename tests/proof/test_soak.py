"""
Eight processes that create, read, update, log out, let expire and sweep, for
`WEBSESSION_SOAK` seconds (4; minutes in a long run), with invariants checked
throughout: no growth of memory, descriptors, files or lock stripes.
"""

from __future__ import annotations

import gc
import os
import random
import time
from pathlib import Path

import pytest

from effort import effort
from machine import NO_EXTENSION
from support import in_processes, open_descriptors, session_files
from websession import FileStore, InvalidSessionId, SessionExpired, WebSession

pytestmark = [pytest.mark.proof, pytest.mark.stress]

SECONDS = float(os.environ.get("WEBSESSION_SOAK", effort(4, 300)))
PROCESSES, IDLE, REMOVE = 8, 0.5, 1.0
LIMIT = 4000


def resident():
    """KiB of this process, without garbage."""
    gc.collect()
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


class User:
    """One that uses some sessions and knows what they must hold."""

    def __init__(self, root, backend, seed):
        store = FileStore(root, backend=backend, sweep_interval=0.2)
        self.ws = WebSession(store, IDLE, REMOVE, (), LIMIT)
        self.rng = random.Random(seed)
        self.mine = {}
        self.ended = []
        self.waits = []

    def act(self):
        kind = self.rng.choices(
            [self.create, self.read, self.update, self.renew, self.log_out,
             self.come_back, self.look, self.sweep],
            [10, 30, 30, 4, 9, 5, 1, 1],
        )[0]  # fmt: skip
        started = time.perf_counter()
        kind()
        self.waits.append(time.perf_counter() - started)

    def create(self):
        if len(self.mine) < 60:
            # Before the call, which may take long: stored no earlier.
            before = time.time()
            self.mine[self.ws.newSession(data=0)] = (0, before)

    def pick(self):
        return self.rng.choice(list(self.mine)) if self.mine else None

    def gone(self, session_id):
        """It may be, only if it has not been stored for long enough."""
        _, stored = self.mine.pop(session_id)
        assert time.time() - stored > IDLE
        self.ended.append(session_id)

    def read(self):
        session_id = self.pick()
        if session_id is None:
            return
        expected, _ = self.mine[session_id]
        try:
            assert self.ws.retrieveSession(session_id) == expected
        except (InvalidSessionId, SessionExpired):
            self.gone(session_id)

    def update(self):
        session_id = self.pick()
        if session_id is None:
            return
        before = time.time()
        try:
            number = self.ws.updateSession(session_id, lambda n: n + 1)
        except InvalidSessionId:
            self.gone(session_id)
        else:
            assert number == self.mine[session_id][0] + 1
            self.mine[session_id] = (number, before)

    def renew(self):
        session_id = self.pick()
        if session_id is None:
            return
        grace = self.rng.choice([0, 0.1])
        before = time.time()
        try:
            new_id = self.ws.regenerateSession(session_id, grace=grace)
        except InvalidSessionId:
            self.gone(session_id)
        else:
            number, _ = self.mine.pop(session_id)
            self.mine[new_id] = (number, before)
            if not grace:
                self.ended.append(session_id)

    def log_out(self):
        session_id = self.pick()
        if session_id is not None:
            self.ws.deleteSession(session_id)
            del self.mine[session_id]
            self.ended.append(session_id)

    def come_back(self):
        """What has ended stays so, whatever is tried."""
        if not self.ended:
            return
        session_id = self.ended.pop(self.rng.randrange(len(self.ended)))
        with pytest.raises(InvalidSessionId):
            self.ws.storeSession(session_id, "revived")
        with pytest.raises((InvalidSessionId, SessionExpired)):
            self.ws.retrieveSession(session_id)

    def look(self):
        assert 0 <= self.ws.countSessions() <= LIMIT
        with self.ws.lockSession("oneOfSixteen"):
            pass

    def sweep(self):
        self.ws.cleanUp()


def test_soak(root):
    backends = ["python"] if NO_EXTENSION else ["c", "python"]
    FileStore(root, backend=backends[0], shards=256)

    def work(number):
        # What the tests have loaded would put garbage collection off.
        gc.freeze()
        user = User(root, backends[number % len(backends)], number)
        before = open_descriptors()
        end = time.monotonic() + SECONDS
        half, memory, files = end - SECONDS / 2, None, 0
        while time.monotonic() < end:
            for _ in range(50):
                user.act()
            if memory is None and time.monotonic() > half:
                memory = resident()
            if number == 0:
                files = max(files, len(session_files(root)))
                time.sleep(0.01)
        assert open_descriptors() == before
        return {
            "operations": len(user.waits),
            "p99": sorted(user.waits)[int(len(user.waits) * 0.99)],
            "grown": resident() - (memory or resident()),
            "files": files,
            "ended": user.ended,
        }

    found = in_processes(PROCESSES, work)
    ws = User(root, backends[0], 0).ws
    for each in found:
        # What was measured of each operation is kept, and not much else.
        assert each["grown"] < 2048 + each["operations"] * 0.2
        for session_id in each["ended"][:200]:
            with pytest.raises((InvalidSessionId, SessionExpired)):
                ws.retrieveSession(session_id)
    # All users together have at most 60 sessions each; the rest is swept.
    assert 0 < found[0]["files"] < 3 * PROCESSES * 60
    time.sleep(REMOVE + 0.1)
    ws.cleanUp()
    assert session_files(root) == []
    assert ws.countSessions() == len(ws.listSessions()) == 0
    locks = {path.name for path in (root / ".locks").iterdir()}
    assert len(locks) <= 4, locks
    total = sum(each["operations"] for each in found)
    worst = max(each["p99"] for each in found)
    print(f"soak: {total} operations, p99 at most {worst * 1e3:.1f} ms")
    assert total > 100 * PROCESSES
