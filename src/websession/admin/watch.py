"""
What goes on in a store, by looking at some of its directories again and again.
"""

from __future__ import annotations

import os
import time
from math import inf
from stat import S_IXUSR
from typing import TYPE_CHECKING, NamedTuple

from ..disk.root import COUNT
from ..exceptions import CorruptData, SessionStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .inspector import Inspector, StoredSession

__all__ = ["Activity", "Moment"]

# Of the time between two looks, spent on a look: the rest is the site's.
_SHARE = 0.2


class Moment(NamedTuple):
    """
    A store at one time.

    Attributes:
        when: seconds since the epoch.
        sessions: live ones; counted, or estimated from the directories that
            were looked at.
        created: per second, since the last look.
        stored: sessions that were stored, per second, since the last look.
        looked_at: share of the directories, above 0 to 1. Handles spread
            evenly, so what holds of some directories holds of all.
        latest: the sessions stored last, of those looked at.
    """

    when: float
    sessions: int
    created: float
    stored: float
    looked_at: float
    latest: list[StoredSession]


class Activity:
    """
    Looks at a store from time to time.

    Args:
        store: is looked at.
        latest: of how many sessions to tell.
    """

    def __init__(self, store: Inspector, latest: int) -> None:
        self._store = store
        self._latest = latest
        self._shard = 0
        self._known: dict[str, StoredSession] = {}

    def look(self, seconds: float) -> Moment:
        """
        One look, at as many directories as fit into a fifth of the time.

        Args:
            seconds: since the last look: that far back goes what counts as
                created or stored.
        """
        started, now = time.monotonic(), time.time()
        since = now - seconds
        shards = self._store.layout.shards
        files = directories = created = stored = 0
        self._refresh()
        while directories < shards:
            for session in self._directory(min(since, self._oldest())):
                files += 1
                if session is None:
                    continue
                stored += session.stored >= since
                created += session.created >= since
                self._note(session)
            directories += 1
            if time.monotonic() - started > _SHARE * seconds:
                break
        scale = shards / directories
        return Moment(
            now,
            self._count(files * scale),
            created * scale / seconds,
            stored * scale / seconds,
            directories / shards,
            sorted(
                self._known.values(),
                key=lambda session: session.stored,
                reverse=True,
            ),
        )

    def _directory(self, since: float) -> Iterator[StoredSession | None]:
        """
        Goes through the next shard. Each of its files comes as its session, or
        as None if nothing was stored in it since that time.
        """
        store = self._store
        for name, info in store.files(self._shard):
            if info.st_size == 0 or info.st_mode & S_IXUSR:
                continue  # about to be filled, or superseded
            # What is stored gets the time as its file's, see csrc/FORMAT.md.
            yield self._session(name) if info.st_mtime >= since else None
        self._shard = (self._shard + 1) % store.layout.shards

    def _session(self, name: bytes) -> StoredSession | None:
        try:
            found = self._store.look(name)
        except (CorruptData, SessionStoreError):
            return None
        return None if found is None or found.superseded else found

    # The sessions stored last

    def _refresh(self) -> None:
        known, self._known = self._known, {}
        for handle in known:
            session = self._session(handle.encode("ascii"))
            if session is not None:
                self._known[handle] = session

    def _oldest(self) -> float:
        """
        The time before which a session was stored too early to be among the
        latest ones, in seconds since the epoch.
        """
        if len(self._known) < self._latest:
            return 0.0
        return min(
            (session.stored for session in self._known.values()),
            default=inf,
        )

    def _note(self, session: StoredSession) -> None:
        self._known[session.handle] = session
        if len(self._known) > self._latest:
            del self._known[
                min(self._known.values(), key=lambda each: each.stored).handle
            ]

    def _count(self, estimate: float) -> int:
        store = self._store
        if os.path.exists(store.layout.join(COUNT)):
            return store.engine.count()
        return round(estimate)
