"""
What all requests of an application have in common.
"""

from __future__ import annotations

from .. import serializers
from ..ids import handle
from ..serializers import Encoded
from ..session import WebSession
from ..stores.base import SessionStore
from .cookie import SessionCookie, check_id_chars
from .events import SessionEvent, is_logged, log_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from typing_extensions import Unpack

    from ..options import EventName, StorePath, WebOptions

    Sessions = StorePath | SessionStore | WebSession

__all__ = [
    "SessionManager",
    "as_websession",
    "lifetime_in_seconds",
]

_LONGEST_TOUCH_INTERVAL = 60.0


class SessionManager:
    """
    Opens the sessions of requests; every adapter has one. May be made before
    a fork, and used by any number of threads.

    Args:
        sessions: where they are: the path of a directory, or a store, which
            `WebSession.for_web` opens with its safe choices; or a
            `WebSession`, whose limits and cross-check variables hold.
        cookie: its name and attributes.
        touch_interval: seconds that a session's timestamp may be behind
            before a request that stores nothing refreshes it. 0: every
            request. None: a tenth of the shortest idle limit, at most 60.
            Where sessions have no idle limit they are not touched at all.
        grace: seconds for which requests with the old ID leave the cookie
            alone after `Session.regenerate`, see there.
        on_event: called with each `SessionEvent`. Its exceptions are logged
            and go no further.
        options: of `WebSession.for_web`, beside a path or a store: ``idle``,
            ``lifetime``, ``max_sessions``, ``durability``, ``secret`` and so
            on. Who gives none gets what is safe.

    Attributes:
        sessions: the `WebSession`.
        cookie: the `SessionCookie`.
        dumps, loads: of the store's serialiser, or of pickle where the store
            does not serialise.
        is_quick: whether it reads and replaces in microseconds, if nobody is
            in the way: files that are not synced, and no session comes from
            another store.

    Raises:
        ValueError: `touch_interval` is negative, or session IDs have
            characters that no cookie can carry.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        cookie: SessionCookie | None = None,
        touch_interval: float | None = None,
        grace: float = 10.0,
        on_event: Callable[[SessionEvent], object] = log_event,
        **options: Unpack[WebOptions],
    ) -> None:
        self.sessions: WebSession = as_websession(sessions, options)
        check_id_chars(self.sessions.session_id_chars)
        self.cookie: SessionCookie = cookie or SessionCookie()
        self.grace = grace
        self._on_event = on_event
        if touch_interval is not None and touch_interval < 0:
            raise ValueError("touch_interval is 0 or more seconds")
        self._touch_interval = touch_interval
        serializer = self.sessions.serializer
        # A plain mapping hands out and keeps the very objects: what a request
        # works on must be a copy.
        self.copies = serializer is None
        if serializer is None:
            serializer = serializers.get("pickle")
        self.dumps: Callable[[object], bytes] = serializer.dumps
        self.loads: Callable[[bytes], Any] = serializer.loads
        self._is_canonical = serializer.canonical
        self.is_quick = (
            self.sessions._store.quick
            and type(self.sessions).readSession is WebSession.readSession
        )

    def to_store(self, encoded: bytes) -> object:
        """What the store is to keep: data of its own, or bytes as they are."""
        return self.loads(encoded) if self.copies else Encoded(encoded)

    def is_unchanged(self, encoded: bytes, payload: bytes) -> bool:
        """
        Whether two encodings are of the same data. Pickle may write the same
        differently at first, then in the same way again.
        """
        if encoded == payload:
            return True
        if self._is_canonical:
            return False
        return self.dumps(self.loads(payload)) == encoded

    def is_touch_due(self, stored: float, now: float, idle: int = 0) -> bool:
        """
        Whether a session stored at that time is to be refreshed.

        Args:
            idle: the session's own limit; 0: it has none.
        """
        limit = idle or self.sessions.idleLimit()
        if not limit:
            return False
        interval = self._touch_interval
        if interval is None:
            interval = min(limit / 10, _LONGEST_TOUCH_INTERVAL)
        return now - stored >= interval

    def emit(
        self, name: EventName, session_id: str | None, detail: str = ""
    ) -> None:
        """Tells the hook; see `SessionEvent`. None: not stored yet."""
        if self._on_event is log_event and not is_logged(name):
            return  # before the handle is worked out
        shown = handle(session_id).decode("ascii") if session_id else ""
        try:
            self._on_event(SessionEvent(name, shown, detail))
        except Exception:
            import logging

            logging.getLogger("websession").exception(
                "the hook for session events failed"
            )


def as_websession(
    sessions: Any,
    options: Mapping[str, Any],
    settings: Mapping[str, str] = {},
    **defaults: Any,
) -> WebSession:
    """
    What an adapter was given: a `WebSession` as it is, or one with the safe
    choices over a store or a path.

    Args:
        options: of `WebSession.for_web`, as they were given.
        settings: which of these the framework has settings of its own for,
            and what they are called.
        defaults: what those say, and the serialiser for a path.

    Raises:
        TypeError: options for a `WebSession`, which has its own, or for which
            the framework has a setting.
    """
    for name in settings.keys() & options.keys():
        raise TypeError(f"{name} is what {settings[name]} says: set that")
    if isinstance(sessions, WebSession):
        if options:
            raise TypeError(
                f"{', '.join(sorted(options))}: a WebSession has its own; "
                "pass a path or a store instead, or these to "
                "WebSession.for_web"
            )
        return sessions
    if isinstance(sessions, SessionStore):
        defaults.pop("serializer", None)
    return WebSession.for_web(sessions, **{**defaults, **options})


def lifetime_in_seconds(limit: Any) -> float:
    """
    A framework's setting ``WEBSESSION_LIFETIME``: seconds or a `timedelta`
    since a session was made, after which it ends; None or 0: none.

    Raises:
        ValueError: anything else.
    """
    total = getattr(limit, "total_seconds", None)
    seconds = (limit or 0) if total is None else total()
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise ValueError(
            "WEBSESSION_LIFETIME is seconds or a timedelta, or 0 for no "
            f"limit, not {limit!r}"
        )
    return seconds
