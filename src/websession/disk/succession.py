"""
What follows a session that has got a new ID: whether that is still in force,
and how a log-out under the old ID ends all of it.

Only for files that are marked as superseded, so hardly ever imported.
"""

from __future__ import annotations

import os

from .. import engine
from ..engine import Deadline, loud
from ..exceptions import CorruptData
from ..record import MODE_SUPERSEDED, successor_of, version_of
from .private import sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Protocol

    from .count import SessionCount
    from .root import Layout

    class Opened(Protocol):
        """A store that was opened: for sessions, or for commands."""

        layout: Layout
        backend: ModuleType
        count: SessionCount
        timeout: float


__all__ = ["delete", "distance"]

# How many IDs in a row are looked at for one that is in force.
_LONGEST_CHAIN = 16


def _read(store: Opened, name: bytes) -> bytes | None:
    """The live record, or None. CorruptData, and the file is left alone."""
    raw: bytes | None = store.backend.read(
        store.layout.path(name), name, store.timeout
    )
    if raw is not None and not store.layout.keyring.verifies(name, raw):
        raise CorruptData(f"session {name.decode()} is not authentic")
    return raw


@loud
def distance(store: Opened, raw: bytes, now: float) -> int:
    """
    How many new IDs lie between a superseded session and one in force: 1 if
    its successor is that. 0: its time is over, or none is in force.

    Raises:
        CorruptData: one of those in between cannot be read.
    """
    until, name = successor_of(raw)
    if now >= until:
        return 0
    for steps in range(1, _LONGEST_CHAIN + 1):
        try:
            info = os.lstat(store.layout.path(name))
        except FileNotFoundError:
            return 0
        if not info.st_mode & MODE_SUPERSEDED:
            return steps if info.st_size else 0
        found = _read(store, name)
        if found is None:
            return 0
        _, name = successor_of(found)
        if not name:
            return steps  # marked, and the crash came before the record
    return 0


def delete(store: Opened, name: bytes, durable: bool = False) -> bool:
    """
    Deletes a session that is marked as superseded, and all that followed it,
    the last one first: that is the one in force, without which the others do
    not read either, whatever ends this halfway.

    Args:
        durable: sync the directories.

    Returns:
        False if it was gone already.
    """
    deadline = Deadline(store.timeout)
    followed: list[bytes] = []
    while True:
        outcome = _unlink(store, name, durable)
        if outcome != engine.SUPERSEDED:
            break
        header, successor = _look(store, name)
        if header and not successor:
            # Marked, and the crash came before the record: in force.
            outcome = _unlink(store, name, durable, header)
            if outcome != engine.CONFLICT:
                break
            deadline.check()
            continue
        followed.append(name)
        if not successor or successor in followed:
            break
        name = successor
    for each in reversed(followed):
        outcome = _unlink(store, each, durable, marked=True)
    return outcome == engine.OK


def _look(store: Opened, name: bytes) -> tuple[bytes, bytes]:
    """Header and successor of a session, empty as far as there are none."""
    try:
        raw = _read(store, name)
    except CorruptData:
        raw = None  # nobody can say what followed it
    if raw is None:
        return b"", b""
    return version_of(raw), successor_of(raw)[1]


def _unlink(
    store: Opened,
    name: bytes,
    durable: bool,
    expected: bytes | None = None,
    marked: bool = False,
) -> int:
    outcome: int = store.count.remove(
        name,
        lambda: store.backend.remove(
            store.layout.path(name), name, expected, store.timeout, marked
        ),
    )
    if outcome == engine.OK and durable:
        sync_directory(store.layout.directory(name))
    return outcome
