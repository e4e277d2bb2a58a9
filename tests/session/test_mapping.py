"""Sessions in plain mappings: the original's layout, and its hooks."""

from __future__ import annotations

import copy
import os
import pickle
import shelve

import pytest

from support import at
from websession import (
    CorruptData,
    InvalidSessionId,
    SessionStoreError,
    WebSession,
)

CHECKVARS = "__session_checkvars__"


class Fragile:
    """Pickles well, and raises what it is told to when it is unpickled."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _explode, (self.error,)


def _explode(error):
    raise error


@pytest.fixture
def ws(clock):
    return WebSession({}, 100, 200, clock=clock)


def test_a_dict_gives_back_the_very_object(ws):
    sid = ws.newSession()
    data = {"unpicklable": lambda: None}
    ws.storeSession(sid, data)
    assert ws.retrieveSession(sid) is data


def test_the_layout_is_two_keys_per_session(ws, clock):
    sid = ws.newSession({"REMOTE_ADDR": "192.0.2.1", "X": "y"})
    ws.storeSession(sid, "data")
    assert ws.sessiondict == {
        sid: (clock.now, "data"),
        CHECKVARS + sid: {"REMOTE_ADDR": "192.0.2.1"},
    }


def test_a_shelve_of_the_original_is_retrieved(tmp_path, clock):
    sid = "abcdefghijkl"
    with shelve.open(str(tmp_path / "old")) as shelf:
        shelf[sid] = (clock.now - 50, {"user": "ann"})
        shelf[CHECKVARS + sid] = {"REMOTE_ADDR": "192.0.2.1"}
    with shelve.open(str(tmp_path / "old")) as shelf:
        ws = WebSession(shelf, 100, 200, clock=clock)
        env = {"REMOTE_ADDR": "192.0.2.1"}
        assert ws.retrieveSession(sid, env) == {"user": "ann"}
        ws.storeSession(sid, {"user": "bob"})
        clock.move(70)
        assert ws.retrieveSession(sid, env) == {"user": "bob"}
        assert ws.countSessions() == 1
        clock.move(131)
        assert ws.cleanUp() == 1
        assert list(shelf) == []


def test_lifetime_of_a_session_of_the_original_counts_from_its_timestamp(
    clock,
):
    sid = "abcdefghijkl"
    old = {sid: (clock.now - 50, "data"), CHECKVARS + sid: {}}
    ws = WebSession(old, maxLifetime=100, clock=clock)
    ws.storeSession(sid, "data")
    clock.move(51)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(sid, "data")


def test_changes_reach_a_shelve_at_once(tmp_path, clock):
    path = str(tmp_path / "shelf")
    with shelve.open(path) as shelf:
        ws = WebSession(shelf, clock=clock)
        sid = ws.newSession()
        ws.storeSession(sid, [1, 2, 3])
        ws.close()
    with shelve.open(path, "r") as shelf:
        assert shelf[sid] == (clock.now, [1, 2, 3])


@pytest.mark.parametrize(
    "error",
    [
        pickle.UnpicklingError("torn"),
        EOFError("cut"),
        AttributeError("gone"),
        ImportError("gone"),
        ValueError("bad"),
        TypeError("bad"),
    ],
)
def test_undecodable_data_is_corrupt_and_the_session_deleted(
    tmp_path, clock, error
):
    with shelve.open(str(tmp_path / "shelf")) as shelf:
        ws = WebSession(shelf, clock=clock)
        sid, other = ws.newSession(), ws.newSession()
        shelf[sid] = (clock.now, Fragile(error))
        with pytest.raises(CorruptData) as caught:
            ws.retrieveSession(sid)
        assert type(caught.value.__cause__) is type(error)
        with pytest.raises(InvalidSessionId):
            ws.retrieveSession(sid)
        assert ws.retrieveSession(other) == "_created_"
        assert len(shelf) == 2


@pytest.mark.parametrize("value", [None, 5, (1, 2, 3), ("late", "data"), "ab"])
def test_a_value_of_the_wrong_form_is_corrupt(ws, value):
    sid = ws.newSession()
    ws.sessiondict[sid] = value
    with pytest.raises(CorruptData):
        ws.retrieveSession(sid)
    assert ws.sessiondict == {}


def test_a_mapping_that_fails_to_read_loses_nothing(clock):
    class Flaky(dict):
        broken = False

        def __getitem__(self, key):
            if self.broken:
                raise OSError(5, "Input/output error")
            return super().__getitem__(key)

    flaky = Flaky()
    ws = WebSession(flaky, 100, 200, clock=clock)
    sid = ws.newSession()
    flaky.broken = True
    with pytest.raises(OSError, match="Input/output"):
        ws.retrieveSession(sid)
    clock.move(1000)
    assert ws.cleanUp() == 0
    flaky.broken = False
    assert len(flaky) == 2


def test_clean_up_survives_a_corrupt_session(tmp_path, clock):
    with shelve.open(str(tmp_path / "shelf")) as shelf:
        ws = WebSession(shelf, 100, 200, clock=clock)
        ids = sorted(ws.newSession() for _ in range(5))
        shelf[ids[2]] = (clock.now, Fragile(ValueError("bad")))
        clock.move(201)
        ws.cleanUp()
        assert list(shelf) == []


def test_clean_up_survives_a_session_that_vanishes(clock):
    class Vanishing(dict):
        def keys(self):
            found = list(super().keys())
            self.clear()
            return found

    mapping = Vanishing()
    ws = WebSession(mapping, 100, 200, clock=clock)
    ws.newSession()
    clock.move(201)
    assert ws.cleanUp() == 0


def test_clean_up_drops_orphans_and_leaves_what_is_not_a_session(ws, clock):
    ws.sessiondict[CHECKVARS + "orphanOrphan"] = {"REMOTE_ADDR": "x"}
    ws.sessiondict["halfASession"] = (clock.now, "data")
    ws.sessiondict["settings"] = {"not": "a session"}
    clock.move(201)
    assert ws.cleanUp() == 1
    assert ws.sessiondict == {"settings": {"not": "a session"}}


def test_ids_that_begin_with_two_underscores_are_cleaned_up(ws, clock):
    ws._generateSessionID = lambda maxtry=1: "__beginsSo__"
    ws.newSession()
    clock.move(201)
    assert ws.cleanUp() == 1
    assert ws.sessiondict == {}


def test_variables_of_another_session_are_not_a_session(clock):
    ws = WebSession({}, sessionIDLength=12, clock=clock)
    sid = ws.newSession({"REMOTE_ADDR": "192.0.2.1"})
    longer = WebSession(ws.sessiondict, sessionIDLength=33, clock=clock)
    with pytest.raises(InvalidSessionId):
        longer.retrieveSession(CHECKVARS + sid)
    with pytest.raises(InvalidSessionId):
        longer.storeSession(CHECKVARS + sid, "overwritten")


def test_expiry_calls_the_delete_session_of_a_subclass(clock):
    class Logging(WebSession):
        deleted = ()

        def deleteSession(self, session_id):
            data = self.sessiondict[session_id][1]
            self.deleted += ((session_id, data),)
            return super().deleteSession(session_id)

    ws = Logging({}, 100, 200, clock=clock)
    first, second = ws.newSession(), ws.newSession()
    ws.storeSession(second, "data")
    clock.move(150)
    with pytest.raises(Exception, match="expired"):
        ws.retrieveSession(first)
    clock.move(100)
    assert ws.cleanUp() == 1
    assert ws.deleted == ((first, "_created_"), (second, "data"))
    assert ws.sessiondict == {}


def test_expiry_of_files_calls_the_delete_session_of_a_subclass(
    make_store, clock
):
    class Logging(WebSession):
        deleted = ()

        def deleteSession(self, session_id):
            self.deleted += (session_id,)
            return super().deleteSession(session_id)

    ws = Logging(make_store(), 100, 200, clock=clock)
    sid = ws.newSession()
    clock.move(201)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(sid)
    assert ws.deleted == (sid,)
    assert len(ws.sessiondict) == 0


def test_subclasses_decide_about_ids_and_cross_checks(make_any):
    class Own(WebSession):
        def _generateSessionID(self, maxtry=1):
            return f"own-{super()._generateSessionID(maxtry)}"

        def _validateSessionIdFormat(self, session_id):
            assert session_id.startswith("own-")

        def _generateCrosscheckEnv(self, current_env):
            return {"network": current_env["REMOTE_ADDR"].rpartition(".")[0]}

        def _crosscheckSessionEnv(self, stored_env, current_env):
            now = self._generateCrosscheckEnv(current_env)
            return [k for k in stored_env if stored_env[k] != now[k]]

        def newSession(self, env=None):
            sid = super().newSession(env)
            return self.storeSession(sid, {"made": True})

    ws = make_any()
    ws.__class__ = Own
    sid = ws.newSession({"REMOTE_ADDR": "192.0.2.1"})
    assert sid.startswith("own-")
    assert ws.retrieveSession(sid, {"REMOTE_ADDR": "192.0.2.77"}) == {
        "made": True
    }
    with pytest.raises(Exception, match="network"):
        ws.retrieveSession(sid, {"REMOTE_ADDR": "192.0.3.1"})


def test_check_variables_can_be_copied_and_pickled(ws):
    sid = ws.newSession({"REMOTE_ADDR": "192.0.2.1"})
    stored = ws.sessiondict[CHECKVARS + sid]
    for twin in (copy.copy(stored), pickle.loads(pickle.dumps(stored))):
        assert twin == {"REMOTE_ADDR": "192.0.2.1"}
        assert twin.created == stored.created


def test_a_lock_held_by_another_thread_at_a_fork_does_not_hang_the_child(ws):
    import threading

    sid = ws.newSession()
    holding, release = threading.Event(), threading.Event()

    def hold():
        with ws._store._locked(), ws.lockSession(sid):
            holding.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    pid = os.fork()
    if pid == 0:
        ws.storeSession(sid, "in the child")
        with ws.lockSession(sid, timeout=5):
            os._exit(0)
    release.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0


def test_writes_of_other_sessions_are_no_conflict(ws):
    """Versions were once shared by sessions, and renewing one hung."""
    store = ws._store
    ids = [ws.newSession() for _ in range(600)]
    versions = {sid: store.read(sid, 0).version for sid in ids}
    assert len(set(versions.values())) == 600
    ws.storeSession(ids[0], "data")
    assert store.commit(ids[1], "x", at(0), expected=versions[ids[1]])
    assert store.commit(ids[0], "x", at(0), expected=versions[ids[0]]) is None


def test_a_version_is_not_good_again_after_many_writes(ws):
    store = ws._store
    sid, *others = [ws.newSession() for _ in range(3000)]
    version = store.read(sid, 0).version
    ws.storeSession(sid, "changed")
    for other in others:
        ws.storeSession(other, "data")
    assert store.commit(sid, "lost", at(0), expected=version) is None


def test_a_closed_shelve_says_so(tmp_path):
    ws = WebSession(shelve.open(str(tmp_path / "shelf")))
    ws.newSession()
    ws.close()
    with pytest.raises((ValueError, SessionStoreError)):
        ws.newSession()
