"""
An open file of the store: regular, ours, locked and closed again whatever
happens. What files.c is for the C backend.
"""

from __future__ import annotations

import os
import time
from _signal import (  # type: ignore[import-not-found]
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
from _thread import get_ident
from errno import (
    EEXIST,
    EINTR,
    EISDIR,
    ELOOP,
    ENODEV,
    ENOENT,
    ENOSPC,
    ENXIO,
    EPERM,
)  # fmt: skip
from fcntl import LOCK_NB, LOCK_UN, flock
from stat import S_ISREG

from ... import engine
from ...record import PAGE
from .slots import Slots, find_live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
# Nobody asks when a session was read, and noting it costs a tenth of that.
_NOATIME = getattr(os, "O_NOATIME", 0)
_FIRST_WAIT, _LONGEST_WAIT = 50e-6, 2e-3

# Signals whose handlers are held back: all that usually have one.
_DEFERRED = (
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH,
)  # fmt: skip

_OPEN_FAILURES = {
    ENOENT: engine.ABSENT,
    EEXIST: engine.EXISTS,
    ELOOP: engine.UNSAFE,
    EISDIR: engine.UNSAFE,
    ENXIO: engine.UNSAFE,
    ENODEV: engine.UNSAFE,
}


# By thread and path, what is locked: a signal handler must not wait for the
# lock that its own thread has.
_held: dict[tuple[int, bytes], File] = {}


class Outcome(Exception):
    """Leaves an operation with a status, through the end of a `with`."""

    def __init__(self, status: int, error: int = 0) -> None:
        self.status = status
        self.error = error


class File:
    """
    A file of the store, open inside a ``with``: regular, ours, closed and
    unlocked at its end.

    Args:
        path, flags, dir_fd: as for `os.open`; links are not followed.
        shielded: hold signal handlers back, except while waiting for a lock.
            One that raised would leave a lock behind; one that touched the
            same session would wait for the very lock that it interrupts.
            That helps where this thread is the only one: a signal that the
            system gives to another one has its handler run here all the same.
            Then the handler is told at once that the session is busy.
        checked: see that it is regular and ours. False: the caller does so
            (`check`), when it has the lock.
    """

    __slots__ = ("_checked", "_dir_fd", "_entry", "_flags", "_locked", "_mask",
                 "_path", "_shielded", "fd", "size", "unlinked")  # fmt: skip

    def __init__(
        self,
        path: bytes,
        flags: int,
        dir_fd: int | None = None,
        shielded: bool = True,
        checked: bool = True,
    ) -> None:
        self._checked = checked
        self._path, self._flags, self._dir_fd = path, flags | _FLAGS, dir_fd
        self._shielded, self._locked = shielded, False
        self._entry: tuple[int, bytes] | None = None
        self._mask: Iterable[int] | None = None
        self.fd = -1
        self.size = 0
        # What is gone is gone, whatever the end of its file looks like.
        self.unlinked = False

    def __enter__(self) -> File:
        if self._shielded:
            self._shield()
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        fd, self.fd = self.fd, -1
        try:
            if fd >= 0:
                if self._locked:
                    self._unlock(fd)
                os.close(fd)
        except OSError as error:
            # The descriptor is free in any case.
            if error.errno != EINTR and not self.unlinked:
                raise
        finally:
            self._forget()
            self._unshield()

    def forsake(self) -> None:
        """
        Closes the file in a forked child, and leaves the lock to its parent.
        """
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _forget(self) -> None:
        """Takes back that this thread has the lock, or is about to."""
        entry, self._entry = self._entry, None
        if entry is not None:
            _held.pop(entry, None)

    @staticmethod
    def _unlock(fd: int) -> None:
        """
        Gives the lock up before the file is closed: a child forked meanwhile
        has the file open, and would keep the lock beyond the close.
        """
        try:
            flock(fd, LOCK_UN)
        except OSError:
            pass

    def _open(self) -> None:
        path, flags, dir_fd = self._path, self._flags, self._dir_fd
        try:
            try:
                self.fd = os.open(path, flags | _NOATIME, 0o600, dir_fd=dir_fd)
            except PermissionError as error:
                if error.errno != EPERM:
                    raise
                # It is another user's.
                self.fd = os.open(path, flags, 0o600, dir_fd=dir_fd)
        except OSError as error:
            code = error.errno or 0
            raise Outcome(
                _OPEN_FAILURES.get(code, engine.ERRNO), code
            ) from error
        if self._checked:
            self.check()

    def check(self) -> os.stat_result:
        """What is known of the file; it must be regular and ours."""
        info = os.fstat(self.fd)
        self.size = info.st_size
        if not S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
            raise Outcome(engine.UNSAFE)
        return info

    def _shield(self) -> None:
        # Two calls, since the second may raise for a signal that came before
        # it, with the signals blocked by then.
        mask = pthread_sigmask(SIG_BLOCK, ())
        try:
            pthread_sigmask(SIG_BLOCK, _DEFERRED)
        except BaseException:
            pthread_sigmask(SIG_SETMASK, mask)
            raise
        self._mask = mask

    def _unshield(self) -> None:
        mask, self._mask = self._mask, None
        if mask is not None:
            pthread_sigmask(SIG_SETMASK, mask)

    def lock(self, operation: int, timeout: float) -> None:
        """Waits for the lock, with handlers running meanwhile."""
        wait, until = _FIRST_WAIT, 0.0
        entry = get_ident(), self._path
        while True:
            interrupting = entry in _held
            if not interrupting:
                self._entry = entry
                _held[entry] = self
            try:
                flock(self.fd, operation | LOCK_NB)
                self._locked = True
                return
            except BlockingIOError:
                # A busy machine sleeps longer than it was told: the clock
                # says when time is up. Of a free lock nobody asks it.
                until = until or time.monotonic() + timeout
                if timeout <= 0 or interrupting or time.monotonic() >= until:
                    raise Outcome(engine.BUSY) from None
            self._forget()
            self._unshield()
            time.sleep(wait)
            if self._shielded:
                self._shield()
            wait = min(2 * wait, _LONGEST_WAIT)

    def write_at(self, data: bytes | bytearray, offset: int) -> None:
        """Writes all of `data` at an offset, in one call if possible."""
        done = os.pwrite(self.fd, data, offset)
        while done < len(data):
            more = os.pwrite(self.fd, data[done:], offset + done)
            if more == 0:
                raise OSError(ENOSPC, os.strerror(ENOSPC))
            done += more

    def read_at(self, length: int, offset: int) -> bytes:
        """Reads `length` bytes at an offset; fewer if the file ends before."""
        raw = os.pread(self.fd, length, offset)
        while len(raw) < length:
            more = os.pread(self.fd, length - len(raw), offset + len(raw))
            if not more:
                break
            raw += more
        return raw

    def is_named(self, path: bytes, dir_fd: int | None = None) -> bool:
        """Whether the path still leads to this very file."""
        try:
            named = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        info = os.fstat(self.fd)
        return (named.st_dev, named.st_ino) == (info.st_dev, info.st_ino)

    def scan(
        self, name: bytes, locked: bool, known: bytes | None = None
    ) -> Slots:
        page = self.read_at(min(self.size, PAGE), 0)
        return find_live(page, self.size, self.read_at, name, locked, known)

    def scan_locked(self, name: bytes, known: bytes | None = None) -> Slots:
        """
        The live record; under the lock, so that torn means torn. After
        another `check`, which tells the size.
        """
        found = self.scan(name, True, known)
        if found.unsupported:
            raise Outcome(engine.UNSUPPORTED)
        if found.live < 0:
            raise Outcome(engine.DAMAGED)
        return found
