"""
What follows a session that has got a new ID: whether that is still live,
and how a log-out under the old ID ends all of it.

Only for sessions that are superseded, so hardly ever imported.
"""

from __future__ import annotations

from ..engine import CONFLICT, OK, SUPERSEDED, Deadline
from ..exceptions import CorruptData
from ..record import successor_of, version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..engine import Engine

__all__ = ["delete", "distance"]

# How many IDs in a row are looked at for one that is live.
_LONGEST_CHAIN = 16


def distance(engine: Engine, raw: bytes, now: float) -> int:
    """
    How many new IDs lie between a superseded session and a live one: 1 if its
    successor is that. 0: its time is over, or none is live.

    Raises:
        CorruptData: one of those in between cannot be read.
    """
    until, name = successor_of(raw)
    if now >= until:
        return 0
    for steps in range(1, _LONGEST_CHAIN + 1):
        found = engine.read(engine.address(name))
        if found is None:
            return 0
        _, name = successor_of(found)
        if not name:
            return steps
    return 0


def delete(engine: Engine, address: Any) -> bool:
    """
    Deletes a session that is superseded, and all that followed it, the last
    one first: that is the live one, without which the others do not read
    either, whatever ends this halfway.

    Returns:
        False if it was gone already.
    """
    deadline = Deadline(engine.timeout)
    followed: list[Any] = []
    names: list[bytes] = []
    while True:
        outcome = engine.remove(address)
        if outcome != SUPERSEDED:
            break
        header, successor = _look(engine, address)
        if header and not successor:
            # Marked, and the crash came before the record: live.
            outcome = engine.remove(address, header)
            if outcome != CONFLICT:
                break
            deadline.check()
            continue
        followed.append(address)
        if not successor or successor in names:
            break
        names.append(successor)
        address = engine.address(successor)
    for each in reversed(followed):
        outcome = engine.remove(each, superseded=True)
    return outcome == OK


def _look(engine: Engine, address: Any) -> tuple[bytes, bytes]:
    """
    The header of a session and the handle of its successor; either is empty if
    there is none, or the session cannot be read.
    """
    try:
        raw = engine.read(address)
    except CorruptData:
        raw = None  # nobody can say what followed it
    if raw is None:
        return b"", b""
    return version_of(raw), successor_of(raw)[1]
