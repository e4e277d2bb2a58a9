"""
What a file system has to do for sessions, tried with two processes.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "ERROR",
    "NOTE",
    "OK",
    "WARNING",
    "Check",
    "exclusive",
    "in_place",
    "locks",
    "modes",
    "speed",
    "times",
]

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"

_SMALLEST_STEP = 0.1  # seconds that mtimes may be coarse, see csrc/FORMAT.md


class Check(NamedTuple):
    """
    One thing that was looked at.

    Attributes:
        level: ``"ok"``, ``"note"``, ``"warning"`` or ``"error"``.
        what: was found.
        advice: what to do about it; empty: nothing.
    """

    level: str
    what: str
    advice: str = ""


def _in_child(func: Callable[[], object]) -> int:
    """The process ID of a child that runs the function and ends."""
    child = os.fork()
    if child == 0:
        try:
            func()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def _is_locked(path: str) -> bool:
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
        return False


def locks(scratch: str) -> Iterator[Check]:
    """Does a lock keep another process out?"""
    path = os.path.join(scratch, "lock")
    open(path, "x").close()
    told, tell = os.pipe()
    go, let_go = os.pipe()

    def hold() -> None:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(tell, b"x")
            os.close(let_go)
            os.read(go, 1)

    child = _in_child(hold)
    os.close(tell)
    try:
        has_begun = os.read(told, 1) == b"x"
        while_held = _is_locked(path)
    finally:
        os.close(let_go)
        os.waitpid(child, 0)
        os.close(told)
        os.close(go)
    if has_begun and while_held and not _is_locked(path):
        yield Check(OK, "a lock of one process keeps another one out (flock)")
    else:
        yield Check(
            ERROR,
            "flock does not keep another process out here",
            "use a directory on another file system",
        )


def exclusive(scratch: str) -> Iterator[Check]:
    """Does one of two processes make a file?"""
    names = [os.path.join(scratch, f"new-{number}") for number in range(200)]

    def make(report: str) -> None:
        made = 0
        for name in names:
            try:
                open(name, "x").close()
                made += 1
            except FileExistsError:
                pass
        with open(report, "w") as file:
            file.write(str(made))

    reports = [os.path.join(scratch, f"made-{number}") for number in (0, 1)]
    children = [
        _in_child(lambda report=report: make(report))  # type: ignore[misc]
        for report in reports
    ]
    # Each is waited for, whatever became of the one before.
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(statuses):
        yield Check(
            ERROR,
            "two processes could not make files here",
            "make room, or choose another directory",
        )
        return
    made = 0
    for report in reports:
        with open(report) as file:
            made += int(file.read())
    if made == len(names):
        yield Check(OK, "of two processes that make a file one does (O_EXCL)")
    else:
        yield Check(
            ERROR,
            "two processes both made the same file (O_EXCL)",
            "use a directory on another file system",
        )


def in_place(scratch: str) -> Iterator[Check]:
    """Is what another process wrote in place read?"""
    path = os.path.join(scratch, "in-place")
    with open(path, "xb") as new:
        new.write(bytes(1024))

    def write() -> None:
        with open(path, "r+b") as file:
            file.seek(512)
            file.write(b"x" * 512)

    with open(path, "rb") as file:
        before = os.pread(file.fileno(), 1024, 0)
        os.waitpid(_in_child(write), 0)
        after = os.pread(file.fileno(), 1024, 0)
    if before == bytes(1024) and after == bytes(512) + b"x" * 512:
        yield Check(OK, "what one process writes in place another one reads")
    else:
        yield Check(
            ERROR,
            "what another process wrote in place was not read",
            "use a directory on another file system",
        )


def modes(scratch: str, umask: int) -> Iterator[Check]:
    """Do files get the modes that they are given, whatever the umask?"""
    path = os.path.join(scratch, "modes")
    ours = os.umask(umask)
    try:
        open(path, "x").close()
    finally:
        os.umask(ours)
    found = []
    for mode in (0o600, 0o700):
        os.chmod(path, mode)
        found.append(os.stat(path).st_mode & 0o777)
    if found == [0o600, 0o700]:
        yield Check(
            OK,
            f"files keep the mode they are given (the umask, {umask:03o}, "
            "does not matter)",
        )
    else:
        yield Check(
            ERROR,
            "files do not keep the mode they are given: others can read "
            "sessions",
            "use a file system with permissions (ext4, xfs, btrfs, zfs)",
        )


def times(scratch: str) -> Iterator[Check]:
    """Are the times of files exact, and by this clock?"""
    path = os.path.join(scratch, "times")
    before = time.time()
    open(path, "x").close()
    off = abs(os.stat(path).st_mtime - before)
    if off > 2:
        yield Check(
            WARNING,
            f"times of files are {off:.0f} s off this machine's clock",
            "set the clocks: sessions expire by them",
        )
    wanted = 1_700_000_000.75
    os.utime(path, (wanted, wanted))
    step = abs(os.stat(path).st_mtime - wanted)
    if step > _SMALLEST_STEP:
        yield Check(
            NOTE,
            f"times of files are kept to {step:.2f} s",
            "expiry by the sweep is as coarse as that",
        )
    elif off <= 2:
        yield Check(OK, "times of files are exact, and by this clock")


def speed(scratch: str) -> Iterator[Check]:
    """How fast is a store here?"""
    from ..session import WebSession
    from ..stores.file import FileStore

    ws = WebSession(
        FileStore(
            os.path.join(scratch, "store"),
            sweep_interval=0,
            allow_network=True,
        ),
        crossCheckVars=(),
        sessionIDLength=32,
    )
    data = {"user": "ann", "text": "x" * 200}
    ids: list[str] = []
    create = _median(lambda: ids.append(ws.newSession(data=data)), 200)
    read = _median(lambda: ws.retrieveSession(ids[0]), 400)
    store = _median(lambda: ws.storeSession(ids[0], data), 400)
    each = read + store
    what = (
        f"a new session takes {create:.0f} us here, reading one {read:.1f}, "
        f"storing one {store:.1f}: {1e6 / each:,.0f} requests per second and "
        "processor, for the sessions"
    )
    if each < 1000:
        yield Check(OK, what)
    else:
        yield Check(WARNING, what, "a slow disk: use a local one")


def _median(call: Callable[[], object], times: int) -> float:
    """How long a call takes: the median of several, in microseconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6
