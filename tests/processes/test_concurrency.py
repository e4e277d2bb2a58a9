"""Many real processes on one store."""

from __future__ import annotations

import os
import random
import signal
import time
from types import SimpleNamespace

import pytest

from support import Child, at, file_of, in_processes, session_files, until
from websession import (
    FileStore,
    GenerateIDError,
    InvalidSessionId,
    MaxSessionCountExceeded,
    WebSession,
)
from websession.disk import sweep

pytestmark = pytest.mark.stress


def open_session(root, backend, *args, **options):
    store = FileStore(root, backend=backend, sweep_interval=0)
    return WebSession(store, *args, **options)


def increment(data):
    return {**data, "n": data["n"] + 1}


def test_eight_processes_lose_no_update_of_one_session(root, backend):
    ws = open_session(root, backend)
    sid = ws.newSession()
    ws.storeSession(sid, {"n": 0, "padding": "x" * 200})

    def work(number):
        for _ in range(2000):
            ws.updateSession(sid, increment)

    def watch(number):
        last, reads = 0, 0
        while last < 16_000:
            data = ws.retrieveSession(sid)
            assert data["padding"] == "x" * 200
            assert data["n"] >= last
            last, reads = data["n"], reads + 1
        return reads

    watchers = [Child(watch, number) for number in range(2)]
    in_processes(8, work)
    assert ws.retrieveSession(sid)["n"] == 16_000
    assert all(watcher.result() > 10 for watcher in watchers)


def test_eight_processes_lose_no_update_of_fifty_sessions(root, backend):
    ws = open_session(root, backend)
    ids = [ws.newSession() for _ in range(50)]
    for sid in ids:
        ws.storeSession(sid, {"n": 0})

    def work(number):
        choose = random.Random(number).choice
        own = WebSession(FileStore(root, backend=backend))
        for _ in range(2000):
            own.updateSession(choose(ids), increment)

    in_processes(8, work)
    assert sum(ws.retrieveSession(sid)["n"] for sid in ids) == 16_000


def test_both_backends_lose_no_update_of_the_same_session(root, backend):
    ws = open_session(root, backend)
    sid = ws.newSession()
    ws.storeSession(sid, {"n": 0})

    def work(number):
        own = open_session(root, ("python", backend)[number % 2])
        for _ in range(500):
            own.updateSession(sid, increment)

    in_processes(4, work)
    assert ws.retrieveSession(sid)["n"] == 2000


def test_readers_of_changing_sizes_see_whole_and_never_older_states(
    root, backend
):
    ws = open_session(root, backend)
    sid = ws.newSession()
    ws.storeSession(sid, (0, b""))
    rounds = 3000

    def write(number):
        sizes = random.Random(5)
        for turn in range(1, rounds + 1):
            size = sizes.choice((10, 300, 600, 3000, 9000, 30_000))
            ws.storeSession(sid, (turn, bytes([turn % 251]) * size))

    def read(number):
        last = 0
        while last < rounds:
            turn, body = ws.retrieveSession(sid)
            assert turn >= last
            assert body == bytes([turn % 251]) * len(body)
            last = turn

    children = [Child(write, 0), *(Child(read, n) for n in range(3))]
    for child in children:
        child.result()


def test_the_limit_is_exact_across_processes(root, backend):
    ws = open_session(root, backend, maxSessionCount=500)

    def work(number):
        made = []
        while True:
            try:
                made.append(ws.newSession())
            except MaxSessionCountExceeded:
                return made

    def watch(number):
        most = 0
        while most < 500:
            most = max(most, len(session_files(root)))
        return most

    watcher = Child(watch, 0)
    made = [sid for ids in in_processes(8, work) for sid in ids]
    assert len(set(made)) == 500
    assert ws.countSessions() == 500
    assert watcher.result() == 500
    assert all(ws.retrieveSession(sid) == "_created_" for sid in made)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 1076, b"WSC\x01" * 269, b"\0" * 5000]
)
def test_a_damaged_count_is_made_anew_when_it_is_needed(
    root, backend, content
):
    ws = open_session(root, backend, 0, 3600)
    ids = [ws.newSession() for _ in range(5)]
    count = root / ".count"
    count.write_bytes(content)
    ids.append(ws.newSession())
    ws.deleteSession(ids[0])
    ws.regenerateSession(ids[1], grace=60)
    # None of these needs the numbers.
    assert count.read_bytes() == content
    assert ws.countSessions() == len(ws.listSessions()) == 5
    assert count.stat().st_size == 1076


