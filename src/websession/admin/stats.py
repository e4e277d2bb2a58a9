"""
What all sessions of a store have in common: numbers, ages, sizes.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from ..disk.root import DAMAGED
from ..exceptions import CorruptData, SessionStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..disk.limitsnote import InUse
    from .inspector import Inspector, StoredSession

__all__ = ["AGES", "SIZES", "Census", "Distribution", "room", "take"]

# Upper ends of the classes; above the last one there is one more.
AGES = (60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)
SIZES = (256, 512, 1024, 4096, 16384, 65536, 1 << 20)


class Distribution:
    """
    How values spread over classes.

    Attributes:
        ends: upper ends of the classes, the end itself included.
        counts: how many are in each, and above all of them.
        total: the sum of the values.
        least, most: of the values; None: there are none.
    """

    def __init__(self, ends: tuple[int, ...]) -> None:
        self.ends = ends
        self.counts = [0] * (len(ends) + 1)
        self.total = 0.0
        self.least: float | None = None
        self.most: float | None = None

    def add(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.ends, value)] += 1
        self.total += value
        if self.least is None or value < self.least:
            self.least = value
        if self.most is None or value > self.most:
            self.most = value

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean of the values; 0 if there are none."""
        return self.total / max(1, self.count)


class Census:
    """
    Numbers, ages and sizes of all sessions of a store at one time.

    Attributes:
        now: when it was taken, seconds since the epoch.
        limits: those in use; None: not known.
        sessions: that count, expired ones that nobody has removed included.
        expired: how many of these have expired by the largest limits in use,
            or by their own; None: no limits are known.
        superseded: that a new ID has replaced, and that read for a while.
        unreadable: whose files are damaged, of a newer format, or not ours.
        empty: files that somebody is about to fill, or crashed before that.
        damaged: files in ``.damaged/``.
        own_limit: sessions with an idle limit of their own.
        disk: bytes on the disk.
        sizes, ages, idle: `Distribution` of bytes of data, of seconds since
            creation, and of seconds since the last store.
        created: how many were made in the last minute, and in the last hour.
        shards: how many sessions are in each.
    """

    def __init__(self, shards: int, limits: InUse | None = None) -> None:
        self.now = time.time()
        self.limits = limits
        self.expired = None if limits is None else 0
        self.sessions = self.superseded = self.unreadable = self.empty = 0
        self.damaged = self.own_limit = self.disk = 0
        self.sizes = Distribution(SIZES)
        self.ages, self.idle = Distribution(AGES), Distribution(AGES)
        self.created = {60: 0, 3600: 0}
        self.shards = [0] * shards

    def add(self, session: StoredSession, shard: int) -> None:
        """Counts a session, which lies in the shard of this number."""
        self.disk += session.disk
        if session.superseded:
            self.superseded += 1
            return
        self.sessions += 1
        self.shards[shard] += 1
        self.own_limit += session.idle > 0
        if self.expired is not None and session.is_expired(
            self.now, self.limits
        ):
            self.expired += 1
        age = max(0.0, self.now - session.created)
        self.sizes.add(session.size)
        self.ages.add(age)
        self.idle.add(max(0.0, self.now - session.stored))
        for span in self.created:
            self.created[span] += age <= span


def take(store: Inspector, show: Callable[[int], None]) -> Census:
    """
    Looks at every session once.

    Args:
        show: is called with how many shards are done.
    """
    census = Census(store.layout.shards, store.limits())
    for number in range(store.layout.shards):
        for name, info in store.files(number):
            if info.st_size == 0:
                census.empty += 1
                continue
            try:
                found = store.look(name)
            except (CorruptData, SessionStoreError):
                census.unreadable += 1
                continue
            if found is not None:
                census.add(found, number)
        show(number + 1)
    try:
        census.damaged = len(os.listdir(store.layout.join(DAMAGED)))
    except FileNotFoundError:
        pass
    return census


def room(store: Inspector) -> dict[str, int]:
    """What is left on the file system, for this user."""
    found = os.statvfs(store.layout.root)
    return {
        "bytes": found.f_bavail * found.f_frsize,
        "of_bytes": found.f_blocks * found.f_frsize,
        "files": found.f_favail,
        "of_files": found.f_files,
    }
