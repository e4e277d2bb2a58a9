"""New IDs: what is left of a session under the old one, and who ends both."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import websession
from clocks import Clock
from machine import NO_EXTENSION
from support import Child, file_of, session_files
from websession import (
    FileStore,
    InvalidSessionId,
    SessionBusy,
    SessionRenewed,
    SessionStoreError,
    SessionTooLarge,
    WebSession,
)
from websession.admin.inspector import Inspector
from websession.ids import handle
from websession.stores.records import RecordStore
from websession.web import Session, SessionCookie, SessionManager
from wrapping import WrappingEngine

ENV = {"REMOTE_ADDR": "192.0.2.1"}
SOURCE = str(Path(websession.__file__).parent)


def is_dead(ws, session_id):
    with pytest.raises(InvalidSessionId) as caught:
        ws.retrieveSession(session_id, ENV)
    return not isinstance(caught.value, SessionRenewed)


def chain(ws, length, **how):
    """A session and the IDs it got one after the other."""
    ids = [ws.newSession(ENV, data="data")]
    for _ in range(length):
        ids.append(ws.regenerateSession(ids[-1], ENV, 10, **how))
    return ids


# The old ID


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.retrieveSession(sid, ENV),
        lambda ws, sid: ws.readSession(sid, ENV),
        lambda ws, sid: ws.storeSession(sid, "late"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: "late"),
        lambda ws, sid: ws.regenerateSession(sid),
    ],
)
def test_during_grace_the_old_id_says_that_it_was_renewed(
    make_any, clock, call
):
    ws = make_any()
    old, new = chain(ws, 1)
    clock.move(9)
    with pytest.raises(SessionRenewed):
        call(ws, old)
    assert old in ws.sessiondict
    clock.move(1)
    with pytest.raises(InvalidSessionId) as caught:
        call(ws, old)
    assert not isinstance(caught.value, SessionRenewed)
    assert ws.retrieveSession(new, ENV) == "data"


def test_the_record_of_the_old_id_holds_nothing(ws, backend):
    from websession.disk.backend import choose

    old, _ = chain(ws, 1)
    path = os.fsencode(file_of(ws.sessiondict.path, old))
    raw = choose(backend).read(path, handle(old), 1.0)
    assert len(raw) == 64 + 24


def test_a_mapping_holds_nothing_under_the_old_id():
    kept = {}
    old, _ = chain(WebSession(kept), 1)
    assert kept[old][1] is None
    assert kept["__session_checkvars__" + old] == {}


def test_without_grace_no_file_is_left(ws, root):
    old = ws.newSession()
    new = ws.regenerateSession(old)
    assert session_files(root) == [file_of(root, new)]


def test_the_new_id_has_variables_of_its_own(make_any):
    ws = make_any()
    old = ws.newSession(ENV)
    other = {"REMOTE_ADDR": "192.0.2.2"}
    new = ws.regenerateSession(old, {**ENV, "REMOTE_HOST": "here"}, 10)
    assert ws.readSession(new, {**ENV, "REMOTE_HOST": "here"}).env == {
        **ENV, "REMOTE_HOST": "here",
    }  # fmt: skip
    # Who fails the cross-check learns no more than anybody else.
    with pytest.raises(SessionRenewed):
        ws.retrieveSession(old, other)


# Chains


@pytest.mark.parametrize("readable", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_log_out_under_any_of_its_ids_ends_all(make_any, number, readable):
    ws = make_any()
    ids = chain(ws, 2, readable=readable)
    other = ws.newSession()
    ws.deleteSession(ids[number])
    for each in ids:
        assert is_dead(ws, each)
        with pytest.raises(InvalidSessionId):
            ws.storeSession(each, "late")
    assert ws.countSessions() == 1
    assert ws.retrieveSession(other) == "_created_"


def test_a_snapshot_reads_while_its_successor_has_no_new_id(make_any):
    ws = make_any()
    old, new = chain(ws, 1, readable=True)
    assert ws.retrieveSession(old, ENV) == "data"
    newer = ws.regenerateSession(new, ENV, 10, readable=True)
    with pytest.raises(SessionRenewed):
        ws.retrieveSession(old, ENV)
    assert ws.retrieveSession(new, ENV) == "data"
    newest = ws.regenerateSession(newer, ENV)
    # What had no grace leads nowhere.
    assert is_dead(ws, old)
    assert is_dead(ws, new)
    assert ws.retrieveSession(newest, ENV) == "data"


def test_a_chain_is_followed_when_one_of_its_times_is_over(make_any, clock):
    ws = make_any()
    old = ws.newSession(ENV)
    new = ws.regenerateSession(old, grace=100)
    newer = ws.regenerateSession(new, grace=1)
    clock.move(5)
    assert is_dead(ws, new)
    with pytest.raises(SessionRenewed):
        ws.retrieveSession(old, ENV)
    ws.deleteSession(newer)
    assert is_dead(ws, old)


def test_a_long_chain_ends_as_a_whole(make_any):
    ws = make_any()
    ids = chain(ws, 20)
    assert is_dead(ws, ids[0])  # too long to be followed at each read
    with pytest.raises(SessionRenewed):
        ws.retrieveSession(ids[10], ENV)
    ws.deleteSession(ids[0])
    assert all(is_dead(ws, each) for each in ids)
    assert ws.countSessions() == 0


def test_what_ends_by_itself_ends_alone(make_any, clock):
    ws = make_any(0, 50)
    old = ws.newSession(ENV, data="data")
    new = ws.regenerateSession(old, grace=100, readable=True)
    clock.move(40)
    ws.touchSession(new)
    clock.move(20)
    assert is_dead(ws, old)  # idle for too long, and deleted for that
    assert old not in ws.sessiondict
    assert ws.retrieveSession(new, ENV) == "data"
    newer = ws.regenerateSession(new, grace=10)
    clock.move(11)
    ws.cleanUp()
    assert new not in ws.sessiondict
    assert ws.retrieveSession(newer, ENV) == "data"


def test_a_new_process_knows_the_successor(make_store, root, clock):
    ids = chain(WebSession(make_store(), clock=clock), 2)
    other = WebSession(make_store(), clock=clock)
    with pytest.raises(SessionRenewed):
        other.retrieveSession(ids[0], ENV)
    other.deleteSession(ids[0])
    assert session_files(root) == []


@pytest.mark.parametrize("limit", [None, 9])
def test_a_log_out_counts_each_session_once(make_session, limit):
    ws = make_session(maxSessionCount=limit)
    ws.newSession()
    for number in range(3):
        ws.deleteSession(chain(ws, 2)[number])
        assert ws.countSessions() == len(ws.listSessions()) == 1


def test_a_command_deletes_all_that_followed(ws, root, console):
    for number in range(3):
        ids = chain(ws, 2)
        console.run_forked("delete", root, handle(ids[number]).decode())
        assert all(is_dead(ws, each) for each in ids)


def test_there_is_nothing_to_show_under_the_old_id(ws, root, console):
    old, _ = chain(ws, 1)
    out = console.text("show", root, handle(old).decode(), "--data")
    assert "superseded by a new ID" in out
    assert out.endswith("null\n")


# Files that are not as they should be


def test_a_mark_that_a_crash_left_is_no_new_id(make_any):
    ws = make_any()
    if not isinstance(ws.sessiondict, FileStore):
        pytest.skip("a mapping has no marks")
    path = ws.sessiondict.path
    old, new = chain(ws, 1, readable=True)
    file_of(path, new).chmod(0o700)
    assert ws.retrieveSession(old, ENV) == "data"
    ws.storeSession(new, "more")
    ws.deleteSession(new)
    assert is_dead(ws, old)
    assert is_dead(ws, new)


@pytest.mark.parametrize("what", ["damaged", "forged", "a link"])
def test_what_cannot_be_followed_is_deleted_alone(make_store, root, what):
    ws = WebSession(make_store(secret=b"the secret of both"))
    old, new = chain(ws, 1)
    path = file_of(root, old)
    if what == "damaged":
        path.write_bytes(b"nonsense" * 200)
    elif what == "forged":
        ws = WebSession(make_store(secret=b"another secret, 16"))
    else:
        path.unlink()
        path.symlink_to(file_of(root, new))
        with pytest.raises(SessionStoreError):
            ws.deleteSession(old)
        path.unlink()
        path.touch(0o700)
    ws.deleteSession(old)
    assert path.exists() == (what == "a link")  # then it is empty: no session
    assert file_of(root, new).exists()


def test_a_successor_that_cannot_be_verified_is_not_followed(make_store, root):
    ws = WebSession(make_store(secret=b"the first one, 16"))
    ids = chain(ws, 2)
    both = [b"the first one, 16", b"the second one, 16"]
    WebSession(make_store(secret=both)).regenerateSession(ids[2], ENV, 10)
    # An older worker, which does not know the second one: its request does
    # not take the cookie away.
    with pytest.raises(websession.CorruptData):
        ws.retrieveSession(ids[0], ENV)


# With other data


def test_data_and_limit_change_on_the_way(make_any):
    ws = make_any(0, 100)
    old = ws.newSession(ENV, data={"a": 1})
    new = ws.regenerateSession(
        old, ENV, 10, func=lambda data: {**data, "b": 2}, idle=500
    )
    record = ws.readSession(new, ENV)
    assert (record.data, record.idle) == ({"a": 1, "b": 2}, 500)
    newer = ws.regenerateSession(new, readable=True, grace=9, func=len, idle=0)
    record = ws.readSession(newer, ENV)
    assert (record.data, record.idle) == (2, 0)
    assert ws.retrieveSession(new, ENV) == {"a": 1, "b": 2}


def test_what_cannot_be_stored_leaves_the_old_id(make_session):
    ws = make_session(store_options={"max_size": 100})
    old = ws.newSession(data="data")
    for error, func in (
        (SessionTooLarge, lambda data: "x" * 200),
        (ZeroDivisionError, lambda data: 1 / 0),
        (Exception, lambda data: lambda: None),
    ):
        with pytest.raises(error):
            ws.regenerateSession(old, func=func)
        assert ws.retrieveSession(old) == "data"
        assert ws.countSessions() == 1
    with pytest.raises(ValueError):
        ws.regenerateSession(old, idle=-1)


def test_a_function_sees_what_others_stored_meanwhile(make_any):
    ws = make_any()
    old, seen = ws.newSession(data=0), []

    def func(data):
        seen.append(data)
        if len(seen) < 3:
            ws.storeSession(old, data + 1)  # as another process would
        return [data]

    new = ws.regenerateSession(old, func=func)
    assert seen == [0, 1, 2]
    assert ws.retrieveSession(new) == [2]


def test_a_function_that_never_ends_is_busy(make_any, monkeypatch):
    monkeypatch.setattr("websession.regenerating.LONGEST_UPDATE", 0.0)
    ws = make_any()
    old = ws.newSession(data=0)

    def func(data):
        return ws.storeSession(old, data + 1)

    with pytest.raises(SessionBusy):
        ws.regenerateSession(old, func=func)
    assert ws.countSessions() == 1
    assert ws.retrieveSession(old) > 0


# Exceptions and other processes, at each line


OLD, NEW = "sessionOfOld", "sessionOfNew"


class Fixed(WebSession):
    """Draws IDs that are known beforehand."""

    drawn = NEW

    def _generateSessionID(self, maxtry=1):
        return self.drawn


def opened(root, backend, **options):
    return Fixed(
        FileStore(root, backend=backend, sweep_interval=0, **options),
        crossCheckVars=(),
    )


def held_back():
    """Whether signals are, as in the middle of what must not be left."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def at_line(number, func, happens, files=()):
    """
    Calls `func`, and `happens` before the so manieth line of this package that
    it comes to: in files of these names, or wherever a signal may arrive.
    """
    left = number

    def trace(frame, event, arg):
        nonlocal left
        name = frame.f_code.co_filename
        if not name.startswith(SOURCE) or (files and not name.endswith(files)):
            return None
        if event == "line" and (files or not held_back()):
            left -= 1
            if left == 0:
                sys.settrace(None)
                happens()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        func()
    finally:
        sys.settrace(before)


