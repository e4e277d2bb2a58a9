"""The clean-up thread, and the automatic sweep of a FileStore."""

from __future__ import annotations

import fcntl
import logging
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from machine import NO_EXTENSION
from raw_records import NAME, finished, simple
from support import file_of, in_processes, session_files, until
from websession import (
    CleanUpThread,
    FileStore,
    MaxSessionCountExceeded,
    WebSession,
)
from websession.disk import backend as backends
from websession.disk import sweep
from websession.ids import handle


class Counting:
    """Something whose cleanUp can be made to fail."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.calls = 0

    def cleanUp(self):
        self.calls += 1
        outcome = self.outcomes.pop(0) if self.outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_the_thread_cleans_up_at_once_and_is_a_daemon():
    target = Counting(3)
    thread = CleanUpThread(target)
    assert thread.daemon
    thread.start()
    until(lambda: thread._removed == 3)
    assert repr(thread).endswith(": 3 sessions removed")
    thread.join(10)
    assert not thread.is_alive()
    assert target.calls == 1


def test_the_thread_cleans_up_again_after_the_interval():
    target = Counting(1, 1, 1)
    thread = CleanUpThread(target, interval=0.001)
    thread.start()
    until(lambda: target.calls > 5)
    thread.join(10)
    assert thread._removed == 3


def test_join_does_not_wait_unless_told_to():
    running = threading.Event()
    release = threading.Event()

    class Slow:
        def cleanUp(self):
            running.set()
            release.wait()
            return 0

    thread = CleanUpThread(Slow())
    thread.start()
    running.wait()
    thread.join()
    assert thread.is_alive()
    release.set()
    thread.join(None)
    assert not thread.is_alive()


def test_the_thread_survives_an_exception(caplog):
    target = Counting(OSError("disk on fire"), 2)
    thread = CleanUpThread(target, interval=0.001)
    with caplog.at_level(logging.ERROR, "websession"):
        thread.start()
        until(lambda: thread._removed == 2)
        thread.join(10)
    assert "disk on fire" in caplog.text


def test_subclasses_can_have_their_own_loop():
    class Own(CleanUpThread):
        def run(self):
            while not self._stop_event.is_set():
                self._removed += 10 + self._sessionInstance.cleanUp()
                self._stop_event.wait(self._interval)

    thread = Own(Counting(5), 60)
    thread.start()
    until(lambda: thread._removed == 15)
    thread.join(10)


def test_the_thread_keeps_a_store_clean(make_session, clock):
    ws = make_session(0, 100)
    ws.newSession()
    clock.move(101)
    thread = CleanUpThread(ws, interval=0.001)
    thread.start()
    until(lambda: ws.countSessions() == 0)
    thread.join(10)


# The automatic sweep


@pytest.fixture
def ws(make_store, clock):
    return WebSession(make_store(sweep_interval=60), 0, 100, clock=clock)


def test_new_sessions_sweep_the_old_ones_away(ws, root, clock):
    old = [ws.newSession() for _ in range(30)]
    clock.move(101)
    for _ in range(400):
        ws.newSession()
        clock.move(0.2)
        if not any(file_of(root, sid).exists() for sid in old):
            return
    pytest.fail("the automatic sweep removed nothing")


def test_a_sweep_is_not_due_before_its_time(ws, root, clock, monkeypatch):
    for _ in range(400):
        ws.newSession()
        clock.move(1)
    ws.cleanUp()
    monkeypatch.setattr(
        "websession.disk.sweep.Sweeper._slice",
        lambda *args: pytest.fail("a sweep that was not due"),
    )
    for _ in range(59):
        ws.newSession()
        clock.move(1)


def test_a_due_time_from_a_wrong_clock_is_not_waited_for(ws, root, clock):
    stamp = root / ".locks" / "sweep.stamp"
    ws.cleanUp()
    os.utime(stamp, (clock.now + 1e8, clock.now + 1e8))
    ws.newSession()
    assert stamp.stat().st_mtime < clock.now + 1e6


def test_a_failing_sweep_does_not_fail_the_request(
    ws, root, caplog, monkeypatch
):
    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("websession.disk.sweep.Sweeper._slice", fail)
    with caplog.at_level(logging.WARNING, "websession"):
        assert ws.retrieveSession(ws.newSession()) == "_created_"
    assert "Input/output error" in caplog.text


def test_without_an_interval_there_is_no_automatic_sweep(
    make_session, root, clock
):
    ws = make_session(0, 100)
    ws.newSession()
    clock.move(200)
    for _ in range(5):
        ws.newSession()
    assert len(session_files(root)) == 6
    assert not (root / ".locks" / "sweep.stamp").exists()


def test_abandoned_temporary_and_old_damaged_files_are_reaped(
    ws, root, monkeypatch
):
    import time

    (root / ".new-0123456789abcdef").write_bytes(b"")
    (root / ".damaged").mkdir(mode=0o700)
    (root / ".damaged" / "x.1").write_bytes(b"")
    ws.cleanUp()
    assert (root / ".new-0123456789abcdef").exists()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3700)
    ws.cleanUp()
    assert not (root / ".new-0123456789abcdef").exists()
    assert (root / ".damaged" / "x.1").exists()
    monkeypatch.setattr("time.time", lambda: now + 31 * 86400)
    ws.cleanUp()
    assert not (root / ".damaged" / "x.1").exists()


def test_a_request_does_not_import_filelock_while_no_sweep_is_due(root):
    WebSession(FileStore(root), 0, 100).cleanUp()
    code = (
        "import sys, websession\n"
        f"ws = websession.WebSession({str(root)!r}, 0, 100)\n"
        "ws.storeSession(ws.newSession(), 'data')\n"
        "assert 'filelock' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_bad_shard_does_not_stop_the_sweep(
    make_session, root, clock, caplog
):
    ws = make_session(0, 100)
    ids = [ws.newSession() for _ in range(20)]
    shard = file_of(root, ids[0]).parent
    shard.rename(root / "moved")
    shard.write_text("in the way")
    clock.move(200)
    there = [sid for sid in ids if file_of(root, sid).parent != shard]
    with caplog.at_level(logging.WARNING, "websession"):
        assert ws.cleanUp() == len(there)
    assert f"sweep of shard {shard.name} failed" in caplog.text


@pytest.mark.parametrize(
    "kind", ["file", "fifo", "directory", "garbage", "high"]
)
def test_a_planted_stamp_neither_hangs_nor_fails_a_request(ws, root, kind):
    (root / ".locks").mkdir(mode=0o700)
    stamp = root / ".locks" / "sweep.stamp"
    if kind == "fifo":
        os.mkfifo(stamp)
    elif kind == "directory":
        stamp.mkdir()
    else:
        content = {"file": b"", "garbage": b"\xff" * 100, "high": b"99999999"}
        stamp.write_bytes(content[kind])
    os.utime(stamp, (0, 0))
    assert ws.retrieveSession(ws.newSession()) == "_created_"


def test_a_file_instead_of_the_lock_directory_fails_no_request(ws, root):
    (root / ".locks").write_text("in the way")
    assert ws.retrieveSession(ws.newSession()) == "_created_"


def last_line(root):
    return (root / ".locks" / "sweep.stamp").read_text().splitlines()[2]


def test_a_pass_notes_what_it_did(make_session, root, clock):
    ws = make_session(0, 100)
    for _ in range(5):
        ws.newSession()
    clock.move(101)
    ws.newSession()
    assert ws.cleanUp() == 5
    when, took, *counts = last_line(root).split()
    assert float(when) == clock.now
    assert 0 <= float(took) < 60
    assert counts == ["5", "0", "1", "0", "0", "0"]


def test_automatic_slices_note_what_they_did_together(
    make_session, root, clock
):
    # Slices of one shard each.
    options = {"sweep_interval": 60, "sweep_budget": 1e-9, "shards": 16}
    ws = make_session(0, 900, store_options=options)
    for _ in range(50):
        ws.newSession()
    clock.move(901)
    passes = {}
    for _ in range(80):
        ws.newSession()
        clock.move(61)
        if line := last_line(root):
            passes[line.split()[0]] = int(line.split()[2])
    removed = list(passes.values())
    assert sum(removed) >= 50
    assert len(removed) > 2


# One shard


@pytest.fixture
def module(backend):
    return backends.choose(backend)


def damaged(directory, count):
    """Files of which no part is readable, in a shard; their names."""
    names = [f"{number:030x}" for number in range(count)]
    for name in names:
        (directory / name).write_bytes(b"damaged" * 100)
        os.utime(directory / name, (0, 0))
    return names


@pytest.mark.parametrize("lock", ["LOCK_EX", "LOCK_SH"])
def test_what_somebody_has_locked_is_busy_and_there(tmp_path, module, lock):
    """A reader too, who has met a torn slot."""
    path = tmp_path / NAME[2:].decode()
    path.write_bytes(finished(simple()))
    os.utime(path, (0, 0))
    with open(path, "rb") as file:
        fcntl.flock(file, getattr(fcntl, lock))
        swept = module.sweep_shard(os.fsencode(tmp_path), b"94", 1e10, 1.0, 0)
    assert (swept.busy, swept.live, swept.removed, swept.failed) == (
        1,
        1,
        0,
        0,
    )
    assert path.exists()
    swept = module.sweep_shard(os.fsencode(tmp_path), b"94", 1e10, 1.0, 0)
    assert (swept.busy, swept.live, swept.removed) == (0, 0, 1)


def test_a_sweep_in_c_writes_no_further_than_it_may(tmp_path):
    if NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    from websession.disk._native import ffi, lib

    names = damaged(tmp_path, 20)
    room = ffi.new("char[]", b"." * 1000)
    result = ffi.new("ws_swept *")
    shard = os.fsencode(tmp_path)
    assert lib.ws_shard_sweep(shard, b"94", 1e10, 1, 0, room, 100, result) == 0
    assert result.odd == 20
    told = ffi.buffer(room)[:1000]
    assert told[93:] == b"." * 907
    odd = told[:93].decode().split("\0")
    assert len(odd) == 4
    assert {*odd} - {""} < {*names}


def test_a_sweep_tells_of_as_many_damaged_files_as_it_has_room_for(
    tmp_path, module
):
    names = damaged(tmp_path, 300)
    told = set()
    while names:
        swept = module.sweep_shard(os.fsencode(tmp_path), b"94", 1e10, 1.0, 0)
        odd = {os.fsdecode(name) for name in swept.odd}
        assert len(odd) >= 100 or odd == set(names)
        assert odd <= set(names)
        for name in odd:
            (tmp_path / name).unlink()
        told |= odd
        names = [name for name in names if name not in odd]
    assert len(told) == 300


# Slices


class Ticking:
    """Clocks of a machine on which everything takes its time."""

    def __init__(self, real, processor):
        self.real, self.processor = real, processor
        self.shards = []
        self.now = 500.0

    def perf_counter(self):
        return 1000.0 + self.real * len(self.shards)

    def thread_time(self):
        return 10.0 + self.processor * len(self.shards)

    def monotonic(self):
        # Each time somebody looks, what is known has to be asked for anew.
        self.now += 10
        return self.now

    def time(self):
        return 1_800_000_000.0


@pytest.fixture
def slices(make_session, monkeypatch, clock):
    """Makes sessions whose sweep takes so long for a shard."""

    def make(real, processor, **options):
        ticking = Ticking(real, processor)
        options = {"sweep_interval": 60, "shards": 16, **options}
        ws = make_session(0, 960, store_options=options)
        ws.newSession()
        ws.cleanUp()
        clock.move(61)
        monkeypatch.setattr(sweep, "time", ticking)
        monkeypatch.setattr(
            sweep.Sweeper,
            "_try_shard",
            lambda self, shard, *more: ticking.shards.append(shard),
        )
        return ws, ticking

    return make


@pytest.mark.parametrize(
    ("real", "processor", "shards"),
    [
        # The budget is 5 ms of the processor's time, and 20 ms in all.
        (0.002, 0.002, 3),
        (0.02, 0.02, 1),
        (0.009, 0.0001, 3),
        (0.001, 0.0001, 16),
    ],
)
def test_a_slice_ends_with_its_budget(slices, real, processor, shards):
    ws, ticking = slices(real, processor)
    ws.newSession()
    assert ticking.shards == list(range(shards))


def test_a_slice_goes_on_where_the_last_one_stopped(slices, clock):
    ws, ticking = slices(0.002, 0.002)
    for end in (3, 6, 9, 12, 15, 16):
        ws.newSession()
        assert ticking.shards == list(range(end))
        clock.move(1)
    ws.newSession()
    assert len(ticking.shards) == 16
    clock.move(60)
    ws.newSession()
    assert ticking.shards[16:] == [0, 1, 2]


def test_a_slice_rests_twenty_times_as_long_as_it_took(slices, clock):
    ws, ticking = slices(0.002, 0.002)
    ws.newSession()
    assert ticking.shards == [0, 1, 2]
    clock.move(0.119)
    ws.newSession()
    assert len(ticking.shards) == 3
    clock.move(0.002)
    ws.newSession()
    assert ticking.shards == [0, 1, 2, 3, 4, 5]


def test_whoever_goes_on_in_another_process_knows_where(slices, make_store):
    ws, ticking = slices(0.002, 0.002)
    ws.newSession()
    other = make_store(sweep_interval=60)
    ws._clock.move(1)
    WebSession(other, 0, 1000, clock=ws._clock).newSession()
    assert ticking.shards == [0, 1, 2, 3, 4, 5]


# When the next pass is due


def due(root):
    return (root / ".locks" / "sweep.stamp").stat().st_mtime


@pytest.mark.parametrize(
    ("limits", "rest"),
    [
        ((0, 0), 60),
        ((0, 800), 60),
        ((0, 86_400), 5400),
        ((600, 86_400), 5400),
        ((0, 0, 1600), 100),
        ((0, 86_400, 1600), 100),
        ((0, 1600, 86_400), 100),
        ((0, 30 * 86_400), 86_400),
    ],
)
def test_a_pass_comes_as_often_as_it_matters(
    make_store, root, clock, limits, rest
):
    """For a sixteenth of the limit expired sessions may take their room."""
    deactivate, remove, *lifetime = limits
    ws = WebSession(
        make_store(sweep_interval=60), deactivate, remove, clock=clock,
        maxLifetime=sum(lifetime),
    )  # fmt: skip
    ws.newSession()
    ws.cleanUp()
    assert due(root) == pytest.approx(clock.now + rest, abs=1)


def test_a_pass_comes_as_often_as_limits_of_sessions_matter(
    make_store, root, clock
):
    """Of those that are left and are shorter than the common one."""
    ws = WebSession(
        make_store(sweep_interval=60),
        0,
        86_400,
        clock=clock,
        crossCheckVars=(),
    )
    for idle, rest in (30 * 86_400, 5400), (3200, 200), (1600, 100):
        ws.newSession(idle=idle)
        for _ in range(30):
            ws.newSession()
        ws.cleanUp()
        assert due(root) == pytest.approx(clock.now + rest, abs=1)
    clock.move(1601)
    ws.cleanUp()
    assert due(root) == pytest.approx(clock.now + 200, abs=1)
    clock.move(1600)
    ws.cleanUp()
    assert due(root) == pytest.approx(clock.now + 5400, abs=1)


def test_a_pass_comes_by_for_the_first_session_with_a_short_limit(
    make_store, root, clock
):
    ws = WebSession(make_store(sweep_interval=60), 0, 30 * 86_400, clock=clock)
    ws.newSession()
    ws.cleanUp()
    clock.move(10)
    for idle, soon in (0, 86_390), (40 * 86_400, 86_390), (1800, 1800):
        ws.newSession(idle=idle)
        assert due(root) == pytest.approx(clock.now + soon, abs=1)
    clock.move(100)
    ws.newSession(idle=1800)
    assert due(root) == pytest.approx(clock.now + 1700, abs=1)
    ws.newSession(idle=5)
    assert due(root) == pytest.approx(clock.now + 60, abs=1)


def test_a_sweep_finds_the_shortest_limit_of_a_shard(make_session, clock):
    ws = make_session(0, 86_400, store_options={"shards": 16})
    engine, shortest = ws._store.engine, {}
    for idle in random.Random(3).sample(range(100, 5000), 100):
        name = handle(ws.newSession(idle=idle))
        shard = engine.layout.prefix(engine.layout.shard(name))
        shortest[shard] = min(idle, shortest.get(shard, idle))
        ws.newSession()
        # One that is superseded goes by another time.
        ws.regenerateSession(ws.newSession(idle=50), grace=9, idle=90_000)
    for shard, idle in shortest.items():
        swept = engine.backend.sweep_shard(
            engine.layout.join(shard), shard, clock.now, 86_400, 0
        )
        assert swept.own == idle


def test_slices_remember_the_shortest_limit_of_a_session(
    make_session, root, clock
):
    ws = make_session(
        0, 86_400,
        store_options={
            "sweep_interval": 60, "shards": 16, "sweep_budget": 1e-9,
        },
    )  # fmt: skip
    for idle in 3200, 1600, 2400:
        ws.newSession(idle=idle)
    ws.cleanUp()
    clock.move(101)
    for _ in range(16):
        assert due(root) <= clock.now
        ws.newSession()
        clock.move(5)
    assert due(root) == pytest.approx(clock.now - 5 + 100, abs=1)


def test_a_pass_that_takes_long_comes_less_often(slices, root, clock):
    """It takes no more than a hundredth of one processor."""
    ws, ticking = slices(0.0001, 0.1)
    while len(ticking.shards) < 16:
        ws.newSession()
        clock.move(2.1)
    clock.move(-2.1)
    assert due(root) == pytest.approx(clock.now + 160, abs=0.1)


def test_when_a_slice_is_due_is_known_for_a_second(ws, root, monkeypatch):
    sliced, real = [], time.monotonic
    monkeypatch.setattr(
        "websession.disk.sweep.Sweeper._slice",
        lambda *args: sliced.append(args),
    )
    ws.cleanUp()
    ws.newSession()
    os.utime(root / ".locks" / "sweep.stamp", (0, 0))
    ws.newSession()
    assert sliced == []
    monkeypatch.setattr(time, "monotonic", lambda: real() + 1.01)
    ws.newSession()
    assert len(sliced) == 1


@pytest.fixture
def full(make_session, clock):
    """A store at its limit, half of whose sessions soon expire."""
    ws = make_session(
        0, 86_400, maxSessionCount=10,
        store_options={"sweep_interval": 60, "shards": 16},
    )  # fmt: skip
    ws.brief = [ws.newSession(idle=10) for _ in range(5)]
    ws.long = [ws.newSession() for _ in range(5)]
    ws.cleanUp()
    return ws


def test_who_would_be_refused_looks_for_what_has_expired(full, clock):
    with pytest.raises(MaxSessionCountExceeded):
        full.newSession()
    clock.move(61)
    for _ in range(5):
        full.newSession()
        clock.move(0.1)
    assert full.countSessions() == 10
    with pytest.raises(MaxSessionCountExceeded):
        full.newSession()
    for sid in full.long:
        full.retrieveSession(sid)


def test_who_is_refused_looks_at_everything_once_in_an_interval(
    full, clock, monkeypatch
):
    swept = []
    real = sweep.Sweeper._try_shard
    monkeypatch.setattr(
        sweep.Sweeper,
        "_try_shard",
        lambda self, shard, *more: (
            swept.append(shard), real(self, shard, *more)
        ),
    )  # fmt: skip
    # Not the automatic passes, which come by for sessions of 60 seconds.
    monkeypatch.setattr(sweep.Sweeper, "slice_if_due", lambda *args: None)
    full.deleteSession(full.brief.pop())
    full.newSession()
    for sid in full.brief:
        full.storeSession(sid, "kept fresh")
    clock.move(61)
    for sid in full.brief:
        full.deleteSession(sid)
        full.newSession()
    assert swept == []
    for _ in range(20):
        with pytest.raises(MaxSessionCountExceeded):
            full.newSession()
        clock.move(2.9)
    assert swept == list(range(16))
    clock.move(3)
    with pytest.raises(MaxSessionCountExceeded):
        full.newSession()
    assert swept == [*range(16), *range(16)]


def test_a_pass_that_began_long_ago_has_not_looked_at_everything(full, clock):
    now, _, lifetime, remove = full._limits()
    sweeper = full.sessiondict.engine.sweeper()
    for shards, _ in sweeper.whole_pass(now, remove, lifetime):
        if shards == 15:
            break  # the rest of it is left to a slice
    sweeper._known = (0.0, 0.0)
    clock.move(61)
    for _ in range(5):
        full.newSession()
        clock.move(0.1)
    assert full.countSessions() == 10


def test_a_sweep_that_fails_is_no_reason_to_say_something_else(
    full, clock, monkeypatch, caplog
):
    def fail(*args):
        raise OSError(5, "Input/output error")

    clock.move(61)
    monkeypatch.setattr("websession.disk.sweep.Sweeper._finish", fail)
    monkeypatch.setattr("websession.disk.sweep.Sweeper._try_shard", fail)
    with pytest.raises(MaxSessionCountExceeded):
        full.newSession()
    assert "no room was looked for: [Errno 5]" in caplog.text


def test_without_automatic_sweeps_whoever_is_one_too_many_is_refused(
    make_session, clock
):
    ws = make_session(0, 100, maxSessionCount=1)
    ws.newSession()
    clock.move(101)
    with pytest.raises(MaxSessionCountExceeded):
        ws.newSession()
    assert ws.cleanUp() == 1
    ws.newSession()


def test_several_processes_find_all_places_of_expired_sessions(make_store):
    store = make_store(sweep_interval=60)

    def opened(clock=None):
        return WebSession(store, 0, 3600, maxSessionCount=40, clock=clock)

    past = opened(lambda: time.time() - 7200)
    for _ in range(40):
        past.newSession()

    def fill(number):
        ws, made = opened(), 0
        try:
            while True:
                ws.newSession()
                made += 1
        except MaxSessionCountExceeded:
            return made

    assert sum(in_processes(4, fill)) == 40
    assert opened().countSessions() == 40
    assert len(opened().listSessions()) == 40
