"""What WebSession promises over anything: dict, shelve, files."""

from __future__ import annotations

import pickle
import re
import threading
import warnings

import pytest

import websession
from support import at
from websession import (
    BadSessionId,
    GenerateIDError,
    InvalidSessionId,
    MaxSessionCountExceeded,
    SessionBusy,
    SessionExpired,
    SessionHijacked,
    SessionLocked,
    SessionRenewed,
    WeakSessionIDWarning,
    WebSession,
)


def test_new_session_holds_the_marker_of_the_original(make_any):
    ws = make_any()
    assert ws.retrieveSession(ws.newSession()) == "_created_"


def test_store_then_retrieve_gives_the_data_back(make_any):
    ws = make_any()
    sid = ws.newSession()
    assert ws.storeSession(sid, {"a": [1, 2], "b": None}) == sid
    assert ws.retrieveSession(sid) == {"a": [1, 2], "b": None}


@pytest.mark.parametrize("data", [None, 0, "", b"", [], {}, "ä€", 1.5])
def test_any_value_is_data(make_any, data):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, data)
    assert ws.retrieveSession(sid) == data


def test_many_stores_keep_the_last(make_any):
    ws = make_any()
    sid = ws.newSession()
    for number in range(50):
        ws.storeSession(sid, "x" * (number * 37))
        assert ws.retrieveSession(sid) == "x" * (number * 37)


def test_data_may_grow_and_shrink(make_any):
    ws = make_any()
    sid = ws.newSession()
    for size in (10, 400, 500, 5_000, 100_000, 3, 70_000, 1_000_000, 0, 600):
        ws.storeSession(sid, b"y" * size)
        assert ws.retrieveSession(sid) == b"y" * size


def test_ids_have_the_length_and_characters_asked_for(make_any):
    ws = make_any(sessionIDLength=40, sessionIDChars="abcXYZ")
    sid = ws.newSession()
    assert re.fullmatch("[abcXYZ]{40}", sid)
    assert ws.session_id_len == 40
    assert ws.session_id_chars == "abcXYZ"


def test_default_ids_are_twelve_of_sixty_five_characters(make_any):
    ws = make_any()
    assert len(ws.newSession()) == 12
    assert len(set(websession.SESSION_ID_CHARS)) == 65


def test_session_id_re_matches_ids_and_nothing_with_a_newline(make_any):
    ws = make_any()
    sid = ws.newSession()
    assert ws.session_id_re.match(sid)
    assert not ws.session_id_re.match(sid + "\n")


@pytest.mark.parametrize(
    "bad",
    ["", "short", "x" * 13, "x" * 11 + "\n", "x" * 11 + "/", "../../../etc",
     "x" * 11 + "\0", "ä" * 12, "\udc80" * 12, None, 5, b"x" * 12,
     "x" * 70_000],
)  # fmt: skip
@pytest.mark.parametrize(
    "method",
    ["retrieveSession", "storeSession", "touchSession", "updateSession",
     "regenerateSession", "lockSession"],
)  # fmt: skip
def test_malformed_ids_are_refused_everywhere(make_any, bad, method):
    ws = make_any()
    extra = {"storeSession": ["data"], "updateSession": [lambda data: data]}
    with pytest.raises(BadSessionId):
        getattr(ws, method)(bad, *extra.get(method, []))


def test_an_id_with_a_newline_appended_is_malformed(make_any):
    ws = make_any()
    sid = ws.newSession()
    with pytest.raises(BadSessionId):
        ws.retrieveSession(sid + "\n")


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.retrieveSession(sid),
        lambda ws, sid: ws.storeSession(sid, "data"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: data),
        lambda ws, sid: ws.regenerateSession(sid),
        lambda ws, sid: ws.regenerateSession(sid, grace=5),
    ],
)
def test_a_made_up_id_is_invalid_and_nothing_is_created(make_any, call):
    ws = make_any()
    with pytest.raises(InvalidSessionId):
        call(ws, "madeUpMadeUp")
    assert ws.countSessions() == 0
    assert len(ws.sessiondict) == 0


