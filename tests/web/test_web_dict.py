"""The session of a request does what a dict does, before it is loaded too."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from websession import WebSession
from websession.asgi import AsyncSession
from websession.web import Session, SessionManager

DATA = {"a": 1, "b": [2], "c": {"d": 3}}


def matched(session):
    match session:
        case {"a": a, "b": [b]}:
            return a, b


def filled(session):
    plain = {"z": 0}
    plain.update(session)
    return plain


def joined(session):
    plain = {"z": 0}
    plain |= session
    return plain


READS = {
    "dict": dict,
    "unpacking": lambda session: {**session},
    "arguments": lambda session: (lambda **given: given)(**session),
    "|": lambda session: session | {"z": 1},
    "| from the right": lambda session: {"z": 1} | session,
    "|= of another": joined,
    "update of another": filled,
    "copy": lambda session: session.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda session: pickle.loads(pickle.dumps(session)),
    "==": lambda session: session == DATA,
    "== from the right": lambda session: session == DATA,
    "!=": lambda session: session != DATA,
    "!= from the right": lambda session: session != DATA,
    "!= of another": lambda session: session != {**DATA, "z": 1},
    "list": list,
    "reversed": lambda session: list(reversed(session)),
    "reversed keys": lambda session: list(reversed(session.keys())),
    "set": set,
    "len": len,
    "bool": bool,
    "in": lambda session: ("a" in session, "z" in session),
    "[]": lambda session: session["a"],
    "get": lambda session: (session.get("a"), session.get("z", 9)),
    "keys": lambda session: session.keys() - {"a"},
    "values": lambda session: list(session.values()),
    "items": lambda session: list(session.items()),
    "fromkeys": lambda session: session.fromkeys("ab"),
    "format": lambda session: "{a}{b}".format_map(session),
    "%": lambda session: "%(a)s" % session,  # noqa: UP031
    "match": matched,
}  # fmt: skip

# What takes nothing but a dict.
READS_OF_DICTS = {
    "json": json.dumps,
    "json, indented": lambda session: json.dumps(session, indent=1),
    "json, sorted": lambda session: json.dumps(session, sort_keys=True),
    "json, inside": lambda session: json.dumps({"session": session}),
    "isinstance": lambda session: isinstance(session, dict),
}


def popped(session):
    return session.popitem()


def ored(session):
    session |= {"b": 7, "z": 1}
    return session


CHANGES = {
    "[]=": lambda session: session.__setitem__("a", 5),
    "del": lambda session: session.__delitem__("a"),
    "clear": lambda session: session.clear(),
    "pop": lambda session: session.pop("b"),
    "pop of none": lambda session: session.pop("z", 9),
    "popitem": popped,
    "setdefault": lambda session: session.setdefault("z", 1),
    "setdefault, there": lambda session: session.setdefault("a", 8),
    "update": lambda session: session.update({"a": 4}, z=1),
    "|=": ored,
}


def classes():
    from websession.flask import FlaskSession
    from websession.pyramid import PyramidSession

    return Session, AsyncSession, FlaskSession, PyramidSession


KINDS = ["wsgi", "asgi", "flask", "pyramid"]
DICTS = [kind for kind in KINDS if kind != "wsgi"]


@pytest.fixture(params=KINDS)
def opened(request, make_store):
    """Opens a session that is stored, and not loaded."""
    sessions = WebSession(
        make_store(serializer="json"), crossCheckVars=(), sessionIDLength=32
    )
    manager = SessionManager(sessions)
    sid = sessions.newSession(data=DATA)
    header = f"{manager.cookie.name(True)}={sid}"
    env = {"HTTP_COOKIE": header, "wsgi.url_scheme": "https"}
    kind = dict(zip(KINDS, classes(), strict=True))[request.param]

    def opened():
        return kind(manager, env)

    opened.stored = lambda: sessions.retrieveSession(sid)
    return opened


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_the_first_who_reads_sees_the_contents(opened, read):
    session = opened()
    seen = read(session)
    assert seen == read(dict(DATA))
    assert type(seen) is type(read(dict(DATA)))
    assert read(session) == seen


@pytest.mark.parametrize("opened", DICTS, indirect=True)
@pytest.mark.parametrize("read", READS_OF_DICTS.values(), ids=READS_OF_DICTS)
def test_what_takes_nothing_but_a_dict_takes_it(opened, read):
    assert read(opened()) == read(dict(DATA))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_what_it_is_to_a_dict(opened, change):
    session, plain = opened(), copy.deepcopy(DATA)
    assert change(session) == change(plain)
    assert dict(session) == plain
    assert list(session) == list(plain)
    session._commit()
    assert opened.stored() == plain


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda session: session["z"], KeyError),
        (lambda session: session.pop("z"), KeyError),
        (lambda session: session.__delitem__("z"), KeyError),
        (lambda session: session | 1, TypeError),
        (lambda session: 1 | session, TypeError),
        (lambda session: hash(session), TypeError),
        (lambda session: session.pop("a", 1, 2), TypeError),
    ],
)
def test_what_is_wrong_to_a_dict_is_wrong(opened, call, error):
    with pytest.raises(error):
        call(opened())


def test_two_sessions_that_are_not_loaded_are_compared(opened):
    assert opened() == opened()
    other = opened()
    other["a"] = 2
    assert opened() != other


def test_it_looks_at_nothing_before_it_is_used(opened):
    session = opened()
    assert not session.accessed
    assert repr(session).endswith("Session, not loaded>")
    assert not session.accessed


@pytest.mark.parametrize("opened", DICTS, indirect=True)
def test_what_reads_dicts_from_c_finds_it_once_it_is_used(opened):
    session = opened()
    session.get("a")
    assert dict(dict.items(session)) == DATA
    session["a"] = 2
    del session["c"]
    assert dict(dict.items(session)) == {"a": 2, "b": [2]}
    session.atomically(lambda data: {**data, "e": 4})
    assert dict(dict.items(session)) == {"a": 2, "b": [2], "e": 4}
    session.invalidate()
    assert dict(dict.items(session)) == {}
