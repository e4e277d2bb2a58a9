"""Records, slots and MACs, and whether both backends see them alike."""

import contextlib
import fcntl
import math
import os
import random
import struct
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from raw_records import (
    CREATED,
    KEYRING,
    NAME,
    SECRET,
    STORE_ID,
    finished,
    put,
    simple,
)
from websession import (
    CorruptData,
    SessionBusy,
    SessionStoreError,
    record,
)
from websession import engine as status
from websession.disk import backend as backends
from websession.engine import DamagedFile
from websession.keyring import Keyring
from websession.record import (
    is_expired,
    slot_size,
    slot_start,
)

# The same examples at each run: what fails here fails everywhere.
settings.register_profile(
    "websession", deadline=None, derandomize=True, database=None
)
properties = settings.get_profile("websession")

HEADER = struct.Struct("<4sIQddIIBB2sI16s")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Where session files of this module's tests lie, one at a time."""
    return tmp_path_factory.mktemp("record") / "session"


def patched(raw, offset, content):
    return raw[:offset] + content + raw[offset + len(content) :]


def outcome(call, *args):
    """The result of a call, or the type and text of its exception."""
    try:
        return call(*args)
    except Exception as error:
        return type(error), str(error)


# Round trips

times = st.floats(allow_nan=False, allow_infinity=False)
payloads = st.binary(max_size=600) | st.builds(
    lambda byte, length: bytes([byte]) * length,
    st.integers(0, 255),
    st.integers(0, 20000),
)

users = st.builds(
    record.pack_user,
    st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=2),
    st.text(max_size=60).filter(lambda text: text.isprintable()),
)


@settings(properties, max_examples=100)
@given(
    created=times,
    stored=times,
    env=payloads,
    data=payloads,
    serializer=st.integers(1, 255),
    supersede=st.just(b"") | st.binary(min_size=24, max_size=24),
    user=st.just(b"") | users,
)
def test_packed_record_is_read_back(
    backend_module, path, created, stored, env, data, serializer, supersede,
    user,
):  # fmt: skip
    raw = KEYRING.pack(
        NAME, created, stored, env, data, serializer, supersede, 77, user
    )
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    assert backend_module.create(where, NAME, raw, 0, 0.0) == 0
    found = backend_module.read(where, NAME, 0.0)
    assert found == finished(raw)
    assert KEYRING.verifies(NAME, found)
    fields = HEADER.unpack_from(found)
    assert fields[2:9] == (
        1, created, stored, len(env), len(data), serializer,
        (1 if supersede else 0) + (2 if user else 0),
    )  # fmt: skip
    assert fields[9:11] == (user[:2] or b"\0\0", 77)
    assert found[64:] == supersede + user[2:] + env + data
    parts = record.Parts(found)
    assert (parts.supersede, parts.user) == (supersede, user)
    assert (parts.env, parts.data, parts.idle) == (env, data, 77)
    assert record.origin_of(found) == (created, env, 77, user)


@settings(properties, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 20000)),
        min_size=1,
        max_size=12,
    )
)
def test_backends_take_turns_on_one_file(both, path, steps):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    both[0].create(where, NAME, simple(b"0"), 0, 0.0)
    largest = path.stat().st_size
    for sequence, (which, length) in enumerate(steps, 2):
        stored = CREATED + sequence
        raw = simple(bytes([sequence]) * length, stored)
        done = both[which].commit(
            where, NAME, raw, None, stored, 0.0, 0.0, 0, 0.0
        )
        assert done == (0, finished(raw, sequence)[:64])
        for each in both:
            assert each.read(where, NAME, 0.0) == finished(raw, sequence)
        assert path.stat().st_size >= largest
        largest = path.stat().st_size


@settings(properties, max_examples=60)
@given(lengths=st.lists(st.integers(0, 9000), min_size=2, max_size=10))
def test_state_before_a_write_stays_in_the_file(backend_module, path, lengths):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    backend_module.create(where, NAME, simple(b"0"), 0, 0.0)
    for number, length in enumerate(lengths, 1):
        before = backend_module.read(where, NAME, 0.0)
        raw = simple(bytes(length), CREATED + number)
        backend_module.commit(
            where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
        )
        assert before in path.read_bytes()


@pytest.mark.parametrize(
    ("length", "start"),
    [
        (64, 0),
        (512, 0),
        (513, 1024),
        (1024, 1024),
        (1025, 2048),
        (2048, 2048),
        (2049, 4096),
        (4096, 4096),
        (4097, 8192),
    ],
)
def test_new_session_takes_the_first_slot_that_fits(
    length, start, backend_module, path
):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    raw = simple(bytes(length - 64), env=b"")
    assert backend_module.create(where, NAME, raw, 0, 0.0) == 0
    content = path.read_bytes()
    # Zeros after a small one: both of its slots are there from the start.
    assert content == bytes(start) + finished(raw).ljust(1024, b"\0")