def test_delete_then_everything_is_refused(make_any):
    ws = make_any()
    sid = ws.newSession()
    assert ws.deleteSession(sid) == sid
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, "late")
    with pytest.raises(InvalidSessionId):
        ws.touchSession(sid)
    with pytest.raises(InvalidSessionId):
        ws.updateSession(sid, lambda data: data)
    assert ws.countSessions() == 0


def test_delete_of_an_absent_session_is_no_error(make_any):
    ws = make_any()
    assert ws.deleteSession("notThereAtAl") == "notThereAtAl"


def test_store_after_retrieve_and_delete_is_refused(make_any):
    ws = make_any()
    sid = ws.newSession()
    data = ws.retrieveSession(sid)
    ws.deleteSession(sid)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, data)
    assert sid not in ws.sessiondict


# Expiry


def test_idle_session_expires_with_its_data(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession()
    stored = clock.now
    ws.storeSession(sid, {"cart": 3})
    clock.move(101)
    with pytest.raises(SessionExpired) as caught:
        ws.retrieveSession(sid)
    assert caught.value.timestamp == stored
    assert caught.value.session_data == {"cart": 3}
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)


def test_a_session_at_its_limit_is_still_alive(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession()
    clock.move(100)
    assert ws.retrieveSession(sid) == "_created_"


def test_session_older_than_expire_remove_is_invalid(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession()
    clock.move(201)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)
    assert ws.countSessions() == 0


def test_expire_remove_counts_without_expire_deactivate(make_any, clock):
    ws = make_any(0, 200)
    sid = ws.newSession()
    clock.move(201)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)
    assert ws.countSessions() == 0


def test_equal_limits_mean_invalid(make_any, clock):
    ws = make_any(100, 100)
    sid = ws.newSession()
    clock.move(101)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)


def test_retrieve_does_not_refresh_but_store_and_touch_do(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession()
    clock.move(60)
    ws.retrieveSession(sid)
    ws.storeSession(sid, "data")
    clock.move(60)
    ws.touchSession(sid)
    clock.move(60)
    assert ws.retrieveSession(sid) == "data"
    clock.move(41)
    with pytest.raises(SessionExpired):
        ws.retrieveSession(sid)


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.storeSession(sid, "late"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: "late"),
        lambda ws, sid: ws.regenerateSession(sid),
    ],
)
def test_nothing_revives_an_expired_session(make_any, clock, call):
    ws = make_any(100, 200)
    sid = ws.newSession()
    ws.storeSession(sid, "early")
    clock.move(150)
    with pytest.raises(InvalidSessionId):
        call(ws, sid)
    with pytest.raises(SessionExpired) as caught:
        ws.retrieveSession(sid)
    assert caught.value.session_data == "early"


def test_max_lifetime_is_not_moved_by_activity(make_any, clock):
    ws = make_any(100, 1000, maxLifetime=250)
    sid = ws.newSession()
    for _ in range(5):
        clock.move(50)
        ws.storeSession(sid, "busy")
    clock.move(1)
    with pytest.raises(SessionExpired):
        ws.retrieveSession(sid)


def test_store_beyond_max_lifetime_is_refused(make_any, clock):
    ws = make_any(maxLifetime=250)
    sid = ws.newSession()
    clock.move(200)
    ws.storeSession(sid, "busy")
    clock.move(51)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, "late")
    assert ws.cleanUp() == (0 if ws.kind in ("c", "python") else 1)


def test_without_limits_nothing_expires(make_any, clock):
    ws = make_any()
    sid = ws.newSession()
    clock.move(10 * 365 * 86400)
    assert ws.retrieveSession(sid) == "_created_"
    assert ws.cleanUp() == 0
    assert ws.countSessions() == 1


def test_clean_up_removes_the_old_and_keeps_the_young(make_any, clock):
    ws = make_any(100, 200)
    old = [ws.newSession() for _ in range(5)]
    clock.move(150)
    young = [ws.newSession() for _ in range(3)]
    ws.storeSession(young[0], "data")
    clock.move(51)
    assert ws.cleanUp() == 5
    assert ws.countSessions() == 3
    assert ws.retrieveSession(young[0]) == "data"
    assert not any(sid in ws.sessiondict for sid in old)
    assert ws.cleanUp() == 0


