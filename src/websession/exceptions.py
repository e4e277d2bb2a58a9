"""
Every outcome that is not a value.

One base, `SessionException`, and one class per outcome. Where a builtin
exception means the same, the class is that builtin too, so that code which
knows nothing of this package still does the right thing. All of them can be
pickled, and no message shows more than the first characters of a session ID.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "BadSessionId",
    "CorruptData",
    "GenerateIDError",
    "InvalidSessionId",
    "MaxSessionCountExceeded",
    "SessionBusy",
    "SessionException",
    "SessionExpired",
    "SessionHijacked",
    "SessionLocked",
    "SessionRenewed",
    "SessionStoreError",
    "SessionTooLarge",
    "UnsafeStore",
    "WeakSessionIDWarning",
]


def shorten(session_id: object) -> str:
    """What of an ID may be shown: too little to use it."""
    text = session_id if isinstance(session_id, str) else repr(session_id)
    shown = min(4, len(text) // 3)
    return f"{text[:shown]!r}..." if shown else "'...'"


def printable(text: str) -> str:
    """
    A text that a terminal only shows: what steers it, turns the direction of
    writing, ends a line or is no character at all comes as an escape sequence
    of Python's, ``\\x1b`` and the like.

    Whatever comes from a path, a store, the environment or another program
    goes through this before people see it.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable()
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


# Process, time, handle, and a label of some words.
_LONGEST_HOLDER = 200


class SessionException(Exception):
    """
    Base of all exceptions of this package.
    """

    def __repr__(self) -> str:
        # The default shows the arguments, and one of them may be an ID.
        return f"{type(self).__name__}({str(self)!r})"


class CorruptData(SessionException, ValueError):
    """
    A session could not be verified or decoded.

    `__cause__` says why where another exception was behind it. A session in a
    `FileStore` stays on disk: moved to ``.damaged/`` if no part of the file is
    readable, in place otherwise (it may be another process that is configured
    wrongly). A session in a plain mapping is deleted, as it always was.

    Args:
        reason: what did not fit, in words.
    """

    def __init__(self, reason: str = "session data is damaged") -> None:
        super().__init__(reason)
        self.reason = reason


class GenerateIDError(SessionException, RuntimeError):
    """
    No unused session ID was found.

    Args:
        maxtry: how many IDs were drawn.
    """

    def __init__(self, maxtry: int) -> None:
        super().__init__(maxtry)
        self.maxtry = maxtry

    def __str__(self) -> str:
        return (
            f"no unused session ID in {self.maxtry} tries; "
            "use longer IDs (sessionIDLength) or more characters"
        )


class SessionExpired(SessionException):
    """
    The session was idle for longer than ``expireDeactivate`` allows, or older
    than ``maxLifetime``.

    It is deleted by then; what it held comes with the exception, so that the
    application can offer a new log-in and go on where the user stopped.

    Args:
        timestamp: when it was last stored, seconds since the epoch.
        session_data: what it held.
    """

    def __init__(self, timestamp: float, session_data: Any) -> None:
        super().__init__(timestamp, session_data)
        self.timestamp = timestamp
        self.session_data = session_data

    def __str__(self) -> str:
        import time

        try:
            when = time.gmtime(self.timestamp)
        except (OverflowError, OSError, ValueError):
            return "session expired"
        return time.strftime("session expired, last used %F %T UTC", when)


class SessionHijacked(SessionException):
    """
    Cross-check variables differ from those the session was made with.

    The session stays: whoever sent the ID may be a stranger.

    Args:
        failed_vars: names of the variables that differ or are missing.
    """

    def __init__(self, failed_vars: Sequence[str]) -> None:
        super().__init__(failed_vars)
        self.failed_vars = failed_vars

    def __str__(self) -> str:
        names = ", ".join(str(name) for name in self.failed_vars)
        return f"cross-check of these variables failed: {names}"


