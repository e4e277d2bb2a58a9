"""What counts as a change where two requests change one session."""

from __future__ import annotations

import collections
import datetime
import enum
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from websession import WebSession, serializers
from websession.web import Session, SessionCookie, SessionManager
from websession.web.merge import merge

PICKLE = serializers.get("pickle")
# A set of these two comes back in the other order whenever it is written and
# read: both want the same place of a small table.
FLIP = (3, 11)
LONG = "long enough not to be one object by chance "


class Thing:
    """Compared by identity, and written by its attributes."""

    def __init__(self, **values):
        self.__dict__.update(values)


class Vague:
    """Equal to all of its kind."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Vague)

    def __hash__(self):
        return 1


class Role(enum.Enum):
    READER = 1
    WRITER = 2


def trip(value):
    return PICKLE.loads(PICKLE.dumps(value))


def is_change(base, mine):
    """Whether a merge takes mine, and not what another request stored."""
    merged = merge(
        {"key": base},
        {"key": mine},
        {"key": "theirs"},
        PICKLE.dumps,
        PICKLE.loads,
    )
    return merged["key"] != "theirs"


def loop():
    values = [1]
    values.append(values)
    return values


def deep(levels):
    values = [set(FLIP)]
    for _ in range(levels):
        values = [values]
    return values


def shared(value):
    return [value, value]


UNTOUCHED = {
    "a set": set(FLIP),
    "a frozen set": frozenset(FLIP),
    "a set in a dict in a list": [{"roles": set(FLIP)}],
    "a set in a tuple": (1, (set(FLIP),)),
    "a set in a set": {frozenset(FLIP), 1, (frozenset(FLIP),)},
    "a set in an object": Thing(roles=set(FLIP)),
    "a set in an object in a list": [Thing(roles=set(FLIP))],
    "a set in a dict that is none of ours": collections.defaultdict(
        set, a=set(FLIP)
    ),
    "objects without an order in a set": {Thing(n=n) for n in range(30)},
    "a set that is there twice": shared(set(FLIP)),
    "members of an enumeration": {Role.READER, Role.WRITER},
    "what is no number": [float("nan"), {float("nan")}, (float("nan"),)],
    "zeros": [0, 0.0, -0.0, False, 0j, -0j],
    "a loop": [loop(), set(FLIP)],
    "a list that is there twice": [shared([1]), set(FLIP)],
    "times": [datetime.datetime.now(datetime.timezone.utc), set(FLIP)],
    "bytes": [b"x", bytearray(b"x"), set(FLIP)],
}


@pytest.mark.parametrize("value", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_was_not_touched_is_no_change(value):
    stored = PICKLE.dumps(value)
    for _ in range(3):
        base = PICKLE.loads(stored)
        assert not is_change(base, PICKLE.loads(stored))
        # What a request has loaded, written and loaded again.
        stored = PICKLE.dumps(PICKLE.loads(stored))
        assert not is_change(base, PICKLE.loads(stored))


SAME = {
    "a set that was made anew": (
        [{9, 1, *FLIP}],
        [{*reversed(FLIP), 1, 9}],
    ),
    "a set that was larger for a while": (
        {1, 40},
        set(range(99)) - {0, *range(2, 40), *range(41, 99)},
    ),
    "equal strings that are one object": (
        shared(LONG),
        [LONG, "".join(list(LONG))],
    ),
}


@pytest.mark.parametrize(("base", "mine"), SAME.values(), ids=SAME)
def test_what_is_equal_is_no_change(base, mine):
    assert not is_change(base, mine)
    assert not is_change(mine, base)


DIFFERENT = {
    "true in the place of one": (1, True),
    "true in the place of one in a list": ([1], [True]),
    "true in the place of one in a set": ({1, 2}, {True, 2}),
    "true in the place of one as a key": ({1: 2}, {True: 2}),
    "a float in the place of an integer": ((1,), (1.0,)),
    "minus zero": ([0.0, set(FLIP)], [-0.0, set(FLIP)]),
    "minus zero in a set": ({0.0, *FLIP}, {-0.0, *FLIP}),
    "one NaN in the place of another": (
        float("nan"),
        struct.unpack("<d", b"\1\0\0\0\0\0\xf8\x7f")[0],
    ),
    "a NaN less": ([float("nan")], []),
    "a tuple in the place of a list": ([1], (1,)),
    "a frozen set in the place of a set": ({1}, frozenset({1})),
    "bytes that can be changed": (b"x", bytearray(b"x")),
    "another member": (set(FLIP), {3, 12}),
    "a member more": (set(FLIP), {*FLIP, 4}),
    "a member less": (set(FLIP), {3}),
    "another member of a set in a set": (
        {frozenset(FLIP)},
        {frozenset({3, 12})},
    ),
    "another order of a list": ([1, 2], [2, 1]),
    "another order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "another key": ({"a": 1}, {"b": 1}),
    "another value deep inside": ([{"a": ([1],)}], [{"a": ([2],)}]),
    "another attribute": (Thing(a=1), Thing(a=2)),
    "another attribute of one that says that it is equal": (
        Vague(1),
        Vague(2),
    ),
    "the same in a set": ({Vague(1)}, {Vague(2)}),
    "another object in a set": ({Thing(a=1)}, {Thing(a=2)}),
    "one object of two alike": ({Thing(a=1), Thing(a=1)}, {Thing(a=1)}),
    "one object in two places": ([[1], [1]], shared([1])),
    "another loop": (loop(), [1, [1, []]]),
    "another time": (
        datetime.datetime(2026, 1, 1),
        datetime.datetime(2026, 1, 2),
    ),
}  # fmt: skip
if sys.version_info >= (3, 12):
    # Before, pickle goes no deeper than Python.
    DIFFERENT["deeper than Python goes"] = deep(600), deep(599)


@pytest.mark.parametrize(("base", "mine"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_is_different_is_a_change(base, mine):
    assert is_change(base, mine)
    assert is_change(mine, base)


def written(value):
    """The same text for what is the same, whatever the order of sets."""
    kind = type(value).__name__
    if isinstance(value, dict):
        items = [f"{written(k)}:{written(v)}" for k, v in value.items()]
    elif isinstance(value, (set, frozenset)):
        items = sorted(map(written, value))
    elif isinstance(value, (list, tuple)):
        items = list(map(written, value))
    elif isinstance(value, float):
        items = [struct.pack("<d", value).hex()]
    else:
        items = [repr(value)]
    return f"{kind}({','.join(items)})"


atoms = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([0.0, -0.0, 1.0])
    | st.sampled_from(["", "a", LONG])
    | st.binary(max_size=1)
)
keys = st.recursive(
    atoms,
    lambda inner: (
        st.frozensets(inner, max_size=3)
        | st.tuples(inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=4,
)
values = st.recursive(
    keys | st.just(float("nan")) | st.sets(keys, max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(values, values)
def test_a_change_is_what_makes_a_difference(one, other):
    base, mine = trip(one), trip(trip(one))
    assert not is_change(base, mine)
    assert is_change(base, trip(other)) == (written(one) != written(other))


# In requests


@pytest.fixture
def manager(make_store):
    return SessionManager(
        WebSession(make_store(), crossCheckVars=(), sessionIDLength=32),
        cookie=SessionCookie("sid", secure=False),
    )


def request_of(manager, session_id):
    return Session(manager, {"HTTP_COOKIE": f"sid={session_id}"})


def test_an_untouched_set_does_not_undo_what_another_request_took_away(
    manager,
):
    session_id = manager.sessions.newSession(data={"roles": set(FLIP)})
    slow = request_of(manager, session_id)
    assert slow["roles"] == set(FLIP)
    slow["seen"] = 1
    revoking = request_of(manager, session_id)
    revoking["roles"].remove(3)
    revoking._commit()
    slow._commit()
    assert manager.sessions.retrieveSession(session_id) == {
        "roles": {11},
        "seen": 1,
    }


# Nothing tells in which order these are read: they may be written again.
READ = {**UNTOUCHED}
del READ["objects without an order in a set"]


@pytest.mark.parametrize("value", READ.values(), ids=READ)
def test_a_session_that_was_only_read_is_not_modified(manager, value):
    session_id = manager.sessions.newSession(data={"key": value})
    for _ in range(3):
        session = request_of(manager, session_id)
        assert session["key"] is not None
        assert not session.modified
        session.atomically(lambda data: None)
        assert not session.modified


@pytest.mark.parametrize(("base", "mine"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_session_that_was_changed_is_modified(manager, base, mine):
    session_id = manager.sessions.newSession(data={"key": base})
    session = request_of(manager, session_id)
    session["key"] = trip(mine)
    assert session.modified
    session._commit()
    stored = manager.sessions.retrieveSession(session_id)["key"]
    assert not is_change(stored, mine)
