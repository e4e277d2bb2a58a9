"""The engine in memory that the documentation of `Engine` has."""

from __future__ import annotations

import itertools
import textwrap
import threading
import zlib

from websession import (
    CorruptData,
    MaxSessionCountExceeded,
    engine,
    record,
)
from websession.keyring import Keyring
from websession.stores import threadlocks

__all__ = ["MemoryEngine", "memory_engine"]


def _documented():
    """The class, as whoever reads the documentation would type it."""
    text = textwrap.dedent(engine.Engine.__doc__)
    code = text.partition("::\n\n")[2].partition("\nAttributes:")[0]
    names = {
        **vars(record), **vars(engine), **vars(threadlocks),
        "CorruptData": CorruptData,
        "MaxSessionCountExceeded": MaxSessionCountExceeded,
        "itertools": itertools,
        "threading": threading, "zlib": zlib,
    }  # fmt: skip
    exec(textwrap.dedent(code), names)
    return names["MemoryEngine"]


MemoryEngine = _documented()


def memory_engine():
    """One with a key of its own."""
    return MemoryEngine(Keyring([b"a secret of sixteen bytes"], bytes(16)))
