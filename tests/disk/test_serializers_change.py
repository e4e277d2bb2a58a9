"""
A store that reads what another serialiser has written, and writes with its
own: env and data of a record are always of one.
"""

from __future__ import annotations

import pickle

import pytest

from websession import CorruptData, FileStore, SessionHijacked, WebSession
from websession.serializers import Serializer

ENV = {"REMOTE_ADDR": "10.0.0.1"}
RAW = Serializer(
    200,
    "raw",
    lambda value: value if isinstance(value, bytes) else str(value).encode(),
    lambda raw: {"REMOTE_ADDR": raw.decode()},
)


def opened(root, backend, serializer, also_accept=(), **limits):
    store = FileStore(
        root, backend=backend, serializer=serializer, sweep_interval=0,
        also_accept=also_accept,
    )  # fmt: skip
    return WebSession(store, crossCheckVars=list(ENV), **limits)


def store(ws, session_id, data):
    ws.storeSession(session_id, data)


def store_again(ws, session_id, data):
    ws.storeSession(session_id, "before")
    ws.storeSession(session_id, data)


def replace(ws, session_id, data):
    version = ws.readSession(session_id, ENV).version
    assert ws.replaceSession(session_id, data, version)


def update(ws, session_id, data):
    ws.updateSession(session_id, lambda old: data, ENV)


def renew(ws, session_id, data):
    return ws.regenerateSession(session_id, func=lambda old: data)


@pytest.mark.parametrize("write", [store, store_again, replace, update, renew])
@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("size", [10, 6000])
@pytest.mark.parametrize(
    ("first", "second"), [("json", "pickle"), ("pickle", "json")]
)
def test_what_another_has_written_is_written_anew(
    root, backend, first, second, write, seen, size
):
    before = opened(root, backend, first)
    session_id = before.newSession(ENV, data={"old": "x" * size}, idle=500)
    made = before.readSession(session_id, ENV)
    ws = opened(root, backend, second, [first])
    if seen:
        assert ws.retrieveSession(session_id, ENV) == {"old": "x" * size}
    session_id = write(ws, session_id, {"new": "y" * size}) or session_id
    for each in ws, opened(root, backend, second):
        record = each.readSession(session_id, ENV)
        assert (record.data, record.env) == ({"new": "y" * size}, ENV)
        assert (record.created, record.idle) == (made.created, 500)
        with pytest.raises(SessionHijacked):
            each.retrieveSession(session_id, {"REMOTE_ADDR": "10.0.0.2"})


@pytest.mark.parametrize("write", [store, update])
def test_what_the_store_does_not_accept_is_not_written(root, backend, write):
    before = opened(root, backend, "pickle")
    session_id = before.newSession(ENV, data="old")
    ws = opened(root, backend, "json")
    with pytest.raises(CorruptData, match="also_accept"):
        write(ws, session_id, "new")
    assert before.retrieveSession(session_id, ENV) == "old"


def test_env_of_another_is_never_unpickled(root, backend, capsys):
    """A client has a say in what it holds."""
    attack = b"cbuiltins\nprint\n(S'UNPICKLED'\ntR."
    raw = Serializer(
        200, "raw", lambda value: attack, lambda raw: {"REMOTE_ADDR": 1}
    )
    session_id = opened(root, backend, raw).newSession(ENV, data="x")
    ws = opened(root, backend, "pickle", [raw])
    ws.storeSession(session_id, "new")
    assert ws.readSession(session_id, {"REMOTE_ADDR": 1}).data == "new"
    assert capsys.readouterr().out == ""


def test_env_that_cannot_be_converted(root, backend):
    session_id = opened(root, backend, RAW).newSession(ENV, data=b"x")
    broken = Serializer(200, "raw", RAW.dumps, lambda raw: 1 / 0)
    ws = opened(root, backend, "json", [broken])
    with pytest.raises(CorruptData, match="cannot be converted"):
        ws.storeSession(session_id, "new")


@pytest.mark.parametrize("kind", [bytearray, memoryview])
@pytest.mark.parametrize("size", [10, 6000])
def test_a_serializer_may_give_any_bytes(root, backend, kind, size):
    odd = Serializer(
        201,
        "odd",
        lambda value: kind(pickle.dumps(value)),
        lambda raw: pickle.loads(raw),
    )
    ws = opened(root, backend, odd)
    session_id = ws.newSession(ENV, data="old")
    ws.storeSession(session_id, "x" * size)
    assert ws.retrieveSession(session_id, ENV) == "x" * size
    ws.updateSession(session_id, lambda old: "new")
    assert ws.retrieveSession(session_id, ENV) == "new"
