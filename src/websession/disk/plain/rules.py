"""
What is a record, and into which slot it goes: csrc/rules.c in Python, but for
the rule of which may follow which, `engine.may_follow`.
"""

from __future__ import annotations

import os
from errno import EINVAL

from ...record import (
    HEADER_LENGTH,
    MAX_SLOTS,
    has_finite_times,
    record_length,
    slot_size,
)

_SMALL = slot_size(0)
_LONGEST = slot_size(MAX_SLOTS - 2)


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
