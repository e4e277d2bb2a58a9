"""
A session's bytes: records and slots, as csrc/FORMAT.md describes. No other
module knows where in a record anything is.

This is the readable reference of the format, with `disk.plain.slots`, which
tells the live one of several records. C has the same in slots.c, and tests
hold the two against each other.
"""

from __future__ import annotations

from _operator import itemgetter
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Crc = Callable[[bytes], int]

__all__ = [
    "AFTER_CRC",
    "BEGIN",
    "BLOCKS",
    "CREATION",
    "FIELDS_ON",
    "FLAG_SUPERSEDED",
    "FLAG_USER",
    "HEADER_LENGTH",
    "MAGIC",
    "MARKS",
    "PAGE",
    "PLAIN",
    "SEQUENCE",
    "USER_SIZE",
    "VERSION",
    "Parts",
    "SessionInfo",
    "SessionRecord",
    "crc_of",
    "env_at",
    "has_finite_times",
    "has_unknown",
    "holds_data",
    "info_of",
    "is_expired",
    "is_newer_format",
    "is_over",
    "is_superseded",
    "label_of",
    "later",
    "number_of",
    "numbered",
    "origin_of",
    "pack_fields",
    "pack_successor",
    "pack_user",
    "record_length",
    "right_mode",
    "sequence_of",
    "signed_parts",
    "slot_size",
    "slot_start",
    "stored_at",
    "successor_of",
    "tags_of",
    "unpack_fields",
    "unpack_marks",
    "unpack_origin",
    "unpack_slot",
    "unpack_stored",
    "user_of",
    "version_of",
]

MAGIC = b"WSF\x02"
HEADER_LENGTH = 64
PAGE = 4096
MAX_SLOTS = 20
# The slots before this one are in the first page: there a record is written
# with zeros up to the slot's end.
IN_PAGE = 4
FLAG_SUPERSEDED, FLAG_USER, FLAG_SEALED = 1, 2, 4
# Marks in the mode of a file, for those who do not read it: the count passes
# over it; its modification time does not tell when it is over.
MODE_SUPERSEDED, MODE_OWN_LIMIT = 0o100, 0o1000
CLOCK_SLACK = 3600.0

# Magic, CRC, sequence number, created, stored, length of env and of the data,
# serialiser, flags, size of the user block, idle limit, MAC. These are its
# parts, each for those who want no more: what stands before the creation time,
# and is filled in when a record is written; what is signed; what readers want,
# and whoever chooses between slots.
_HEADER = Struct("<4sIQddIIBB2sI16s")
BEGIN = MAGIC + bytes(12)
pack_fields = Struct("<ddIIBB2sI").pack
"""
Created, stored, length of env and of the data, serialiser, flags, how many
tags and how long a label the user block has, idle limit: what of the header is
signed, and stands between `BEGIN` and the MAC.
"""
_unpack_lengths = Struct("<32xIIxBBB").unpack_from
_unpack_times = Struct("<16xdd").unpack_from
unpack_stored = Struct("<24xd").unpack_from
"""When it was stored."""
unpack_origin = Struct("<16xddI4xBB2xI").unpack_from
"""Created, stored, length of env, serialiser, flags, idle limit."""
unpack_fields = Struct("<16xddIIBB2sI").unpack_from
"""What `pack_fields` has packed, of a record or of its header."""
unpack_slot = Struct("<4sIQ16xIIx7s").unpack_from
"""
Magic, CRC, sequence number, length of env and of the data, and `PLAIN` if it
has neither flags nor anything new.
"""
unpack_marks = Struct("<41xBxxI").unpack_from
"""Flags and idle limit: what marks the mode of the file."""
PLAIN = bytes(7)
_MAC_LENGTH = 16
_FIELDS_AT, _MARKS_AT, _MAC_AT = 16, 41, HEADER_LENGTH - _MAC_LENGTH
AFTER_CRC = 8
"""Where what the CRC is of begins."""

# Parts of a record by name, for those who cannot afford a call.
VERSION = slice(HEADER_LENGTH)
"""The header, which no two states of a session have in common."""
SEQUENCE = slice(AFTER_CRC, _FIELDS_AT)
"""Its sequence number, little-endian."""
FIELDS_ON = slice(_FIELDS_AT, None)
"""All that is there before it is written: from the creation time on."""
CREATION = slice(_FIELDS_AT, _FIELDS_AT + 8)
"""The creation time, to the bit."""
MARKS = slice(_MARKS_AT, _MAC_AT)
"""What marks the mode of the file, see `unpack_marks`."""

