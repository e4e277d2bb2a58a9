"""
A session on its way from one store to another: whatever comes in between, it
is in one of the two, as it was stored last, or logged out in both.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import shelve
import sys
import time
import traceback
from datetime import datetime, timedelta

import pytest

from support import Child, at, file_of
from websession import (
    BadSessionId,
    CorruptData,
    InvalidSessionId,
    SessionBusy,
    SessionLocked,
    SessionStoreError,
    WebSession,
)
from websession.legacy import (
    CherryPyFiles,
    MovingSession,
    Shelf,
    source,
)
from websession.serializers import Serializer
from websession.stores import transit
from websession.stores.transit import COPIED, GONE, THERE, carry

ID = "0123456789" * 4
STORED = 1.7e9


def put(directory, data="old", stored=STORED, in_place=False):
    """As CherryPy writes it, or renamed to its place as Django does."""
    path = directory / f"session-{ID}"
    raw = pickle.dumps((data, datetime.now() + timedelta(hours=1)))
    target = path if in_place else directory / "temporary"
    target.write_bytes(raw)
    target.chmod(0o600)
    os.utime(target, (stored, stored))
    os.rename(target, path)


class Impatient(MovingSession):
    """Does not wait for those who have the session."""

    def lockSession(self, session_id, timeout=10, label=""):
        return super().lockSession(session_id, 0, label)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old"
    path.mkdir(mode=0o700)
    put(path)
    return path


@pytest.fixture
def make_moving(make_store):
    def make(*sources, store=None, kind=MovingSession, **options):
        # An empty store is false.
        store = make_store() if store is None else store
        return kind(store, 0, 0, (), sources=sources, **options)

    return make


@pytest.fixture
def moving(old, make_moving):
    return make_moving(CherryPyFiles(old))


def bring(moving, **options):
    options.setdefault("remove", True)
    return carry(
        ID, moving._sources[0], moving._store, at(time.time()), **options
    )


def has(source):
    """What the source has."""
    found = source.find(ID)
    return None if found is None else found.data


def is_gone(directory):
    return list(directory.iterdir()) == []


# What a crash left


@pytest.mark.parametrize("limit", [None, 10])
def test_an_empty_file_is_no_session(old, moving, store, root, limit):
    """A killed mover leaves one: it made the file and did not write it."""
    WebSession(store, maxSessionCount=limit).newSession()
    file_of(root, ID).parent.mkdir(mode=0o700, exist_ok=True)
    file_of(root, ID).touch(0o600)
    assert moving.retrieveSession(ID) == "old"
    assert is_gone(old)
    assert store.count() == 2


def test_an_empty_file_that_somebody_fills_is_waited_for(
    old, make_store, make_moving, root
):
    moving = make_moving(CherryPyFiles(old), store=make_store(lock_timeout=0))
    moving.newSession()
    path = file_of(root, ID)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(0o600)
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SessionBusy):
            moving.retrieveSession(ID)
        assert path.exists()
    assert has(moving._sources[0]) == "old"
    assert moving.retrieveSession(ID) == "old"


def test_what_was_set_aside_is_still_there(old, moving):
    """A killed mover had it out of the reach of its old application."""
    path = old / f"session-{ID}"
    path.rename(f"{path}.moving")
    assert list(moving._sources[0].ids()) == [ID]
    assert moving.retrieveSession(ID) == "old"
    assert is_gone(old)


def test_what_was_set_aside_is_logged_out(old, moving):
    path = old / f"session-{ID}"
    path.rename(f"{path}.moving")
    put(old, "stored since")
    assert list(moving._sources[0].ids()) == [ID]
    assert has(moving._sources[0]) == "stored since"
    moving.deleteSession(ID)
    assert is_gone(old)


def test_a_leftover_does_not_outlive_a_new_id(old, moving):
    bring(moving, remove=False)
    new = moving.regenerateSession(ID)
    assert is_gone(old)
    with pytest.raises(InvalidSessionId):
        moving.retrieveSession(ID)
    assert moving.retrieveSession(new) == "old"


def test_no_id_at_all_is_malformed(moving):
    for call in moving.regenerateSession, moving.retrieveSession:
        for bad in None, 7, "", "../" * 5:
            with pytest.raises(BadSessionId):
                call(bad)


# Verify


def unreadable(raw):
    raise ValueError("cannot be read")


def test_what_does_not_read_back_stays_where_it_was(
    old, make_moving, make_store
):
    broken = Serializer(
        200, "broken", lambda data: json.dumps(data).encode(), unreadable
    )
    source = CherryPyFiles(old)
    ws = make_moving(source, store=make_store(serializer=broken))
    for _ in range(2):
        with pytest.raises(CorruptData):
            ws.move(ID)
        assert has(source) == "old"


# Again


def test_what_was_stored_since_replaces_what_was_copied(old, moving):
    assert bring(moving, remove=False) == COPIED
    assert bring(moving, remove=False) == THERE
    put(old, "newer", STORED + 1)
    assert bring(moving, remove=False) == COPIED
    record = moving.readSession(ID)
    assert (record.data, record.stored) == ("newer", STORED + 1)
    assert record.created == STORED
    put(old, "newest", STORED + 2)
    assert bring(moving) == COPIED
    assert moving.retrieveSession(ID) == "newest"
    assert is_gone(old)


def test_what_is_newer_here_stays(old, moving):
    bring(moving, remove=False)
    moving.storeSession(ID, "stored here")
    put(old, "stored there", STORED + 1)
    assert bring(moving) == THERE
    assert moving.retrieveSession(ID) == "stored here"
    assert is_gone(old)


def test_what_was_copied_and_has_expired_is_made_anew(tmp_path, make_store):
    path = str(tmp_path / "shelf")
    with contextlib.closing(shelve.open(path)) as opened:
        now = [STORED]
        ws = WebSession(opened, sessionIDLength=40, clock=lambda: now[0])
        session_id = ws.newSession(data="old", idle=10)
    source, store = Shelf(path, length=40), make_store()

    def bring():
        return carry(session_id, source, store, at(now[0]), remove=False)

    assert bring() == COPIED
    with contextlib.closing(shelve.open(path)) as opened:
        ws = WebSession(opened, sessionIDLength=40, clock=lambda: now[0])
        for _ in range(5):
            now[0] += 9
            ws.storeSession(session_id, "kept alive")
    assert bring() == COPIED
    record = store.read(session_id, now[0])
    assert (record.data, record.stored) == ("kept alive", now[0])
    assert record.idle == 10


def test_an_id_that_is_over_here_is_not_taken_over(old, moving, make_store):
    """Its session has another ID, and nobody has swept yet."""
    bring(moving, remove=False)
    moving.regenerateSession(ID, grace=1e-9)
    put(old)
    assert bring(moving) == GONE
    with pytest.raises(InvalidSessionId):
        moving.retrieveSession(ID)


def test_a_renewed_session_leaves_nothing_where_it_was(old, moving):
    bring(moving, remove=False)
    new = moving.regenerateSession(ID, grace=60)
    put(old, "newer", STORED + 1)
    assert bring(moving) == THERE
    assert is_gone(old)
    assert moving.retrieveSession(new) == "old"


def test_failures_do_not_tell_the_id(old, moving):
    path = old / f"session-{ID}"
    path.unlink()
    path.mkdir()
    with pytest.raises(SessionStoreError) as caught:
        moving.deleteSession(ID)
    assert str(old) in str(caught.value)
    assert ID not in "".join(traceback.format_exception(caught.value))


# What comes in between


class Stopped:
    """
    Runs something between two lines of the code that moves sessions.

    Attributes:
        lines: how many there were.
    """

    _files = (transit.__file__, source.__file__)

    def __init__(self, number, action):
        self._number, self._action = number, action
        self.lines = 0

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc):
        sys.settrace(self._before)

    def _trace(self, frame, event, _):
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            if self.lines == self._number:
                sys.settrace(None)
                self._action()
                sys.settrace(self._trace)
            self.lines += 1
        return self._trace


class Between:
    """
    Something that is done while a session is moved, in a process of its own.

    Args:
        old: where the session was.
        store: where it comes to.
    """

    # Whether it asks for the lock: then it may have to wait.
    asks = False

    def __init__(self, old, store):
        self.old, self.store = old, store
        self.tried = self.done = False
        self.path = old / f"session-{ID}"
        self.source = CherryPyFiles(old)

    def __call__(self):
        self.tried = True
        self.done = Child(self.attempt).result()

    def attempt(self):
        transit._LOCK_PATIENCE = 0.0
        try:
            return self.act()
        except SessionLocked:
            assert self.asks
            return False

    def impatient(self):
        return Impatient(self.store, 0, 0, (), sources=[self.source])

    def state(self):
        """Data in the store and where it was."""
        try:
            here = WebSession(
                self.store, crossCheckVars=(), sessionIDLength=40
            ).retrieveSession(ID)
        except InvalidSessionId:
            here = None
        return here, has(self.source)


class LogOut(Between):
    asks = True

    def act(self):
        self.impatient().deleteSession(ID)
        return True

    def check(self):
        assert self.state() == (None, None)


class LogOutInTheOldApplication(Between):
    def act(self):
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
            return True
        return False

    def check(self):
        expected = None if self.done else "old"
        assert self.state() == (expected, None)


class LogOutInAnotherNewApplication(Between):
    def act(self):
        return self.store.delete(ID)

    def check(self):
        expected = None if self.done else "old"
        assert self.state() == (expected, None)


class StoreInTheOldApplication(Between):
    in_place = False
    stored = STORED + 1

    def act(self):
        if self.path.exists():
            put(self.old, "newer", self.stored, self.in_place)
            return True
        return False

    def check(self):
        here, there = self.state()
        if self.done and there is not None:
            # When it had been moved: not lost, though nobody looks there.
            assert (here, there) == ("old", "newer")
        else:
            assert (here, there) == ("newer" if self.done else "old", None)


class StoreInPlace(StoreInTheOldApplication):
    in_place = True


class StoreAtTheSameTime(StoreInTheOldApplication):
    stored = STORED


class UseHere(Between):
    def act(self):
        ws = WebSession(self.store, crossCheckVars=(), sessionIDLength=40)
        try:
            ws.storeSession(ID, "newer")
        except InvalidSessionId:
            return False
        return True

    def check(self):
        expected = "newer" if self.done else "old"
        assert self.state() == (expected, None)


class AnotherMove(Between):
    asks = True

    def act(self):
        self.impatient().move(ID)
        return True

    def check(self):
        assert self.state() == ("old", None)


class AnotherCopy(Between):
    asks = True

    def act(self):
        carry(ID, self.source, self.store, at(0), remove=False)
        return True

    def check(self):
        assert self.state() == ("old", None)


KINDS = [*Between.__subclasses__(), StoreInPlace, StoreAtTheSameTime]
# Whatever these do before anybody has looked is what a crash left.
LATER = (
    LogOutInTheOldApplication, LogOutInAnotherNewApplication,
    StoreAtTheSameTime, StoreInPlace,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "was_copied"),
    [(kind, False) for kind in KINDS]
    + [(kind, True) for kind in KINDS if kind not in LATER],
)
def test_something_between_any_two_lines(store, old, kind, was_copied):
    number = lines = refused = 0
    while number <= lines:
        put(old)
        between = kind(old, store)
        if was_copied:
            carry(ID, between.source, store, at(0), remove=False)
        ws = MovingSession(store, 0, 0, (), sources=[between.source])
        with Stopped(number, between) as stopped:
            ws.move(ID)
        if kind.asks and not between.done:
            refused += between.tried
            between()
            assert between.done
        between.check()
        lines = max(lines, stopped.lines) if number else stopped.lines
        number += 1
        between.source.remove(ID)
        store.delete(ID)
    assert number > 30
    # Killed between two lines, nobody would undo what was done.
    assert not kind.asks or refused > 20


@pytest.mark.parametrize(
    "kind", [LogOutInTheOldApplication, LogOutInAnotherNewApplication]
)
def test_a_log_out_of_what_was_copied_before(store, old, kind):
    """By somebody who has no part in moving, when both have been looked at."""
    between = kind(old, store)
    carry(ID, between.source, store, at(0), remove=False)
    ws = MovingSession(store, 0, 0, (), sources=[between.source])
    remove = between.source.remove

    def remove_later(*args):
        between.source.remove = remove
        between()
        if kind is LogOutInAnotherNewApplication:
            put(old, "newer")
        return remove(*args)

    between.source.remove = remove_later
    ws.move(ID)
    assert between.done
    between.check()
