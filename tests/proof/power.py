"""
What a disk may hold after the power failed: the recorded writes of a history,
of which each unsynced sector may have reached the disk or not.

Sectors are written whole, in any order; a file may have its old length or a
new one, and what was never written within it is zero. `fdatasync` makes all
earlier writes to a file durable, and with them its name (as ext4 and XFS do
for a new file); `fsync` of a directory makes names durable. These are the
assumptions of csrc/FORMAT.md, and no others. A *strict* disk makes no name
durable but for its directory, as POSIX has it.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import tempfile
from pathlib import Path

from injection import Attempt

__all__ = ["Disk", "record"]

TRACED = (
    "openat,write,pwrite64,pwritev,fallocate,fdatasync,fsync,unlink,"
    "unlinkat,ftruncate,rename,link,linkat,mkdir,sched_yield"
)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PATH = re.compile(r"^\w+\((?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)")


def _bytes(text):
    return bytes.fromhex(text.replace("\\x", ""))


def _event(line):
    """What a line of the trace says: (what, path, offset, content)."""
    call, _, result = line.rpartition(" = ")
    if result.startswith("-1"):
        return None
    name = call.partition("(")[0]
    strings = [_bytes(text) for text in _STRING.findall(call)]
    if name == "openat" and "O_CREAT" in call:
        return ("create", strings[0], 0, b"")
    if name in ("unlink", "unlinkat"):
        return ("remove", strings[0], 0, b"")
    if name == "mkdir":
        return ("make", strings[0], 0, b"")
    if name in ("link", "linkat"):
        return ("link", strings[1], 0, strings[0])
    found = _PATH.match(call)
    path = _bytes(found[1]) if found else b""
    if name in ("fdatasync", "fsync"):
        return ("sync", path, 0, b"")
    if name == "fallocate":
        assert "FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE" in call, line
        offset, length = map(int, call.rstrip(")").split(", ")[2:])
        return ("write", path, offset, bytes(length))
    if name == "write":
        return ("write", path, None, strings[0])
    if name in ("pwrite64", "pwritev"):
        offset = int(call.rpartition(", ")[2].rstrip(")"))
        content = b"".join(strings)
        assert len(content) == int(result), line
        return ("write", path, offset, content)
    assert name not in ("ftruncate", "rename"), line
    return None


def record(operation):
    """
    The events of a function that calls `os.sched_yield` after each step: a
    list of (what, path, offset, content), with ("step", b"", 0, b"") between.
    An offset of None is the end; the content of a link is the old name.
    """
    with tempfile.NamedTemporaryFile("r") as log:
        attempt = Attempt(
            operation,
            *("-o", log.name, "-y", "-xx", "-s", "4000000"),
            *("-e", f"trace={TRACED}"),
        )
        assert attempt.error is None, attempt.error[2]
        lines = Path(log.name).read_text().splitlines()
    events = []
    for line in lines:
        if line.startswith("sched_yield"):
            events.append(("step", b"", 0, b""))
        elif " = " in line and not line.startswith(("---", "+++")):
            event = _event(line)
            if event is not None:
                events.append(event)
    # The first and the last mark are those of `Attempt`.
    return events[1:-1]


class Disk:
    """
    The files of a store on a disk, as far as they are durable, and what is
    under way to it.

    Args:
        files: the durable content of each, by path.
        sector: bytes that are written whole.
        strict: no name is durable but for its directory.
    """

    def __init__(self, files, sector, strict=False):
        self.sector = sector
        self.strict = strict
        # By path, which of these a name leads to.
        self.names = {path: number for number, path in enumerate(files)}
        self.durable = list(files.values())
        self.pending = [[] for _ in files]
        # Names that were made or removed and may not be so on the disk.
        self.loose = {}

    def apply(self, event):
        what, path, offset, content = event
        if what == "write" and path in self.names:
            if offset is None:
                offset = len(self.now(path))
            self.pending[self.names[path]].append((offset, content))
        elif what == "create" and path not in self.names:
            self.names[path] = len(self.durable)
            self.durable.append(b"")
            self.pending.append([])
            self.loose[path] = "made"
        elif what == "link":
            self.names[path] = self.names[content]
            self.loose[path] = "made"
        elif what == "make":
            self.loose[path] = "made"
        elif what == "remove" and path in self.names:
            self.loose[path] = "removed"
        elif what == "sync" and path in self.names:
            number = self.names[path]
            self.durable[number] = self.now(path)
            self.pending[number] = []
            if not self.strict:
                self._sync_names(path, os.path.dirname(path))
        elif what == "sync":
            self._sync_names(
                *(name for name in self.loose if os.path.dirname(name) == path)
            )

    def _sync_names(self, *paths):
        for path in paths:
            if self.loose.get(path) == "made":
                del self.loose[path]
            elif path in self.loose:
                del self.loose[path], self.names[path]

    def is_synced(self, path):
        """Whether nothing is under way to its content."""
        return not self.pending[self.names[path]]

    def may_be_missing(self, path):
        """Whether the name is one that the disk may have forgotten."""
        return path in self.loose or os.path.dirname(path) in self.loose

    def now(self, path):
        """What a process reads there before the power fails."""
        number = self.names[path]
        content = self.durable[number]
        for offset, new in self.pending[number]:
            content = _over(content, offset, new)
        return content

    def _versions(self, path):
        """For each sector its possible contents; and the possible lengths."""
        durable = content = self.durable[self.names[path]]
        lengths, sectors = {len(content)}, {}
        for offset, new in self.pending[self.names[path]]:
            content = _over(content, offset, new)
            lengths.add(len(content))
            end = offset + len(new)
            for at in range(offset - offset % self.sector, end, self.sector):
                old = durable[at : at + self.sector]
                known = sectors.setdefault(at, [old.ljust(self.sector, b"\0")])
                latest = content[at : at + self.sector]
                known.append(latest.ljust(self.sector, b"\0"))
        return {
            at: list(dict.fromkeys(sectors[at])) for at in sectors
        }, sorted(lengths)

    def states(self, path, most, rng=None):
        """
        The contents that a file may have after the power failed; None: no
        such file. All of them, or `most` drawn at random.
        """
        rng = rng or random.Random(1)
        if path not in self.names or self.may_be_missing(path):
            yield None
        if path not in self.names:
            return
        sectors, lengths = self._versions(path)
        total = len(lengths)
        for known in sectors.values():
            total *= len(known)
        if total <= most:
            choices = itertools.product(lengths, *sectors.values())
        else:
            choices = (
                (rng.choice(lengths), *map(rng.choice, sectors.values()))
                for _ in range(most)
            )
        for length, *chosen in choices:
            content = self.durable[self.names[path]]
            for at, sector in zip(sectors, chosen, strict=True):
                content = _over(content, at, sector)
            yield content[:length].ljust(length, b"\0")


def _over(content, offset, new):
    """The content with something written over it."""
    start = content[:offset].ljust(offset, b"\0")
    return start + new + content[offset + len(new) :]
