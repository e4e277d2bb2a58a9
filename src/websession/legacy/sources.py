"""
The stores whose sessions can be read.
"""

from __future__ import annotations

import os
import struct
import time
from datetime import datetime, timezone

from ..disk.lock import file_lock
from ..exceptions import InvalidSessionId
from ..ids import SESSION_ID_CHARS
from ..stores.mapping import CHECKVARS, MappingStore
from ..stores.transit import LegacySession
from .source import SessionFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

__all__ = ["CacheFiles", "CherryPyFiles", "DjangoFiles", "Shelf"]

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_HEX = frozenset("0123456789abcdef")
_URLSAFE = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
)


class DjangoFiles(SessionFiles):
    """
    The sessions of Django's ``backends.file``. Needs Django.

    Args:
        path: ``SESSION_FILE_PATH``, or the directory for temporary files.
        secret_key: ``SECRET_KEY``.
        fallbacks: ``SECRET_KEY_FALLBACKS``.
        cookie_name, cookie_age: ``SESSION_COOKIE_NAME`` and ``_AGE``.
        serializer: the class that ``SESSION_SERIALIZER`` names; None: JSON.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        secret_key: str,
        fallbacks: Sequence[str] = (),
        cookie_name: str = "sessionid",
        cookie_age: int = 1209600,
        serializer: Any = None,
    ) -> None:
        try:
            from django.core import signing
        except ImportError as error:
            raise ImportError(
                "reading Django's sessions needs Django: pip install django"
            ) from error
        super().__init__(path)
        self._loads = signing.loads
        self._key, self._fallbacks = secret_key, list(fallbacks)
        self._prefix = cookie_name
        self._age = cookie_age
        self._serializer = serializer or signing.JSONSerializer

    def accepts(self, session_id: str) -> bool:
        """32 lower-case letters and digits."""
        return len(session_id) == 32 and _LOWER.issuperset(session_id)

    def _file(self, session_id: str) -> str:
        return self._prefix + session_id

    def ids(self) -> Iterator[str]:
        """See `LegacySource.ids`."""
        return filter(self.accepts, self._names(self._prefix))

    def _decode(self, raw: bytes, stored: float) -> LegacySession | None:
        data = self._loads(
            raw.decode("ascii"),
            key=self._key,
            salt="django.contrib.sessions.SessionStore",
            serializer=self._serializer,
            fallback_keys=self._fallbacks,
        )
        expiry = data.get("_session_expiry")
        idle = 0
        if isinstance(expiry, str):
            expiry = datetime.fromisoformat(expiry)
        if isinstance(expiry, datetime):
            if expiry.tzinfo is None:
                expiry = expiry.replace(tzinfo=timezone.utc)
            until = expiry.timestamp()
            idle = max(1, int(until - stored))
        else:
            # 0: until the browser is closed.
            idle = expiry or 0
            until = stored + (idle or self._age)
        if until <= time.time():
            return None
        return LegacySession(data, stored, stored, idle)


class CacheFiles(SessionFiles):
    """
    The sessions of Flask-Session in files of cachelib: its types "filesystem"
    and "cachelib" with a `FileSystemCache`.

    Args:
        path: the directory of the cache, ``SESSION_FILE_DIR``.
        key_prefix: ``SESSION_KEY_PREFIX``.
        signed_with: the application's ``SECRET_KEY``, if it has
            ``SESSION_USE_SIGNER``; needs itsdangerous.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key_prefix: str = "session:",
        signed_with: str | None = None,
    ) -> None:
        super().__init__(path)
        self._prefix = key_prefix
        self._signer: Any = None
        if signed_with is not None:
            from itsdangerous import BadSignature, Signer

            self._bad_signature = BadSignature
            self._signer = Signer(
                signed_with, salt="flask-session", key_derivation="hmac"
            )

    def accepts(self, session_id: str) -> bool:
        """URL-safe characters; with a good signature if they are signed."""
        name = self._name(session_id)
        return 20 <= len(name) <= 128 and _URLSAFE.issuperset(name)

    def _name(self, session_id: str) -> str:
        """The ID without its signature; nothing if that is wrong."""
        if self._signer is None:
            return session_id
        try:
            name: bytes = self._signer.unsign(session_id)
        except self._bad_signature:
            return ""
        return name.decode("utf-8", "replace")

    def _file(self, session_id: str) -> str:
        from hashlib import md5, sha256

        key = (self._prefix + self._name(session_id)).encode("utf-8")
        old = md5(key, usedforsecurity=False).hexdigest()
        if self._exists(old):
            return old
        return sha256(key).hexdigest()  # from cachelib 0.16 on

    def ids(self) -> Iterator[str]:
        """None: the names of the files do not tell."""
        return iter(())

    def _decode(self, raw: bytes, stored: float) -> LegacySession | None:
        import pickle

        (until,) = struct.unpack_from("I", raw)
        if until and until < time.time():
            return None
        data = pickle.loads(raw[4:])  # noqa: S301  # see SessionFiles
        return LegacySession(data, stored, stored)


