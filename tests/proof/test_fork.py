"""
A fork at any moment of another thread: what that was in the middle of hinders
nobody in the child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from _thread import get_ident
from contextlib import suppress
from pathlib import Path

import pytest

import websession
from clocks import Clock
from effort import effort
from machine import NO_EXTENSION
from support import Child, in_thread_of
from websession import FileStore, InvalidSessionId, WebSession

pytestmark = pytest.mark.proof

SOURCE = str(Path(websession.__file__).parent)
IDLE = 3600
TOOL = 4  # of `sys.monitoring`, which nobody else uses


def watched(step):
    """
    Begins to call `step` before each opcode of websession's code that this
    thread executes; returns what ends it.
    """
    if sys.version_info < (3, 12):

        def enter(frame, event, arg):
            if not frame.f_code.co_filename.startswith(SOURCE):
                return None
            frame.f_trace_opcodes = True
            return local

        def local(frame, event, arg):
            if event == "opcode":
                step()
            return local

        sys.settrace(enter)
        return lambda: sys.settrace(None)

    # What settrace says of opcodes in these comes late, or not at all.
    watching, me = sys.monitoring, get_ident()

    def see(code, offset):
        if not code.co_filename.startswith(SOURCE):
            return watching.DISABLE
        if get_ident() == me:
            step()
        return None

    watching.use_tool_id(TOOL, "forks")
    watching.register_callback(TOOL, watching.events.INSTRUCTION, see)
    watching.set_events(TOOL, watching.events.INSTRUCTION)
    return unwatch


def unwatch():
    sys.monitoring.set_events(TOOL, 0)
    sys.monitoring.free_tool_id(TOOL)


class BusyThread:
    """
    A thread that runs operations, each up to its N-th opcode in websession's
    code, where it stays until it is let go.
    """

    def __init__(self):
        self._at = self._count = 0
        self._operation = None
        self._begin, self._go = threading.Event(), threading.Event()
        self._halted = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ident(self):
        return self._thread.ident

    def start(self, operation, at):
        """Whether it stopped there; False if it was over before."""
        self._operation, self._at, self._count = operation, at, 0
        self._go.clear(), self._halted.clear()
        self._begin.set()
        assert self._halted.wait(60)
        return self._operation is not None

    def finish(self):
        """Lets it end the operation."""
        self._halted.clear()
        self._go.set()
        assert self._halted.wait(60)
        assert self._operation is None

    def opcodes(self, operation):
        """How many there are in an operation."""
        assert not self.start(operation, -1)
        return self._count

    def _run(self):
        while True:
            self._begin.wait()
            self._begin.clear()
            end = watched(self._step)
            try:
                self._operation()
            finally:
                end()
            self._operation = None
            self._halted.set()

    def _step(self):
        self._count += 1
        if self._count == self._at:
            self._halted.set()
            self._go.wait()


class Deletes(WebSession):
    """With an override on the way of expiry."""

    def deleteSession(self, session_id):
        return super().deleteSession(session_id)


class Bench:
    """A store, a session in it, and what a thread may be at."""

    def __init__(self, target):
        self.clock = Clock()
        self.ws = Deletes(
            target, 0, IDLE, maxSessionCount=100_000, clock=self.clock
        )
        self.ahead = Deletes(
            target, 0, IDLE, clock=Clock(self.clock.now + 2 * IDLE)
        )
        self.sid = None

    def prepare(self):
        self.sid = self.ws.newSession(data=[0])

    def new(self):
        self.ws.newSession()

    def store(self):
        self.ws.storeSession(self.sid, [1])

    def retrieve(self):
        self.ws.retrieveSession(self.sid)

    def update(self):
        def func(data):
            self.ws.storeSession(self.sid, [*data, 1])
            return [*data, 2]

        self.ws.updateSession(self.sid, func)

    def renew(self):
        self.ws.regenerateSession(self.sid, grace=60)

    def lock(self):
        with self.ws.lockSession(self.sid), self.ws.lockSession(self.sid):
            pass

    def delete(self):
        self.ws.deleteSession(self.sid)

    def expire(self):
        with suppress(InvalidSessionId):
            self.ahead.retrieveSession(self.sid)

    def sweep(self):
        self.ahead.cleanUp()

    def count(self):
        self.ws.countSessions()

    def everything(self):
        """What a process does; what another one left does not hinder it."""
        ws, sid = self.ws, self.sid
        # Whatever the thread did with it: its session is here, or is not.
        with suppress(InvalidSessionId):
            ws.storeSession(sid, ws.retrieveSession(sid))
        with ws.lockSession(sid, timeout=5):
            ws.deleteSession(sid)
        assert sid not in ws.sessiondict
        sid = ws.newSession()
        ws.storeSession(sid, ["stored"])
        ws.updateSession(sid, lambda data: [*data, "updated"])
        sid = ws.regenerateSession(sid, grace=60)
        with ws.lockSession(sid, timeout=5):
            assert ws.retrieveSession(sid) == ["stored", "updated"]
        ws.deleteSession(sid)
        assert sid not in ws.sessiondict
        ws.countSessions()
        ws.cleanUp()


OPERATIONS = (
    "new", "store", "retrieve", "update", "renew", "lock", "delete", "expire",
    "sweep", "count",
)  # fmt: skip


def in_child(bench, ident, gate):
    """What a child does when its parent's thread is done."""
    signal.alarm(60)
    if sys.version_info >= (3, 12):
        unwatch()  # as the thread would have done
    os.read(gate, 1)
    bench.everything()
    in_thread_of(ident, bench.everything)


