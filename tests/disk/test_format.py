"""The format on disk: golden files and the worked example of FORMAT.md."""

import os
import re
import runpy
import struct
import zlib
from pathlib import Path

import pytest

from golden_store import (
    ENV,
    GOLDEN,
    KEY,
    LIVE,
    MARKER,
    USER,
    golden,
    golden_store,
    make_directory,
    write_private,
)
from support import at
from websession import (
    CorruptData,
    InvalidSessionId,
    SessionRenewed,
)
from websession.disk import backend as backends
from websession.engine import DamagedFile
from websession.keyring import Keyring
from websession.stores import FileStore

FORMAT = Path(__file__).resolve().parents[2] / "csrc" / "FORMAT.md"
MAKE = runpy.run_path(str(GOLDEN / "make.py"))

# magic, CRC, sequence, created, stored, length of env and data, serialiser,
# flags, reserved, MAC
HEADER = struct.Struct("<4sIQddII BB2sI 16s")

# The same through a store: session ID, created, stored, env, data
DECODED = {
    "one-slot": (
        "golden-one-slot", 1700000000.0, 1700000000.0,
        {"REMOTE_ADDR": "192.0.2.7"}, {"user": "ann", "count": 3},
    ),
    "two-slots": (
        "AbCdEf123456", 1700000000.0, 1700000060.5,
        {"REMOTE_ADDR": "192.0.2.7"}, {"user": "ann"},
    ),
    "json": (
        "golden-json", 1700000000.0, 1700000000.25,
        {}, {"name": "J\xf8rn", "list": [1, 2.5, None]},
    ),
    "large": (
        "golden-large", 1700000000.0, 1700000001.0,
        {"REMOTE_ADDR": "192.0.2.7"}, {"text": "0123456789" * 500},
    ),
    "own-limit": (
        "golden-own-limit", 1700000000.0, 1700000060.0,
        {"REMOTE_ADDR": "192.0.2.7"}, {"user": "eve"},
    ),
    "user": (
        "golden-user", 1700000000.0, 1700000060.0,
        {"REMOTE_ADDR": "192.0.2.7"}, {"user": "ann", "n": 1},
    ),
    "torn": (
        "golden-torn", 1700000000.0, 1700000001.0,
        {"REMOTE_ADDR": "192.0.2.7"}, {"step": 2},
    ),
}  # fmt: skip


@pytest.fixture(params=["c", "python"])
def backend_module(request):
    if (
        request.param == "c"
        and os.environ.get("WEBSESSION_TEST_NO_EXTENSION") == "1"
    ):
        pytest.skip("WEBSESSION_TEST_NO_EXTENSION is set")
    return backends.choose(request.param)


@pytest.fixture
def keyring():
    return Keyring([KEY], bytes.fromhex("000102030405060708090a0b0c0d0e0f"))


@pytest.fixture
def session_file(tmp_path):
    """A copy of a golden session, in a path of its own."""

    def make(name):
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_bytes(golden(f"{name}.session"))
        return os.fsencode(path)

    return make


@pytest.fixture
def root(tmp_path):
    return golden_store(tmp_path / "store")


@pytest.fixture
def store(root, backend_module):
    return FileStore(
        root,
        serializer="json",
        also_accept=["pickle"],
        sweep_interval=0,
        allow_network=True,
        backend=backend_module.NAME,
    )


@pytest.mark.parametrize("name", LIVE)
def test_golden_session_is_read(name, backend_module, session_file, keyring):
    handle, length, offset, *expected = LIVE[name]
    sequence, stored, serializer, flags, env, data = expected
    content = golden(f"{name}.session")
    assert len(content) == length

    raw = backend_module.read(session_file(name), handle, 0.0)

    fields = HEADER.unpack_from(raw)
    assert fields[0] == b"WSF\x02"
    assert fields[1] == zlib.crc32(raw[8:], zlib.crc32(handle))
    assert fields[2:10] == (
        sequence, 1700000000.0, stored, len(env), len(data), serializer,
        flags, USER.get(name, b"\0\0")[:2],
    )  # fmt: skip
    assert fields[10] == (2592000 if name == "own-limit" else 0)
    rest = USER.get(name, b"")[2:] + env + data
    assert raw.endswith(rest)
    assert len(raw) == 64 + 24 * (flags & 1) + len(rest)
    assert content[offset : offset + len(raw)] == raw
    assert keyring.verifies(handle, raw)


