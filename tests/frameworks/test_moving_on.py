"""
A move ends well: from an old store through a `MovingSession` to a plain one,
through every adapter, and nobody is logged out.
"""

from __future__ import annotations

import decimal
import pickle
import shelve
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from cachelib import FileSystemCache
from itsdangerous import Signer

from adapters import ADAPTERS
from support import session_files
from test_migration import DJANGO, SECRET, run
from websession import BadSessionId, FileStore, InvalidSessionId, WebSession
from websession.flask import tagged_json
from websession.ids import handle
from websession.legacy import (
    CacheFiles,
    CherryPyFiles,
    DjangoFiles,
    MovingSession,
    Shelf,
)

DATA = {"user": "ann", "roles": {"b", "a"}, "due": decimal.Decimal("9.90")}


def of_django(old):
    return DjangoFiles(old, secret_key=SECRET), run(DJANGO, old, SECRET)[0]


def of_cachelib(old, signer=None):
    session_id = "A-_" + "x" * 40
    # As Flask-Session does it.
    FileSystemCache(str(old)).set("session:" + session_id, DATA)
    if signer is None:
        return CacheFiles(old), session_id
    signed = signer.sign(session_id).decode()
    return CacheFiles(old, signed_with=SECRET), signed


def of_cachelib_signed(old):
    return of_cachelib(
        old, Signer(SECRET, salt="flask-session", key_derivation="hmac")
    )


def of_cherrypy(old):
    session_id = "0123456789" * 4
    until = datetime.now() + timedelta(hours=1)
    file = old / f"session-{session_id}"
    file.write_bytes(pickle.dumps((DATA, until)))
    return CherryPyFiles(old), session_id


def of_a_shelve(old):
    with shelve.open(str(old / "shelf")) as shelf:
        shelf["abcdefghij.-"] = (time.time(), DATA)
        shelf["__session_checkvars__abcdefghij.-"] = {}
    return Shelf(old / "shelf"), "abcdefghij.-"


SOURCES = {
    "django": of_django,
    "cachelib": of_cachelib,
    "cachelib-signed": of_cachelib_signed,
    "cherrypy": of_cherrypy,
    "shelve": of_a_shelve,
}


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old"
    path.mkdir(mode=0o700)
    return path


