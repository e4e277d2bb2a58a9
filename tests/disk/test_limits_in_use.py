"""The store knows the limits of whoever makes sessions in it."""

from __future__ import annotations

import fcntl
import math
import os

import pytest

from support import in_processes
from websession import FileStore, WebSession
from websession.disk.limitsnote import NOTED_FOR, in_use, note_limits

DAY = 86400.0


@pytest.fixture
def note(root):
    return root / ".locks" / "limits"


def used(store, clock):
    found = store.engine.limits(clock.now)
    return found and (found.idle, found.lifetime, found.remove)


def test_nothing_is_known_before_a_session_is_made(make_store, clock, note):
    store = make_store()
    ws = WebSession(store, 600, 3600, maxLifetime=DAY, clock=clock)
    assert used(store, clock) is None
    ws.newSession()
    assert used(store, clock) == ((600, 600), (DAY, DAY), (3600, 3600))
    assert note.stat().st_mode & 0o7777 == 0o600


def test_the_smallest_and_the_largest_of_all_applications(make_store, clock):
    store = make_store()
    for remove, lifetime in (3600, DAY), (60, 30 * DAY), (7200, 10 * DAY):
        WebSession(
            store, 0, remove, maxLifetime=lifetime, clock=clock
        ).newSession()
    assert used(make_store(), clock) == (
        (60, 7200), (DAY, 30 * DAY), (60, 7200)
    )  # fmt: skip
    WebSession(store, clock=clock).newSession()
    assert used(make_store(), clock) == ((60, 0), (DAY, 0), (60, 0))


def test_limits_that_nobody_uses_any_more_are_forgotten(make_store, clock):
    store = make_store()
    WebSession(store, 0, 60, clock=clock).newSession()
    long = WebSession(store, 0, 40 * DAY, clock=clock)
    long.newSession()
    clock.move(30 * DAY + 1)
    assert used(store, clock)[2] == (40 * DAY, 40 * DAY)
    clock.move(10 * DAY)
    assert used(store, clock) is None
    long.newSession()
    clock.move(40 * DAY - 1)
    assert used(store, clock)[2] == (40 * DAY, 40 * DAY)


def test_it_is_written_four_times_a_day_by_who_makes_sessions(
    make_store, clock, note
):
    ws = WebSession(make_store(), 0, 3600, clock=clock)
    ws.newSession()
    first = note.read_bytes()
    for _ in range(10):
        clock.move(NOTED_FOR / 20)
        ws.newSession()
        WebSession(make_store(), 0, 3600, clock=clock).newSession()
    assert note.read_bytes() == first
    clock.move(NOTED_FOR / 2 + 1)
    ws.newSession()
    assert note.read_bytes() != first
    assert used(make_store(), clock)[2] == (3600, 3600)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"garbage",
        b"1 2 3\n",
        b"1 2 3 nan\n",
        b"nan 2 3 4\n",
        b"-1 0 0 1800000000\n",
        b"1 2 3 4 5\n",
        b"\xff\0" * 3000,
        b"inf 0 0 1800000000\n",
        b"1e300 0 0 1800000000\n",
    ],
)
def test_what_is_no_note_is_none(make_store, clock, note, content):
    store = make_store()
    ws = WebSession(store, 0, 3600, clock=clock)
    ws.newSession()
    note.write_bytes(content)
    assert used(store, clock) is None
    WebSession(make_store(), 0, 3600, clock=clock).newSession()
    assert used(store, clock)[2] == (3600, 3600)


def test_it_stays_small(make_store, clock, note):
    store = make_store()
    for seconds in range(1, 100):
        WebSession(store, 0, seconds, clock=clock).newSession()
        clock.move(0.001)
    assert note.stat().st_size < 4096
    assert len(store.engine._noted) < 70
    assert used(store, clock)[2] == (68, 99)


@pytest.mark.parametrize("what", ["directory", "link", "others"])
def test_a_note_that_is_not_ours_hinders_nobody(
    make_store, clock, note, what, tmp_path
):
    ws = WebSession(make_store(), 0, 3600, clock=clock)
    note.parent.mkdir(mode=0o700)
    if what == "directory":
        note.mkdir()
    elif what == "link":
        (tmp_path / "theirs").write_bytes(b"60 60 60 1800000000\n")
        note.symlink_to(tmp_path / "theirs")
    else:
        note.write_bytes(b"60 60 60 1800000000\n")
        note.chmod(0o666)
    assert ws.retrieveSession(ws.newSession()) == "_created_"
    assert ws.cleanUp() == 0
    if what == "link":
        assert (tmp_path / "theirs").read_bytes().startswith(b"60 60 60")


