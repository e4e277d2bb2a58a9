"""
What comes between two system calls of one operation: another process deletes,
replaces or holds the file that it has just opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from machine import missing
from mounting import mounted
from raw_records import NAME, finished, simple
from support import Child, file_of, stopped_writer, until
from websession import (
    FileStore,
    SessionBusy,
    UnsafeStore,
    WebSession,
)
from websession import engine as status
from websession.disk import backend as backends


@pytest.fixture
def module(backend):
    return backends.choose(backend)


def put(path):
    """A session's file; where it is."""
    path.write_bytes(finished(simple()))
    path.chmod(0o600)
    return os.fsencode(path)


@contextlib.contextmanager
def waiting(path, operation):
    """
    A process that has opened the file and waits for its lock, which is given
    up at the end.
    """
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        inode = os.fstat(file.fileno()).st_ino
        child = Child(operation)

        def has_it():
            for fd in os.listdir(f"/proc/{child.pid}/fd"):
                with contextlib.suppress(OSError):
                    info = os.stat(f"/proc/{child.pid}/fd/{fd}")
                    # The one it has inherited, and its own.
                    if info.st_ino == inode and int(fd) != file.fileno():
                        return True
            return False

        until(has_it)
        yield child
        fcntl.flock(file, fcntl.LOCK_UN)


