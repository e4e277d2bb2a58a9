"""
A fault at every system call of every operation: a clear exception, the old
state or the new one, no descriptor leaked, no lock held; and short transfers,
which nobody notices.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zlib

import pytest

import websession
from effort import LONG
from injection import Attempt, chosen, need_strace, places_of, told
from scenarios import SCENARIOS, DeleteCounted
from shim import shimmed
from support import open_descriptors

pytestmark = pytest.mark.proof

# What may go wrong in the calls of a kind. Others cannot fail, or are those
# of the interpreter and of malloc.
OPENING = "EACCES EIO EMFILE ENFILE ENOSPC EROFS ESTALE EINTR"
TRANSFER = "EIO EINTR ESTALE"
FAULTS = {
    "openat": OPENING,
    "mkdir": "EACCES EIO ENOSPC EROFS ESTALE",
    "link": "EACCES EIO ENOSPC EROFS EMLINK",
    "linkat": "EACCES EIO ENOSPC EROFS EMLINK",
    "rename": "EACCES EIO ENOSPC EROFS",
    "unlink": "EACCES EIO EROFS ESTALE",
    "unlinkat": "EACCES EIO EROFS ESTALE",
    "read": TRANSFER,
    "pread64": TRANSFER,
    "write": "EIO EINTR ENOSPC EDQUOT EFBIG",
    "pwrite64": "EIO EINTR ENOSPC EDQUOT EFBIG",
    "pwritev": "EIO EINTR ENOSPC EDQUOT EFBIG",
    "fsync": "EIO ENOSPC EINTR",
    "fdatasync": "EIO ENOSPC EINTR",
    "ftruncate": "EIO ENOSPC EINTR",
    "fchmod": "EIO EPERM EROFS",
    "utimensat": "EIO EPERM EROFS",
    "flock": "EINTR ENOLCK EIO",
    "close": "EIO EINTR",
    "newfstatat": "EACCES EIO ESTALE",
    "fstat": "EIO ESTALE",
    "statx": "EACCES EIO ESTALE",
    "getdents64": "EIO ESTALE",
    "getrandom": "EINTR",
}
# What an operation may raise when the system fails it.
STORE_ERRORS = {
    name
    for name in websession.__all__
    if isinstance(getattr(websession, name), type)
    and issubclass(getattr(websession, name), websession.SessionStoreError)
}


def faults_at(kind, number):
    """Those to try at a place; in a short run one, each place another."""
    names = FAULTS.get(kind, "").split()
    if LONG or not names:
        return names
    return [names[zlib.crc32(f"{kind}{number}".encode()) % len(names)]]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_fault_at_every_system_call(tmp_path, backend, scenario):
    need_strace()
    scenario = scenario()
    fresh = scenario.copies(tmp_path, backend)
    here = open_descriptors()
    places = chosen(places_of(fresh("dry")[1]))
    tried = 0
    for kind, number in places:
        for fault in faults_at(kind, number):
            root, operation = fresh(f"{kind}-{number}-{fault}")
            what = f"inject={kind}:error={fault}:when={number}"
            attempt = Attempt(
                operation,
                *("-o", os.devnull, "-e", what),
                # In the process that met the fault: nothing is left behind.
                after=lambda root=root: (
                    open_descriptors(),
                    scenario.check(root, backend, False),
                )[0],
            )
            tried += 1
            with told(what):
                assert not attempt.killed
                assert isinstance(attempt.value, int), attempt.value
                # A close that was not carried out at all may leave one.
                left = attempt.value - here
                assert left in ((0, 1) if kind == "close" else (0,))
                if attempt.error is None:
                    continue  # done all the same, or logged by the sweep
                name, number_, text = attempt.error
                assert name in STORE_ERRORS, text
                assert number_ == getattr(errno, fault), text
    assert tried > 3
    assert open_descriptors() == here


@pytest.mark.parametrize("when", ["1", "1+"])
def test_a_removal_is_counted_though_the_disk_is_full(tmp_path, backend, when):
    """Its announcement finds no room, and the outcome does, or does not."""
    need_strace()
    ws = DeleteCounted().open(tmp_path / "store", backend)
    for session_id in ("sessionOfOne", "sessionOfTwo", "sessionOfSix"):
        DeleteCounted.make(ws, session_id, "data")
    attempt = Attempt(
        lambda: ws.deleteSession("sessionOfOne"),
        *("-o", os.devnull, "-e", f"inject=pwrite64:error=ENOSPC:when={when}"),
    )
    assert attempt.error is None, attempt.error
    assert len(ws.listSessions()) == 2
    # One too many until the sweep comes by, never one too few.
    assert ws.countSessions() == (2 if when == "1" else 3)
    ws.cleanUp()
    assert ws.countSessions() == 2


SHORT = """
import sys
from websession import FileStore, WebSession
for durability in ("none", "data"):
    root = f"{sys.argv[2]}/{durability}"
    store = FileStore(root, backend=sys.argv[1], durability=durability)
    ws = WebSession(store, 0, 3600, maxSessionCount=50)
    ids = [ws.newSession() for _ in range(20)]
    for turn in range(6):
        for number, session_id in enumerate(ids):
            data = {"n": number, "turn": turn, "x": "y" * (number * turn * 97)}
            ws.storeSession(session_id, data)
            assert ws.retrieveSession(session_id) == data
    other = WebSession(FileStore(root, backend=sys.argv[1]), 0, 3600)
    for number, session_id in enumerate(ids):
        assert other.retrieveSession(session_id)["n"] == number
    assert other.cleanUp() == 0
    assert other.countSessions() == len(other.listSessions()) == 20
    with ws.lockSession(ids[0]):
        pass
