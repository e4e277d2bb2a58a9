"""
One session from one store to another: copy, verify, then remove.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..exceptions import InvalidSessionId, SessionBusy, SessionRenewed
from ..record import is_expired

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..engine import Limits
    from ..record import SessionRecord
    from .base import SessionStore

__all__ = [
    "COPIED",
    "GONE",
    "THERE",
    "LegacySession",
    "LegacySource",
    "carry",
]

# What became of a session.
COPIED, THERE, GONE = "copied", "there", "gone"

_LOCK_PATIENCE, _LONGEST, _TRIES = 10.0, 10.0, 3
_NOTHING = object()


class LegacySession(NamedTuple):
    """
    A session of another store.

    Attributes:
        data: what the application stored.
        stored: when, in seconds since the epoch.
        created: when it was made, if that is known; otherwise `stored`.
        idle: its own idle limit in whole seconds; 0: none.
        env: the cross-check variables.
        version: what is equal only if nothing was stored in between.
    """

    data: Any
    stored: float
    created: float
    idle: int = 0
    env: Mapping[str, object] = {}
    version: object = None


class LegacySource(Protocol):
    """Another store, to be read and emptied."""

    def accepts(self, session_id: str) -> bool:
        """Whether its IDs look like this."""
        ...

    def find(self, session_id: str) -> LegacySession | None:
        """
        The session; None if there is none, or it has expired.

        Raises:
            CorruptData: it cannot be decoded.
            UnsafeStore: others can write to it.
            SessionStoreError: it cannot be read for another reason.
        """
        ...

    def remove(self, session_id: str, version: object = None) -> bool:
        """
        Deletes the session.

        Args:
            version: that `find` gave, if nothing may have been stored since;
                None: whatever is there.

        Returns:
            False if there was none, or another version.
        """
        ...

    def ids(self) -> Iterator[str]:
        """The IDs of its sessions, as far as the store knows them."""
        ...


def carry(
    session_id: str,
    source: LegacySource,
    target: SessionStore,
    limits: Limits,
    *,
    remove: bool,
) -> str:
    """
    Copies a session, unless the target has it as it is or newer, and reads it
    back there before it is removed from the source: killed at any moment, it
    is in one of the two.

    It holds the session's lock in the target, so that no two do this at once.
    Whoever does not ask for that lock loses nothing either: a log-out on any
    side ends both, and what is stored in the source meanwhile is carried too.

    Args:
        limits: of the target, as of `SessionStore.create`.
        remove: from the source, when the target has it.

    Returns:
        COPIED; THERE: the target had it; GONE: the source has none, it was
        deleted meanwhile, or is over in the target.

    Raises:
        CorruptData: unreadable, here or there.
        SessionLocked, SessionBusy: somebody else has it for too long.
        SessionStoreError: one of the stores failed.
        Exception: the serialiser's, for data that it cannot keep.
    """
    with target.lock(session_id, _LOCK_PATIENCE, "moving it"):
        deadline = time.monotonic() + _LONGEST
        there = _Place(target, session_id, limits)
        while (found := source.find(session_id)) is not None:
            try:
                if there.has(found) and (
                    not remove or source.remove(session_id, found.version)
                ):
                    return THERE if there.copied is _NOTHING else COPIED
            except InvalidSessionId:
                break
            if time.monotonic() > deadline:
                raise SessionBusy(
                    f"others kept changing the session for {_LONGEST:g} s"
                )
        if there.seen:
            # Deleted meanwhile, here or there.
            target.delete(session_id)
            if remove:
                source.remove(session_id)
        return GONE


class _Place:
    """
    Where a session is carried to.

    Attributes:
        copied: version of the source's session that was written here.
        seen: whether a session was read or made here.
    """

    def __init__(
        self,
        target: SessionStore,
        session_id: str,
        limits: Limits,
    ) -> None:
        self._target = target
        self._session_id = session_id
        self._limits = limits
        self._refused = 0
        self.copied: object = _NOTHING
        self.seen = False

    def has(self, found: LegacySession) -> bool:
        """
        Whether what is read here is as new as `found`. If not, it is written:
        look again, at both.

        Raises:
            InvalidSessionId: it was deleted here, or is over.
        """
        try:
            here = self._target.read(self._session_id, self._limits[0])
        except SessionRenewed:
            return True
        except InvalidSessionId:
            if self.seen:
                raise
            self._make(found)
            return False
        self.seen = True
        if here.superseded or not self._is_newer(found, here):
            return True
        self._replace(here, found)
        return False

    def _make(self, found: LegacySession) -> None:
        if self._target.create(
            self._session_id,
            found.data,
            found.env,
            self._limits,
            created=found.created,
            stored=found.stored,
            idle=found.idle,
        ):
            self.copied, self.seen = found.version, True
            return
        # In use and not to be read: for a moment only, unless it is over.
        self._refused += 1
        if self._refused == _TRIES:
            raise InvalidSessionId(self._session_id)

    def _is_newer(self, found: LegacySession, here: SessionRecord) -> bool:
        if found.version == self.copied:
            return False
        # Two states may have the same time. The second is newer if the first
        # is what was written here just now.
        return found.stored > here.stored or (
            found.stored == here.stored and self.copied is not _NOTHING
        )

    def _replace(self, here: SessionRecord, found: LegacySession) -> None:
        if is_expired(here.created, here.stored, found.stored, here.idle, 0):
            # By its own limit, and what is expired cannot be written.
            self._target.delete(self._session_id, here.version)
            self.seen = False
            return
        try:
            written = self._target.commit(
                self._session_id,
                found.data,
                (found.stored, 0.0, 0.0, 0.0),
                expected=here.version,
                idle=found.idle,
            )
        except SessionRenewed:
            return
        if written is not None:
            self.copied = found.version
