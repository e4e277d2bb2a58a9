"""The safe choices of a web site, and what differs when they are not made."""

from __future__ import annotations

import pytest

from websession import (
    BadSessionId,
    CorruptData,
    FileStore,
    InvalidSessionId,
    MappingStore,
    MaxSessionCountExceeded,
    SessionExpired,
    SessionHijacked,
    WebSession,
)
from websession.web import SessionManager

DAY = 86400


@pytest.fixture
def for_web(root, backend, clock):
    def make(place=root, **options):
        if place is root:
            options = {"backend": backend, "sweep_interval": 0, **options}
        return WebSession.for_web(place, clock=clock, **options)

    return make


def test_it_keeps_json_under_long_ids_and_checks_no_variables(for_web):
    ws = for_web()
    sid = ws.newSession({"REMOTE_ADDR": "192.0.2.1"}, data={"a": (1, b"b")})
    assert len(sid) == 32
    assert ws.serializer.name == "json"
    assert ws.retrieveSession(sid, {}) == {"a": (1, b"b")}


def test_it_ends_sessions_after_a_day_and_after_thirty(for_web, clock):
    ws = for_web()
    idle, busy = ws.newSession(), ws.newSession()
    for _ in range(30):
        clock.move(DAY - 1)
        ws.touchSession(busy)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(idle)
    clock.move(1000)
    with pytest.raises(SessionExpired):
        ws.retrieveSession(busy)


def test_each_of_it_is_a_keyword(for_web, clock):
    ws = for_web(
        idle=10, lifetime=15, max_sessions=1, cross_check=["HTTP_HOST"],
        durability="data", max_size=100, secret="sixteen bytes and more",
        serializer="pickle",
    )  # fmt: skip
    sid = ws.newSession({"HTTP_HOST": "a.example"}, data={1})
    with pytest.raises(SessionHijacked):
        ws.retrieveSession(sid, {"HTTP_HOST": "b.example"})
    with pytest.raises(MaxSessionCountExceeded):
        ws.newSession()
    store = ws.sessiondict
    assert (store.durability, ws.serializer.name) == ("data", "pickle")
    clock.move(9)
    ws.touchSession(sid)
    clock.move(7)
    with pytest.raises(SessionExpired):
        ws.retrieveSession(sid, {"HTTP_HOST": "a.example"})


def test_a_store_is_taken_as_it_is(for_web, root):
    for store in FileStore(root), MappingStore({}):
        ws = for_web(store)
        assert ws.sessiondict is store
        assert ws.expireRemove == DAY
        with pytest.raises(TypeError, match="durability: a store that is"):
            for_web(store, durability="data")


def test_a_websession_has_its_own(root):
    ws = WebSession(FileStore(root), crossCheckVars=())
    assert SessionManager(ws).sessions is ws
    with pytest.raises(TypeError, match="idle: a WebSession has its own"):
        SessionManager(ws, idle=10)


def test_an_unknown_keyword_is_an_error(root):
    with pytest.raises(TypeError, match="idel"):
        SessionManager(root, idel=10)
    assert not root.exists()


def test_a_subclass_makes_its_own(root):
    class Mine(WebSession):
        pass

    assert type(Mine.for_web(root)) is Mine


def test_who_opens_it_the_other_way_is_told_what_differs(
    for_web, root, make_store
):
    sid = for_web().newSession(data={})
    other = WebSession(make_store())
    with pytest.raises(BadSessionId, match="for_web and the adapters of 32"):
        other.retrieveSession(sid)
    other = WebSession(make_store(), sessionIDLength=32)
    with pytest.raises(CorruptData, match=r"reads 1 \(pickle\): .* JSON \(2"):
        other.retrieveSession(sid)
    old = WebSession(make_store())
    with pytest.raises(CorruptData, match=r"reads 2 \(json\)"):
        for_web().retrieveSession(old.newSession())


@pytest.mark.parametrize("made_up", ["short", "x" * 12 + ";", "", "ä" * 32])
def test_what_was_made_up_says_nothing_more(for_web, make_store, made_up):
    for ws in for_web(), WebSession(make_store()):
        with pytest.raises(BadSessionId) as caught:
            ws.retrieveSession(made_up)
        assert "adapters" not in str(caught.value)
