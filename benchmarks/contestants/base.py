"""
A contestant: a way to keep sessions, with the same few methods as the others.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path

__all__ = ["Contestant", "needs"]


class Contestant:
    """
    A way to keep sessions.

    Args:
        place: a directory that does not exist yet, for it alone.

    Attributes:
        name: in tables.
        shared: whether several processes can use it at once.
        operations: what it can be asked for.
    """

    name = ""
    shared = True
    operations = frozenset(
        ("new", "retrieve", "store", "update", "delete", "cycle")
    )

    def __init__(self, place: Path) -> None:
        self.place = place

    @classmethod
    def missing(cls) -> str | None:
        """What must be installed first; None: nothing."""
        return None

    def new(self, data):
        """Makes a session, returns its key."""
        raise NotImplementedError

    def retrieve(self, key):
        raise NotImplementedError

    def store(self, key, data):
        raise NotImplementedError

    def delete(self, key):
        raise NotImplementedError

    def update(self, key, func):
        """Reads, changes and stores, as safely as it can."""
        self.store(key, func(self.retrieve(key)))

    def close(self) -> None:
        """Gives up what it holds."""

    def fill(self, count, data):
        """Many sessions at once; their keys."""
        return [self.new(data) for _ in range(count)]

    def timed(self, operation, keys, data, times):
        """
        Does something `times` times, to the keys in turn.

        Returns:
            Seconds; and the keys that were made, if any.
        """
        count, made = len(keys), []
        if operation == "new":
            new = self.new
            started = time.perf_counter()
            made.extend(new(data) for _ in range(times))
        elif operation == "retrieve":
            retrieve = self.retrieve
            started = time.perf_counter()
            for number in range(times):
                retrieve(keys[number % count])
        elif operation == "store":
            store = self.store
            started = time.perf_counter()
            for number in range(times):
                store(keys[number % count], data)
        elif operation == "cycle":
            retrieve, store = self.retrieve, self.store
            started = time.perf_counter()
            for number in range(times):
                key = keys[number % count]
                store(key, retrieve(key))
        elif operation == "update":
            update = self.update
            started = time.perf_counter()
            for number in range(times):
                update(keys[number % count], same)
        else:
            delete = self.delete
            started = time.perf_counter()
            for key in keys:
                delete(key)
        return time.perf_counter() - started, made


def same(data):
    return data


def needs(*modules):
    """A `missing` that looks for modules."""

    def missing(cls):
        for module in modules:
            try:
                importlib.import_module(module)
            except ImportError:
                return module
        return None

    return classmethod(missing)
