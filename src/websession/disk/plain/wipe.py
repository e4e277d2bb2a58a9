"""
Removing what earlier records left in a file: the twin of wipe.c, which says
why a retired slot is never made empty.
"""

from __future__ import annotations

from fcntl import ioctl
from struct import Struct
from zlib import crc32

from ...record import (
    HEADER_LENGTH,
    IN_PAGE,
    MAGIC,
    PAGE,
    numbered,
    record_length,
    sequence_of,
    slot_size,
    slot_start,
)
from .slots import Slots, classify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .files import File

__all__ = ["clean"]

# What fallocate(FALLOC_FL_PUNCH_HOLE) does, which Python does not offer:
# struct space_resv of <linux/falloc.h>, from where and how many.
_PUNCH_HOLE = 0x4030582B
_range = Struct("=hh4xqq24x")


def _punch(fd: int, start: int, end: int) -> bool:
    """Gives pages back to the file system; False if it does not take them."""
    try:
        ioctl(fd, _PUNCH_HOLE, _range.pack(0, 0, start, end - start))
    except OSError:
        return False
    return True


def _wipe(file: File, start: int, end: int) -> None:
    """Overwrites with zeros; whole pages are given back where that works."""
    page, last = (-(-at // PAGE) * PAGE for at in (start, end))
    if page < end:
        if not _punch(file.fd, page, last):
            file.write_at(bytes(end - page), page)
        end = page
    if start < end:
        file.write_at(bytes(end - start), start)


def _retire(
    file: File, name: bytes, slot: int, sequence: int, length: int
) -> None:
    start = slot_start(slot)
    in_page = min(length, PAGE - start % PAGE)
    header = numbered(
        MAGIC.ljust(HEADER_LENGTH, b"\0"),
        sequence,
        lambda rest: crc32(rest, crc32(name)) ^ 0xFFFFFFFF,  # a wrong one
    )
    file.write_at(header.ljust(in_page, b"\0"), start)
    _wipe(file, start + in_page, start + length)


def _leftovers(file: File, found: Slots) -> Iterator[tuple[int, int, int]]:
    """
    What is in the slots apart from the live one: slot, sequence number, and
    how many bytes records may have been written to.
    """
    plausible = found.plausible
    if plausible is None:
        page = file.read_at(min(file.size, PAGE), 0)
        plausible = classify(page, file.size, file.read_at, Slots())
    for sequence, minus_slot, header in plausible:
        slot = -minus_slot
        if slot != found.live and slot not in found.torn:
            yield slot, sequence, record_length(header)
    before = max(0, sequence_of(found.raw) - 1)
    for slot in found.torn:
        yield slot, before, slot_size(slot)


def clean(
    file: File, found: Slots, name: bytes, target: int, length: int
) -> None:
    """
    Makes unreadable what records before the live one have left, under the
    lock and before a record of `length` bytes goes into the slot `target`.
    """
    for slot, sequence, written in _leftovers(file, found):
        start = slot_start(slot)
        written = min(written, file.size - start)
        if slot != target:
            if written > HEADER_LENGTH or slot in found.torn:
                _retire(file, name, slot, sequence, written)
        elif slot >= IN_PAGE and written > length:
            _wipe(file, start + length, start + written)
