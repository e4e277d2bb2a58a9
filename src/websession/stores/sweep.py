"""
Removing what is over: expired sessions, abandoned files, old damaged ones.

One sweeper at a time, elected through a lock that nobody waits for. A whole
pass for `cleanUp`; slices of a few milliseconds on the way of `newSession`, so
that a store needs neither cron nor a thread.
"""

from __future__ import annotations

import os
import time

from .layout import DAMAGED, LOCKS
from .locks import try_lock
from .safety import TEMPORARY, open_note, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from .count import SessionCount
    from .layout import Layout

__all__ = ["Sweeper", "set_aside"]

# A pass in progress goes on after this many times what its last slice took:
# about five per cent of one processor.
_REST = 20
_PATIENCE = 4
_ABANDONED_AFTER = 3600.0
_DAMAGED_KEPT = 30 * 86400.0


def set_aside(
    layout: Layout,
    backend: ModuleType,
    count: SessionCount,
    name: bytes,
    timeout: float,
) -> None:
    """
    Moves an unreadable session file to ``.damaged/``, under its handle. When
    that fails the file stays, and is reported again.
    """
    import logging

    log = logging.getLogger("websession")
    path, shown = layout.path(name), name.decode("ascii")
    try:
        target = layout.make(DAMAGED) + b"/%b.%d" % (name, time.time())
        moved: bool = count.remove(
            name, lambda: backend.set_aside(path, name, target, timeout)
        )
    except OSError as error:
        log.warning("unreadable session %s cannot be moved: %s", shown, error)
        return
    if moved:
        log.warning(
            "session %s is unreadable, moved to %s", shown, os.fsdecode(target)
        )


class Sweeper:
    """
    Sweeps a store.

    Args:
        layout, backend, count: the store's.
        interval: seconds between automatic passes; 0: none.
        budget: seconds of processor time, or a quarter of the real time, of
            an automatic slice; it always finishes a shard.
        timeout: longest wait for a lock on the way.
    """

    def __init__(
        self,
        layout: Layout,
        backend: ModuleType,
        count: SessionCount,
        interval: float,
        budget: float,
        timeout: float,
    ) -> None:
        self._layout = layout
        self._backend = backend
        self._count = count
        self._interval = interval
        self._budget = budget
        self._timeout = timeout
        self._stamp = layout.join(LOCKS, b"sweep.stamp")
        self._lock = layout.join(LOCKS, b"sweep.lock")

    def sweep_all(self, now: float, idle: float, lifetime: float) -> int:
        """
        A whole pass; how many sessions were removed. 0 if another process is
        at it.
        """
        self._layout.make(LOCKS)
        lock = try_lock(self._lock)
        if lock is None:
            return 0
        try:
            removed = sum(
                self._try_shard(shard, now, idle, lifetime)
                for shard in range(self._layout.shards)
            )
            self._tidy()
            self._note(0, now + self._interval)
            return removed
        finally:
            lock.release()

    def slice_if_due(self, now: float, idle: float, lifetime: float) -> None:
        """
        A slice of a pass, if it is time. What goes wrong is logged: it must
        not fail the request on whose way this is.
        """
        if not self._interval or not self._is_due(now):
            return
        try:
            self._layout.make(LOCKS)
            lock = try_lock(self._lock)
            if lock is None:
                return
            try:
                if self._is_due(now):
                    self._slice(now, idle, lifetime)
            finally:
                lock.release()
        except Exception as error:
            import logging

            logging.getLogger("websession").warning(
                "automatic sweep failed: %s", error
            )

    def _is_due(self, now: float) -> bool:
        # The stamp's mtime is when the next slice is due. One that lies too
        # far ahead comes from a clock that was wrong.
        try:
            due = os.stat(self._stamp).st_mtime
        except OSError:
            return True
        return not now < due <= now + self._interval + 3600.0

    def _slice(self, now: float, idle: float, lifetime: float) -> None:
        shard = self._next_shard()
        # Processor time: on a busy machine as much gets done, if later. Real
        # time, more of it, bounds what a slow disk may cost a request.
        started, cpu = time.perf_counter(), time.thread_time()
        took = 0.0
        while (
            shard < self._layout.shards
            and took < self._budget
            and time.perf_counter() - started < _PATIENCE * self._budget
        ):
            self._try_shard(shard, now, idle, lifetime)
            shard += 1
            took = time.thread_time() - cpu
        if shard < self._layout.shards:
            self._note(shard, now + _REST * took)
        else:
            self._tidy()
            self._note(0, now + self._interval)

    def _next_shard(self) -> int:
        text = read_file(self._stamp)
        return int(text) if text and text.isdigit() else 0

    def _note(self, shard: int, due: float) -> None:
        fd = open_note(self._stamp, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(fd, b"%08d" % shard, 0)
            os.utime(fd, (due, due))
        finally:
            os.close(fd)

    def _try_shard(
        self, shard: int, now: float, idle: float, lifetime: float
    ) -> int:
        """One bad shard does not stop the sweep of the others."""
        try:
            return self._sweep_shard(shard, now, idle, lifetime)
        except OSError as error:
            import logging

            logging.getLogger("websession").warning(
                "sweep of shard %s failed: %s",
                self._layout.prefix(shard).decode(),
                error,
            )
            return 0

    def _sweep_shard(
        self, shard: int, now: float, idle: float, lifetime: float
    ) -> int:
        prefix = self._layout.prefix(shard)
        directory = self._layout.join(prefix)
        swept = self._count.correct(
            shard,
            lambda: self._backend.sweep_shard(
                directory, prefix, now, idle, lifetime
            ),
        )
        if swept is None:
            return 0
        for file in swept.odd:
            set_aside(
                self._layout, self._backend, self._count, prefix + file,
                self._timeout,
            )  # fmt: skip
        if swept.failed:
            import logging

            logging.getLogger("websession").warning(
                "sweep of %s: %d files could not be looked at: %s",
                os.fsdecode(directory),
                swept.failed,
                os.strerror(swept.error) if swept.error else "not ours",
            )
        return int(swept.removed)

    def _tidy(self) -> None:
        """Temporary files of crashed processes, damaged files kept enough."""
        self._reap(self._layout.root, TEMPORARY, _ABANDONED_AFTER)
        self._reap(self._layout.join(DAMAGED), b"", _DAMAGED_KEPT)

    def _reap(self, directory: bytes, prefix: bytes, age: float) -> None:
        now = time.time()
        try:
            entries = os.listdir(directory)
        except FileNotFoundError:
            return
        for name in entries:
            path = directory + b"/" + name
            try:
                if name.startswith(prefix) and (
                    now - os.lstat(path).st_ctime > age
                ):
                    os.unlink(path)
            except FileNotFoundError:
                pass
