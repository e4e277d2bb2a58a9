"""
atheris's target for the parts in Python: session files, cookie headers, JSON,
plain pickles.

    python tests/proof/fuzz/python_parts.py -max_total_time=60 [CORPUS]

The first byte chooses the part. Where the compiled backend is there, both must
say the same of a session file.
"""

from __future__ import annotations

import _pickle
import os
import sys
import tempfile

import atheris

with atheris.instrument_imports():
    from websession import _plain_pickle, _tagged_json
    from websession.disk.plain import operations
    from websession.exceptions import SessionException
    from websession.web.cookie import SessionCookie

try:
    from websession.disk import native
except ImportError:
    native = None

NAME = b"94eb7a80f07d44a42dd084010bb524c9"
PATH = os.fsencode(tempfile.mkstemp()[1])
COOKIE = SessionCookie("sid", secure=None)


def outcome(backend):
    try:
        return backend.read(PATH, NAME, 0.0)
    except SessionException as error:
        return type(error).__name__


def session_file(data):
    with open(PATH, "wb") as file:
        file.write(data)
    found = outcome(operations)
    assert found is None or isinstance(found, str) or found in data
    if native is not None:
        assert outcome(native) == found


def cookie(data):
    values = COOKIE.values(data.decode("latin-1"), False)
    assert len(values) <= 4
    assert all(isinstance(value, str) for value in values)


def json(data):
    try:
        value = _tagged_json.loads(data)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return  # for a store: CorruptData
    try:
        again = _tagged_json.dumps(value)
    except (ValueError, RecursionError):
        return
    assert _tagged_json.dumps(_tagged_json.loads(again)) == again


def pickle(data):
    try:
        value = _plain_pickle.loads(data)
    except Exception:
        return  # for pickle
    assert repr(_pickle.loads(data)) == repr(value)
    try:
        again = _plain_pickle.dumps(value)
    except _plain_pickle.NotPlain:
        return
    assert _pickle.dumps(value, 5) == again


def encoded(data):
    json(data)
    pickle(b"\x80\x05" + data)


PARTS = [session_file, cookie, encoded]


def one_input(data):
    if data:
        PARTS[data[0] % len(PARTS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    try:
        atheris.Fuzz()
    finally:
        os.unlink(PATH)