def test_who_has_just_seen_that_nobody_counts_is_counted(root, backend):
    ws = open_session(root, backend, 0, 3600)
    first = ws.newSession()
    counting = open_session(root, backend, 0, 3600, maxSessionCount=3)
    counting.newSession()
    ws.newSession()
    with pytest.raises(MaxSessionCountExceeded):
        counting.newSession()
    ws.deleteSession(first)
    counting.newSession()
    assert counting.countSessions() == len(ws.listSessions()) == 3


def test_the_count_is_written_when_it_has_changed(root, backend):
    ws = open_session(root, backend, 0, 3600, maxSessionCount=3)
    ids = [ws.newSession() for _ in range(3)]
    count = root / ".count"
    assert ws.countSessions() == 3
    os.utime(count, (1, 1))
    assert ws.countSessions() == 3
    ws.deleteSession("neverNever12")
    assert ws.cleanUp() == 0
    with pytest.raises(MaxSessionCountExceeded):
        ws.newSession()
    assert count.stat().st_mtime == 1
    ws.deleteSession(ids[0])
    assert count.stat().st_mtime > 1


def counted_files(root):
    """Of sessions in force, as far as the files' modes say so."""
    alive = [path for path in session_files(root) if path.stat().st_size]
    return [path for path in alive if not path.stat().st_mode & 0o100]


def test_the_count_is_exact_after_creators_and_deleters_are_killed(
    root, backend
):
    ws = open_session(root, backend, 0, 3600, maxSessionCount=60)
    chance = random.Random(11)

    def work(number):
        own = open_session(root, backend, 0, 3600, maxSessionCount=60)
        mine = []
        while True:
            try:
                mine.append(own.newSession())
            except MaxSessionCountExceeded:
                pass
            if len(mine) > 3:
                own.deleteSession(mine.pop(0))
            if mine and chance.random() < 0.1:
                mine[-1] = own.regenerateSession(mine[-1], grace=0.01)

    for _ in range(25):
        children = [Child(work, number) for number in range(4)]
        time.sleep(chance.uniform(0.005, 0.05))
        for child in children:
            child.kill()
        for child in children:
            child.wait()
        assert len(counted_files(root)) <= 60
        # Takes away the marks of sessions that were about to be superseded.
        ws.cleanUp()
        assert ws.countSessions() == len(ws.listSessions())
        for path in counted_files(root):
            path.unlink()
        ws.cleanUp()
        assert ws.countSessions() == 0
    made = []
    with pytest.raises(MaxSessionCountExceeded):
        while True:
            made.append(ws.newSession())
    assert len(made) == 60


def test_a_killed_writer_leaves_a_state_that_was_stored(root, backend):
    ws = open_session(root, backend)
    sid = ws.newSession()
    ws.storeSession(sid, (0, ""))
    chance = random.Random(3)

    def write(start):
        turn = start
        while True:
            turn += 1
            ws.storeSession(sid, (turn, str(turn) * (turn % 400)))

    last = 0
    for _ in range(500):
        child = Child(write, last)
        time.sleep(chance.uniform(0, 0.004))
        child.kill()
        child.wait()
        turn, body = ws.retrieveSession(sid)
        assert turn >= last
        assert body == str(turn) * (turn % 400)
        ws.storeSession(sid, (turn + 1, str(turn + 1) * ((turn + 1) % 400)))
        last = turn + 1


