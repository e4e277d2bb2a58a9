"""
`MappingStore`: sessions in any string-keyed mapping, in the layout of the
original: ``id -> (timestamp, data)`` and ``'__session_checkvars__' + id ->
dict``.

A mapping cannot exclude other processes: within one process everything holds
that `SessionStore` says, across processes only what the mapping itself does.
"""

from __future__ import annotations

import itertools
from _thread import RLock
from weakref import WeakSet

from ..exceptions import (
    CorruptData,
    InvalidSessionId,
    MaxSessionCountExceeded,
    SessionRenewed,
    printable,
)
from ..record import SessionInfo, SessionRecord, is_expired, later
from .base import KEEP, SessionStore
from .threadlocks import ThreadLock, ThreadLocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping
    from typing import Any

    from ..engine import Limits

__all__ = ["CHECKVARS", "CheckVars", "MappingStore"]

CHECKVARS = "__session_checkvars__"
_REMEMBERED = 1024
# As in succession.py.
_LONGEST_CHAIN = 16


stores: WeakSet[MappingStore] = WeakSet()


class CheckVars(dict[str, object]):
    """
    The cross-check variables of a session: a dict, as in the original, that
    also knows what the original had no place for.

    Attributes:
        created: creation time; None in sessions that the original made.
        idle: the session's own idle limit, whole seconds; 0: none.
        until, successor: set when another ID has replaced this one.
        readable: whether the session can be read all the same.
    """

    created: float | None = None
    idle: int = 0
    until: float | None = None
    successor: str | None = None
    readable = True


