"""
Directories and small files that nobody else can reach into: checking them,
and making them so that a crash or a second process sees all or nothing.
"""

from __future__ import annotations

import os
from errno import EACCES, ENOTDIR
from stat import S_ISDIR, S_ISREG, S_ISVTX, S_IWOTH

from ..exceptions import SessionStoreError, UnsafeStore, printable

__all__ = [
    "TEMPORARY",
    "check_above",
    "check_directory",
    "check_way",
    "is_there",
    "make_directory",
    "make_file",
    "mount_of",
    "network_type",
    "open_note",
    "read_file",
    "sync_directory",
    "user_name",
]

TEMPORARY = b".new-"
_LONGEST_FILE = 4096
NETWORK_TYPES = frozenset(
    b"nfs nfs4 cifs smb3 smbfs 9p afs ceph lustre gfs2 ocfs2 coda ncpfs "
    b"fuse.sshfs fuse.glusterfs fuse.s3fs fuse.rclone fuse.cephfs".split()
)


def mount_of(root: bytes) -> tuple[str, str, str]:
    """
    The mount that `root` lies on: where, the type of the file system, and its
    options; question marks if the system does not tell.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    best, found = -1, (b"?", b"?", b"")
    for line in lines:
        left, _, right = line.partition(b" - ")
        _, _, _, _, point, point_options, *_ = left.split(b" ")
        for escaped in (b"\\040", b"\\011", b"\\012", b"\\134"):
            point = point.replace(escaped, bytes([int(escaped[1:], 8)]))
        inside = root == point or root.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= best:
            best = len(point)
            found = point, right.split(b" ")[0], point_options
    where, kind, options = (part.decode("utf-8", "replace") for part in found)
    return where, kind, options


def network_type(root: bytes) -> str | None:
    """The type of the network file system that `root` lies on, or None."""
    kind = mount_of(root)[1]
    return kind if kind.encode("utf-8") in NETWORK_TYPES else None


def make_directory(path: bytes) -> None:
    """Makes a missing directory, with mode 0700 whatever the umask."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    if os.stat(path).st_mode & 0o777 != 0o700:
        os.chmod(path, 0o700)


