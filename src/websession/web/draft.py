"""
The copy of a session that a request works on, checked out of the store: what
it held, in which version, and how what became of it goes back.
"""

from __future__ import annotations

from .merge import merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..record import SessionRecord
    from .manager import SessionManager

    Data = dict[Any, Any]

__all__ = ["Draft", "as_dict"]


def as_dict(data: object) -> Data:
    """
    What a session holds; an empty dict for one that was made without data.

    Raises:
        TypeError: it holds something else than a dict.
    """
    if isinstance(data, dict):
        return dict(data)
    if data == "_created_":
        return {}
    raise TypeError(
        f"the session holds {type(data).__name__} instead of a dict: "
        "another program stores in the same directory"
    )


class Draft:
    """
    A checked-out session.

    Args:
        manager: the application's.
        base: what is stored, encoded.
        version: of the record that it is from; None: not known.

    Attributes:
        base, version: of what this request has stored last, or loaded.
    """

    __slots__ = ("_manager", "base", "version")

    def __init__(
        self, manager: SessionManager, base: bytes, version: object = None
    ) -> None:
        self._manager = manager
        self.base = base
        self.version = version

    @classmethod
    def of(
        cls, manager: SessionManager, record: SessionRecord
    ) -> tuple[Draft, Data]:
        """A draft of a record, and the contents to work on."""
        payload, data = record.payload, record.data
        if type(data) is not dict:
            # A session that was made by hand and holds nothing yet.
            data = as_dict(data)
            payload = manager.dumps(data)
        elif payload is None:
            payload = manager.dumps(data)
            data = manager.loads(payload)
        return cls(manager, payload, record.version), data

    def is_base(self, encoded: bytes) -> bool:
        """Whether encoded contents are what is stored."""
        return self._manager.is_unchanged(encoded, self.base)

    def differs(self, data: object) -> bool:
        """Whether contents are something else than what is stored."""
        return not self.is_base(self._manager.dumps(data))

    def replace(
        self,
        session_id: str,
        encoded: bytes,
        idle: int | None,
        timeout: float | None = None,
    ) -> bool:
        """
        Stores contents if nobody has stored since they were loaded.

        Args:
            idle, timeout: as of `WebSession.replaceSession`.

        Returns:
            False if somebody has, or that is not known: nothing was stored.
        """
        if self.version is None:
            return False
        version = self._manager.sessions.replaceSession(
            session_id,
            self._manager.to_store(encoded),
            self.version,
            idle=idle,
            timeout=timeout,
        )
        if version is None:
            return False
        self.base, self.version = encoded, version
        return True

    def update(
        self,
        encoded: bytes,
        func: Callable[[Data], Data],
        store: Callable[[Callable[[object], object]], object],
    ) -> Data:
        """
        Stores `func` of what is stored by now and what this request changed.

        Args:
            encoded: what this request made of the contents.
            func: gets the merged contents; may run again.
            store: stores what its argument makes of the stored data, as
                `WebSession.updateSession` and `regenerateSession` do.

        Returns:
            The contents that were stored.
        """
        manager, base = self._manager, self._manager.loads(self.base)
        data: Data = {}
        payload = encoded

        def change(stored: object) -> object:
            nonlocal data, payload
            theirs = as_dict(stored)
            if manager.copies:
                theirs = manager.loads(manager.dumps(theirs))
            # A copy, since what the function changes in it must not be there
            # already when it runs again.
            mine = manager.loads(encoded)
            data = func(
                merge(base, mine, theirs, manager.dumps, manager.loads)
            )
            payload = manager.dumps(data)
            return manager.to_store(payload)

        store(change)
        self.base, self.version = payload, None
        return data