class Interrupted(BaseException):
    """What a signal handler may raise."""


def interrupt():
    raise Interrupted


@pytest.mark.stress
@pytest.mark.parametrize(
    ("grace", "limit"), [(0, None), (10, None), (0, 9), (10, 9)]
)
def test_an_exception_at_any_line_loses_nothing(root, backend, grace, limit):
    ws = opened(root, backend)
    ws.maxSessionCount = limit
    ends, interrupted = {"old": 0, "new": 0}, True
    for number in itertools.count(1):
        ws.drawn = OLD
        ws.newSession(data="data")
        ws.drawn = NEW
        try:
            at_line(
                number,
                lambda: ws.regenerateSession(OLD, grace=grace),
                interrupt,
            )
        except Interrupted:
            interrupted = True
        else:
            interrupted = False
        left = OLD if not is_refused(ws, OLD) else NEW
        assert ws.retrieveSession(left) == "data"
        if not interrupted:
            assert left == NEW
            break
        ends["old" if left == OLD else "new"] += 1
        for path in session_files(root):
            path.unlink()
        if limit:
            ws.cleanUp()
    assert ends["old"] > 20
    assert ends["new"] > 5


def is_refused(ws, session_id):
    try:
        ws.retrieveSession(session_id)
    except InvalidSessionId:
        return True
    return False


