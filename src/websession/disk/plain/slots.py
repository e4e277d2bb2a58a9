"""
Which of a file's slots holds the session's state; csrc/slots.c in Python.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from ...record import (
    HEADER_LENGTH,
    MAGIC,
    MAX_SLOTS,
    SUPERSEDED,
    has_finite_times,
    record_length,
    slot_size,
    slot_start,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Slots", "classify", "find_live"]

_ZEROS = bytes(HEADER_LENGTH)
# Magic, CRC, sequence number, lengths; flags and reserved bytes, of which a
# session in force has none.
_unpack = Struct("<4sIQ16xIIx7s").unpack_from
_PLAIN = bytes(7)
_SMALL = slot_size(0)  # that of the second slot, too


class Slots:
    """
    What `find_live` found: the live slot, and how the others look.

    Attributes:
        plausible: what `classify` returned; None: it was not called.
    """

    __slots__ = ("live", "plausible", "raw", "torn", "unsupported")

    def __init__(self) -> None:
        self.live = -1
        self.raw = b""
        self.torn: list[int] = []
        self.plausible: list[tuple[int, int, bytes]] | None = None
        self.unsupported = False


def classify(
    page: bytes, size: int, read_at: Callable[[int, int], bytes], found: Slots
) -> list[tuple[int, int, bytes]]:
    """The plausible slots as (sequence, -slot, header), best first."""
    plausible = []
    for slot in range(MAX_SLOTS):
        start = slot_start(slot)
        if start >= size:
            break
        header = page[start : start + HEADER_LENGTH]
        if len(header) < HEADER_LENGTH:
            if start + HEADER_LENGTH > len(page) < size:
                header = read_at(HEADER_LENGTH, start)
            header = header.ljust(HEADER_LENGTH, b"\0")
        if header == _ZEROS:
            continue
        if header[:4] == MAGIC and record_length(header) <= slot_size(slot):
            sequence = int.from_bytes(header[8:16], "little")
            plausible.append((sequence, -slot, header))
        elif header[:3] == MAGIC[:3] and header[3] > MAGIC[3]:
            found.unsupported = True
        else:
            found.torn.append(slot)
    plausible.sort(reverse=True)
    return plausible


def _find_in_pair(
    page: bytes, name: bytes, known: bytes | None
) -> Slots | None:
    """
    The usual case at half the cost: the two slots of a small session, each
    plausible or never used, the better one whole. None: some other case.
    """
    best = start = length = crc = -1
    for at in (0, _SMALL):
        if len(page) < at + HEADER_LENGTH:
            if page[at:].strip(b"\0"):
                return None
            break
        magic, its_crc, sequence, env_len, data_len, tail = _unpack(page, at)
        if magic != MAGIC:
            if page[at : at + HEADER_LENGTH].strip(b"\0"):
                return None
        elif tail != _PLAIN or HEADER_LENGTH + env_len + data_len > _SMALL:
            return None
        elif sequence > best:
            best, start, crc = sequence, at, its_crc
            length = HEADER_LENGTH + env_len + data_len
    if start < 0:
        return None
    raw = page[start : start + length]
    if raw == known and len(raw) == length:
        raw = known
    elif crc != crc32(raw[8:], crc32(name)) or not has_finite_times(raw):
        return None
    found = Slots()
    found.live, found.raw = start // _SMALL, raw
    return found


def find_live(
    page: bytes,
    size: int,
    read_at: Callable[[int, int], bytes],
    name: bytes,
    locked: bool,
    known: bytes | None = None,
) -> Slots:
    """
    Finds the live record: of the valid slots the one with the highest
    sequence number, of equal ones the first.

    Args:
        page: the first bytes of the file, up to `PAGE`.
        size: of the file.
        read_at: (length, offset) -> bytes, for what the page does not hold.
        name: the handle, which the CRC starts from.
        locked: whether the file is locked. If not, the search ends at the
            first torn slot, since then only a look under the lock tells.
        known: a record that was found whole before, or nothing; if it is the
            live one, it is that very object that is found.

    Returns:
        `Slots`; `live` is -1 if there is none.
    """
    found = _find_in_pair(page, name, known) if size <= 2 * _SMALL else None
    if found is not None:
        return found
    found = Slots()
    plausible = found.plausible = classify(page, size, read_at, found)
    if found.unsupported or (found.torn and not locked):
        return found
    for _, minus_slot, header in plausible:
        start = slot_start(-minus_slot)
        end = start + record_length(header)
        raw = page[start:end] if end <= len(page) else b""
        if not raw and end <= size:
            raw = read_at(end - start, start)
        if raw == known and len(raw) == end - start:
            found.live, found.raw = -minus_slot, known
            return found
        crc = int.from_bytes(header[4:8], "little")
        fits = len(raw) == end - start and crc == crc32(raw[8:], crc32(name))
        if fits and (raw[41] & ~SUPERSEDED or any(raw[42:44])):
            found.unsupported = True
            return found
        if not fits or not has_finite_times(raw):
            found.torn.append(-minus_slot)
            if not locked:
                return found
            continue
        found.live, found.raw = -minus_slot, raw
        return found
    return found
