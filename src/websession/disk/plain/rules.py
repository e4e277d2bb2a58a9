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
    HEADER_LENGTH,
    MAX_SLOTS,
    has_finite_times,
    have_same_creation,
    is_expired,
    is_superseded,
    origin_of,
    record_length,
    sequence_of,
    slot_size,
    stored_at,
    version_of,
)

_SMALL = slot_size(0)
_LONGEST = slot_size(MAX_SLOTS - 2)
_LAST_SEQUENCE = 2**64 - 1


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
    if expected is not None and version_of(live) != expected:
        return engine.CONFLICT
    if is_superseded(live):
        return engine.SUPERSEDED
    stored, ahead = stored_at(live), stored_at(live) - stored_at(record)
    created, env, own = origin_of(live)
    if is_expired(created, stored, now, own or idle, lifetime):
        return engine.EXPIRED
    if 0 < ahead <= CLOCK_SLACK:
        return engine.CONFLICT
    if not have_same_creation(live, record):
        return engine.CONFLICT
    # Only who knows the live record may change what else it holds.
    if expected is None and origin_of(record)[1:] != (env, own):
        return engine.CONFLICT
    if sequence_of(live) == _LAST_SEQUENCE:
        return engine.EXHAUSTED
    return engine.OK
