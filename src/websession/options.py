"""
What may be chosen, for type checkers: the keywords that adapters pass on to
`WebSession.for_web`, and it to a `FileStore`; and what is one of a few names.

    def open_sessions(path: str, **options: Unpack[WebOptions]) -> WebSession:
        return WebSession.for_web(path, **options)

What they mean is said where they are taken. Nothing on the way of a request
imports this module, since it needs `typing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Literal, TypedDict

from .serializers import Serializer

__all__ = [
    "BackendChoice",
    "Durability",
    "EventName",
    "FileStoreOptions",
    "MiddlewareOptions",
    "SameSite",
    "SerializerName",
    "Shards",
    "SiteOptions",
    "StorePath",
    "WebOptions",
]

StorePath = str | bytes | PathLike[str] | PathLike[bytes]
"""The path of a directory."""

SerializerName = Literal["pickle", "json"]
"""A serialiser that is here already."""

Durability = Literal["none", "data", "full"]
"""What is synced, see `FileStore`."""

Shards = Literal[16, 256, 4096]
"""How many directories a `FileStore` is spread over."""

BackendChoice = Literal["auto", "c", "python"]
"""Which backend is to be used."""

SameSite = Literal["Strict", "Lax", "None"]
"""Where browsers send a cookie, see `SessionCookie`."""

EventName = Literal[
    "load",
    "create",
    "renew",
    "expire",
    "delete",
    "drop",
    "unknown-id",
    "too-large",
    "hijack",
    "corrupt",
]
"""What happens to sessions, see `SessionEvent`."""


class _OfStores(TypedDict, total=False):
    serializer: SerializerName | Serializer
    also_accept: Sequence[SerializerName | Serializer]
    secret: bytes | str | Sequence[bytes | str] | None
    durability: Durability
    max_size: int
    shards: Shards
    sweep_interval: float
    sweep_budget: float
    allow_network: bool
    backend: BackendChoice | None


class _OfSites(TypedDict, total=False):
    max_sessions: int | None
    cross_check: Iterable[str]
    clock: Callable[[], float] | None


class _Limits(TypedDict, total=False):
    idle: float
    lifetime: float


class FileStoreOptions(_OfStores, total=False):
    """The keywords of `FileStore`."""

    lock_timeout: float


class SiteOptions(FileStoreOptions, _OfSites, total=False):
    """
    The keywords of `WebSession.for_web` but its limits in seconds, for which
    some frameworks have settings.
    """


class WebOptions(SiteOptions, _Limits, total=False):
    """The keywords of `WebSession.for_web`, which adapters take too."""


class MiddlewareOptions(_OfStores, _OfSites, _Limits, total=False):
    """
    The same for a middleware, whose `lock_timeout` is another one: how long
    a request waits for those of the same session.
    """