def fork_at(bench, thread, operation, at):
    """
    Forks when the thread is at that opcode; False if it was over before.
    """
    bench.prepare()
    if not thread.start(getattr(bench, operation), at):
        return False
    read_end, write_end = os.pipe()
    try:
        child = Child(in_child, bench, thread.ident, read_end)
        thread.finish()
        os.write(write_end, b"x")
        child.result()
    finally:
        os.close(read_end)
        os.close(write_end)
    return True


def forks(make, operation, tries):
    bench, thread = Bench(make()), BusyThread()
    total = 0
    for _ in range(4):  # at first it imports and makes things
        bench.prepare()
        bench.everything()
        bench.prepare()
        total = thread.opcodes(getattr(bench, operation))
    places = range(1, total + 1, max(1, total // tries))
    children = 0
    for at in places:
        children += fork_at(bench, thread, operation, at)
        if children % 20 == 0:
            # What children have left would make each sweep a longer one.
            bench.ahead.cleanUp()
    assert children > 0.8 * min(tries, total) > 0


@pytest.fixture(params=["c", "python", "dict"])
def make(request, tmp_path):
    if request.param == "c" and NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")

    def store():
        if request.param == "dict":
            return {}
        return FileStore(tmp_path / "forks", backend=request.param, shards=16)

    return store


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fork_at_an_opcode_of_another_thread(make, operation):
    tries = effort(12, 1_000_000)
    # Alone: the threads of other tests are none of its business.
    Child(forks, make, operation, tries).result()


# Stops where modules begin, and in what loads them.
IMPORTING = """
import _imp, os, signal, sys, threading, traceback
from websession import FileStore, WebSession

ws = WebSession(FileStore(sys.argv[1], backend=sys.argv[2], shards=16), 0, 60)
step = int(sys.argv[3])
source = os.path.dirname(sys.modules["websession"].__file__)
reached, go = threading.Event(), threading.Event()
calls, where, over = 0, "", False


def everything():
    sid = ws.newSession()
    ws.storeSession(sid, {"n": 1})
    assert ws.retrieveSession(sid) == {"n": 1}
    with ws.lockSession(sid, timeout=5):
        pass
    ws.countSessions(), ws.listSessions(), ws.cleanUp()
    ws.deleteSession(sid)


def may_stop(frame):
    # A fork waits for the lock of the import system anyway, and other modules'
    # functions may hold locks that a fork waits for.
    while frame.f_code is not everything.__code__:
        code = frame.f_code
        if code.co_name != "<module>" and not code.co_filename.startswith(
            ("<frozen importlib", source)
        ):
            return False
        frame = frame.f_back
    return not _imp.lock_held()


def trace(frame, event, arg):
    global calls, where
    code = frame.f_code
    if code.co_name == "<module>" or code.co_filename.startswith(
        "<frozen importlib"
    ):
        calls += 1
        if (calls % step == 0 or code.co_name == "<module>") and may_stop(
            frame
        ):
            where = f"{code.co_filename}, {code.co_name}, call {calls}"
            reached.set()
            go.wait()
            go.clear()


def work():
    global over
    sys.settrace(trace)
    everything()
    sys.settrace(None)
    over = True
    reached.set()


threading.Thread(target=work, daemon=True).start()
children = 0
while reached.wait():
    reached.clear()
    if over:
        break
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            everything()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    if status:
        sys.exit(f"{where}: the child ended with {status}")
    children += 1
    go.set()
print(children)
"""


def test_a_fork_while_another_thread_imports(tmp_path, backend):
    step = effort(29, 1)
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", IMPORTING),
            *(str(tmp_path / "importing"), backend, str(step)),
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert int(done.stdout) > effort(20, 500)