# What comes between two system calls that others can see.
STEPS = (
    "regenerating.py", "records.py", "engine.py", "succession.py",
    "operations.py", "files.py",
)  # fmt: skip


def paused(number, func):
    """
    Starts `func` in a process that stops before the so manieth line. Returns
    the process, a function that lets it go on, and whether it came so far.
    """
    (here, there), (wait, go) = os.pipe(), os.pipe()

    def pause():
        os.write(there, b".")
        os.read(wait, 1)

    def run():
        os.close(here)
        os.close(go)
        try:
            at_line(number, func, pause, STEPS)
        except InvalidSessionId:
            return "refused"
        return "done"

    child = Child(run)
    os.close(there)
    os.close(wait)
    stopped = os.read(here, 1) == b"."
    os.close(here)
    return child, (lambda: os.close(go)), stopped


def meeting(root, backend, prepare, slow, quick, check):
    """
    One process stops at each line of `slow` in turn, while another does all
    of `quick`; in which ways they ended.
    """
    ws = opened(root, backend)
    impatient = opened(root, backend, lock_timeout=0)
    outcomes, stopped = [], True
    while stopped:
        prepare(ws)
        child, go, stopped = paused(
            len(outcomes) + 1, lambda: slow(opened(root, backend))
        )
        was_there = file_of(root, OLD).exists()
        try:
            went = ended(quick, impatient)
            go()
            outcomes.append((went, child.result()))
        except SessionBusy:  # the one that is stopped has the lock
            go()
            outcomes.append(("later", child.result()))
            was_there = file_of(root, OLD).exists()
            ended(quick, ws)
        check(ws, was_there)
        for path in session_files(root):
            path.unlink()
    assert len(outcomes) > 20
    return set(outcomes)


