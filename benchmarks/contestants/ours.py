"""websession, on each of its backends, and what it replaces."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import shelve
import time

from websession import FileStore, WebSession

from .base import Contestant, needs

__all__ = [
    "DefaultShelve",
    "DumbShelve",
    "GnuShelve",
    "NativeFiles",
    "PythonFiles",
    "ShelvePerRequest",
    "SqliteShelve",
]


class Clock:
    """What time it is, or was."""

    def __init__(self):
        self.ahead = 0.0

    def move(self, seconds):
        self.ahead += seconds

    def __call__(self):
        return time.time() + self.ahead


class Files(Contestant):
    """websession, on the backend of its class."""

    backend = "auto"

    def __init__(self, place):
        super().__init__(place)
        store = FileStore(place, backend=self.backend, sweep_interval=0)
        self.sessions = WebSession(store, 1800, 86400)
        self.new_id = self.sessions.newSession
        self.sweep = self.sessions.cleanUp
        self.retrieve = self.sessions.retrieveSession
        self.store = self.sessions.storeSession
        self.update = self.sessions.updateSession
        self.delete = self.sessions.deleteSession

    def new(self, data):
        return self.new_id(data=data)

    def use_ids_of(self, length):
        """From now on."""
        store = self.sessions.sessiondict
        self.sessions = WebSession(store, 1800, sessionIDLength=length)
        self.new_id = self.sessions.newSession

    def fill_in_the_past(self, count, data, seconds):
        """Sessions that were stored that long ago."""
        clock = Clock()
        clock.move(-seconds)
        store = self.sessions.sessiondict
        past = WebSession(store, 1800, 86400, clock=clock)
        for _ in range(count):
            past.newSession(data=data)


class NativeFiles(Files):
    name = "websession, C"
    backend = "c"


class PythonFiles(Files):
    name = "websession, Python"
    backend = "python"


class Shelve(Contestant):
    """`WebSession` over a shelve that one process keeps open."""

    dbm = "dbm.dumb"
    shared = False

    def __init__(self, place):
        super().__init__(place)
        module = importlib.import_module(self.dbm)
        place.mkdir(parents=True, exist_ok=True)
        self.shelf = shelve.Shelf(module.open(str(place / "shelf"), "c"))
        self.sessions = WebSession(self.shelf, 1800, 86400)
        self.retrieve = self.sessions.retrieveSession
        self.store = self.sessions.storeSession
        self.update = self.sessions.updateSession
        self.delete = self.sessions.deleteSession

    def new(self, data):
        return self.sessions.newSession(data=data)

    def close(self):
        self.shelf.close()


class DefaultShelve(Shelve):
    """With the dbm that this Python prefers."""

    name = "shelve"

    def __init__(self, place):
        self.dbm = "dbm"
        super().__init__(place)


class DumbShelve(Shelve):
    name = "shelve (dumb), kept open"


class GnuShelve(Shelve):
    name = "shelve (gnu), kept open"
    dbm = "dbm.gnu"
    missing = needs("dbm.gnu")


class SqliteShelve(Shelve):
    name = "shelve (sqlite3), kept open"
    dbm = "dbm.sqlite3"
    missing = needs("dbm.sqlite3")


class ShelvePerRequest(Contestant):
    """
    `WebSession` over a shelve that is opened under an exclusive lock for each
    request: what pre-fork servers and CGI need.
    """

    name = "shelve, opened per request"

    def __init__(self, place):
        super().__init__(place)
        place.mkdir(parents=True, exist_ok=True)
        self.path = str(place / "shelf")
        self.lock = str(place / "lock")

    @contextlib.contextmanager
    def opened(self):
        with open(self.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with shelve.open(self.path) as shelf:
                yield WebSession(shelf, 1800, 86400)

    def new(self, data):
        with self.opened() as sessions:
            return sessions.newSession(data=data)

    def retrieve(self, key):
        with self.opened() as sessions:
            return sessions.retrieveSession(key)

    def store(self, key, data):
        with self.opened() as sessions:
            sessions.storeSession(key, data)

    def delete(self, key):
        with self.opened() as sessions:
            sessions.deleteSession(key)

    def update(self, key, func):
        with self.opened() as sessions:
            sessions.updateSession(key, func)