def test_clock_stepping_back_neither_expires_nor_revives(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession()
    ws.storeSession(sid, "data")
    clock.move(-5000)
    assert ws.retrieveSession(sid) == "data"
    assert ws.cleanUp() == 0
    clock.move(5000 + 150)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, "late")


def test_a_clock_a_little_behind_does_not_age_the_session(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession()
    clock.move(-30)
    ws.storeSession(sid, "from a slow clock")
    clock.move(30 + 99)
    assert ws.retrieveSession(sid) == "from a slow clock"


def test_a_clock_put_right_does_not_make_immortal(make_any, clock):
    clock.move(10_000_000)
    ws = make_any(100, 200)
    sid = ws.newSession()
    clock.move(-10_000_000)
    ws.storeSession(sid, "at the right time")
    clock.move(201)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)


def test_the_default_clock_is_looked_up_at_each_call(make_any, monkeypatch):
    ws = make_any(100, 200, clock=None)
    sid = ws.newSession()
    later = __import__("time").time() + 150
    monkeypatch.setattr("time.time", lambda: later)
    with pytest.raises(SessionExpired):
        ws.retrieveSession(sid)


# Cross-check variables

ENV = {"REMOTE_ADDR": "192.0.2.1", "HTTP_USER_AGENT": "a", "OTHER": "x"}


def test_the_same_environment_passes(make_any):
    ws = make_any()
    sid = ws.newSession(ENV)
    assert ws.retrieveSession(sid, ENV | {"OTHER": "y"}) == "_created_"


@pytest.mark.parametrize(
    ("now", "failed"),
    [
        (ENV | {"REMOTE_ADDR": "192.0.2.2"}, ["REMOTE_ADDR"]),
        ({"REMOTE_ADDR": "192.0.2.1"}, ["HTTP_USER_AGENT"]),
        ({}, ["REMOTE_ADDR", "HTTP_USER_AGENT"]),
        (None, ["REMOTE_ADDR", "HTTP_USER_AGENT"]),
    ],
)
def test_another_environment_is_a_hijack_and_the_session_stays(
    make_any, now, failed
):
    ws = make_any()
    sid = ws.newSession(ENV)
    ws.storeSession(sid, "mine")
    with pytest.raises(SessionHijacked) as caught:
        ws.retrieveSession(sid, now)
    assert list(caught.value.failed_vars) == failed
    assert ws.retrieveSession(sid, ENV) == "mine"


def test_a_stored_none_is_not_a_missing_variable(make_any):
    ws = make_any(crossCheckVars=("A",))
    sid = ws.newSession({"A": None})
    with pytest.raises(SessionHijacked):
        ws.retrieveSession(sid, {})


def test_a_stranger_does_not_get_the_expired_data(make_any, clock):
    ws = make_any(100, 200)
    sid = ws.newSession(ENV)
    clock.move(150)
    with pytest.raises(SessionHijacked):
        ws.retrieveSession(sid, ENV | {"REMOTE_ADDR": "198.51.100.9"})
    with pytest.raises(SessionExpired):
        ws.retrieveSession(sid, ENV)


def test_remote_addr_is_the_first_cross_check_variable():
    assert websession.SESSION_CROSSCHECKVARS[0] == "REMOTE_ADDR"
    assert len(websession.SESSION_CROSSCHECKVARS) == 17
    assert all(
        re.fullmatch("[A-Z_]+", name)
        for name in websession.SESSION_CROSSCHECKVARS
    )


def test_cross_check_variables_survive_a_store(make_any):
    ws = make_any()
    sid = ws.newSession(ENV)
    ws.storeSession(sid, "data")
    ws.touchSession(sid)
    with pytest.raises(SessionHijacked):
        ws.retrieveSession(sid, {})


# IDs and limits


def test_an_id_in_use_is_never_taken_over(make_any):
    with pytest.warns(WeakSessionIDWarning):
        ws = make_any(sessionIDLength=1, sessionIDChars="ab")
    taken = set()
    with pytest.raises(GenerateIDError) as caught:
        for _ in range(100):
            sid = ws.newSession()
            assert sid not in taken
            taken.add(sid)
            ws.storeSession(sid, f"of {sid}")
    assert caught.value.maxtry == 3
    assert all(ws.retrieveSession(sid) == f"of {sid}" for sid in taken)