def ended(call, ws):
    try:
        call(ws)
    except InvalidSessionId:
        return "refused"
    return "at once"


def make_old(ws):
    ws.drawn = OLD
    ws.newSession(data="data")


def nothing_is_left(ws, was_there=True):
    assert ws.countSessions() == 0
    for each in OLD, NEW, "sessionNewer":
        with pytest.raises(InvalidSessionId):
            ws.retrieveSession(each)


def renew(ws, grace=60):
    ws.drawn = NEW
    ws.regenerateSession(OLD, grace=grace)


def renew_again(ws):
    ws.drawn = "sessionNewer"
    ws.regenerateSession(NEW, grace=60)


def log_out(ws):
    ws.deleteSession(OLD)


def make_both(ws):
    make_old(ws)
    renew(ws)


@pytest.mark.stress
def test_a_log_out_meets_a_slow_new_id(root, backend):
    outcomes = meeting(
        root, backend, make_old, renew, log_out, nothing_is_left
    )
    assert {went for _, went in outcomes} == {"refused", "done"}


@pytest.mark.stress
def test_a_log_out_meets_a_slow_new_id_without_grace(root, backend):
    def check(ws, was_there):
        if was_there:
            nothing_is_left(ws)
        else:  # the log-out was of an ID that nobody had any more
            assert ws.retrieveSession(NEW) == "data"

    meeting(root, backend, make_old, lambda ws: renew(ws, 0), log_out, check)


