"""
`WebSession`: sessions over a dict, a shelve, a directory or any other store.
"""

from __future__ import annotations

import time

from . import ids
from .engine import loud
from .exceptions import (
    BadSessionId,
    CorruptData,
    GenerateIDError,
    InvalidSessionId,
    SessionExpired,
    SessionHijacked,
    WeakSessionIDWarning,
)
from .limits import (
    ID_LENGTH,
    IDLE,
    LIFETIME,
    SESSION_CROSSCHECKVARS,
    checked_idle,
    checked_limit,
)
from .record import SessionRecord, is_expired
from .stores.base import KEEP, ClosedStore, SessionStore
from .updating import doing, store_inside, strand, update

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from re import Pattern
    from types import ModuleType
    from typing import Any

    from typing_extensions import Self, Unpack

    from .engine import Limits
    from .options import FileStoreOptions, StorePath
    from .record import SessionInfo
    from .serializers import Serializer

__all__ = ["SESSION_CROSSCHECKVARS", "WebSession"]

_CREATED = "_created_"
# How many IDs are drawn for a new session, when those before were in use.
_TRIES = 3


@loud
def _regenerating() -> ModuleType:
    """Not imported by requests without a log-in, under CGI."""
    from . import regenerating

    return regenerating


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

    sessiondict: Any
    session_id_re: Pattern[str]
    serializer: Serializer | None

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
        otherIDLengths: bool = False,
    ) -> None:
        if not isinstance(sessionIDLength, int) or sessionIDLength < 1:
            raise ValueError("sessionIDLength is a whole number from 1")
        if isinstance(crossCheckVars, str):
            raise TypeError("crossCheckVars is a list of names, not one name")
        self.session_id_len: int = sessionIDLength
        self.session_id_chars: str = sessionIDChars or ids.SESSION_ID_CHARS
        self._alphabet = ids.alphabet(self.session_id_chars)
        # SESSION_ID_CHARS has all of base64url.
        self._other_chars = (
            self.session_id_chars + ids.SESSION_ID_CHARS
            if otherIDLengths
            else ""
        )
        self._warn_of_weak_ids()
        self.sessiondict, self._store, self._is_mapping = self._open(dictobj)
        self.serializer = self._store.serializer
        self._draw_id = self._store.draw_id
        self.expireDeactivate: float = checked_limit(
            "expireDeactivate", expireDeactivate
        )
        self.expireRemove: float = checked_limit("expireRemove", expireRemove)
        self.maxLifetime: float = checked_limit("maxLifetime", maxLifetime)
        self.crossCheckVars: tuple[str, ...] = (
            SESSION_CROSSCHECKVARS
            if crossCheckVars is None
            else tuple(crossCheckVars)
        )
        checked_limit("maxSessionCount", maxSessionCount)
        self.maxSessionCount: int | None = maxSessionCount
        self.sessionCounter: int = 0
        self._clock = clock

    @classmethod
    def for_web(
        cls,
        sessions: StorePath | SessionStore,
        *,
        idle: float = IDLE,
        lifetime: float = LIFETIME,
        max_sessions: int | None = None,
        cross_check: Iterable[str] = (),
        clock: Callable[[], float] | None = None,
        **store: Unpack[FileStoreOptions],
    ) -> Self:
        """
        Sessions with the safe choices of a web site, which all adapters make:
        JSON, IDs of 32 characters (others of 12 to 128 are looked up too),
        both limits, no cross-check.

        Args:
            sessions: the path of a directory, or a store.
            idle: seconds without a request after which a session is gone;
                default a day, 0: never.
            lifetime: seconds since a session was made after which it is gone,
                whatever its activity; default 30 days, 0: none.
            max_sessions: how many there may be; None or 0: no limit.
            cross_check: names of variables that must not change.
            clock: returns seconds since the epoch. None: `time.time`.
            store: with a path: arguments of `FileStore`, like ``secret``,
                ``durability``, ``max_size``; its ``serializer`` is
                ``"json"`` unless another one is given.

        Raises:
            TypeError: an unknown argument, or one of `FileStore` for a store
                that is open already.
            UnsafeStore, SessionStoreError, ValueError: as `FileStore`.
        """
        from .stores.file import open_store

        if not isinstance(sessions, SessionStore):
            store.setdefault("serializer", "json")
        return cls(
            open_store(sessions, **store),
            expireRemove=idle,
            maxLifetime=lifetime,
            maxSessionCount=max_sessions,
            crossCheckVars=cross_check,
            sessionIDLength=ID_LENGTH,
            clock=clock,
            # The name of a file is a hash: the length protects nothing, and
            # one that changes would log everybody out.
            otherIDLengths=True,
        )

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
        return self._newSession(env, data, idle)

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
            # By names each would be a call.
            fields: Any = record
            created, stored, checked, data, version, _, _, own = fields
            age = now - stored
            remove = own or self.expireRemove
            if remove and age > remove:
                if timeout is not None or self._deleteExpired(
                    session_id, version
                ):
                    raise InvalidSessionId(session_id)
                continue  # refreshed or deleted meanwhile: look again
            if checked:
                self._crosscheck(record, env or {})
            deactivate = 0 if own else self.expireDeactivate
            if (deactivate and age > deactivate) or (
                self.maxLifetime and now - created > self.maxLifetime
            ):
                if timeout is not None or self._deleteExpired(
                    session_id, version
                ):
                    raise SessionExpired(stored, data)
                continue
            return record

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
        if doing.updating:
            store_inside(self, session_id, session_data)
        else:
            self._commit(session_id, session_data)
        return session_id

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
        if doing.updating:
            store_inside(self, session_id, KEEP)
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
        idle = None if idle is None else checked_idle(idle)
        return self._commit(session_id, session_data, version, idle, timeout)

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
        idle = None if idle is None else checked_idle(idle)
        return update(self, session_id, func, env, idle)

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
        idle = None if idle is None else checked_idle(idle)
        regenerated: str = _regenerating().regenerate(
            self, session_id, env, grace, readable, func, idle
        )
        return regenerated

    def deleteSession(self, session_id: str) -> str:
        """
        Deletes a session; no error if there is none, or the ID is malformed.
        One that has a new ID, for as long as the old one says so
        (`regenerateSession`), is deleted under both: a log-out is for good.

        Returns:
            `session_id`.
        """
        if doing.expiring:
            key = (*strand(), id(self))
            target, version = doing.expiring.get(key, (None, None))
            if target == session_id:
                if self._store.delete(session_id, version):
                    doing.expiring.pop(key, None)
                return session_id
        self._store.delete(session_id)
        return session_id

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

    def countSessions(self, live: bool = False) -> int:
        """
        How many sessions there are.

        Args:
            live: only those that are not expired by the limits of this object,
                which takes a look at each. False: also those that have expired
                and that nobody has removed yet; without a look at each where
                the store keeps count.
        """
        if not live:
            return self._store.count()
        now, idle, lifetime, _ = self._limits()
        return sum(
            not is_expired(
                each.created, each.stored, now, each.idle or idle, lifetime
            )
            for each in self._store.entries()
        )

    def listSessions(self) -> list[SessionInfo]:
        """
        What may be known of each session: handle, creation time, time of the
        last store, size. Never an ID.
        """
        return list(self._store.entries())

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
        return self._store.sweep(self._limits())

    def now(self) -> float:
        """
        The time by this object's clock, in seconds since the epoch.
        """
        return time.time() if self._clock is None else self._clock()

    def idleLimit(self) -> float:
        """
        Seconds without a store after which a session can no longer be used:
        the shorter one of ``expireDeactivate`` and ``expireRemove``; 0: none.
        Sessions may have limits of their own, see `newSession`.
        """
        deactivate, remove = self.expireDeactivate, self.expireRemove
        if deactivate and remove:
            return min(deactivate, remove)
        return deactivate or remove

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

    # What subclasses override

    def _validateSessionIdFormat(self, session_id: str) -> None:
        """
        BadSessionId, unless `_generateSessionID` could have made it, or
        ``otherIDLengths`` lets it pass.
        """
        if (
            not isinstance(session_id, str)
            or len(session_id) != self.session_id_len
            # Cheaper than a regular expression: what is left of it without
            # the characters that it may have?
            or session_id.strip(self.session_id_chars)
        ) and not self._is_of_other_length(session_id):
            raise BadSessionId(session_id, self._other_length(session_id))

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

    # What the methods are made of

    def _open(self, dictobj: Any) -> tuple[Any, SessionStore, bool]:
        from os import PathLike

        if isinstance(dictobj, (str, bytes, PathLike)):
            from .stores.file import FileStore

            store = FileStore(dictobj)
            return store, store, False
        if isinstance(dictobj, SessionStore):
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
        possible = len(self._alphabet) ** self.session_id_len
        if possible < 1 << ids.MIN_ENTROPY_BITS:
            import warnings

            bits = ids.entropy_bits(self.session_id_len, self.session_id_chars)
            warnings.warn(
                f"session IDs have {bits:.0f} bits of entropy, less than "
                f"{ids.MIN_ENTROPY_BITS}: raise sessionIDLength",
                WeakSessionIDWarning,
                stacklevel=3,
            )

    if not TYPE_CHECKING:  # or every misspelt name is one that may be there

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

    def _other_length(self, session_id: object) -> str:
        """What is wrong with an ID that has nothing but another length."""
        if (
            not isinstance(session_id, str)
            or len(session_id) == self.session_id_len
            or len(session_id) not in ids.OTHER_LENGTHS
            or session_id.strip(self.session_id_chars)
        ):
            return ""
        return (
            f"{len(session_id)} characters instead of {self.session_id_len}: "
            "WebSession(path) gives IDs of 12, WebSession.for_web and the "
            "adapters of 32; otherIDLengths=True takes both"
        )

    def _is_of_other_length(self, session_id: object) -> bool:
        return (
            bool(self._other_chars)
            and isinstance(session_id, str)
            and len(session_id) in ids.OTHER_LENGTHS
            and not session_id.strip(self._other_chars)
        )

    def _newSession(
        self,
        env: Mapping[str, Any] | None,
        data: Any,
        idle: float,
        session_id: str | None = None,
    ) -> str:
        """
        Makes a session, under a given ID if a browser has been told of it
        already.
        """
        checkvars = self._generateCrosscheckEnv(env or {})
        idle = checked_idle(idle) if idle else 0
        session_id = self._create(
            data,
            checkvars,
            self.maxSessionCount,
            None,
            idle,
            session_id,
        )
        self.sessionCounter += 1
        return session_id

    def _create(
        self,
        data: object,
        env: Mapping[str, Any],
        cap: int | None,
        created: float | None = None,
        idle: int = 0,
        session_id: str | None = None,
    ) -> str:
        tries = _TRIES if session_id is None else 1
        for _ in range(tries):
            drawn = session_id or self._generateSessionID()
            if self._store.create(
                drawn,
                data,
                env,
                self._limits(),
                created=created,
                idle=idle,
                cap=cap,
            ):
                return drawn
        raise GenerateIDError(tries)

    def _commit(
        self,
        session_id: str,
        data: object,
        expected: object = None,
        idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        return self._store.commit(
            session_id,
            data,
            self._limits(),
            expected=expected,
            idle=idle,
            timeout=timeout,
        )

    def _limits(self) -> Limits:
        """The time, and this object's limits, as its store takes them."""
        # On the way of every call, so `now` and `idleLimit` are written out.
        clock = self._clock
        idle, remove = self.expireDeactivate, self.expireRemove
        if remove and not 0 < idle < remove:
            idle = remove
        now = time.time() if clock is None else clock()
        return now, idle, self.maxLifetime, remove

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
        key = (*strand(), id(self))
        doing.expiring[key] = (session_id, version)
        try:
            self.deleteSession(session_id)
        finally:
            # deleteSession takes it away when it has deleted the session.
            left = doing.expiring.pop(key, None)
        return left is None
