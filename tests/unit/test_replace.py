"""
Reading with keys and replacing the data, which either backend does in one
call: who has signed what, and that both write the same bytes.
"""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw_records import CREATED, KEYRING, NAME, STORE_ID, finished, put, simple
from websession import CorruptData, engine
from websession.disk.plain.rules import first_slot
from websession.engine import ForgedRecord
from websession.keyring import Keyring
from websession.record import (
    CLOCK_SLACK,
    HEADER_LENGTH,
    PAGE,
    Parts,
    origin_of,
    pack_user,
    slot_start,
    stored_at,
)

NOW = CREATED + 100
OLD, NEW = b"an older secret, of old", b"the secret that signs now"
properties = settings(
    deadline=None, derandomize=True, database=None, max_examples=150
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("replace") / "session"


def replaced(
    backend, where, known=b"", data=b"new", now=NOW, idle=0.0, lifetime=0.0,
    keyring=KEYRING,
):  # fmt: skip
    return backend.replace(
        where, NAME, backend.keys_of(keyring), known, data, 2, now, idle,
        lifetime, 0, 0.0,
    )  # fmt: skip


def in_its_slot(raw, second=False):
    """The bytes of a file whose live record this is."""
    if second:
        other = finished(simple(b"before"), 6)
        return other.ljust(slot_start(1), b"\0") + raw
    return bytes(slot_start(first_slot(len(raw), -1))) + raw


# Who has signed it

ANN = pack_user([b"a" * 16], "Firefox, Linux")
BOTH = pack_user([b"a" * 16, b"b" * 16], "")
lengths = st.integers(0, 700) | st.integers(3900, 4200)


@properties
@given(
    env=lengths.map(lambda length: b"e" * length),
    data=lengths.map(lambda length: b"d" * length),
    secrets=st.lists(st.binary(min_size=16, max_size=99), max_size=3),
)
def test_whatever_one_of_the_secrets_has_signed_is_read(
    backend_module, path, env, data, secrets
):
    """Also what the other backend signed: this is BLAKE2b by hashlib."""
    for signing in [*secrets, b"the last of them"]:
        one = Keyring([signing], STORE_ID)
        raw = finished(one.pack(NAME, CREATED, CREATED, env, data, 2), 3)
        where = put(path, in_its_slot(raw))
        keys = backend_module.keys_of(
            Keyring([*secrets, b"the last of them"], STORE_ID)
        )
        assert backend_module.read(where, NAME, 0.0, b"", keys) == raw
        other = backend_module.keys_of(
            Keyring([*secrets, b"yet another secret"], STORE_ID)
        )
        if signing not in secrets:
            with pytest.raises(ForgedRecord):
                backend_module.read(where, NAME, 0.0, b"", other)


def test_each_bit_of_a_record_is_signed(backend_module, path):
    """But for sequence number and CRC, and where a change is damage."""
    raw = bytearray(finished(KEYRING.pack(
        NAME, CREATED, CREATED, b"environment", b"data", 2, b"", 0, ANN
    )))  # fmt: skip
    keys = backend_module.keys_of(KEYRING)
    lengths_and_flags = {*range(32, 40), *range(41, 44)}
    forged = 0
    for at in {*range(16, len(raw))} - lengths_and_flags:
        for bit in range(8):
            other = raw.copy()
            other[at] ^= 1 << bit
            where = put(path, finished(bytes(other)))
            try:
                found = backend_module.read(where, NAME, 0.0, b"", keys)
            except ForgedRecord:
                forged += 1
            except CorruptData:
                assert at < HEADER_LENGTH, "a time that is no number"
            else:
                pytest.fail(f"bit {bit} of byte {at}: {found!r}")
    assert forged > 8 * (len(raw) - HEADER_LENGTH + 16)


@pytest.mark.parametrize("store_id", [bytes(16), STORE_ID[::-1]])
def test_a_record_of_another_store_is_forged(backend_module, path, store_id):
    where = put(path, finished(simple()))
    keys = backend_module.keys_of(Keyring([bytes(range(32, 64))], store_id))
    with pytest.raises(ForgedRecord):
        backend_module.read(where, NAME, 0.0, b"", keys)


def test_a_record_of_another_session_is_forged(backend_module, path):
    name = NAME[::-1]
    raw = finished(simple(), 1, name)
    where = put(path, raw)
    assert backend_module.read(where, name, 0.0) == raw
    with pytest.raises(ForgedRecord):
        backend_module.read(
            where, name, 0.0, b"", backend_module.keys_of(KEYRING)
        )


def test_what_is_known_is_not_looked_at_again(backend_module, path):
    forged = finished(Keyring([OLD], STORE_ID).pack(
        NAME, CREATED, CREATED, b"", b"data", 2
    ))  # fmt: skip
    where = put(path, forged)
    keys = backend_module.keys_of(KEYRING)
    assert backend_module.read(where, NAME, 0.0, forged, keys) is forged
    for other in finished(simple()), forged[:-1], forged + b"?":
        with pytest.raises(ForgedRecord):
            backend_module.read(where, NAME, 0.0, other, keys)


def test_a_record_that_ends_beyond_its_file_is_torn(both, path):
    """Its CRC is right all the same, over what is there of it."""
    long = simple(b"x" * 200, env=b"")
    cut = finished(long[:-195], 8)
    good = finished(simple(), 7)
    where = put(path, good.ljust(slot_start(1), b"\0") + cut)
    for backend in both:
        assert backend.read(where, NAME, 0.0) == good


def test_what_is_known_is_returned_itself_beside_a_torn_slot(
    backend_module, path
):
    raw = finished(simple(), 7)
    torn = finished(simple(b"torn"), 8)[:-1] + b"?"
    where = put(path, raw.ljust(slot_start(1), b"\0") + torn)
    keys = backend_module.keys_of(KEYRING)
    found = backend_module.read(where, NAME, 0.0, raw, keys)
    assert found is raw


# Other data


@properties
@given(
    env=lengths.map(lambda length: b"e" * length),
    data=lengths.map(lambda length: b"d" * length),
    other=lengths.map(lambda length: b"o" * length),
    second=st.booleans(),
    known=st.booleans(),
    own=st.sampled_from([0, 500]),
    user=st.sampled_from([b"", ANN, BOTH]),
)
def test_both_backends_write_the_same(
    both, path, env, data, other, second, known, own, user
):
    raw = KEYRING.pack(NAME, CREATED, CREATED, env, data, 2, b"", own, user)
    live = finished(raw, 7)
    small = len(live) <= slot_start(1)
    content = in_its_slot(live, second and small)
    left = []
    for backend in both:
        where = put(path, content)
        outcome, found = replaced(
            backend, where, live if known else b"", other
        )
        left.append((outcome, found, path.read_bytes(), path.stat().st_mode))
    assert left[0] == left[1]
    if HEADER_LENGTH + len(user[2:]) + len(env) + len(other) > PAGE:
        assert left[0][0] == engine.LARGE
        assert left[0][2] == content
    if left[0][0] == engine.LARGE:
        return
    outcome, found, *_ = left[0]
    assert outcome == engine.OK
    expected = KEYRING.pack(NAME, CREATED, NOW, env, other, 2, b"", own, user)
    assert found == finished(expected, 8)
    assert both[0].read(where, NAME, 0.0) == found


def test_the_first_of_several_keys_signs(backend_module, path):
    keyring = Keyring([OLD, NEW], STORE_ID)
    where = put(path, finished(Keyring([OLD], STORE_ID).pack(
        NAME, CREATED, CREATED, b"", b"data", 2
    )))  # fmt: skip
    outcome, found = replaced(backend_module, where, keyring=keyring)
    assert outcome == engine.OK
    assert Keyring([NEW], STORE_ID).verifies(NAME, found)
    assert not Keyring([OLD], STORE_ID).verifies(NAME, found)


def test_what_is_forged_is_not_replaced(backend_module, path):
    raw = finished(Keyring([OLD], STORE_ID).pack(
        NAME, CREATED, CREATED, b"", b"data", 2
    ))  # fmt: skip
    where = put(path, raw)
    for known in b"", finished(simple()):
        with pytest.raises(ForgedRecord):
            replaced(backend_module, where, known)
        assert path.read_bytes() == raw


@pytest.mark.parametrize("known", [False, True])
def test_what_was_superseded_is_not_replaced(backend_module, path, known):
    raw = finished(simple(supersede=b"s" * 24))
    where = put(path, raw)
    found = replaced(backend_module, where, raw if known else b"")
    assert found == (engine.SUPERSEDED, raw[:HEADER_LENGTH])
    assert path.read_bytes() == raw


def test_what_another_serializer_has_written_as_env_is_not_kept(
    backend_module, path
):
    raw = finished(simple())
    where = put(path, raw)
    keys = backend_module.keys_of(KEYRING)
    for number in 1, 3, 200:
        found = backend_module.replace(
            where, NAME, keys, b"", b"new", number, NOW, 0.0, 0.0, 0, 0.0
        )
        assert found == (engine.CONFLICT, raw[:HEADER_LENGTH])
    assert path.read_bytes() == raw
    where = put(path, finished(simple(env=b"")))
    assert replaced(backend_module, where)[0] == engine.OK


def test_what_has_expired_is_not_replaced(backend_module, path):
    raw = finished(simple())
    where = put(path, raw)
    for limits in (99, 0), (0, 99):
        found = replaced(backend_module, where, raw, b"", NOW, *limits)
        assert found == (engine.EXPIRED, raw[:HEADER_LENGTH])
    assert path.read_bytes() == raw
    assert replaced(backend_module, where, raw, b"", NOW, 100, 100)[0] == 0


@pytest.mark.parametrize(
    ("ahead", "goes_by"),
    [(1, "live"), (CLOCK_SLACK, "live"), (CLOCK_SLACK + 1, "now"), (0, "now")],
)
def test_a_clock_that_is_a_little_behind_goes_by_the_other(
    backend_module, path, ahead, goes_by
):
    where = put(path, finished(simple(stored=NOW + ahead)))
    _, found = replaced(backend_module, where)
    assert stored_at(found) == (NOW + ahead if goes_by == "live" else NOW)


def test_what_is_not_there_is_not_made(backend_module, path):
    path.unlink(missing_ok=True)
    where = str(path).encode()
    assert replaced(backend_module, where) == (engine.ABSENT, b"")
    assert not path.exists()
    where = put(path, b"")
    assert replaced(backend_module, where) == (engine.ABSENT, b"")
    assert path.read_bytes() == b""


@pytest.mark.parametrize("now", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_not_written(backend_module, path, now):
    raw = finished(simple())
    where = put(path, raw)
    with pytest.raises(engine.SessionStoreError):
        replaced(backend_module, where, now=now)
    assert path.read_bytes() == raw


def test_what_is_large_is_left_to_the_long_way(backend_module, path):
    where = put(path, in_its_slot(finished(simple(b"x" * 5000))))
    before = path.read_bytes()
    assert replaced(backend_module, where) == (engine.LARGE, b"")
    where = put(path, finished(simple()))
    found = replaced(backend_module, where, b"", b"x" * 70_000)
    assert found == (engine.LARGE, b"")
    assert len(before) > PAGE > path.stat().st_size


def test_a_torn_slot_is_healed(backend_module, path):
    raw = finished(simple(), 7)
    torn = finished(simple(b"torn"), 8)[:-1] + b"?"
    where = put(path, raw.ljust(slot_start(1), b"\0") + torn)
    outcome, found = replaced(backend_module, where)
    assert (outcome, Parts(found).data) == (engine.OK, b"new")
    assert path.read_bytes()[slot_start(1) :].startswith(found)
    assert origin_of(found) == origin_of(raw)


def test_a_name_of_another_length_is_refused(backend_module, path):
    where = put(path, finished(simple()))
    with pytest.raises(ValueError, match="32 characters"):
        backend_module.replace(
            where, NAME[:-1], backend_module.keys_of(KEYRING), b"", b"", 2,
            NOW, 0.0, 0.0, 0, 0.0,
        )  # fmt: skip


def test_an_answer_that_is_known_to_be_right():
    """By RFC 7693, whoever computes it: a MAC that was written down."""
    raw = KEYRING.pack(NAME, CREATED, CREATED + 60, b"env", b"data", 2)
    assert raw[48:64].hex() == "4f8f1f4e1b186f7c8c6872c1fc2bf1c3"
    assert zlib.crc32(raw) == zlib.crc32(simple(stored=CREATED + 60))