def test_golden_superseded_record_names_its_successor(
    backend_module, session_file
):
    raw = backend_module.read(
        session_file("superseded"), b"9022b32c4d10de13eb92ccd6078138e3", 0.0
    )
    assert struct.unpack_from("<d16s", raw, 64) == (
        1700000120.0,
        bytes.fromhex("94eb7a80f07d44a42dd084010bb524c9"),
    )


@pytest.mark.parametrize("name", LIVE)
def test_either_backend_writes_the_golden_bytes(
    name, backend_module, tmp_path
):
    path = tmp_path / "written"
    MAKE["write_session"](backend_module, path, name)
    assert path.read_bytes() == golden(f"{name}.session")


@pytest.mark.parametrize(
    ("name", "mode"), [("two-slots", 0o600), ("superseded", 0o700)]
)
def test_mode_tells_a_superseded_session(name, mode, backend_module, tmp_path):
    path = tmp_path / "written"
    MAKE["write_session"](backend_module, path, name)
    assert path.stat().st_mode & 0o777 == mode


def test_mode_does_not_depend_on_the_umask(backend_module, tmp_path):
    path = tmp_path / "written"
    old = os.umask(0o277)
    try:
        MAKE["write_session"](backend_module, path, "one-slot")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_modification_time_is_that_of_the_record(backend_module, tmp_path):
    path = tmp_path / "written"
    MAKE["write_session"](backend_module, path, "two-slots")
    assert path.stat().st_mtime_ns == 1700000060_500_000_000


@pytest.mark.parametrize("name", DECODED)
def test_golden_session_in_a_store_is_decoded(name, store):
    session_id, created, stored, env, data = DECODED[name]
    record = store.read(session_id, 1700000100.0)
    assert record.created == created
    assert record.stored == stored
    assert record.env == env
    assert record.data == data
    assert record.superseded is False
    assert record.idle == (2592000 if name == "own-limit" else 0)


def test_superseded_golden_session_reads_until_its_time(store):
    record = store.read("golden-superseded", 1700000119.0)
    assert record.data == {"user": "bob"}
    assert record.superseded is True
    with pytest.raises(InvalidSessionId):
        store.read("golden-superseded", 1700000120.0)


def test_renewed_golden_session_says_so_until_its_time(store):
    with pytest.raises(SessionRenewed):
        store.read("golden-renewed", 1700000119.0)
    with pytest.raises(InvalidSessionId) as caught:
        store.read("golden-renewed", 1700000120.0)
    assert caught.type is InvalidSessionId


@pytest.mark.parametrize("name", ["golden-superseded", "golden-renewed"])
def test_superseded_golden_session_ends_with_its_successor(name, store):
    store.delete("AbCdEf123456")
    with pytest.raises(InvalidSessionId) as caught:
        store.read(name, 1700000100.0)
    assert caught.type is InvalidSessionId


@pytest.mark.parametrize("name", ["golden-superseded", "golden-renewed"])
def test_superseded_golden_session_is_deleted_with_its_successor(name, store):
    assert store.delete(name)
    assert "AbCdEf123456" not in store


def test_superseded_golden_session_is_not_written(store):
    with pytest.raises(SessionRenewed):
        store.commit("golden-superseded", {}, at(1700000100.0))


def test_golden_sessions_are_listed(store):
    listed = sorted((each.handle, each.size) for each in store.entries())
    assert listed == [
        ("222c2ee8831c2fcd8bf798b95052b478", 14),
        ("39176f5edebe0e7454b0c29ac71cace9", 40),
        ("5a9a486a96b29d1dc34be1c1732b27d5", 10),
        ("83cd5d4f28cb860a2f05e15955830570", 5011),
        ("94eb7a80f07d44a42dd084010bb524c9", 14),
        ("d69023287544881f9d9eaaaf96284513", 39),
        ("e84903165b8f10b723ab601ac0881ef2", 20),
    ]
    assert len(store) == 7


