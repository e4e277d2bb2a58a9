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
# Of how many sessions, about, sizes and ages are looked at.
SAMPLE = 20_000
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

    def add(self, value: float, weight: int = 1) -> None:
        """Counts a value so often."""
        self.counts[bisect_left(self.ends, value)] += weight
        self.total += weight * value
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
        every: 1: each session was looked at. Otherwise every so manieth, and
            counts for so many: sizes, ages, idle, created, expired, own_limit
            and unreadable are estimates. The others are exact, as far as the
            marks of the files tell.
    """

    def __init__(
        self, shards: int, limits: InUse | None = None, every: int = 1
    ) -> None:
        self.now = time.time()
        self.every = every
        self.limits = limits
        self.expired = None if limits is None else 0
        self.sessions = self.superseded = self.unreadable = self.empty = 0
        self.damaged = self.own_limit = self.disk = 0
        self.sizes = Distribution(SIZES)
        self.ages, self.idle = Distribution(AGES), Distribution(AGES)
        self.created = {60: 0, 3600: 0}
        self.shards = [0] * shards

    def count(self, shard: int, sessions: int, superseded: int) -> None:
        """Counts sessions that lie in the shard of this number."""
        self.sessions += sessions
        self.shards[shard] += sessions
        self.superseded += superseded

    def measure(self, session: StoredSession) -> None:
        """Takes a session for those that it stands for."""
        weight = self.every
        self.own_limit += weight * (session.idle > 0)
        if self.expired is not None and session.is_expired(
            self.now, self.limits
        ):
            self.expired += weight
        age = max(0.0, self.now - session.created)
        self.sizes.add(session.size, weight)
        self.ages.add(age, weight)
        self.idle.add(max(0.0, self.now - session.stored), weight)
        for span in self.created:
            self.created[span] += weight * (age <= span)


def take(
    store: Inspector, show: Callable[[int], None], exact: bool = False
) -> Census:
    """
    Counts all sessions, and looks at some.

    Args:
        show: is called with how many shards are done.
        exact: look at each, also where there are many.
    """
    shards = store.layout.shards
    every = 1 if exact else store.scan(0, 0).sessions * shards // SAMPLE or 1
    census = Census(shards, store.limits(), every)
    seen = 0
    for number in range(shards):
        found = store.scan(number, every, seen)
        seen += found.sessions + found.superseded
        census.empty += found.empty
        census.disk += found.disk
        if every > 1:
            census.count(number, found.sessions, found.superseded)
        for row in found.rows:
            try:
                session = store.session_of(row)
            except (CorruptData, SessionStoreError):
                census.unreadable += every
                continue
            if session is None:
                continue
            gone = session.superseded
            if every == 1:
                census.count(number, not gone, gone)
            if not gone:
                census.measure(session)
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
