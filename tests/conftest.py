"""
Fixtures. Every behaviour is tested on both backends: `backend` is "c" and
"python". Without the compiled module the "c" half is an error, unless
WEBSESSION_TEST_NO_EXTENSION=1 says that this install is meant to be without.
"""

from __future__ import annotations

import dbm.dumb
import shelve
import signal

import pytest

from clocks import Clock
from console import Console
from machine import NO_EXTENSION
from memory import memory_engine
from support import Child
from websession import FileStore, WebSession
from websession.disk import backend as backends
from websession.disk.engine import DiskEngine
from websession.stores.records import RecordStore

# Their asserts show values too.
pytest.register_assert_rewrite("contract")


def pytest_report_header():
    from websession import BACKEND

    return f"websession: {BACKEND} backend by default"


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


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["c", "python"])
def backend(request):
    if request.param == "c" and NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    return request.param


@pytest.fixture(scope="module", params=["c", "python"])
def backend_module(request):
    """The functions of one backend."""
    if request.param == "c" and NO_EXTENSION:
        pytest.skip("WEBSESSION_TEST_NO_EXTENSION is set")
    return backends.choose(request.param)


@pytest.fixture(scope="module")
def both():
    """The functions of both backends, C first."""
    if NO_EXTENSION:
        pytest.skip("WEBSESSION_TEST_NO_EXTENSION is set")
    return backends.choose("c"), backends.choose("python")


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


@pytest.fixture(params=["memory", "c", "python"])
def any_engine(request, root):
    """Each engine. To stores over the same one the others are processes."""
    if request.param == "memory":
        return memory_engine()
    if request.param == "c" and NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    return DiskEngine(root, backend=request.param, sweep_interval=0)


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
