"""
Two requests change one session: what becomes of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["merge"]


def merge(
    base: dict[Any, Any],
    mine: dict[Any, Any],
    theirs: dict[Any, Any],
    dumps: Callable[[object], bytes],
) -> dict[Any, Any]:
    """
    What I changed since `base`, on top of `theirs`: key by key, at the top
    level. A key that both changed is as I have it.

    Args:
        base: what both began with.
        mine: what I made of it.
        theirs: what is stored by now.
        dumps: equal values give equal bytes. Comparing values would not do:
            True equals 1.
    """
    changed = {
        key: value
        for key, value in mine.items()
        if key not in base or dumps(base[key]) != dumps(value)
    }
    kept = {
        key: value
        for key, value in theirs.items()
        if key in mine or key not in base
    }
    return {**kept, **changed}