def test_the_limit_holds_and_a_deletion_makes_room(make_any):
    ws = make_any(maxSessionCount=3)
    ids = [ws.newSession() for _ in range(3)]
    with pytest.raises(MaxSessionCountExceeded) as caught:
        ws.newSession()
    assert caught.value.max_session_count == 3
    assert ws.sessionCounter == 3
    ws.deleteSession(ids[0])
    ws.newSession()
    assert ws.countSessions() == 3


def test_clean_up_makes_room(make_any, clock):
    ws = make_any(10, 20, maxSessionCount=2)
    ws.newSession(), ws.newSession()
    clock.move(21)
    assert ws.cleanUp() == 2
    assert [ws.newSession(), ws.newSession()]


def test_weak_ids_warn_and_strong_ones_do_not(make_any):
    with pytest.warns(WeakSessionIDWarning, match="60 bits"):
        make_any(sessionIDLength=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_any()


@pytest.mark.parametrize("chars", ["a", "aaa", "aä", "a\n", "a\x7fb"])
def test_unusable_characters_are_refused(chars):
    with pytest.raises(ValueError, match="sessionIDChars"):
        WebSession({}, sessionIDChars=chars)


@pytest.mark.parametrize(
    "limit", ["expireDeactivate", "expireRemove", "maxLifetime",
              "maxSessionCount"],
)  # fmt: skip
def test_limits_are_zero_or_more(limit):
    for bad in (-1, float("nan"), "60"):
        with pytest.raises(ValueError, match=limit):
            WebSession({}, **{limit: bad})
    assert not getattr(WebSession({}, **{limit: None}), limit)


def test_a_single_name_is_not_a_list_of_cross_check_variables():
    with pytest.raises(TypeError, match="list of names"):
        WebSession({}, crossCheckVars="REMOTE_ADDR")


@pytest.mark.parametrize("bad", [0, -1, 1.5, "12", None])
def test_lengths_are_whole_numbers_from_one(bad):
    with pytest.raises(ValueError, match="sessionIDLength"):
        WebSession({}, sessionIDLength=bad)


def test_generate_session_id_gives_up_after_maxtry(make_any):
    with pytest.warns(WeakSessionIDWarning):
        ws = make_any(sessionIDLength=1, sessionIDChars="ab")
    for sid in "ab":
        ws._store.create(sid, "taken", {}, at(ws.now()))
    with pytest.raises(GenerateIDError):
        ws._generateSessionID(maxtry=5)


# The added methods


def test_update_returns_and_stores_what_the_function_returns(make_any):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, 1)
    assert ws.updateSession(sid, lambda number: number + 1) == 2
    assert ws.retrieveSession(sid) == 2


def test_an_exception_in_an_update_changes_nothing(make_any):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, 1)
    with pytest.raises(ZeroDivisionError):
        ws.updateSession(sid, lambda number: number / 0)
    assert ws.retrieveSession(sid) == 1
    assert ws.updateSession(sid, lambda number: number + 1) == 2


def test_update_checks_the_environment_if_there_is_one(make_any):
    ws = make_any()
    sid = ws.newSession(ENV)
    with pytest.raises(SessionHijacked):
        ws.updateSession(sid, lambda data: "stolen", env={})
    assert ws.updateSession(sid, lambda data: "mine", env=ENV) == "mine"
    assert ws.updateSession(sid, lambda data: "ours") == "ours"


def test_a_function_that_stores_its_own_session_ends_well(make_any):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, 0)
    calls = []

    def func(number):
        calls.append(number)
        ws.storeSession(sid, "in between")
        ws.touchSession(sid)
        assert ws.retrieveSession(sid) == "in between"
        return number + 1

    assert ws.updateSession(sid, func) == 1
    assert ws.retrieveSession(sid) == 1
    assert calls == [0]


def test_updates_nested_now_and_then_are_not_lost(make_any):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, 0)
    calls = []

    def func(number):
        calls.append(number)
        if len(calls) < 4:
            ws.updateSession(sid, lambda data: data + 10)
        return number + 1

    assert ws.updateSession(sid, func) == 31
    assert calls == [0, 10, 20, 30]


