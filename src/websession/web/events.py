"""
What happens to sessions, for those who keep a log or raise an alarm (OWASP
Session Management: log the life of a session).
"""

from __future__ import annotations

from sys import modules

from ..exceptions import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

    from ..options import EventName

__all__ = ["SessionEvent", "is_logged", "log_event"]

# By logging's numbers, since its import takes milliseconds.
_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40
_LEVELS: dict[EventName, int] = {
    "load": _DEBUG,
    "create": _INFO,
    "renew": _INFO,
    "expire": _INFO,
    "delete": _INFO,
    "drop": _INFO,
    "unknown-id": _INFO,
    "too-large": _ERROR,
    "hijack": _WARNING,
    "corrupt": _ERROR,
}


_made: list[logging.Logger] = []


def _logger() -> logging.Logger:
    if not _made:
        import logging

        _made.append(logging.getLogger("websession"))
    return _made[0]


class SessionEvent:
    """
    Something that happened to a session in a request.

    Attributes:
        name: ``"create"``: stored for the first time. ``"load"``: found under
            the ID of the cookie. ``"renew"``: it has a new ID; `handle` is
            the new one, `detail` names the old. ``"expire"``: found too old.
            ``"delete"``: by the application. ``"hijack"``: cross-check
            variables differ; `detail` names them. ``"corrupt"``: it cannot
            be read. ``"unknown-id"``: a cookie that names no session, made up
            or out of date. ``"drop"``: the request's changes were not stored,
            since the session was deleted, has expired or was renewed
            meanwhile. ``"too-large"``: they were not stored, since they are
            more than the store's `max_size`; `detail` says which keys.
        handle: of the session, 32 hex digits; empty if it is not stored yet.
            Never the ID.
        detail: for people; may be empty.
    """

    __slots__ = ("detail", "handle", "name")

    def __init__(self, name: EventName, handle: str, detail: str = "") -> None:
        self.name: EventName = name
        self.handle: str = handle
        self.detail: str = detail

    def __repr__(self) -> str:
        return f"SessionEvent({self.name!r}, {self.handle!r}, {self.detail!r})"


def is_logged(name: EventName) -> bool:
    """Whether `log_event` would write an event of this name anywhere."""
    level = _LEVELS[name]
    if "logging" not in modules and level < _WARNING:
        return False  # nobody has set a level: it is WARNING
    return _logger().isEnabledFor(level)


def log_event(event: SessionEvent) -> None:
    """
    Writes an event to the logger ``websession``: loading at level DEBUG, a
    hijack at WARNING, damage and what is too large at ERROR, the rest at INFO.
    """
    _logger().log(
        _LEVELS[event.name],
        "session %s: %s%s",
        event.handle or "(new)",
        event.name,
        event.detail and f" ({printable(event.detail)})",
    )
