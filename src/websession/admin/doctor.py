"""
Is a directory fit for sessions? What can be tried is tried, with two
processes, in a new directory inside it that is removed at the end.
"""

from __future__ import annotations

import os
import resource
import tempfile
from stat import S_ISVTX
from typing import TYPE_CHECKING

from ..disk.backend import BACKEND
from ..disk.private import (
    TEMPORARY,
    check_above,
    check_directory,
    mount_of,
    network_type,
    user_name,
)
from ..disk.root import may_be_shard
from ..exceptions import SessionStoreError, UnsafeStore
from .inspector import Inspector
from .probes import (
    ERROR,
    NOTE,
    OK,
    WARNING,
    Check,
    exclusive,
    in_place,
    locks,
    modes,
    speed,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["examine"]

_LITTLE_ROOM = 100 << 20
_FEW_FILES = 10_000
_FEW_DESCRIPTORS = 256
# What is in a directory before it is a store, if making it was cut short.
_BEFORE_A_MARKER = frozenset(
    {".key", ".locks", ".count", ".damaged", ".gitignore"}
)
# What hosts call the directories of a site.
_WEB_ROOTS = (
    "public_html", "htdocs", "httpdocs", "www", "wwwroot", "cgi-bin",
)  # fmt: skip


def examine(path: str, allow_network: bool) -> Iterator[Check]:
    """
    Looks at a directory that holds sessions, or is to.

    Args:
        path: need not exist.
        allow_network: whether the store is to be opened so.
    """
    place = top = wanted = os.path.realpath(path)
    if os.path.lexists(place) and not os.path.isdir(place):
        yield Check(ERROR, f"{place} is not a directory", "name another one")
        return
    if not os.path.isdir(place):
        while not os.path.isdir(place):
            top, place = place, os.path.dirname(place)
        yield Check(NOTE, f"{wanted} does not exist; looked at {place}")
    yield from _privacy(top)
    yield from _mount(place, allow_network)
    # By either name: ~/public_html is often a link.
    yield from _handed_out(os.path.abspath(path), wanted)
    yield from _cleaners(place)
    yield from _room(place)
    yield from _process()
    if not os.access(place, os.W_OK | os.X_OK):
        yield Check(
            ERROR,
            f"this user cannot write to {place}",
            "run it as the owner, or choose another directory",
        )
        return
    # What a umask of 0777 makes only root opens again.
    umask = os.umask(0o077)
    try:
        yield from _try_in(place, umask)
    finally:
        os.umask(umask)


def _try_in(place: str, umask: int) -> Iterator[Check]:
    try:
        directory = tempfile.TemporaryDirectory(prefix=".doctor-", dir=place)
    except OSError as error:
        yield Check(
            ERROR,
            f"nothing can be made in {place}: {error.strerror}",
            "choose another directory",
        )
        return
    with directory as scratch:
        yield from _try(scratch, umask)


def _try(scratch: str, umask: int) -> Iterator[Check]:
    for attempt in (
        locks(scratch),
        exclusive(scratch),
        in_place(scratch),
        modes(scratch, umask),
        times(scratch),
        speed(scratch),
    ):
        try:
            yield from attempt
        except UnsafeStore:
            pass  # found above
        except OSError as error:
            yield Check(
                ERROR,
                f"trying that failed: {error.strerror or error}",
                "make room, or choose another directory",
            )
            return


def _privacy(place: str) -> Iterator[Check]:
    """Who could reach into it, or replace it; would a store open here?"""
    found = [*_refusals(place), *_parents(place)]
    yield from found
    if not found:
        yield Check(OK, f"{place} and what is above it are safe from others")


def _refusals(place: str) -> Iterator[Check]:
    """What an application would be told that opens a store there."""
    path = os.fsencode(place)
    try:
        if not os.path.isdir(place):
            check_above(path)
            return
        check_directory(path)
        others = [
            name
            for name in map(os.fsdecode, os.listdir(path))
            if name not in _BEFORE_A_MARKER
            and not name.startswith(TEMPORARY.decode())
        ]
        if ".websession" in others or any(
            may_be_shard(os.fsencode(name)) for name in others
        ):
            layout = Inspector(place, allow_network=True).layout
            if layout.marker[b"key"] != b"application":
                layout.keyring  # noqa: B018  # is it there, the right one?
        elif others:
            yield Check(
                ERROR,
                f"{place} is no session store, and not empty (there is "
                f"{min(others)!r})",
                f"name a new directory, like {place}/sessions",
            )
    except SessionStoreError as error:
        what, _, advice = str(error).partition(": ")
        yield Check(ERROR, what, advice or "websession verify says more")
    except OSError:
        pass  # what is to be tried below fails, too


def _parents(place: str) -> Iterator[Check]:
    """
    Checks the directories above a store: whoever can rename one of them can
    replace the store.
    """
    above = place
    while above != "/":
        above = os.path.dirname(above)
        info = os.stat(above)
        if info.st_uid not in (0, os.geteuid()):
            yield Check(
                WARNING,
                f"{above} belongs to user {user_name(info.st_uid)}, who can "
                "replace "
                "what is in it",
                "use a directory below one of root's or of this user's",
            )
        elif info.st_mode & 0o020 and not info.st_mode & S_ISVTX:
            yield Check(
                WARNING,
                f"group {info.st_gid} can write to {above}, and replace what "
                "is in it",
                f"chmod g-w {above}, if nobody needs it",
            )


def _mount(place: str, allow_network: bool) -> Iterator[Check]:
    point, kind, options = mount_of(os.fsencode(place))
    shown = f"{kind} on {point}"
    if network_type(os.fsencode(place)) is not None:
        yield Check(
            WARNING if allow_network else ERROR,
            f"a network file system: {shown}",
            "use a directory on a disk of this machine (where there is none, "
            "ask the host for one; /var/tmp/NAME will do, if old files stay "
            "there): locks and caches of network file systems lose sessions. "
            "What is tried here is one machine; two were not tried",
        )
    elif kind in ("tmpfs", "ramfs"):
        yield Check(
            NOTE, f"in memory: {shown}", "sessions are gone after a reboot"
        )
    elif kind == "overlay":
        yield Check(
            NOTE,
            f"the layer of a container: {shown}",
            "sessions are gone with the container: mount a volume",
        )
    else:
        yield Check(OK, f"a local file system: {shown}")
    if _has_no_journal(place, kind):
        yield Check(
            WARNING,
            f"{kind} without a journal: after a power loss and its repair "
            "names may lead to other files, so that durability data and full "
            "keep nothing here",
            "unmount it and give it one (tune2fs -j DEVICE), or use another "
            "directory",
        )
    if "ro" in options.split(","):
        yield Check(
            ERROR, f"mounted read-only: {shown}", "choose another directory"
        )


def _has_no_journal(place: str, kind: str) -> bool:
    """
    Whether an ext4 file system has no journal; False also if the kernel does
    not tell.
    """
    device = os.stat(place).st_dev
    link = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
    name = os.path.basename(os.path.realpath(link))
    try:
        with open(f"/sys/fs/ext4/{name}/journal_task") as file:
            return file.read().strip() == "<none>"
    except OSError:
        return kind == "ext2"


def _handed_out(*places: str) -> Iterator[Check]:
    for place in places:
        parts = place.split("/")
        for number, part in enumerate(parts):
            if part in _WEB_ROOTS:
                yield Check(
                    WARNING,
                    f"below {'/'.join(parts[: number + 1])}, which a web "
                    "server may hand out to anybody",
                    "use a directory that no browser reaches, like "
                    "~/sessions or /var/lib/NAME",
                )
                return


def _cleaners(place: str) -> Iterator[Check]:
    for directory in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108
        if place == directory or place.startswith(directory + "/"):
            yield Check(
                WARNING,
                f"below {directory}, where programs delete old files "
                "(systemd-tmpfiles, tmpreaper, a reboot)",
                "use a directory like /var/lib/NAME or ~/sessions",
            )


def _room(place: str) -> Iterator[Check]:
    found = os.statvfs(place)
    left = found.f_bavail * found.f_frsize
    shown = f"{left >> 20:,} MiB left on the file system"
    if left < _LITTLE_ROOM:
        yield Check(WARNING, shown, "a small session takes 4 KiB: make room")
    else:
        yield Check(OK, shown)
    if found.f_files:
        shown = f"{found.f_favail:,} files (inodes) left"
        if found.f_favail < _FEW_FILES:
            yield Check(WARNING, shown, "each session is a file: make room")
        else:
            yield Check(OK, shown)


def _process() -> Iterator[Check]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FEW_DESCRIPTORS:
        yield Check(
            WARNING,
            f"{soft} open files per process (ulimit -n)",
            "a busy server needs more; sessions need one at a time",
        )
    if BACKEND == "c":
        yield Check(OK, "the module in C is in use")
    else:
        yield Check(
            NOTE,
            "the module in C is not in use",
            "with a C compiler, install again; everything works without it",
        )
