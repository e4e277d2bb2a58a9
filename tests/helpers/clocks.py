"""Clocks for tests: none of them moves by itself."""

from __future__ import annotations


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now=1_800_000_000.0):
        self.now = now

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += seconds