def test_several_processes_note_theirs(make_store, clock):
    store = make_store()
    store.engine.layout.make(b".locks")
    clock_now = clock.now

    def noted(number):
        done = 0
        for turn in range(200):
            limits = clock_now, 0.0, 0.0, 100.0 * number + turn % 3 + 1
            try:
                note_limits(store.engine.layout, limits)
                done += 1
            except OSError:
                pass  # another process is at it: the next one notes it
            found = in_use(store.engine.layout, clock_now)
            assert found is None or found.remove[0] >= 1
        return done

    assert all(in_processes(4, noted))
    found = in_use(store.engine.layout, clock_now)
    assert found.remove[1] >= 301


def test_what_could_not_be_noted_is_tried_again(make_store, clock, note):
    store = make_store()
    ws = WebSession(store, 0, 3600, clock=clock)
    note.parent.mkdir(mode=0o700)
    with open(note, "wb") as held:
        note.chmod(0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        ws.newSession()
    assert used(store, clock) is None
    clock.move(61)
    ws.newSession()
    assert used(store, clock)[2] == (3600, 3600)


def test_a_limit_of_for_ever_is_none(make_store, clock):
    store = make_store()
    WebSession(store, 0, 3600, clock=clock).newSession()
    WebSession(store, 0, math.inf, clock=clock).newSession()
    assert used(store, clock)[2] == (3600, 0)


def test_limits_are_the_same_to_a_thousandth(make_store, clock, note):
    WebSession(make_store(), 0, 100 / 3, clock=clock).newSession()
    before = note.read_bytes()
    clock.move(1)
    WebSession(make_store(), 0, 100 / 3, clock=clock).newSession()
    assert note.read_bytes() == before


def test_a_shorter_note_has_no_end_of_a_longer_one(
    make_store, clock, note, monkeypatch
):
    store = make_store()
    for seconds in range(1, 20):
        WebSession(store, 0, seconds, clock=clock).newSession()
    clock.move(31 * DAY)
    # As whoever reads between the two sees it.
    monkeypatch.setattr("os.ftruncate", lambda *args: None)
    WebSession(store, 0, 3600, clock=clock).newSession()
    assert used(store, clock)[2] == (3600, 3600)
    assert note.read_bytes().strip().count(b"\n") == 0


def test_commands_note_nothing(make_store, root, note):
    from websession.admin.inspector import Inspector

    make_store()
    inspector = Inspector(root)
    assert inspector.limits() is None
    assert not note.exists()


# What follows from it


def test_a_sweep_on_the_way_ends_no_session_of_another_application(
    make_store, clock
):
    store = make_store(sweep_interval=60)
    brief = WebSession(store, 0, 100, clock=clock)
    long = WebSession(FileStore(store.path), 0, 10_000, clock=clock)
    kept = long.newSession(data="kept")
    clock.move(5000)
    for _ in range(300):
        brief.newSession()
        clock.move(1)
    assert long.retrieveSession(kept) == "kept"
    clock.move(10_001)
    for _ in range(300):
        brief.newSession()
        clock.move(1)
    assert long.countSessions() < 700
    assert not os.path.exists(store.engine.locate(kept)[1])


def test_a_pass_comes_as_often_as_the_shortest_limit_asks_for(
    make_store, root, clock
):
    store = make_store(sweep_interval=60)
    WebSession(store, 0, 1600, clock=clock).newSession()
    long = WebSession(make_store(sweep_interval=60), 0, DAY, clock=clock)
    long.newSession()
    long.cleanUp()
    due = (root / ".locks" / "sweep.stamp").stat().st_mtime
    assert due == pytest.approx(clock.now + 100, abs=1)


@pytest.fixture(params=["dict", "store"])
def counted(request, make_store, clock):
    store = {} if request.param == "dict" else make_store()
    return WebSession(store, 100, 1000, maxLifetime=5000, clock=clock)


def test_live_sessions_are_counted(counted, clock):
    for idle in (0, 500, 0):
        counted.newSession(idle=idle)
    clock.move(101)
    assert counted.countSessions() == 3
    assert counted.countSessions(live=True) == 1
    counted.newSession()
    assert counted.countSessions(live=True) == 2
    clock.move(450)
    assert counted.countSessions(live=True) == 0
    assert counted.countSessions(live=False) == 4