def test_a_function_that_always_updates_its_own_session_is_told(make_any):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, 0)

    def func(number):
        return ws.updateSession(sid, lambda data: data + 1)

    with pytest.raises(SessionBusy, match="return the new data instead"):
        ws.updateSession(sid, func)
    assert ws.updateSession(sid, lambda data: "still usable")


def test_a_function_that_deletes_its_own_session_stays_deleted(make_any):
    ws = make_any()
    sid = ws.newSession()
    with pytest.raises(InvalidSessionId):
        ws.updateSession(sid, lambda data: ws.deleteSession(sid))
    assert ws.countSessions() == 0


def test_threads_lose_no_update(make_any):
    ws = make_any()
    sid = ws.newSession()
    ws.storeSession(sid, 0)

    def work():
        for _ in range(100):
            ws.updateSession(sid, lambda number: number + 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ws.retrieveSession(sid) == 400


def test_regenerate_moves_the_session_to_a_new_id(make_any, clock):
    ws = make_any(maxLifetime=100)
    sid = ws.newSession(ENV)
    ws.storeSession(sid, {"user": "ann"})
    clock.move(60)
    new = ws.regenerateSession(sid, ENV)
    assert new != sid
    assert ws.retrieveSession(new, ENV) == {"user": "ann"}
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid, ENV)
    with pytest.raises(SessionHijacked):
        ws.retrieveSession(new, {})
    assert ws.countSessions() == 1
    clock.move(41)  # the creation time has moved along
    with pytest.raises(SessionExpired):
        ws.retrieveSession(new, ENV)


def test_regenerate_by_a_stranger_is_refused(make_any):
    ws = make_any()
    sid = ws.newSession(ENV)
    with pytest.raises(SessionHijacked):
        ws.regenerateSession(sid, {})
    assert ws.countSessions() == 1


def test_during_a_readable_grace_the_old_id_reads_the_old_state(
    make_any, clock
):
    ws = make_any(100, 200)
    sid = ws.newSession()
    ws.storeSession(sid, "anonymous")
    new = ws.regenerateSession(sid, grace=10, readable=True)
    ws.storeSession(new, "logged in")
    clock.move(9)
    assert ws.retrieveSession(sid) == "anonymous"
    assert ws.retrieveSession(new) == "logged in"
    clock.move(1)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)
    assert ws.retrieveSession(new) == "logged in"


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.storeSession(sid, "late"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: "late"),
        lambda ws, sid: ws.regenerateSession(sid),
    ],
)
def test_during_grace_the_old_id_cannot_be_written(make_any, call, clock):
    ws = make_any()
    sid = ws.newSession()
    new = ws.regenerateSession(sid, grace=10, readable=True)
    with pytest.raises(SessionRenewed):
        call(ws, sid)
    assert ws.retrieveSession(sid) == "_created_"
    assert ws.countSessions() == 1
    clock.move(10)
    with pytest.raises(InvalidSessionId) as caught:
        call(ws, sid)
    assert not isinstance(caught.value, SessionRenewed)
    assert ws.retrieveSession(new) == "_created_"


def test_log_out_on_the_new_id_ends_the_old_one_too(make_any):
    ws = make_any()
    sid = ws.newSession()
    new = ws.regenerateSession(sid, grace=1000)
    ws.deleteSession(new)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, "late")


def test_superseded_sessions_do_not_count(make_any):
    ws = make_any(maxSessionCount=2)
    sid = ws.newSession()
    for _ in range(5):
        sid = ws.regenerateSession(sid, grace=1000)
    assert ws.countSessions() == 1
    assert len(ws.listSessions()) == 1
    ws.newSession()
    with pytest.raises(MaxSessionCountExceeded):
        ws.newSession()
    ws.regenerateSession(sid)  # at the limit, and not refused
    assert ws.countSessions() == 2


def test_a_sweep_reaps_superseded_sessions_uncounted(make_any, clock):
    ws = make_any(1000, 2000)
    sid = ws.newSession()
    new = ws.regenerateSession(sid, grace=10)
    assert ws.cleanUp() == 0
    assert sid in ws.sessiondict
    clock.move(11)
    ws.cleanUp()
    assert sid not in ws.sessiondict
    assert ws.retrieveSession(new) == "_created_"


