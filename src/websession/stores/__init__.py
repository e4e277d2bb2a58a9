"""
Where sessions are kept: the base class `SessionStore` and its implementations.

Imported on first use, since a CGI process pays for every import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .base import SessionStore
    from .file import FileStore
    from .mapping import MappingStore

__all__ = ["FileStore", "MappingStore", "SessionStore"]


if not TYPE_CHECKING:  # or every misspelt name is one that may be there

    def __getattr__(name: str) -> object:
        if name == "FileStore":
            from .file import FileStore

            return FileStore
        if name == "MappingStore":
            from .mapping import MappingStore

            return MappingStore
        if name == "SessionStore":
            from .base import SessionStore

            return SessionStore
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