USER_SIZE = slice(42, 44)
"""How many tags there are, and how many bytes of a label."""

# The optional blocks between header and env, in the order of their flags. The
# size of the second one is in the header: how many tags, how long a label.
_SUPERSEDE = Struct("<d16s")
TAG_LENGTH, MAX_TAGS, MAX_LABEL = 16, 2, 255
BLOCKS = (
    (FLAG_SUPERSEDED, _SUPERSEDE.size),
    (FLAG_USER, 0),
    (FLAG_SEALED, 40),
)


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
        data: Any
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
        self.handle: str = handle
        self.created: float = created
        self.stored: float = stored
        self.size: int | None = size
        self.idle: int = idle

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


def is_over(record: bytes, now: float, idle: float, lifetime: float) -> bool:
    """
    Whether a session is past its time: its own idle limit counts instead of
    `idle`, and what was superseded has a time of its own.
    """
    if is_superseded(record):
        return now >= successor_of(record)[0]
    created, stored, _, _, _, own = unpack_origin(record)
    return is_expired(created, stored, now, own or idle, lifetime)


def later(now: float, stored: float) -> float:
    """
    The time that a new record is to carry: `now`, or the time of the record
    before where a clock that is behind by an hour at most would step back.

    Args:
        stored: the time of the record before.
    """
    return stored if 0 < stored - now <= CLOCK_SLACK else now


def slot_start(slot: int) -> int:
    """Offset of a slot in the file."""
    return 512 << (slot - 1) if slot else 0


def slot_size(slot: int) -> int:
    """Bytes of a slot."""
    return 512 << (slot - 1) if slot else 512


def _end_of_blocks(flags: int, tags: int, label: int) -> int:
    at = HEADER_LENGTH + tags * TAG_LENGTH + label
    for flag, size in BLOCKS:
        if flags & flag:
            at += size
    return at


def env_at(record: bytes) -> int:
    """Where env begins in a record: behind the blocks."""
    return _end_of_blocks(*_unpack_lengths(record)[2:])


def record_length(header: bytes) -> int:
    """The whole length of the record that `header` begins."""
    env_len, data_len, *blocks = _unpack_lengths(header)
    length: int = _end_of_blocks(*blocks) + env_len + data_len
    return length


def version_of(record: bytes) -> bytes:
    """The header, which no two states of a session have in common."""
    return record[VERSION]


def sequence_of(record: bytes) -> int:
    """The sequence number of a record: 1 for the first one of its file."""
    return int.from_bytes(record[SEQUENCE], "little")


def crc_of(record: bytes) -> int:
    """The CRC that stands in the header of a record."""
    return int.from_bytes(record[4:8], "little")


def numbered(record: bytes, sequence: int, crc_from: Crc) -> bytes:
    """
    A record of `Keyring.pack` with its sequence number and CRC filled in.

    Args:
        crc_from: the CRC of what is given to it, started from the handle.
    """
    rest = sequence.to_bytes(8, "little") + record[FIELDS_ON]
    return MAGIC + crc_from(rest).to_bytes(4, "little") + rest


def is_newer_format(header: bytes) -> bool:
    """Whether the slot is of a version of websession that is to come."""
    return header[:3] == MAGIC[:3] and header[3] > MAGIC[3]


def has_unknown(record: bytes) -> bool:
    """Whether a record has flags or fields that only a later version knows."""
    _, _, flags, tags, label = _unpack_lengths(record)
    if flags & ~(FLAG_SUPERSEDED | FLAG_USER) or tags > MAX_TAGS:
        return True
    return bool(tags == 0 if flags & FLAG_USER else tags + label)


def stored_at(record: bytes) -> float:
    """When a record, or the record of a header, was stored."""
    when: float = unpack_stored(record)[0]
    return when


def origin_of(record: bytes) -> tuple[float, bytes, int, bytes]:
    """Creation time, env, idle limit and user of a record."""
    created, _, env_len, _, flags, idle = unpack_origin(record)
    if not flags:
        env = record[HEADER_LENGTH : HEADER_LENGTH + env_len]
        return created, env, idle, b""
    at = env_at(record)
    return created, record[at : at + env_len], idle, user_of(record)


