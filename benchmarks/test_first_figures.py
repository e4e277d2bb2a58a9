"""
The first figures: retrieve and store over the bare system calls, and over
writing a temporary file that is renamed; import time over that of shelve.

    python -m pytest benchmarks
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from websession import FileStore, WebSession

SESSIONS = 10_000
LOOP = 50
DATA = {"user": "ann", "roles": ["reader"], "text": "x" * 190}


@pytest.fixture(scope="module", params=["c", "python"])
def filled(request, place):
    """A WebSession among 10,000 sessions, one of them, and its file."""
    store = FileStore(
        place / request.param, backend=request.param, sweep_interval=0
    )
    ws = WebSession(store, 1800, 86400)
    for _ in range(SESSIONS - 1):
        ws.newSession()
    session_id = ws.newSession()
    for _ in range(3):
        ws.storeSession(session_id, DATA)
    handle = ws._store._layout.path  # the path of a session's file
    from websession.ids import handle as handle_of

    return request.param, ws, session_id, handle(handle_of(session_id))


def test_retrieve(measure, filled):
    backend, ws, session_id, _ = filled
    measure("retrieve", backend, lambda: ws.retrieveSession(session_id))


def test_retrieve_floor(measure, filled, floor):
    if filled[0] == "c":
        path = filled[3]
        measure(
            "retrieve", "floor", lambda: floor.floor_read(path, LOOP), LOOP
        )


def test_store(measure, filled):
    backend, ws, session_id, _ = filled
    measure("store", backend, lambda: ws.storeSession(session_id, DATA))


def test_store_floor(measure, filled, floor, tmp_path):
    if filled[0] == "c":
        copy = os.fsencode(place_of(filled) + ".copy")
        with open(filled[3], "rb") as source, open(copy, "wb") as target:
            target.write(source.read().ljust(1024, b"\0"))
        measure(
            "store", "floor", lambda: floor.floor_store(copy, 330, LOOP), LOOP
        )


def place_of(filled):
    return os.fsdecode(filled[3])


def test_store_by_renaming(measure, filled):
    """What most file stores do: a temporary file, renamed over the old."""
    if filled[0] != "c":
        return
    path = place_of(filled) + ".renamed"
    import pickle

    def store():
        temporary = path + ".tmp"
        with open(temporary, "wb") as file:
            file.write(pickle.dumps(DATA))
        os.replace(temporary, path)

    measure("store", "temporary file renamed (Python)", store)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("floor", "import shelve"),
        ("import websession", "import websession"),
        ("pass", "pass"),
    ],
)
def test_import_time(benchmark, name, code):
    benchmark.group, benchmark.name = "process that imports shelve", name
    benchmark.extra_info["calls"] = 1
    command = [sys.executable, "-c", code]
    benchmark.pedantic(
        subprocess.run, args=(command,), kwargs={"check": True}, rounds=40
    )
