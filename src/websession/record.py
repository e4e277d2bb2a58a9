"""
A session's bytes: records and slots, as csrc/FORMAT.md describes.

This is the readable reference of the format, with `_slots`, which tells the
live one of several records. The C backend has the same in slots.c, and tests
hold the two against each other.
"""

from __future__ import annotations

from _operator import itemgetter
from struct import Struct

TYPE_CHECKING = False

__all__ = [
    "HEADER_LENGTH",
    "MAGIC",
    "PAGE",
    "SUPERSEDED",
    "SessionInfo",
    "SessionRecord",
    "has_finite_times",
    "is_expired",
    "later",
    "origin_of",
    "right_mode",
    "slot_size",
    "slot_start",
    "stored_at",
]

MAGIC = b"WSF\x01"
HEADER_LENGTH = 64
PAGE = 4096
MAX_SLOTS = 20
# The slots before this one are in the first page: there a record is written
# with zeros up to the slot's end.
IN_PAGE = 4
SUPERSEDED = 1
# Marks in the mode of a file, for those who do not read it: the count passes
# over it; its modification time does not tell when it is over.
MODE_SUPERSEDED, MODE_OWN_LIMIT = 0o100, 0o1000
CLOCK_SLACK = 3600.0

# magic, crc, sequence, created, stored, env and data length, serialiser,
# flags, reserved, idle limit, MAC
HEADER = Struct("<4sIQddIIBB2sI16s")
# The parts that writing and reading need: what stands before the creation time
# (the backends fill in CRC and sequence number); creation time to idle limit;
# and of these those that a reader wants.
BEGIN = MAGIC + bytes(12)
pack_fields = Struct("<ddIIBB2xI").pack
ORIGIN = Struct("<16xddI4xBB2xI")
_unpack_lengths = Struct("<32xIIxB").unpack_from
_unpack_times = Struct("<16xdd").unpack_from
_unpack_stored = Struct("<24xd").unpack_from
SUPERSEDE = Struct("<d16s")


class SessionRecord(tuple[object, ...]):
    """
    A session as a store hands it out.

    Attributes:
        created: seconds since the epoch; never changes.
        stored: when it was last stored or touched.
        env: the cross-check variables.
        data: what the application stored.
        version: opaque; differs after every write. For `commit` and `delete`.
        superseded: True if another ID has replaced this one and it can only
            be read any more.
        payload: the data as the store's serialiser wrote it; None where the
            store does not serialise.
        idle: the session's own idle limit, whole seconds; 0: it has none.
    """

    # A named tuple without collections, whose import takes two milliseconds,
    # and made by `tuple.__new__`, three times as fast as by a class's.
    __slots__ = ()
    if TYPE_CHECKING:
        created: float
        stored: float
        env: dict[str, object]
        data: object
        version: object
        superseded: bool
        payload: bytes | None
        idle: int
    else:
        created = property(itemgetter(0))
        stored = property(itemgetter(1))
        env = property(itemgetter(2))
        data = property(itemgetter(3))
        version = property(itemgetter(4))
        superseded = property(itemgetter(5))
        payload = property(itemgetter(6))
        idle = property(itemgetter(7))


class SessionInfo:
    """
    What may be known of a session without its ID.

    Attributes:
        handle: 32 hex digits, derived from the ID; does not lead back to it.
        created: seconds since the epoch.
        stored: when it was last stored or touched, seconds since the epoch.
        size: bytes of the serialised data; None if it is not serialised.
        idle: the session's own idle limit, whole seconds; 0: it has none.
    """

    __slots__ = ("created", "handle", "idle", "size", "stored")

    def __init__(
        self,
        handle: str,
        created: float,
        stored: float,
        size: int | None,
        idle: int = 0,
    ) -> None:
        self.handle = handle
        self.created = created
        self.stored = stored
        self.size = size
        self.idle = idle

    def __repr__(self) -> str:
        return (
            f"SessionInfo(handle={self.handle!r}, created={self.created!r}, "
            f"stored={self.stored!r}, size={self.size!r}, idle={self.idle!r})"
        )


def is_expired(
    created: float, stored: float, now: float, idle: float, lifetime: float
) -> bool:
    """Past the idle limit or the lifetime, in seconds; 0: no such limit."""
    return (idle > 0 and now - stored > idle) or (
        lifetime > 0 and now - created > lifetime
    )


def later(now: float, stored: float) -> float:
    """
    The time a write gets: it never steps back because of a clock that is a
    little behind, and follows one that was put right.
    """
    return stored if 0 < stored - now <= CLOCK_SLACK else now


def slot_start(slot: int) -> int:
    """Offset of a slot in the file."""
    return 512 << (slot - 1) if slot else 0


def slot_size(slot: int) -> int:
    """Bytes of a slot."""
    return 512 << (slot - 1) if slot else 512


def record_length(header: bytes) -> int:
    """The whole length of the record that `header` begins."""
    env_len, data_len, flags = _unpack_lengths(header)
    length: int = HEADER_LENGTH + env_len + data_len
    return length + SUPERSEDE.size if flags & SUPERSEDED else length


def stored_at(record: bytes) -> float:
    """When a record, or the record of a header, was stored."""
    when: float = _unpack_stored(record)[0]
    return when


def origin_of(record: bytes) -> tuple[float, bytes, int]:
    """Creation time, env and idle limit of a record."""
    created, _, env_len, _, flags, idle = ORIGIN.unpack_from(record)
    at = HEADER_LENGTH + (SUPERSEDE.size if flags & SUPERSEDED else 0)
    return created, record[at : at + env_len], idle


def has_finite_times(record: bytes) -> bool:
    """Whether creation time and time of the last store are numbers at all."""
    created, stored = _unpack_times(record)
    return bool(created - created == 0 == stored - stored)


def right_mode(record: bytes) -> int:
    """The mode that a session's file has right after this was written."""
    _, _, _, _, flags, idle = ORIGIN.unpack_from(record)
    mode = MODE_OWN_LIMIT if idle else 0
    return 0o600 | mode | (MODE_SUPERSEDED if flags & SUPERSEDED else 0)
