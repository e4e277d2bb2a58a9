"""Databases, in the process or beside it."""

from __future__ import annotations

import pickle
import secrets
import shutil
import socket
import sqlite3
import subprocess
import time
from copy import copy

from .base import Contestant, needs

__all__ = ["Diskcache", "Lmdb", "Redis", "Sqlite"]


class Diskcache(Contestant):
    name = "diskcache"
    missing = needs("diskcache")

    def __init__(self, place):
        super().__init__(place)
        import diskcache

        self.cache = diskcache.Cache(str(place), eviction_policy="none")

    def new(self, data):
        key = secrets.token_hex(16)
        self.cache.set(key, data, expire=86400)
        return key

    def retrieve(self, key):
        return self.cache[key]

    def store(self, key, data):
        self.cache.set(key, data, expire=86400)

    def delete(self, key):
        del self.cache[key]

    def update(self, key, func):
        with self.cache.transact():
            self.store(key, func(self.retrieve(key)))

    def close(self):
        self.cache.close()


class Sqlite(Contestant):
    """A table with pickled data, WAL, synchronous=NORMAL."""

    name = "SQLite, WAL"

    def __init__(self, place):
        super().__init__(place)
        place.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(place / "db", isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute("PRAGMA busy_timeout=10000")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS sessions "
            "(key TEXT PRIMARY KEY, at REAL, data BLOB) WITHOUT ROWID"
        )

    def new(self, data):
        key = secrets.token_hex(16)
        self.db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?)",
            (key, time.time(), pickle.dumps(data, 5)),
        )
        return key

    def retrieve(self, key):
        (raw,) = self.db.execute(
            "SELECT data FROM sessions WHERE key = ?", (key,)
        ).fetchone()
        return pickle.loads(raw)

    def store(self, key, data):
        self.db.execute(
            "UPDATE sessions SET at = ?, data = ? WHERE key = ?",
            (time.time(), pickle.dumps(data, 5), key),
        )

    def delete(self, key):
        self.db.execute("DELETE FROM sessions WHERE key = ?", (key,))

    def update(self, key, func):
        self.db.execute("BEGIN IMMEDIATE")
        self.store(key, func(self.retrieve(key)))
        self.db.execute("COMMIT")

    def close(self):
        self.db.close()


class Lmdb(Contestant):
    name = "LMDB, no sync"
    missing = needs("lmdb")

    def __init__(self, place):
        super().__init__(place)
        import lmdb

        place.mkdir(parents=True, exist_ok=True)
        self.env = lmdb.open(str(place), map_size=4 << 30, sync=False)

    def new(self, data):
        key = secrets.token_bytes(16)
        self.store(key, data)
        return key

    def retrieve(self, key):
        with self.env.begin() as transaction:
            return pickle.loads(transaction.get(key))

    def store(self, key, data):
        with self.env.begin(write=True) as transaction:
            transaction.put(key, pickle.dumps(data, 5))

    def delete(self, key):
        with self.env.begin(write=True) as transaction:
            transaction.delete(key)

    def update(self, key, func):
        with self.env.begin(write=True) as transaction:
            data = func(pickle.loads(transaction.get(key)))
            transaction.put(key, pickle.dumps(data, 5))

    def close(self):
        self.env.close()


class Redis(Contestant):
    """A Redis of our own on the loopback interface, without persistence."""

    name = "Redis, loopback"

    @classmethod
    def missing(cls):
        if shutil.which("redis-server") is None:
            return "redis-server"
        try:
            import redis  # noqa: F401
        except ImportError:
            return "redis"
        return None

    def __init__(self, place):
        super().__init__(place)
        import redis

        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.server = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--save", ""),
                *("--bind", "127.0.0.1", "--daemonize", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.client = redis.Redis(port=self.port)
        for _ in range(200):
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)

    def new(self, data):
        key = secrets.token_hex(16)
        self.store(key, data)
        return key

    def retrieve(self, key):
        return pickle.loads(self.client.get(key))

    def store(self, key, data):
        self.client.set(key, pickle.dumps(data, 5), ex=86400)

    def delete(self, key):
        self.client.delete(key)

    def join(self):
        """Another client of the same server, in a process of its own."""
        import redis

        client = copy(self)
        client.client = redis.Redis(port=self.port)
        client.close = client.client.close
        return client

    def close(self):
        self.client.close()
        self.server.terminate()
        self.server.wait()
