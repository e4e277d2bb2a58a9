"""
What makes a session too large. Imported when one is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..serializers import Serializer

__all__ = ["largest"]

_SHOWN = 3


def largest(payload: bytes, serializer: Serializer) -> list[tuple[str, int]]:
    """
    The keys of a session that take most of it, and bytes of their values; none
    if it is no dict.
    """
    data = serializer.loads(payload)
    if not isinstance(data, dict):
        return []
    sizes = [
        (f"{key!r:.60}", len(serializer.dumps(value)))
        for key, value in data.items()
    ]
    sizes.sort(key=lambda each: each[1], reverse=True)
    return sizes[:_SHOWN]
