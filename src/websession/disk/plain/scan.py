"""
A look at all of a shard in plain Python: the twin of scan.c.
"""

from __future__ import annotations

import os

from ... import engine
from ...record import MODE_SUPERSEDED, VERSION
from ..walk import files_of
from .files import File, Outcome

_BLOCK = 512  # of st_blocks, whatever the file system's are


def _header(directory: bytes, name: bytes, file: bytes) -> tuple[bytes, int]:
    """Header and status of a session, without the lock."""
    try:
        with File(
            directory + b"/" + file, os.O_RDONLY, shielded=False
        ) as opened:
            if opened.size == 0:
                return b"", engine.ABSENT
            found = opened.scan(name, False)
    except Outcome as outcome:
        return b"", outcome.status
    except OSError:
        return b"", engine.ERRNO
    if found.live >= 0:
        return found.raw[VERSION], engine.OK
    return b"", engine.UNSUPPORTED if found.unsupported else engine.DAMAGED


def scan(
    directory: bytes, prefix: bytes, every: int, seen: int
) -> engine.Scanned | None:
    """See `operations.scan_shard`."""
    found, rows = engine.Scanned(), []
    try:
        files = list(files_of(directory, prefix))
    except FileNotFoundError:
        return None
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, prefix)
    for name, info in files:
        found.disk += info.st_blocks * _BLOCK
        if info.st_size == 0:
            found.empty += 1
            continue
        if info.st_mode & MODE_SUPERSEDED:
            found.superseded += 1
        else:
            found.sessions += 1
        if every and seen % every == 0:
            header, status = _header(directory, name, name[len(prefix) :])
            rows.append((name, header, info.st_blocks * _BLOCK, status))
        seen += 1
    found.rows = rows
    return found
