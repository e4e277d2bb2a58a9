"""What only a FileStore has to get right: views that have become old."""

from __future__ import annotations

import os

import pytest

from support import at, file_of, session_files
from websession import InvalidSessionId, SessionExpired, WebSession
from websession.record import pack_user, user_of
from websession.stores.base import KEEP


@pytest.fixture
def twins(make_store, clock):
    """Two processes' worth of WebSession, the second with a slow clock."""
    fast = WebSession(make_store(), 100, 200, clock=clock)
    slow = WebSession(make_store(), 100, 200, clock=lambda: clock.now - 5)
    return fast, slow


def test_a_late_store_does_not_refresh_an_expired_session(twins, clock, root):
    fast, slow = twins
    sid = slow.newSession()
    clock.move(101)
    before = file_of(root, sid).read_bytes()
    with pytest.raises(InvalidSessionId):
        fast.storeSession(sid, "late")
    assert file_of(root, sid).read_bytes() == before
    with pytest.raises(SessionExpired):
        fast.retrieveSession(sid)


def test_a_name_made_anew_is_not_taken_for_the_one_remembered(
    make_store, clock
):
    """Creation time and env are remembered: of the session that was there."""
    store, other = make_store(), make_store()
    store.create("same", "first", {"A": 1}, at(clock.now))
    other.delete("same")
    other.create("same", "second", {"A": 2}, at(clock.now + 7))
    store.commit("same", "third", at(clock.now + 8))
    record = other.read("same", clock.now + 8)
    assert record.env == {"A": 2}
    assert record.created == clock.now + 7
    assert record.data == "third"


def test_whose_it_is_stays_whatever_is_written(make_store, clock):
    store, now = make_store(), at(clock.now)
    user, address = pack_user([b"t" * 16], "a label"), store.engine.locate("x")
    draft = clock.now, clock.now, b"", b"\x80\x05N.", 1, b"", 0, user
    assert store.engine.create(address, draft, now, None) == 0

    def check():
        assert user_of(store.engine.read(address)) == user

    store.commit("x", KEEP, now)
    check()
    version = store.commit("x", {"n": 1}, now)
    check()
    version = store.commit("x", {"n": 2}, now, expected=version, idle=99)
    check()
    version = store.commit("x", KEEP, now, expected=version)
    check()
    assert store.read("x", clock.now).data == {"n": 2}
    store.supersede(
        "x", "y", clock.now + 60, now, expected=version, readable=True
    )
    check()


def test_a_store_to_an_unknown_id_makes_no_file(make_store, root):
    ws = WebSession(make_store())
    for call in (
        lambda: ws.storeSession("madeUpMadeUp", "data"),
        lambda: ws.touchSession("madeUpMadeUp"),
        lambda: ws.updateSession("madeUpMadeUp", lambda data: data),
        lambda: ws.deleteSession("madeUpMadeUp"),
    ):
        try:
            call()
        except InvalidSessionId:
            pass
    assert session_files(root) == []
    assert sorted(os.listdir(root)) == [".gitignore", ".key", ".websession"]


def test_mtime_agrees_with_the_record_on_any_clock(make_session, clock, root):
    ws = make_session(0, 100)
    sid = ws.newSession()
    assert abs(file_of(root, sid).stat().st_mtime - clock.now) < 0.001
    clock.move(-1_000_000)
    ws.deleteSession(sid)
    sid = ws.newSession()
    assert abs(file_of(root, sid).stat().st_mtime - clock.now) < 0.001
    clock.move(60)
    ws.touchSession(sid)
    assert abs(file_of(root, sid).stat().st_mtime - clock.now) < 0.001


def test_cross_check_variables_may_be_anything_that_serialises(make_session):
    ws = make_session(crossCheckVars=("A", "B"))
    env = {"A": ("tuple", 5), "B": "\udc80 surrogate"}
    sid = ws.newSession(env)
    assert ws.retrieveSession(sid, env) == "_created_"


def test_a_store_reads_what_the_other_backend_wrote(root):
    from machine import NO_EXTENSION
    from websession import FileStore

    if NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    one, two = (
        WebSession(FileStore(root, backend=name), 0, 3600, maxSessionCount=9)
        for name in ("c", "python")
    )
    for writer, reader in ((one, two), (two, one)):
        sid = writer.newSession({"REMOTE_ADDR": "192.0.2.1"})
        env = {"REMOTE_ADDR": "192.0.2.1"}
        for size in (10, 700, 20_000, 3):
            writer.storeSession(sid, "x" * size)
            assert reader.retrieveSession(sid, env) == "x" * size
            reader.touchSession(sid)
        new = reader.regenerateSession(sid, env, 30, readable=True)
        assert writer.retrieveSession(sid, env) == "xxx"
        assert writer.countSessions() == reader.countSessions()
        writer.deleteSession(new)
        with pytest.raises(InvalidSessionId):
            reader.retrieveSession(sid, env)


def test_an_old_mtime_only_nominates_the_record_decides(
    make_session, clock, root
):
    ws = make_session(0, 100)
    sid = ws.newSession()
    os.utime(file_of(root, sid), (0, 0))
    assert ws.cleanUp() == 0
    assert ws.retrieveSession(sid) == "_created_"


def test_a_session_made_anew_under_its_id_is_another_one(make_store):
    one, other = make_store(), make_store()
    one.create("same", "first", {"A": "1"}, at(1000.0))
    one.commit("same", "second", at(1001.0))
    other.delete("same")
    other.create("same", "anew", {"B": "2"}, at(2000.0))
    version = one.read("same", 2000.0).version
    assert one.commit("same", "stored", at(2001.0), expected=version)
    found = other.read("same", 2001.0)
    assert (found.created, found.env, found.data) == (
        2000.0,
        {"B": "2"},
        "stored",
    )


def test_a_read_is_noted_nowhere(make_session, make_store, root):
    """Else each request after one that stored would write the inode."""
    session_id = make_session().newSession()
    path = file_of(root, session_id)
    os.utime(path, ns=(1, path.stat().st_mtime_ns))
    assert WebSession(make_store()).retrieveSession(session_id) == "_created_"
    assert path.stat().st_atime_ns == 1


@pytest.mark.parametrize("is_undone", [False, True])
@pytest.mark.parametrize("ends", [KeyboardInterrupt, OSError])
def test_what_ends_in_an_exception_is_counted(
    make_session, make_store, is_undone, ends
):
    """As a handler that raises; and others begin to count meanwhile."""
    ws = make_session(crossCheckVars=())
    ws.newSession()
    engine = ws._store.engine
    draft = 1.0, 1.0, b"", b"", 1, b"", 0
    address = engine.locate("interrupted1")

    def action(counted):
        name, path = address
        if not is_undone:
            begin_to_count()  # after this one has looked for the count
        engine._make(name, path, engine._pack(name, *draft), b"")
        if is_undone:
            begin_to_count()
            os.unlink(path)
        raise ends(5, "told")

    def begin_to_count():
        WebSession(make_store(), maxSessionCount=9).newSession()

    with pytest.raises(ends):
        engine.sessions.create(address[0], None, action)
    assert ws.countSessions() == len(ws.listSessions())
