"""
A full disk, a read-only mount, a directory that lost its permissions: a clear
error, and the old state intact. Mounting and becoming another user need root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys

import filelock  # noqa: F401  another user may not be able to read it
import pytest

from machine import missing
from mounting import mounted
from support import Child, file_of, open_descriptors, session_files
from websession import (
    FileStore,
    InvalidSessionId,
    SessionStoreError,
    WebSession,
)
from websession.admin.inspector import Inspector
from websession.ids import handle

# What makes a file system in a file, of how many MiB, and where it is full: of
# data, or of names.
DISKS = {
    "btrfs": (["mkfs.btrfs", "-q", "-m", "single", "-d", "single"], 48),
    "ext4": (["mkfs.ext4", "-q", "-m", "0", "-N", "1000"], 8),
    "ext4 without inodes": (["mkfs.ext4", "-q", "-m", "0", "-N", "64"], 8),
    "tmpfs": (None, 0),
    "tmpfs without inodes": (None, 0),
}


@pytest.fixture(params=DISKS)
def disk(request, tmp_path):
    """A small file system."""
    command, size = DISKS[request.param]
    place = tmp_path / "disk"
    if command is None:
        count = 40 if request.param.endswith("inodes") else 4000
        with mounted(place, f"size=1m,mode=700,nr_inodes={count}"):
            yield place
        return
    if shutil.which(command[0]) is None:
        missing(command[0])
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(size << 20)
    subprocess.run([*command, image], check=True, stderr=subprocess.DEVNULL)
    with mounted(place, "loop", request.param.split()[0], image):
        place.chmod(0o700)
        yield place


def fill(path):
    """Takes all the space that is left."""
    with open(path, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))


def written_out(disk):
    subprocess.run(["sync", "-f", disk], check=True)


def exhaust(disk):
    """Takes all that is left, names too, until nothing more can be made."""
    filler = disk / "filler"
    filler.mkdir()
    number = 0
    # Again, since what is written out takes less, or more, than was thought.
    for _ in range(4):
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    with open(filler / f"{number}", "wb", 0) as file:
                        number += 1
                        # Nothing that a file system would compress.
                        if file.write(os.urandom(size)) < size:
                            break
        for size in (3900, 1):
            with contextlib.suppress(OSError):
                while True:
                    (filler / f"{number}").symlink_to("x" * size)
                    number += 1
        written_out(disk)
    return filler


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
        # No file whose first write found no room is left.
        files = session_files(disk / "s")
        assert len(files) == len(ws.listSessions())
        ws.storeSession(sid, "small things still fit in place")
        assert ws.retrieveSession(sid) == "small things still fit in place"
        assert open_descriptors() == before
        (disk / "filler").unlink()
        ws.storeSession(sid, "y" * 200_000)
        assert ws.retrieveSession(sid) == "y" * 200_000
        assert ws.countSessions() == len(ws.listSessions())


@contextlib.contextmanager
def no_room():
    """It works, or says that the disk is full."""
    try:
        yield
    except SessionStoreError as error:
        if error.errno != errno.ENOSPC:
            raise


class Full:
    """
    A store on a full disk, with sessions that have a time of their own.

    Attributes:
        old: IDs of sessions that are over.
        new: those of sessions in force.
    """

    def __init__(self, disk, backend, clock, **options):
        options = {"sweep_interval": 0, "shards": 16, **options}
        self.clock = clock
        store = FileStore(disk / "s", backend=backend, **options)
        self.ws = WebSession(store, 0, 100, maxSessionCount=500, clock=clock)
        # As many as make each directory that there will ever be.
        self.old = [self.ws.newSession() for _ in range(8)]
        clock.move(200)
        self.new = [self.ws.newSession() for _ in range(8)]
        written_out(disk)
        self.filler = exhaust(disk)

    def empty(self):
        shutil.rmtree(self.filler)
        written_out(self.filler.parent)


@pytest.mark.root
@pytest.mark.parametrize("durability", ["none", "full"])
def test_a_log_out_works_on_a_full_disk(disk, backend, clock, durability):
    full = Full(disk, backend, clock, durability=durability)
    ws, new = full.ws, full.new
    before = open_descriptors()
    for sid in new[:4]:
        ws.deleteSession(sid)
        with pytest.raises(InvalidSessionId):
            ws.retrieveSession(sid)
    # Never too few: the limit holds.
    there = len(ws.listSessions())
    assert there == 12
    assert there <= ws.countSessions() <= 16
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(full.old[0])
    for sid in new[4:]:
        # In place, or as the copy that it is on btrfs.
        with no_room():
            ws.touchSession(sid)
        assert ws.retrieveSession(sid) == "_created_"
    assert open_descriptors() == before
    full.empty()
    ws.newSession()
    ws.cleanUp()
    assert ws.countSessions() == len(ws.listSessions()) == 5


@pytest.mark.root
def test_a_full_disk_is_cleaned_up(disk, backend, clock, root):
    full = Full(disk, backend, clock)
    before = open_descriptors()
    # What nobody has needed so far cannot be made now.
    shutil.rmtree(disk / "s" / ".locks")
    assert full.ws.cleanUp() == 8
    assert len(full.ws.listSessions()) == 8
    assert full.ws.cleanUp() == 0
    assert open_descriptors() == before
    full.empty()
    full.ws.cleanUp()
    assert full.ws.countSessions() == 8
    assert Inspector(disk / "s").sweep_note().last.live == 8


@pytest.mark.root
def test_new_sessions_sweep_a_full_disk(disk, backend, clock, caplog):
    """By slices, which go on where the last one stopped all the same."""
    options = {"sweep_interval": 1e6, "sweep_budget": 1e-9}
    full = Full(disk, backend, clock)
    store = FileStore(disk / "s", backend=backend, **options)
    ws = WebSession(store, 0, 100, clock=clock)
    # A slice for each of 16 directories, and rests: one of a slow disk's is
    # more than a second.
    for _ in range(60):
        with no_room():
            full.new.append(ws.newSession())
        clock.move(1)
    assert len(full.ws.listSessions()) == len(full.new)
    said = [line for line in caplog.messages if "cannot be noted" in line]
    assert len(said) <= 1


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
        shutil.rmtree(root / ".locks")
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


# In an interpreter that has loaded no more than it had to: importing needs
# descriptors, too.
WITHOUT_DESCRIPTORS = """
import os, resource, sys
from websession import FileStore, SessionStoreError, WebSession
root, backend, spare = sys.argv[1], sys.argv[2], int(sys.argv[3])

