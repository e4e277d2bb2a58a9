"""A session's own idle limit, longer or shorter than that of the others."""

from __future__ import annotations

import pytest

from support import at_each_line, file_of
from websession import FileStore, InvalidSessionId, WebSession
from websession.stores import records
from websession.web import Session, SessionCookie, SessionManager

LONG, SHORT = 10_000, 50


@pytest.mark.parametrize("limits", [(100, 200), (0, 200), (100, 0), (0, 0)])
def test_a_longer_limit_outlives_the_others(make_any, clock, limits):
    ws = make_any(*limits)
    remembered = ws.newSession(data="remembered", idle=LONG)
    ws.newSession()
    clock.move(LONG)
    ws.cleanUp()
    assert ws.retrieveSession(remembered) == "remembered"
    ws.storeSession(remembered, "stored")
    clock.move(LONG)
    assert ws.retrieveSession(remembered) == "stored"
    clock.move(1)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(remembered)
    assert remembered not in ws.sessiondict


def test_a_sweep_spares_longer_limits_until_they_are_over(make_any, clock):
    ws = make_any(100, 200)
    ws.newSession(idle=LONG)
    ws.newSession()
    clock.move(201)
    assert ws.cleanUp() == 1
    clock.move(LONG)
    assert ws.cleanUp() == 1
    assert ws.countSessions() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.retrieveSession(sid),
        lambda ws, sid: ws.storeSession(sid, "late"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: "late"),
        lambda ws, sid: ws.regenerateSession(sid),
    ],
)
def test_a_shorter_limit_ends_the_session(make_any, clock, call):
    ws = make_any(100, 200)
    sid = ws.newSession(idle=SHORT)
    clock.move(SHORT)
    ws.touchSession(sid)
    clock.move(SHORT + 1)
    with pytest.raises(InvalidSessionId):
        call(ws, sid)


@pytest.mark.parametrize(
    "write",
    [
        lambda ws, sid: ws.storeSession(sid, "new"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: "new"),
        lambda ws, sid: ws.replaceSession(
            sid, "new", ws.readSession(sid).version
        ),
    ],
)
def test_writing_keeps_the_limit(make_any, write):
    ws = make_any(100, 200)
    sid = ws.newSession(idle=LONG)
    write(ws, sid)
    assert ws.readSession(sid).idle == LONG
    (info,) = ws.listSessions()
    assert info.idle == LONG


@pytest.mark.parametrize("idle", [0, SHORT])
def test_an_update_changes_the_limit(make_any, clock, idle):
    ws = make_any(100, 200)
    sid = ws.newSession(idle=LONG)
    ws.updateSession(sid, lambda data: "updated", idle=idle)
    assert ws.readSession(sid).idle == idle
    clock.move((idle or 200) + 1)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)


def test_a_replacement_changes_the_limit_if_nobody_wrote(make_any):
    ws = make_any(100, 200)
    sid = ws.newSession()
    version = ws.readSession(sid).version
    assert ws.replaceSession(sid, "mine", version, idle=LONG) is not None
    assert ws.replaceSession(sid, "late", version, idle=SHORT) is None
    record = ws.readSession(sid)
    assert (record.data, record.idle) == ("mine", LONG)


def test_a_new_id_keeps_the_limit(make_any):
    ws = make_any(100, 200)
    sid = ws.regenerateSession(ws.newSession(idle=LONG))
    assert ws.readSession(sid).idle == LONG


def test_a_limit_that_changes_during_a_renewal_moves_along(make_any):
    ws = make_any(100, 200)
    sid = ws.newSession()
    create = ws._create

    def create_late(*args):
        new_id = create(*args)
        ws._create = create
        ws.updateSession(sid, lambda data: "late", idle=LONG)
        return new_id

    ws._create = create_late
    record = ws.readSession(ws.regenerateSession(sid))
    assert (record.data, record.idle) == ("late", LONG)