def test_list_shows_handles_and_no_ids(make_any, clock):
    ws = make_any()
    ids = [ws.newSession() for _ in range(3)]
    clock.move(5)
    ws.storeSession(ids[0], "data")
    infos = ws.listSessions()
    assert len(infos) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", info.handle) for info in infos)
    assert sorted(info.stored - info.created for info in infos) == [0, 0, 5]
    assert not any(sid in repr(infos) for sid in ids)


def test_lock_is_reentrant_in_a_thread(make_any):
    ws = make_any()
    sid = ws.newSession()
    with ws.lockSession(sid), ws.lockSession(sid, timeout=0):
        ws.storeSession(sid, "inside")
    assert ws.retrieveSession(sid) == "inside"


def test_lock_excludes_other_threads_and_names_the_holder(make_any):
    ws = make_any()
    sid = ws.newSession()
    caught = []

    def other():
        try:
            with ws.lockSession(sid, timeout=0.05):
                pass
        except SessionLocked as error:
            caught.append(error)

    with ws.lockSession(sid, label="the long report"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "the long report" in str(caught[0])
    assert sid not in str(caught[0])
    with ws.lockSession(sid, timeout=0):
        pass


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("GET /\x1b[2J\x9b\n\u202e\udcff", r"GET /\x1b[2J\x9b\n\u202e\udcff"),
        ("GET /" + "x" * 100_000, "GET /xxx"),
        ("GET /" + "\n" * 100_000, r"GET /\n\n\n"),
    ],
    ids=["odd", "long", "lines"],
)
def test_a_lock_shows_its_label_in_one_harmless_line(make_any, label, shown):
    ws = make_any()
    sid = ws.newSession()
    caught = []

    def other():
        try:
            with ws.lockSession(sid, timeout=0.01):
                pass
        except SessionLocked as error:
            caught.append(error)

    with ws.lockSession(sid, label=label):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    message = str(caught[0])
    assert shown in message
    assert message.isprintable()
    assert len(message) < 300
    assert str(pickle.loads(pickle.dumps(caught[0]))) == message


# The rest of the original's surface


def test_arguments_go_by_position():
    ws = WebSession({}, 1, 2, ("A",), 5, 20, "abcdefghijklmnop")
    assert ws.expireDeactivate == 1
    assert ws.expireRemove == 2
    assert ws.crossCheckVars == ("A",)
    assert ws.maxSessionCount == 5
    assert ws.session_id_len == 20
    assert ws.session_id_chars == "abcdefghijklmnop"


def test_sessiondict_reads_like_the_original(make_any, clock):
    ws = make_any()
    sid = ws.newSession()
    timestamp, data = ws.sessiondict[sid]
    assert (timestamp, data) == (clock.now, "_created_")
    assert sid in ws.sessiondict
    assert "madeUpMadeUp" not in ws.sessiondict
    with pytest.raises(KeyError):
        ws.sessiondict["madeUpMadeUp"]


def test_a_file_store_cannot_be_iterated(store):
    with pytest.raises(TypeError):
        iter(store)
    assert len(store) == 0
    assert 5 not in store


def test_the_session_counter_counts(make_any):
    ws = make_any()
    for _ in range(4):
        ws.newSession()
    assert ws.sessionCounter == 4


def test_sync_and_close_work_everywhere(make_any):
    ws = make_any()
    ws.newSession()
    ws.sync()
    ws.close()
    if ws.kind == "dict":
        assert ws.sessiondict is None
        with pytest.raises(websession.SessionStoreError, match="closed"):
            ws.newSession()


def test_dictobj_of_the_wrong_type_is_refused():
    for wrong in (5, [], object(), 1.5):
        with pytest.raises(TypeError, match="path, a store or a string-keyed"):
            WebSession(wrong)


def test_a_path_gives_a_file_store(tmp_path):
    for path in (tmp_path / "a", str(tmp_path / "b")):
        ws = WebSession(path)
        assert isinstance(ws.sessiondict, websession.FileStore)
        assert ws.retrieveSession(ws.newSession()) == "_created_"


def test_data_that_cannot_be_serialised_leaves_the_old(make_session):
    ws = make_session()
    sid = ws.newSession()
    ws.storeSession(sid, "old")
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        ws.storeSession(sid, lambda: None)
    assert ws.retrieveSession(sid) == "old"
