"""
`FileStore`: one file per session, in a directory that many processes share.
"""

from __future__ import annotations

import os

from .. import serializers
from ..disk.engine import DiskEngine
from ..engine import loud
from .base import SessionStore
from .records import RecordStore, check_max_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from typing_extensions import Unpack

    from ..options import (
        BackendChoice,
        Durability,
        FileStoreOptions,
        SerializerName,
        Shards,
        StorePath,
    )
    from ..serializers import Serializer

__all__ = ["FileStore", "open_store"]


class FileStore(RecordStore):
    """
    Sessions as files that any number of processes share.

    Safe for concurrent use by threads and processes, before and after a fork.
    No descriptor and no lock is held between calls. The docstrings of
    `SessionStore` say what the methods do.

    Args:
        path: the directory, ``str``, ``bytes`` or path-like. Made with mode
            0700 if it is missing; otherwise it must be empty or a store, and
            private to this user.
        serializer: ``"pickle"`` (default: any object), ``"json"``, or a
            `serializers.Serializer`.
        also_accept: serialisers that records may have been written with
            besides. Default: none, so that nothing is unpickled by surprise.
        secret: authenticates the records: ``bytes`` or ``str`` of at least 16
            bytes, or a sequence of these, of which the last signs and all
            verify (rotation). None: a random key in the store's ``.key``.
        durability: ``"none"`` survives any crash of processes; ``"data"``
            also a power loss (``fdatasync`` at each write); ``"full"`` also
            makes creation and removal durable, so that a log-out stays. Both
            need a file system with a journal or the like.
        max_size: largest serialised data in bytes, default 1 MiB, at most
            32 MiB.
        shards: directories to spread a new store over: 16, 256 (default) or
            4096. An existing store keeps what it was made with.
        sweep_interval: least seconds between automatic sweeps, default 60;
            0: none. A sixteenth of the shortest limit in use, or a hundred
            times what the last one took, if that is more: what has expired is
            refused anyway. Before a session is one too many a sweep looks for
            others that have expired, once in an interval.
        sweep_budget: seconds of processor time that one slice of an automatic
            sweep may take, default 0.005; of real time four times as much.
        lock_timeout: longest wait for a session's file, default 10 seconds.
            Locks are held for microseconds: only a stopped process reaches
            this.
        allow_network: open even on a network file system, for a store that a
            single machine uses.
        backend: ``"auto"``, ``"c"`` or ``"python"``; None: what
            ``WEBSESSION_BACKEND`` says.

    Raises:
        UnsafeStore: others can reach into the directory.
        SessionStoreError: not a store, wrong key, newer format, system error.
        ValueError: an argument out of range.
    """

    engine: DiskEngine

    @loud
    def __init__(
        self,
        path: StorePath,
        *,
        serializer: SerializerName | Serializer = "pickle",
        also_accept: Sequence[SerializerName | Serializer] = (),
        secret: bytes | str | Sequence[bytes | str] | None = None,
        durability: Durability = "none",
        max_size: int = 1 << 20,
        shards: Shards = 256,
        sweep_interval: float = 60.0,
        sweep_budget: float = 0.005,
        lock_timeout: float = 10.0,
        allow_network: bool = False,
        backend: BackendChoice | None = None,
    ) -> None:
        check_max_size(max_size)  # before anything is made
        serializer = serializers.get(serializer)
        engine = DiskEngine(
            path,
            secrets=_secrets(secret),
            shards=shards,
            allow_network=allow_network,
            backend=backend,
            durability=durability,
            timeout=lock_timeout,
            sweep_interval=sweep_interval,
            sweep_budget=sweep_budget,
        )
        super().__init__(
            engine,
            serializer=serializer,
            also_accept=also_accept,
            max_size=max_size,
        )

    def __repr__(self) -> str:
        return f"<FileStore {self.path!r}, {self.backend} backend>"

    @property
    def path(self) -> str:
        """The directory, absolute."""
        return os.fsdecode(self.engine.layout.root)

    @property
    def backend(self) -> Literal["c", "python"]:
        """``"c"`` or ``"python"``."""
        name: Literal["c", "python"] = self.engine.backend.NAME
        return name

    @property
    def durability(self) -> Durability:
        """``"none"``, ``"data"`` or ``"full"``."""
        return self.engine.durability

    def draw_id(self, length: int, alphabet: bytes) -> str:
        """A random ID from this store's backend."""
        drawn: str = self.engine.backend.draw_id(length, alphabet)
        return drawn


def open_store(
    place: StorePath | SessionStore, **options: Unpack[FileStoreOptions]
) -> SessionStore:
    """
    A store as it is; of the path of a directory a `FileStore`.

    Args:
        options: of the `FileStore`.

    Raises:
        TypeError: options for a store that is open already.
    """
    if not isinstance(place, SessionStore):
        # Raises what is clear if it is no path at all.
        return FileStore(place, **options)
    if options:
        raise TypeError(
            f"{', '.join(sorted(options))}: a store that is made already has "
            "its own; pass the path of its directory, or these to the store"
        )
    return place


def _secrets(
    secret: bytes | str | Sequence[bytes | str] | None,
) -> list[bytes]:
    if secret is None:
        return []
    if isinstance(secret, (bytes, str)):
        secret = [secret]
    found = [
        each.encode("utf-8") if isinstance(each, str) else bytes(each)
        for each in secret
    ]
    if not found:
        raise ValueError("secret is an empty list; None means the store's own")
    return found