def test_a_store_from_memory_does_not_undo_another_ones_limit(
    root, backend, clock
):
    """One process remembers the limit as it was before the other's update."""
    one, two = (
        WebSession(
            FileStore(root, backend=backend, sweep_interval=0),
            100, 200, clock=clock,
        )
        for _ in range(2)
    )  # fmt: skip
    sid = one.newSession()
    two.updateSession(sid, lambda data: "two", idle=LONG)
    one.storeSession(sid, "one")
    record = two.readSession(sid)
    assert (record.data, record.idle) == ("one", LONG)


def test_the_absolute_lifetime_still_counts(make_any, clock):
    ws = make_any(100, 200, maxLifetime=500)
    sid = ws.newSession(idle=LONG)
    clock.move(501)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, "late")


@pytest.mark.parametrize("idle", [-1, 2**32, float("nan"), "60"])
def test_what_is_no_limit_is_refused(make_any, idle):
    ws = make_any()
    with pytest.raises(ValueError, match="idle is 0"):
        ws.newSession(idle=idle)
    sid = ws.newSession()
    with pytest.raises(ValueError, match="idle is 0"):
        ws.updateSession(sid, lambda data: "new", idle=idle)
    assert ws.retrieveSession(sid) == "_created_"


def test_fractions_are_rounded_up_and_the_longest_is_kept(make_any):
    ws = make_any()
    assert ws.readSession(ws.newSession(idle=0.5)).idle == 1
    assert ws.readSession(ws.newSession(idle=2**32 - 1)).idle == 2**32 - 1


@pytest.fixture
def visitor(make_session):
    """Opens the session of a browser that keeps its cookie."""
    manager = SessionManager(
        make_session(0, 200, crossCheckVars=(), sessionIDLength=32),
        cookie=SessionCookie("sid", secure=None),
    )
    browser = {}

    def request(change):
        header = "; ".join(f"{key}={value}" for key, value in browser.items())
        session = Session(manager, {"HTTP_COOKIE": header})
        result = change(session)
        session._commit()
        sent = session._cookie()
        if sent is not None:
            key, _, value = sent.partition(";")[0].partition("=")
            browser[key] = value
        return result, sent

    return request


def remember(session):
    session["user"] = "ann"
    session.idle = LONG


def test_remember_me(visitor, clock):
    _, sent = visitor(remember)
    assert f"; Max-Age={LONG}" in sent
    clock.move(LONG)
    found, sent = visitor(lambda session: (dict(session), session.idle))
    assert found == ({"user": "ann"}, LONG)
    assert f"; Max-Age={LONG}" in sent  # touched: the cookie lasts as long
    clock.move(LONG + 1)
    found, sent = visitor(dict)
    assert found == {}
    assert "Max-Age=0" in sent


def test_remember_me_of_a_session_that_is_there_already(visitor, clock):
    visitor(lambda session: session.update(user="ann"))
    _, sent = visitor(lambda session: setattr(session, "idle", LONG))
    assert f"; Max-Age={LONG}" in sent
    clock.move(LONG)
    found, _ = visitor(dict)
    assert found == {"user": "ann"}


def test_remember_me_can_be_taken_back(visitor, clock):
    visitor(remember)
    _, sent = visitor(lambda session: setattr(session, "idle", 0))
    assert "Max-Age" not in sent
    clock.move(201)
    assert visitor(dict)[0] == {}


def test_remember_me_survives_a_merge_and_a_new_id(visitor):
    visitor(lambda session: session.update(user="ann"))

    def slow(session):
        dict(session)
        visitor(remember)
        session["slow"] = 1
        session.regenerate()

    visitor(slow)
    found, _ = visitor(lambda session: (dict(session), session.idle))
    assert found == ({"user": "ann", "slow": 1}, LONG)


def test_an_empty_session_is_not_stored_for_its_limit(visitor):
    _, sent = visitor(lambda session: setattr(session, "idle", LONG))
    assert sent is None


