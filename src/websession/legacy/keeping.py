"""
Sessions whose old store kept more than the new one can.
"""

from __future__ import annotations

from .._tagged_json import dumps as told_apart
from ..ids import handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..serializers import Serializer
    from ..stores.transit import LegacySession, LegacySource

__all__ = ["Keeping"]

_MISSING = object()


class Keeping:
    """
    A source whose sessions are what a serialiser can keep of them: a value
    that it cannot keep would fail each request of its session.

    Args:
        source: the source as it is.
        serializer: of the new store; None: it keeps anything.
    """

    def __init__(
        self, source: LegacySource, serializer: Serializer | None
    ) -> None:
        self._source = source
        self._serializer = serializer
        self._about = ""

    def accepts(self, session_id: str) -> bool:
        """See `LegacySource.accepts`."""
        return self._source.accepts(session_id)

    def find(self, session_id: str) -> LegacySession | None:
        """
        The session without the keys that cannot be kept; None also if nothing
        of it can be, which is logged.
        """
        found, self._about = self._source.find(session_id), ""
        serializer = self._serializer
        if found is None or serializer is None:
            return found
        is_kept = _is_kept(found.data, serializer)
        if not isinstance(found.data, dict):
            if is_kept:
                return found
            self._about = "it cannot be kept and stays where it is"
            self.warn(session_id)
            return None
        lost = []
        if not is_kept:
            lost = [
                key
                for key, value in found.data.items()
                if not _is_kept({key: value}, serializer)
            ]
        data = {k: v for k, v in found.data.items() if k not in lost}
        self._remark(lost, _changed(data, serializer))
        return found._replace(data=data)

    def remove(self, session_id: str, version: object = None) -> bool:
        """See `LegacySource.remove`."""
        return self._source.remove(session_id, version)

    def ids(self) -> Iterator[str]:
        """See `LegacySource.ids`."""
        return self._source.ids()

    def _remark(self, lost: list[object], changed: list[object]) -> None:
        remarks = []
        if lost:
            remarks.append(f"{_names(lost)} cannot be kept and is left out")
        if changed:
            remarks.append(f"{_names(changed)} comes back as another type")
        self._about = "; ".join(remarks)

    def warn(self, session_id: str) -> None:
        """Logs what is not kept of the session that was found last."""
        if self._about and self._serializer is not None:
            import logging

            logging.getLogger("websession").warning(
                "moving session %s: %s (serializer %s)",
                handle(session_id).decode("ascii"),
                self._about,
                self._serializer.name,
            )


def _names(keys: list[object]) -> str:
    return ", ".join(f"{key!r:.60}" for key in keys)


def _is_kept(data: object, serializer: Serializer) -> bool:
    try:
        serializer.dumps(data)
    except Exception:  # whatever serialisers raise
        return False
    return True


def _changed(data: dict[Any, Any], serializer: Serializer) -> list[object]:
    """The keys whose values a serialiser does not give back as they were."""
    if not serializer.canonical:
        return []  # pickle: it gives back what it takes
    back = serializer.loads(serializer.dumps(data))
    if not isinstance(back, dict):
        return list(data)
    return [
        key
        for key, value in data.items()
        if not _is_same(value, back.get(key, _MISSING))
    ]


def _is_same(one: object, other: object) -> bool:
    try:
        return told_apart(one) == told_apart(other)
    except TypeError:
        return False
