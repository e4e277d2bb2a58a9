"""The JSON of sessions: what goes in comes out, or is refused by name."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import subprocess
import sys
import uuid
from collections import OrderedDict
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from websession import CorruptData, FileStore, WebSession
from websession.serializers import get

JSON = get("json")

CET = dt.timezone(dt.timedelta(hours=1))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**80),
        1.5,
        "",
        "é\N{GRINNING FACE}\0\ud800",
        [],
        [1, [2, [None]]],
        {},
        {"a": {"b": [1.0]}},
        b"",
        b"\x00\xff",
        (),
        (1, ("two", [3])),
        set(),
        {1, "1", (1, 2), None, b"x"},
        frozenset([frozenset([1])]),
        dt.date(2026, 11, 22),
        dt.time(23, 59, 59, 999999),
        dt.datetime(2026, 11, 22, 1, 2, 3),
        dt.datetime(2026, 11, 22, 1, 2, 3, 4, CET),
        dt.datetime(2026, 10, 25, 2, 30, fold=1),
        dt.timedelta(-1, 2, 3),
        Decimal("1.10"),
        Decimal("-Infinity"),
        uuid.UUID(int=1),
        math.inf,
        -math.inf,
        {1: "int", (2, 3): "tuple", None: 4, dt.date(2026, 1, 1): 5},
        {1: "one", "1": "a string"},
        {"~": ["tuple", [1]]},
        {"~": 1, "other": 2},
        {"~": {"~": {"~": None}}},
        {"nested": [{"deep": ({1, 2}, b"x")}]},
    ],
    ids=repr,
)
def test_what_goes_in_comes_out(value):
    raw = JSON.dumps(value)
    found = JSON.loads(raw)
    assert found == value
    assert repr(found) == repr(value) or isinstance(value, (set, frozenset))
    assert getattr(found, "fold", 0) == getattr(value, "fold", 0)
    json.loads(raw)  # whatever else reads it: it is JSON


def test_not_a_number_comes_out():
    assert math.isnan(JSON.loads(JSON.dumps(math.nan)))


def test_plain_data_is_plain_json():
    assert JSON.dumps({"a": [1, None, "x"]}) == b'{"a":[1,null,"x"]}'


def test_a_time_zone_becomes_its_offset():
    zoneinfo = pytest.importorskip("zoneinfo")
    try:
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("needs the time zone database")
    when = dt.datetime(2026, 7, 1, 12, tzinfo=zone)
    found = JSON.loads(JSON.dumps(when))
    assert found == when
    assert found.utcoffset() == dt.timedelta(hours=2)


class Odd:
    pass


class Text(str):
    pass


def endless():
    found = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"cart": [1, Odd()]}, r"data\['cart'\]\[1\] is of type Odd, which"),
        ({"a": {1: Odd}}, r"data\['a'\]\[1\] is of type type"),
        ({"name": Text("x")}, r"data\['name'\] is of type Text"),
        ({"d": OrderedDict(a=1)}, r"data\['d'\] is of type OrderedDict"),
        ({"b": bytearray(b"x")}, r"data\['b'\] is of type bytearray"),
        ({(1, Odd): 1}, r"is of type type"),
        ({"s": {1, 2j}}, r"data\['s'\]\[2j\] is of type complex"),
        ({"n": [10**5000]}, r"data\['n'\]\[0\] is an int of too many digits"),
        ({"ok": 1, "loop": endless()}, r"data\['loop'\] contains itself"),
        (Odd(), r"data is of type Odd"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_key(value, message):
    with pytest.raises(TypeError, match=message):
        JSON.dumps(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"1 2",
        b"\xff",
        b'{"~":["nothing we know",1]}',
        b'{"~":1}',
        b'{"~":[]}',
        b'{"~":["set",1]}',
        b'{"~":["uuid","x"]}',
        b'{"~":["dict",[[[],1]]]}',
        b'{"~":["datetime","yesterday"]}',
    ],
)
def test_what_is_not_ours_is_an_error(raw):
    with pytest.raises(ValueError):
        JSON.loads(raw)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.sampled_from([None, dt.timezone.utc, CET]))
    | st.timedeltas()
)
hashables = st.recursive(
    scalars,
    lambda each: st.lists(each).map(tuple) | st.frozensets(each),
    max_leaves=4,
)
values = st.recursive(
    scalars,
    lambda each: (
        st.lists(each)
        | st.lists(each).map(tuple)
        | st.sets(hashables)
        | st.dictionaries(st.text() | st.just("~") | hashables, each)
    ),
    max_leaves=12,
)


def shape(value):
    """A value with all its types spelled out: True is not 1 here."""
    kind = type(value).__name__
    if isinstance(value, (set, frozenset)):
        return kind, sorted(map(repr, map(shape, value)))
    if isinstance(value, (list, tuple)):
        return kind, [shape(each) for each in value]
    if isinstance(value, dict):
        return kind, [(shape(k), shape(v)) for k, v in value.items()]
    return kind, repr(value)


@given(values)
def test_any_value_comes_out_as_it_went_in(value):
    raw = JSON.dumps(value)
    found = JSON.loads(raw)
    assert shape(found) == shape(value)
    assert JSON.dumps(found) == raw


def test_equal_sets_give_equal_bytes_in_every_process():
    code = (
        "from websession.serializers import get\n"
        "words = [str(i) for i in range(100)]\n"
        "print(get('json').dumps({'s': set(words), 'm': {1, 'a', b'b'}}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_a_store_keeps_it(root, backend):
    ws = WebSession(FileStore(root, serializer="json", backend=backend))
    session_id = ws.newSession()
    data = {"when": dt.date(2026, 1, 1), 1: {b"x"}}
    ws.storeSession(session_id, data)
    assert ws.retrieveSession(session_id) == data
    with pytest.raises(TypeError, match=r"data\['odd'\]"):
        ws.storeSession(session_id, {"odd": Odd()})
    assert ws.retrieveSession(session_id) == data


def test_a_tag_of_a_newer_version_is_corrupt_and_kept(root, backend):
    from websession.serializers import Encoded

    ws = WebSession(FileStore(root, serializer="json", backend=backend))
    session_id = ws.newSession(data=Encoded(b'{"~":["from the future"]}'))
    with pytest.raises(CorruptData, match="cannot be decoded"):
        ws.retrieveSession(session_id)
    ws.storeSession(session_id, {"still": "there"})
    assert ws.retrieveSession(session_id) == {"still": "there"}


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text().filter("~".__ne__), inner)
    ),
    max_leaves=20,
)


@given(JSONS, st.data())
def test_text_is_read_as_json_reads_it(value, data):
    """Also where something is missing, or too much."""
    text = json.dumps(value, ensure_ascii=True)
    text = text[: data.draw(st.integers(0, len(text)))] + data.draw(
        st.sampled_from(["", "", " ", "]", "}", "x", "1", "\\"])
    )
    if b"~" in text.encode():
        return
    try:
        expected, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        end = -1
    if end == len(text):
        assert repr(JSON.loads(text.encode())) == repr(expected)
    else:
        with pytest.raises(ValueError):
            JSON.loads(text.encode())


@pytest.mark.parametrize("hidden", [True, False])
def test_without_the_parts_in_c_the_bytes_are_the_same(hidden):
    code = (
        "import sys\n"
        f"if {hidden}: sys.modules['_json'] = None\n"
        "from websession.serializers import get\n"
        "import websession._tagged_json as ours\n"
        f"assert (ours._json is None) is {hidden}\n"
        "value = {'a': [1, -2.5, None, True, '\\ud800'], 'b': (1, {2})}\n"
        "raw = get('json').dumps(value)\n"
        "assert get('json').loads(raw) == value\n"
        "for bad in b'', b'[1', b'[1]]', b'nul', b'\\xff':\n"
        "    try: get('json').loads(bad)\n"
        "    except ValueError: continue\n"
        "    raise AssertionError(bad)\n"
        "sys.stdout.buffer.write(raw)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command) == (
        rb'{"a":[1,-2.5,null,true,"\ud800"],'
        rb'"b":{"~":["tuple",[1,{"~":["set",[2]]}]]}}'
    )