def moving_to(store, *sources):
    return MovingSession(
        store,
        sources=sources,
        expireRemove=1209600,
        crossCheckVars=(),
        sessionIDLength=32,
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", SOURCES)
def test_from_an_old_store_to_a_plain_one(old, make_store, kind, adapter):
    source, session_id = SOURCES[kind](old)
    expected = DATA if kind != "django" else {"user": "ann", "n": 0}
    store = make_store(serializer="json")
    moving = ADAPTERS[adapter](
        moving_to(store, source), lambda session: dict(session.items())
    )
    assert moving(session_id).seen == expected

    def visit(session):
        seen = dict(session.items())
        session["visits"] = seen.get("visits", 0) + 1
        return seen

    retired = ADAPTERS[adapter](store, visit)
    assert retired(session_id).seen == expected
    assert retired(session_id).seen == {**expected, "visits": 1}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_other_lengths_of_new_ids_log_nobody_out(make_store, adapter):
    store = make_store(serializer="json")
    before = [
        WebSession(store, crossCheckVars=(), sessionIDLength=length)
        for length in (12, 64, 128)
    ]
    ids = [ws.newSession(data={"user": "ann"}) for ws in before]
    ask = ADAPTERS[adapter](store, lambda session: session.get("user"))
    assert [ask(session_id).seen for session_id in ids] == ["ann"] * 3


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_new_session_has_the_usual_length(make_store, adapter):
    ask = ADAPTERS[adapter](
        make_store(serializer="json"), lambda session: session.update({"a": 1})
    )
    (cookie,) = ask().cookies
    assert len(cookie.partition(";")[0].partition("=")[2]) == 32


def test_websession_takes_ids_of_its_own_length_unless_told_otherwise(
    make_session,
):
    exact = make_session(sessionIDLength=32)
    wide = make_session(sessionIDLength=32, otherIDLengths=True)
    for session_id in "x" * 12, "a-._Z9" * 20, "x" * 128:
        with pytest.raises(BadSessionId):
            exact.retrieveSession(session_id)
        with pytest.raises(InvalidSessionId):
            wide.retrieveSession(session_id)
    for session_id in "x" * 11, "x" * 129, "x" * 31 + "/", "x" * 31 + "\n", 1:
        for ws in exact, wide:
            with pytest.raises(BadSessionId):
                ws.retrieveSession(session_id)


def test_other_lengths_may_have_characters_of_its_own(make_session):
    ws = make_session(
        sessionIDLength=40,
        sessionIDChars="abc!defghijklmno~",
        otherIDLengths=True,
    )
    assert ws.retrieveSession(ws.newSession()) == "_created_"
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession("abc!X-._" * 4)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_cross_check_variables_move_along(old, make_store, adapter):
    """Where they cannot be checked, nobody is let in."""
    variables = {"REMOTE_ADDR": "127.0.0.1"}
    with shelve.open(str(old / "shelf")) as shelf:
        ws = WebSession(shelf)
        mine = ws.newSession(variables, data=DATA)
        other = ws.newSession({"HTTP_USER_AGENT": "other"}, data=DATA)
    store = make_store(serializer="json")
    ask = ADAPTERS[adapter](
        moving_to(store, Shelf(old / "shelf")),
        lambda session: session.get("user"),
    )
    assert ask(mine).seen == (None if adapter == "django" else "ann")
    assert ask(other).seen is None
    assert store.read(mine, time.time()).env == variables


# What cannot be read where it was


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_cannot_be_read_is_there_again_when_it_can(
    old, make_store, caplog, adapter
):
    """Nobody gets an error, and the browser keeps its cookie meanwhile."""
    source, session_id = of_cherrypy(old)
    file = old / f"session-{session_id}"
    good = file.read_bytes()
    file.write_bytes(b"\xff" * 100)
    ask = ADAPTERS[adapter](
        moving_to(make_store(serializer="json"), source),
        lambda session: dict(session.items()),
    )
    seen, cookies = ask(session_id)
    assert seen == {}
    # Django and CherryPy take back the cookie of any session that is empty.
    assert cookies == [] or adapter in ("django", "cherrypy")
    (error,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert handle(session_id).decode() in error.getMessage()
    assert f"find {old} -inum {file.stat().st_ino}" in error.getMessage()
    assert session_id not in caplog.text
    file.write_bytes(good)
    assert ask(session_id).seen == DATA


def test_another_source_is_looked_at_all_the_same(old, make_store):
    damaged = old / "damaged"
    damaged.mkdir(mode=0o700)
    source, session_id = of_cherrypy(old)
    (damaged / f"session-{session_id}").write_bytes(b"\xff" * 100)
    ws = moving_to(make_store(), CherryPyFiles(damaged), source)
    assert ws.retrieveSession(session_id) == DATA
    # What is here gets a new ID at a log-in in spite of it.
    assert ws.retrieveSession(ws.regenerateSession(session_id)) == DATA


# What JSON cannot keep


ODD = {"user": "ann", "odd": 1j, "set": {1j}, "list": [1]}


@pytest.fixture
def odd(old):
    FileSystemCache(str(old)).set("session:" + "x" * 43, ODD)
    return CacheFiles(old)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_cannot_be_kept_is_left_out_with_one_warning(
    old, odd, make_store, caplog, adapter
):
    store = make_store(serializer="json")
    ask = ADAPTERS[adapter](
        moving_to(store, odd), lambda session: dict(session.items())
    )
    for _ in range(3):
        assert ask("x" * 43).seen == {"user": "ann", "list": [1]}
    (warning,) = [
        each for each in caplog.messages if each.startswith("moving ")
    ]
    name = handle("x" * 43).decode()
    assert warning == (
        f"moving session {name}: 'odd', 'set' cannot be kept and is left "
        "out (serializer json)"
    )
    assert session_files(store.path) != []


def test_what_comes_back_as_another_type_is_named(old, make_store, caplog):
    naive = datetime(2030, 1, 2, 3, 4, 5)
    data = {"naive": naive, "aware": naive.replace(tzinfo=timezone.utc)}
    FileSystemCache(str(old)).set("session:" + "x" * 43, data)
    store = make_store(serializer=tagged_json)
    moving_to(store, CacheFiles(old)).retrieveSession("x" * 43)
    (warning,) = [
        each for each in caplog.messages if each.startswith("moving ")
    ]
    assert warning.endswith(
        ": 'naive' comes back as another type (serializer flask)"
    )


def test_what_is_no_dict_and_cannot_be_kept_is_not_there(
    old, make_store, caplog
):
    with shelve.open(str(old / "shelf")) as shelf:
        shelf["abcdefghijkl"] = (time.time(), 1j)
        shelf["__session_checkvars__abcdefghijkl"] = {}
    ws = moving_to(make_store(serializer="json"), Shelf(old / "shelf"))
    for _ in range(2):
        with pytest.raises(InvalidSessionId):
            ws.retrieveSession("abcdefghijkl")
    assert "cannot be kept" in caplog.text
    with shelve.open(str(old / "shelf")) as shelf:
        assert "abcdefghijkl" in shelf


KEPT = {
    **DATA,
    "frozen": frozenset({1, "a"}),
    "date": datetime(2030, 1, 2).date(),
    "time": datetime(2030, 1, 2, 3, 4).time(),
    "delta": timedelta(seconds=1.5),
    "uuid": uuid.UUID(int=5),
    "bytes": b"\xff",
    "tuple": (1, [2]),
    "nested": {"deep": [{"set": {decimal.Decimal(1)}}]},
}


def test_flasks_serializer_keeps_what_json_keeps():
    import markupsafe

    data = {**KEPT, "markup": markupsafe.Markup("<b>")}
    back = tagged_json.loads(tagged_json.dumps(data))
    assert back == data
    assert [type(back[key]) for key in data] == [*map(type, data.values())]
    assert tagged_json.dumps(back) == tagged_json.dumps(data)


def test_json_keeps_markup():
    import markupsafe

    from websession import serializers

    json = serializers.get("json")
    data = {"flash": [markupsafe.Markup("<b>")], "text": "<b>"}
    back = json.loads(json.dumps(data))
    assert back == data
    assert type(back["flash"][0]) is markupsafe.Markup


# The command

MIGRATED = {"flask": "flask", "django": "django", "cherrypy": "pickle"}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", ["django", "cherrypy", "shelve"])
def test_what_was_migrated_is_read_by_every_adapter(
    old, root, console, tmp_path, kind, adapter
):
    _, session_id = SOURCES[kind](old)
    (tmp_path / "key").write_text(SECRET)
    where = old / "shelf" if kind == "shelve" else old
    arguments = ["migrate", where, root, "--from", kind]
    if kind == "django":
        arguments += ["--secret-key-file", tmp_path / "key"]
    else:
        arguments.append("--unsafe-pickle")
    serializer = MIGRATED.get(adapter, "json")
    if adapter == "django" and kind != "django":
        serializer = "json"  # for the sets
    console.text(*arguments, "--serializer", serializer)
    sessions = root
    if adapter == "django" and kind != "django":
        sessions = FileStore(root, serializer="json")
    ask = ADAPTERS[adapter](sessions, lambda session: session.get("user"))
    assert ask(session_id).seen == "ann"
