"""
How many sessions there are, exactly, at a cost that does not grow with them.

The count is kept once a limit was used: every operation that makes or removes
a session is announced in the `Ledger` first. The sweep corrects what else may
have gone wrong, shard by shard. Where no limit was ever used there is no file,
and nothing of the ledger is imported.

Lock order: the count, then a session.
"""

from __future__ import annotations

from os import lstat

from .. import engine
from .private import is_there
from .root import COUNT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .ledger import Ledger
    from .root import Layout

    T = TypeVar("T")

__all__ = ["SessionCount"]


class SessionCount:
    """
    The count of a store, for everything that makes or removes a session.

    Args:
        layout: the store's directory.
        timeout: longest wait for the count's lock, in seconds.
    """

    def __init__(self, layout: Layout, timeout: float) -> None:
        self._layout = layout
        self._path = layout.join(COUNT)
        self._timeout = timeout

    def _with_ledger(
        self,
        make: bool,
        counted: Callable[[Ledger], T],
        without: Callable[[], T],
    ) -> T:
        from .ledger import with_ledger

        return with_ledger(
            self._layout, self._path, make, self._timeout, counted, without
        )

    def _done(
        self,
        name: bytes,
        counted: Callable[[Ledger], int],
        action: Callable[[bytes], int],
    ) -> int:
        """
        Does something to a session: by `action`, which looks for a count, or
        with the count locked if there is one.
        """
        try:
            outcome = action(self._path)
        except BaseException:
            # It was perhaps done, or perhaps undone again.
            self._look_again(name)
            raise
        if outcome == engine.COUNTED:
            return self._with_ledger(False, counted, lambda: action(b""))
        if outcome == engine.COUNTED_SINCE:
            self.audit(self._layout.shard(name), True)
            return engine.OK
        return outcome

    def _look_again(self, name: bytes) -> None:
        """See `look_again` in csrc/operations.c."""
        if is_there(self._path):
            self.audit(self._layout.shard(name), True)

    def create(
        self, name: bytes, limit: int | None, action: Callable[[bytes], int]
    ) -> int:
        """
        Creates a session, within the limit.

        Args:
            limit: how many there may be; None or 0: no limit.
            action: creates the file, if the count whose path it is given is
                not there; its outcome is returned.

        Raises:
            MaxSessionCountExceeded: there are `limit` sessions.
        """

        def counted(ledger: Ledger) -> int:
            if not ledger.announce_new(name, limit):
                return engine.EXISTS
            return action(b"")

        if limit:
            return self._with_ledger(True, counted, lambda: action(b""))
        return self._done(name, counted, action)

    def remove(self, name: bytes, action: Callable[[bytes], int]) -> int:
        """
        Removes a session by `action`, which may refuse to, and looks for the
        count as that of `create` does.
        """

        def counted(ledger: Ledger) -> int:
            ledger.announce_removal(name)
            return action(b"")

        return self._done(name, counted, action)

    def quarantine(self, name: bytes, action: Callable[[], T]) -> T:
        """Moves an unreadable session away by `action`."""

        def counted(ledger: Ledger) -> T:
            ledger.announce_removal(name)
            return action()

        return self._counted(name, counted, action)

    def supersede(self, name: bytes, action: Callable[[], T]) -> T:
        """Supersedes a session by `action`: it does not count from then on."""

        def counted(ledger: Ledger) -> T:
            ledger.announce_superseding(name)
            return action()

        return self._counted(name, counted, action)

    def _counted(
        self,
        name: bytes,
        counted: Callable[[Ledger], T],
        action: Callable[[], T],
    ) -> T:
        """
        Does by `action` what does not look for the count itself, or with the
        count locked; to a session, or to what its handle begins with.
        """
        # Not by `is_there`, which takes a failing system for an answer.
        try:
            lstat(self._path)
        except FileNotFoundError:
            pass
        else:
            return self._with_ledger(False, counted, action)
        try:
            return action()
        finally:
            self._look_again(name)

    def correct(
        self, shard: int, action: Callable[[], engine.Swept | None]
    ) -> engine.Swept | None:
        """Sweeps a shard by `action` and takes over what it counted."""

        def counted(ledger: Ledger) -> engine.Swept | None:
            swept = action()
            ledger.set_shard(shard, swept.live if swept else 0)
            return swept

        return self._counted(self._layout.prefix(shard), counted, action)

    def audit(self, shard: int, correct: bool) -> tuple[int, int]:
        """
        What the count says of a shard, and what there is; the same if there
        is no count.

        Args:
            correct: let it say what there is.
        """

        def counted(ledger: Ledger) -> tuple[int, int]:
            noted, there = ledger.shard(shard), ledger.scan(shard)
            if correct:
                ledger.set_shard(shard, there)
            return noted, there

        return self._with_ledger(False, counted, lambda: (0, 0))

    def total(self) -> int:
        """How many sessions there are."""

        def scanned() -> int:
            from .ledger import counted_handles

            return sum(
                len(counted_handles(self._layout, shard))
                for shard in range(self._layout.shards)
            )

        return self._with_ledger(False, lambda ledger: ledger.total, scanned)
