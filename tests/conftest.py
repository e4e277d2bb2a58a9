"""
Fixtures. Every behaviour is tested on both backends: `backend` is "c" and
"python". Without the compiled module the "c" half is an error, unless
WEBSESSION_TEST_NO_EXTENSION=1 says that this install is meant to be without.
"""

from __future__ import annotations

import dbm.dumb
import os
import shelve
import signal

import pytest

from console import Console
from memory import memory_engine
from support import Child
from websession import FileStore, WebSession
from websession.stores.records import RecordStore

NO_EXTENSION = os.environ.get("WEBSESSION_TEST_NO_EXTENSION") == "1"
IN_CI = os.environ.get("WEBSESSION_CI") == "1"


def pytest_report_header():
    from websession import BACKEND

    return f"websession: {BACKEND} backend by default"


def missing(what):
    """Skips what this machine lacks; in CI nothing may be lacking."""
    if IN_CI:
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


# Whoever starts the tests in the background of a shell passes on that SIGINT
# is ignored; the servers of the tests are stopped with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_child_is_left():
    """What a failed test has left behind fails no other one."""
    yield
    for child in list(Child.alive):
        child.kill()
        child.wait()


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now=1_800_000_000.0):
        self.now = now

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["c", "python"])
def backend(request):
    if request.param == "c" and NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    return request.param


@pytest.fixture
def root(tmp_path):
    """A path for a store, in a directory that has nothing else in it."""
    return tmp_path / "sessions"


@pytest.fixture
def make_store(root, backend):
    """Makes a FileStore in `root` on the backend under test."""

    def make(**options):
        options.setdefault("sweep_interval", 0)
        return FileStore(root, backend=backend, **options)

    return make


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def make_session(make_store, clock):
    """Makes a WebSession over a FileStore, on an injected clock."""

    def make(*args, store_options=None, **options):
        options.setdefault("clock", clock)
        return WebSession(
            make_store(**(store_options or {})), *args, **options
        )

    return make


@pytest.fixture
def ws(make_store):
    """Sessions on the real clock, as the commands see them."""
    return WebSession(make_store())


@pytest.fixture
def console(backend):
    """The command, on the backend under test."""
    return Console(backend)


@pytest.fixture(params=["dict", "shelve", "memory", "c", "python"])
def make_any(request, tmp_path, clock):
    """Makes a WebSession over each thing that it runs over."""
    opened = []

    def make(*args, **options):
        options.setdefault("clock", clock)
        kind = request.param
        if kind == "dict":
            target = {}
        elif kind == "shelve":
            # Not the default of Python 3.13, which is of one thread only.
            target = shelve.Shelf(dbm.dumb.open(str(tmp_path / "shelf"), "c"))
            opened.append(target)
        elif kind == "memory":
            target = RecordStore(memory_engine())
        else:
            if kind == "c" and NO_EXTENSION:
                pytest.skip("this install is meant to be without it")
            target = FileStore(
                tmp_path / "any", backend=kind, sweep_interval=0
            )
        ws = WebSession(target, *args, **options)
        ws.kind = kind
        return ws

    yield make
    for each in opened:
        each.close()
