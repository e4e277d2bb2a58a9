"""
Which record may follow which, and into which slot it goes: csrc/rules.c in
Python.
"""

from __future__ import annotations

import os
from errno import EINVAL

from ... import engine
from ...record import (
    CLOCK_SLACK,
    CREATION,
    FLAG_SUPERSEDED,
    HEADER_LENGTH,
    MAX_SLOTS,
    SEQUENCE,
    VERSION,
    has_finite_times,
    is_expired,
    origin_of,
    record_length,
    slot_size,
    unpack_origin,
    unpack_stored,
)

_SMALL = slot_size(0)
_LONGEST = slot_size(MAX_SLOTS - 2)
_LAST_SEQUENCE = b"\xff" * 8


def check_record(record: bytes) -> None:
    """Is this a record, and one that two slots can hold?"""
    good = (
        len(record) >= HEADER_LENGTH
        and record_length(record) == len(record) <= _LONGEST
        and has_finite_times(record)
    )
    if not good:
        raise OSError(EINVAL, os.strerror(EINVAL))


def first_slot(length: int, apart_from: int) -> int:
    """The smallest slot that holds so many bytes."""
    if length <= _SMALL:
        return 1 if apart_from == 0 else 0
    return next(
        slot
        for slot in range(MAX_SLOTS)
        if slot_size(slot) >= length and slot != apart_from
    )


def may_follow(
    live: bytes,
    record: bytes,
    expected: bytes | None,
    now: float,
    idle: float,
    lifetime: float,
) -> int:
    """May the record follow the live one? See ws_session_commit."""
    if expected is not None and live[VERSION] != expected:
        return engine.CONFLICT
    created, stored, _, _, flags, own = unpack_origin(live)
    if flags & FLAG_SUPERSEDED:
        return engine.SUPERSEDED
    if is_expired(created, stored, now, own or idle, lifetime):
        return engine.EXPIRED
    if 0 < stored - unpack_stored(record)[0] <= CLOCK_SLACK:
        return engine.CONFLICT
    if live[CREATION] != record[CREATION]:
        return engine.CONFLICT
    # Only who knows the live record may change what else it holds.
    if expected is None and origin_of(record) != origin_of(live):
        return engine.CONFLICT
    if live[SEQUENCE] == _LAST_SEQUENCE:
        return engine.EXHAUSTED
    return engine.OK
