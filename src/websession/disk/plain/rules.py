"""
Which record may follow which, and into which slot it goes: the rules that the
Python backend keeps under a session's lock. Their twins are in session.c.
"""

from __future__ import annotations

import os
from errno import EINVAL

from ... import engine
from ...record import (
    CLOCK_SLACK,
    HEADER_LENGTH,
    MAX_SLOTS,
    ORIGIN,
    SUPERSEDE,
    SUPERSEDED,
    has_finite_times,
    is_expired,
    record_length,
    slot_size,
)
from .slots import Slots

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
        return engine.CONFLICT
    if live[41] & SUPERSEDED:
        return engine.SUPERSEDED
    created, stored, env_len, _, _, own = ORIGIN.unpack_from(live)
    _, new_stored, new_env_len, _, flags, new_own = ORIGIN.unpack_from(record)
    if is_expired(created, stored, now, own or idle, lifetime):
        return engine.EXPIRED
    if 0 < stored - new_stored <= CLOCK_SLACK:
        return engine.CONFLICT
    at = HEADER_LENGTH + (SUPERSEDE.size if flags & SUPERSEDED else 0)
    env = live[HEADER_LENGTH : HEADER_LENGTH + env_len]
    if live[16:24] != record[16:24]:
        return engine.CONFLICT
    # Only who knows the live record may change what else it holds.
    if expected is None and (
        record[at : at + new_env_len] != env or own != new_own
    ):
        return engine.CONFLICT
    if live[8:16] == _LAST_SEQUENCE:
        return engine.EXHAUSTED
    return engine.OK
