"""
An open file of the store: regular, ours, locked and closed again whatever
happens. What files.c is for the C backend.
"""

from __future__ import annotations

import os
import time
from _signal import (
    SIG_BLOCK,
    SIG_SETMASK,
    SIGALRM,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGIO,
    SIGPROF,
    SIGQUIT,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
    SIGVTALRM,
    SIGWINCH,
    pthread_sigmask,
)
from errno import EEXIST, EISDIR, ELOOP, ENODEV, ENOENT, ENXIO
from fcntl import LOCK_NB, LOCK_UN, flock
from stat import S_ISREG

from . import _status as status
from .record import PAGE, Slots, find_live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FIRST_WAIT, _LONGEST_WAIT = 50e-6, 2e-3

# Handlers of these wait while a file is locked: one that touched the same
# session would wait for the very lock that it interrupts.
_DEFERRED = (
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH,
)  # fmt: skip

_OPEN_FAILURES = {
    ENOENT: status.ABSENT,
    EEXIST: status.EXISTS,
    ELOOP: status.UNSAFE,
    EISDIR: status.UNSAFE,
    ENXIO: status.UNSAFE,
    ENODEV: status.UNSAFE,
}


class Outcome(Exception):
    """Leaves an operation with a status, through the clean-up of `File`."""

    def __init__(self, status: int, error: int = 0) -> None:
        self.status = status
        self.error = error


class File:
    """An open session file: regular, ours, and closed when this object goes."""

    __slots__ = ("_mask", "fd", "size")

    def __init__(
        self, path: bytes, flags: int, dir_fd: int | None = None
    ) -> None:
        self.fd = -1
        self._mask: Iterable[int] | None = None
        try:
            self.fd = os.open(path, flags | _FLAGS, 0o600, dir_fd=dir_fd)
        except OSError as error:
            code = error.errno or 0
            raise Outcome(
                _OPEN_FAILURES.get(code, status.ERRNO), code
            ) from error
        info = os.fstat(self.fd)
        self.size = info.st_size
        if not S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
            raise Outcome(status.UNSAFE)

    def lock(self, operation: int, timeout: float) -> None:
        """Signals are held back from here to `unlock`, but not while waiting."""
        wait = _FIRST_WAIT
        while True:
            mask = pthread_sigmask(SIG_BLOCK, _DEFERRED)
            try:
                flock(self.fd, operation | LOCK_NB)
                self._mask = mask
                return
            except BlockingIOError:
                pass
            finally:
                if self._mask is None:
                    pthread_sigmask(SIG_SETMASK, mask)
            if timeout <= 0:
                raise Outcome(status.BUSY)
            time.sleep(wait)
            timeout -= wait
            wait = min(2 * wait, _LONGEST_WAIT)

    def unlock(self) -> None:
        mask, self._mask = self._mask, None
        if mask is not None:
            # Before close: a child forked meanwhile would keep the lock.
            flock(self.fd, LOCK_UN)
            pthread_sigmask(SIG_SETMASK, mask)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            mask, self._mask = self._mask, None
            try:
                if mask is not None:
                    flock(fd, LOCK_UN)
            finally:
                try:
                    os.close(fd)
                finally:
                    if mask is not None:
                        pthread_sigmask(SIG_SETMASK, mask)

    __del__ = close

    def __enter__(self) -> File:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read_at(self, length: int, offset: int) -> bytes:
        return os.pread(self.fd, length, offset)

    def is_named(self, path: bytes, dir_fd: int | None = None) -> bool:
        """Whether the path still leads to this very file."""
        try:
            named = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        info = os.fstat(self.fd)
        return (named.st_dev, named.st_ino) == (info.st_dev, info.st_ino)

    def scan(self, name: bytes, locked: bool) -> Slots:
        page = os.pread(self.fd, min(self.size, PAGE), 0)
        return find_live(page, self.size, self.read_at, name, locked)

    def scan_locked(self, name: bytes) -> Slots:
        """The live record; under the lock, so that torn means torn."""
        self.size = os.fstat(self.fd).st_size
        found = self.scan(name, True)
        if found.unsupported:
            raise Outcome(status.UNSUPPORTED)
        if found.live < 0:
            raise Outcome(status.DAMAGED)
        return found
