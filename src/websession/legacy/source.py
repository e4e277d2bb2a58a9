"""
What the readers of other stores have in common.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..exceptions import SessionStoreError, UnsafeStore, printable
from ..ids import handle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LegacySession", "LegacySource", "SessionFiles"]

_OTHERS_MAY_WRITE = 0o022


class LegacySession(NamedTuple):
    """
    A session of another store.

    Attributes:
        data: what the application stored.
        stored: when, in seconds since the epoch.
        created: when it was made, if that is known; otherwise `stored`.
        idle: its own idle limit in whole seconds; 0: none.
        env: the cross-check variables.
    """

    data: Any
    stored: float
    created: float
    idle: int = 0
    env: Mapping[str, object] = {}


class LegacySource(Protocol):
    """Another store, to be read and emptied."""

    def accepts(self, session_id: str) -> bool:
        """Whether its IDs look like this."""
        ...

    def find(self, session_id: str) -> LegacySession | None:
        """The session; None if there is none, it has expired or is damaged."""
        ...

    def remove(self, session_id: str) -> None:
        """Deletes the session; no error if there is none."""
        ...

    def ids(self) -> Iterator[str]:
        """The IDs of its sessions, as far as the store knows them."""
        ...


class SessionFiles:
    """
    A directory with a file for each session, which this user owns and nobody
    else may write to: what is in the files is decoded, pickles too, so it is
    as trustworthy as whoever can write there.

    Args:
        path: the directory.

    Raises:
        SessionStoreError: there is none.
        UnsafeStore: others may write to it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.realpath(os.fspath(path))
        try:
            info = os.stat(self._path)
        except OSError as error:
            raise SessionStoreError(
                error.errno, error.strerror, self._path
            ) from error
        # A sticky directory is /tmp: others cannot replace our files there.
        if info.st_mode & _OTHERS_MAY_WRITE and not info.st_mode & 0o1000:
            shown = printable(self._path)
            raise UnsafeStore(
                f"others may write to {shown}, and its sessions are "
                f"unpickled: chmod go-w {shown}"
            )

    def accepts(self, session_id: str) -> bool:
        """See `LegacySource.accepts`."""
        raise NotImplementedError

    def _file(self, session_id: str) -> str:
        """The name of a session's file."""
        raise NotImplementedError

    def _decode(self, raw: bytes, stored: float) -> LegacySession | None:
        """The content of a file; None if it has expired."""
        raise NotImplementedError

    def find(self, session_id: str) -> LegacySession | None:
        """See `LegacySource.find`."""
        if not self.accepts(session_id):
            return None
        try:
            found = self._read(self._file(session_id))
            return None if found is None else self._decode(*found)
        except Exception as error:
            # Whatever a damaged file makes of the decoders.
            import logging

            logging.getLogger("websession").warning(
                "session %s in %s cannot be read, it stays there: %s",
                handle(session_id).decode("ascii"),
                printable(self._path),
                printable(str(error)),
            )
            return None

    def _read(self, name: str) -> tuple[bytes, float] | None:
        """Content and modification time."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(os.path.join(self._path, name), flags)
        except FileNotFoundError:
            return None
        with open(fd, "rb") as file:
            info = os.fstat(fd)
            if (
                not S_ISREG(info.st_mode)
                or info.st_uid != os.geteuid()
                or info.st_mode & _OTHERS_MAY_WRITE
            ):
                raise UnsafeStore(
                    "it must be a regular file of this user that nobody else "
                    "may write to"
                )
            return file.read(), info.st_mtime

    def remove(self, session_id: str) -> None:
        """See `LegacySource.remove`."""
        if not self.accepts(session_id):
            return
        try:
            os.unlink(os.path.join(self._path, self._file(session_id)))
        except FileNotFoundError:
            pass

    def _names(self, prefix: str) -> Iterator[str]:
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.startswith(prefix):
                    yield entry.name[len(prefix) :]