@pytest.mark.stress
def test_a_new_id_meets_a_slow_log_out(root, backend):
    meeting(root, backend, make_old, log_out, renew, nothing_is_left)


@pytest.mark.stress
def test_a_second_new_id_meets_a_slow_log_out(root, backend):
    outcomes = meeting(
        root, backend, make_both, log_out, renew_again, nothing_is_left
    )
    assert {"refused", "at once"} <= {went for went, _ in outcomes}


@pytest.mark.stress
def test_a_log_out_meets_a_slow_second_new_id(root, backend):
    meeting(root, backend, make_both, renew_again, log_out, nothing_is_left)


@pytest.mark.stress
def test_two_log_outs_meet(root, backend):
    meeting(
        root, backend, make_both, log_out,
        lambda ws: ws.deleteSession(NEW), nothing_is_left,
    )  # fmt: skip


@pytest.mark.stress
def test_a_killed_log_out_can_be_repeated(root, backend):
    ws, left = opened(root, backend), set()
    for number in itertools.count(1):
        make_both(ws)
        renew_again(ws)
        child, go, stopped = paused(
            number, lambda: log_out(opened(root, backend))
        )
        if stopped:
            child.kill()
        child.wait()
        go()
        alive = [
            each
            for each in (OLD, NEW, "sessionNewer")
            if not is_refused(ws, each)
        ]
        # Half a log-out leaves nothing that reads but the last of them.
        assert alive in ([], ["sessionNewer"])
        left.add(len(alive))
        log_out(ws)
        nothing_is_left(ws)
        if not stopped:
            break
    assert left == {0, 1}


def test_a_failure_behind_the_point_of_no_return_is_none(any_engine):
    engine = WrappingEngine(any_engine)
    ws = WebSession(RecordStore(engine))
    old = ws.newSession(data="data")
    for grace in 0, 10:
        engine.after("commit", SessionStoreError("after it was done"))
        old = ws.regenerateSession(old, grace=grace)
        assert ws.retrieveSession(old) == "data"
    lost = engine.outcomes("commit")
    assert [type(each) for each in lost] == [SessionStoreError] * 2
    assert ws.countSessions() == 1


def test_who_comes_second_has_no_new_id_left(any_engine):
    """Also where the system fails when it is told so."""
    engine = WrappingEngine(any_engine)
    ws = WebSession(RecordStore(engine))
    old = ws.newSession(data="data")
    other = WebSession(RecordStore(any_engine))
    engine.before("commit", lambda: other.regenerateSession(old, grace=10))
    engine.before("commit", SessionStoreError("before it was done"))
    with pytest.raises(SessionStoreError):
        ws.regenerateSession(old, grace=10)
    assert ws.countSessions() == 1


def test_an_inspector_deletes_one_version_alone(ws, root, backend):
    old, new = chain(ws, 1)
    store = Inspector(root, backend=backend)
    raw = store._raw(handle(old))
    assert store.delete(handle(old), raw[:64])
    assert ws.retrieveSession(new, ENV) == "data"


# In a request


class Browser:
    """Sends the cookie that it has."""

    def __init__(self, manager, cookie=""):
        self.manager = manager
        self.cookie = cookie

    def begin(self):
        return Session(self.manager, {"HTTP_COOKIE": self.cookie})

    def end(self, session):
        """Commits; what of the cookie is told to the browser."""
        session._commit()
        told = session._for_browser()
        if told is not None:
            self.cookie = f"sid={told}" if told else ""
        return told

    def contents(self):
        session = self.begin()
        found = dict(session)
        self.end(session)
        return found

    def store(self, **values):
        session = self.begin()
        session.update(values)
        return self.end(session)

    def another(self):
        """Another request of the same browser, with the same cookie."""
        return Browser(self.manager, self.cookie)


@pytest.fixture
def events():
    return []


@pytest.fixture
def browser(make_any, events):
    ws = make_any(1800, crossCheckVars=(), sessionIDLength=32)
    manager = SessionManager(
        ws, cookie=SessionCookie("sid", secure=None), on_event=events.append
    )
    browser = Browser(manager)
    browser.store(cart=[1])
    return browser


def log_in(browser, **how):
    """A log-in; another request of before it."""
    late = browser.another()
    session = browser.begin()
    session.regenerate(**how)
    session["user"] = "ann"
    browser.end(session)
    return late


