"""
Changing a session so that no other update is lost, and what threads are doing
with sessions just now.
"""

from __future__ import annotations

import sys
import time
from _thread import get_ident

from .exceptions import InvalidSessionId, SessionBusy, SessionRenewed
from .record import is_expired
from .stores.base import NoGuard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from .engine import Limits
    from .record import SessionRecord
    from .stores.base import SessionStore

    Strand = tuple[int, object]

    class Sessions(Protocol):
        """What is needed of a `WebSession` here and in `regenerating`."""

        _store: SessionStore

        def now(self) -> float: ...
        def _limits(self) -> Limits: ...
        def _crosscheck(
            self, record: SessionRecord, env: Mapping[str, Any]
        ) -> None: ...
        def _generateCrosscheckEnv(
            self, current_env: Mapping[str, Any]
        ) -> dict[str, Any]: ...
        def _create(
            self,
            data: object,
            env: Mapping[str, Any],
            cap: int | None,
            created: float | None = None,
            idle: int = 0,
        ) -> str: ...
        def _commit(
            self,
            session_id: str,
            data: object,
            expected: object = None,
            idle: int | None = None,
            timeout: float | None = None,
        ) -> object: ...


__all__ = ["LONGEST_UPDATE", "doing", "store_inside", "update", "writable"]

LONGEST_UPDATE = 10.0
# How often an update begins again because its own thread came in between. A
# signal handler does that now and then, a function that nests updates always.
_OWN_CONFLICTS = 10
_NOT_UPDATING = object()


class Doing:
    """
    What each thread, and each greenlet of it, is doing with sessions.

    Attributes:
        updating: the versions of the sessions that `update` is working on; by
            thread, greenlet, object and session.
        expiring: the session whose expiry ``deleteSession`` carries out, and
            in which version; by thread, greenlet and object.
    """

    __slots__ = ("expiring", "updating")

    def __init__(self) -> None:
        self.updating: dict[tuple[int, object, int, str], object] = {}
        self.expiring: dict[tuple[int, object, int], tuple[str, object]] = {}

    def forget_others(self, me: int) -> None:
        """Forgets what other threads did, in a forked child without them."""
        tables: tuple[dict[Any, Any], ...] = self.updating, self.expiring
        for table in tables:
            for key in [key for key in table if key[0] != me]:
                del table[key]


doing = Doing()


def strand() -> Strand:
    """The ident of this thread and, if it has greenlets, the current one."""
    greenlet = sys.modules.get("greenlet")
    return get_ident(), greenlet and greenlet.getcurrent()


def _key(sessions: Sessions, session_id: str) -> tuple[int, object, int, str]:
    # Made anew each time: greenlet may be imported in the middle.
    return (*strand(), id(sessions), session_id)


def update(
    sessions: Sessions,
    session_id: str,
    func: Callable[[Any], Any],
    env: Mapping[str, Any] | None,
    idle: int | None,
) -> Any:
    """See `WebSession.updateSession`."""
    store = sessions._store
    deadline = time.monotonic() + LONGEST_UPDATE
    conflicts = 0
    guard = store.updating(session_id)
    with guard:
        if type(guard) is not NoGuard:
            _refuse_greenlets(_key(sessions, session_id))
        while True:
            record = writable(sessions, session_id, env)
            data, version = _apply(_key(sessions, session_id), func, record)
            if version is None:
                conflicts += 1
            else:
                done = sessions._commit(session_id, data, version, idle)
                if done is not None:
                    key = _key(sessions, session_id)
                    if key in doing.updating:
                        # An update that this one interrupted begins again.
                        doing.updating[key] = None
                    return data
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
    key: tuple[int, object, int, str],
    func: Callable[[Any], Any],
    record: SessionRecord,
) -> tuple[Any, object]:
    """
    The new data, and the version that it may replace. That is the one that was
    read, or that the function itself has stored meanwhile, or None if this
    thread has updated the session meanwhile: in the function or in a signal
    handler.
    """
    updating = doing.updating
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


def _refuse_greenlets(me: tuple[int, object, int, str]) -> None:
    """
    A store that guards updates does so with a lock of the thread, which each
    of its greenlets has; and over a mapping what two of them change at once is
    the very same object.
    """
    for other in list(doing.updating):
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


def writable(
    sessions: Sessions, session_id: str, env: Mapping[str, Any] | None
) -> SessionRecord:
    """The record of a session, if it may be used and written."""
    now, limit, lifetime, _ = sessions._limits()
    record = sessions._store.read(session_id, now)
    if record.superseded:
        raise SessionRenewed(session_id)
    if is_expired(
        record.created,
        record.stored,
        now,
        record.idle or limit,
        lifetime,
    ):
        raise InvalidSessionId(session_id)
    if env is not None and record.env:
        sessions._crosscheck(record, env)
    return record


def store_inside(sessions: Sessions, session_id: str, data: object) -> None:
    """
    For a function in `update` that stores its own session: what it returns in
    the end follows this, unless somebody came in between.
    """
    key = _key(sessions, session_id)
    expected = doing.updating.get(key)
    if expected is not None:
        written = sessions._commit(session_id, data, expected)
        if written is not None:
            doing.updating[key] = written
            return
    sessions._commit(session_id, data)