def pack_user(tags: Sequence[bytes], label: str) -> bytes:
    """
    Whose a session is, as `user_of` hands it out.

    Args:
        tags: one or two, of 16 bytes each.
        label: at most 255 bytes in UTF-8.

    Raises:
        ValueError: too many, or too long.
    """
    raw = label.encode("utf-8")
    if (
        not 0 < len(tags) <= MAX_TAGS
        or any(len(tag) != TAG_LENGTH for tag in tags)
        or len(raw) > MAX_LABEL
    ):
        raise ValueError(
            f"a session has 1 to {MAX_TAGS} tags of {TAG_LENGTH} bytes, and a "
            f"label of at most {MAX_LABEL} bytes"
        )
    return bytes((len(tags), len(raw))) + b"".join(tags) + raw


def user_of(record: bytes) -> bytes:
    """
    Whose session it is: how many tags, how long the label is, then these;
    nothing if it is nobody's. The same in all records of a file.
    """
    _, _, flags, tags, label = _unpack_lengths(record)
    if not flags & FLAG_USER:
        return b""
    at = HEADER_LENGTH
    if flags & FLAG_SUPERSEDED:
        at += _SUPERSEDE.size
    return record[USER_SIZE] + record[at : at + tags * TAG_LENGTH + label]


def tags_of(user: bytes) -> list[bytes]:
    """The tags of what `user_of` hands out."""
    count = user[0] if user else 0
    return [
        user[2 + TAG_LENGTH * at : 2 + TAG_LENGTH * (at + 1)]
        for at in range(count)
    ]


def label_of(user: bytes) -> str:
    """The label of what `user_of` hands out."""
    return user[2 + TAG_LENGTH * user[0] :].decode("utf-8") if user else ""


def number_of(record: bytes) -> int:
    """The number of the serialiser that has written env and data."""
    number: int = unpack_origin(record)[3]
    return number


def is_superseded(record: bytes) -> bool:
    """Whether another ID has replaced that of the session."""
    return bool(record[_MARKS_AT] & FLAG_SUPERSEDED)


def holds_data(record: bytes) -> bool:
    """Whether a record holds data: a superseded one may not."""
    return bool(_unpack_lengths(record)[1])


def pack_successor(until: float, handle: bytes) -> bytes:
    """The block of a superseded record: until when, and which handle."""
    return _SUPERSEDE.pack(until, bytes.fromhex(handle.decode("ascii")))


def successor_of(record: bytes) -> tuple[float, bytes]:
    """
    Until when a superseded record leads to which handle; the handle is empty
    if it is none.
    """
    if not is_superseded(record):
        return 0.0, b""
    until, handle = _SUPERSEDE.unpack_from(record, HEADER_LENGTH)
    return until, handle.hex().encode("ascii")


class Parts:
    """
    What a record is made of.

    Attributes:
        created, stored: seconds since the epoch.
        idle: the session's own idle limit, whole seconds; 0: it has none.
        number: of the serialiser of env and data.
        flags: which blocks there are.
        supersede: the block of what has replaced it, or nothing.
        user: whose it is, see `user_of`.
        env, data: as they were serialised.
    """

    __slots__ = (
        "created", "data", "env", "flags", "idle", "number", "stored",
        "supersede", "user",
    )  # fmt: skip

    def __init__(self, record: bytes) -> None:
        (
            self.created,
            self.stored,
            env_len,
            self.number,
            self.flags,
            self.idle,
        ) = unpack_origin(record)
        self.supersede = b""
        if self.flags & FLAG_SUPERSEDED:
            end = HEADER_LENGTH + _SUPERSEDE.size
            self.supersede = record[HEADER_LENGTH:end]
        self.user = user_of(record)
        at = env_at(record)
        self.env = record[at : at + env_len]
        self.data = record[at + env_len :]


def signed_parts(record: bytes) -> tuple[bytes, bytes]:
    """What the MAC of a record is of, besides the handle; and the MAC."""
    what = record[:4] + record[_FIELDS_AT:_MAC_AT] + record[HEADER_LENGTH:]
    return what, record[_MAC_AT:HEADER_LENGTH]


def info_of(handle: bytes, record: bytes) -> SessionInfo:
    """What may be known of a session without its ID."""
    _, _, _, created, stored, _, size, _, _, _, idle, _ = _HEADER.unpack_from(
        record
    )
    return SessionInfo(handle.decode("ascii"), created, stored, size, idle)


def has_finite_times(record: bytes) -> bool:
    """Whether creation time and time of the last store are numbers at all."""
    created, stored = _unpack_times(record)
    return bool(created - created == 0 == stored - stored)


def right_mode(record: bytes) -> int:
    """The mode that a session's file has right after this was written."""
    flags, idle = unpack_marks(record)
    mode = MODE_OWN_LIMIT if idle else 0
    return 0o600 | mode | (MODE_SUPERSEDED if flags & FLAG_SUPERSEDED else 0)