def calls(ws, sid):
    store = ws.sessiondict
    return {
        "FileStore": lambda: FileStore(
            store.path, backend="python", serializer="json"
        ),
        "newSession": ws.newSession,
        "storeSession": lambda: ws.storeSession(sid, "new"),
        "retrieveSession": lambda: ws.retrieveSession(sid),
        "readSession": lambda: ws.readSession(sid),
        "touchSession": lambda: ws.touchSession(sid),
        "replaceSession": lambda: ws.replaceSession(sid, "new", b"v" * 64),
        "updateSession": lambda: ws.updateSession(sid, str),
        "deleteSession": lambda: ws.deleteSession(sid),
        "regenerateSession": lambda: ws.regenerateSession(sid),
        "with grace": lambda: ws.regenerateSession(sid, grace=10),
        "lockSession": lambda: ws.lockSession(sid).__enter__(),
        "cleanUp": ws.cleanUp,
        "countSessions": ws.countSessions,
        "listSessions": ws.listSessions,
        "store[]": lambda: store[sid],
        "in store": lambda: sid in store,
        "len(store)": lambda: len(store),
    }

def attempt(limit, name):
    place = f"{root}/{limit}-{name}"
    store = FileStore(place, backend=backend, sweep_interval=0, shards=16)
    ws = WebSession(store, 0, 3600, maxSessionCount=limit)
    call = calls(ws, ws.newSession())[name]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        for fd in taken[:spare]:
            os.close(fd)
    try:
        call()
        said = "well" if spare else "it went well without descriptors"
    except SessionStoreError as error:
        said = "well" if error.errno == 24 else repr(error)
    except BaseException as error:
        said = repr(error)
    for fd in taken[spare:]:
        os.close(fd)
    try:
        call()
    except KeyError:
        pass
    return said

for limit in (None, 50):
    for name in calls(WebSession({}), ""):
        if os.fork() == 0:
            said = "died"
            try:
                said = attempt(limit, name)
            except BaseException as error:
                said = f"afterwards: {error!r}"
            finally:
                if said != "well":
                    os.write(1, f"{limit} {name}: {said}\\n".encode())
                os._exit(0)
        os.wait()
"""


@pytest.mark.parametrize("spare", [0, 1, 2, 3])
def test_without_descriptors_every_method_raises_a_store_error(
    tmp_path, backend, spare
):
    command = [sys.executable, "-c", WITHOUT_DESCRIPTORS, tmp_path]
    done = subprocess.run(
        [*command, backend, str(spare)], stdout=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_list_says_that_it_is_not_whole(tmp_path, backend):
    """A file that cannot be opened now is not one that is not there."""

    class Drawn(WebSession):
        def _generateSessionID(self, maxtry=1):
            while True:
                sid = super()._generateSessionID(maxtry)
                if handle(sid).startswith(b"f"):
                    return sid

    store = FileStore(tmp_path / "s", backend=backend, shards=16)
    ws = Drawn(store)
    for _ in range(3):
        ws.newSession()

    def rest():
        entries = store.entries()
        next(entries)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, 1))
        with pytest.raises(SessionStoreError) as caught:
            list(entries)
        return caught.value.errno

    assert Child(rest).result() == errno.EMFILE


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
