"""
A full disk, a read-only mount, a directory that lost its permissions: a clear
error, and the old state intact. Mounting and becoming another user need root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess

import pytest

from conftest import missing
from support import Child, file_of, open_descriptors
from websession import FileStore, SessionStoreError, WebSession


@contextlib.contextmanager
def mounted(path, options):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(path)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        missing("the right to mount a tmpfs (root)")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path):
    """Takes all the space that is left."""
    with open(path, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))


@pytest.mark.root
@pytest.mark.parametrize("limit", [None, 500])
def test_a_full_disk_loses_nothing_and_says_so(tmp_path, backend, limit):
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m,mode=700"):
        store = FileStore(disk / "s", backend=backend, sweep_interval=0)
        ws = WebSession(store, maxSessionCount=limit)
        sid = ws.newSession()
        ws.storeSession(sid, "old")
        fill(disk / "filler")
        before = open_descriptors()
        with pytest.raises(SessionStoreError) as caught:
            ws.storeSession(sid, "x" * 200_000)
        assert caught.value.errno == errno.ENOSPC
        assert ws.retrieveSession(sid) == "old"
        with pytest.raises(SessionStoreError) as caught:
            for _ in range(300):
                ws.newSession()
        assert caught.value.errno == errno.ENOSPC
        ws.storeSession(sid, "small things still fit in place")
        assert ws.retrieveSession(sid) == "small things still fit in place"
        assert open_descriptors() == before
        (disk / "filler").unlink()
        ws.storeSession(sid, "y" * 200_000)
        assert ws.retrieveSession(sid) == "y" * 200_000
        assert ws.countSessions() == len(ws.listSessions())


@pytest.mark.root
def test_a_read_only_mount_can_still_be_read(tmp_path, backend):
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m,mode=700"):
        store = FileStore(disk / "s", backend=backend, sweep_interval=0)
        ws = WebSession(store, 0, 3600)
        sid = ws.newSession()
        remount = ["mount", "-o", "remount,ro", str(disk)]
        subprocess.run(remount, check=True)
        again = WebSession(FileStore(disk / "s", backend=backend), 0, 3600)
        assert again.retrieveSession(sid) == "_created_"
        for call in (
            lambda: again.storeSession(sid, "new"),
            lambda: again.deleteSession(sid),
            lambda: again.newSession(),
            lambda: again.lockSession(sid).__enter__(),
            lambda: again.cleanUp(),
        ):
            with pytest.raises(SessionStoreError) as caught:
                call()
            assert caught.value.errno == errno.EROFS
        assert again.retrieveSession(sid) == "_created_"


@pytest.mark.root
def test_lost_permissions_are_a_store_error_everywhere(tmp_path, backend):
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    place = tmp_path / "of-nobody"
    place.mkdir()
    os.chown(place, 65534, 65534)
    for parent in place.parents:
        if parent.name.startswith(("pytest", "test_")):
            os.chmod(parent, 0o711)

    def as_nobody(number):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        root = place / "s"
        ws = WebSession(
            FileStore(root, backend=backend, sweep_interval=0),
            0, 3600, maxSessionCount=50,
        )  # fmt: skip
        sid, other = ws.newSession(), ws.newSession()
        shard = file_of(root, sid).parent
        shard.chmod(0)
        for call in (
            lambda: ws.retrieveSession(sid),
            lambda: ws.storeSession(sid, "new"),
            lambda: ws.deleteSession(sid),
            lambda: ws.listSessions(),
        ):
            with pytest.raises(SessionStoreError) as caught:
                call()
            assert caught.value.errno == errno.EACCES
        if file_of(root, other).parent != shard:
            assert ws.retrieveSession(other) == "_created_"
        shard.chmod(0o700)
        assert ws.retrieveSession(sid) == "_created_"
        root.chmod(0o500)
        for call in (
            lambda: [ws.newSession() for _ in range(50)],
            lambda: ws.lockSession(sid).__enter__(),
        ):
            with pytest.raises(SessionStoreError) as caught:
                call()
            assert caught.value.errno == errno.EACCES
        root.chmod(0o700)
        ws.storeSession(sid, "after")
        assert ws.retrieveSession(sid) == "after"
        return True

    assert Child(as_nobody, 0).result()


def test_too_large_is_a_clear_error_and_the_old_data_stays(root, backend):
    from websession import SessionTooLarge

    store = FileStore(root, backend=backend, max_size=1000, sweep_interval=0)
    ws = WebSession(store)
    sid = ws.newSession()
    ws.storeSession(sid, "old")
    with pytest.raises(SessionTooLarge, match="the limit is 1000") as caught:
        ws.storeSession(sid, "x" * 1001)
    assert caught.value.max_size == 1000
    assert ws.retrieveSession(sid) == "old"


@pytest.mark.parametrize("size", [1 << 20, 32 << 20])
def test_the_largest_data_fits_again_and_again(root, backend, size):
    store = FileStore(root, backend=backend, max_size=size, sweep_interval=0)
    ws = WebSession(store)
    sid = ws.newSession()
    for letter in (b"a", b"b", b"c"):
        data = letter * (size - 20)
        ws.storeSession(sid, data)
        assert ws.retrieveSession(sid) == data