def sync_directory(path: bytes) -> None:
    """Makes the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def user_name(number: int) -> str:
    """What a user is called; the number, if the system has no name for it."""
    from pwd import getpwuid

    try:
        return getpwuid(number).pw_name
    except KeyError:
        return str(number)


def belongs(info: os.stat_result) -> str:
    """Whose a file is, and who is not that user."""
    owner, me = user_name(info.st_uid), user_name(os.geteuid())
    return f"belongs to user {owner}, this process runs as {me}"


def _run_as(info: os.stat_result) -> str:
    """How to do the same as the owner."""
    owner = user_name(info.st_uid)
    if owner.isdigit():  # no command takes it by name
        return f"run it as user {owner}"
    command = f"sudo -u {owner} ..."
    if os.geteuid() == 0:
        command = f"runuser -u {owner} -- ..."
    return f"run it as {owner} ({command})"


def check_way(root: bytes) -> None:
    """
    Raises `UnsafeStore` if a directory on the way, or this one, is another
    user's and closed to this one, who cannot see what is in it.
    """
    above = os.path.dirname(root)
    if above != root:
        check_way(above)
    try:
        info = os.stat(root)
    except (FileNotFoundError, NotADirectoryError):
        return
    may_enter = os.access(root, os.X_OK, effective_ids=True)
    if S_ISDIR(info.st_mode) and not may_enter and info.st_uid != os.geteuid():
        shown = printable(os.fsdecode(root))
        raise UnsafeStore(f"{shown} {belongs(info)}: {_run_as(info)}")


def check_directory(root: bytes) -> None:
    """
    Raises unless only this user can reach into a directory.

    Raises:
        UnsafeStore: it belongs to another user, is open to others, or can be
            replaced by anybody; the message says what to do.
        SessionStoreError: it is no directory.
    """
    shown = printable(os.fsdecode(root))
    info = os.lstat(root)
    if not S_ISDIR(info.st_mode):
        raise SessionStoreError(ENOTDIR, "not a directory", os.fsdecode(root))
    if info.st_uid != os.geteuid():
        advice = "use another directory"
        if os.geteuid() != 0 and _is_for_sessions(root):
            me = user_name(os.geteuid())
            advice = f"let root give it to {me} (chown -R {me} {shown})"
        raise UnsafeStore(
            f"{shown} {belongs(info)}: {_run_as(info)}, or {advice}"
        )
    if info.st_mode & 0o077:
        advice = f"use a new directory, like {shown}/sessions"
        if _is_for_sessions(root):
            advice = f"chmod 700 {shown}"
        raise UnsafeStore(
            f"{shown} is open to other users "
            f"(mode {info.st_mode & 0o777:03o}): {advice}"
        )
    check_above(root)


def check_above(root: bytes) -> None:
    """Raises `UnsafeStore` if anybody can replace what is or will be there."""
    shown = printable(os.fsdecode(root))
    parent = root
    while parent not in (b"/", b"//"):
        parent = os.path.dirname(parent)
        mode = os.stat(parent).st_mode
        if mode & S_IWOTH and not mode & S_ISVTX:
            above = printable(os.fsdecode(parent))
            raise UnsafeStore(
                f"anybody can replace {shown}, since {above} is writable by "
                f"all without the sticky bit: chmod o-w {above}, or use "
                "another directory"
            )


def _is_for_sessions(root: bytes) -> bool:
    """Whether nothing else is in a directory, which others may need."""
    try:
        names = os.listdir(root)
    except OSError:
        return True  # nobody else sees what is in it
    return not names or b".websession" in names


def make_file(path: bytes, content: bytes) -> None:
    """
    Makes a file that is complete when it appears; nothing if it is there.

    O_EXCL and then writing would let a second process read half of it.
    """
    temporary = os.path.join(
        os.path.dirname(path), TEMPORARY + os.urandom(8).hex().encode()
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600)
    try:
        try:
            os.fchmod(fd, 0o600)
            left = memoryview(content)
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
    sync_directory(os.path.dirname(path))


def open_note(path: bytes, flags: int) -> int:
    """A descriptor of a small file with mode 0600; never waits for a pipe."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        os.fchmod(fd, 0o600)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_there(path: bytes) -> bool:
    """Whether a path leads to anything, as far as this user can see."""
    return os.access(path, os.F_OK, effective_ids=True, follow_symlinks=False)


def _check_file(path: bytes, info: os.stat_result) -> None:
    """Raises unless a file of the store is this user's alone."""
    shown = printable(os.fsdecode(path))
    directory = os.path.dirname(shown)
    if not S_ISREG(info.st_mode):
        raise UnsafeStore(f"{shown} is not a regular file")
    if info.st_uid != os.geteuid():
        me = user_name(os.geteuid())
        raise UnsafeStore(
            f"{shown} {belongs(info)}, who owns the directory: let root "
            f"give all of it to {me} (chown -R {me} {directory})"
        )
    if info.st_mode & 0o077:
        raise UnsafeStore(
            f"{shown} is open to other users (mode {info.st_mode & 0o777:03o})"
            f": chmod -R go= {directory}"
        )


def read_file(path: bytes) -> bytes | None:
    """A small file of the store, checked to be ours; None if missing."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == EACCES:
            _check_file(path, os.lstat(path))
        raise SessionStoreError(
            error.errno, error.strerror, os.fsdecode(path)
        ) from error
    try:
        _check_file(path, os.fstat(fd))
        raw = b""
        while len(raw) < _LONGEST_FILE and (
            part := os.read(fd, _LONGEST_FILE - len(raw))
        ):
            raw += part
        return raw
    finally:
        os.close(fd)
