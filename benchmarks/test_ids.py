"""
Drawing IDs: both backends, and what one writes by hand, which is the floor.

    python -m pytest benchmarks/test_ids.py
"""

from __future__ import annotations

import secrets
import time

import pytest

from websession.disk import backend as backends
from websession.ids import SESSION_ID_CHARS, alphabet


def draw_by_hand(times):
    started = time.perf_counter()
    for _ in range(times):
        "".join(secrets.choice(SESSION_ID_CHARS) for _ in range(12))
    return time.perf_counter() - started


@pytest.mark.parametrize("name", ["c", "python"])
@pytest.mark.parametrize("length", [12, 32])
def test_draw(measure, name, length):
    draw = backends.choose(name).draw_id
    chars = alphabet(SESSION_ID_CHARS)

    def call(times):
        started = time.perf_counter()
        for _ in range(times):
            draw(length, chars)
        return time.perf_counter() - started

    measure(
        f"ID of {length} characters over 12 times secrets.choice",
        name,
        call,
        draw_by_hand,
    )
