"""
The contract of a store. `WebSession` needs nothing else, and every store's
tests include the same contract class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from ..record import SessionRecord
    from .keep import SessionInfo

__all__ = ["SessionStore"]


@runtime_checkable
class SessionStore(Protocol):
    """
    Moves whole sessions and knows nothing of policy.

    Times are seconds since the epoch and come from the caller, so that there
    is one clock. ``idle`` and ``lifetime`` are limits in seconds, 0 for none:
    a session is expired when it was stored more than ``idle`` or created more
    than ``lifetime`` seconds before ``now``, and expired means absent for all
    writing. A session may have an idle limit of its own, ``own_idle``, whole
    seconds, which then counts instead of ``idle``; 0: it has none.

    Missing sessions are `InvalidSessionId`; sessions that cannot be verified
    or decoded are `CorruptData`; a failing system is `SessionStoreError`.
    Nothing else is an exception: an ID in use and a lost race are return
    values.

    A store that has an attribute `serializer`, a `serializers.Serializer`,
    also takes `serializers.Encoded` as data, and gives its records `payload`.
    """

    def create(
        self,
        session_id: str,
        data: object,
        env: Mapping[str, object],
        *,
        now: float,
        created: float | None = None,
        limit: int | None = None,
        idle: float = 0.0,
        lifetime: float = 0.0,
        own_idle: int = 0,
        stored: float | None = None,
    ) -> bool:
        """
        Makes a session.

        Args:
            created: creation time, where it is not `now`.
            limit: how many sessions there may be; None or 0: no limit.
            idle, lifetime: limits for the sweep that may run on the way.
            own_idle: the new session's.
            stored: time of the last store, where it is not `now`: of a
                session that comes from elsewhere.

        Returns:
            False if the ID is in use: nothing was changed then.

        Raises:
            MaxSessionCountExceeded: there are `limit` sessions.
            SessionTooLarge: the data is too large.
        """
        ...

    def read(
        self, session_id: str, now: float, timeout: float | None = None
    ) -> SessionRecord:
        """
        The session as it is, expired or not; with `superseded` set if another
        ID has replaced this one and it can only be read any more.

        Args:
            timeout: seconds to wait where others are in the way; None: the
                store's.

        Raises:
            SessionBusy: others were in the way for longer.
            InvalidSessionId: there is none.
            SessionRenewed: another ID has replaced this one, and there is
                nothing to read.
        """
        ...

    def commit(
        self,
        session_id: str,
        data: object,
        *,
        now: float,
        idle: float = 0.0,
        lifetime: float = 0.0,
        expected: object = None,
        own_idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        """
        Replaces the data and sets the time to `now`; env and creation time
        stay.

        Args:
            data: the new data, or `KEEP` to change nothing but the time.
            expected: the `version` that was read, if nothing may have come in
                between; None: whatever is there.
            own_idle: the session's from now on; only with `data` and with
                `expected`. None: as it is.
            timeout: longest wait for others in seconds, where the store
                waits at all; None: what it was made with.

        Returns:
            The new version, or None if `expected` is not the present one.

        Raises:
            InvalidSessionId: absent or expired; nothing is created.
            SessionRenewed: another ID has replaced this one.
        """
        ...

    def supersede(
        self,
        session_id: str,
        successor_id: str,
        until: float,
        *,
        expected: object,
        now: float,
        idle: float = 0.0,
        lifetime: float = 0.0,
        readable: bool = False,
    ) -> object:
        """
        Makes the session lead to another one, until a time and only while
        that is in force: with `SessionRenewed` instead of what it held. It
        does not count as a session from then on, and nothing follows it.

        Args:
            readable: keep what it held, as a snapshot to be read as long as
                the successor has no new ID itself.

        Returns:
            The new version, or None if `expected` is not the present one.

        Raises:
            InvalidSessionId, SessionRenewed: as `commit`.
        """
        ...

    def leads_to(self, session_id: str, successor_id: str) -> bool:
        """
        Whether the session was superseded by that one, however long ago.
        False if there is no such session.
        """
        ...

    def delete(self, session_id: str, expected: object = None) -> bool:
        """
        Deletes the session; no error if there is none. If it was superseded,
        also its successor, and so on, since all of them are one session to
        whoever logs out.

        Args:
            expected: only if this is the present version, and then it alone.

        Returns:
            False if there was none, or `expected` is not its version.
        """
        ...

    def sweep(self, now: float, idle: float, lifetime: float) -> int:
        """Deletes expired sessions; how many. One bad one stops nothing."""
        ...

    def count(self) -> int:
        """How many sessions there are, superseded ones not counted."""
        ...

    def entries(self) -> Iterator[SessionInfo]:
        """What may be known of each session, in no order."""
        ...

    def lock(
        self, session_id: str, timeout: float, label: str = ""
    ) -> AbstractContextManager[None]:
        """
        Exclusive use of a session among those who ask for it; re-entrant in a
        thread.

        Raises:
            SessionLocked: not to be had within `timeout` seconds.
        """
        ...

    def updating(self, session_id: str) -> AbstractContextManager[None]:
        """What must surround a read-modify-write besides `expected`."""
        ...

    def sync(self) -> None:
        """Puts what is buffered in this process where others see it."""
        ...

    def close(self) -> None:
        """Gives up what is held."""
        ...
