"""Records as bytes, and files that hold them."""

from __future__ import annotations

import os
import struct
import zlib

from websession.keyring import Keyring

NAME = b"94eb7a80f07d44a42dd084010bb524c9"
STORE_ID = bytes(range(16))
SECRET = bytes(range(32, 64))
KEYRING = Keyring([SECRET], STORE_ID)

CREATED = 1700000000.0


def put(path, content, mode=0o600):
    """Puts a file there, in place of the one before."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
    return os.fsencode(path)


def finished(raw, sequence=1, name=NAME):
    """A record as a backend leaves it: with sequence number and CRC."""
    rest = struct.pack("<Q", sequence) + raw[16:]
    crc = zlib.crc32(rest, zlib.crc32(name))
    return raw[:4] + struct.pack("<I", crc) + rest


def simple(data=b"data", stored=CREATED, env=b"env", supersede=b""):
    return KEYRING.pack(NAME, CREATED, stored, env, data, 2, supersede)
