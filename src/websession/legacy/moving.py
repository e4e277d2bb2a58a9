"""
A `WebSession` that fetches sessions from where they were.
"""

from __future__ import annotations

import contextlib

from ..exceptions import (
    BadSessionId,
    CorruptData,
    InvalidSessionId,
    SessionException,
    SessionRenewed,
    UnsafeStore,
)
from ..session import WebSession
from ..stores.transit import COPIED, carry
from .keeping import Keeping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from ..record import SessionRecord
    from ..stores.transit import LegacySource

    T = TypeVar("T")

__all__ = ["MovingSession"]


class MovingSession(WebSession):
    """
    Looks for a session that its store does not have in other stores, and moves
    it here, under the same ID: the browser notices nothing. New sessions, and
    those that get a new ID, are like those of any `WebSession`. Several
    processes can do so at once; a session that is here already costs nothing
    more than with a `WebSession`.

    Args:
        dictobj, args, settings: as of `WebSession`.
        sources: the other stores, in the order in which to look.

    Raises:
        As `WebSession`.
    """

    def __init__(
        self,
        dictobj: Any = None,
        *args: Any,
        sources: Iterable[LegacySource],
        **settings: Any,
    ) -> None:
        self._sources = tuple(sources)
        super().__init__(dictobj, *args, **settings)

    def _validateSessionIdFormat(self, session_id: str) -> None:
        try:
            super()._validateSessionIdFormat(session_id)
        except BadSessionId:
            if not self._may_be_elsewhere(session_id):
                raise

    def _may_be_elsewhere(self, session_id: str) -> bool:
        return isinstance(session_id, str) and any(
            source.accepts(session_id) for source in self._sources
        )

    def move(self, session_id: str) -> bool:
        """
        Moves a session here.

        Args:
            session_id: in one of the sources.

        What the serialiser here cannot keep is left out, with one warning
        that names the keys.

        Returns:
            False if none of them has it, it is here already, or nothing of it
            can be kept.

        Raises:
            CorruptData: the session's file there is damaged, or not fit to be
                read; it stays as it is.
            SessionStoreError: then the session is where it was.
        """
        unreadable: SessionException | None = None
        for source in self._sources:
            try:
                is_there = source.find(session_id) is not None
            except (CorruptData, UnsafeStore) as error:
                unreadable = error
                continue
            if is_there:
                keeping = Keeping(source, self.serializer)
                outcome = carry(
                    session_id,
                    keeping,
                    self._store,
                    self._limits(),
                    remove=True,
                )
                if outcome == COPIED:
                    keeping.warn(session_id)
                return outcome == COPIED
        if unreadable is not None:
            # As of a damaged one that is here: the browser keeps its cookie,
            # and has its session again when somebody has put that right.
            raise CorruptData(
                f"it stays where it was: {unreadable}"
            ) from unreadable
        return False

    def _after_moving(self, session_id: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except SessionRenewed:
            raise
        except InvalidSessionId:
            # Or another process was faster.
            if not (self.move(session_id) or session_id in self.sessiondict):
                raise
        return call()

    def readSession(
        self,
        session_id: str,
        env: Mapping[str, Any] | None = {},
        *,
        timeout: float | None = None,
    ) -> SessionRecord:
        """See `WebSession.readSession`; to move one takes its own time."""
        read = super().readSession
        return self._after_moving(
            session_id, lambda: read(session_id, env, timeout=timeout)
        )

    def storeSession(self, session_id: str, session_data: Any) -> str:
        """See `WebSession.storeSession`."""
        store = super().storeSession
        return self._after_moving(
            session_id, lambda: store(session_id, session_data)
        )

    def touchSession(self, session_id: str) -> str:
        """See `WebSession.touchSession`."""
        touch = super().touchSession
        return self._after_moving(session_id, lambda: touch(session_id))

    def updateSession(
        self, session_id: str, *args: Any, **settings: Any
    ) -> Any:
        """See `WebSession.updateSession`."""
        update = super().updateSession
        return self._after_moving(
            session_id, lambda: update(session_id, *args, **settings)
        )

    def regenerateSession(
        self, session_id: str, *args: Any, **settings: Any
    ) -> str:
        """See `WebSession.regenerateSession`."""
        # Or what a crash left where it was would go on under the old ID.
        self._validateSessionIdFormat(session_id)
        with contextlib.suppress(CorruptData):  # what is here may be good
            self.move(session_id)
        regenerate = super().regenerateSession
        return self._after_moving(
            session_id, lambda: regenerate(session_id, *args, **settings)
        )

    def deleteSession(self, session_id: str) -> str:
        """
        See `WebSession.deleteSession`. Deletes it where it was as well: what
        a crash left there does not come back.
        """
        if not self._may_be_elsewhere(session_id):
            return super().deleteSession(session_id)
        with self.lockSession(session_id, label="deleting it"):
            for source in self._sources:
                source.remove(session_id)
            return super().deleteSession(session_id)
