"""
What the readers of other stores have in common.
"""

from __future__ import annotations

import contextlib
import os
from errno import EACCES, ELOOP, ENXIO
from stat import S_ISREG

from ..exceptions import (
    CorruptData,
    SessionStoreError,
    UnsafeStore,
    printable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stores.transit import LegacySession

__all__ = ["SessionFiles"]

_OTHERS_MAY_WRITE = 0o022
# Why a file cannot be opened that could be: no permission, a link, a socket.
_OF_THE_FILE = frozenset({EACCES, ELOOP, ENXIO})
# Ends the name of a file that is about to be removed: with it, its session is
# found here as before, and by nobody else.
_ASIDE = ".moving"


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

    @contextlib.contextmanager
    def _nameless(self) -> Iterator[None]:
        """Failures do not tell the name of a file: the ID is in it."""
        try:
            yield
        except SessionStoreError:
            raise
        except OSError as error:
            raise SessionStoreError(
                error.errno, error.strerror, self._path
            ) from None

    def find(self, session_id: str) -> LegacySession | None:
        """See `LegacySource.find`."""
        if not self.accepts(session_id):
            return None
        name = self._file(session_id)
        with self._nameless():
            found = self._read(name) or self._read(name + _ASIDE)
        if found is None:
            return None
        try:
            session = self._decode(*found)
        except Exception as error:
            # Whatever a damaged file makes of the decoders.
            raise CorruptData(
                f"a session in {printable(self._path)} cannot be decoded"
                f"{self._where(name)}: {printable(str(error))}"
            ) from error
        return None if session is None else session._replace(version=found)

    def _read(self, name: str) -> tuple[bytes, float] | None:
        """Content and modification time."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        path = os.path.join(self._path, name)
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            # Who cannot enter the directory cannot tell that it is there.
            if error.errno in _OF_THE_FILE and os.path.lexists(path):
                unsafe = self._unsafe(name)
                unsafe.errno = error.errno
                raise unsafe from None
            raise
        try:
            info = os.fstat(fd)
            if (
                not S_ISREG(info.st_mode)
                or info.st_uid != os.geteuid()
                or info.st_mode & _OTHERS_MAY_WRITE
            ):
                raise self._unsafe(name)
            with open(fd, "rb", closefd=False) as file:
                return file.read(), info.st_mtime
        finally:
            os.close(fd)

    def _unsafe(self, name: str) -> UnsafeStore:
        return UnsafeStore(
            f"the file of a session in {printable(self._path)} must be a "
            "regular one of this user, who may read it, and nobody else write "
            f"to it{self._where(name)}"
        )

    def _where(self, name: str) -> str:
        """How to find a file whose name is not told: the ID is in it."""
        for each in name, name + _ASIDE:
            with contextlib.suppress(OSError):
                number = os.lstat(os.path.join(self._path, each)).st_ino
                return f" (find {printable(self._path)} -inum {number})"
        return ""

    def remove(self, session_id: str, version: object = None) -> bool:
        """See `LegacySource.remove`."""
        if not self.accepts(session_id):
            return False
        name = self._file(session_id)
        path = os.path.join(self._path, name)
        aside = path + _ASIDE
        with self._nameless():
            if version is None:
                there = _unlinked(path)
                return _unlinked(aside) or there
            # Out of the reach of the application that it was of, which might
            # store it between a look and its removal.
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, aside)
            return self._read(name + _ASIDE) == version and _unlinked(aside)

    def _exists(self, name: str) -> bool:
        path = os.path.join(self._path, name)
        return os.path.lexists(path) or os.path.lexists(path + _ASIDE)

    def entries(self) -> int:
        """How many files there are, of sessions or not."""
        with os.scandir(self._path) as entries:
            return sum(entry.is_file() for entry in entries)

    def _names(self, prefix: str) -> Iterator[str]:
        """What follows the prefix in the names of files, each once."""
        with os.scandir(self._path) as entries:
            for entry in entries:
                name = entry.name.removesuffix(_ASIDE)
                if not name.startswith(prefix):
                    continue
                if name != entry.name and os.path.lexists(
                    os.path.join(self._path, name)
                ):
                    continue
                yield name[len(prefix) :]


def _unlinked(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
