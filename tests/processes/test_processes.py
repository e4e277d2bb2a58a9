"""Forks, signals, threads, closed descriptors: what processes go through."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time

import pytest

from support import (
    Child,
    alone,
    file_of,
    in_processes,
    open_descriptors,
    until,
)
from websession import SessionBusy, SessionLocked, WebSession


@pytest.fixture
def ws(make_session):
    return make_session(clock=None)


def test_a_store_in_use_works_on_after_a_fork(ws):
    sid = ws.newSession()
    ws.storeSession(sid, 0)

    def work(number):
        for _ in range(50):
            ws.updateSession(sid, lambda n: n + 1)
        return [ws.newSession() for _ in range(50)]

    made = [sid for ids in in_processes(4, work) for sid in ids]
    assert ws.retrieveSession(sid) == 200
    assert len(set(made)) == 200
    assert all(ws.retrieveSession(each) == "_created_" for each in made)


def test_forks_while_threads_write_leave_no_lock_behind(ws):
    """A lock given up by close alone would live on in such a child."""
    sid = ws.newSession()
    stop = threading.Event()

    def write():
        while not stop.is_set():
            ws.storeSession(sid, "data")

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    children = []
    try:
        for _ in range(60):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    try:
        fd = os.open(file_of(ws.sessiondict.path, sid), os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
        ws.storeSession(sid, "after")
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert ws.retrieveSession(sid) == "after"


def test_no_descriptor_is_kept_or_leaked(ws, root):
    before = open_descriptors()
    sid = ws.newSession()
    for _ in range(20):
        ws.storeSession(sid, "x" * 10_000)
        ws.retrieveSession(sid)
        ws.updateSession(sid, lambda data: data)
        ws.touchSession(sid)
        sid = ws.regenerateSession(sid, grace=1)
    with ws.lockSession(sid):
        pass
    ws.cleanUp(), ws.countSessions(), ws.listSessions()
    file_of(root, sid).write_bytes(b"garbage")
    with pytest.raises(ValueError):
        ws.retrieveSession(sid)
    ws.deleteSession(sid)
    with pytest.raises(KeyError):
        ws.retrieveSession(sid)
    assert open_descriptors() == before


def test_closing_all_descriptors_changes_nothing(ws):
    def work(number):
        sid = ws.newSession()
        keep = os.dup(pipe.fileno())
        os.closerange(3, keep)
        os.closerange(keep + 1, 256)
        # What was closed is somebody else's now.
        for _ in range(20):
            os.open("/dev/null", os.O_RDONLY)
        ws.storeSession(sid, "data")
        assert ws.retrieveSession(sid) == "data"
        ws.cleanUp()
        ws.deleteSession(sid)
        os.write(keep, b"fine")

    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as pipe:
        child = os.fork()
        if child == 0:
            try:
                work(0)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    assert os.read(read_end, 10) == b"fine"
    os.close(read_end)


def test_another_working_directory_changes_nothing(
    tmp_path, monkeypatch, backend
):
    from websession import FileStore

    monkeypatch.chdir(tmp_path)
    ws = WebSession(FileStore("relative/path", backend=backend))
    sid = ws.newSession()
    monkeypatch.chdir("/")
    ws.storeSession(sid, "data")
    assert ws.retrieveSession(sid) == "data"
    assert file_of(tmp_path / "relative/path", sid).exists()


def test_threads_share_a_store(ws):
    failures = []

    def work(number):
        try:
            for turn in range(60):
                sid = ws.newSession()
                ws.storeSession(sid, (number, turn, "x" * 3000))
                assert ws.retrieveSession(sid) == (number, turn, "x" * 3000)
                ws.deleteSession(sid)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ws.countSessions() == 0


@alone
def test_signal_handlers_that_use_the_same_session(ws):
    sid = ws.newSession()
    ws.storeSession(sid, {"loop": 0, "handler": 0})
    fired = []

    def count(key):
        return lambda data: {**data, key: data[key] + 1}

    def handle(number, frame):
        ws.updateSession(sid, count("handler"))
        fired.append(1)

    old = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        turns = 0
        while len(fired) < 200:
            ws.updateSession(sid, count("loop"))
            turns += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert ws.retrieveSession(sid) == {"loop": turns, "handler": len(fired)}


@alone
def test_an_exception_from_a_signal_handler_leaves_no_lock(ws):
    sid = ws.newSession()

    class Interrupted(Exception):
        pass

    def handle(number, frame):
        raise Interrupted

    before = open_descriptors()
    old = signal.signal(signal.SIGALRM, handle)
    seen = 0
    try:
        for turn in range(300):
            try:
                delay = 0.0001 + turn % 7 * 1e-5
                signal.setitimer(signal.ITIMER_REAL, delay)
                while True:
                    ws.storeSession(sid, turn)
            except Interrupted:
                seen += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert seen == 300
    ws.storeSession(sid, "after")
    assert ws.retrieveSession(sid) == "after"
    assert open_descriptors() <= before + 1


@alone
def test_handlers_run_while_a_lock_is_waited_for(ws, root):
    sid = ws.newSession()
    fired = []
    fd = os.open(file_of(root, sid), os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)

    def handle(number, frame):
        fired.append(1)
        if len(fired) == 5:
            fcntl.flock(fd, fcntl.LOCK_UN)

    old = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        ws.storeSession(sid, "in the end")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        os.close(fd)
    assert len(fired) >= 5
    assert ws.retrieveSession(sid) == "in the end"


@alone
def test_a_handler_beside_other_threads_never_waits_for_itself(ws):
    """Another thread gets the signals; their handlers run in this one."""
    sid = ws.newSession()
    ws.storeSession(sid, {"loop": 0, "handler": 0})
    is_over = threading.Event()
    threading.Thread(target=is_over.wait).start()
    done, busy, slowest = [], [], [0.0]

    def count(key):
        return lambda data: {**data, key: data[key] + 1}

    def handle(number, frame):
        started = time.monotonic()
        try:
            ws.updateSession(sid, count("handler"))
            done.append(1)
        except SessionBusy:
            busy.append(1)
        slowest[0] = max(slowest[0], time.monotonic() - started)

    old = signal.signal(signal.SIGALRM, handle)
    turns = 0
    try:
        for turn in range(2000):
            if turn % 4 == 0:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + turn % 7 * 1e-5)
            ws.updateSession(sid, count("loop"))
            turns += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        is_over.set()
    assert len(done) + len(busy) > 100
    # Its own lock is waited for as long as the store's timeout: 10 seconds.
    assert slowest[0] < 5
    assert ws.retrieveSession(sid) == {"loop": turns, "handler": len(done)}


def test_a_session_locked_at_a_fork_stays_its_parents(ws):
    sid = ws.newSession()
    with ws.lockSession(sid):

        def work(number):
            try:
                with ws.lockSession(sid, timeout=0.05):
                    return "locked twice"
            except SessionLocked as error:
                return str(error)

        (answer,) = in_processes(1, work)
        assert f"process {os.getpid()}" in answer
    (answer,) = in_processes(1, work)
    assert answer == "locked twice"


def test_a_killed_lock_holder_frees_the_session(ws, root):
    sid = ws.newSession()
    ready = root / ".ready"

    def hold(number):
        with ws.lockSession(sid):
            ready.touch()
            signal.pause()

    child = Child(hold, 0)
    until(ready.exists)
    with pytest.raises(SessionLocked, match=f"process {child.pid}"):
        with ws.lockSession(sid, timeout=0.02):
            pass
    child.kill()
    child.wait()
    with ws.lockSession(sid, timeout=5):
        pass


def test_the_note_of_a_lock_holder_is_one_short_line(ws, root):
    sid = ws.newSession()
    with ws.lockSession(sid, label="\x1b[2J\n\udcff" * 10_000):
        (note,) = (root / ".locks").glob("*.holder")
        text = note.read_text("utf-8")
    assert text.isprintable()
    assert r", \x1b[2J\n\udcff\x1b" in text
    assert len(text) < 200


def test_whatever_stands_in_the_note_is_told_in_one_harmless_line(ws, root):
    sid = ws.newSession()

    def try_it(number):
        try:
            with ws.lockSession(sid, timeout=0.01):
                return "no exclusion"
        except SessionLocked as error:
            return str(error)

    with ws.lockSession(sid):
        (note,) = (root / ".locks").glob("*.holder")
        note.write_bytes(b"\x1b[2J\xff\xc2\x9b\n" * 500)
        (message,) = in_processes(1, try_it)
    shown = "\\x1b[2J\N{REPLACEMENT CHARACTER}\\x9b\\n"
    assert f"locked by {shown * 2}" in message
    assert message.isprintable()
    assert len(message) < 300


def test_only_one_process_sweeps_at_a_time(make_store, clock):
    from websession.disk.sweep import Election

    store = make_store()
    ws = WebSession(store, 0, 100, clock=clock)
    ws.newSession()
    clock.move(200)

    def work(number):
        return ws.cleanUp()

    with Election(store.engine.layout):
        assert in_processes(1, work) == [0]
    assert in_processes(1, work) == [1]
