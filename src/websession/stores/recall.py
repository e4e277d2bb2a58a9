"""
What a process remembers of the sessions of late: their addresses, and the
records that it saw or wrote there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Recall", "Recalled"]

# How many sessions are remembered, and how many bytes of their records, small
# ones not counted.
_SESSIONS, _BYTES, _SMALL = 1024, 8 << 20, 8192


class Recalled:
    """
    What a process remembers of one session, which may or may not exist.

    Attributes:
        session_id: its ID.
        address: where its record is, to the engine.
        raw: the last record that this process saw or wrote there, or nothing:
            the same bytes need not be verified again. Threads share it.
    """

    __slots__ = ("address", "raw", "session_id")

    def __init__(self, session_id: str, address: Any) -> None:
        self.session_id = session_id
        self.address = address
        self.raw = b""

    def forget(self) -> None:
        """Forgets the record: it may not be the live one any more."""
        self.raw = b""


class Recall:
    """
    The sessions of late: mostly those of the requests that are going on.

    Args:
        locate: the engine's.

    Attributes:
        recent: by ID. Bounded, and emptied at once when full.
    """

    def __init__(self, locate: Callable[[str], Any]) -> None:
        self._locate = locate
        self.recent: dict[str, Recalled] = {}
        self._remembered = 0

    def of(self, session_id: str) -> Recalled:
        """What is remembered of a session; nothing at first."""
        known = self.recent.get(session_id)
        if known is None:
            if len(self.recent) >= _SESSIONS:
                self.forget()
            known = self.recent[session_id] = Recalled(
                session_id, self._locate(session_id)
            )
        return known

    def remember(self, known: Recalled, raw: bytes) -> None:
        """Notes an authentic record of a session; see `Recalled.raw`."""
        before = len(known.raw)
        known.raw = raw
        if len(raw) + before > _SMALL:
            self._remembered += len(raw) - before
            if self._remembered > _BYTES:
                self.forget()

    def forget(self) -> None:
        """Forgets all sessions."""
        self.recent.clear()
        self._remembered = 0
