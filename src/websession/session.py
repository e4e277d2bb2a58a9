"""
`WebSession`: the policy of sessions. Which IDs are well-formed, when a session
expires, who may use it, how many there may be. Where sessions are kept is a
store's business.
"""

from __future__ import annotations

import time
from _thread import get_ident

from . import _backend, ids
from .exceptions import (
    BadSessionId,
    CorruptData,
    GenerateIDError,
    InvalidSessionId,
    SessionBusy,
    SessionExpired,
    SessionHijacked,
    SessionRenewed,
    WeakSessionIDWarning,
)
from .record import SessionRecord, is_expired
from .stores.keep import KEEP, ClosedStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Iterable,
        Mapping,
        Sequence,
    )
    from contextlib import AbstractContextManager
    from typing import Any

    from .stores.keep import SessionInfo
    from .stores.protocol import SessionStore

__all__ = ["SESSION_CROSSCHECKVARS", "WebSession"]

SESSION_CROSSCHECKVARS = (
    # Not constant where a client comes through several proxies.
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_USER",
    # Set by proxies, and easily forged.
    "FORWARDED_FOR",
    "HTTP_X_FORWARDED_FOR",
    # Not secret; a browser's update changes them.
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT_CHARSET",
    # Where TLS sessions are resumed.
    "SSL_SESSION_ID",
    # Client certificates.
    "SSL_CLIENT_V_START",
    "SSL_CLIENT_V_END",
    "SSL_CLIENT_I_DN",
    "SSL_CLIENT_IDN",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_SDN",
    "SSL_CLIENT_M_SERIAL",
    "SSL_CLIENT_CERT_SERIAL",
)
"""
Environment variables that are assumed to stay the same during a session. An
address or a user agent may change for honest users (mobile networks, proxies,
updates): choose what fits the application with ``crossCheckVars``.
"""

_CREATED = "_created_"
_TRIES = 3
_LONGEST_UPDATE = 10.0
# How often an update begins again because its own thread came in between. A
# signal handler does that now and then, a function that nests updates always.
_OWN_CONFLICTS = 10
_NOT_UPDATING = object()


