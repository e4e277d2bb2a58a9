"""
`WebSession`: sessions over a dict, a shelve, a directory or any other store.
"""

from __future__ import annotations

import time

from .exceptions import CorruptData, InvalidSessionId, SessionExpired
from .policy import SESSION_CROSSCHECKVARS, own_limit
from .renewing import RenewingSession
from .stores.base import ClosedStore
from .updating import strand, updating

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .record import SessionRecord

__all__ = ["SESSION_CROSSCHECKVARS", "WebSession"]

_CREATED = "_created_"
# The session whose expiry deleteSession() carries out, and in which version;
# by thread, greenlet and object.
expiring: dict[tuple[int, object, int], tuple[str, object]] = {}


class WebSession(RenewingSession):
    """
    Server-side web sessions in any string-keyed mapping, or in files that
    processes share.

    Args:
        dictobj: None: a new dict. A ``str`` or path-like: a `FileStore` in
            that directory. A store: used as it is. Any other string-keyed
            mapping (dict, shelve): two keys per session, ``id`` and
            ``'__session_checkvars__' + id``; exclusive within this process
            only.
        expireDeactivate: seconds without a store after which a session is
            refused with `SessionExpired`, which carries its data. 0: never.
        expireRemove: seconds without a store after which a session is gone,
            and `cleanUp` removes it. 0: never.
        crossCheckVars: names of environment variables that must not change
            during a session. None: `SESSION_CROSSCHECKVARS`; ``()``: none.
        maxSessionCount: how many sessions there may be. None or 0: no limit.
        sessionIDLength: characters of a session ID. Less than 64 bits of
            entropy give a `WeakSessionIDWarning`.
        sessionIDChars: the characters of IDs. None: `SESSION_ID_CHARS`.
        maxLifetime: seconds since creation after which a session has expired,
            whatever its activity (OWASP: absolute timeout). 0: never.
        clock: returns seconds since the epoch. None: `time.time`.
        otherIDLengths: True: an ID of another length is looked up too, if it
            has 12 to 128 characters of `SESSION_ID_CHARS` and
            ``sessionIDChars``: sessions from before a change of the length,
            or from another store, go on. False: `BadSessionId`.

    Attributes:
        sessiondict: what was passed, or made in its place.
        sessionCounter: sessions made through this object.
        serializer: what the store writes with; None: it keeps objects.

    Raises:
        TypeError: `dictobj` is nothing of the above, or `crossCheckVars` is
            a single name instead of a list.
        ValueError: a negative limit, a length below 1, unusable characters.
    """

    def sync(self) -> None:
        """
        Calls `sync` of the store or mapping, if it has one.
        """
        self._store.sync()

    def close(self) -> None:
        """
        Calls `close` of the store or mapping; a mapping that has none becomes
        inaccessible.
        """
        self._store.close()
        if not hasattr(self.sessiondict, "close"):
            self.sessiondict = None
            self._store = ClosedStore()  # type: ignore[assignment]

    def newSession(
        self,
        env: Mapping[str, Any] | None = None,
        *,
        data: Any = _CREATED,
        idle: float = 0,
    ) -> str:
        """
        Makes a session.

        Args:
            env: where the values of the cross-check variables are found, like
                the environ of CGI or WSGI. None: none.
            data: what it holds at first. Default: ``'_created_'``.
            idle: seconds without a store after which this session is gone,
                longer or shorter than ``expireDeactivate`` and
                ``expireRemove``, which do not count for it then ("remember
                me"). Rounded up to whole seconds, at most 136 years. 0: those
                limits. `replaceSession` and `updateSession` change it.

        Returns:
            The new session's ID, never one that is in use.

        Raises:
            ValueError: `idle` is negative or too large.
            MaxSessionCountExceeded: there are as many as there may be.
            GenerateIDError: three IDs in a row were in use.
            SessionTooLarge: `data` is more than the store's `max_size`.
            SessionStoreError: the store failed.
            Exception: the serialiser's, for data that it cannot keep.
        """
        checkvars = self._generateCrosscheckEnv(env or {})
        own_idle = own_limit(idle) if idle else 0
        session_id = self._create(
            data, checkvars, self.maxSessionCount, None, own_idle
        )
        self.sessionCounter += 1
        return session_id

    def storeSession(self, session_id: str, session_data: Any) -> str:
        """
        Replaces a session's data and refreshes its timestamp.

        Args:
            session_id: of an existing session.
            session_data: whatever the store can keep.

        Returns:
            `session_id`.

        Raises:
            BadSessionId: malformed.
            InvalidSessionId: absent, deleted or expired; nothing is created.
                As `SessionRenewed`: it has a new ID.
            SessionTooLarge: more than the store's `max_size`.
            SessionStoreError: the store failed; the old data is still there,
                or the new data, if only syncing it failed (it says so).
            Exception: the serialiser's, for data that it cannot keep.
        """
        self._validateSessionIdFormat(session_id)
        if updating:
            self._store_while_updating(session_id, session_data)
        else:
            self._commit(session_id, session_data)
        return session_id

    def retrieveSession(
        self,
        session_id: str,
        env: Mapping[str, Any] | None = {},
    ) -> Any:
        """
        A session's data. Does not refresh its timestamp.

        Args:
            session_id: as `newSession` returned it.
            env: where the values of the cross-check variables are found now.

        Raises:
            BadSessionId: malformed.
            InvalidSessionId: absent, or older than ``expireRemove`` or its
                own limit (and deleted now). As `SessionRenewed`: it has a new
                ID.
            SessionHijacked: a cross-check variable differs or is missing; the
                session stays.
            SessionExpired: older than ``expireDeactivate`` or
                ``maxLifetime``; deleted now, and its data is in the exception.
            CorruptData: it cannot be verified or decoded. Over a mapping it
                is deleted.
            SessionStoreError: the store failed.
        """
        return self.readSession(session_id, env).data

    def readSession(
        self,
        session_id: str,
        env: Mapping[str, Any] | None = {},
        *,
        timeout: float | None = None,
    ) -> SessionRecord:
        """
        All that is known of a session: data, creation time, time of the last
        store, version. Otherwise as `retrieveSession`.

        Args:
            timeout: seconds to wait where a writer is in the way. Given for
                an event loop, which must not wait for others: what has
                expired is left to `cleanUp` then. None: the store's.

        Returns:
            The record. With `superseded` set if a new ID has replaced this
            one, which can only be read any more.
        """
        self._validateSessionIdFormat(session_id)
        while True:
            # Before the record is read: a later store has a later time.
            clock = self._clock
            now = time.time() if clock is None else clock()
            try:
                if timeout is None:
                    record = self._store.read(session_id, now)
                else:
                    record = self._store.read(session_id, now, timeout)
            except CorruptData:
                if self._is_mapping:
                    self.deleteSession(session_id)
                raise
            age = now - record.stored
            own = record.idle
            remove = own or self.expireRemove
            if remove and age > remove:
                if timeout is not None or self._deleteExpired(
                    session_id, record.version
                ):
                    raise InvalidSessionId(session_id)
                continue  # refreshed or deleted meanwhile: look again
            if record.env:
                self._crosscheck(record, env or {})
            deactivate = 0 if own else self.expireDeactivate
            if (deactivate and age > deactivate) or (
                self.maxLifetime and now - record.created > self.maxLifetime
            ):
                if timeout is not None or self._deleteExpired(
                    session_id, record.version
                ):
                    raise SessionExpired(record.stored, record.data)
                continue
            return record

    def _deleteExpired(self, session_id: str, version: object) -> bool:
        """
        Deletes a session through `deleteSession`, which subclasses override,
        but only in this version.
        """
        key = (*strand(), id(self))
        expiring[key] = (session_id, version)
        try:
            self.deleteSession(session_id)
        finally:
            # deleteSession takes it away when it has deleted the session.
            left = expiring.pop(key, None)
        return left is None

    def deleteSession(self, session_id: str) -> str:
        """
        Deletes a session; no error if there is none, or the ID is malformed.
        One that has a new ID, for as long as the old one says so
        (`regenerateSession`), is deleted under both: a log-out is for good.

        Returns:
            `session_id`.
        """
        if expiring:
            key = (*strand(), id(self))
            target, version = expiring.get(key, (None, None))
            if target == session_id:
                if self._store.delete(session_id, version):
                    expiring.pop(key, None)
                return session_id
        self._store.delete(session_id)
        return session_id

    def cleanUp(self) -> int:
        """
        Removes sessions older than ``expireRemove`` or, where they have one,
        than their own limit, and those older than ``maxLifetime``. Limits of 0
        remove none. A `FileStore` looks only at what has not been stored for
        the smaller one of ``expireRemove`` and ``maxLifetime``: what is over
        before that is refused already, and removed then.

        Over a mapping `deleteSession` is called for each; a `FileStore` knows
        no IDs. While another process sweeps the same directory this does
        nothing.

        Returns:
            How many were removed.
        """
        return self._store.sweep(
            self.now(), self.expireRemove, self.maxLifetime
        )