def test_a_late_request_gets_an_empty_session(browser, events):
    late = log_in(browser)
    del events[:]
    session = late.begin()
    assert dict(session) == {}
    assert isinstance(session.ended, SessionRenewed)
    assert (session.id, session.new, session.created) == (None, False, None)
    assert not session.modified
    session["late"] = 1
    assert session.modified
    assert late.end(session) is None
    assert [(each.name, each.detail) for each in events] == [
        ("unknown-id", "it has a new ID"),
        ("drop", "it has a new ID"),
    ]
    assert browser.contents() == {"cart": [1], "user": "ann"}


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.get("a"),
        lambda session: session.clear(),
        lambda session: session.regenerate(),
        lambda session: session.update(a=1),
        lambda session: session._end_if_empty(),
        lambda session: setattr(session, "idle", 5),
        lambda session: session._lock(1),
    ],
)
def test_a_late_request_changes_neither_session_nor_cookie(browser, use):
    late = log_in(browser)
    session = late.begin()
    use(session)
    session._end_if_empty()
    assert session._commit_at_once() in (True, False)
    assert late.end(session) is None
    session._unlock()
    assert browser.contents() == {"cart": [1], "user": "ann"}
    with pytest.raises(SessionRenewed):
        late.begin().atomically(lambda data: data.update(a=1))


def test_a_late_log_out_is_one(browser, events):
    late = log_in(browser)
    session = late.begin()
    session.invalidate()
    assert late.end(session) == ""
    assert events[-1].name == "delete"
    assert browser.contents() == {}
    assert browser.manager.sessions.countSessions() == 0


def test_after_a_late_log_out_another_session_begins(browser):
    late = log_in(browser)
    session = late.begin()
    session.invalidate()
    session["again"] = True
    assert late.end(session)
    assert late.contents() == {"again": True}
    assert browser.contents() == {}


def test_a_readable_grace_is_asked_for_by_name(browser):
    late = log_in(browser, readable=True)
    session = late.begin()
    assert dict(session) == {"cart": [1]}
    assert session.ended is None
    session["late"] = 1
    assert late.end(session) is None
    session = late.begin()
    session.invalidate()
    assert late.end(session) == ""
    assert browser.contents() == {}


def test_who_asks_twice_gets_what_is_safer(browser):
    late = browser.another()
    for order in (True, False), (False, True):
        session = browser.begin()
        for readable in order:
            session.regenerate(readable=readable)
        browser.end(session)
        assert late.contents() == {}
        late = browser.another()


def test_a_chain_of_new_ids_leaves_the_cookie_alone(browser):
    late = log_in(browser, readable=True)
    log_in(browser, readable=True)
    session = late.begin()
    assert dict(session) == {}
    assert late.end(session) is None
    session = late.begin()
    session.invalidate()
    late.end(session)
    assert browser.contents() == {}


def test_a_newer_cookie_beside_the_old_one_counts(browser):
    late = log_in(browser)
    both = Browser(browser.manager, f"{late.cookie}; {browser.cookie}")
    assert both.contents() == {"cart": [1], "user": "ann"}
    unknown = "sid=" + "x" * 32
    for cookie in f"{late.cookie}; {unknown}", f"{unknown}; {late.cookie}":
        late.cookie = cookie
        session = late.begin()
        assert dict(session) == {}
        assert late.end(session) is None


def test_an_atomic_change_takes_the_new_id_first(browser):
    late, session = browser.another(), browser.begin()
    session.regenerate()
    session.atomically(lambda data: data.update(user="ann"))
    assert late.contents() == {}
    assert session.id != late.cookie.partition("=")[2]
    session["more"] = 1
    browser.end(session)
    assert browser.contents() == {"cart": [1], "user": "ann", "more": 1}


def test_an_atomic_change_that_fails_leaves_the_old_id(browser):
    session = browser.begin()
    session.regenerate()
    with pytest.raises(ZeroDivisionError):
        session.atomically(lambda data: 1 / 0)
    # Nothing is told to the browser after an exception, so its cookie has to
    # be good for something.
    assert browser.contents() == {"cart": [1]}
    session["user"] = "ann"
    browser.end(session)
    assert browser.contents() == {"cart": [1], "user": "ann"}


