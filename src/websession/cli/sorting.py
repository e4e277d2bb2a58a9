"""
Any number of sessions in order, in little memory.
"""

from __future__ import annotations

import heapq
import struct
import tempfile
from typing import TYPE_CHECKING

from ..admin.inspector import StoredSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

__all__ = ["in_order"]

_CHUNK = 20_000
_RECORD = struct.Struct("<16sddIIQBB")


def in_order(
    sessions: Iterable[StoredSession], by: str, reverse: bool
) -> Iterator[StoredSession]:
    """
    The sessions, sorted: chunk by chunk in temporary files, then merged. Reads
    all of them before it returns.

    Args:
        by: the name of an attribute.
        reverse: the largest first.
    """

    def key(session: StoredSession) -> float:
        value: float = getattr(session, by)
        return value

    files: list[IO[bytes]] = []
    chunk: list[StoredSession] = []
    for session in sessions:
        chunk.append(session)
        if len(chunk) >= _CHUNK:
            files.append(_written(chunk, key, reverse))
            chunk = []
    chunk.sort(key=key, reverse=reverse)
    parts: list[Iterable[StoredSession]] = [_read(file) for file in files]
    return heapq.merge(*parts, chunk, key=key, reverse=reverse)


def _written(
    chunk: list[StoredSession],
    key: Callable[[StoredSession], float],
    reverse: bool,
) -> IO[bytes]:
    chunk.sort(key=key, reverse=reverse)
    # Gone with what reads it.
    file = tempfile.TemporaryFile()  # noqa: SIM115
    for session in chunk:
        handle = bytes.fromhex(session.handle)
        file.write(_RECORD.pack(handle, *session[1:]))
    file.seek(0)
    return file


def _read(file: IO[bytes]) -> Iterator[StoredSession]:
    with file:
        while raw := file.read(_RECORD.size):
            handle, *values, superseded = _RECORD.unpack(raw)
            fields = (handle.hex(), *values, bool(superseded))
            yield StoredSession._make(fields)
