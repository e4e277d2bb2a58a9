"""
Is everything in a store as it should be? Each file is looked at without a
lock first; what seems wrong is looked at again under the lock of the session,
so that what others are doing meanwhile is no finding.
"""

from __future__ import annotations

import os
import time
from fcntl import LOCK_EX
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, NamedTuple

from ..disk.plain.files import File, Outcome
from ..disk.private import TEMPORARY
from ..disk.root import COUNT, DAMAGED, KEY, LOCKS, MARKER, UNTRACKED
from ..engine import DamagedFile
from ..exceptions import CorruptData, SessionStoreError
from ..record import MODE_SUPERSEDED, is_superseded, right_mode, stored_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .inspector import Inspector

__all__ = ["KINDS", "Finding", "Verifier"]

KINDS = (
    FORGED,
    DAMAGED_FILE,
    NO_KEY,
    OWNER,
    UNREADABLE,
    MODE,
    KIND,
    COUNTED,
    MARK,
    TIME,
    STRAY,
    LEFT,
) = (
    "not authentic",
    "damaged",
    "without a key",
    "of another user",
    "not to be read",
    "with a wrong mode",
    "not a file, or not a directory",
    "wrongly counted",
    "wrongly marked as superseded",
    "with a wrong time",
    "not of the store",
    "left behind by a crash",
)
"""What a finding is about, the worst first."""

_HEX = frozenset("0123456789abcdef")
_ABANDONED_AFTER = 3600.0
# What a file's time may differ from the record's: other clocks, coarse ones.
_TIME_SLACK = 2.0
_LATEST = 1e11


class Finding(NamedTuple):
    """
    Something that is not as it should be.

    Attributes:
        path: of what, below the store.
        kind: one of `KINDS`.
        what: is wrong.
        repair: what `Verifier` does about it; empty: nothing can be done by
            machine, and `what` says what to do.
        done: whether that was done.
    """

    path: str
    kind: str
    what: str
    repair: str = ""
    done: bool = False


