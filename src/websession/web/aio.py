"""
Sessions on an event loop of asyncio: what may wait for another process or for
the disk runs in threads.
"""

from __future__ import annotations

import asyncio
import threading

from .dictsession import DictSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..record import SessionRecord
    from .session import Session

__all__ = ["AsyncSession", "Hold", "ReadOnlySession", "in_thread"]

# Seconds that a loop waits for a writer whose record is half written.
PATIENCE = 0.05


async def in_thread(func: Callable[[], Any]) -> Any:
    """
    Runs a function in a thread, to its end, also if the request is cancelled
    meanwhile: half a commit is none.
    """
    task = asyncio.ensure_future(asyncio.to_thread(func))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:
            break  # the function's own, which result() raises again
    if cancelled is not None:
        raise cancelled
    return task.result()


class Hold:
    """
    Exclusive use of a session. It belongs to a thread, so each request has a
    thread for it, and tasks of one loop exclude each other as well.
    """

    def __init__(self, session: Session, timeout: float, label: str) -> None:
        self._session = session
        self._timeout = timeout
        self._label = label
        self._over = threading.Event()

    async def acquire(self) -> None:
        """
        Waits for exclusive use of the session, without holding up the loop.

        Raises:
            SessionLocked: another request had it for `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        threading.Thread(
            target=self._run,
            args=(loop, ready),
            name="websession hold",
            daemon=True,
        ).start()
        try:
            await ready
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Ends the exclusive use; does nothing when called again."""
        self._over.set()

    def _run(
        self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[None]
    ) -> None:
        error = None
        try:
            self._session._lock(self._timeout, self._label)
        except Exception as failure:
            error = failure
        try:
            loop.call_soon_threadsafe(_settle, ready, error)
        except RuntimeError:
            self.release()  # the loop was closed meanwhile
        if error is None:
            self._over.wait()
            self._session._unlock()


def _settle(ready: asyncio.Future[None], error: Exception | None) -> None:
    if ready.done():
        return  # cancelled
    if error is None:
        ready.set_result(None)
    else:
        ready.set_exception(error)


class AsyncSession(DictSession):
    """
    The session of one request. What may wait for another process or for the
    disk is here for ``await`` too, and then runs in a thread.

    Its first use on the loop gives up with `SessionBusy` when a writer was
    stopped in the middle of its write; `aload` waits for it.
    """

    def _read(self, session_id: str) -> SessionRecord:
        if not self._manager.is_quick or not _is_on_loop():
            return super()._read(session_id)
        return self._manager.sessions.readSession(
            session_id, self._env, timeout=PATIENCE
        )

    async def aload(self) -> None:
        """
        Loads the session now, in a thread, unless it is loaded.

        Raises:
            SessionBusy: a writer is in the way, for the store's
                ``lock_timeout``.
        """
        if self._data is None:
            await in_thread(self._ensure_loaded)

    def mark_accessed(self) -> None:
        """
        Loads it: Starlette calls this before it hands out
        ``request.session``, so that C code finds the contents.
        """
        self._use()

    def mark_modified(self) -> None:
        """Does nothing: changes are found by comparing the contents."""

    async def ainvalidate(self) -> None:
        """See `Session.invalidate`."""
        await in_thread(self.invalidate)

    async def aatomically(
        self, func: Callable[[dict[Any, Any]], object]
    ) -> None:
        """See `Session.atomically`; `func` runs in the thread."""
        await in_thread(lambda: self.atomically(func))


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class ReadOnlySession(AsyncSession):
    """The session of a websocket: it has no response that could store it."""

    def _open(self) -> dict[Any, Any]:
        raise RuntimeError(
            "the session of a websocket can only be read: store what changed "
            "in a request, or with WebSession.updateSession"
        )
