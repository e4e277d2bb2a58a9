"""
Writes the golden files beside this script, from fixed inputs.

    python tests/golden/make.py

They show version 2 of the format that csrc/FORMAT.md describes. Code that no
longer reproduces them has changed the format: a new version gets new files
beside these, and these stay.
"""

import os
import tempfile
from pathlib import Path

from websession.disk import backend as backends
from websession.ids import handle
from websession.keyring import Keyring
from websession.record import HEADER_LENGTH, pack_user
from websession.stores import FileStore

STORE_ID = bytes(range(16))
KEY = bytes(range(32, 64))
MARKER = b"""\
websession-store 2
shards %d
id 000102030405060708090a0b0c0d0e0f
key file:4b5fb4fb94fe2e00
made 2023-11-14T22:13:20Z
"""

PICKLE, JSON = 1, 2
CREATED = 1700000000.0
NOTHING = b""
ENV = b'{"REMOTE_ADDR":"192.0.2.7"}'
# pickle's protocol 5 of {"REMOTE_ADDR": "192.0.2.7"}
PICKLED_ENV = (
    b"\x80\x05\x95\x1e\0\0\0\0\0\0\0}\x94\x8c\x0bREMOTE_ADDR\x94"
    b"\x8c\t192.0.2.7\x94s."
)
# and of {"user": "ann", "count": 3}
PICKLED = (
    b"\x80\x05\x95\x1c\0\0\0\0\0\0\0}\x94(\x8c\x04user\x94\x8c\x03ann\x94"
    b"\x8c\x05count\x94K\x03u."
)
LARGE = b'{"text":"' + b"0123456789" * 500 + b'"}'
# Until 1700000120.0, and the handle of the successor.
SUPERSEDE = bytes.fromhex("0000005efc54d941 94eb7a80f07d44a42dd084010bb524c9")

# Idle limits of their own, and users: all others have none.
IDLE = {"own-limit": 2592000}
TAGS = bytes(range(64, 80)), bytes(range(80, 96))
USER = {
    "user": pack_user(TAGS[:1], "Firefox, J\xf8rn's"),
    "user-superseded": pack_user(TAGS, ""),
}

# file name: session ID, serialiser, env, then each state of the session as
# (time stored, data, superseded block)
SESSIONS = {
    "one-slot": (
        "golden-one-slot",
        PICKLE,
        PICKLED_ENV,
        [(1700000000.0, PICKLED, NOTHING)],
    ),
    "two-slots": (  # the worked example of FORMAT.md
        "AbCdEf123456",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"user":null}', NOTHING),
            (1700000060.5, b'{"user":"ann"}', NOTHING),
        ],
    ),
    "json": (
        "golden-json",
        JSON,
        NOTHING,
        [
            (
                1700000000.25,
                rb'{"name":"J\u00f8rn","list":[1,2.5,null]}',
                NOTHING,
            )
        ],
    ),
    "large": (
        "golden-large",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"text":""}', NOTHING),
            (1700000001.0, LARGE, NOTHING),
        ],
    ),
    "superseded": (
        "golden-superseded",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"user":"bob"}', NOTHING),
            (1700000060.0, b'{"user":"bob"}', SUPERSEDE),
        ],
    ),
    "renewed": (
        "golden-renewed",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"user":"bob"}', NOTHING),
            (1700000060.0, NOTHING, SUPERSEDE),
        ],
    ),
    "own-limit": (
        "golden-own-limit",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"user":"eve"}', NOTHING),
            (1700000060.0, b'{"user":"eve"}', NOTHING),
        ],
    ),
    "user": (
        "golden-user",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"user":"ann"}', NOTHING),
            (1700000060.0, b'{"user":"ann","n":1}', NOTHING),
        ],
    ),
    "user-superseded": (
        "golden-user-superseded",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"user":"ann"}', NOTHING),
            (1700000060.0, b'{"user":"ann"}', SUPERSEDE),
        ],
    ),
    "torn": (  # cut by `tear`
        "golden-torn",
        JSON,
        ENV,
        [
            (1700000000.0, b'{"step":1}', NOTHING),
            (1700000001.0, b'{"step":2}', NOTHING),
            (1700000002.0, b'{"step":3}', NOTHING),
        ],
    ),
}
TORN_LENGTH = 90  # the third state, in slot 0, got as far as this


def write_session(backend, path, name):
    """Writes all the states of one golden session with a backend."""
    session_id, serializer, env, states = SESSIONS[name]
    keyring = Keyring([KEY], STORE_ID)
    session = handle(session_id)
    path = os.fsencode(path)
    before = b""
    for number, (stored, data, supersede) in enumerate(states):
        record = keyring.pack(
            session, CREATED, stored, env if data else NOTHING, data,
            serializer, supersede, IDLE.get(name, 0), USER.get(name, NOTHING),
        )  # fmt: skip
        if number == 0:
            outcome = backend.create(path, session, record, 0, 1.0)
        else:
            before = Path(os.fsdecode(path)).read_bytes()
            header = backend.read(path, session, 1.0)[:HEADER_LENGTH]
            outcome, _ = backend.commit(
                path, session, record, header, stored, 0.0, 0.0, 0, 1.0
            )
        if outcome != 0:
            raise RuntimeError(f"{name}: status {outcome}")
    if name == "torn":
        tear(Path(os.fsdecode(path)), before)


def tear(path, before):
    """Leaves what a crash in the middle of the last write leaves."""
    after = path.read_bytes()
    path.write_bytes(after[:TORN_LENGTH] + before[TORN_LENGTH:])


def make_store(root, shards):
    """An empty store with the fixed marker and key."""
    root = Path(root)
    root.mkdir(mode=0o700)
    for name, content in ((".key", KEY), (".websession", MARKER % shards)):
        (root / name).touch(mode=0o600)
        (root / name).write_bytes(content)


def write_count(root):
    """
    Makes a store of 16 shards with a limit and three sessions, and returns
    its count: total 2, and the creation of the third announced.
    """
    make_store(root, 16)
    store = FileStore(root, serializer="json", sweep_interval=0)
    for number in (1, 2, 3):
        store.create(
            f"golden-count-{number}", {}, {}, (CREATED, 0, 0, 0), cap=10
        )
    return (Path(root) / ".count").read_bytes()


def main():
    here = Path(__file__).resolve().parent
    backend = backends.choose("python")
    with tempfile.TemporaryDirectory() as scratch:
        for name in SESSIONS:
            path = Path(scratch, name)
            write_session(backend, path, name)
            (here / f"{name}.session").write_bytes(path.read_bytes())
        (here / "three.count").write_bytes(write_count(Path(scratch, "store")))


if __name__ == "__main__":
    main()