class Verifier:
    """
    Goes through a store once.

    Args:
        store: to be verified.
        repair: put right what can be put right. Nothing is destroyed:
            unreadable sessions are moved to ``.damaged/``.

    Attributes:
        sessions: how many good sessions were seen.
        without_key: why no MAC could be checked, or None.
    """

    def __init__(self, store: Inspector, repair: bool) -> None:
        self._store = store
        self._layout = store.layout
        self._repair = repair
        self.sessions = 0
        self.without_key: str | None = None

    def findings(self) -> Iterator[Finding | int]:
        """Each finding, and after each shard the number of shards done."""
        around = list(self._root())
        yield from around
        try:
            self._layout.keyring  # noqa: B018  # is it there at all?
        except SessionStoreError as error:
            self.without_key = str(error)
            has_own = self._layout.marker[b"key"] == b"application"
            if not has_own and all(each.path != ".key" for each in around):
                yield Finding(".key", NO_KEY, str(error))
        for number in range(self._layout.shards):
            yield from self._shard(number)
            yield number + 1

    def _found(
        self, path: bytes, kind: str, what: str, repair: str = ""
    ) -> Finding:
        """A finding that has just been repaired, if that was asked for."""
        below = os.path.relpath(path, self._layout.root)
        done = bool(repair) and self._repair
        return Finding(os.fsdecode(below), kind, what, repair, done)

    # Around the sessions

    def _root(self) -> Iterator[Finding]:
        layout = self._layout
        shards = {layout.prefix(number) for number in range(layout.shards)}
        for name in os.listdir(layout.root):
            path = layout.join(name)
            if name in shards or name in (LOCKS, DAMAGED):
                yield from self._private(path, S_ISDIR, 0o700)
            elif name in (MARKER, KEY, COUNT):
                yield from self._private(path, S_ISREG, 0o600)
            elif name.startswith(TEMPORARY):
                yield from self._temporary(path)
            elif name != UNTRACKED and not name.startswith(
                (b".bench-", b".doctor-")
            ):
                yield self._found(path, STRAY, "does not belong to the store")
        for directory in (LOCKS, DAMAGED):
            yield from self._notes(layout.join(directory))

    def _notes(self, directory: bytes) -> Iterator[Finding]:
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            path = os.path.join(directory, name)
            yield from self._private(path, S_ISREG, 0o600, 0o700)

    def _private(
        self, path: bytes, is_kind: object, mode: int, other: int = 0
    ) -> Iterator[Finding]:
        """
        Finds what is wrong with a file of the store: it must be of this kind,
        of this user, and have one of the two modes.
        """
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return
        kind = "directory" if is_kind is S_ISDIR else "regular file"
        if not is_kind(info.st_mode):  # type: ignore[operator]
            yield self._found(path, KIND, f"is not a {kind}: move it away")
        elif info.st_uid != os.geteuid():
            yield self._found(
                path,
                OWNER,
                f"belongs to user {info.st_uid}: chown it to the owner",
            )
        elif info.st_mode & 0o777 not in (mode, other):
            if self._repair:
                os.chmod(path, mode)
            yield self._found(
                path,
                MODE,
                f"has mode {info.st_mode & 0o777:03o}",
                f"chmod {mode:03o}",
            )

    def _temporary(self, path: bytes) -> Iterator[Finding]:
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return
        if time.time() - info.st_ctime > _ABANDONED_AFTER:
            if self._repair:
                os.unlink(path)
            yield self._found(
                path,
                LEFT,
                "was left behind by a process that crashed",
                "remove it",
            )

    # Sessions

    def _shard(self, number: int) -> Iterator[Finding]:
        layout = self._layout
        prefix = layout.prefix(number)
        directory = layout.join(prefix)
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            names = []
        except OSError as error:
            yield self._found(
                directory, UNREADABLE, f"cannot be read: {error.strerror}"
            )
            return
        for file in names:
            path = directory + b"/" + file
            text = os.fsdecode(file)
            if len(prefix + file) == 32 and _HEX.issuperset(text):
                yield from self._session(path, prefix + file)
            else:
                yield self._found(path, STRAY, "is not a session")
        yield from self._count(number)

    def _session(self, path: bytes, name: bytes) -> Iterator[Finding]:
        engine = self._store.engine
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return
        if not S_ISREG(info.st_mode):
            yield self._found(
                path, KIND, "is not a regular file: move it away"
            )
            return
        if info.st_uid != os.geteuid():
            yield self._found(
                path,
                OWNER,
                f"belongs to user {info.st_uid}: chown it to the owner",
            )
            return
        if info.st_size == 0:
            yield from self._empty(path, name, info)
            return
        try:
            raw = engine.inspect(engine.address(name))
        except DamagedFile:
            yield from self._unreadable(path, name)
            return
        except (CorruptData, SessionStoreError) as error:
            yield self._found(path, UNREADABLE, str(error))
            return
        if raw is None:
            return
        if self.without_key is None and not self._layout.keyring.verifies(
            name, raw
        ):
            yield self._found(
                path,
                FORGED,
                "is not authentic: written with another secret, or by "
                "somebody else; delete it, or add its secret",
            )
            return
        self.sessions += 1
        if self._attributes(info, raw):
            yield from self._attributes_locked(path, name)

    def _empty(
        self, path: bytes, name: bytes, info: os.stat_result
    ) -> Iterator[Finding]:
        if time.time() - info.st_ctime <= _ABANDONED_AFTER:
            return  # somebody is about to fill it
        if self._repair and not self._store.delete_empty(
            name, _ABANDONED_AFTER
        ):
            return
        yield self._found(
            path, LEFT, "is empty: whoever was to fill it crashed", "remove it"
        )

    def _unreadable(self, path: bytes, name: bytes) -> Iterator[Finding]:
        if self._repair:
            engine = self._store.engine
            engine.quarantine(engine.address(name))
            if os.path.lexists(path):
                yield self._found(
                    path, DAMAGED_FILE, "is damaged, and cannot be moved"
                )
                return
        yield self._found(
            path,
            DAMAGED_FILE,
            "is damaged: no part of it is readable",
            "move to .damaged/",
        )

    def _attributes(
        self, info: os.stat_result, raw: bytes
    ) -> list[tuple[str, str, str]]:
        """What is wrong with mode and time of a file, and what to do."""
        found = []
        mode, superseded = info.st_mode & 0o777, is_superseded(raw)
        right = right_mode(raw)
        if mode & ~MODE_SUPERSEDED != 0o600:
            found.append((MODE, f"has mode {mode:03o}", f"chmod {right:03o}"))
        elif bool(mode & MODE_SUPERSEDED) != superseded:
            what = "is not marked as superseded, and is"
            if not superseded:
                what = "is marked as superseded, and is not"
            found.append((MARK, what, f"chmod {right:03o}"))
        stored = stored_at(raw)
        if abs(stored) < _LATEST and abs(info.st_mtime - stored) > _TIME_SLACK:
            found.append(
                (
                    TIME,
                    "has another modification time than its record",
                    "set it",
                )
            )
        return found

    def _attributes_locked(
        self, path: bytes, name: bytes
    ) -> Iterator[Finding]:
        """
        Looks at mode and time of a file under its lock, and puts
        them right if that was asked for.
        """
        try:
            with File(path, os.O_RDONLY) as file:
                file.lock(LOCK_EX, self._store.engine.timeout)
                info = file.check()
                if not file.is_named(path):
                    return
                raw = file.scan_locked(name).raw
                found = self._attributes(info, raw)
                if found and self._repair:
                    os.fchmod(file.fd, right_mode(raw))
                    stored = stored_at(raw)
                    if abs(stored) < _LATEST:
                        os.utime(file.fd, (stored, stored))
        except (Outcome, FileNotFoundError):
            return  # gone, or busy: it will be looked at the next time
        for kind, what, repair in found:
            yield self._found(path, kind, what, repair)

    def _count(self, number: int) -> Iterator[Finding]:
        noted, there = self._store.engine.sessions.audit(number, self._repair)
        if noted != there:
            yield self._found(
                self._layout.join(COUNT),
                COUNTED,
                f"says {noted} sessions in directory "
                f"{self._layout.prefix(number).decode()}, there are {there}",
                "correct it",
            )
