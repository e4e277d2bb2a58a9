"""
Where sessions are kept: the `SessionStore` protocol and its implementations.

Imported on first use, since a CGI process pays for every import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .file import FileStore
    from .mapping import MappingStore
    from .protocol import SessionStore

__all__ = ["FileStore", "MappingStore", "SessionStore"]

_homes = {
    "FileStore": "file",
    "MappingStore": "mapping",
    "SessionStore": "protocol",
}


def __getattr__(name: str) -> object:
    if name not in _homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_homes[name]}", __name__)
    return getattr(module, name)
