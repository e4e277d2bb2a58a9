"""
What a request's session holds, on its way back to the store.
"""

from __future__ import annotations

from ..exceptions import (
    InvalidSessionId,
    SessionBusy,
    SessionRenewed,
    SessionTooLarge,
)
from ..ids import handle
from .draft import Draft
from .loading import CLEAR, DURING, OVER, SET, LoadedContents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Contents"]


class Contents(LoadedContents):
    """
    Loads, merges and stores; `Session` is what applications see of it. What
    adapters call has an underscore, so that no editor offers it to them.
    """

    def _commit(self, is_last: bool = False) -> None:
        """
        Stores what changed. To be called once, before the first header leaves.

        Args:
            is_last: whether `_finish` will not be called.

        Raises:
            MaxSessionCountExceeded: a new session is one too many.
            SessionTooLarge: it is more than the store's `max_size`.
            TypeError: the serialiser cannot keep something, and its key.
            SessionStoreError: the store failed.
        """
        if self._phase:
            return
        self._phase = OVER if is_last else DURING
        if self._data is None:
            return
        session_id = self._id
        try:
            if session_id is not None:
                self._save_or_drop()
            elif self._data:
                self._create()
        except SessionTooLarge as error:
            self._manager.emit("too-large", session_id, str(error))
            raise

    def _save_or_drop(self) -> None:
        session_id, why = self._id or "", "deleted or expired"
        try:
            self._save()
            return
        except SessionRenewed:
            # The browser has the new ID by now, or will have it.
            why = "it has a new ID"
        except InvalidSessionId:
            self._to_browser = CLEAR
        self._manager.emit("drop", session_id, why)
        self._renew, self._is_spoilt = None, True

    def _finish(
        self,
        is_made: bool = False,
        apart_from: tuple[str, ...] | None = None,
    ) -> None:
        """
        Stores what changed after `_commit`, while the body was sent, if the
        browser need not be told of it: a session that had no cookie by then
        gets none. To be called at the end of the body. Raises nothing, since
        the response is under way: what is lost is a warning.

        Args:
            is_made: whether the body was there before.
            apart_from: None, or what `_end_if_empty` is to be given.
        """
        if self._finish_at_once(is_made):
            return
        self._phase = OVER
        try:
            if apart_from is not None:
                self._end_if_empty(*apart_from)
            if self._id is not None:
                self._save_or_drop()
                if self._is_spoilt:
                    self._warn("is not stored: the session has ended")
            elif self._data:
                self._warn("is not stored: its cookie could not be sent")
        except Exception:
            self._warn("could not be stored", exc_info=True)

    def _finish_at_once(self, is_made: bool) -> bool:
        """
        What `_finish` does, if there is nothing to store or to say; otherwise
        False, and nothing was done.
        """
        if self._has_more(is_made):
            return False
        self._phase = OVER
        return True

    def _end_if_empty(self, *apart_from: str) -> None:
        """See `Session`."""
        raise NotImplementedError

    def _has_more(self, is_made: bool) -> bool:
        if self._phase == OVER or self._is_spoilt or self._data is None:
            return False
        if is_made and not self._is_used_late:
            return False
        if self._id is None:
            return bool(self._data)
        try:
            return (
                self._new_idle is not None
                or self._differs()
                or self._is_touch_due()
            )
        except Exception:  # which `_finish` is to tell
            return True

    def _differs(self) -> bool:
        """Whether a session that is stored holds something else by now."""
        return self._draft.differs(self._data)

    def _warn(self, what: str, exc_info: bool = False) -> None:
        """Says once what became of a change after the response had begun."""
        if what in self._warned:
            return
        self._warned += (what,)
        import logging

        name = "a new session"
        if self._id is not None:
            name = f"session {handle(self._id).decode('ascii')}"
        logging.getLogger("websession").warning(
            "%s: what was changed after its response had begun %s",
            name,
            what,
            exc_info=exc_info,
        )

    def _commit_at_once(self) -> bool:
        """
        What `_commit` does, if it takes no waiting for other processes or the
        disk: for event loops.

        Returns:
            False if it would: nothing was done, and `_commit` is to be called
            where it may wait.
        """
        if not self._phase and self._is_done_at_once():
            self._phase = DURING
        return bool(self._phase)

    def _is_done_at_once(self) -> bool:
        if self._data is None:
            return True
        if self._id is None:
            return not self._data
        manager = self._manager
        encoded = manager.dumps(self._data)
        if self._renew is not None or self._read_only:
            return False
        if self._new_idle is None and self._draft.is_base(encoded):
            return not self._is_touch_due()
        return manager.is_quick and self._replace_at_once(encoded)

    def _replace_at_once(self, encoded: bytes) -> bool:
        try:
            if not self._draft.replace(
                self._id or "", encoded, self._new_idle, 0
            ):
                return False
        except (SessionBusy, InvalidSessionId, SessionTooLarge):
            return False
        self._is_changed = True
        self._written()
        return True

    def _for_browser(self) -> str | None:
        """
        What the browser is to know after `_commit`: the ID, an empty string if
        it is to forget the one it has, None if nothing changes for it.
        """
        if self._to_browser == SET:
            return self._id
        return "" if self._to_browser == CLEAR else None

    def _cookie(self) -> str | None:
        """
        The value of the ``Set-Cookie`` header that the response needs after
        `_commit`; None: none.
        """
        session_id = self._for_browser()
        if session_id is None:
            return None
        cookie = self._manager.cookie
        if session_id:
            # One that came back shows that browsers do send it.
            if cookie.secure and not self._https and not self._has_cookie:
                from .plainhttp import warn_of_plain_http

                warn_of_plain_http(self._env)
            return cookie.set(session_id, self._https, self._idle or None)
        return cookie.clear(self._https)

    # Storing

    def _create(self) -> None:
        manager = self._manager
        encoded = manager.dumps(self._data)
        self._id = self._make(manager.to_store(encoded))
        self._draft, self._renew = Draft(manager, encoded), None
        self._is_changed = True
        self._created = manager.sessions.now()
        self._written()
        self._to_browser = SET
        manager.emit("create", self._id)

    def _make(self, data: object) -> str:
        """Makes the session; its ID."""
        return self._manager.sessions.newSession(
            self._env, data=data, idle=self._new_idle or 0
        )

    def _save(self) -> None:
        manager = self._manager
        encoded = manager.dumps(self._data)
        is_changed = self._new_idle is not None or not (
            self._draft.is_base(encoded)
        )
        if self._read_only:
            if is_changed or self._renew is not None:
                raise SessionRenewed(self._id or "")
            return
        self._is_changed = self._is_changed or is_changed
        if self._renew is not None:
            self._update(lambda merged: merged)
        elif is_changed:
            self._replace(encoded)
        else:
            self._touch_if_due()

    def _take_new_id(
        self, renew: tuple[float, bool], change: Callable[[object], object]
    ) -> None:
        # With the data in one step: what comes with a log-in is never to be
        # had under the old ID, which stays as it was if the data cannot be
        # stored.
        manager, old_id = self._manager, self._id or ""
        grace, readable = renew
        self._id = manager.sessions.regenerateSession(
            old_id,
            self._env,
            grace,
            readable=readable,
            func=change,
            idle=self._new_idle,
        )
        self._renew = None
        self._to_browser = SET
        manager.emit(
            "renew", self._id, f"before: {handle(old_id).decode('ascii')}"
        )

    def _replace(self, encoded: bytes) -> None:
        if self._draft.replace(self._id or "", encoded, self._new_idle):
            self._written()
        else:
            self._update(lambda merged: merged)

    def _update(
        self, func: Callable[[dict[Any, Any]], dict[Any, Any]]
    ) -> None:
        """
        Stores `func` of what is stored and this request's changes; under a
        new ID, if `regenerate` asked for one.
        """

        def store(change: Callable[[object], object]) -> None:
            if self._renew is None:
                self._manager.sessions.updateSession(
                    self._id or "", change, idle=self._new_idle
                )
            else:
                self._take_new_id(self._renew, change)

        encoded = self._manager.dumps(self._data)
        self._data = self._draft.update(encoded, func, store)
        self._written()

    def _written(self) -> None:
        self._stored = self._manager.sessions.now()
        if self._new_idle is not None:
            self._idle, self._new_idle = self._new_idle, None
            self._to_browser = SET
        if self._idle or self._manager.cookie.max_age is not None:
            self._to_browser = SET

    def _touch_if_due(self) -> None:
        if self._is_touch_due():
            self._manager.sessions.touchSession(self._id or "")
            self._written()

    def _is_touch_due(self) -> bool:
        manager = self._manager
        return self.keep_alive and manager.is_touch_due(
            self._stored or 0.0, manager.sessions.now(), self._idle
        )
