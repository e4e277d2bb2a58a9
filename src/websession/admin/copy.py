"""
Sessions from one store to another, and from one secret to another: by handle,
without any ID, beside whoever uses them meanwhile.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ..disk.private import TEMPORARY, sync_directory
from ..disk.root import MARKER
from ..engine import ABSENT, CONFLICT, EXPIRED, OK, SUPERSEDED
from ..exceptions import CorruptData, SessionBusy, SessionStoreError
from ..record import Parts, is_superseded, stored_at, version_of
from ..stores.transit import COPIED, GONE, THERE

if TYPE_CHECKING:
    from ..engine import Draft
    from ..keyring import Keyring
    from ..serializers import Serializer
    from .inspector import Inspector

__all__ = ["Transfer", "resign", "use_application"]

_LONGEST = 10.0
_ABANDONED_AFTER = 1.0
_PAUSE = 0.02


def _draft(parts: Parts) -> Draft:
    return (
        parts.created, parts.stored, parts.env, parts.data, parts.number,
        parts.supersede, parts.idle, parts.user,
    )  # fmt: skip


class Transfer:
    """
    Copies sessions, with their times, limits and cross-check variables.

    Args:
        source, target: the stores; both need their keys.
        serializers: from which to which the data is to be written anew; None:
            it stays as it is.
    """

    def __init__(
        self,
        source: Inspector,
        target: Inspector,
        serializers: tuple[Serializer, Serializer] | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._serializers = serializers

    def copy(self, name: bytes) -> str:
        """
        Copies a session, unless the target has it as it is or newer.

        Args:
            name: the handle.

        Returns:
            COPIED; THERE; or GONE if it was deleted or superseded meanwhile.

        Raises:
            CorruptData: unreadable, not authentic, or not to be decoded.
            SessionStoreError: a store failed.
        """
        source = self._source
        raw = _read(source, name)
        if raw is None or is_superseded(raw):
            return GONE
        if not source.layout.keyring.verifies(name, raw):
            raise CorruptData("it is not authentic")
        record = Parts(raw)
        self._encode(record)
        draft = _draft(record)
        deadline = time.monotonic() + _LONGEST
        while time.monotonic() < deadline:
            there = _read(self._target, name)
            if there is None:
                if self._create(name, draft):
                    return COPIED
                # There, and not to be read: somebody copies the same session,
                # or was killed while doing so.
                if not self._target.delete_empty(name, _ABANDONED_AFTER):
                    time.sleep(_PAUSE)
            elif not self._target.layout.keyring.verifies(name, there):
                raise CorruptData("what the target has of it is not authentic")
            elif stored_at(there) >= record.stored:
                return THERE
            elif _replace(self._target, name, draft, there):
                return COPIED
        raise SessionBusy("others keep changing it in the target")

    def _encode(self, record: Parts) -> None:
        if self._serializers is None:
            return
        old, new = self._serializers
        if record.number == new.number:
            return
        if record.number != old.number:
            raise CorruptData(
                f"it was written by serializer {record.number}, "
                f"not {old.number}"
            )
        try:
            if record.env:
                record.env = new.dumps(old.loads(record.env))
            record.data = new.dumps(old.loads(record.data))
        except Exception as error:
            raise CorruptData(f"it cannot be converted: {error}") from error
        record.number = new.number

    def _create(self, name: bytes, draft: Draft) -> bool:
        engine = self._target.engine
        limits = time.time(), 0.0, 0.0, 0.0
        return engine.create(engine.address(name), draft, limits, None) == OK


def _read(store: Inspector, name: bytes) -> bytes | None:
    return store.engine.inspect(store.engine.address(name))


def _replace(
    store: Inspector, name: bytes, draft: Draft, there: bytes
) -> bool:
    """Writes a record over another; False if the old one has changed."""
    outcome, header = store.engine.commit(
        store.engine.address(name), draft, version_of(there),
        (time.time(), 0.0, 0.0, 0.0),
    )  # fmt: skip
    if outcome == CONFLICT and there.startswith(header):
        raise SessionStoreError(
            "the target has one that was made at another time"
        )
    if outcome in (OK, CONFLICT):
        return bool(outcome == OK)
    if outcome == EXPIRED:
        # By its own limit, and nothing follows that: it is made anew.
        store.delete(name, version_of(there))
    if outcome in (ABSENT, SUPERSEDED, EXPIRED):
        return False
    raise SessionStoreError(f"it could not be written (status {outcome})")


def resign(store: Inspector, last: Keyring, name: bytes) -> str:
    """
    Signs a session with the last secret of a store, unless it is already.

    Args:
        store: where the session is; its other secrets are good too.
        last: a keyring of the last secret alone.
        name: the handle of the session.

    Returns:
        COPIED: the session was signed anew. THERE: it was signed with that
        secret already. GONE: it was deleted or superseded.

    Raises:
        CorruptData: unreadable, or signed with none of the secrets.
    """
    deadline = time.monotonic() + _LONGEST
    while time.monotonic() < deadline:
        raw = _read(store, name)
        if raw is None:
            return GONE
        if last.verifies(name, raw):
            return THERE
        if is_superseded(raw):
            return GONE  # it reads for seconds, and nothing follows it
        if not store.layout.keyring.verifies(name, raw):
            raise CorruptData("it is signed with none of these secrets")
        if _replace(store, name, _draft(Parts(raw)), raw):
            return COPIED
    raise SessionBusy("others keep changing it")


def use_application(store: Inspector) -> bool:
    """
    Writes into a store's marker that the secret is the application's own.

    Returns:
        False if the marker said so already.
    """
    layout = store.layout
    if layout.marker[b"key"] == b"application":
        return False
    path = layout.join(MARKER)
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    new = [
        b"key application" if line.startswith(b"key ") else line
        for line in lines
    ]
    temporary = layout.join(TEMPORARY + os.urandom(8).hex().encode())
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(b"\n".join(new))
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    sync_directory(layout.root)
    return True