def test_pickled_golden_session_is_refused_unless_accepted(
    root, backend_module
):
    store = FileStore(
        root,
        serializer="json",
        sweep_interval=0,
        allow_network=True,
        backend=backend_module.NAME,
    )
    with pytest.raises(CorruptData, match="serializer 1"):
        store.read("golden-one-slot", 1700000100.0)


def test_next_write_takes_the_torn_slot(store, root):
    path = root / "5a" / "9a486a96b29d1dc34be1c1732b27d5"
    before = path.read_bytes()
    store.commit("golden-torn", {"step": 4}, at(1700000100.0))
    after = path.read_bytes()
    assert after[512:] == before[512:]
    assert after[:4] == b"WSF\x02"
    assert after[8:16] == bytes([3, 0, 0, 0, 0, 0, 0, 0])
    assert after[64 : 64 + 27] == ENV
    assert after[64 + 27 : 64 + 27 + 10] == b'{"step":4}'


def test_small_write_after_a_large_one_takes_the_first_slot(store, root):
    path = root / "83" / "cd5d4f28cb860a2f05e15955830570"
    before = path.read_bytes()
    store.commit("golden-large", {"text": "b"}, at(1700000100.0))
    after = path.read_bytes()
    assert after[512:] == before[512:]
    assert after[8:16] == bytes([3, 0, 0, 0, 0, 0, 0, 0])


def test_session_under_another_name_is_damaged(backend_module, session_file):
    with pytest.raises(DamagedFile):
        backend_module.read(
            session_file("two-slots"),
            b"94eb7a80f07d44a42dd084010bb524c8",
            0.0,
        )


# The count


@pytest.fixture
def counted(tmp_path, backend_module):
    """A store with the golden count: total 2, and a third announced."""
    root = tmp_path / "counted"
    make_directory(root)
    write_private(root / ".websession", MARKER % 16)
    write_private(root / ".key", KEY)
    write_private(root / ".count", golden("three.count"))
    for handle in (
        "87ec4126ab26cd78d1d51656e8025d11",
        "675aca64f4176dd488e9879bbc23dc04",
        "513c8b9ba8775c485077db745ca09175",
    ):
        make_directory(root / handle[0])
        write_private(root / handle[0] / handle[1:], b"a session")
    return FileStore(
        root,
        sweep_interval=0,
        allow_network=True,
        backend=backend_module.NAME,
    )


def count_fields(raw):
    """Kind, handle and total of a count, and the number of each shard."""
    magic, crc, kind, handle, total = struct.unpack_from("<4sIB3x32sQ", raw)
    assert magic == b"WSC\x01"
    assert crc == zlib.crc32(raw[8:])
    return kind, handle, total, struct.unpack_from("<16I", raw, 52)


