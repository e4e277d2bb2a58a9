"""What the stores share and the protocol speaks of."""

from __future__ import annotations

from ..exceptions import SessionStoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["KEEP", "ClosedStore", "NoGuard", "SessionInfo"]


class _Keep:
    def __repr__(self) -> str:
        return "KEEP"


KEEP = _Keep()
"""As the data of a commit: only the timestamp changes."""


class NoGuard:
    """A context manager that does nothing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class ClosedStore:
    """In the place of a store that was closed: says so, whatever is asked."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SessionStoreError("the session store was closed")


class SessionInfo:
    """
    What may be known of a session without its ID.

    Attributes:
        handle: 32 hex digits, derived from the ID; does not lead back to it.
        created: seconds since the epoch.
        stored: when it was last stored or touched, seconds since the epoch.
        size: bytes of the serialised data; None if it is not serialised.
        idle: the session's own idle limit, whole seconds; 0: it has none.
    """

    __slots__ = ("created", "handle", "idle", "size", "stored")

    def __init__(
        self,
        handle: str,
        created: float,
        stored: float,
        size: int | None,
        idle: int = 0,
    ) -> None:
        self.handle = handle
        self.created = created
        self.stored = stored
        self.size = size
        self.idle = idle

    def __repr__(self) -> str:
        return (
            f"SessionInfo(handle={self.handle!r}, created={self.created!r}, "
            f"stored={self.stored!r}, size={self.size!r}, idle={self.idle!r})"
        )
