"""
A process from start to exit, as CGI has one for each request: milliseconds
beyond a Python that does nothing, measured in turn with it; and the memory of
a process that has served many requests.

    python -m pytest benchmarks/test_start.py
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time

import pytest

from conftest import SCALE, scaled
from test_operations import data_of

ROUNDS = max(3, int(40 * SCALE))
SESSIONS = 1_000

IMPORTS = ["websession", "shelve", "sqlite3", "lmdb", "diskcache", "cachelib"]

# What each does in a request. {place} is a directory, {key} a session's key.
REQUESTS = {
    "websession, C": """
from websession import FileStore, WebSession
ws = WebSession(FileStore({place!r}, backend="c"), 1800)
ws.storeSession({key!r}, ws.retrieveSession({key!r}))
""",
    "websession, Python": """
from websession import FileStore, WebSession
ws = WebSession(FileStore({place!r}, backend="python"), 1800)
ws.storeSession({key!r}, ws.retrieveSession({key!r}))
""",
    "websession, SessionMiddleware": """
from websession import FileStore
from websession.wsgi import SessionMiddleware
def app(environ, start_response):
    session = environ["websession.session"]
    session["n"] = session.get("n", 0) + 1
    start_response("200 OK", [])
    return [b""]
store = FileStore({place!r}, serializer="json", also_accept=["pickle"])
environ = {{"HTTP_COOKIE": "__Host-websession={key}"}}
SessionMiddleware(app, store)(environ, lambda *what: None)
""",
    "shelve, under a lock": """
import fcntl, shelve
with open({place!r} + "/lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with shelve.open({place!r} + "/shelf") as shelf:
        shelf[{key!r}] = shelf[{key!r}]
""",
    "temporary file, renamed": """
import os, pickle
path = {place!r} + "/" + {key!r}[:2] + "/" + {key!r}[2:]
with open(path, "rb") as file:
    data = pickle.load(file)
with open(path + ".tmp", "wb") as file:
    pickle.dump(data, file)
os.replace(path + ".tmp", path)
""",
    "SQLite, WAL": """
import pickle, sqlite3
db = sqlite3.connect({place!r} + "/db", isolation_level=None)
query = "SELECT data FROM sessions WHERE key = ?"
data = pickle.loads(db.execute(query, ({key!r},)).fetchone()[0])
change = "UPDATE sessions SET data = ? WHERE key = ?"
db.execute(change, (pickle.dumps(data), {key!r}))
db.close()
""",
}
MAKERS = {
    "websession, C": "ours.NativeFiles",
    "websession, Python": "ours.PythonFiles",
    "websession, SessionMiddleware": "ours.NativeFiles",
    "shelve, under a lock": "ours.DefaultShelve",
    "temporary file, renamed": "files.RenamedFiles",
    "SQLite, WAL": "databases.Sqlite",
}


def spawn(code):
    """Seconds that a Python takes which runs this, and what it prints."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], check=True, stdout=subprocess.PIPE
    )
    return time.perf_counter() - started, done.stdout


def beyond_nothing(code):
    nothing, something = [], []
    spawn(code)
    for _ in range(ROUNDS):
        nothing.append(spawn("pass")[0])
        something.append(spawn(code)[0])
    beyond = [a - b for a, b in zip(something, nothing, strict=True)]
    return {
        "beyond nothing, ms": statistics.median(beyond) * 1e3,
        "nothing, ms": statistics.median(nothing) * 1e3,
    }


def made(name, place, sessions=SESSIONS):
    """A place with sessions in it, and the key of one."""
    module, kind = MAKERS[name].split(".")
    kind = getattr(importlib.import_module(f"contestants.{module}"), kind)
    contestant = kind(place)
    if name == "websession, SessionMiddleware":
        contestant.use_ids_of(32)
    keys = contestant.fill(scaled(sessions), data_of(250))
    contestant.close()
    return keys[len(keys) // 2]


@pytest.mark.parametrize("name", REQUESTS)
def test_cgi(note, place, name):
    where = place / f"cgi-{list(REQUESTS).index(name)}"
    key = made(name, where)
    code = REQUESTS[name].format(place=str(where), key=key)
    note(
        f"a process that serves one request, of {scaled(SESSIONS):,} sessions",
        name,
        lambda: beyond_nothing(code),
    )


@pytest.mark.parametrize("module", IMPORTS)
def test_import(note, module):
    pytest.importorskip(module)
    note("import", module, lambda: beyond_nothing(f"import {module}"))


MEMORY = """
def peak():
    with open("/proc/self/status") as file:
        return int(file.read().partition("VmHWM:")[2].split()[0])
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forget the peak of the process that this one comes from
before = peak()
from websession import FileStore, WebSession
ws = WebSession(FileStore({place!r}, backend={backend!r}), 1800)
ids = [ws.newSession(data={data!r}) for _ in range({count})]
for _ in range(3):
    for session_id in ids:
        ws.storeSession(session_id, ws.retrieveSession(session_id))
ws.cleanUp()
print(peak() - before)
"""


@pytest.mark.parametrize("backend", ["c", "python"])
def test_memory(note, place, backend):
    """KiB beyond the bare interpreter, after requests of many sessions."""
    count = scaled(10_000)
    code = MEMORY.format(
        place=str(place / f"memory-{backend}"),
        backend=backend,
        data=data_of(250),
        count=count,
    )
    note(
        f"memory after three requests of each of {count:,} sessions",
        backend,
        lambda: {"KiB beyond the interpreter": int(spawn(code)[1])},
    )