def test_two_processes_never_get_the_same_id(root, backend, recwarn):
    alphabet = "abcdefgh"

    def work(number):
        ws = open_session(
            root, backend, sessionIDLength=2, sessionIDChars=alphabet
        )
        made = []
        for _ in range(40):
            try:
                made.append(ws.newSession())
                ws.storeSession(made[-1], number)
            except GenerateIDError:
                continue
        assert all(ws.retrieveSession(sid) == number for sid in made)
        return made

    import warnings

    warnings.simplefilter("ignore")
    made = [sid for ids in in_processes(8, work) for sid in ids]
    assert len(made) == len(set(made))
    assert 32 <= len(made) <= 64


def test_a_sweep_never_removes_what_is_kept_fresh(root, backend):
    limit = 0.4
    ws = open_session(root, backend, 0, limit)
    # With a time before which each was not stored.
    fresh = {}
    for _ in range(40):
        before = time.time()
        fresh[ws.newSession()] = before
    stale = [ws.newSession() for _ in range(200)]
    foreign = file_of(root, next(iter(fresh))).parent / "README"
    foreign.write_text("not a session")
    over = root / ".over"

    def keep(number):
        """Refreshes its sessions; those that it could not in time are lost."""
        mine = dict(list(fresh.items())[number::4])
        for _ in range(200):
            for sid in list(mine):
                before = time.time()
                try:
                    if random.random() < 0.5:
                        ws.storeSession(sid, "kept")
                    else:
                        ws.touchSession(sid)
                except InvalidSessionId:
                    # Only if we were kept from the processor for so long.
                    last = mine.pop(sid)
                    assert time.time() - last > limit
                else:
                    mine[sid] = before
            time.sleep(0.01)

    def sweep(number):
        removed = 0
        while not over.exists() or any(sid in ws.sessiondict for sid in stale):
            removed += ws.cleanUp()
        return removed

    children = [Child(keep, number) for number in range(4)]
    sweepers = [Child(sweep, number) for number in range(2)]
    for child in children:
        child.result()
    over.touch()
    removed = sum(child.result() for child in sweepers)
    assert removed == 240 - len(set(session_files(root)) - {foreign})
    assert not any(sid in ws.sessiondict for sid in stale)
    assert foreign.read_text() == "not a session"


def test_create_delete_and_reads_of_one_name_are_never_seen_as_damage(
    root, backend
):
    """Unlinking by path once hit files made anew."""
    store = FileStore(root, backend=backend, sweep_interval=0)
    over = root / ".over"

    def create(number):
        made = 0
        while made < 150:
            made += store.create("same", "x" * 300, {}, at(time.time()))

    def delete(number):
        gone = 0
        while not over.exists():
            gone += store.delete("same")
        return gone

    def read(number):
        while not over.exists():
            try:
                assert store.read("same", time.time()).data == "x" * 300
            except InvalidSessionId:
                pass

    makers = [Child(create, n) for n in range(2)]
    takers = [Child(delete, n) for n in range(2)]
    readers = [Child(read, n) for n in range(2)]
    for child in makers:
        child.result()
    over.touch()
    gone = sum(child.result() for child in takers)
    for child in readers:
        child.result()
    assert 300 - gone == ("same" in store)
    assert not (root / ".damaged").exists()


def test_regenerate_carries_a_concurrent_store_over(root, backend):
    ws = open_session(root, backend)
    for grace in (0, 60) * 60:
        sid = ws.newSession()
        ws.storeSession(sid, 0)

        def store(number, sid=sid):
            acknowledged = 0
            try:
                while True:
                    ws.storeSession(sid, acknowledged + 1)
                    acknowledged += 1
            except InvalidSessionId:
                return acknowledged

        child = Child(store, 0)
        until(lambda sid=sid: ws.retrieveSession(sid) > 0)
        new = ws.regenerateSession(sid, grace=grace)
        assert ws.retrieveSession(new) == child.result()
        ws.deleteSession(new)


