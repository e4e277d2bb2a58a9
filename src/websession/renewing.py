"""
Giving a session a new ID.
"""

from __future__ import annotations

import time

from .exceptions import SessionBusy, SessionStoreError
from .policy import own_limit
from .updating import LONGEST_UPDATE, UpdatingSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
        *,
        readable: bool = False,
        func: Callable[[Any], Any] | None = None,
        idle: float | None = None,
    ) -> str:
        """
        Gives a session a new ID; data and creation time stay. To be called at
        log-in and whenever privileges change (OWASP: session fixation).

        Args:
            session_id: of an existing session.
            env: cross-checked first, and the source of the new ID's
                cross-check variables. None: no cross-check, and the variables
                are taken over.
            grace: seconds for which the old ID raises `SessionRenewed`, so
                that requests that are under way know what happened. 0: it
                names no session any more. In that time deleting either of
                them ends both, and what has got yet another ID meanwhile.
            readable: True: during `grace` the old ID can still be read, as it
                was now; writing raises `SessionRenewed`. For a new ID now and
                then, not for a log-in: whoever knows the old one goes on
                reading what was there before.
            func: changes the data on the way, as in `updateSession`; what it
                returns is never to be had under the old ID. None: the data
                stays.
            idle: the session's own limit from now on, see `newSession`; 0:
                none. None: as it is.

        Returns:
            The new ID. Not subject to ``maxSessionCount``.

        Raises:
            BadSessionId, InvalidSessionId, SessionHijacked, SessionBusy: as
                `updateSession`. SessionTooLarge, and what `func` raises: as
                `storeSession`. Then there is no new ID, and the old one is as
                it was.
        """
        self._validateSessionIdFormat(session_id)
        own_idle = None if idle is None else own_limit(idle)
        record = self._writable(session_id, env)
        new_id = self._create(
            record.data if func is None else func(record.data),
            record.env if env is None else self._generateCrosscheckEnv(env),
            None,
            record.created,
            record.idle if own_idle is None else own_idle,
        )
        deadline = time.monotonic() + LONGEST_UPDATE
        retired: object = None
        try:
            while True:
                retired = self._retire(
                    session_id, new_id, record, grace, readable
                )
                if retired is not None:
                    break
                if time.monotonic() > deadline:
                    raise SessionBusy(
                        "others kept changing the session for "
                        f"{LONGEST_UPDATE:g} s"
                    )
                # Changed meanwhile: the change belongs to the new ID too.
                record = self._writable(session_id, env)
                self._take_over(new_id, record, func, own_idle)
            if grace <= 0:
                # Only now, when it leads to the new one: a log-out in between
                # ends both, and a failure here is no loss.
                self._store.delete(session_id, retired)
        except BaseException as error:
            if retired is None and not self._store.leads_to(
                session_id, new_id
            ):
                self._store.delete(new_id)
                raise
            # Past the point of no return the new session is all there is.
            if not isinstance(error, SessionStoreError):
                raise
        return new_id

    def _retire(
        self,
        old_id: str,
        new_id: str,
        record: SessionRecord,
        grace: float,
        readable: bool,
    ) -> object:
        """
        Lets the old ID lead to the new one; its version from then on, or None
        if its session is not what was read any more.
        """
        now = self.now()
        return self._store.supersede(
            old_id,
            new_id,
            now + max(0, grace),
            expected=record.version,
            now=now,
            idle=self.idleLimit(),
            lifetime=self.maxLifetime,
            readable=readable and grace > 0,
        )

    def _take_over(
        self,
        new_id: str,
        record: SessionRecord,
        func: Callable[[Any], Any] | None,
        own_idle: int | None,
    ) -> None:
        """Stores under the new ID, which nobody knows yet, what is right."""
        self._commit(
            new_id,
            record.data if func is None else func(record.data),
            self._store.read(new_id, self.now()).version,
            record.idle if own_idle is None else own_idle,
        )