def test_golden_count_has_a_creation_announced():
    raw = golden("three.count")
    assert len(raw) == 116
    assert count_fields(raw) == (
        1,
        b"513c8b9ba8775c485077db745ca09175",
        2,
        (0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    )


def test_store_writes_the_golden_count(tmp_path):
    raw = MAKE["write_count"](tmp_path / "written")
    assert raw == golden("three.count")


def test_announced_creation_that_happened_is_counted(counted, tmp_path):
    assert counted.count() == 3
    assert count_fields((tmp_path / "counted" / ".count").read_bytes()) == (
        0,
        bytes(32),
        3,
        (0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    )


@pytest.mark.parametrize("crashed_after", ["nothing", "open", "supersede"])
def test_announced_creation_that_did_not_happen_is_not_counted(
    crashed_after, counted, tmp_path
):
    path = tmp_path / "counted" / "5" / "13c8b9ba8775c485077db745ca09175"
    if crashed_after == "nothing":
        path.unlink()
    elif crashed_after == "open":
        path.write_bytes(b"")
    else:
        path.chmod(0o700)
    assert counted.count() == 2
    assert count_fields((tmp_path / "counted" / ".count").read_bytes()) == (
        0,
        bytes(32),
        2,
        (0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    )


def announce(path, kind, handle):
    raw = bytearray(path.read_bytes())
    raw[8] = kind
    raw[12:44] = handle
    raw[4:8] = struct.pack("<I", zlib.crc32(raw[8:]))
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("kind", "happened", "expected"),
    [
        ("remove", False, 2),
        ("remove", True, 1),
        ("supersede", False, 2),
        ("supersede", True, 1),
    ],
)
def test_announced_end_of_a_session_is_settled(
    kind, happened, expected, counted, tmp_path
):
    root = tmp_path / "counted"
    number = {"remove": 2, "supersede": 3}[kind]
    announce(root / ".count", number, b"87ec4126ab26cd78d1d51656e8025d11")
    path = root / "8" / "7ec4126ab26cd78d1d51656e8025d11"
    if happened and kind == "remove":
        path.unlink()
    elif happened:
        path.chmod(0o700)
    assert counted.count() == expected


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_damaged_count_is_made_anew(damage, counted, tmp_path):
    path = tmp_path / "counted" / ".count"
    raw = golden("three.count")
    if damage == "flipped":
        path.write_bytes(raw[:60] + b"\xff" + raw[61:])
    elif damage == "cut":
        path.write_bytes(raw[:100])
    else:
        path.write_bytes(b"")
    assert counted.count() == 3
    assert count_fields(path.read_bytes()) == (
        0,
        bytes(32),
        3,
        (0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    )


# FORMAT.md


def fenced(language):
    """The blocks of FORMAT.md in that language."""
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```$", FORMAT.read_text(), re.M | re.S
    )
    return [text for each, text in blocks if each == language]


def undump(text):
    """The bytes of a hex dump as hexdump -C prints it."""
    content, line, repeat = bytearray(), b"", False
    for row in text.splitlines():
        if row == "*":
            repeat = True
            continue
        offset = int(row[:8], 16)
        while repeat and len(content) < offset:
            content += line
        repeat = False
        assert len(content) == offset
        line = bytes.fromhex(row[8:58])
        content += line
    return bytes(content)


@pytest.fixture(scope="module")
def example():
    (code,) = fenced("python")
    names = {}
    exec(compile(code, str(FORMAT), "exec"), names)
    return names


def test_worked_example_gives_the_golden_file(example):
    assert len(example["content"]) == 617
    whole = example["content"].ljust(1024, b"\0")
    assert whole == golden("two-slots.session")


def test_worked_example_is_what_the_hex_dump_shows(example):
    assert undump(fenced("")[-1]) == example["content"]


def test_worked_example_shows_its_text_beside_the_hex():
    for row in fenced("")[-1].splitlines():
        if "|" in row:
            shown = "".join(
                chr(byte) if 32 <= byte < 127 else "."
                for byte in bytes.fromhex(row[8:58])
            )
            assert row[58:].strip() == f"|{shown}|"


def test_worked_example_gives_the_path(example, store, root):
    assert example["path"] == "94/eb7a80f07d44a42dd084010bb524c9"
    whole = example["content"].ljust(1024, b"\0")
    assert (root / example["path"]).read_bytes() == whole
    record = store.read(example["SESSION_ID"], 1700000100.0)
    assert record.data == {"user": "ann"}


def test_worked_example_is_what_the_backends_write(
    example, backend_module, tmp_path
):
    path = tmp_path / "written"
    MAKE["write_session"](backend_module, path, "two-slots")
    assert path.read_bytes() == example["content"].ljust(1024, b"\0")


def test_worked_example_is_made_of_two_records(example, keyring):
    name = b"94eb7a80f07d44a42dd084010bb524c9"
    assert example["name"] == name
    assert keyring.verifies(name, example["slot_0"])
    assert keyring.verifies(name, example["slot_1"])


def test_marker_in_the_page_opens_a_store(root):
    marker = fenced("")[1]
    assert marker.encode() == MARKER % 256
    (root / ".websession").write_text(marker)
    FileStore(root, allow_network=True)


def test_slots_in_the_page_are_those_of_the_code():
    from websession.record import slot_size, slot_start

    page = FORMAT.read_text().replace(",", "")
    rows = re.findall(r"^\| (\d) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.M)
    assert [tuple(map(int, row)) for row in rows] == [
        (slot, slot_start(slot), slot_start(slot) + slot_size(slot),
         slot_size(slot))
        for slot in range(6)
    ]  # fmt: skip
