"""The golden files, what they hold, and a store made of them."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

ENV = b'{"REMOTE_ADDR":"192.0.2.7"}'
LARGE = b'{"text":"' + b"0123456789" * 500 + b'"}'
NAMES = rb'{"name":"J\u00f8rn","list":[1,2.5,null]}'
PICKLED_ENV = (
    b"\x80\x05\x95\x1e\0\0\0\0\0\0\0}\x94\x8c\x0bREMOTE_ADDR\x94"
    b"\x8c\t192.0.2.7\x94s."
)
PICKLED = (
    b"\x80\x05\x95\x1c\0\0\0\0\0\0\0}\x94(\x8c\x04user\x94\x8c\x03ann\x94"
    b"\x8c\x05count\x94K\x03u."
)

# file -> handle, length of the file, offset of the live record, and what it
# holds: sequence, stored, serialiser, flags, env, data
LIVE = {
    "one-slot": (
        b"d69023287544881f9d9eaaaf96284513", 1024, 0,
        1, 1700000000.0, 1, 0, PICKLED_ENV, PICKLED,
    ),
    "two-slots": (
        b"94eb7a80f07d44a42dd084010bb524c9", 1024, 512,
        2, 1700000060.5, 2, 0, ENV, b'{"user":"ann"}',
    ),
    "json": (
        b"39176f5edebe0e7454b0c29ac71cace9", 1024, 0,
        1, 1700000000.25, 2, 0, b"", NAMES,
    ),
    "large": (
        b"83cd5d4f28cb860a2f05e15955830570", 13294, 8192,
        2, 1700000001.0, 2, 0, ENV, LARGE,
    ),
    "superseded": (
        b"9022b32c4d10de13eb92ccd6078138e3", 1024, 512,
        2, 1700000060.0, 2, 1, ENV, b'{"user":"bob"}',
    ),
    "renewed": (
        b"354137fe8186385a37a6296c8c182e7c", 1024, 512,
        2, 1700000060.0, 2, 1, b"", b"",
    ),
    "own-limit": (
        b"222c2ee8831c2fcd8bf798b95052b478", 1024, 512,
        2, 1700000060.0, 2, 0, ENV, b'{"user":"eve"}',
    ),
    "user": (
        b"e84903165b8f10b723ab601ac0881ef2", 1024, 512,
        2, 1700000060.0, 2, 2, ENV, b'{"user":"ann","n":1}',
    ),
    "user-superseded": (
        b"6f23174240fc828a59d43615d224022b", 1024, 512,
        2, 1700000060.0, 2, 3, ENV, b'{"user":"ann"}',
    ),
    "torn": (
        b"5a9a486a96b29d1dc34be1c1732b27d5", 1024, 512,
        2, 1700000001.0, 2, 0, ENV, b'{"step":2}',
    ),
}  # fmt: skip

# file -> the user block of its records, the two lengths first
USER = {
    "user": b"\x01\x10" + bytes(range(64, 80)) + b"Firefox, J\xc3\xb8rn's",
    "user-superseded": b"\x02\x00" + bytes(range(64, 96)),
}

MARKER = b"""\
websession-store 2
shards %d
id 000102030405060708090a0b0c0d0e0f
key file:4b5fb4fb94fe2e00
made 2023-11-14T22:13:20Z
"""
KEY = bytes.fromhex(
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
)


def golden(name):
    return (GOLDEN / name).read_bytes()


def write_private(path, content):
    path.touch(mode=0o600)
    path.write_bytes(content)


def make_directory(path):
    if not path.exists():
        path.mkdir(mode=0o700)


def golden_store(root):
    """A store put together by hand, with all golden sessions in it."""
    make_directory(root)
    write_private(root / ".websession", MARKER % 256)
    write_private(root / ".key", KEY)
    for name, (handle, *_, stored, _, flags, _, _) in LIVE.items():
        shard, file = handle[:2].decode(), handle[2:].decode()
        make_directory(root / shard)
        write_private(root / shard / file, golden(f"{name}.session"))
        os.utime(root / shard / file, (stored, stored))
        if flags & 1:
            (root / shard / file).chmod(0o700)
    return root
