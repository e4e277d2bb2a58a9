"""
Giving a session a new ID.
"""

from __future__ import annotations

import time

from .exceptions import SessionBusy, SessionStoreError
from .updating import LONGEST_UPDATE, writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .record import SessionRecord
    from .updating import Sessions

__all__ = ["regenerate"]


def regenerate(
    sessions: Sessions,
    session_id: str,
    env: Mapping[str, Any] | None,
    grace: float,
    readable: bool,
    func: Callable[[Any], Any] | None,
    idle: int | None,
) -> str:
    """See `WebSession.regenerateSession`."""
    store = sessions._store
    record = writable(sessions, session_id, env)
    new_id = sessions._create(
        record.data if func is None else func(record.data),
        record.env if env is None else sessions._generateCrosscheckEnv(env),
        None,
        record.created,
        record.idle if idle is None else idle,
    )
    deadline = time.monotonic() + LONGEST_UPDATE
    superseded: object = None
    try:
        while True:
            superseded = _supersede(
                sessions, session_id, new_id, record, grace, readable
            )
            if superseded is not None:
                break
            if time.monotonic() > deadline:
                raise SessionBusy(
                    "others kept changing the session for "
                    f"{LONGEST_UPDATE:g} s"
                )
            # Changed meanwhile: the change belongs to the new ID too.
            record = writable(sessions, session_id, env)
            _take_over(sessions, new_id, record, func, idle)
        if grace <= 0:
            # Only now, when it leads to the new one: a log-out in between
            # ends both, and a failure here is no loss.
            store.delete(session_id, superseded)
    except BaseException as error:
        if superseded is None and not store.leads_to(session_id, new_id):
            store.delete(new_id)
            raise
        # Past the point of no return the new session is all there is.
        if not isinstance(error, SessionStoreError):
            raise
    return new_id


def _supersede(
    sessions: Sessions,
    old_id: str,
    new_id: str,
    record: SessionRecord,
    grace: float,
    readable: bool,
) -> object:
    """
    Lets the old ID lead to the new one; its version from then on, or None if
    its session is not what was read any more.
    """
    limits = sessions._limits()
    return sessions._store.supersede(
        old_id,
        new_id,
        limits[0] + max(0, grace),
        limits,
        expected=record.version,
        readable=readable and grace > 0,
    )


def _take_over(
    sessions: Sessions,
    new_id: str,
    record: SessionRecord,
    func: Callable[[Any], Any] | None,
    idle: int | None,
) -> None:
    """Stores the right data under the new ID, which nobody knows yet."""
    sessions._commit(
        new_id,
        record.data if func is None else func(record.data),
        sessions._store.read(new_id, sessions.now()).version,
        record.idle if idle is None else idle,
    )
