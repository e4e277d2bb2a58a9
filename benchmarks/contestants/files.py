"""Others that keep a file per session."""

from __future__ import annotations

import os
import pickle
import secrets
import time

from .base import Contestant, needs

__all__ = ["Cachelib", "Django", "RenamedFiles"]


class RenamedFiles(Contestant):
    """A temporary file renamed over the old one, with pickle, unchecked."""

    name = "temporary file, renamed"

    def __init__(self, place):
        super().__init__(place)
        for shard in range(256):
            (place / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
        self.root = str(place)

    def path(self, key):
        return f"{self.root}/{key[:2]}/{key[2:]}"

    def new(self, data):
        key = secrets.token_hex(16)
        self.store(key, data)
        return key

    def retrieve(self, key):
        with open(self.path(key), "rb") as file:
            return pickle.load(file)

    def store(self, key, data):
        path = self.path(key)
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "wb") as file:
            pickle.dump(data, file, 5)
        os.replace(temporary, path)

    def delete(self, key):
        os.unlink(self.path(key))


class Django(Contestant):
    """Django's file-based sessions."""

    name = "Django, file"
    missing = needs("django")

    def __init__(self, place):
        super().__init__(place)
        place.mkdir(parents=True, exist_ok=True)
        from django.conf import settings

        if not settings.configured:
            settings.configure(SECRET_KEY="of the benchmark" * 4)
        settings.SESSION_FILE_PATH = str(place)
        from django.contrib.sessions.backends import file

        if hasattr(file.SessionStore, "_storage_path"):
            del file.SessionStore._storage_path
        self.session = file.SessionStore

    def new(self, data):
        session = self.session()
        session.update(data)
        session.create()
        return session.session_key

    def retrieve(self, key):
        return self.session(key).load()

    def store(self, key, data):
        session = self.session(key)
        session._session_cache = data
        session.save()

    def delete(self, key):
        self.session(key).delete()

    def sweep(self):
        self.session.clear_expired()


class Cachelib(Contestant):
    """cachelib's FileSystemCache, which Flask-Session uses."""

    name = "cachelib FileSystemCache"
    missing = needs("cachelib")

    def __init__(self, place):
        super().__init__(place)
        from cachelib import FileSystemCache

        self.cache = FileSystemCache(str(place), threshold=0)

    def new(self, data):
        key = secrets.token_hex(16)
        self.cache.set(key, data, timeout=86400)
        return key

    def retrieve(self, key):
        return self.cache.get(key)

    def store(self, key, data):
        self.cache.set(key, data, timeout=86400)

    def delete(self, key):
        self.cache.delete(key)

    def sweep(self):
        self.cache._remove_expired(time.time())
