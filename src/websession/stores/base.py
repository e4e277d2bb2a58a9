"""
What every store is and has: the base class `SessionStore`, whose docstrings
are the contract, and what its methods speak of.
"""

from __future__ import annotations

from ..exceptions import SessionStoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import NoReturn

    from ..engine import Limits
    from ..record import SessionInfo, SessionRecord
    from ..serializers import Serializer

__all__ = ["KEEP", "ClosedStore", "NoGuard", "SessionStore"]


class _Keep:
    def __repr__(self) -> str:
        return "KEEP"


KEEP = _Keep()
"""As the data of a commit: only the timestamp changes."""


class NoGuard:
    """A context manager that does nothing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class ClosedStore:
    """In the place of a store that was closed: says so, whatever is asked."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SessionStoreError("the session store was closed")


class SessionStore:
    """
    Moves whole sessions, and knows nothing of who may use them when.

    Times are seconds since the epoch and come from the caller, so that there
    is one clock. ``limits`` are a tuple of four: the time now, and the limits
    idle, lifetime and remove, seconds, 0 for none. A session is expired when
    it was stored more than idle or created more than lifetime seconds before
    now, and expired means absent for all writing; a sweep removes it when it
    was stored more than remove or created more than lifetime seconds before.
    A session may have an idle limit of its own, whole seconds, which then
    counts instead of idle and remove; 0: it has none.

    Missing sessions are `InvalidSessionId`; sessions that cannot be verified
    or decoded are `CorruptData`; a failing system is `SessionStoreError`.
    Nothing else is an exception: an ID in use and a lost race are return
    values.

    Attributes:
        serializer: what data is written with; then `serializers.Encoded` is
            taken as data too, and records have a `payload`. None: objects are
            kept as they are.
        quick: whether it reads and replaces in microseconds if nobody is in
            the way, so that an event loop may do it.
    """

    serializer: Serializer | None = None
    quick = False

    def draw_id(self, length: int, alphabet: bytes) -> str:
        """
        A random ID from the system's CSPRNG.

        Args:
            length: how many characters.
            alphabet: 2 to 256 distinct ASCII bytes.
        """
        from ..disk.backend import default

        drawn: str = default.draw_id(length, alphabet)
        return drawn

    def create(
        self,
        session_id: str,
        data: object,
        env: Mapping[str, object],
        limits: Limits,
        *,
        created: float | None = None,
        stored: float | None = None,
        idle: int = 0,
        cap: int | None = None,
    ) -> bool:
        """
        Makes a session.

        Args:
            limits: the time of the session, and the limits for the sweep that
                may run on the way.
            created: creation time, where it is not now.
            stored: time of the last store, where it is not now: of a session
                that comes from elsewhere.
            idle: the new session's own idle limit.
            cap: how many sessions there may be; None or 0: no limit.

        Returns:
            False if the ID is in use: nothing was changed then.

        Raises:
            MaxSessionCountExceeded: there are `cap` sessions.
            SessionTooLarge: the data is too large.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def commit(
        self,
        session_id: str,
        data: object,
        limits: Limits,
        *,
        expected: object = None,
        idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        """
        Replaces the data and sets the time to now; env and creation time stay.

        Args:
            data: the new data, or `KEEP` to change nothing but the time.
            expected: the `version` that was read, if nothing may have come in
                between; None: whatever is there.
            idle: the session's own idle limit from now on; only with `data`
                and with `expected`. None: as it is.
            timeout: longest wait for others in seconds, where the store
                waits at all; None: what it was made with.

        Returns:
            The new version, or None if `expected` is not the present one.

        Raises:
            InvalidSessionId: absent or expired; nothing is created.
            SessionRenewed: another ID has replaced this one.
        """
        raise NotImplementedError

    def supersede(
        self,
        session_id: str,
        successor_id: str,
        until: float,
        limits: Limits,
        *,
        expected: object,
        readable: bool = False,
    ) -> object:
        """
        Makes the session lead to another one, until a time and only while
        that is live: with `SessionRenewed` instead of what it held. It
        does not count as a session from then on, and nothing follows it.

        Args:
            readable: keep what it held, as a snapshot to be read as long as
                the successor has no new ID itself.

        Returns:
            The new version, or None if `expected` is not the present one.

        Raises:
            InvalidSessionId, SessionRenewed: as `commit`.
        """
        raise NotImplementedError

    def leads_to(self, session_id: str, successor_id: str) -> bool:
        """
        Whether the session was superseded by that one, however long ago.
        False if there is no such session.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def sweep(self, limits: Limits) -> int:
        """
        Deletes sessions that are over by remove, by lifetime or by an idle
        limit of their own. One that is bad stops nothing.

        Returns:
            How many; a store may count superseded ones among them or not.
        """
        raise NotImplementedError

    def count(self) -> int:
        """How many sessions there are, superseded ones not counted."""
        raise NotImplementedError

    def entries(self) -> Iterator[SessionInfo]:
        """What may be known of each session, in no order."""
        raise NotImplementedError

    def lock(
        self, session_id: str, timeout: float, label: str = ""
    ) -> AbstractContextManager[None]:
        """
        Exclusive use of a session among those who ask for it; re-entrant in a
        thread.

        Raises:
            SessionLocked: not to be had within `timeout` seconds.
        """
        raise NotImplementedError

    def updating(self, session_id: str) -> AbstractContextManager[None]:
        """
        What must surround a read-modify-write besides `expected`: nothing,
        where that is exact.
        """
        return NoGuard()

    def sync(self) -> None:
        """
        Puts what is buffered in this process where others see it: nothing,
        where nothing is.
        """

    def close(self) -> None:
        """Gives up what is held: nothing, where nothing is."""
