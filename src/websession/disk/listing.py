"""What may be known of the sessions of a `FileStore` without their IDs."""

from __future__ import annotations

import os

from ..engine import UNREADABLE
from ..record import info_of
from .ledger import counted_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from ..record import SessionInfo
    from .root import Layout

__all__ = ["entries"]


def entries(
    layout: Layout, backend: ModuleType, timeout: float
) -> Iterator[SessionInfo]:
    """
    Each session in force, one shard after the other. Authenticates nothing,
    and skips what is unreadable.
    """
    for shard in range(layout.shards):
        prefix = layout.prefix(shard)
        for file in counted_files(layout, shard):
            name = prefix + os.fsencode(file)
            try:
                raw = backend.read(layout.path(name), name, timeout)
            except UNREADABLE:
                continue
            if raw is not None:
                yield info_of(name, raw)