class MaxSessionCountExceeded(SessionException):
    """
    There are as many sessions as ``maxSessionCount`` allows.

    Args:
        max_session_count: the limit.
    """

    def __init__(self, max_session_count: int) -> None:
        super().__init__(max_session_count)
        self.max_session_count = max_session_count

    def __str__(self) -> str:
        return f"there are {self.max_session_count} sessions, the maximum"


class _AboutSession(SessionException):
    """An exception that carries the ID, which its message does not show."""

    what = "session"

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    def __str__(self) -> str:
        return f"{self.what} {shorten(self.session_id)}"


class BadSessionId(_AboutSession, ValueError):
    """
    The ID has the wrong length or characters: it was never one of ours.

    Args:
        session_id: what was given.
        about: what is wrong with it, where that can be said.
    """

    what = "malformed session ID"

    def __init__(self, session_id: str, about: str = "") -> None:
        super().__init__(session_id)
        self.about = about

    def __str__(self) -> str:
        return super().__str__() + (self.about and f": {self.about}")

    def __reduce__(self) -> tuple[type[BadSessionId], tuple[str, str]]:
        return type(self), (self.session_id, self.about)


class InvalidSessionId(_AboutSession, KeyError):
    """
    There is no such session, or there is none any more.

    Args:
        session_id: what was given.
    """

    what = "no session with ID"


class SessionRenewed(InvalidSessionId):
    """
    The session has a new ID; under this one it cannot be written any more, nor
    read, unless it got the new one with ``readable``.

    Args:
        session_id: the old ID.
    """

    what = "a new ID has replaced session ID"


class SessionLocked(SessionException, TimeoutError):
    """
    ``lockSession`` did not get the lock in time.

    Args:
        holder: who has it, as far as it is known; made printable, and cut
            where that takes more than 200 characters.
        timeout: how long was waited, in seconds.
    """

    def __init__(self, holder: str, timeout: float) -> None:
        holder = printable(holder)
        if len(holder) > _LONGEST_HOLDER:
            holder = holder[: _LONGEST_HOLDER - 3] + "..."
        super().__init__(
            f"session is locked by {holder}; gave up after {timeout:g} s"
        )
        self.holder = holder
        self.timeout = timeout

    def __reduce__(self) -> tuple[type[SessionLocked], tuple[str, float]]:
        return type(self), (self.holder, self.timeout)


class SessionTooLarge(SessionException, ValueError):
    """
    The serialised data is larger than the store's ``max_size``.

    Args:
        size: bytes of the serialised data.
        max_size: the limit in bytes.
        largest: which keys take most of it: `repr` of the key, shortened, and
            bytes of its value.
    """

    def __init__(
        self,
        size: int,
        max_size: int,
        largest: Sequence[tuple[str, int]] = (),
    ) -> None:
        super().__init__(size, max_size, largest)
        self.size = size
        self.max_size = max_size
        self.largest = largest

    def __str__(self) -> str:
        keys = ", ".join(f"{key} {size}" for key, size in self.largest)
        return (
            f"session data is {self.size} bytes{keys and f' ({keys})'}, "
            f"the limit is {self.max_size}; keep large things elsewhere and "
            "their key in the session, or raise max_size"
        )


class SessionStoreError(SessionException, OSError):
    """
    The store failed: disk full, no permission, I/O error.

    `errno` and `strerror` are those of the system call where there was one.
    What was stored before is still there, unless it says that the new state
    was written: then that is in force, but a power loss may take it back.

    Args:
        args: one text, or errno, text and optionally a path, as `OSError`.
    """

    def __str__(self) -> str:
        return OSError.__str__(self)


class SessionBusy(SessionStoreError, TimeoutError):
    """
    Another process held a session's file, or kept changing it, for too long.
    """


class UnsafeStore(SessionStoreError, PermissionError):
    """
    A directory or file of the store is not fit to hold sessions: somebody else
    owns it or could read or change it, or it is on a network file system.
    """


class WeakSessionIDWarning(UserWarning):
    """
    Session IDs have less than 64 bits of entropy and could be guessed (OWASP
    Session Management: at least 64 bits).
    """
