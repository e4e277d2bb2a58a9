"""The session of a request, over everything that sessions can be kept in."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping

import pytest

from support import file_of, in_processes, session_files
from websession import (
    BadSessionId,
    CorruptData,
    FileStore,
    InvalidSessionId,
    MaxSessionCountExceeded,
    SessionExpired,
    SessionHijacked,
    SessionLocked,
    SessionRenewed,
    WebSession,
)
from websession.ids import handle
from websession.web import Session, SessionCookie, SessionManager
from websession.web.dictsession import DictSession


class Visitor:
    """A browser, as far as its session cookie goes."""

    def __init__(self, manager):
        self.manager = manager
        self.cookie = ""

    @property
    def session_id(self):
        return self.cookie.partition("=")[2]

    def begin(self, **env):
        env = {"wsgi.url_scheme": "https", "HTTP_COOKIE": self.cookie, **env}
        return Session(self.manager, env)

    def end(self, session):
        """The response: the cookie is kept, or thrown away."""
        session._commit()
        header = session._cookie()
        if header is not None:
            value = header.partition(";")[0]
            self.cookie = "" if "Max-Age=0" in header else value
        return header

    def store(self, **values):
        """A request that stores."""
        session = self.begin()
        session.update(values)
        return self.end(session)

    def contents(self, **env):
        """A request that reads."""
        session = self.begin(**env)
        found = dict(session)
        self.end(session)
        return found


@pytest.fixture
def events():
    return []


@pytest.fixture
def make_manager(make_any, events):
    def make(*args, **options):
        mine = {
            name: options.pop(name)
            for name in ("touch_interval", "grace", "cookie")
            if name in options
        }
        options.setdefault("crossCheckVars", ())
        options.setdefault("sessionIDLength", 32)
        ws = make_any(*args, **options)
        return SessionManager(ws, on_event=events.append, **mine)

    return make


@pytest.fixture
def manager(make_manager):
    return make_manager(1800, 86400, maxLifetime=90000)


@pytest.fixture
def visitor(manager):
    return Visitor(manager)


def names(events):
    return [event.name for event in events]


# Laziness


def test_nothing_is_stored_before_something_is_put_in(manager, visitor):
    session = visitor.begin()
    assert session.get("user") is None
    assert len(session) == 0
    assert session.new
    assert not session.modified
    assert session.id is None
    assert session.created is None
    assert visitor.end(session) is None
    assert manager.sessions.countSessions() == 0


def test_an_unused_session_is_not_looked_at(visitor, events, monkeypatch):
    visitor.store(user="ann")
    session = visitor.begin()
    monkeypatch.setattr(visitor.manager.sessions, "_store", None)
    session._commit()
    assert session._cookie() is None
    assert not session.accessed
    assert repr(session) == "<Session, not loaded>"


def test_what_was_put_in_is_there_in_the_next_request(visitor):
    header = visitor.store(user="ann", roles=["reader"])
    assert header.startswith("__Host-websession=")
    session = visitor.begin()
    assert dict(session) == {"user": "ann", "roles": ["reader"]}
    assert session.accessed
    assert not session.new
    assert not session.modified
    assert visitor.end(session) is None


def test_what_is_known_of_it_is_known_before_it_is_used(visitor, clock):
    visitor.store(a=1)
    session = visitor.begin()
    assert not session.new
    assert session.accessed  # the answer depends on the cookie
    assert visitor.begin().ended is None
    clock.move(1801)
    session = visitor.begin()
    assert isinstance(session.ended, InvalidSessionId | SessionExpired)
    assert session.accessed
    assert session.new
    assert "Max-Age=0" in visitor.end(session)


def test_it_is_a_mutable_mapping(visitor):
    visitor.store(a=1, b=2)
    session = visitor.begin()
    assert isinstance(session, MutableMapping)
    assert session == {"a": 1, "b": 2}
    assert session.setdefault("c", []) == []
    session["c"].append(3)
    assert session.pop("a") == 1
    del session["b"]
    with pytest.raises(KeyError):
        session["b"]
    assert "c" in session
    visitor.end(session)
    assert visitor.contents() == {"c": [3]}
    session = visitor.begin()
    session.clear()
    visitor.end(session)
    assert visitor.contents() == {}


def test_nested_changes_are_stored(visitor):
    visitor.store(cart={"items": [1]}, seen=[[0]])
    session = visitor.begin()
    session["cart"]["items"].append(2)
    session["seen"][0][0] = True
    assert session.modified
    visitor.end(session)
    assert visitor.contents() == {"cart": {"items": [1, 2]}, "seen": [[True]]}


def test_true_in_the_place_of_one_is_a_change(visitor):
    visitor.store(flag=1)
    visitor.store(flag=True)
    assert visitor.contents()["flag"] is True


def test_times(visitor, clock):
    visitor.store(a=1)
    clock.move(100)
    session = visitor.begin()
    assert (session.created, session.stored) == (clock() - 100, clock() - 100)
    session["a"] = 2
    visitor.end(session)
    assert (session.created, session.stored) == (clock() - 100, clock())


def test_a_session_that_was_made_by_hand_is_empty(manager, visitor):
    session_id = manager.sessions.newSession()
    visitor.cookie = f"__Host-websession={session_id}"
    assert visitor.contents() == {}
    visitor.store(a=1)
    assert manager.sessions.retrieveSession(session_id) == {"a": 1}


def test_what_is_no_dict_is_refused_in_words(manager, visitor):
    session_id = manager.sessions.newSession(data=["a", "list"])
    visitor.cookie = f"__Host-websession={session_id}"
    with pytest.raises(TypeError, match="holds list instead of a dict"):
        visitor.contents()


def test_modified_is_whether_this_request_changed_it(visitor, manager):
    visitor.store(a=1)
    for change, is_modified in (
        (lambda session: None, False),
        (lambda session: session.get("a"), False),
        (lambda session: session.update(a=1), False),
        (lambda session: session.update(a=2), True),
        (lambda session: session.atomically(lambda data: {"a": 3}), True),
        (lambda session: session.regenerate(), False),
        (lambda session: session.regenerate() or session.clear(), True),
        (lambda session: session.invalidate(), True),
    ):
        session = visitor.begin()
        change(session)
        visitor.end(session)
        assert session.modified == is_modified
    unused = visitor.begin()
    assert not unused.modified
    assert not unused.accessed


# After the response has begun


@pytest.fixture
def begun(visitor):
    """Of a session that is stored; its response has begun."""
    visitor.store(a=1, list=[1])
    session = visitor.begin()
    visitor.end(session)
    return session


def warnings(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING
    ]


def test_a_late_change_is_seen_and_stored_at_the_end(visitor, begun, caplog):
    begun["a"] = 2
    assert dict(begun) == {"a": 2, "list": [1]}
    assert visitor.contents() == {"a": 1, "list": [1]}
    begun._finish()
    assert visitor.contents() == {"a": 2, "list": [1]}
    assert warnings(caplog) == []


def test_a_late_change_is_merged(visitor, begun):
    visitor.store(b=2)
    begun["a"] = 3
    begun._finish()
    assert visitor.contents() == {"a": 3, "b": 2, "list": [1]}


@pytest.mark.parametrize("at_once", [False, True])
def test_what_was_stored_at_first_is_not_stored_again(visitor, at_once):
    visitor.store(a=1)
    session = visitor.begin()
    session["a"] = 2
    if at_once:
        session._commit_at_once()
    visitor.end(session)
    visitor.store(a=3)
    assert session["a"] == 2
    session._finish()
    assert visitor.contents() == {"a": 3}
    session = visitor.begin()
    session["a"] = 4
    if at_once:
        session._commit_at_once()
    visitor.end(session)
    session["b"] = 5
    visitor.store(a=6)
    session._finish()
    assert visitor.contents() == {"a": 6, "b": 5}


def test_a_late_change_inside_of_what_was_taken_out_is_stored(visitor):
    visitor.store(list=[1])
    session = visitor.begin()
    taken = session["list"]
    visitor.end(session)
    taken.append(2)
    session._finish()
    assert visitor.contents() == {"list": [1, 2]}


def test_the_first_use_may_be_late(visitor, clock):
    visitor.store(a=1)
    clock.move(1000)
    session = visitor.begin()
    visitor.end(session)
    assert session["a"] == 1
    session._finish()
    clock.move(1000)
    assert visitor.contents() == {"a": 1}, "it was used, so it lasts"


def test_a_use_after_a_whole_body_counts(visitor, begun):
    begun["a"] = 2
    begun._finish(is_made=True)
    assert visitor.contents()["a"] == 2


def test_what_has_no_cookie_by_then_is_not_stored(manager, visitor, caplog):
    session = visitor.begin()
    visitor.end(session)
    session["a"] = 1
    session.atomically(lambda data: {**data, "b": 2})
    assert dict(session) == {"a": 1, "b": 2}
    session._finish()
    assert manager.sessions.countSessions() == 0
    assert warnings(caplog) == [
        "a new session: what was changed after its response had begun is not "
        "stored: its cookie could not be sent"
    ]


def test_a_late_new_id_is_none_and_stores_nothing(visitor, begun, caplog):
    session_id = visitor.session_id
    begun["user"] = "ann"
    begun.regenerate()
    begun.atomically(lambda data: {**data, "root": True})
    assert begun["user"] == "ann"
    begun._finish()
    assert begun.id == session_id
    assert visitor.contents() == {"a": 1, "list": [1]}
    about = f"session {handle(session_id).decode()}: what was changed after "
    assert warnings(caplog)[0] == (
        about + "its response had begun is not stored: it asked for a new ID"
    )


def test_a_late_log_out_is_at_once(manager, visitor, begun):
    begun.invalidate()
    assert manager.sessions.countSessions() == 0
    assert dict(begun) == {}
    begun._finish()
    assert visitor.contents() == {}


def test_what_is_emptied_late_ends_if_it_would_have(manager, begun, caplog):
    begun.clear()
    begun._finish(apart_from=())
    assert manager.sessions.countSessions() == 0
    assert warnings(caplog) == []


def test_a_late_atomic_change_is_stored_at_once(visitor, begun, caplog):
    for n in 2, 3:
        begun.atomically(lambda data, n=n: {**data, "a": n})
        assert visitor.contents()["a"] == n
        begun._finish()
    assert warnings(caplog) == []


def test_a_late_limit_is_stored_and_its_cookie_is_not(
    manager, visitor, begun, caplog
):
    begun.idle = 60
    begun._finish()
    assert manager.sessions.readSession(visitor.session_id, {}).idle == 60
    (text,) = warnings(caplog)
    assert text.endswith("does not change how long its cookie lasts")


def test_a_change_after_the_end_is_a_warning(visitor, begun, caplog):
    begun._finish()
    assert warnings(caplog) == []
    for n in 2, 3:
        begun["a"] = n
        assert begun["a"] == n
    begun._finish()
    assert visitor.contents()["a"] == 1
    (text,) = warnings(caplog)
    assert text.endswith("is not stored: the response has ended")
    assert visitor.session_id not in text


def test_what_cannot_be_kept_late_is_a_warning(visitor, begun, caplog):
    begun["odd"] = lambda: None
    begun._finish()
    (text,) = warnings(caplog)
    assert text.endswith("could not be stored")
    assert caplog.records[-1].exc_info is not None
    assert visitor.contents() == {"a": 1, "list": [1]}


def test_a_late_change_of_what_has_ended_is_a_warning(
    manager, visitor, begun, caplog
):
    assert begun["a"] == 1
    manager.sessions.deleteSession(visitor.session_id)
    begun["a"] = 2
    begun._finish()
    assert manager.sessions.countSessions() == 0
    (text,) = warnings(caplog)
    assert text.endswith("is not stored: the session has ended")


def test_what_was_dropped_is_dropped_once(visitor, manager, events):
    visitor.store(a=1)
    session = visitor.begin()
    session["a"] = 2
    manager.sessions.deleteSession(visitor.session_id)
    visitor.end(session)
    assert session["a"] == 2
    session._finish()
    assert names(events).count("drop") == 1


def test_without_a_late_use_nothing_is_looked_at(visitor, monkeypatch, caplog):
    visitor.store(a=1)
    session = visitor.begin()
    assert session["a"] == 1
    visitor.end(session)
    monkeypatch.setattr(visitor.manager, "dumps", None)
    session._finish(is_made=True)
    assert caplog.records == []
    unused = visitor.begin()
    unused._commit()
    monkeypatch.setattr(visitor.manager.sessions, "_store", None)
    unused._finish()


# Requests at the same time


def test_keys_of_two_requests_are_both_there(visitor):
    visitor.store(base=1, both=[0])
    slow, fast = visitor.begin(), visitor.begin()
    slow["slow"] = 1
    slow["both"].append("slow")
    fast["fast"] = 2
    fast["both"].append("fast")
    visitor.end(fast)
    visitor.end(slow)
    assert visitor.contents() == {
        "base": 1,
        "both": [0, "slow"],  # the last one wins where both changed a key
        "fast": 2,
        "slow": 1,
    }


def test_removals_are_merged_too(visitor):
    visitor.store(a=1, b=2, c=3, d=4)
    slow, fast = visitor.begin(), visitor.begin()
    del slow["a"]
    slow["d"] = 5
    del fast["b"]
    del fast["d"]
    fast["a"] = 9
    visitor.end(fast)
    visitor.end(slow)
    assert visitor.contents() == {"c": 3, "d": 5}


def test_a_key_that_the_other_removed_stays_removed(visitor):
    visitor.store(a=[1], b=1)
    slow, fast = visitor.begin(), visitor.begin()
    del fast["a"]
    slow["b"] = 2
    visitor.end(fast)
    visitor.end(slow)
    assert visitor.contents() == {"b": 2}


def test_a_log_out_wins_over_a_slow_request(manager, visitor, events):
    visitor.store(user="ann")
    slow, logout = visitor.begin(), visitor.begin()
    slow["late"] = True
    logout.invalidate()
    assert manager.sessions.countSessions() == 0
    visitor.end(logout)
    header = visitor.end(slow)
    assert "Max-Age=0" in header
    assert manager.sessions.countSessions() == 0
    assert names(events)[-1] == "drop"


def test_a_session_that_expires_in_between_stays_expired(
    manager, visitor, clock
):
    visitor.store(user="ann")
    slow = visitor.begin()
    slow["late"] = True
    clock.move(1801)
    assert "Max-Age=0" in visitor.end(slow)
    assert visitor.contents() == {}


def test_a_new_id_in_between_drops_the_change_and_keeps_the_cookie(
    manager, visitor, events
):
    visitor.store(user="ann")
    slow, login = visitor.begin(), visitor.begin()
    slow["late"] = True
    login.regenerate()
    login["level"] = 2
    visitor.end(login)
    slow._commit()
    assert slow._cookie() is None
    assert names(events)[-1] == "drop"
    assert visitor.contents() == {"user": "ann", "level": 2}


def test_a_change_of_a_snapshot_is_dropped_and_told(manager, visitor, events):
    visitor.store(user="ann")
    old = Visitor(manager)
    old.cookie = visitor.cookie
    rotating = visitor.begin()
    rotating.regenerate(readable=True)
    visitor.end(rotating)
    late = old.begin()
    assert late["user"] == "ann"
    del events[:]
    assert old.end(late) is None
    assert events == []
    late = old.begin()
    late["late"] = True
    del events[:]
    assert old.end(late) is None
    assert [(each.name, each.detail) for each in events] == [
        ("drop", "it has a new ID")
    ]
    assert visitor.contents() == {"user": "ann"}


def test_without_grace_the_old_id_is_dead_at_once(visitor):
    visitor.store(user="ann")
    slow, login = visitor.begin(), visitor.begin()
    slow["late"] = True
    login.regenerate(grace=0)
    visitor.end(login)
    slow._commit()
    assert "Max-Age=0" in slow._cookie()
    assert visitor.contents() == {"user": "ann"}


# Counters


def add_one(data):
    data["n"] = data.get("n", 0) + 1


def test_atomic_changes_are_all_there(visitor):
    visitor.store(n=0)
    one, other = visitor.begin(), visitor.begin()
    assert (one["n"], other["n"]) == (0, 0)
    one.atomically(add_one)
    other.atomically(add_one)
    assert (one["n"], other["n"]) == (1, 2)
    visitor.end(one)
    visitor.end(other)
    assert visitor.contents() == {"n": 2}


def test_an_atomic_change_takes_the_others_along(visitor):
    visitor.store(n=0, kept=1)
    one, other = visitor.begin(), visitor.begin()
    one["mine"] = [1]
    other["theirs"] = 2
    visitor.end(other)
    one.atomically(add_one)
    assert dict(one) == {"n": 1, "kept": 1, "mine": [1], "theirs": 2}
    one["mine"].append(2)
    visitor.end(one)
    assert visitor.contents() == {
        "n": 1,
        "kept": 1,
        "mine": [1, 2],
        "theirs": 2,
    }


def test_an_atomic_change_makes_a_session(manager, visitor):
    session = visitor.begin()
    session["a"] = 1
    session.atomically(add_one)
    assert manager.sessions.retrieveSession(session.id) == {"a": 1, "n": 1}
    session["b"] = 2
    visitor.end(session)
    assert visitor.contents() == {"a": 1, "n": 1, "b": 2}


def test_an_atomic_change_may_return_new_contents(visitor):
    visitor.store(n=1)
    session = visitor.begin()
    session.atomically(lambda data: {"n": data["n"] * 10})
    visitor.end(session)
    assert visitor.contents() == {"n": 10}
    session = visitor.begin()
    with pytest.raises(TypeError, match="not int"):
        session.atomically(lambda data: 5)
    visitor.end(session)
    assert visitor.contents() == {"n": 10}


def test_an_atomic_change_that_runs_again_begins_anew(make_session):
    manager = SessionManager(
        make_session(crossCheckVars=(), sessionIDLength=32)
    )
    visitor = Visitor(manager)
    visitor.store(a=1)
    session = visitor.begin()
    session["mine"] = []
    runs = []

    def append(data):
        if not runs:  # another request is faster
            visitor.store(faster=True)
        runs.append(1)
        data["mine"].append("x")

    session.atomically(append)
    visitor.end(session)
    assert len(runs) == 2
    assert visitor.contents() == {"a": 1, "faster": True, "mine": ["x"]}


def test_an_atomic_change_that_fails_changes_nothing(visitor):
    visitor.store(n=1)
    session = visitor.begin()

    def fail(data):
        data["n"] = 99
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.atomically(fail)
    assert dict(session) == {"n": 1}
    visitor.end(session)
    assert visitor.contents() == {"n": 1}


def test_an_atomic_change_of_a_deleted_session_is_refused(visitor):
    visitor.store(n=1)
    one, other = visitor.begin(), visitor.begin()
    assert one["n"] == 1
    other.invalidate()
    with pytest.raises(InvalidSessionId):
        one.atomically(add_one)
    assert "Max-Age=0" in visitor.end(one)


def test_an_atomic_change_of_a_renewed_session_is_refused(visitor):
    visitor.store(n=1)
    one, other = visitor.begin(), visitor.begin()
    late = visitor.begin()
    assert one["n"] == 1
    other.regenerate()
    visitor.end(other)
    with pytest.raises(SessionRenewed):
        one.atomically(add_one)
    with pytest.raises(SessionRenewed):
        late.atomically(add_one)
    one._commit()
    assert one._cookie() is None
    assert visitor.contents() == {"n": 1}


# New IDs and log-out


def test_a_new_id_at_log_in(manager, visitor, events):
    visitor.store(cart=[1])
    old_id = visitor.session_id
    session = visitor.begin()
    session["user"] = "ann"
    session.regenerate()
    visitor.end(session)
    assert visitor.session_id not in ("", old_id)
    assert visitor.contents() == {"cart": [1], "user": "ann"}
    assert manager.sessions.countSessions() == 1
    # Nothing is to be had under the old one.
    old = Visitor(manager)
    old.cookie = f"__Host-websession={old_id}"
    assert old.contents() == {}
    renewed = [each for each in events if each.name == "renew"]
    assert renewed[0].handle == handle(visitor.session_id).decode()
    assert renewed[0].detail == f"before: {handle(old_id).decode()}"


def test_the_old_id_is_dead_after_the_grace(make_manager, clock):
    manager = make_manager(1800, grace=10)
    visitor = Visitor(manager)
    visitor.store(a=1)
    old = Visitor(manager)
    old.cookie = visitor.cookie
    session = visitor.begin()
    session.regenerate()
    visitor.end(session)
    clock.move(11)
    assert old.contents() == {}
    assert old.cookie == ""
    assert visitor.contents() == {"a": 1}


def test_changes_of_others_move_to_the_new_id(visitor):
    visitor.store(a=1)
    login, other = visitor.begin(), visitor.begin()
    login["user"] = "ann"
    login.regenerate()
    other["b"] = 2
    visitor.end(other)
    visitor.end(login)
    assert visitor.contents() == {"a": 1, "b": 2, "user": "ann"}


def test_a_session_that_is_not_stored_yet_needs_no_other_id(visitor):
    session = visitor.begin()
    session.regenerate()
    assert visitor.end(session) is None
    session = visitor.begin()
    session["user"] = "ann"
    session.regenerate()
    visitor.end(session)
    assert visitor.contents() == {"user": "ann"}


def test_two_log_ins_at_once_give_one_session(manager, visitor):
    visitor.store(a=1)
    one, other = visitor.begin(), visitor.begin()
    for session in (one, other):
        session["user"] = "ann"
        session.regenerate()
    visitor.end(one)
    other._commit()
    assert other._cookie() is None
    assert visitor.contents() == {"a": 1, "user": "ann"}
    assert manager.sessions.countSessions() == 1


def test_a_negative_grace_is_refused(visitor):
    with pytest.raises(ValueError, match="grace"):
        visitor.begin().regenerate(grace=-1)


def test_after_log_out_another_session_begins(manager, visitor):
    visitor.store(user="ann")
    old_id = visitor.session_id
    session = visitor.begin()
    session.invalidate()
    assert dict(session) == {}
    assert session.new
    session["message"] = "bye"
    visitor.end(session)
    assert visitor.session_id not in ("", old_id)
    assert visitor.contents() == {"message": "bye"}
    with pytest.raises(InvalidSessionId):
        manager.sessions.retrieveSession(old_id)


def test_log_out_without_a_session_is_nothing(visitor):
    session = visitor.begin()
    session["a"] = 1
    session.invalidate()
    assert visitor.end(session) is None


# What comes in cookies

KNOWN = "k" * 32


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        KNOWN,
        KNOWN + "\n",
        "../" * 11,
        "%00" + "a" * 29,
        "\0" * 32,
        "\xe9" * 32,
        "a" * 65536,
        '"' + KNOWN,
        "__session_checkvars__" + "a" * 11,
        " ".join("a" * 16),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_not_ours_is_never_adopted(manager, visitor, events, value):
    visitor.cookie = f"__Host-websession={value}"
    session = visitor.begin()
    assert dict(session) == {}
    assert isinstance(session.ended, (BadSessionId, InvalidSessionId))
    assert names(events) == ["unknown-id"]
    assert "Max-Age=0" in visitor.end(session)
    assert manager.sessions.countSessions() == 0
    visitor.cookie = f"__Host-websession={value}"
    visitor.store(a=1)
    assert len(visitor.session_id) == 32
    assert visitor.session_id != value


def test_of_several_cookies_the_living_one_counts(visitor):
    visitor.store(a=1)
    for header in (
        f"__Host-websession=dead; {visitor.cookie}",
        f"{visitor.cookie}; __Host-websession={KNOWN}",
    ):
        session = visitor.begin(HTTP_COOKIE=header)
        assert dict(session) == {"a": 1}
        assert session.ended is None
        session._commit()
        assert session._cookie() is None


def test_an_expired_session_hands_over_what_it_held(visitor, clock, events):
    visitor.store(draft="a long text")
    clock.move(1801)
    session = visitor.begin()
    assert "draft" not in session
    assert isinstance(session.ended, SessionExpired)
    assert session.ended.session_data == {"draft": "a long text"}
    assert "Max-Age=0" in visitor.end(session)
    assert names(events) == ["create", "expire"]


def test_a_hijack_ends_in_an_empty_session(make_manager, events):
    manager = make_manager(crossCheckVars=["REMOTE_ADDR"])
    visitor = Visitor(manager)
    session = visitor.begin(REMOTE_ADDR="192.0.2.1")
    session["user"] = "ann"
    visitor.end(session)
    thief = Visitor(manager)
    thief.cookie = visitor.cookie
    session = thief.begin(REMOTE_ADDR="198.51.100.1")
    assert dict(session) == {}
    assert isinstance(session.ended, SessionHijacked)
    session["mine"] = 1
    thief.end(session)
    assert thief.session_id != visitor.session_id
    assert names(events) == ["create", "hijack", "create"]
    assert "REMOTE_ADDR" in events[1].detail
    assert visitor.contents(REMOTE_ADDR="192.0.2.1") == {"user": "ann"}


def test_a_damaged_session_is_empty_and_keeps_its_cookie(
    make_session, root, events
):
    # It may be healthy for another worker, one that knows the new secret.
    manager = SessionManager(
        make_session(crossCheckVars=(), sessionIDLength=32),
        on_event=events.append,
    )
    visitor = Visitor(manager)
    visitor.store(a=1)
    file_of(root, visitor.session_id).write_bytes(b"nonsense" * 64)
    session = visitor.begin()
    assert dict(session) == {}
    assert isinstance(session.ended, CorruptData)
    assert visitor.end(session) is None
    assert names(events) == ["create", "corrupt"]


# What is written


def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    root, backend
):
    store = FileStore(root, serializer="json", backend=backend)
    visitor = Visitor(SessionManager(store))
    visitor.store(a=1)
    old = file_of(root, visitor.session_id).read_bytes()
    session = visitor.begin()
    session["b"] = [object()]
    session.regenerate()
    with pytest.raises(TypeError, match=r"data\['b'\]\[0\]"):
        session._commit()
    assert file_of(root, visitor.session_id).read_bytes() == old
    assert visitor.contents() == {"a": 1}
    session = Visitor(SessionManager(store)).begin()
    session["b"] = object()
    with pytest.raises(TypeError, match=r"data\['b'\]"):
        session._commit()
    assert len(session_files(root)) == 1


def test_reading_writes_nothing(root, make_session, clock):
    manager = SessionManager(
        make_session(1800, crossCheckVars=(), sessionIDLength=32)
    )
    visitor = Visitor(manager)
    visitor.store(a={"b": [1, 2, 3]}, c="text")
    path = file_of(root, visitor.session_id)
    before = path.stat(), path.read_bytes()
    clock.move(59)
    session = visitor.begin()
    assert session["a"]["b"] == [1, 2, 3]
    session["c"] = "other"
    session["c"] = "text"
    session["a"]["b"].append(4)
    session["a"]["b"].pop()
    visitor.end(session)
    after = path.stat()
    assert path.read_bytes() == before[1]
    assert (after.st_ino, after.st_mtime_ns) == (
        before[0].st_ino,
        before[0].st_mtime_ns,
    )


class Thing:
    """Pickle writes it differently after it has been read."""

    def __init__(self):
        self.name = "".join(["th", "ing"])
        self.again = "".join(["th", "ing"])

    def __eq__(self, other):
        return vars(self) == vars(other)


def test_pickle_that_is_written_in_another_way_is_no_change(
    root, make_session
):
    manager = SessionManager(
        make_session(crossCheckVars=(), sessionIDLength=32)
    )
    visitor = Visitor(manager)
    visitor.store(things=[Thing(), Thing()], s={"a", "b", "c"})
    before = file_of(root, visitor.session_id).read_bytes()
    assert visitor.contents()["things"][0] == Thing()
    assert file_of(root, visitor.session_id).read_bytes() == before


def test_a_request_that_only_reads_keeps_the_session_alive(
    manager, visitor, clock
):
    visitor.store(a=1)
    for _ in range(5):
        clock.move(1000)
        assert visitor.contents() == {"a": 1}


def test_the_timestamp_is_refreshed_now_and_then(make_manager, clock):
    manager = make_manager(1800, touch_interval=30)
    visitor = Visitor(manager)
    visitor.store(a=1)
    began = clock()
    clock.move(29)
    visitor.contents()
    assert manager.sessions.readSession(visitor.session_id).stored == began
    clock.move(1)
    visitor.contents()
    assert manager.sessions.readSession(visitor.session_id).stored == clock()


def test_a_page_that_polls_is_no_activity(make_manager, clock):
    manager = make_manager(1800, touch_interval=0)
    visitor = Visitor(manager)
    visitor.store(a=1)
    began = clock()
    clock.move(60)
    session = visitor.begin()
    session.keep_alive = False
    assert session["a"] == 1
    assert visitor.end(session) is None
    assert manager.sessions.readSession(visitor.session_id).stored == began
    session = visitor.begin()
    session.keep_alive = False
    session["a"] = 2  # this is
    visitor.end(session)
    assert manager.sessions.readSession(visitor.session_id).stored == clock()


def test_a_touch_does_not_bring_old_data_back(make_manager, clock):
    manager = make_manager(1800, touch_interval=0)
    visitor = Visitor(manager)
    visitor.store(a=1)
    slow = visitor.begin()
    assert slow["a"] == 1
    visitor.store(a=2)
    clock.move(5)
    visitor.end(slow)
    assert visitor.contents() == {"a": 2}


def test_without_an_idle_limit_nothing_is_refreshed(make_manager, clock):
    manager = make_manager(maxLifetime=9999, touch_interval=0)
    visitor = Visitor(manager)
    visitor.store(a=1)
    clock.move(500)
    visitor.contents()
    found = manager.sessions.readSession(visitor.session_id)
    assert found.stored == clock() - 500


def test_a_cookie_with_a_lifetime_is_sent_anew(make_manager, clock):
    cookie = SessionCookie(max_age=600)
    manager = make_manager(600, cookie=cookie, touch_interval=60)
    visitor = Visitor(manager)
    assert "Max-Age=600" in visitor.store(a=1)
    session = visitor.begin()
    assert session["a"] == 1
    assert visitor.end(session) is None
    clock.move(60)
    session = visitor.begin()
    assert session["a"] == 1
    assert "Max-Age=600" in visitor.end(session)
    assert "Max-Age=600" in visitor.store(a=2)


def test_one_session_too_many(make_manager):
    manager = make_manager(maxSessionCount=1)
    Visitor(manager).store(a=1)
    with pytest.raises(MaxSessionCountExceeded):
        Visitor(manager).store(a=1)


def test_a_mapping_is_not_changed_behind_its_back(make_any):
    manager = SessionManager(make_any(crossCheckVars=()))
    visitor = Visitor(manager)
    session = visitor.begin()
    inner = []
    session["inner"] = inner
    visitor.end(session)
    inner.append("too late")
    assert visitor.contents() == {"inner": []}
    session = visitor.begin()
    session["inner"].append("never stored")
    assert visitor.contents() == {"inner": []}


def test_a_path_is_enough(root):
    manager = SessionManager(root)
    assert manager.sessions.sessiondict.serializer.name == "json"
    assert manager.sessions.session_id_len == 32
    assert manager.sessions.crossCheckVars == ()
    assert manager.sessions.idleLimit() == 86400
    visitor = Visitor(manager)
    visitor.store(when=(1, 2))
    assert visitor.contents() == {"when": (1, 2)}


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="touch_interval"):
        SessionManager(WebSession(sessionIDLength=32), touch_interval=-1)


# Whole-request exclusion


def test_a_locked_session_is_the_latest(visitor):
    visitor.store(n=1)
    first, second = visitor.begin(), visitor.begin()
    assert second["n"] == 1
    first._lock(5)
    first["n"] += 1
    first._commit()
    first._unlock()
    second._lock(5)
    assert second["n"] == 2
    second._unlock()


def test_a_lock_names_its_holder(root, make_session):
    manager = SessionManager(
        make_session(crossCheckVars=(), sessionIDLength=32)
    )
    visitor = Visitor(manager)
    visitor.store(n=1)
    session = visitor.begin()
    session._lock(5, "GET /slow")

    def try_it(number):
        other = visitor.begin()
        try:
            other._lock(0.05)
        except SessionLocked as error:
            return str(error)
        return "no exclusion"

    (message,) = in_processes(1, try_it)
    assert "GET /slow" in message
    session._unlock()
    assert in_processes(1, try_it) == ["no exclusion"]


def test_without_a_session_there_is_nothing_to_lock(visitor):
    session = visitor.begin()
    session._lock(1)
    session._unlock()
    assert not session.accessed


# Several processes


def test_keys_and_counts_of_many_processes_are_all_there(root, backend):
    visitor = Visitor(SessionManager(FileStore(root, backend=backend)))
    visitor.store(n=0)

    def work(number):
        for turn in range(50):
            session = visitor.begin()
            session[f"{number}-{turn}"] = turn
            visitor.end(session)
            session = visitor.begin()
            session.atomically(add_one)
            visitor.end(session)

    in_processes(4, work)
    found = visitor.contents()
    assert found.pop("n") == 200
    assert len(found) == 200


# Events


def test_the_life_of_a_session_in_events(visitor, events):
    visitor.store(a=1)
    first = handle(visitor.session_id).decode()
    session = visitor.begin()
    session.regenerate()
    visitor.end(session)
    second = handle(visitor.session_id).decode()
    session = visitor.begin()
    session.invalidate()
    visitor.end(session)
    assert [(each.name, each.handle) for each in events] == [
        ("create", first),
        ("load", first),
        ("renew", second),
        ("load", second),
        ("delete", second),
    ]


def test_no_event_and_no_log_line_shows_an_id(root, caplog, clock):
    caplog.set_level(logging.DEBUG, "websession")
    ws = WebSession(
        FileStore(root),
        60,
        crossCheckVars=["REMOTE_ADDR"],
        sessionIDLength=32,
        clock=clock,
    )
    visitor = Visitor(SessionManager(ws))
    visitor.store(a=1)
    seen = [visitor.session_id]
    visitor.contents()
    session, slow = visitor.begin(), visitor.begin()
    assert slow["a"] == 1
    slow["b"] = 2
    session.regenerate()
    visitor.end(session)
    slow._commit()
    seen.append(visitor.session_id)
    visitor.begin(HTTP_COOKIE=f"__Host-websession={KNOWN}").get("a")
    clock.move(61)
    visitor.contents()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(": ")[1].split(" ")[0] for line in lines] == [
        "create",
        "load",
        "load",
        "load",
        "renew",
        "drop",
        "unknown-id",
        "expire",
    ]
    for session_id in [*seen, KNOWN]:
        assert not any(session_id[:4] in line for line in lines)
    levels = {record.levelname for record in caplog.records}
    assert levels == {"DEBUG", "INFO"}


def test_a_hook_that_fails_fails_alone(root, caplog):
    def hook(event):
        raise ZeroDivisionError("of the hook")

    visitor = Visitor(SessionManager(root, on_event=hook))
    visitor.store(a=1)
    assert visitor.contents() == {"a": 1}
    assert "the hook for session events failed" in caplog.text


@pytest.mark.parametrize("kind", [Session, DictSession])
def test_an_editor_offers_only_what_an_application_may_use(manager, kind):
    offered = {name for name in dir(kind(manager, {})) if name[0] != "_"}
    assert sorted(offered - set(dir(dict))) == [
        "accessed",
        "atomically",
        "created",
        "ended",
        "id",
        "idle",
        "invalidate",
        "keep_alive",
        "modified",
        "new",
        "regenerate",
        "stored",
    ]


def test_no_repr_shows_an_id_or_a_value(visitor, events):
    visitor.store(password="hunter2")
    session = visitor.begin()
    assert session["password"] == "hunter2"
    assert repr(session) == "<Session, stored, 1 keys>"
    for event in events:
        assert visitor.session_id[:6] not in repr(event)