class MappingStore(SessionStore):
    """
    Sessions in a mapping.

    Args:
        mapping: string-keyed, like a dict or a shelve. Values are put in and
            taken out as they are: a dict gives back the very object.
        delete: called with ID and version of each session that a sweep finds
            to be over, instead of `delete` of this object.
    """

    def __init__(
        self,
        mapping: MutableMapping[str, Any],
        delete: Callable[[str, object], bool] | None = None,
    ) -> None:
        self._mapping = mapping
        self._delete = delete or self.delete
        self._locks = ThreadLocks()
        # A version is a number that is never used again. Sessions that are
        # not among the last written have the epoch's; when those are too
        # many they are forgotten, and a new epoch tells everybody to look.
        self._numbers = itertools.count()
        self._epoch = next(self._numbers)
        self._versions: dict[str, int] = {}
        # Those that this process knows of: they do not count as sessions.
        self._superseded: set[str] = set()
        self._lock = RLock()
        stores.add(self)

    def forked(self, me: int) -> None:
        """In a child, which has no thread but this one."""
        self._lock = RLock()
        self._locks.forked(me)

    def _locked(self) -> RLock:
        return self._lock

    def _version(self, session_id: str) -> int:
        return self._versions.get(session_id, self._epoch)

    def _written(self, session_id: str) -> int:
        version = self._number(session_id)
        self._sync()
        return version

    def _number(self, session_id: str) -> int:
        """
        A new version, to be had before the change: if a fork comes between
        the two, no old version is good in the child.
        """
        if len(self._versions) >= _REMEMBERED:
            self._epoch = next(self._numbers)
            self._versions.clear()
        version = self._versions[session_id] = next(self._numbers)
        return version

    def _sync(self) -> None:
        sync = getattr(self._mapping, "sync", None)
        if sync is not None:
            sync()

    def _get(self, session_id: str) -> tuple[float, object, CheckVars]:
        """Timestamp, data and cross-check variables, checked for form."""
        # An ID that looks like the key of another one's variables is not one.
        if session_id.startswith(CHECKVARS):
            raise InvalidSessionId(session_id)
        try:
            # First what tells a session from anything else in the mapping.
            stored = self._mapping[CHECKVARS + session_id]
            timestamp, data = self._mapping[session_id]
        except KeyError:
            raise InvalidSessionId(session_id) from None
        except (OSError, MemoryError):
            raise  # failed to read, which says nothing about the data
        except Exception as error:
            raise CorruptData(
                f"session data cannot be decoded: {error}"
            ) from error
        if not isinstance(timestamp, (int, float)) or not isinstance(
            stored, dict
        ):
            raise CorruptData("session data has the wrong form")
        env = stored if isinstance(stored, CheckVars) else CheckVars(stored)
        return timestamp, data, env

    def _put(self, session_id: str, timestamp: float, data: object) -> int:
        version = self._number(session_id)
        self._mapping[session_id] = (timestamp, data)
        self._sync()
        return version

    def _remove(self, session_id: str) -> bool:
        found = False
        self._superseded.discard(session_id)
        for key in (session_id, CHECKVARS + session_id):
            try:
                del self._mapping[key]
                found = True
            except KeyError:
                pass
        self._written(session_id)
        return found

    def _successor(self, session_id: str) -> str | None:
        """What has replaced a session; None: nothing, or it is not there."""
        try:
            return self._get(session_id)[2].successor
        except (InvalidSessionId, CorruptData):
            return None

    def _distance(self, env: CheckVars, now: float) -> int:
        """
        How many new IDs lie between a superseded session and a live one; 0:
        its time is over, or none is live.
        """
        if env.until is None or now >= env.until:
            return 0
        for steps in range(1, _LONGEST_CHAIN + 1):
            try:
                env = self._get(env.successor or "")[2]
            except InvalidSessionId:
                return 0
            if env.until is None:
                return steps
        return 0

    def _is_over(self, env: CheckVars, now: float) -> bool:
        """Whether a superseded session is over, by time or by log-out."""
        return env.until is not None and self._distance(env, now) == 0

    def _writable(
        self, session_id: str, limits: Limits
    ) -> tuple[float, object, CheckVars]:
        now, idle, lifetime, _ = limits
        timestamp, data, env = self._get(session_id)
        if env.until is not None:
            if self._is_over(env, now):
                raise InvalidSessionId(session_id)
            raise SessionRenewed(session_id)
        created = timestamp if env.created is None else env.created
        if is_expired(created, timestamp, now, env.idle or idle, lifetime):
            raise InvalidSessionId(session_id)
        return timestamp, data, env

    # What every store does

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
        """See `SessionStore.create`."""
        now = limits[0]
        checkvars = CheckVars(env)
        checkvars.idle = idle
        checkvars.created = now if created is None else created
        with self._locked():
            if cap and self._is_full(cap):
                raise MaxSessionCountExceeded(cap)
            if session_id in self._mapping or session_id.startswith(CHECKVARS):
                return False
            self._mapping[CHECKVARS + session_id] = checkvars
            self._put(session_id, now if stored is None else stored, data)
        return True

    def read(
        self, session_id: str, now: float, timeout: float | None = None
    ) -> SessionRecord:
        """See `SessionStore.read`; nothing is waited for."""
        with self._locked():
            timestamp, data, env = self._get(session_id)
            if env.until is not None:
                steps = self._distance(env, now)
                if steps == 0:
                    raise InvalidSessionId(session_id)
                # The second new ID may be that of a log-in.
                if steps > 1 or not env.readable:
                    raise SessionRenewed(session_id)
            return SessionRecord(
                (
                    timestamp if env.created is None else env.created,
                    timestamp,
                    env,
                    data,
                    self._version(session_id),
                    env.until is not None,
                    None,
                    env.idle,
                )
            )

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
        """See `SessionStore.commit`."""
        with self._locked():
            timestamp, old, env = self._writable(session_id, limits)
            if expected not in (None, self._version(session_id)):
                return None
            if idle is None:
                idle = env.idle
            if env.created is None or idle != env.idle:
                if env.created is None:
                    # Made by the original: from now on its age is known.
                    env.created = timestamp
                env.idle = idle
                self._mapping[CHECKVARS + session_id] = env
            return self._put(
                session_id,
                later(limits[0], timestamp),
                old if data is KEEP else data,
            )

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
        """See `SessionStore.supersede`."""
        with self._locked():
            timestamp, data, env = self._writable(session_id, limits)
            if expected != self._version(session_id):
                return None
            left = CheckVars(env if readable else {})
            left.created, left.idle = env.created, env.idle
            left.until, left.successor = until, successor_id
            left.readable = readable
            self._mapping[CHECKVARS + session_id] = left
            self._superseded.add(session_id)
            return self._put(session_id, timestamp, data if readable else None)

    def leads_to(self, session_id: str, successor_id: str) -> bool:
        """See `SessionStore.leads_to`."""
        with self._locked():
            return self._successor(session_id) == successor_id

    def delete(self, session_id: str, expected: object = None) -> bool:
        """See `SessionStore.delete`."""
        with self._locked():
            if expected is not None:
                is_it = expected == self._version(session_id)
                return is_it and self._remove(session_id)
            followed: list[str] = []
            successor = self._successor(session_id)
            while successor is not None and successor not in followed:
                followed.append(successor)
                successor = self._successor(successor)
            for each in reversed(followed):
                self._remove(each)
            return self._remove(session_id)

    def sweep(self, limits: Limits) -> int:
        """See `SessionStore.sweep`. Also drops variables without a session."""
        removed = 0
        for key in list(self._mapping.keys()):
            try:
                if key.startswith(CHECKVARS):
                    self._drop_orphan(key)
                    continue
                ended, version = self._has_ended(key, limits)
                removed += ended and self._delete(key, version)
            except Exception as error:
                import logging

                logging.getLogger("websession").warning(
                    "sweep: a session could not be looked at: %s",
                    printable(str(error)),
                )
        return removed

    def _drop_orphan(self, key: str) -> None:
        with self._locked():
            if key[len(CHECKVARS) :] not in self._mapping:
                del self._mapping[key]
                self._sync()

    def _has_ended(
        self, session_id: str, limits: Limits
    ) -> tuple[bool, object]:
        """
        Whether a sweep has to remove a session, and the version that was
        looked at.
        """
        now, _, lifetime, remove = limits
        with self._locked():
            version = self._version(session_id)
            try:
                timestamp, _, env = self._get(session_id)
            except InvalidSessionId:
                return self._is_half(session_id, now, remove), version
            except CorruptData:
                return True, version
            created = timestamp if env.created is None else env.created
            over = self._is_over(env, now)
            return (
                over
                or is_expired(
                    created, timestamp, now, env.idle or remove, lifetime
                )
            ), version

    def _is_half(self, session_id: str, now: float, remove: float) -> bool:
        """Old data whose variables are missing: a crash left it behind."""
        match self._mapping.get(session_id):
            case (int() | float() as timestamp, _):
                return is_expired(timestamp, timestamp, now, remove, 0)
        return False  # gone meanwhile, or not a session

    def count(self) -> int:
        """See `SessionStore.count`. Looks at every key."""
        mapping = self._mapping
        pairs = sum(
            1
            for key in list(mapping.keys())
            if key.startswith(CHECKVARS) and key[len(CHECKVARS) :] in mapping
        )
        return pairs - sum(1 for each in self._superseded if each in mapping)

    def _is_full(self, cap: int) -> bool:
        # There cannot be more sessions than pairs of keys.
        return len(self._mapping) // 2 >= cap and self.count() >= cap

    def entries(self) -> Iterator[SessionInfo]:
        """See `SessionStore.entries`. The size is None: nothing is packed."""
        from ..ids import handle

        for key in list(self._mapping.keys()):
            if key.startswith(CHECKVARS):
                continue
            try:
                timestamp, _, env = self._get(key)
            except (InvalidSessionId, CorruptData):
                continue
            if env.until is None:
                created = timestamp if env.created is None else env.created
                name = handle(key).decode("ascii")
                yield SessionInfo(name, created, timestamp, None, env.idle)

    def lock(
        self, session_id: str, timeout: float, label: str = ""
    ) -> ThreadLock:
        """See `SessionStore.lock`; among the threads of this process only."""
        return ThreadLock(self._locks, session_id, timeout, label)

    def updating(self, session_id: str) -> ThreadLock:
        """
        The lock of the session: over a dict, a function that changes the
        object itself could not be run a second time.
        """
        return self.lock(session_id, 10.0, "updateSession")

    def sync(self) -> None:
        """`sync` of the mapping, if it has one."""
        self._sync()

    def close(self) -> None:
        """`close` of the mapping, if it has one."""
        close = getattr(self._mapping, "close", None)
        if close is not None:
            close()
