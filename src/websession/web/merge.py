"""
Two requests change one session: what becomes of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["merge"]

_SIMPLE = frozenset({int, str, bytes, bool, type(None)})
_MISSING = object()


def merge(
    base: dict[Any, Any],
    mine: dict[Any, Any],
    theirs: dict[Any, Any],
    dumps: Callable[[object], bytes],
    loads: Callable[[bytes], Any],
) -> dict[Any, Any]:
    """
    What I changed since `base`, on top of `theirs`: key by key, at the top
    level. A key that both changed is as I have it.

    Args:
        base: what both began with.
        mine: what I made of it.
        theirs: what is stored by now.
        dumps, loads: the serialiser's. What is written alike is no change;
            see `_Comparison` for the rest.
    """
    changed = {
        key: value
        for key, value in mine.items()
        if key not in base or not _is_same(base[key], value, dumps, loads)
    }
    kept = {
        key: value
        for key, value in theirs.items()
        if key in mine or key not in base
    }
    return {**kept, **changed}


def _is_same(
    one: object,
    other: object,
    dumps: Callable[[object], bytes],
    loads: Callable[[bytes], Any],
) -> bool:
    if dumps(one) == dumps(other):
        return True
    try:
        return _Comparison(dumps, loads).is_same(one, other)
    except RecursionError:
        return False


class _Comparison:
    """
    Compares two values whose pickles differ. Those of equal sets do: a set is
    written in the order of its table, which depends on how it came to be, and
    may be another one after each reading.

    Same is what has the same type and value, and the same objects in the same
    places: True is not 1, 0.0 not -0.0, and a list that is there twice not two
    equal ones. The order of dicts counts, that of sets does not. Objects of
    classes that are not builtin are compared as they are written.
    """

    __slots__ = ("_dumps", "_loads", "_partners")

    def __init__(
        self,
        dumps: Callable[[object], bytes],
        loads: Callable[[bytes], Any],
    ) -> None:
        self._dumps = dumps
        self._loads = loads
        # By identity, both ways, of what has been come across.
        self._partners: dict[int, object] = {}

    def is_same(self, one: Any, other: Any) -> bool:
        """Whether it makes no difference which of them is stored."""
        kind = type(one)
        if kind is not type(other):
            return False
        if kind in _SIMPLE:
            return bool(one == other)
        compare = _COMPARISONS.get(kind)
        if compare is None:
            return self._is_written_alike(one, other)
        if id(one) in self._partners or id(other) in self._partners:
            # In a loop, or in a second place.
            return self._partners.get(id(one)) is other
        self._partners[id(one)] = other
        self._partners[id(other)] = one
        return len(one) == len(other) and compare(self, one, other)

    def _is_written_alike(self, one: object, other: object) -> bool:
        written, wanted = self._dumps(one), self._dumps(other)
        # One of them has been written and read once more than the other,
        # which turns around the sets that are in it.
        return written == wanted or self._again(written) == wanted

    def _again(self, written: bytes) -> bytes:
        return self._dumps(self._loads(written))

    def _are_items_same(self, one: Any, other: Any) -> bool:
        return all(map(self.is_same, one, other))

    def _are_pairs_same(self, one: Any, other: Any) -> bool:
        return self._are_items_same(one, other) and self._are_items_same(
            one.values(), other.values()
        )

    def _are_members_same(self, one: Any, other: Any) -> bool:
        left = {member: member for member in other}
        alone = []
        for member in one:
            twin = left.pop(member, _MISSING)
            if twin is _MISSING:
                alone.append(member)
            elif not self.is_same(member, twin):
                return False
        # NaN, and objects that are equal to nothing but themselves.
        return sorted(map(self._dumps, alone)) == sorted(
            map(self._dumps, left)
        )


_COMPARISONS: dict[type, Callable[[_Comparison, Any, Any], bool]] = {
    list: _Comparison._are_items_same,
    tuple: _Comparison._are_items_same,
    dict: _Comparison._are_pairs_same,
    set: _Comparison._are_members_same,
    frozenset: _Comparison._are_members_same,
}