@pytest.mark.parametrize(
    ("lengths", "slots"),
    [
        ([100, 100, 100, 100], [0, 1, 0, 1]),
        ([100, 1000, 100, 100], [0, 2, 0, 1]),
        ([1000, 1000, 1000], [2, 3, 2]),
        ([1000, 100, 1000, 600, 100], [2, 0, 2, 3, 0]),
        ([100, 5000, 5000, 100], [0, 5, 6, 0]),
    ],
)
def test_writes_take_the_first_slot_that_fits_and_is_not_live(
    lengths, slots, backend_module, path
):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    taken = []
    for number, length in enumerate(lengths):
        raw = simple(bytes([65 + number]) * (length - 64), CREATED, b"")
        if number == 0:
            backend_module.create(where, NAME, raw, 0, 0.0)
        else:
            backend_module.commit(
                where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
            )
        at = path.read_bytes().index(finished(raw, number + 1))
        taken.append([slot_start(slot) for slot in range(20)].index(at))
    assert taken == slots


def test_records_of_40_mib_follow_each_other(backend_module, path):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    raw = simple(bytes(40 << 20))
    assert backend_module.create(where, NAME, raw, 0, 0.0) == 0
    for sequence in (2, 3):
        done, header = backend_module.commit(
            where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
        )
        assert done == 0
        assert header[8] == sequence
    path.unlink()


def test_record_of_more_than_64_mib_is_refused(backend_module, path):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    raw = simple(bytes(64 << 20))
    with pytest.raises(SessionStoreError):
        backend_module.create(where, NAME, raw, 0, 0.0)
    assert not path.exists()
    put(path, finished(simple()))
    with pytest.raises(SessionStoreError):
        backend_module.commit(
            where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
        )
    assert path.read_bytes() == finished(simple())


