"""
Which key it is that a serialiser cannot keep.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["naming"]


def naming(dumps: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """
    The same function, with the key of a session in its TypeErrors.

    Args:
        dumps: of a serialiser that raises TypeError for what it cannot keep.
    """

    def named(data: object) -> bytes:
        try:
            return dumps(data)
        except TypeError as error:
            if not isinstance(data, dict):
                raise
            for key, value in data.items():
                try:
                    dumps({key: value})
                except TypeError:
                    raise TypeError(f"session[{key!r:.60}]: {error}") from None
            raise

    return named
