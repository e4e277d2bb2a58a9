"""
The session of a request, as a dict.
"""

from __future__ import annotations

from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .manager import SessionManager

__all__ = ["DictSession"]

# The key of what is in the dict before it is loaded: the encoder of json, from
# C, looks at the size before it calls a method, and must not find it empty.
_NOT_LOADED: Any = object()


class DictSession(Session, dict[str, "Any"]):  # type: ignore[misc]
    """
    A `Session` for frameworks whose own is a dict: what asks for one takes it.
    C code that reads a dict by none of its methods finds the contents from the
    first use on, and before it a key that is no string.
    """

    _contents: dict[Any, Any] | None = None

    def __init__(
        self, manager: SessionManager, env: Mapping[str, Any]
    ) -> None:
        dict.__setitem__(self, _NOT_LOADED, None)
        super().__init__(manager, env)

    # Serialisers take the plain one. Both have the same values.

    @property
    def _data(self) -> dict[Any, Any] | None:
        return self._contents

    @_data.setter
    def _data(self, data: dict[Any, Any] | None) -> None:
        dict.clear(self)
        dict.update(self, data or {})
        self._contents = data

    def __setitem__(self, key: str, value: Any) -> None:
        self._open()[key] = value
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: str) -> None:
        del self._open()[key]
        dict.__delitem__(self, key)

    # dict has one that looks at what is loaded.
    def __ne__(self, other: object) -> bool:
        return not self == other