NO_RECORDS = {
    "empty": b"",
    "too short": simple()[:63],
    "cut": simple()[:-1],
    "too long": simple() + b"x",
    "wrong length": patched(simple(), 36, b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("raw", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_not_a_record_is_not_created(raw, backend_module, path):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    with pytest.raises(SessionStoreError):
        backend_module.create(where, NAME, raw, 0, 0.0)
    assert not path.exists()


@pytest.mark.parametrize("raw", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_not_a_record_is_not_committed(raw, backend_module, path):
    where = put(path, finished(simple()))
    with pytest.raises(SessionStoreError):
        backend_module.commit(
            where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
        )
    assert path.read_bytes() == finished(simple())


# Damage


@pytest.mark.parametrize("supersede", [b"", bytes(range(24))])
def test_any_flipped_bit_is_noticed(supersede, backend_module, path):
    good = finished(simple(supersede=supersede))
    where = put(path, good)
    for bit in range(len(good) * 8):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CorruptData):
            backend_module.read(where, NAME, 0.0)


def test_any_cut_is_noticed(backend_module, path):
    good = finished(simple())
    where = put(path, good)
    for length in range(1, len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(DamagedFile):
            backend_module.read(where, NAME, 0.0)


def test_file_cut_to_nothing_is_no_session(backend_module, path):
    where = put(path, b"")
    assert backend_module.read(where, NAME, 0.0) is None


@settings(properties, max_examples=100)
@given(
    data=payloads, place=st.floats(0, 1, exclude_max=True), cut=st.booleans()
)
def test_damage_of_larger_records_is_noticed(
    backend_module, path, data, place, cut
):
    good = finished(simple(data))
    at = int(len(good) * place)
    if cut:
        where = put(path, good[: at or 1])
    else:
        where = put(path, patched(good, at, bytes([good[at] ^ 0x10])))
    with pytest.raises(CorruptData):
        backend_module.read(where, NAME, 0.0)


def test_damage_to_the_last_write_leaves_the_state_before(
    backend_module, path
):
    old = finished(simple(b"old"), 1)
    new = finished(simple(b"new"), 2)
    where = put(path, b"")
    for at in range(len(new)):
        if at == 3:
            continue  # the version of the format
        torn = patched(new, at, bytes([new[at] ^ 0xFF]))
        path.write_bytes(old.ljust(512, b"\0") + torn)
        assert backend_module.read(where, NAME, 0.0) == old
    for length in range(len(new)):
        path.write_bytes(old.ljust(512, b"\0") + new[:length])
        assert backend_module.read(where, NAME, 0.0) == old


def lay(*slots):
    """The content of a file with these in some of its slots."""
    content = bytearray()
    for slot, part in slots:
        content += bytes(max(0, slot_start(slot) - len(content)))
        content[slot_start(slot) : slot_start(slot) + len(part)] = part
    return bytes(content)


def commit(backend_module, where, data, sequence):
    raw = simple(data, CREATED + sequence)
    done, header = backend_module.commit(
        where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
    )
    assert done == status.OK
    return header


@contextlib.contextmanager
def locked_by_another(where):
    """Whoever reads inside with a timeout of 0 has to do without a lock."""
    fd = os.open(where, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


TORN = {
    "too small for what follows": (0, b"torn".ljust(300, b"x")),
    "plausible": (0, finished(simple(b"torn"), 9)[:-1] + b"x"),
    "large enough": (3, b"WSF\x02 torn".ljust(600, b"x")),
    "larger than a page": (6, b"WSF\x02 torn".ljust(9000, b"x")),
    "cut": (6, b"WSF"),
    "in the place of the next record": (2, b"WSF\x02".ljust(600, b"x")),
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
def test_torn_slot_is_healed_by_the_next_write(torn, backend_module, path):
    """Or every reader would take the lock from then on."""
    old = finished(simple(b"o" * 600), 1)
    where = put(path, lay(*sorted([torn, (4, old)])))
    with locked_by_another(where), pytest.raises(SessionBusy):
        backend_module.read(where, NAME, 0.0)
    assert backend_module.read(where, NAME, 0.0) == old
    header = commit(backend_module, where, b"n" * 600, 2)
    with locked_by_another(where):
        found = backend_module.read(where, NAME, 0.0)
    assert found.startswith(header)
    assert b"xxx" not in path.read_bytes()
    assert path.read_bytes()[slot_start(torn[0]) :][:4] == b"WSF\x02"


# No letters of the alphabet that marks are made of.
sizes = st.lists(st.integers(0, 20000), min_size=2, max_size=9)


@settings(properties, max_examples=60)
@example([15_000, 14_000, 12_000, 10_000, 9_000], [False] * 9)
@example([15_000, 14_000, 12_000, 10_000, 9_000], [True] * 9)
@given(lengths=sizes, turns=st.lists(st.booleans(), min_size=9, max_size=9))
def test_values_are_gone_with_the_write_after_next(both, path, lengths, turns):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    both[0].create(where, NAME, simple(b"A" * 500), 0, 0.0)
    for number, length in enumerate(lengths, 1):
        data = bytes([65 + number]) * length
        commit(both[turns[number - 1]], where, data, number)
        content = path.read_bytes()
        left = {each for each in range(65, 91) if bytes([each]) * 9 in content}
        assert left <= {64 + number, 65 + number}


def test_room_of_a_large_record_is_given_back(backend_module, path):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    backend_module.create(where, NAME, simple(b"x" * 400_000), 0, 0.0)
    before = path.stat()
    for number in (2, 3):
        commit(backend_module, where, b"small", number)
    after = path.stat()
    # A file never shrinks, but it may have holes.
    assert after.st_size == before.st_size
    assert after.st_blocks * 512 <= 16384 < before.st_blocks * 512


def history(monkeypatch, path, steps):
    """
    What a file holds after each write to it, with the number of the state in
    force then; and these states by number. A step is the size of a state that
    is stored, or, negative, of one whose writer is killed in the middle.
    """
    python = backends.choose("python")
    where = put(path, finished(simple(b"@")).ljust(1024, b"\0"))
    states = {1: finished(simple(b"@"))}
    seen = [(path.read_bytes(), 1)]
    real = os.pwrite

    class Killed(Exception):
        pass

    def writing(fd, data, offset):
        is_record = bytes(data[8:16]) == struct.pack("<Q", len(states) + 1)
        if step < 0 and is_record:
            real(fd, data[: 64 - step // 2], offset)
            seen.append((path.read_bytes(), len(states)))
            raise Killed
        written = real(fd, data, offset)
        seen.append((path.read_bytes(), len(states) + is_record))
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", writing)
        for number, step in enumerate(steps):
            data = bytes([65 + number]) * abs(step)
            with contextlib.suppress(Killed):
                commit(python, where, data, number)
                states[len(states) + 1] = python.read(where, NAME, 0.0)
    return seen, states


@settings(
    properties,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# A slot that held a state is torn, and healed from another one.
@example(steps=[900, 9, -900, 9], seed=2)
@example(steps=[900, 9, -900, 9], seed=5)
@example(steps=[900, 900, -900, 9], seed=11)
@example(steps=[9, 900, -9, 900, 9], seed=3)
@given(
    steps=st.lists(
        st.sampled_from([9, 450, 900, 1800, 9000, -450, -900, -3000]),
        min_size=2, max_size=8,
    ),
    seed=st.integers(0, 1 << 32),
)  # fmt: skip
def test_reader_that_is_overtaken_never_goes_back_in_time(
    both, path, monkeypatch, steps, seed
):
    """
    A reader without the lock may see each part of the file as it was at
    another moment. It finds a state that was in force at one of them, or that
    it has to take the lock.
    """
    seen, states = history(monkeypatch, path, steps)
    rng = random.Random(seed)
    for _ in range(50):
        began = rng.randrange(len(seen))
        # Early or late rather than at any time: most parts change once.
        moments = [rng.randrange(began, len(seen)) for _ in range(3)]
        size = len(seen[rng.choice(moments)][0])
        mixed = b"".join(
            seen[rng.choice(moments)][0][at : at + 512].ljust(512, b"\0")
            for at in range(0, size, 512)
        )[:size]
        where = put(path, mixed)
        with locked_by_another(where):
            for each in both:
                try:
                    found = each.read(where, NAME, 0.0)
                except SessionBusy:
                    continue
                number = int.from_bytes(found[8:16], "little")
                assert found == states[number]
                assert number >= seen[began][1]


def test_crc_of_every_length_is_zlibs(backend_module, path):
    # Bytes that no part of could be left out or swapped unnoticed.
    data = b"".join(b"%08x" % number for number in range(70_000))
    where = os.fsencode(path)
    for length in (*range(300), 4032, 4097, 65535, 65536 + 63, 500_001):
        raw = simple(data[:length])
        path.unlink(missing_ok=True)
        assert backend_module.create(where, NAME, raw, 0, 0.0) == 0
        slot = next(slot for slot in range(20) if slot_size(slot) >= len(raw))
        content = path.read_bytes()[slot_start(slot) :]
        assert content == finished(raw).ljust(1024, b"\0")
        assert backend_module.read(where, NAME, 0.0) == finished(raw)


@pytest.mark.parametrize("length", [0, 300, 4000, 5000, 70_000, 200_000])
def test_known_record_is_given_back_itself(backend_module, path, length):
    raw = simple(b"x" * length)
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    backend_module.create(where, NAME, raw, 0, 0.0)
    known = backend_module.read(where, NAME, 0.0)
    assert backend_module.read(where, NAME, 0.0, known) is known
    # A record that is another one, if only by a byte or by its length, is
    # read as if nothing were known.
    for other in (
        finished(simple(b"y" + b"x" * (length - 1))),
        finished(simple(b"x" * (length + 1))),
        known[:-1],
        known[:64],
        b"",
    ):
        found = backend_module.read(where, NAME, 0.0, other)
        assert found == known
        assert found is not other


@pytest.mark.parametrize("length", [100, 5000, 70_000])
def test_changed_byte_is_damage_whatever_was_known(
    backend_module, path, length
):
    raw = simple(b"x" * length)
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    backend_module.create(where, NAME, raw, 0, 0.0)
    known = backend_module.read(where, NAME, 0.0)
    whole = path.read_bytes()
    start = whole.index(known)
    for at in (8, 63, 64, 64 + length // 2, len(known) - 1):
        where = put(
            path,
            patched(whole, start + at, bytes([known[at] ^ 1])),
        )
        for remembered in (known, b""):
            with pytest.raises(DamagedFile):
                backend_module.read(where, NAME, 0.0, remembered)
    for cut in (start + 64, start + len(known) - 1):
        where = put(path, whole[:cut])
        for remembered in (known, known[: cut - start], b""):
            with pytest.raises(DamagedFile):
                backend_module.read(where, NAME, 0.0, remembered)


def test_record_with_a_forged_crc_is_not_authentic(backend_module, path):
    raw = simple()
    where = put(path, b"")
    authentic = []
    for at in range(4, len(raw)):
        if 4 <= at < 8:
            continue
        forged = bytearray(finished(raw, 1))
        forged[at] ^= 0x04
        forged[4:8] = struct.pack(
            "<I", zlib.crc32(forged[8:], zlib.crc32(NAME))
        )
        path.write_bytes(forged)
        try:
            found = backend_module.read(where, NAME, 0.0)
        except CorruptData:
            continue
        assert found == bytes(forged)
        if KEYRING.verifies(NAME, found):
            authentic.append(at)
    # Only the sequence number is not covered by the MAC.
    assert authentic == [8, 9, 10, 11, 12, 13, 14, 15]


def test_record_of_another_session_is_damaged(backend_module, path):
    other = b"0" + NAME[1:]
    where = put(path, finished(simple(), name=other))
    with pytest.raises(DamagedFile):
        backend_module.read(where, NAME, 0.0)


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("offset", [16, 24])
def test_time_that_is_not_finite_is_damage(time, offset, backend_module, path):
    bad = finished(patched(simple(), offset, struct.pack("<d", time)), 2)
    where = put(path, bad)
    with pytest.raises(DamagedFile):
        backend_module.read(where, NAME, 0.0)
    old = finished(simple(), 1)
    path.write_bytes(old.ljust(512, b"\0") + bad)
    assert backend_module.read(where, NAME, 0.0) == old


# What is there instead, and the length of the blocks that it tells of.
UNSUPPORTED = {
    "newer magic": (3, b"\x03", 0),
    "newest magic": (3, b"\xff", 0),
    "a seal": (41, b"\x04", 40),
    "a seal of a user's": (41, b"\x06\x01", 56),
    "flag": (41, b"\x08", 0),
    "highest flag": (41, b"\x80", 0),
    "a user without tags": (41, b"\x02", 0),
    "a label without tags": (41, b"\x02\x00\x01", 1),
    "three tags": (41, b"\x02\x03", 48),
    "a tag without the flag of a user": (42, b"\x01", 16),
    "a label without the flag of a user": (43, b"\x01", 1),
}


@pytest.mark.parametrize(
    ("offset", "content", "more"), UNSUPPORTED.values(), ids=UNSUPPORTED
)
def test_record_of_a_newer_version_is_left_alone(
    offset, content, more, backend_module, path
):
    newer = finished(patched(simple(), offset, content) + bytes(more), 2)
    whole = finished(simple(), 1).ljust(512, b"\0") + newer
    where = put(path, whole)
    new = simple(b"new")
    for call in (
        lambda: backend_module.read(where, NAME, 0.0),
        lambda: backend_module.commit(
            where, NAME, new, None, CREATED, 0.0, 0.0, 0, 0.0
        ),
        lambda: backend_module.remove(where, NAME, new[:64], 0.0),
    ):
        with pytest.raises(CorruptData, match="newer") as caught:
            call()
        assert caught.type is CorruptData
    assert not backend_module.set_aside(where, NAME, where + b".moved", 0.0)
    assert path.read_bytes() == whole


def test_unknown_flag_goes_before_a_time_that_is_not_finite(
    backend_module, path
):
    raw = patched(simple(), 16, struct.pack("<d", math.nan))
    where = put(path, finished(patched(raw, 41, b"\x80"), 2))
    with pytest.raises(CorruptData, match="newer"):
        backend_module.read(where, NAME, 0.0)


@pytest.mark.parametrize("length", [100, 5000, 9000])
def test_unknown_flag_in_a_torn_record_means_nothing(
    length, backend_module, path
):
    old = finished(simple(b"old"), 1)
    raw = simple(bytes(length))
    torn = bytearray(finished(patched(raw, 41, b"\x80"), 2))
    torn[-1] ^= 1
    where = put(path, old.ljust(16384, b"\0") + bytes(torn))
    assert backend_module.read(where, NAME, 0.0) == old


# What never changes in a session's life


@pytest.mark.parametrize(
    ("created", "env"),
    [
        (CREATED + 1, b"env"),
        (CREATED, b"enw"),
        (CREATED, b"envy"),
        (CREATED, b""),
    ],
)
def test_record_of_another_origin_does_not_follow(
    created, env, backend_module, path
):
    where = put(path, finished(simple()))
    new = KEYRING.pack(NAME, created, CREATED, env, b"new", 2)
    done, header = backend_module.commit(
        where, NAME, new, None, CREATED, 0.0, 0.0, 0, 0.0
    )
    assert done == status.CONFLICT
    assert header == finished(simple())[:64]
    assert path.read_bytes() == finished(simple())


@pytest.mark.parametrize("at", [0, 4000, 4095, 4096, 4607, 4608, 8999])
def test_env_is_compared_to_its_last_byte(at, backend_module, path):
    """The first page of the file is at hand, what is behind it is not."""
    env = bytes(9000)
    whole = finished(simple(env=env))
    where = put(path, lay((6, whole)))
    other = simple(b"new", env=patched(env, at, b"x"))
    for raw, outcome in ((other, status.CONFLICT), (simple(env=env), 0)):
        done, _ = backend_module.commit(
            where, NAME, raw, None, CREATED, 0.0, 0.0, 0, 0.0
        )
        assert done == outcome


# Sequence numbers


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        (1, 2, "second"),
        (2, 1, "first"),
        (7, 7, "first"),
        (0, 0, "first"),
        (2**63 - 1, 2**63, "second"),
        (2**64 - 1, 0, "first"),
        (255, 256, "second"),
    ],
)
def test_highest_sequence_number_is_live(
    first, second, winner, backend_module, path
):
    slots = {
        "first": finished(simple(b"first"), first),
        "second": finished(simple(b"second"), second),
    }
    where = put(path, slots["first"].ljust(512, b"\0") + slots["second"])
    assert backend_module.read(where, NAME, 0.0) == slots[winner]


def test_used_up_sequence_numbers_are_refused(backend_module, path):
    full = finished(simple(), 2**64 - 1)
    where = put(path, full)
    with pytest.raises(SessionStoreError, match="used up"):
        backend_module.commit(
            where, NAME, simple(b"new"), None, CREATED, 0.0, 0.0, 0, 0.0
        )
    assert path.read_bytes() == full


@pytest.mark.parametrize("length", [0, 3, 9000])
def test_env_is_written_anew_by_who_names_the_live_record(
    length, backend_module, path
):
    path.unlink(missing_ok=True)
    where = os.fsencode(path)
    backend_module.create(where, NAME, simple(env=b"e" * 9000), 0, 0.0)
    first = backend_module.read(where, NAME, 0.0)

    def commit(record, expected):
        return backend_module.commit(
            where, NAME, record, expected, CREATED, 0.0, 0.0, 0, 0.0
        )

    new = simple(b"new", env=b"f" * length)
    assert commit(new, None) == (status.CONFLICT, first[:64])
    made_later = KEYRING.pack(NAME, CREATED + 1, CREATED, b"", b"new", 2)
    assert commit(made_later, first[:64]) == (status.CONFLICT, first[:64])
    assert backend_module.read(where, NAME, 0.0) == first
    done, header = commit(new, first[:64])
    assert done == status.OK
    raw = backend_module.read(where, NAME, 0.0)
    assert (raw[:64], raw[64:]) == (header, b"f" * length + b"new")


def test_last_sequence_number_is_used(backend_module, path):
    where = put(path, finished(simple(), 2**64 - 2))
    done, header = backend_module.commit(
        where, NAME, simple(b"new"), None, CREATED, 0.0, 0.0, 0, 0.0
    )
    assert done == 0
    assert header[8:16] == b"\xff" * 8


# Slots far out


@pytest.mark.parametrize(
    ("start", "found"),
    [(1 << 26, True), (1 << 27, True), (1 << 28, False)],
)
def test_slots_end_at_256_mib(start, found, backend_module, path):
    raw = finished(simple(), 9)
    where = put(path, finished(simple(b"old"), 1))
    with path.open("r+b") as file:
        file.seek(start)
        file.write(raw)
    expected = raw if found else finished(simple(b"old"), 1)
    assert backend_module.read(where, NAME, 0.0) == expected


@pytest.mark.parametrize(
    ("slot", "start", "size"),
    [
        (0, 0, 512),
        (1, 512, 512),
        (2, 1024, 1024),
        (3, 2048, 2048),
        (4, 4096, 4096),
        (10, 262144, 262144),
        (18, 67108864, 67108864),
        (19, 134217728, 134217728),
    ],
)
def test_slots_double_in_size(slot, start, size):
    assert slot_start(slot) == start
    assert slot_size(slot) == size


# Both backends on arbitrary files

ODD_TIMES = [
    0.0, -0.0, -1.0, CREATED, CREATED + 60, 1e300, 5e-324,
    math.nan, math.inf, -math.inf,
]  # fmt: skip
SEQUENCES = [0, 1, 2, 3, 255, 256, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
IDLE_LIMITS = [1, 59, 61, 2**31, 2**32 - 1]
LENGTHS = [0, 1, 360, 384, 424, 425, 448, 449, 4000, 2**31, 2**32 - 1]
MAGICS = [
    b"WSF\x03",
    b"WSF\x01",
    b"WSF\xff",
    b"WSF\0",
    b"wsf\1",
    b"WSE\1",
    bytes(4),
]


def mostly(usual, *others):
    """A strategy of what is usual, and now and then something else."""
    return st.one_of(*[usual] * 6, *others)


@st.composite
def records(draw):
    """Records, most of them good."""
    env = bytes(draw(st.sampled_from([0, 3, 400])))
    size = draw(st.sampled_from([0, 1, 10, 300, 448, 900, 5000, 9000]))
    data = bytes([draw(st.integers(0, 255))]) * size
    flags = draw(
        mostly(st.just(0), st.integers(0, 7), st.sampled_from([0x80, 0xFF]))
    )
    user = draw(users) if flags & 2 else b""
    raw = HEADER.pack(
        draw(mostly(st.just(b"WSF\2"), st.sampled_from(MAGICS))),
        0,
        0,
        draw(mostly(st.just(CREATED), st.sampled_from(ODD_TIMES))),
        draw(mostly(st.just(CREATED), st.sampled_from(ODD_TIMES))),
        draw(mostly(st.just(len(env)), st.sampled_from(LENGTHS))),
        draw(mostly(st.just(len(data)), st.sampled_from(LENGTHS))),
        draw(st.integers(0, 255)),
        flags,
        draw(
            mostly(
                st.just(user[:2] or bytes(2)),
                st.binary(min_size=2, max_size=2),
            )
        ),
        draw(mostly(st.just(0), st.sampled_from(IDLE_LIMITS))),
        bytes(range(16)),
    )
    supersede = struct.pack("<d16s", CREATED, bytes(16)) if flags & 1 else b""
    raw += supersede + user[2:] + bytes(40 * (flags >> 2 & 1)) + env + data
    raw = finished(raw, draw(st.sampled_from(SEQUENCES)))
    if draw(mostly(st.just(False), st.just(True))):
        at = draw(st.integers(0, len(raw) - 1))
        raw = patched(raw, at, bytes([raw[at] ^ 1 << draw(st.integers(0, 7))]))
    return raw


@st.composite
def session_files(draw):
    """Files with something in some of their slots, perhaps cut or longer."""
    content = bytearray()
    slots = draw(st.lists(st.integers(0, 6), unique=True, max_size=4))
    for slot in sorted(slots):
        start = slot_start(slot)
        part = draw(mostly(records(), st.binary(max_size=100)))
        content += bytes(max(0, start - len(content)))
        content[start : start + len(part)] = part
    change = draw(mostly(st.just(0), st.integers(-200, 200)))
    if change < 0:
        return bytes(content[:change])
    return bytes(content) + bytes(change)


files = session_files() | st.binary(max_size=1200)


@settings(properties, max_examples=400)
@given(content=files)
def test_both_backends_read_any_file_alike(both, path, content):
    where = put(path, content)
    seen = [outcome(each.read, where, NAME, 0.0) for each in both]
    assert seen[0] == seen[1]
    assert path.read_bytes() == content


def shorter(raw):
    """What of a live record stays when it is written anew."""
    created, env, _, user = record.origin_of(raw)
    return created, env, user


@settings(properties, max_examples=250)
@given(
    content=files,
    size=st.sampled_from([0, 300, 500, 3000, 9000]),
    stored=st.sampled_from([CREATED - 10, CREATED, CREATED + 10, 0.0]),
    limits=st.sampled_from([(0.0, 0.0), (5.0, 0.0), (0.0, 5.0), (9e9, 9e9)]),
    expect=mostly(st.none(), st.just("live"), st.just("another")),
    supersede=mostly(st.just(b""), st.just(bytes(range(24)))),
    origin=mostly(
        st.none(),
        st.tuples(st.just(CREATED), st.just(b"other"), st.just(b"")),
        st.tuples(st.just(CREATED), st.just(b"env"), users),
    ),
)
def test_both_backends_write_any_file_alike(
    both, path, content, size, stored, limits, expect, supersede, origin
):
    where = put(path, content)
    live = outcome(both[1].read, where, NAME, 0.0)
    if not isinstance(live, bytes):
        live = finished(simple())
    created, env, user = origin or shorter(live)
    new = KEYRING.pack(
        NAME, created, stored, env, bytes(size), 2, supersede, 0, user
    )
    expected = {None: None, "live": live[:64], "another": bytes(64)}[expect]
    seen = []
    for each in both:
        put(path, content)
        done = outcome(
            each.commit, where, NAME, new, expected, CREATED + 6, *limits,
            0, 0.0,
        )  # fmt: skip
        mode = path.stat().st_mode & 0o777
        seen.append((done, path.read_bytes(), mode))
    assert seen[0] == seen[1]


@settings(properties, max_examples=150)
@given(content=files, expect=st.sampled_from([None, "live", "another"]))
def test_both_backends_remove_any_file_alike(both, path, content, expect):
    where = put(path, content)
    live = outcome(both[1].read, where, NAME, 0.0)
    if not isinstance(live, bytes):
        live = finished(simple())
    expected = {None: None, "live": live[:64], "another": bytes(64)}[expect]
    seen = []
    for each in both:
        put(path, content)
        done = outcome(each.remove, where, NAME, expected, 0.0)
        seen.append((done, path.exists()))
    assert seen[0] == seen[1]


@settings(properties, max_examples=150)
@given(content=files)
def test_both_backends_set_any_file_aside_alike(both, path, content):
    where = put(path, content)
    moved = path.with_name("moved")
    seen = []
    for each in both:
        put(path, content)
        done = outcome(each.set_aside, where, NAME, os.fsencode(moved), 0.0)
        seen.append((done, path.exists(), moved.exists()))
        moved.unlink(missing_ok=True)
    assert seen[0] == seen[1]


def swept_fields(swept):
    return {name: getattr(swept, name) for name in type(swept).__slots__}


@settings(properties, max_examples=150)
@given(
    contents=st.lists(files, max_size=3),
    mode=st.sampled_from([0o600, 0o600, 0o700]),
    age=st.sampled_from([0, 10]),
    limits=st.sampled_from([(0.0, 0.0), (5.0, 0.0), (0.0, 5.0), (1e9, 6.0)]),
)
def test_both_backends_sweep_any_files_alike(
    both, tmp_path_factory, contents, mode, age, limits
):
    seen = []
    for each in both:
        shard = tmp_path_factory.mktemp("sweep") / "94"
        shard.mkdir()
        for number, content in enumerate([None, *contents]):
            file = shard / f"{number:030x}"
            if content is None:
                # The name that the records were made for.
                file = shard / NAME[2:].decode()
                content = finished(simple())
            put(file, content, mode)
            os.utime(file, (CREATED, CREATED))
        put(shard / "notes", b"not a session")
        swept = each.sweep_shard(
            os.fsencode(shard), b"94", CREATED + age, *limits
        )
        swept.odd.sort()
        left = sorted(file.name for file in shard.iterdir())
        seen.append((swept_fields(swept), left))
    assert seen[0] == seen[1]


@settings(properties, max_examples=100)
@given(
    content=files,
    mode=st.sampled_from([0o600, 0o700]),
    age=st.sampled_from([0, 4, 10]),
    limits=st.sampled_from([(0.0, 0.0), (5.0, 0.0), (0.0, 5.0), (9e9, 6.0)]),
)
def test_both_backends_judge_any_session_alike(
    both, tmp_path_factory, content, mode, age, limits
):
    seen = []
    for each in both:
        shard = tmp_path_factory.mktemp("judge")
        file = shard / NAME[2:].decode()
        put(file, content, mode)
        os.utime(file, (0, 0))
        swept = each.sweep_shard(
            os.fsencode(shard), b"94", CREATED + age, *limits
        )
        seen.append((swept_fields(swept), file.exists()))
    assert seen[0] == seen[1]


# Special files


@pytest.fixture(params=["directory", "symlink", "dangling symlink", "fifo"])
def special(request, tmp_path):
    path = tmp_path / "special"
    if request.param == "directory":
        path.mkdir()
    elif request.param == "symlink":
        put(tmp_path / "target", finished(simple()))
        path.symlink_to("target")
    elif request.param == "dangling symlink":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path, 0o600)
    return os.fsencode(path)


def test_special_files_are_not_touched(special, backend_module):
    from websession import UnsafeStore

    before = os.lstat(special)
    new = simple(b"new")
    with pytest.raises(UnsafeStore):
        backend_module.read(special, NAME, 0.0)
    with pytest.raises(UnsafeStore):
        backend_module.commit(
            special, NAME, new, None, CREATED, 0.0, 0.0, 0, 0.0
        )
    with pytest.raises(UnsafeStore):
        backend_module.remove(special, NAME, None, 0.0)
    assert backend_module.create(special, NAME, new, 0, 0.0) == status.EXISTS
    assert not backend_module.set_aside(special, NAME, special + b"x", 0.0)
    after = os.lstat(special)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_missing_file_is_absent(backend_module, tmp_path):
    where = os.fsencode(tmp_path / "missing")
    new = simple()
    assert backend_module.read(where, NAME, 0.0) is None
    assert backend_module.commit(
        where, NAME, new, None, CREATED, 0.0, 0.0, 0, 0.0
    ) == (status.ABSENT, b"")
    assert backend_module.remove(where, NAME, None, 0.0) == status.ABSENT
    assert not backend_module.set_aside(where, NAME, where + b"x", 0.0)
    assert backend_module.sweep_shard(where, b"94", 0.0, 1.0, 0.0) is None


def test_create_in_a_missing_directory_is_absent(backend_module, tmp_path):
    where = os.fsencode(tmp_path / "missing" / "file")
    assert (
        backend_module.create(where, NAME, simple(), 0, 0.0) == status.ABSENT
    )


# The MAC


def test_key_of_a_secret():
    assert Keyring.derive(SECRET).hex() == (
        "e35e9d9e1f5c8d2185968224ab67f56e47d339ab98cf377fcaaa76644e497b5d"
    )


def test_fingerprint_of_a_secret():
    assert Keyring.fingerprint(SECRET) == "4b5fb4fb94fe2e00"
    assert Keyring.fingerprint(b"another secret of mine") == "77b712c5282f6b3b"


def test_fingerprint_is_not_the_key():
    assert Keyring.fingerprint(SECRET) not in Keyring.derive(SECRET).hex()


@pytest.mark.parametrize("length", [0, 1, 15])
def test_short_secret_is_refused(length):
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Keyring([SECRET, bytes(length)], STORE_ID)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Keyring.fingerprint(bytes(length))


def test_secret_of_16_bytes_will_do():
    keyring = Keyring([b"0123456789abcdef"], STORE_ID)
    raw = keyring.pack(NAME, 1.0, 2.0, b"", b"", 1)
    assert keyring.verifies(NAME, raw)


def test_long_secrets_are_used_to_the_last_byte():
    secret = bytes(1000)
    raw = Keyring([secret], STORE_ID).pack(NAME, 1.0, 2.0, b"", b"", 1)
    other = Keyring([secret[:-1] + b"x"], STORE_ID)
    assert not other.verifies(NAME, raw)


def test_no_secret_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one secret"):
        Keyring([], STORE_ID)


def test_last_secret_signs_and_all_verify():
    first, second, third = (bytes([byte]) * 16 for byte in (1, 2, 3))
    rotated = Keyring([first, second], STORE_ID)
    raw = rotated.pack(NAME, 1.0, 2.0, b"env", b"data", 1)
    assert Keyring([second], STORE_ID).verifies(NAME, raw)
    assert not Keyring([first], STORE_ID).verifies(NAME, raw)
    assert Keyring([second, third], STORE_ID).verifies(NAME, raw)
    assert Keyring([third, second, first], STORE_ID).verifies(NAME, raw)
    assert not Keyring([first, third], STORE_ID).verifies(NAME, raw)


def test_record_of_another_store_is_not_authentic():
    other = Keyring([SECRET], bytes(16))
    assert not other.verifies(NAME, simple())
    assert KEYRING.verifies(NAME, simple())


def test_record_of_another_name_is_not_authentic():
    assert not KEYRING.verifies(b"0" + NAME[1:], simple())


def test_mac_does_not_cover_sequence_number_and_crc():
    raw = simple()
    for sequence in (0, 1, 2**64 - 1):
        assert KEYRING.verifies(NAME, finished(raw, sequence))
    assert KEYRING.verifies(NAME, patched(raw, 4, b"\xff\xff\xff\xff"))


def test_mac_covers_every_other_byte():
    raw = simple(supersede=bytes(range(24)))
    uncovered = [
        at
        for at in range(len(raw))
        if KEYRING.verifies(NAME, patched(raw, at, bytes([raw[at] ^ 1])))
    ]
    assert uncovered == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]


def test_bytes_do_not_move_between_env_and_data():
    one = KEYRING.pack(NAME, 1.0, 2.0, b"ab", b"c", 1)
    two = KEYRING.pack(NAME, 1.0, 2.0, b"a", b"bc", 1)
    assert one[64:] == two[64:] == b"abc"
    assert one[48:64] != two[48:64]


def test_mac_of_a_record():
    assert simple()[48:64].hex() == "a56f56933bd71806b837f51f6123c2f9"


def test_record_is_64_bytes_and_its_payload():
    assert simple() == (
        b"WSF\x02"
        + bytes(12)
        + bytes.fromhex("00000040fc54d941") * 2
        + bytes.fromhex("03000000 04000000 02 00 000000000000")
        + simple()[48:64]
        + b"envdata"
    )


# Expiry


@pytest.mark.parametrize(
    ("created", "stored", "now", "idle", "lifetime", "expected"),
    [
        (100.0, 200.0, 300.0, 0.0, 0.0, False),
        (100.0, 200.0, 300.0, 100.0, 0.0, False),
        (100.0, 200.0, 300.5, 100.0, 0.0, True),
        (100.0, 200.0, 300.0, 0.0, 200.0, False),
        (100.0, 200.0, 300.5, 0.0, 200.0, True),
        (100.0, 200.0, 300.0, 1000.0, 150.0, True),
        (100.0, 200.0, 300.0, 50.0, 1000.0, True),
        (100.0, 200.0, 50.0, 10.0, 10.0, False),
    ],
)
def test_expiry(created, stored, now, idle, lifetime, expected):
    assert is_expired(created, stored, now, idle, lifetime) is expected


def test_module_says_what_it_offers():
    for name in record.__all__:
        assert hasattr(record, name)
