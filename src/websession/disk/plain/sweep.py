"""
The sweep of one shard in plain Python: the twin of sweep.c.
"""

from __future__ import annotations

import os
import time
from fcntl import LOCK_EX
from stat import S_ISREG

from ... import engine
from ...record import (
    MODE_OWN_LIMIT,
    MODE_SUPERSEDED,
    is_over,
    is_superseded,
    unpack_marks,
)
from .files import File, Outcome

_ABANDONED_AFTER = 3600.0
_HEX = frozenset(b"0123456789abcdef")


class _Sweep:
    """One pass over a shard directory; see sweep.c, its twin."""

    def __init__(
        self, dir_fd: int, prefix: bytes, now: float, idle: float,
        lifetime: float,
    ) -> None:  # fmt: skip
        self.dir_fd = dir_fd
        self.prefix = prefix
        self.now, self.idle, self.lifetime = now, idle, lifetime
        self.limit = min(filter(None, (idle, lifetime)), default=0.0)
        self.kernel_now = time.clock_gettime(time.CLOCK_REALTIME)
        self.swept = engine.Swept()
        # Of the session that was looked at last.
        self.superseded, self.own = False, 0

    def fail(self, error: int) -> None:
        self.swept.failed += 1
        self.swept.error = error

    def visit(self, file: str) -> None:
        try:
            info = os.stat(file, dir_fd=self.dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            self.fail(error.errno or 0)
            return
        if not S_ISREG(info.st_mode):
            return
        counts = info.st_size > 0 and not info.st_mode & MODE_SUPERSEDED
        if self.nominates(info):
            self.examine(os.fsencode(file), counts)
        else:
            self.swept.live += counts

    def nominates(self, info: os.stat_result) -> bool:
        """
        Whether a file is worth a look, as far as its metadata tells. Only its
        record says whether the session is over.
        """
        if info.st_size == 0:
            return self.kernel_now - info.st_ctime > _ABANDONED_AFTER
        if info.st_mode & (MODE_SUPERSEDED | MODE_OWN_LIMIT):
            return True
        return self.limit > 0 and self.now - info.st_mtime > self.limit

    def examine(self, file: bytes, counts: bool) -> None:
        """Takes the lock of a nominated file, once, and judges it."""
        swept = self.swept
        try:
            with File(file, os.O_RDONLY, self.dir_fd) as opened:
                opened.lock(LOCK_EX, 0)
                if not opened.is_named(file, self.dir_fd):
                    return
                if not self.is_over(opened, self.prefix + file):
                    self.unmark(opened)
                    swept.live += not self.superseded
                    return
                os.unlink(file, dir_fd=self.dir_fd)
                if counts:
                    swept.removed += 1
                else:
                    swept.reaped += 1
        except Outcome as outcome:
            if outcome.status == engine.ABSENT:
                return
            swept.live += counts
            if outcome.status == engine.BUSY:
                swept.busy += 1
            elif outcome.status == engine.DAMAGED:
                swept.odd.append(file)
            elif outcome.status != engine.UNSUPPORTED:
                self.fail(outcome.error)
        except OSError as error:
            swept.live += counts
            self.fail(error.errno or 0)

    def unmark(self, opened: File) -> None:
        """
        Takes away marks that are wrong, of a crash between mark and record or
        of a limit that is no more, and that of a limit which is none of the
        shorter ones.
        """
        mode = wanted = os.fstat(opened.fd).st_mode
        if not self.superseded:
            wanted &= ~MODE_SUPERSEDED
        if not self.own or 0 < self.limit <= self.own:
            wanted &= ~MODE_OWN_LIMIT
        else:
            self.swept.own = min(self.own, self.swept.own or self.own)
        if wanted != mode:
            os.fchmod(opened.fd, wanted & 0o7777)

    def is_over(self, opened: File, name: bytes) -> bool:
        """
        Whether the session of an open and locked file is past its time. A
        superseded record has a time of its own.
        """
        opened.size = os.fstat(opened.fd).st_size
        if opened.size == 0:
            return True
        raw = opened.scan_locked(name).raw
        self.superseded = is_superseded(raw)
        self.own = 0 if self.superseded else unpack_marks(raw)[1]
        return is_over(raw, self.now, self.idle, self.lifetime)


def sweep(
    directory: bytes, prefix: bytes, now: float, idle: float, lifetime: float
) -> engine.Swept | None:
    """See `operations.sweep_shard`."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        dir_fd = os.open(directory, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, prefix)
    try:
        work = _Sweep(dir_fd, prefix, now, idle, lifetime)
        with os.scandir(dir_fd) as entries:
            for entry in entries:
                file = entry.name
                if len(file) + len(prefix) == 32 and _HEX.issuperset(
                    file.encode("utf-8", "surrogateescape")
                ):
                    work.visit(file)
        return work.swept
    finally:
        os.close(dir_fd)
