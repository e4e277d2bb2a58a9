"""
Session IDs: what they are made of, drawing them, and the handle of an ID.

The handle is the first 128 bits of the ID's SHA-256 in lower-case hex. It
names the session wherever somebody could read it: on disk, in logs, in
listings. Nobody gets from a handle to an ID that works.
"""

from __future__ import annotations

try:
    # Without hashlib, whose import loads all of OpenSSL: 3 ms per CGI request.
    from _sha2 import sha256 as _sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256 as _sha256  # type: ignore
    except ImportError:
        from hashlib import sha256 as _sha256

__all__ = [
    "HANDLE_LENGTH",
    "MIN_ENTROPY_BITS",
    "OTHER_LENGTHS",
    "SESSION_ID_CHARS",
    "alphabet",
    "entropy_bits",
    "handle",
]

SESSION_ID_CHARS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
)
"""The characters of session IDs unless others are asked for."""

OTHER_LENGTHS = range(12, 129)
"""
Lengths of IDs that are looked up whatever the length of new ones, where that
is asked for: what other stores and earlier settings have drawn.
"""

HANDLE_LENGTH = 32
MIN_ENTROPY_BITS = 64


def alphabet(chars: str) -> bytes:
    """
    The distinct characters of `chars`, as the drawing functions want them.

    Args:
        chars: at least two distinct printable ASCII characters.

    Raises:
        ValueError: fewer than two, or others than printable ASCII.
    """
    distinct = "".join(dict.fromkeys(chars))
    if len(distinct) < 2:
        raise ValueError(
            "sessionIDChars needs at least two distinct characters"
        )
    if not (distinct.isascii() and distinct.isprintable()):
        raise ValueError("sessionIDChars must be printable ASCII characters")
    return distinct.encode("ascii")


def entropy_bits(length: int, chars: str) -> float:
    """How many bits of entropy an ID of `length` characters has."""
    from math import log2

    return length * log2(len(set(chars)))


def handle(session_id: str) -> bytes:
    """The handle of an ID: 32 bytes of lower-case hex."""
    try:
        encoded = session_id.encode()
    except UnicodeEncodeError:
        # Whatever str there is has a handle, and nobody's session.
        encoded = session_id.encode("utf-8", "surrogatepass")
    digest: bytes = _sha256(encoded).digest()
    return digest[: HANDLE_LENGTH // 2].hex().encode()
