"""
The first figures: retrieve and store over the bare system calls, the usual
temporary file that is renamed over the same, import time over that of shelve.

    python -m pytest benchmarks
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest

from websession import FileStore, WebSession
from websession.ids import handle

SESSIONS = 10_000
DATA = {"user": "ann", "roles": ["reader"], "text": "x" * 190}


@pytest.fixture(scope="module", params=["c", "python"])
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def session(backend, place):
    """A WebSession over 10,000 sessions, the ID of one, and its file."""
    store = FileStore(place / backend, backend=backend, sweep_interval=0)
    ws = WebSession(store, 1800, 86400)
    for _ in range(SESSIONS - 1):
        ws.newSession()
    session_id = ws.newSession()
    for _ in range(3):
        ws.storeSession(session_id, DATA)
    name = handle(session_id).decode()
    return ws, session_id, str(place / backend / name[:2] / name[2:])


@pytest.fixture
def floor_read(floor, session):
    path = os.fsencode(session[2])
    return lambda times: floor.floor_read(path, times)


@pytest.fixture
def floor_store(floor, session):
    """On a copy beside the session, since it writes no records."""
    path = session[2]
    copy = os.fsencode(path + ".copy")
    with open(path, "rb") as source, open(copy, "wb") as target:
        target.write(source.read().ljust(1024, b"\0"))
    return lambda times: floor.floor_store(copy, 330, times)


def test_retrieve(measure, backend, session, floor_read):
    ws, session_id, _ = session
    call = lambda: ws.retrieveSession(session_id)  # noqa: E731
    measure("retrieveSession", backend, call, floor_read)


def test_store(measure, backend, session, floor_store):
    ws, session_id, _ = session
    call = lambda: ws.storeSession(session_id, DATA)  # noqa: E731
    measure("storeSession", backend, call, floor_store)


def test_store_by_renaming(measure, session, floor_store):
    """What most file stores do, without any locking or checking."""
    path = session[2] + ".renamed"

    def store():
        with open(path + ".tmp", "wb") as file:
            file.write(pickle.dumps(DATA))
        os.replace(path + ".tmp", path)

    measure("storeSession", "temporary file, renamed", store, floor_store, 100)


def spawn(code):
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_import_time(measure):
    """A process that imports websession over one that imports shelve."""
    measure(
        "process",
        "import websession (floor: import shelve)",
        lambda: spawn("import websession"),
        lambda times: spawn("import shelve"),
        rounds=60,
        iterations=1,
    )


def test_import_nothing(measure):
    """The part of both that is the interpreter."""
    measure(
        "process",
        "pass (floor: import shelve)",
        lambda: spawn("pass"),
        lambda times: spawn("import shelve"),
        rounds=60,
        iterations=1,
    )