def test_what_another_process_set_is_kept(make_session):
    one, other = make_session(0, 100), make_session(0, 100)
    sid = one.newSession(data=0, idle=SHORT)
    one.retrieveSession(sid)
    other.updateSession(sid, lambda data: 1, idle=LONG)
    one.updateSession(sid, lambda data: 2)
    assert one.readSession(sid).idle == other.readSession(sid).idle == LONG
    other.updateSession(sid, lambda data: 3, idle=0)
    session = one.readSession(sid)
    one.replaceSession(sid, 4, session.version)
    assert one.readSession(sid).idle == other.readSession(sid).idle == 0


def test_another_thread_reads_while_a_limit_is_taken_over(
    make_store, root, backend
):
    """Between what was read and what is known of it nothing fits."""
    ws = WebSession(make_store(), 0, 3600)
    other = WebSession(FileStore(root, backend=backend), 0, 3600)
    sid = ws.newSession(idle=SHORT)

    def run():
        ws.storeSession(sid, "this process knows it")
        record = other.readSession(sid)
        other.replaceSession(
            sid, "and another sets it", record.version, idle=record.idle + 1
        )
        ws.readSession(sid)

    def another_thread():
        record = other.readSession(sid)
        ws.replaceSession(sid, "no word of a limit", record.version)
        assert other.readSession(sid).idle == record.idle

    at_each_line(records, run, another_thread)


@pytest.mark.parametrize("expected", [False, True])
def test_another_thread_changes_what_a_store_goes_by(
    make_store, root, backend, expected
):
    ws = WebSession(make_store(), 0, 3600)
    other = WebSession(FileStore(root, backend=backend), 0, 3600)
    sid = ws.newSession()

    def run():
        if expected:
            ws.replaceSession(sid, "stored", ws.readSession(sid).version)
        else:
            ws.storeSession(sid, "stored")

    def another_thread():
        other.storeSession(sid, "by another process")
        ws.readSession(sid)

    at_each_line(records, run, another_thread)
    ws.storeSession(sid, "last")
    assert other.retrieveSession(sid) == "last"


@pytest.mark.parametrize("set_later", [False, True])
def test_a_sweep_removes_what_a_shorter_limit_has_ended(
    make_session, root, clock, set_later
):
    ws = make_session(0, 200)
    sid = ws.newSession(idle=0 if set_later else SHORT)
    ws.newSession()
    if set_later:
        ws.replaceSession(sid, "x", ws.readSession(sid).version, idle=SHORT)
    ws.storeSession(sid, "stored")
    clock.move(SHORT)
    assert ws.cleanUp() == 0
    clock.move(1)
    assert ws.cleanUp() == 1
    assert ws.countSessions() == 1
    assert not file_of(root, sid).exists()


def test_a_sweep_looks_once_at_limits_that_are_not_shorter(
    make_session, root, clock
):
    """The mark that has it look is gone then, and does not come back."""
    ws = make_session(0, 200)
    sid = ws.newSession(idle=LONG)
    file = file_of(root, sid)
    assert file.stat().st_mode & 0o7777 == 0o1600
    ws.cleanUp()
    assert file.stat().st_mode & 0o7777 == 0o600
    ws.storeSession(sid, "stored")
    assert file.stat().st_mode & 0o7777 == 0o600
    clock.move(LONG + 1)
    assert ws.cleanUp() == 1


def test_a_limit_that_is_no_more_has_no_mark(make_session, root):
    ws = make_session(0, 200)
    sid = ws.newSession(idle=SHORT)
    ws.replaceSession(sid, "x", ws.readSession(sid).version, idle=0)
    ws.cleanUp()
    assert file_of(root, sid).stat().st_mode & 0o7777 == 0o600


def test_superseding_keeps_the_mark(make_session, root, clock):
    ws = make_session(0, 200)
    old = ws.newSession(idle=SHORT)
    new = ws.regenerateSession(old, grace=5)
    assert file_of(root, new).stat().st_mode & 0o7777 == 0o1600
    assert file_of(root, old).stat().st_mode & 0o7777 == 0o1700
    clock.move(SHORT + 1)
    assert ws.cleanUp() == 1
    assert ws.countSessions() == 0
