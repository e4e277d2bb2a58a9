"""
What is answered in the place of the application, always with status 503.
"""

from __future__ import annotations

__all__ = ["BUSY", "FULL", "headers"]

BUSY = b"Another request of this session is at work. Try again later.\n"
FULL = b"There are too many sessions at present. Try again later.\n"


def headers(sentence: bytes) -> list[tuple[str, str]]:
    """The headers that go with one of these sentences."""
    return [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(sentence))),
        ("Retry-After", "1"),
        ("Cache-Control", "no-store"),
    ]
