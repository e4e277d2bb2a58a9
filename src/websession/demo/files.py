"""
The store's directory as it is: files that are sessions, their handles for
names.
"""

from __future__ import annotations

import os
from itertools import islice

from ..exceptions import SessionStoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["newest"]

MOST_SHOWN = 20
# A request looks at so many of them, in whatever order they come.
MOST_SEEN = 1000


def newest(directory: str, now: float, mine: str) -> dict[str, Any]:
    """
    The files that were written last, and how many there are.

    Args:
        directory: the store's.
        now: seconds since the epoch.
        mine: the handle of the session that asks; empty: it has none.

    Raises:
        SessionStoreError: the directory cannot be read.
    """
    try:
        found = list(islice(_files(directory), MOST_SEEN))
    except OSError as error:
        raise SessionStoreError(
            error.errno, str(error.strerror), directory
        ) from error
    found.sort(reverse=True)
    more = "+" if len(found) == MOST_SEEN else ""
    return {
        "total": f"{len(found)}{more} file{'' if len(found) == 1 else 's'}",
        "files": [
            {
                "name": name,
                "bytes": size,
                "age": round(max(0.0, now - written), 1),
                "mine": name.replace("/", "") == mine,
            }
            for written, name, size in found[:MOST_SHOWN]
        ],
    }


def _files(directory: str) -> Iterator[tuple[float, str, int]]:
    with os.scandir(directory) as shards:
        for shard in shards:
            if shard.name.startswith(".") or not shard.is_dir():
                continue  # the store's own, or nothing of it
            with os.scandir(shard.path) as files:
                for file in files:
                    try:
                        found = file.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # it has just gone
                    name = f"{shard.name}/{file.name}"
                    yield found.st_mtime, name, found.st_size