print("fine")
"""


def test_short_transfers_are_completed(tmp_path, backend):
    done = subprocess.run(
        [sys.executable, "-c", SHORT, backend, str(tmp_path)],
        env=shimmed(tmp_path, short=1),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_failed_sync_says_that_the_new_state_was_written(tmp_path, backend):
    need_strace()
    store = websession.FileStore(
        tmp_path / "s", backend=backend, durability="data", sweep_interval=0
    )
    ws = websession.WebSession(store, 0, 3600)
    sid = ws.newSession(data="old")
    attempt = Attempt(
        lambda: ws.storeSession(sid, "new"),
        *("-o", os.devnull, "-e", "inject=fdatasync:error=EIO"),
    )
    name, number, text = attempt.error
    assert (name, number) == ("SessionStoreError", errno.EIO), text
    assert "written, but perhaps not to the disk" in text
    assert ws.retrieveSession(sid) == "new"
    # Of a session that could not be made durable nothing is left.
    attempt = Attempt(
        lambda: ws.newSession(),
        *("-o", os.devnull, "-e", "inject=fdatasync:error=EIO"),
    )
    assert attempt.error[:2] == ("SessionStoreError", errno.EIO)
    assert "perhaps not" not in attempt.error[2]
    assert ws.countSessions() == 1


WITHOUT_STATX = """
import sys
from websession import FileStore, WebSession
ws = WebSession(FileStore(sys.argv[2], backend=sys.argv[1]), 0, 3600)
sid = ws.newSession()
ws.storeSession(sid, "data")
assert ws.retrieveSession(sid) == "data"
assert ws.cleanUp() == 0
ws.deleteSession(sid)
assert ws.countSessions() == 0
print("fine")
"""


def test_a_filter_that_does_not_know_statx_is_no_obstacle(tmp_path, backend):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_STATX, backend, str(tmp_path / "s")],
        env=shimmed(tmp_path, no_statx=1),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


PATIENT = """
import fcntl, os, sys, time
from pathlib import Path
from websession import FileStore, SessionBusy, WebSession
store = FileStore(
    sys.argv[2], backend=sys.argv[1], lock_timeout=2, sweep_interval=0
)
ws = WebSession(store, 0, 3600)
sid = ws.newSession()
(path,) = Path(sys.argv[2]).glob("??/*")
fd = os.open(path, os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
before = time.monotonic()
for operation in (
    lambda: ws.storeSession(sid, "data"), lambda: ws.deleteSession(sid)
):
    try:
        operation()
    except SessionBusy:
        print(round(time.monotonic() - before, 1))
    before = time.monotonic()
"""


def test_a_busy_machine_does_not_make_a_timeout_longer(tmp_path, backend):
    """Where each sleep takes fifty times as long, by the clock."""
    done = subprocess.run(
        [sys.executable, "-c", PATIENT, backend, str(tmp_path / "s")],
        env=shimmed(tmp_path, slow=50),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    waited = [float(line) for line in done.stdout.split()]
    # Two seconds, and the sleep that was under way when these were over.
    assert [2 <= each < 3 for each in waited] == [True, True], waited
