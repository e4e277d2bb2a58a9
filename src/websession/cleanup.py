"""
`CleanUpThread`: calls `cleanUp` again and again, in the background.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .session import WebSession

__all__ = ["CleanUpThread"]


class CleanUpThread(threading.Thread):
    """
    Cleans up at once and then every `interval` seconds, until `join`.

    A daemon thread: it does not keep the process alive. It does not survive a
    fork, as no thread does: start it in each worker, or not at all, since a
    `FileStore` sweeps by itself.

    Args:
        sessionInstance: whose `cleanUp` is called.
        interval: seconds between two calls.
    """

    def __init__(
        self, sessionInstance: WebSession, interval: float = 60
    ) -> None:
        cls = type(self)
        super().__init__(name=f"{cls.__module__}.{cls.__name__}", daemon=True)
        self._sessionInstance = sessionInstance
        self._interval = interval
        self._stop_event = threading.Event()
        self._removed = 0

    def run(self) -> None:
        """
        The loop. An exception of `cleanUp` is logged and the next turn tries
        again.
        """
        while not self._stop_event.is_set():
            try:
                self._removed += self._sessionInstance.cleanUp()
            except Exception:
                import logging

                logging.getLogger("websession").exception(
                    "cleaning up failed, next try in %s s", self._interval
                )
            self._stop_event.wait(self._interval)

    def join(self, timeout: float | None = 0.0) -> None:
        """
        Asks the thread to stop, and waits for it.

        Args:
            timeout: seconds to wait, default 0: do not wait. None: until it
                has stopped.
        """
        # In a forked child it does not run, and its event may be locked.
        if self.is_alive():
            self._stop_event.set()
        super().join(timeout)

    def __repr__(self) -> str:
        return f"{self.name}: {self._removed} sessions removed"
