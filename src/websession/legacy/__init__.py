"""
Sessions that other stores hold, so that switching logs nobody out.

    sessions = MovingSession(
        FileStore("/var/lib/example/sessions", serializer="json"),
        sources=[DjangoFiles("/tmp", secret_key=SECRET_KEY)],
        expireRemove=1209600, crossCheckVars=(), sessionIDLength=32,
    )

A `MovingSession` is a `WebSession`: every adapter takes it. It moves a session
when its browser comes back. When the old store is empty, or its sessions have
expired, give the adapter the `FileStore` alone, or a `WebSession` with
``otherIDLengths=True``: sessions that were moved keep their IDs.
"""

from ..stores.transit import LegacySession, LegacySource
from .moving import MovingSession
from .sources import CacheFiles, CherryPyFiles, DjangoFiles, Shelf

__all__ = [
    "CacheFiles",
    "CherryPyFiles",
    "DjangoFiles",
    "LegacySession",
    "LegacySource",
    "MovingSession",
    "Shelf",
]