OPERATIONS = {
    "commit": lambda module, where: module.commit(
        where, NAME, simple(b"new"), None, 0.0, 0.0, 0.0, 0, 10.0
    )[0],
    "remove": lambda module, where: module.remove(where, NAME, None, 10.0),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("links", [0, 2])
def test_a_deleted_file_is_not_written_whatever_links_it_has(
    tmp_path, module, operation, links
):
    """Hard links, as a backup may make them, keep it from being gone. (With
    exactly one it looks as if nothing had happened: they are not supported.)
    """
    path = tmp_path / "session"
    where = put(path)
    call = OPERATIONS[operation]
    others = [tmp_path / f"link{number}" for number in range(links)]
    for other in others:
        other.hardlink_to(path)
    before = path.read_bytes()
    with waiting(path, lambda: call(module, where)) as child:
        path.unlink()
        put(path)
    assert child.result() == status.ABSENT
    for other in [path, *others]:
        assert other.read_bytes() == before


@pytest.mark.root
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_file_of_another_device_is_another_file(tmp_path, module, operation):
    """Where its inode has the same number."""
    call = OPERATIONS[operation]
    with contextlib.ExitStack() as stack:
        disks = [tmp_path / "one", tmp_path / "two"]
        for disk in disks:
            stack.enter_context(mounted(disk, "size=1m,mode=700"))
        files = [disk / "session" for disk in disks]
        for file in files:
            put(file)
        if files[0].stat().st_ino != files[1].stat().st_ino:
            missing("a file system that numbers its inodes from 1")
        # Two links, or nobody looks whether the path leads there still.
        (disks[0] / "link").hardlink_to(files[0])
        here = tmp_path / "here"
        here.symlink_to("one")
        where = os.fsencode(here / "session")
        before = files[0].read_bytes()
        with waiting(files[0], lambda: call(module, where)) as child:
            here.unlink()
            here.symlink_to("two")
        assert child.result() == status.ABSENT
        for file in files:
            assert file.read_bytes() == before


@pytest.mark.root
def test_a_file_of_another_user_is_not_touched(tmp_path, module):
    if os.geteuid() != 0:
        missing("the right to give files away (root)")
    path = tmp_path / "session"
    where = put(path)
    os.chown(path, 12345, -1)
    before = path.read_bytes()
    for call in (
        lambda: module.read(where, NAME, 0.0),
        lambda: OPERATIONS["commit"](module, where),
        lambda: OPERATIONS["remove"](module, where),
    ):
        with pytest.raises(UnsafeStore):
            call()
    os.utime(path, (0, 0))
    path.rename(tmp_path / NAME[2:].decode())
    swept = module.sweep_shard(os.fsencode(tmp_path), b"94", 1e10, 1.0, 0.0)
    assert (swept.removed, swept.failed) == (0, 1)
    assert (tmp_path / NAME[2:].decode()).read_bytes() == before


def test_a_file_deleted_before_it_was_written_is_not_a_session(
    tmp_path, module
):
    """Between making and locking it: whoever makes it draws another ID."""
    if shutil.which("strace") is None:
        missing("strace")
    path = tmp_path / "session"
    where = os.fsencode(path)

    def make():
        os.kill(os.getpid(), signal.SIGSTOP)
        return module.create(where, NAME, simple(), 0, 10.0)

    child = Child(make)
    os.waitpid(child.pid, os.WUNTRACED)
    tracer = subprocess.Popen(
        [
            *("strace", "-o", os.devnull, "-p", str(child.pid)),
            *("-e", "inject=flock:delay_enter=1000000:when=1"),
        ],
        stderr=subprocess.PIPE,
    )
    assert b"attached" in tracer.stderr.readline()
    child.kill(signal.SIGCONT)
    until(path.exists)
    path.unlink()
    try:
        assert child.result() == status.EXISTS
    finally:
        tracer.stderr.close()
        tracer.wait()
    assert not path.exists()


def test_whoever_waits_for_a_stopped_process_ends(root, backend):
    """With an error, and in bounded time: reader, writer, remover, sweep."""
    store = FileStore(
        root, backend=backend, lock_timeout=0.2, sweep_interval=0
    )
    ws = WebSession(store, 0, 3600)
    sid = ws.newSession()
    path = file_of(root, sid)
    # Torn, so that a reader needs the lock too.
    path.write_bytes(path.read_bytes()[:512] + b"torn")
    os.utime(path, (0, 0))
    ready = root / ".ready"

    def hold():
        fd = os.open(path, os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        ready.touch()
        signal.pause()

    holder = Child(hold)
    until(ready.exists)
    holder.kill(signal.SIGSTOP)

    def busy(call):
        try:
            return call()
        except Exception as error:
            return type(error).__name__

    waiters = [
        Child(busy, lambda: ws.retrieveSession(sid)),
        Child(busy, lambda: ws.storeSession(sid, "new")),
        Child(busy, lambda: ws.deleteSession(sid)),
        Child(busy, ws.cleanUp),
    ]
    try:
        deadline = time.monotonic() + 60
        for child in waiters:
            while (
                os.waitid(
                    os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
                )
                is None
            ):
                assert time.monotonic() < deadline, "it waits for ever"
                time.sleep(0.01)
        found = [child.result() for child in waiters]
        assert found == ["SessionBusy"] * 3 + [0]
    finally:
        for child in [holder, *waiters]:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()


def test_who_cannot_wait_for_a_writer_need_not(root, backend):
    """Whatever is remembered of the session."""
    store = FileStore(root, backend=backend, lock_timeout=30, sweep_interval=0)
    ws = WebSession(store, crossCheckVars=())
    sid = ws.newSession(data=1)
    version = ws.readSession(sid).version
    fresh = WebSession(
        FileStore(root, backend=backend, sweep_interval=0), crossCheckVars=()
    )
    with stopped_writer(root, sid):
        for each in ws, fresh:
            with pytest.raises(SessionBusy):
                each.readSession(sid, timeout=0)
            with pytest.raises(SessionBusy):
                each.replaceSession(sid, 2, version, timeout=0)
    assert ws.readSession(sid, timeout=0).data == 1


def test_no_program_inherits_the_file_of_a_session(root, backend):
    """One that a thread starts while another one waits for a lock."""
    store = FileStore(root, backend=backend, sweep_interval=0)
    ws = WebSession(store, 0, 3600)
    sid = ws.newSession()
    path = file_of(root, sid)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        thread = threading.Thread(target=ws.storeSession, args=(sid, "new"))
        thread.start()

        def opened():
            links = os.listdir("/proc/self/fd")
            found = 0
            for fd in links:
                with contextlib.suppress(OSError):
                    found += os.readlink(f"/proc/self/fd/{fd}") == str(path)
            return found

        until(lambda: opened() == 2)
        listed = subprocess.run(
            ["ls", "-l", "/proc/self/fd"],
            close_fds=False,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        fcntl.flock(file, fcntl.LOCK_UN)
        thread.join()
    assert str(root) not in listed
    assert ws.retrieveSession(sid) == "new"


@pytest.mark.root
def test_a_file_that_another_user_lets_read_is_not_touched(tmp_path, module):
    """Opening it without noting when it was read is not for everybody."""
    if os.geteuid() != 0:
        missing("the right to become another user (root)")
    path = tmp_path / "session"
    where = put(path)
    path.chmod(0o644)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == 0 and "pytest" in str(parent):
            parent.chmod(0o755)

    def as_nobody(number):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(UnsafeStore):
            module.read(where, NAME, 0.0)

    Child(as_nobody, 0).result()
