"""
What lies in a shard: the one walk that Python takes through it. The sweeps go
through open directories, and have walks of their own, in C and in Python.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .root import Layout

__all__ = ["files_of", "session_files"]

_HEX = frozenset("0123456789abcdef")


def session_files(
    layout: Layout, shard: int
) -> Iterable[tuple[bytes, os.stat_result]]:
    """
    Handle and `lstat` of each regular file that is named like a session's;
    superseded ones too. Leaves out what goes away meanwhile.

    Args:
        shard: its number.

    Raises:
        OSError: the directory cannot be read; none at all is an empty one.
    """
    prefix = layout.prefix(shard)
    try:
        return files_of(layout.join(prefix), prefix)
    except FileNotFoundError:
        return ()


def files_of(
    directory: bytes, prefix: bytes
) -> Iterator[tuple[bytes, os.stat_result]]:
    """
    Handle and `lstat` of each session's file in a directory, as
    `session_files` gives them.

    Args:
        prefix: what of the handle the directory stands for.
    """
    # To the end: no descriptor stays open while somebody iterates.
    with os.scandir(os.fsdecode(directory)) as entries:
        return _sessions_among(list(entries), prefix)


def _sessions_among(
    entries: list[os.DirEntry[str]], prefix: bytes
) -> Iterator[tuple[bytes, os.stat_result]]:
    length = 32 - len(prefix)
    for entry in entries:
        if len(entry.name) != length or not _HEX.issuperset(entry.name):
            continue
        try:
            info = entry.stat(follow_symlinks=False)
            is_file = entry.is_file(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if is_file:
            yield prefix + entry.name.encode("ascii"), info
