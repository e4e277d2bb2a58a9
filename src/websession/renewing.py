"""
Giving a session a new ID.
"""

from __future__ import annotations

import time

from .exceptions import InvalidSessionId, SessionBusy, SessionStoreError
from .updating import LONGEST_UPDATE, UpdatingSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .record import SessionRecord

__all__ = ["RenewingSession"]


class RenewingSession(UpdatingSession):
    """
    `regenerateSession`; see `WebSession`, which is what to use.
    """

    def regenerateSession(
        self,
        session_id: str,
        env: Mapping[str, Any] | None = None,
        grace: float = 0,
    ) -> str:
        """
        Gives a session a new ID; data and creation time stay. To be called at
        log-in and whenever privileges change (OWASP: session fixation).

        Args:
            session_id: of an existing session.
            env: cross-checked first, and the source of the new ID's
                cross-check variables. None: no cross-check, and the variables
                are taken over.
            grace: seconds for which the old ID can still be read, as it was
                now, for requests that are under way. Writing under it raises
                `SessionRenewed`. Deleting the new session ends both; deleting
                the old one ends only that.

        Returns:
            The new ID. Not subject to ``maxSessionCount``.

        Raises:
            BadSessionId, InvalidSessionId, SessionHijacked: as
                `updateSession`; then there is no new ID.
        """
        self._validateSessionIdFormat(session_id)
        record = self._writable(session_id, env)
        checkvars = (
            record.env if env is None else self._generateCrosscheckEnv(env)
        )
        new_id = self._create(
            record.data, checkvars, None, record.created, record.idle
        )
        deadline = time.monotonic() + LONGEST_UPDATE
        try:
            while not self._retire(session_id, new_id, record, grace):
                if time.monotonic() > deadline:
                    raise SessionBusy(
                        "others kept changing the session for "
                        f"{LONGEST_UPDATE:g} s"
                    )
                # Changed meanwhile: the change belongs to the new ID too.
                record = self._writable(session_id, env)
                version = self._store.read(new_id, self.now()).version
                self._commit(new_id, record.data, version, record.idle)
        except BaseException as error:
            if isinstance(error, SessionStoreError) and self._is_retired(
                session_id
            ):
                return new_id  # it failed when that was done
            self._store.delete(new_id)
            raise
        return new_id

    def _is_retired(self, session_id: str) -> bool:
        try:
            return self._store.read(session_id, self.now()).superseded
        except InvalidSessionId:
            return True

    def _retire(
        self, old_id: str, new_id: str, record: SessionRecord, grace: float
    ) -> bool:
        """Ends the old ID, if its session is still what was read."""
        if grace <= 0:
            return self._store.delete(old_id, record.version)
        now = self.now()
        return self._store.supersede(
            old_id,
            new_id,
            now + grace,
            expected=record.version,
            now=now,
            idle=self.idleLimit(),
            lifetime=self.maxLifetime,
        )
