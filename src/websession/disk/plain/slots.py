"""
Which of a file's slots holds the session's state; csrc/slots.c in Python.
"""

from __future__ import annotations

from zlib import crc32

from ...record import (
    AFTER_CRC,
    HEADER_LENGTH,
    MAGIC,
    MAX_SLOTS,
    PLAIN,
    crc_of,
    has_finite_times,
    has_unknown,
    is_newer_format,
    record_length,
    sequence_of,
    slot_size,
    slot_start,
    unpack_slot,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Slots", "checksum", "classify", "find_live"]

_ZEROS = bytes(HEADER_LENGTH)
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


def checksum(record: bytes, name: bytes) -> int:
    """The CRC that a record of this handle should have."""
    return crc32(record[AFTER_CRC:], crc32(name))


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
        if header.startswith(MAGIC) and record_length(header) <= slot_size(
            slot
        ):
            plausible.append((sequence_of(header), -slot, header))
        elif is_newer_format(header):
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
        magic, its_crc, sequence, env_len, data_len, tail = unpack_slot(
            page, at
        )
        if magic != MAGIC:
            if page[at : at + HEADER_LENGTH].strip(b"\0"):
                return None
        elif tail != PLAIN or HEADER_LENGTH + env_len + data_len > _SMALL:
            return None
        elif sequence > best:
            best, start, crc = sequence, at, its_crc
            length = HEADER_LENGTH + env_len + data_len
    if start < 0:
        return None
    raw = page[start : start + length]
    if len(raw) < length:
        return None
    if raw == known:
        raw = known
    elif crc != crc32(raw[AFTER_CRC:], crc32(name)) or not (
        has_finite_times(raw)
    ):
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
        fits = len(raw) == end - start and crc_of(raw) == checksum(raw, name)
        if fits and has_unknown(raw):
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
