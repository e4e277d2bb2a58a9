"""
What sessions take on disk, by the blocks that the file system gave out.

    python -m pytest benchmarks/test_space.py
"""

from __future__ import annotations

import os

import pytest

from conftest import scaled
from contestants import CONTESTANTS
from test_operations import data_of

SESSIONS = 1_000
SIZES = (250, 4096)
ON_DISK = [
    kind
    for kind in CONTESTANTS
    if "Redis" not in kind.name and "per request" not in kind.name
]


def taken(root):
    """Bytes in blocks of all files and directories."""
    total = 0
    for where, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(where, name)
            total += os.stat(path, follow_symlinks=False).st_blocks * 512
    return total


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ON_DISK, ids=lambda kind: kind.name)
def test_bytes_on_disk(note, place, kind, size):
    missing = kind.missing()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    root = place / f"space-{kind.__name__}-{size}"
    count = scaled(SESSIONS)

    def run():
        contestant = kind(root)
        keys = contestant.fill(count, data_of(size))
        for _ in range(2):
            operation = "store" if "store" in kind.operations else "cycle"
            contestant.timed(operation, keys, data_of(size), count)
        contestant.close()
        return {"bytes per session": taken(root) // count}

    note(
        f"disk space, {size} bytes of data stored three times", kind.name, run
    )
