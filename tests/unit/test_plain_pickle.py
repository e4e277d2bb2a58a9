"""Pickles of plain data without `pickle`: the same bytes, the same objects."""

from __future__ import annotations

import _pickle
import math
import subprocess
import sys
from collections import OrderedDict, namedtuple
from enum import IntEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from websession import CorruptData, FileStore, WebSession, _plain_pickle
from websession._plain_pickle import NotPlain

EDGES = [
    0, 1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -1, -128, -129, -(2**31),
    -(2**31) - 1, 2**63, -(2**63), 2**1000, -(2**1000), 0.0, -0.0, math.inf,
    math.nan, "", "a" * 255, "a" * 256, "\ud800", "\u00e4" * 128, b"",
    b"x" * 255, b"x" * 256, (), [], {}, (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4),
    [1], {1: 2}, [None] * 999, dict.fromkeys(range(999)),
]  # fmt: skip
SHARED = ["the same", b"bytes", [1, 2], (1, "t"), {"k": [1]}]
MANY = [f"string {number}" for number in range(300)]

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.binary().filter(lambda raw: len(raw) != 1)
    | st.sampled_from(EDGES + SHARED),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.lists(inner, max_size=6).map(tuple)
        | st.dictionaries(
            st.text() | st.integers() | st.tuples(st.text()), inner, max_size=6
        )
    ),
    max_leaves=40,
)  # fmt: skip


def same(raw):
    """What is read, which is what `_pickle` reads."""
    found, expected = _plain_pickle.loads(raw), _pickle.loads(raw)
    assert repr(found) == repr(expected)
    # Also which of its parts are one object.
    assert _pickle.dumps(found, 5) == _pickle.dumps(expected, 5)
    return found


@pytest.mark.parametrize("value", EDGES, ids=lambda value: repr(value)[:20])
def test_the_bytes_of_edges(value):
    raw = _pickle.dumps(value, 5)
    assert _plain_pickle.dumps(value) == raw
    assert type(same(raw)) is type(value)


@settings(max_examples=500)
@given(plain)
def test_the_bytes_are_those_of_pickle(value):
    raw = _pickle.dumps(value, 5)
    assert _plain_pickle.dumps(value) == raw
    same(raw)


def test_what_is_one_object_stays_one():
    inner = [1]
    value = {"a": inner, "b": (inner, inner), "c": [*SHARED, *SHARED]}
    found = same(_plain_pickle.dumps(value))
    assert found["a"] is found["b"][0] is found["b"][1]
    again = [*MANY, *reversed(MANY)]
    assert _plain_pickle.dumps(again) == _pickle.dumps(again, 5)
    assert same(_plain_pickle.dumps(again)) == again


def test_a_list_that_holds_itself():
    value = [1]
    value.append(value)
    raw = _plain_pickle.dumps(value)
    assert raw == _pickle.dumps(value, 5)
    found = _plain_pickle.loads(raw)
    assert found[1] is found


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def endless():
    inner = []
    value = (inner,)
    inner.append(value)
    return value


class Number(IntEnum):
    ONE = 1


Pair = namedtuple("Pair", "a b")
# What `pickle` writes and this does not; and of these, what is read all the
# same, since it is a matter of length or depth alone.
NOT_WRITTEN = {
    "set": {1}, "frozenset": frozenset(), "complex": 1j, "class": object,
    "subclass of dict": OrderedDict(a=1), "subclass of int": Number.ONE,
    "subclass of tuple": Pair(1, 2), "bytearray": bytearray(b"x"),
    "a set deep in it": [[{1}]], "a single byte": [b"q"],
    "a tuple that holds itself": endless(),
}  # fmt: skip
TOO_MUCH = {
    "depth": deep(60), "str": "x" * 70_000, "bytes": b"x" * 70_000,
    "list": [None] * 1000, "dict": dict.fromkeys(range(1000)),
    "in all": ["x" * 1000 + str(number) for number in range(100)],
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_WRITTEN | TOO_MUCH)
def test_what_is_not_plain_is_for_pickle(what):
    with pytest.raises(NotPlain):
        _plain_pickle.dumps((NOT_WRITTEN | TOO_MUCH)[what])


@pytest.mark.parametrize("what", sorted(NOT_WRITTEN))
def test_what_is_not_plain_is_not_read(what):
    raw = _pickle.dumps(NOT_WRITTEN[what], 5)
    with pytest.raises(NotPlain):
        _plain_pickle.loads(raw)


@pytest.mark.parametrize("protocol", range(5))
def test_another_protocol_is_for_pickle(protocol):
    with pytest.raises(NotPlain):
        _plain_pickle.loads(_pickle.dumps([1], protocol))


codes = st.sampled_from([*_plain_pickle._STEPS, 0x2E, 0x95, 0x30, 0x63])


@settings(max_examples=2000)
@given(plain, st.data())
def test_what_is_read_of_damage_is_what_pickle_reads(value, data):
    raw = bytearray(_pickle.dumps(value, 5))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255) | codes)
    del raw[data.draw(st.integers(0, len(raw)) | st.just(len(raw))) :]
    try:
        found = _plain_pickle.loads(bytes(raw))
    except Exception:
        return  # that is for pickle
    assert repr(found) == repr(_pickle.loads(bytes(raw)))