class WebSession:
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

    Attributes:
        sessiondict: what was passed, or made in its place.
        sessionCounter: sessions made through this object.

    Raises:
        TypeError: `dictobj` is nothing of the above.
        ValueError: a negative or zero length, unusable characters.
    """

    session_id_re: Any

    def __init__(
        self,
        dictobj: Any = None,
        expireDeactivate: float = 0,
        expireRemove: float = 0,
        crossCheckVars: Iterable[str] | None = None,
        maxSessionCount: int | None = None,
        sessionIDLength: int = 12,
        sessionIDChars: str | None = None,
        *,
        maxLifetime: float = 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if sessionIDLength < 1:
            raise ValueError("sessionIDLength is at least 1")
        self.session_id_len = sessionIDLength
        self.session_id_chars = sessionIDChars or ids.SESSION_ID_CHARS
        self._alphabet = ids.alphabet(self.session_id_chars)
        self._id_chars = frozenset(self.session_id_chars)
        self._warn_of_weak_ids()
        self.sessiondict, self._store, self._is_mapping = self._open(dictobj)
        self._draw_id = getattr(
            self._store, "draw_id", _backend.backend.draw_id
        )
        self.expireDeactivate = expireDeactivate
        self.expireRemove = expireRemove
        self.maxLifetime = maxLifetime
        self.crossCheckVars = (
            SESSION_CROSSCHECKVARS
            if crossCheckVars is None
            else tuple(crossCheckVars)
        )
        self.maxSessionCount = maxSessionCount
        self.sessionCounter = 0
        self._clock = clock
        # By thread: the session whose expiry deleteSession() carries out, and
        # the versions of those that updateSession() is working on.
        self._expiring: dict[int, tuple[str, object]] = {}
        self._updating: dict[tuple[int, str], object] = {}

    def _open(self, dictobj: Any) -> tuple[Any, SessionStore, bool]:
        from os import PathLike

        if isinstance(dictobj, (str, bytes, PathLike)):
            from .stores.file import FileStore

            store = FileStore(dictobj)
            return store, store, False
        if hasattr(dictobj, "commit") and hasattr(dictobj, "entries"):
            return dictobj, dictobj, False
        from .stores.mapping import MappingStore

        if dictobj is None:
            dictobj = {}
        if not hasattr(dictobj, "keys") or not hasattr(dictobj, "__setitem__"):
            raise TypeError(
                "dictobj is a path, a store or a string-keyed mapping, not "
                f"{type(dictobj).__name__}"
            )
        return dictobj, MappingStore(dictobj, self._deleteExpired), True

    def _warn_of_weak_ids(self) -> None:
        bits = ids.entropy_bits(self.session_id_len, self.session_id_chars)
        if bits < ids.MIN_ENTROPY_BITS:
            import warnings

            warnings.warn(
                f"session IDs have {bits:.0f} bits of entropy, less than "
                f"{ids.MIN_ENTROPY_BITS}: raise sessionIDLength",
                WeakSessionIDWarning,
                stacklevel=3,
            )

    def __getattr__(self, name: str) -> Any:
        # Compiled only for those who ask: importing re takes longer than
        # a CGI request.
        if name == "session_id_re":
            import re

            self.session_id_re = re.compile(
                rf"[{re.escape(self.session_id_chars)}]+\Z"
            )
            return self.session_id_re
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def _now(self) -> float:
        return time.time() if self._clock is None else self._clock()

    def _idle(self) -> float:
        """Seconds after which a session can no longer be written."""
        deactivate, remove = self.expireDeactivate, self.expireRemove
        if deactivate and remove:
            return min(deactivate, remove)
        return deactivate or remove

    # What subclasses override

    def _validateSessionIdFormat(self, session_id: str) -> None:
        """BadSessionId, unless `_generateSessionID` could have made it."""
        if (
            not isinstance(session_id, str)
            or len(session_id) != self.session_id_len
            # Cheaper than a regular expression: what is left of it without
            # the characters that it may have?
            or session_id.strip(self.session_id_chars)
        ):
            raise BadSessionId(session_id)

    def _crosscheckSessionEnv(
        self, stored_env: Mapping[str, Any], current_env: Mapping[str, Any]
    ) -> Sequence[str]:
        """Names of stored variables that differ or are missing now."""
        return [
            name
            for name, value in stored_env.items()
            if name not in current_env or current_env[name] != value
        ]

    def _generateCrosscheckEnv(
        self, current_env: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The variables to be cross-checked, as far as they are there."""
        return {
            name: current_env[name]
            for name in self.crossCheckVars
            if name in current_env
        }

    def _generateSessionID(self, maxtry: int = 1) -> str:
        """
        Draws a new ID from the system's CSPRNG.

        Args:
            maxtry: with 1 the ID is not looked up, since making the session
                finds out. Otherwise how many to draw until one is not in use;
                0: as many as it takes.

        Raises:
            GenerateIDError: all of them were in use.
        """
        new_id: str = self._draw_id(self.session_id_len, self._alphabet)
        if maxtry == 1:
            return new_id
        tried = 1
        while new_id in self.sessiondict:
            if tried == maxtry:
                raise GenerateIDError(maxtry)
            new_id = self._draw_id(self.session_id_len, self._alphabet)
            tried += 1
        return new_id

    # The original's methods

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
            self._store = ClosedStore()

    def newSession(self, env: Mapping[str, Any] | None = None) -> str:
        """
        Makes a session that holds ``'_created_'``.

        Args:
            env: where the values of the cross-check variables are found, like
                the environ of CGI or WSGI. None: none.

        Returns:
            The new session's ID, never one that is in use.

        Raises:
            MaxSessionCountExceeded: there are as many as there may be.
            GenerateIDError: three IDs in a row were in use.
            SessionStoreError: the store failed.
        """
        checkvars = self._generateCrosscheckEnv(env or {})
        session_id = self._create(_CREATED, checkvars, self.maxSessionCount)
        self.sessionCounter += 1
        return session_id

    def _create(
        self,
        data: object,
        env: Mapping[str, Any],
        limit: int | None,
        created: float | None = None,
    ) -> str:
        for _ in range(_TRIES):
            session_id = self._generateSessionID()
            if self._store.create(
                session_id,
                data,
                env,
                now=self._now(),
                created=created,
                limit=limit,
                idle=self.expireRemove,
                lifetime=self.maxLifetime,
            ):
                return session_id
        raise GenerateIDError(_TRIES)

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
            SessionStoreError: the store failed; the old data is still there.
            Exception: the serialiser's, for data that it cannot keep.
        """
        self._validateSessionIdFormat(session_id)
        if self._updating:
            self._store_while_updating(session_id, session_data)
        else:
            self._commit(session_id, session_data)
        return session_id

    def _commit(
        self, session_id: str, data: object, expected: object = None
    ) -> object:
        return self._store.commit(
            session_id,
            data,
            now=self._now(),
            idle=self._idle(),
            lifetime=self.maxLifetime,
            expected=expected,
        )

    def _store_while_updating(self, session_id: str, data: object) -> None:
        """
        For a function in updateSession() that stores its own session: what it
        returns in the end follows this, unless somebody came in between.
        """
        key = (get_ident(), session_id)
        expected = self._updating.get(key)
        if expected is not None:
            written = self._commit(session_id, data, expected)
            if written is not None:
                self._updating[key] = written
                return
        self._commit(session_id, data)

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
            InvalidSessionId: absent, or older than ``expireRemove`` (and
                deleted now).
            SessionHijacked: a cross-check variable differs or is missing; the
                session stays.
            SessionExpired: older than ``expireDeactivate`` or
                ``maxLifetime``; deleted now, and its data is in the exception.
            CorruptData: it cannot be verified or decoded. Over a mapping it
                is deleted.
            SessionStoreError: the store failed.
        """
        self._validateSessionIdFormat(session_id)
        while True:
            # Before the record is read: a later store has a later time.
            clock = self._clock
            now = time.time() if clock is None else clock()
            try:
                record = self._store.read(session_id, now)
            except CorruptData:
                if self._is_mapping:
                    self.deleteSession(session_id)
                raise
            age = now - record.stored
            if self.expireRemove and age > self.expireRemove:
                if self._deleteExpired(session_id, record.version):
                    raise InvalidSessionId(session_id)
                continue  # refreshed or deleted meanwhile: look again
            if record.env:
                self._crosscheck(record, env or {})
            if (self.expireDeactivate and age > self.expireDeactivate) or (
                self.maxLifetime and now - record.created > self.maxLifetime
            ):
                if self._deleteExpired(session_id, record.version):
                    raise SessionExpired(record.stored, record.data)
                continue
            return record.data

    def _crosscheck(
        self, record: SessionRecord, env: Mapping[str, Any]
    ) -> None:
        failed_vars = self._crosscheckSessionEnv(record.env, env)
        if failed_vars:
            raise SessionHijacked(failed_vars)

    def _deleteExpired(self, session_id: str, version: object) -> bool:
        """
        Deletes a session through `deleteSession`, which subclasses override,
        but only in this version.
        """
        thread = get_ident()
        self._expiring[thread] = (session_id, version)
        try:
            self.deleteSession(session_id)
        finally:
            # deleteSession takes it away when it has deleted the session.
            left = self._expiring.pop(thread, None)
        return left is None

    def deleteSession(self, session_id: str) -> str:
        """
        Deletes a session; no error if there is none.

        Returns:
            `session_id`.
        """
        if self._expiring:
            thread = get_ident()
            target, version = self._expiring.get(thread, (None, None))
            if target == session_id:
                if self._store.delete(session_id, version):
                    self._expiring.pop(thread, None)
                return session_id
        self._store.delete(session_id)
        return session_id

    def cleanUp(self) -> int:
        """
        Removes sessions older than ``expireRemove``, and those older than
        ``maxLifetime``. Limits of 0 remove none.

        Over a mapping `deleteSession` is called for each; a `FileStore` knows
        no IDs. While another process sweeps the same directory this does
        nothing.

        Returns:
            How many were removed.
        """
        return self._store.sweep(
            self._now(), self.expireRemove, self.maxLifetime
        )

    # Added to the original

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
        if self._updating:
            self._store_while_updating(session_id, KEEP)
        else:
            self._commit(session_id, KEEP)
        return session_id

    def updateSession(
        self,
        session_id: str,
        func: Callable[[Any], Any],
        env: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        Reads, changes and stores a session so that no other update is lost.

        Args:
            session_id: of an existing session.
            func: gets the data, returns the new data. Runs outside any lock
                of a `FileStore`, and again when another process was faster:
                it should do nothing but compute. An exception leaves the
                session as it was. If it stores its own session, what it
                returns replaces that.
            env: for the cross-check; None: no cross-check.

        Returns:
            The data that was stored.

        Raises:
            BadSessionId, InvalidSessionId: as `storeSession`.
            SessionHijacked: as `retrieveSession`.
            SessionBusy: others were faster for 10 seconds.
        """
        self._validateSessionIdFormat(session_id)
        deadline = time.monotonic() + _LONGEST_UPDATE
        own = 0
        with self._store.updating(session_id):
            while True:
                record = self._writable(session_id, env)
                data, version = self._apply(session_id, func, record)
                if version is None:
                    own += 1
                elif self._commit(session_id, data, version) is not None:
                    return self._updated(session_id, data)
                if own > _OWN_CONFLICTS:
                    raise SessionBusy(
                        "the function keeps updating its own session: "
                        "let it return the new data instead"
                    )
                if time.monotonic() > deadline:
                    raise SessionBusy(
                        "others kept changing the session for "
                        f"{_LONGEST_UPDATE:g} s"
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
        key = (get_ident(), session_id)
        outer = self._updating.get(key, _NOT_UPDATING)
        self._updating[key] = record.version
        try:
            data = func(record.data)
            return data, self._updating[key]
        finally:
            if outer is _NOT_UPDATING:
                del self._updating[key]
            else:
                self._updating[key] = outer

    def _updated(self, session_id: str, data: Any) -> Any:
        """Tells an update that this one interrupted to begin again."""
        key = (get_ident(), session_id)
        if key in self._updating:
            self._updating[key] = None
        return data

    def _writable(
        self, session_id: str, env: Mapping[str, Any] | None
    ) -> SessionRecord:
        """The record, if it may be used and written."""
        now = self._now()
        record = self._store.read(session_id, now)
        if is_expired(
            record.created, record.stored, now, self._idle(), self.maxLifetime
        ):
            raise InvalidSessionId(session_id)
        if record.superseded:
            raise SessionRenewed(session_id)
        if env is not None and record.env:
            self._crosscheck(record, env)
        return record

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
                `SessionRenewed`. Deleting the new session ends both.

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
        new_id = self._create(record.data, checkvars, None, record.created)
        try:
            while not self._retire(session_id, new_id, record, grace):
                # Changed meanwhile: the change belongs to the new ID too.
                record = self._writable(session_id, env)
                self._commit(new_id, record.data)
        except BaseException:
            self._store.delete(new_id)
            raise
        return new_id

    def _retire(
        self, old_id: str, new_id: str, record: SessionRecord, grace: float
    ) -> bool:
        """Ends the old ID, if its session is still what was read."""
        if grace <= 0:
            return self._store.delete(old_id, record.version)
        now = self._now()
        return self._store.supersede(
            old_id,
            new_id,
            now + grace,
            expected=record.version,
            now=now,
            idle=self._idle(),
            lifetime=self.maxLifetime,
        )

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