class CherryPyFiles(SessionFiles):
    """
    The sessions of CherryPy's `FileSession`.

    Args:
        path: ``tools.sessions.storage_path``.
    """

    _prefix = "session-"

    def accepts(self, session_id: str) -> bool:
        """40 hex digits."""
        return len(session_id) == 40 and _HEX.issuperset(session_id)

    def _file(self, session_id: str) -> str:
        return self._prefix + session_id

    def ids(self) -> Iterator[str]:
        """See `LegacySource.ids`."""
        return filter(self.accepts, self._names(self._prefix))

    def _decode(self, raw: bytes, stored: float) -> LegacySession | None:
        import pickle

        data, until = pickle.loads(raw)  # noqa: S301  # see SessionFiles
        if until < datetime.now():  # in local time, as CherryPy has it
            return None
        return LegacySession(data, stored, stored)


class Shelf:
    """
    A shelve as the original module kept it, or as this one does. It is opened
    for each look, under a lock file beside it, so that processes can share it
    while it is emptied.

    Args:
        path: as `shelve.open` takes it. As trustworthy as whoever can write
            there: it is unpickled.
        length, characters: of its IDs.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        length: int = 12,
        characters: str = "",
    ) -> None:
        self._path = os.fspath(path)
        self._length = length
        self._characters = frozenset(characters or SESSION_ID_CHARS)
        with self._opened():
            pass  # says now what is wrong with it

    def _opened(self) -> _OpenShelf:
        return _OpenShelf(self._path)

    def accepts(self, session_id: str) -> bool:
        """Whether an ID has the length and the characters of the shelf's."""
        return len(session_id) == self._length and self._characters.issuperset(
            session_id
        )

    def find(self, session_id: str) -> LegacySession | None:
        """See `LegacySource.find`."""
        if not self.accepts(session_id):
            return None
        with self._opened() as opened:
            try:
                record = opened.store.read(session_id, time.time())
            except InvalidSessionId:
                return None
            version = opened.version(session_id)
        return LegacySession(
            record.data,
            record.stored,
            record.created,
            record.idle,
            dict(record.env),
            version,
        )

    def remove(self, session_id: str, version: object = None) -> bool:
        """See `LegacySource.remove`."""
        if not self.accepts(session_id):
            return False
        with self._opened() as opened:
            if version not in (None, opened.version(session_id)):
                return False
            return opened.store.delete(session_id)

    def ids(self) -> Iterator[str]:
        """See `LegacySource.ids`."""
        with self._opened() as opened:
            keys = list(opened.shelf.keys())
        for key in keys:
            if not key.startswith(CHECKVARS) and self.accepts(key):
                yield key

    def entries(self) -> int:
        """How many keys there are, of sessions or not."""
        with self._opened() as opened:
            return len(opened.shelf)


class _OpenShelf:
    """
    The shelve, open and locked.

    Attributes:
        shelf: the shelve itself.
        store: a `MappingStore` over the shelve.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> _OpenShelf:
        import shelve

        self._lock = file_lock(os.fsencode(self._path + ".lock"))
        self._lock.acquire()
        try:
            self.shelf: Any = shelve.open(self._path, "w")  # noqa: S301
        except BaseException:
            self._lock.release()
            raise
        self.store = MappingStore(self.shelf)
        return self

    def version(self, session_id: str) -> object:
        """The bytes of a session; None for what is not there."""
        raw = self.shelf.dict
        keys = (session_id.encode(), (CHECKVARS + session_id).encode())
        return tuple(raw.get(key) for key in keys)

    def __exit__(self, *exc: object) -> None:
        try:
            self.shelf.close()
        finally:
            self._lock.release()