@settings(max_examples=2000)
@given(st.lists(codes | st.integers(0, 3), max_size=12).map(bytes))
def test_what_is_read_of_anything_is_what_pickle_reads(code):
    raw = b"\x80\x05" + code + b"."
    try:
        found = _plain_pickle.loads(raw)
    except Exception:
        return
    assert repr(found) == repr(_pickle.loads(raw))


@pytest.mark.parametrize(
    "code",
    [
        b"N(\x94t\x86", b"N(\x85t\x86", b"](Nat", b"](Ne(t\x86\x94a",
        b"}(NNst", b"](\x94a", b"N(t", b"(", b"NN", b"", b"a", b"]a", b"h\0",
        b"Nh\0", b"(}Ns", b"}(Nu", b"]Nu", b"}Ne",
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_not_read(code):
    """What a mark is before belongs to what comes behind."""
    with pytest.raises(Exception):
        _plain_pickle.loads(b"\x80\x05" + code + b".")


# In a store

REQUEST = """
import sys
from websession import CorruptData, FileStore, WebSession
ws = WebSession(FileStore(sys.argv[1], backend="python"))
sid = ws.newSession()
for number in range(int(sys.argv[2])):
    ws.storeSession(sid, {"n": number, "l": [1.5, (b"xy", None)]})
assert ws.retrieveSession(sid)["n"] == int(sys.argv[2]) - 1
"""


def process(code, *arguments):
    command = [sys.executable, "-S", "-E", "-c"]
    preamble = f"import sys; sys.path[:0] = {sys.path!r}\n"
    done = subprocess.run(
        [*command, preamble + code, *map(str, arguments)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize(("stores", "imported"), [(2, False), (40, True)])
def test_a_process_with_little_to_do_imports_no_pickle(root, stores, imported):
    code = REQUEST + (
        "heavy = {'_pickle', 'pickle', 'functools', 'collections'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    said = process(code, root, stores)
    assert ("_pickle" in said) is imported
    if not imported:
        assert said == "[]"


def test_a_process_keeps_what_is_not_plain(root):
    code = REQUEST + (
        "import datetime\n"
        "value = {'when': datetime.date(2023, 1, 1), 's': {1}}\n"
        "ws.storeSession(sid, value)\n"
        "assert ws.retrieveSession(sid) == value\n"
        "print(sid)\n"
    )
    sid = process(code, root, 1)
    code = (
        "import sys\n"
        "from websession import FileStore, WebSession\n"
        "ws = WebSession(FileStore(sys.argv[1], backend='python'))\n"
        "print(ws.retrieveSession(sys.argv[2])['when'])\n"
    )
    assert process(code, root, sid) == "2023-01-01"


def test_what_cannot_be_pickled_is_said_by_pickle(root):
    code = REQUEST + (
        "try: ws.storeSession(sid, lambda: 0)\n"
        "except Exception as error: print(error)\n"
        "assert ws.retrieveSession(sid)['n'] == 0\n"
    )
    assert "pickle" in process(code, root, 1)


def test_a_process_that_cannot_import_it_says_so_and_loses_nothing(root):
    """It may be out of descriptors when it first needs the module."""
    code = REQUEST + (
        "from websession import SessionStoreError\n"
        "sys.modules['_pickle'] = sys.modules['pickle'] = None\n"
        "try: ws.storeSession(sid, {1})\n"
        "except SessionStoreError as error: print(error)\n"
        "del sys.modules['_pickle'], sys.modules['pickle']\n"
        "assert ws.retrieveSession(sid)['n'] == 0\n"
        "ws.storeSession(sid, {1})\n"
        "sys.modules['_pickle'] = None\n"
        "assert ws.retrieveSession(sid) == {1}\n"
    )
    assert "pickle cannot be imported" in process(code, root, 1)


def test_a_session_is_not_corrupt_where_pickle_is_not_to_be_had(root):
    sid = WebSession(FileStore(root)).newSession(data={1})
    code = (
        "import sys\n"
        "from websession import FileStore, SessionStoreError, WebSession\n"
        "ws = WebSession(FileStore(sys.argv[1], backend='python'))\n"
        "sys.modules['_pickle'] = sys.modules['pickle'] = None\n"
        "try: ws.retrieveSession(sys.argv[2])\n"
        "except SessionStoreError as error: print(error)\n"
    )
    assert "pickle cannot be imported" in process(code, root, sid)


def test_a_pickle_that_cannot_be_read_is_corrupt(root):
    store = FileStore(root)
    store.create("x" * 12, 1, {}, (1.8e9, 0, 0, 0))
    code = (
        "import sys\n"
        "from websession import CorruptData, FileStore\n"
        "from websession.serializers import Encoded\n"
        "store = FileStore(sys.argv[1], backend='python')\n"
        "limits = 1.8e9, 0, 0, 0\n"
        "store.create('cut', Encoded(b'\\x80\\x05K'), {}, limits)\n"
        "try: store.read('cut', 1.8e9)\n"
        "except CorruptData as error: print(error)\n"
    )
    assert "cannot be decoded" in process(code, root)
    with pytest.raises(CorruptData, match="cannot be decoded"):
        store.read("cut", 1.8e9)
