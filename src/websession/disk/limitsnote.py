"""
Which limits the applications of a store go by, through ``.locks/limits``:
whoever makes sessions notes them, so that commands know what has expired, and
a sweep ends no session that another application would still take.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

from .private import open_note, read_file
from .root import LOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine import Limits
    from .root import Layout

    # idle, lifetime and remove, in seconds; 0: none
    Three = tuple[float, float, float]

__all__ = ["NOTED_FOR", "TRY_AGAIN", "InUse", "in_use", "note_limits"]

_DAY = 86400.0
# A process notes its limits again after so many seconds.
NOTED_FOR = _DAY / 4
# And where that failed, after so many.
TRY_AGAIN = 60.0
# What is longer is no limit.
_FOR_EVER = 1e11
# Limits that nobody has noted for so long are not in use any more; and no
# session that was made under them is left.
_KEPT = 30 * _DAY
_MOST = 32


class InUse:
    """
    The limits in use, in seconds; 0: none.

    Attributes:
        idle: after which without a store a session is refused: the smallest
            and the largest, which is 0 if one application has none.
        lifetime: after which from its creation it is over, likewise.
        remove: after which without a store it may be removed, likewise.
    """

    __slots__ = ("idle", "lifetime", "remove")

    def __init__(self, limits: list[Three]) -> None:
        self.idle, self.lifetime, self.remove = (
            (
                min((value for value in values if value > 0), default=0.0),
                max(values) if min(values) > 0 else 0.0,
            )
            for values in zip(*limits, strict=True)
        )


def _path(layout: Layout) -> bytes:
    return layout.join(LOCKS, b"limits")


def _parsed(raw: bytes, now: float) -> dict[Three, float]:
    """When each was noted last; what is no line of ours is left out."""
    found: dict[Three, float] = {}
    for line in raw.split(b"\n")[:_MOST]:
        try:
            idle, lifetime, remove, seen = map(float, line.split(b" "))
        except ValueError:
            continue
        limits = idle, lifetime, remove
        if all(0 <= value < _FOR_EVER for value in limits) and (
            now - seen <= max(_KEPT, *limits)
        ):
            found[limits] = seen
    return found


def in_use(
    layout: Layout, now: float, own: Three | None = None
) -> InUse | None:
    """
    The limits in use, `own` among them; None: none was ever noted.

    Raises:
        UnsafeStore, SessionStoreError: the note cannot be read.
    """
    found = set(_parsed(read_file(_path(layout)) or b"", now))
    if own is not None:
        found.add(own)
    return InUse(list(found)) if found else None


def note_limits(layout: Layout, limits: Limits) -> None:
    """
    Notes the limits of an application, unless that was done of late.

    Raises:
        OSError: there is no room, or another process is at it.
    """
    now, *seconds = limits
    idle, lifetime, remove = (
        round(each, 3) if each < _FOR_EVER else 0.0 for each in seconds
    )
    own = idle, lifetime, remove
    seen = _parsed(read_file(_path(layout)) or b"", now).get(own)
    if seen is not None and 0 <= now - seen < NOTED_FOR:
        return
    layout.make(LOCKS)
    fd = open_note(_path(layout), os.O_RDWR | os.O_CREAT)
    try:
        flock(fd, LOCK_EX | LOCK_NB)
        before = os.pread(fd, 4096, 0)
        found = _parsed(before, now)
        found.pop(own, None)
        newest = sorted(found.items(), key=lambda item: -item[1])[: _MOST - 1]
        content = b"".join(
            b"%.3f %.3f %.3f %.3f\n" % (*each, when)
            for each, when in [(own, now), *newest]
        )
        # Whoever reads in between sees no end of an older line.
        os.pwrite(fd, content.ljust(len(before), b"\n"), 0)
        os.ftruncate(fd, len(content))
        flock(fd, LOCK_UN)
    finally:
        os.close(fd)
