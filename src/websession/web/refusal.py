"""
What is answered in the place of the application.
"""

from __future__ import annotations

from ..exceptions import (
    MaxSessionCountExceeded,
    SessionBusy,
    SessionException,
    SessionLocked,
    SessionTooLarge,
)

__all__ = ["REFUSED", "Refusal", "of"]

REFUSED = (MaxSessionCountExceeded, SessionTooLarge)
"""What `_commit` of a session raises that is not a fault of the system's."""


class Refusal:
    """
    An answer.

    Attributes:
        code: 503, for what may be tried again, or 413.
        status: the code and its name.
        body: a sentence for whoever reads it.
        headers: that go with it.
    """

    __slots__ = ("body", "code", "headers", "status")

    def __init__(self, status: str, sentence: bytes) -> None:
        self.code = int(status[:3])
        self.status = status
        self.body = sentence
        self.headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(sentence))),
            ("Cache-Control", "no-store"),
        ]
        if self.code == 503:
            self.headers.append(("Retry-After", "1"))


_BUSY = Refusal(
    "503 Service Unavailable",
    b"Another request of this session is at work. Try again later.\n",
)
_FULL = Refusal(
    "503 Service Unavailable",
    b"There are too many sessions at present. Try again later.\n",
)
_TOO_LARGE = Refusal(
    "413 Content Too Large",
    b"The session would hold more than it may. Nothing was stored in it.\n",
)


def of(error: SessionException) -> Refusal:
    """What is answered because of that."""
    if isinstance(error, (SessionBusy, SessionLocked)):
        return _BUSY
    if isinstance(error, SessionTooLarge):
        return _TOO_LARGE
    return _FULL
