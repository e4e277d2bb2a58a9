"""
The session of a request.
"""

from __future__ import annotations

from _collections_abc import MutableMapping

from ..exceptions import InvalidSessionId, SessionRenewed
from ..limits import checked_idle
from .contents import Contents
from .loading import OVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..exceptions import SessionException

__all__ = ["Session"]


class Session(Contents, MutableMapping[str, "Any"]):
    """
    The session of one request: a mapping with all that a dict can do, loaded
    when it is first used, and stored when the response begins, if anything
    changed by then. What is changed later, while the body is sent, is stored
    at its end, if the browser has the cookie by then or gets it with this
    response. What is too late for that is seen in this request only, and a
    warning in the log.

    Values are plain objects; a change inside a nested list or dict counts.
    What other requests stored meanwhile is merged: each top-level key that
    this one changed is as this one has it, all others as they are stored.
    For one thread at a time.

    Attributes:
        accessed: whether the session was used at all.
        keep_alive: whether a request that only reads counts as activity.
            Set it to False for a page that asks by itself every few seconds,
            or its session never becomes idle. What is stored always counts.
    """

    accessed: bool = False

    def __repr__(self) -> str:
        if self._data is None:
            return "<Session, not loaded>"
        state = "not stored" if self._id is None else "stored"
        return f"<Session, {state}, {len(self._data)} keys>"

    def _use(self) -> dict[Any, Any]:
        self.accessed = True
        if self._phase:
            self._is_used_late = True
        if self._data is None:
            self._load()
        return self._data  # type: ignore[return-value]

    # The mapping. What is not here, the mixin makes of it.

    def __getitem__(self, key: str) -> Any:
        return self._use()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._open()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._open()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._use())

    def __len__(self) -> int:
        return len(self._use())

    def __reversed__(self) -> Iterator[str]:
        yield from reversed(self._use())

    def __or__(self, other: Any) -> dict[Any, Any]:
        if not isinstance(other, (dict, Session)):
            return NotImplemented
        return {**self._use(), **other}

    def __ror__(self, other: Any) -> dict[Any, Any]:
        if not isinstance(other, (dict, Session)):
            return NotImplemented
        return {**other, **self._use()}

    def __ior__(self, other: Any) -> Session:
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies, and what is pickled, are plain dicts."""
        return dict, (self.copy(),)

    # Faster than the mixin's, which waits for a KeyError.
    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default` if it is not there."""
        return self._use().get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._use()

    def keys(self) -> dict_keys[str, Any]:
        """The keys of the session, as `dict.keys` gives them."""
        return self._use().keys()

    def values(self) -> dict_values[str, Any]:
        """The values of the session, as `dict.values` gives them."""
        return self._use().values()

    def items(self) -> dict_items[str, Any]:
        """The items of the session, as `dict.items` gives them."""
        return self._use().items()

    def copy(self) -> dict[Any, Any]:
        """A plain dict of the same values."""
        return dict(self._use())

    fromkeys = staticmethod(dict.fromkeys)

    def popitem(self) -> tuple[str, Any]:
        """Takes out what came in last; a KeyError if there is nothing."""
        if not self._use():
            raise KeyError("popitem(): the session is empty")
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        """Takes out everything."""
        self._open()
        self._data = {}

    def _open(self) -> dict[Any, Any]:
        """The contents, for a change."""
        if self._phase == OVER:
            self._warn("is not stored: the response has ended")
        return self._use()

    def _open_at_once(self) -> dict[Any, Any]:
        """The contents, for what goes to the store at once, at any time."""
        return self._use() if self._phase else self._open()

    # What is known of it

    @property
    def new(self) -> bool:
        """Whether no session had been stored when the request began."""
        self._use()
        return self._is_new

    @property
    def ended(self) -> SessionException | None:
        """
        Why the cookie's session could not be had: `SessionExpired` with its
        data, `SessionHijacked`, `CorruptData`, `BadSessionId` or
        `InvalidSessionId`; `SessionRenewed`, if another request gave it a new
        ID: then this one is empty, and what is put in is not stored. None: no
        cookie, or all is well.
        """
        self._use()
        return self._ended

    @property
    def id(self) -> str | None:
        """The ID under which it is stored; None: it is not."""
        self._use()
        return None if self._read_only and self.ended else self._id

    @property
    def created(self) -> float | None:
        """When it was first stored, seconds since the epoch; None: never."""
        self._use()
        return self._created

    @property
    def stored(self) -> float | None:
        """When it was last stored or touched, seconds since the epoch."""
        self._use()
        return self._stored

    @property
    def idle(self) -> int:
        """
        Seconds without a request after which it ends, where it has a limit of
        its own, else 0. To be set for "remember me", or for less than others
        have: whole seconds, or 0 to be as they are. Its cookie lasts as long.
        """
        self._use()
        return self._idle if self._new_idle is None else self._new_idle

    @idle.setter
    def idle(self, seconds: float) -> None:
        self._open()
        self._new_idle = checked_idle(seconds)
        if self._phase:
            self._warn("does not change how long its cookie lasts")

    @property
    def modified(self) -> bool:
        """Whether this request has changed it, stored by now or not."""
        if self._is_changed or self._data is None:
            return self._is_changed
        return bool(self._data) if self._id is None else self._differs()

    def _concerns(self, is_made: bool) -> bool:
        """
        Whether a response depends on the session: it was used, or the cookie
        came and it may be used when the body is made.

        Args:
            is_made: whether the body is there already.
        """
        return self.accessed or (not is_made and self._has_cookie)

    # What an application does with it

    def regenerate(
        self, grace: float | None = None, *, readable: bool = False
    ) -> None:
        """
        Gives it a new ID when the response begins, or before, when something
        is stored. To be called at log-in and whenever privileges change
        (OWASP: session fixation).

        Args:
            grace: seconds for which requests with the old ID, which were
                under way, get an empty session and leave the cookie alone,
                so that it stays the new one; they can still log out. 0: they
                name no session, and clear the cookie. None: what the manager
                was made with.
            readable: True: such requests can read the session as it was
                before this one. For a new ID now and then, without a log-in.
        """
        self._open()
        if grace is not None and grace < 0:
            raise ValueError("grace is 0 or more seconds")
        if self._phase:
            # What comes with a log-in is never to be had under the old ID.
            self._is_spoilt = True
            self._warn("is not stored: it asked for a new ID")
            return
        if self._renew is not None:
            readable = readable and self._renew[1]
        if grace is None:
            grace = self._manager.grace
        self._renew = grace, readable

    def invalidate(self) -> None:
        """
        Ends the session, at once and for good, also under a new ID that
        another request gave it, and begins an empty one. To be called at
        log-out.
        """
        self._open_at_once()
        if self._id is not None:
            self._manager.sessions.deleteSession(self._id)
            self._manager.emit("delete", self._id)
            self._clear_cookie()
            self._is_changed = True
        self._forget()

    @property
    def _is_emptied(self) -> bool:
        """Whether it is stored, and has nothing left in it."""
        return self._id is not None and not self._data

    def _end_if_empty(self, *apart_from: str) -> None:
        """
        Ends the session if it has just been emptied. For frameworks whose
        users log out by ``session.clear()``; before `_commit`.

        Args:
            apart_from: keys that do not count.
        """
        if self._data is None:
            return
        if self._data.keys() <= set(apart_from):
            if self._id is None:
                self._data = {}
            elif self.modified and not self._read_only:
                self.invalidate()

    def atomically(self, func: Callable[[dict[Any, Any]], object]) -> None:
        """
        Changes the session at once, so that no change of another request gets
        in between: for counters and the like, where the last one must not
        win. What else this request changed so far is stored too, and under
        the new ID, if `regenerate` was called. Lists and dicts that were
        taken out before are no part of the session any more: take them out
        again.

        Args:
            func: gets the contents as they are stored, with this request's
                changes, and changes them in place or returns new ones. Runs
                again when another request was faster.

        Raises:
            SessionRenewed: another request gave the session a new ID.
            InvalidSessionId: deleted or expired since this request loaded it.
        """
        data = self._open_at_once()
        if self._id is None or self._is_spoilt:
            self._data = self._applied(func, dict(data))
            if self._phase:
                self._warn("is not stored: its cookie could not be sent")
            else:
                self._create()
            return
        if self._read_only:
            raise SessionRenewed(self._id)
        before = self._draft.base
        try:
            self._update(lambda merged: self._applied(func, merged))
        except SessionRenewed:
            raise
        except InvalidSessionId:
            self._clear_cookie()
            raise
        if not self._draft.is_base(before):
            self._is_changed = True

    @staticmethod
    def _applied(
        func: Callable[[dict[Any, Any]], object], data: dict[Any, Any]
    ) -> dict[Any, Any]:
        returned = func(data)
        if returned is None:
            return data
        if not isinstance(returned, dict):
            raise TypeError(
                "the function returns the new dict, or None after changing "
                f"what it got, not {type(returned).__name__}"
            )
        return returned