def test_an_atomic_change_of_what_was_deleted_clears_the_cookie(browser):
    session, other = browser.begin(), browser.another()
    session.regenerate()
    ending = other.begin()
    ending.invalidate()
    with pytest.raises(InvalidSessionId):
        session.atomically(lambda data: data.update(a=1))
    assert browser.end(session) == ""
    assert browser.manager.sessions.countSessions() == 0


def test_what_is_too_large_leaves_the_old_id(root, backend):
    manager = SessionManager(
        FileStore(root, serializer="json", max_size=200, backend=backend),
        cookie=SessionCookie("sid", secure=None),
    )
    browser = Browser(manager)
    browser.store(a=1)
    session = browser.begin()
    session.regenerate()
    session["b"] = "x" * 200
    with pytest.raises(SessionTooLarge):
        session._commit()
    assert browser.contents() == {"a": 1}
    # Nor if it is what others stored that makes it so.
    session, other = browser.begin(), browser.another()
    session["b"] = "x" * 110
    session.regenerate()
    other.store(c="y" * 110)
    with pytest.raises(SessionTooLarge):
        session._commit()
    assert browser.contents() == {"a": 1, "c": "y" * 110}
    assert manager.sessions.countSessions() == 1


def test_a_session_made_in_the_request_needs_no_other_id(browser):
    browser.cookie = ""
    session = browser.begin()
    session.regenerate()
    session.atomically(lambda data: data.update(user="ann"))
    made = session.id
    assert browser.end(session) == made


# All orders


SECRET = "<secret>"
steps = st.sampled_from(
    [
        "set",
        "delete",
        "regenerate",
        "atomically",
        "invalidate",
        "idle",
        "other",
        "clear",
    ]
)


def step(session, kind, value, other):
    """One thing that an application does with the session of a request."""
    if kind == "set":
        session[f"key{value}"] = value
    elif kind == "delete":
        session.pop(next(iter(session), ""), None)
    elif kind == "regenerate":
        session.regenerate(readable=True)
    elif kind == "atomically":
        try:
            session.atomically(lambda data: data.update(atomic=value))
        except InvalidSessionId:
            pass
    elif kind == "invalidate":
        session.invalidate()
    elif kind == "clear":
        session.clear()
    elif kind == "idle":
        session.idle = 77
    else:
        other()


@pytest.mark.parametrize("kind", ["dict", "c", "python"])
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(order=st.lists(steps, max_size=7), grace=st.sampled_from([0, 10]))
def test_nothing_set_after_a_new_id_is_had_under_the_old_one(
    kind, order, grace
):
    if kind == "c" and NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    with tempfile.TemporaryDirectory() as place:
        check_order(kind, Path(place, "store"), order, grace)


def check_order(kind, root, order, grace):
    target = {}
    if kind != "dict":
        target = FileStore(
            root, serializer="json", backend=kind, sweep_interval=0
        )
    ws = WebSession(
        target, 1800, crossCheckVars=(), sessionIDLength=32, clock=Clock()
    )
    manager = SessionManager(
        ws, cookie=SessionCookie("sid", secure=None), grace=grace
    )
    browser = Browser(manager)
    browser.store(first=1)
    old = browser.cookie.partition("=")[2]
    late, session = browser.another(), browser.begin()
    value = 0
    for number, kind_of_step in enumerate(order):
        if kind_of_step == "regenerate":
            value = SECRET
        step(
            session, kind_of_step, value or number,
            lambda: late.another().store(other=number),
        )  # fmt: skip
        nothing_secret(ws, root, old)
    browser.end(session)
    nothing_secret(ws, root, old)
    assert SECRET not in str(late.contents())
    if "regenerate" in order:
        told = browser.cookie.partition("=")[2]
        assert told != old or "invalidate" in order


def nothing_secret(ws, root, old):
    try:
        assert SECRET not in str(ws.retrieveSession(old))
    except InvalidSessionId:
        pass
    if isinstance(ws.sessiondict, dict):
        assert SECRET not in str(ws.sessiondict.get(old))
    elif file_of(root, old).exists():
        assert SECRET.encode() not in file_of(root, old).read_bytes()