def test_log_out_wins_over_everything_else(root, backend):
    ws = open_session(root, backend)
    for _ in range(60):
        sid = ws.newSession()
        ws.storeSession(sid, {"n": 0})

        def work(number, sid=sid):
            try:
                while True:
                    if number == 0:
                        ws.storeSession(sid, {"n": 5})
                    elif number == 1:
                        ws.touchSession(sid)
                    else:
                        ws.updateSession(sid, increment)
            except InvalidSessionId:
                return os.path.exists(file_of(root, sid))

        children = [Child(work, number) for number in range(3)]
        time.sleep(0.003)
        ws.deleteSession(sid)
        assert not any(child.result() for child in children)
        assert not file_of(root, sid).exists()


def test_a_stopped_lock_holder_does_not_hang_the_others(root, backend):
    """Whoever is stopped while it holds a session's lock costs a timeout."""
    import fcntl

    from websession import SessionBusy

    store = FileStore(
        root, backend=backend, lock_timeout=0.2, sweep_interval=0
    )
    ws = WebSession(store, 0, 3600)
    sid = ws.newSession()
    ready = root / ".ready"

    def hold(number):
        fd = os.open(file_of(root, sid), os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        ready.touch()
        signal.pause()

    child = Child(hold, 0)
    until(ready.exists)
    child.kill(signal.SIGSTOP)
    with pytest.raises(SessionBusy, match="stopped"):
        ws.storeSession(sid, "data")
    with pytest.raises(SessionBusy):
        ws.deleteSession(sid)
    assert ws.retrieveSession(sid) == "_created_"
    assert ws.cleanUp() == 0
    child.kill()
    child.wait()
    ws.storeSession(sid, "data")
    assert ws.retrieveSession(sid) == "data"


def test_lock_session_excludes_other_processes(root, backend):
    ws = open_session(root, backend)
    sid = ws.newSession()
    ws.storeSession(sid, 0)

    def work(number):
        for _ in range(25):
            with ws.lockSession(sid, timeout=60):
                ws.storeSession(sid, ws.retrieveSession(sid) + 1)

    in_processes(6, work)
    assert ws.retrieveSession(sid) == 150


class Work:
    """
    A clock that goes by with what is done: what a shard and a session cost is
    what they cost in Python on a quiet machine, and this one may be busy.
    """

    SHARD, REMOVAL, CREATION = 60e-6, 40e-6, 60e-6

    def __init__(self, monkeypatch):
        self.seconds = 1_800_000_000.0
        here = SimpleNamespace(
            time=time.time,
            perf_counter=self,
            thread_time=self,
            monotonic=self,
        )
        monkeypatch.setattr(sweep, "time", here)
        sweep_shard = sweep.Sweeper._sweep_shard

        def timed(sweeper, shard, now, idle, lifetime, tally):
            before = tally.removed
            sweep_shard(sweeper, shard, now, idle, lifetime, tally)
            self.seconds += self.SHARD
            self.seconds += self.REMOVAL * (tally.removed - before)

        monkeypatch.setattr(sweep.Sweeper, "_sweep_shard", timed)

    def __call__(self):
        return self.seconds


def test_automatic_sweep_keeps_up_with_new_sessions(
    root, backend, monkeypatch
):
    """Up to 500 new sessions a second, of which each lives for a second."""
    clock = Work(monkeypatch)
    store = FileStore(root, backend=backend, sweep_interval=0.5)
    ws = WebSession(store, 0, 1, clock=clock)
    oldest = []
    for turn in range(300):
        for _ in range(20):
            ws.newSession()
            clock.seconds += Work.CREATION
        clock.seconds += 0.04 - 20 * Work.CREATION
        if turn % 25 == 24:
            times = [p.stat().st_mtime for p in session_files(root)]
            oldest.append(clock() - min(times))
    # A second of life, two or three between passes, and the passes; without a
    # sweep it would be the twelve seconds of this test and more.
    assert max(oldest) < 6, oldest
