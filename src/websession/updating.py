"""
What `WebSession` has beyond the original: touching, replacing, updating and
locking a session, counting and listing them.
"""

from __future__ import annotations

import sys
import time
from _thread import get_ident

from .exceptions import (
    InvalidSessionId,
    SessionBusy,
    SessionRenewed,
)
from .policy import SessionPolicy, own_limit
from .record import SessionRecord, is_expired
from .stores.base import KEEP, NoGuard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from .record import SessionInfo

__all__ = ["LONGEST_UPDATE", "UpdatingSession", "strand", "updating"]

LONGEST_UPDATE = 10.0
# How often an update begins again because its own thread came in between. A
# signal handler does that now and then, a function that nests updates always.
_OWN_CONFLICTS = 10
_NOT_UPDATING = object()

# The versions of the sessions that updateSession() is working on, by thread,
# greenlet, object and session.
updating: dict[tuple[int, object, int, str], object] = {}


def strand() -> tuple[int, object]:
    """This thread, and which of its greenlets this is, if there are any."""
    greenlet = sys.modules.get("greenlet")
    return get_ident(), greenlet and greenlet.getcurrent()


class UpdatingSession(SessionPolicy):
    """
    The added methods; see `WebSession`, which is what to use.
    """

    def touchSession(self, session_id: str) -> str:
        """
        Refreshes a session's timestamp and nothing else.

        Returns:
            `session_id`.

        Raises:
            BadSessionId, InvalidSessionId, SessionStoreError: as
                `storeSession`.
        """
        self._validateSessionIdFormat(session_id)
        if updating:
            self._store_while_updating(session_id, KEEP)
        else:
            self._commit(session_id, KEEP)
        return session_id

    def replaceSession(
        self,
        session_id: str,
        session_data: Any,
        version: object,
        *,
        idle: float | None = None,
        timeout: float | None = None,
    ) -> object:
        """
        Stores a session if nobody has written it since it was read.

        Args:
            session_id: that `readSession` read.
            session_data: whatever the store can keep.
            version: of the record that it returned.
            idle: the session's own limit from now on, see `newSession`; 0:
                none. None: as it is.
            timeout: longest wait for another process that is writing the
                session, in seconds; 0: none. None: as long as the store does.

        Returns:
            The new version; None if the session has another one than
            `version`: nothing was stored then.

        Raises:
            As `storeSession`; `SessionBusy` after the timeout.
        """
        own_idle = None if idle is None else own_limit(idle)
        return self._commit(
            session_id, session_data, version, own_idle, timeout
        )

    def updateSession(
        self,
        session_id: str,
        func: Callable[[Any], Any],
        env: Mapping[str, Any] | None = None,
        *,
        idle: float | None = None,
    ) -> Any:
        """
        Reads, changes and stores a session so that no other update is lost.

        Args:
            session_id: of an existing session.
            func: gets the data, returns the new data. Runs outside any lock
                of a `FileStore`, and again when another process, thread or
                greenlet was faster: it should do nothing but compute. An
                exception leaves the session as it was. If it stores its own
                session, what it returns replaces that.
            env: for the cross-check; None: no cross-check.
            idle: the session's own limit from now on, see `newSession`; 0:
                none. None: as it is.

        Returns:
            The data that was stored.

        Raises:
            BadSessionId, InvalidSessionId: as `storeSession`.
            SessionHijacked: as `retrieveSession`.
            SessionBusy: others were faster for 10 seconds. Over a mapping:
                another greenlet of this thread is in the middle of it.
        """
        self._validateSessionIdFormat(session_id)
        own_idle = None if idle is None else own_limit(idle)
        deadline = time.monotonic() + LONGEST_UPDATE
        conflicts = 0
        guard = self._store.updating(session_id)
        with guard:
            if type(guard) is not NoGuard:
                self._refuse_greenlets(session_id)
            while True:
                record = self._writable(session_id, env)
                data, version = self._apply(session_id, func, record)
                if version is None:
                    conflicts += 1
                else:
                    done = self._commit(session_id, data, version, own_idle)
                    if done is not None:
                        return self._updated(session_id, data)
                if conflicts > _OWN_CONFLICTS:
                    raise SessionBusy(
                        "the function keeps updating its own session: "
                        "let it return the new data instead"
                    )
                if time.monotonic() > deadline:
                    raise SessionBusy(
                        "others kept changing the session for "
                        f"{LONGEST_UPDATE:g} s"
                    )

    def _apply(
        self,
        session_id: str,
        func: Callable[[Any], Any],
        record: SessionRecord,
    ) -> tuple[Any, object]:
        """
        The new data, and the version that it may replace. That is the one
        that was read, or that the function itself has stored meanwhile, or
        None if this thread has updated the session meanwhile: in the function
        or in a signal handler.
        """
        key = self._key(session_id)
        outer = updating.get(key, _NOT_UPDATING)
        updating[key] = record.version
        try:
            data = func(record.data)
            return data, updating[key]
        finally:
            if outer is _NOT_UPDATING:
                del updating[key]
            else:
                updating[key] = outer

    def _key(self, session_id: str) -> tuple[int, object, int, str]:
        return (*strand(), id(self), session_id)

    def _refuse_greenlets(self, session_id: str) -> None:
        """
        A store that guards updates does so with a lock of the thread, which
        each of its greenlets has; and over a mapping what two of them change
        at once is the very same object.
        """
        me = self._key(session_id)
        for other in list(updating):
            if other[1] is not me[1] and (other[0], *other[2:]) == (
                me[0],
                *me[2:],
            ):
                raise SessionBusy(
                    "another greenlet of this thread is updating the session, "
                    "and they do not exclude each other: let the function do "
                    "nothing but compute, or patch threads "
                    "(gevent.monkey.patch_all()) before importing websession"
                )

    def _updated(self, session_id: str, data: Any) -> Any:
        """Tells an update that this one interrupted to begin again."""
        key = self._key(session_id)
        if key in updating:
            updating[key] = None
        return data

    def _writable(
        self, session_id: str, env: Mapping[str, Any] | None
    ) -> SessionRecord:
        """The record, if it may be used and written."""
        now = self.now()
        record = self._store.read(session_id, now)
        if record.superseded:
            raise SessionRenewed(session_id)
        if is_expired(
            record.created,
            record.stored,
            now,
            record.idle or self.idleLimit(),
            self.maxLifetime,
        ):
            raise InvalidSessionId(session_id)
        if env is not None and record.env:
            self._crosscheck(record, env)
        return record

    def lockSession(
        self, session_id: str, timeout: float = 10, label: str = ""
    ) -> AbstractContextManager[None]:
        """
        Exclusive use of a session, for ``with``, among all who ask for it:
        processes and threads over a `FileStore`, threads of this process over
        a mapping. Others can still read and store. Re-entrant in its thread;
        tasks and greenlets of one thread do not exclude each other.

        Args:
            session_id: need not exist.
            timeout: seconds to wait.
            label: what others are told about the holder.

        Raises:
            BadSessionId: malformed.
            SessionLocked: on entering: not to be had in time, and who has it.
        """
        self._validateSessionIdFormat(session_id)
        return self._store.lock(session_id, timeout, label)

    def countSessions(self) -> int:
        """
        How many sessions there are, expired ones that nobody has removed yet
        included.
        """
        return self._store.count()

    def listSessions(self) -> list[SessionInfo]:
        """
        What may be known of each session: handle, creation time, time of the
        last store, size. Never an ID.
        """
        return list(self._store.entries())

    def _store_while_updating(self, session_id: str, data: object) -> None:
        """
        For a function in updateSession() that stores its own session: what it
        returns in the end follows this, unless somebody came in between.
        """
        key = self._key(session_id)
        expected = updating.get(key)
        if expected is not None:
            written = self._commit(session_id, data, expected)
            if written is not None:
                updating[key] = written
                return
        self._commit(session_id, data)
