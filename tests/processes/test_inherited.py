"""What a forked child finds of what its parent's threads were at."""

from __future__ import annotations

import os
import signal
import threading
import time
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

import pytest

from support import Child, file_of, in_thread_of
from websession import (
    CleanUpThread,
    SessionLocked,
    WebSession,
)
from websession.disk.engine import DiskEngine
from websession.disk.plain import files
from websession.disk.plain.files import File
from websession.stores.records import RecordStore
from wrapping import WrappingEngine

LONGEST = 30


def forked_during(inside, work):
    """
    What `work` returns in a child that is forked while another thread is
    inside of `inside(stay)`, and that begins when this thread has ended. It
    gets that thread's ident.
    """
    entered, over = threading.Event(), threading.Event()

    def stay():
        entered.set()
        over.wait()

    other = threading.Thread(target=inside, args=(stay,))
    other.start()
    assert entered.wait(LONGEST)
    ident = other.ident
    read_end, write_end = os.pipe()

    def run():
        signal.alarm(LONGEST)
        os.read(read_end, 1)
        return work(ident)

    try:
        child = Child(run)
        over.set()
        other.join()
        os.write(write_end, b"x")
        return child.result()
    finally:
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize("what", ["session", "count"])
def test_no_thread_is_taken_for_one_of_its_parents(
    make_store, root, backend, what
):
    """It would not wait for a lock that it seems to have."""
    if (backend, what) == ("c", "session"):
        pytest.skip("in C there is nothing to be inherited")
    ws = WebSession(make_store(), maxSessionCount=10)
    sid = ws.newSession()
    path = os.fsencode(
        file_of(root, sid) if what == "session" else root / ".count"
    )

    def inside(stay):
        with File(path, os.O_RDWR) as file:
            file.lock(LOCK_EX, 0)
            stay()

    def use():
        ws.storeSession(sid, "data")
        return ws.retrieveSession(ws.newSession(data="new"))

    def work(ident):
        fd = os.open(path, os.O_RDWR)
        flock(fd, LOCK_EX)
        # The lock is somebody's until it is waited for.
        time.sleep = lambda seconds: flock(fd, LOCK_UN)
        return in_thread_of(ident, use)

    assert forked_during(inside, work) == "new"


def test_what_goes_on_in_a_child_leaves_the_lock_to_its_parent(ws, root):
    """As when a signal handler forks."""
    path = file_of(root, ws.newSession())
    before = path.read_bytes()

    def locks_it():
        fd = os.open(path, os.O_RDWR)
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    with File(os.fsencode(path), os.O_RDWR) as file:
        file.lock(LOCK_EX, 0)
        child = os.fork()
        if child == 0:
            try:
                with pytest.raises(OSError, match="descriptor"):
                    file.write_at(b"overwritten", 0)
                file.__exit__()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert Child(locks_it).result() is False
    assert Child(locks_it).result() is True
    assert path.read_bytes() == before


def test_a_child_that_leaves_the_block_does_not_end_its_parents_lock(ws):
    sid = ws.newSession()

    def lock():
        try:
            with ws.lockSession(sid, timeout=0.05):
                return "locked twice"
        except SessionLocked as error:
            return str(error)

    leave = ws.lockSession(sid)
    with leave:

        def work():
            leave.__exit__(None, None, None)
            return lock()

        assert f"process {os.getpid()} since" in Child(work).result()
        assert f"process {os.getpid()} since" in Child(lock).result()
    assert Child(lock).result() == "locked twice"


def test_a_log_out_is_not_taken_for_another_threads_expiry(
    root, backend, clock
):
    engine = WrappingEngine(
        DiskEngine(root, backend=backend, sweep_interval=0)
    )
    ws = WebSession(RecordStore(engine), 0, 60, clock=clock)
    sid = ws.newSession()

    def inside(stay):
        def pause():
            stay()
            clock.move(-61)
            ws.storeSession(sid, "refreshed")

        clock.move(61)
        engine.before("remove", pause)
        assert ws.retrieveSession(sid) == "refreshed"

    def work(ident):
        clock.move(-61)
        assert ws.retrieveSession(sid) == "refreshed"
        return in_thread_of(ident, lambda: ws.deleteSession(sid))

    assert forked_during(inside, work) == sid
    assert sid not in ws.sessiondict


def test_a_child_knows_nothing_of_other_threads_updates(make_any):
    from websession.updating import doing

    ws = make_any()
    sid = ws.newSession(data=0)

    def inside(stay):
        def func(data):
            stay()
            return data + 1

        ws.updateSession(sid, func)

    def work(ident):
        assert not doing.updating
        assert not files._held
        return in_thread_of(
            ident, lambda: ws.updateSession(sid, lambda data: data + 10)
        )

    assert forked_during(inside, work) in (10, 11)
    assert ws.retrieveSession(sid) in (1, 11)


def test_an_update_goes_on_in_a_child(make_session):
    """What this thread is in the middle of is the child's as well."""
    ws = make_session()
    sid = ws.newSession(data=0)
    pids, runs = [], []

    def func(data):
        runs.append(1)
        if not pids:
            pids.append(os.fork())
            if pids == [0]:
                ws.storeSession(sid, 10)  # its own, which it replaces
            else:
                os.waitpid(pids[0], 0)
        return data + 1

    try:
        ws.updateSession(sid, func)
    finally:
        if pids == [0]:
            os._exit(0)
    assert ws.retrieveSession(sid) == 2
    assert len(runs) == 2


def test_a_lock_of_a_mapping_stays_the_forking_threads():
    ws = WebSession({})
    ours, theirs = ws.newSession(), ws.newSession()

    def inside(stay):
        with ws.lockSession(theirs):
            stay()

    def locked(sid):
        try:
            with ws.lockSession(sid, timeout=0.01):
                return False
        except SessionLocked:
            return True

    with ws.lockSession(ours) as _, ws.lockSession(ours):
        leave = ws.lockSession(ours)
        leave.__enter__()

        def work(ident):
            # Another thread of the child finds ours locked, theirs not.
            found = [
                in_thread_of(ident, lambda: [locked(ours), locked(theirs)])
            ]
            with ws.lockSession(theirs):
                pass
            for _ in range(3):
                leave.__exit__(None, None, None)
            found.append(in_thread_of(ident, lambda: locked(ours)))
            return found

        assert forked_during(inside, work) == [[True, False], False]
        leave.__exit__(None, None, None)


def test_no_old_version_is_good_while_another_thread_stores():
    class Pausing(dict):
        pause = None

        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            if self.pause is not None:
                self.pause()

    mapping = Pausing()
    ws = WebSession(mapping)
    sid = ws.newSession()
    version = ws.readSession(sid).version

    def inside(stay):
        mapping.pause = stay
        ws.storeSession(sid, "theirs")

    def work(ident):
        mapping.pause = None
        return ws.replaceSession(sid, "ours", version)

    assert forked_during(inside, work) is None


def test_a_clean_up_thread_can_be_joined_in_a_child(ws):
    cleaner = CleanUpThread(ws, 3600)
    cleaner.start()

    def inside(stay):
        # Where the thread itself may be at a fork, for some instructions.
        with cleaner._stop_event._cond:
            stay()

    def work(ident):
        cleaner.join(timeout=None)
        return cleaner.is_alive()

    try:
        assert forked_during(inside, work) is False
    finally:
        cleaner.join(timeout=None)
