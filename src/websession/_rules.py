"""
Which record may follow which, and into which slot it goes: the rules that the
Python backend keeps under a session's lock. Their twins are in session.c.
"""

from __future__ import annotations

import os
from errno import EINVAL

from . import _status as status
from .record import (
    CLOCK_SLACK,
    HEADER,
    HEADER_LENGTH,
    MAX_SEQUENCE,
    MAX_SLOTS,
    SUPERSEDE,
    SUPERSEDED,
    Slots,
    has_finite_times,
    is_expired,
    record_length,
    slot_size,
)


def check_record(record: bytes) -> None:
    """Is this a record, and one that two slots can hold?"""
    good = (
        len(record) >= HEADER_LENGTH
        and record_length(record[:HEADER_LENGTH]) == len(record)
        and len(record) <= slot_size(MAX_SLOTS - 2)
        and has_finite_times(record)
    )
    if not good:
        raise OSError(EINVAL, os.strerror(EINVAL))


def first_slot(length: int, apart_from: int) -> int:
    """The smallest slot that holds so many bytes."""
    return next(
        slot
        for slot in range(MAX_SLOTS)
        if slot_size(slot) >= length and slot != apart_from
    )


def choose_slot(found: Slots, length: int) -> int:
    # A torn slot that fits comes first, so that readers stop meeting it.
    for slot in sorted(found.torn):
        if slot_size(slot) >= length:
            return slot
    return first_slot(length, found.live)


def may_follow(
    found: Slots,
    record: bytes,
    expected: bytes | None,
    now: float,
    idle: float,
    lifetime: float,
) -> int:
    """May the record follow the live one? See ws_session_commit."""
    live = found.raw
    if expected is not None and live[:HEADER_LENGTH] != expected:
        return status.CONFLICT
    if live[41] & SUPERSEDED:
        return status.SUPERSEDED
    _, _, sequence, created, stored, env_len = HEADER.unpack_from(live)[:6]
    new = HEADER.unpack_from(record)
    if is_expired(created, stored, now, idle, lifetime):
        return status.EXPIRED
    if 0 < stored - new[4] <= CLOCK_SLACK:
        return status.CONFLICT
    at = HEADER_LENGTH + (SUPERSEDE.size if new[8] & SUPERSEDED else 0)
    env = live[HEADER_LENGTH : HEADER_LENGTH + env_len]
    if live[16:24] != record[16:24] or record[at : at + new[5]] != env:
        return status.CONFLICT
    if sequence == MAX_SEQUENCE:
        return status.EXHAUSTED
    return status.OK
