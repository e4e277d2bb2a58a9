"""
The MAC of records: who writes one needs a secret of the store, and a record
of one session, or of one store, is nothing in another.
"""

from __future__ import annotations

from _operator import _compare_digest as compare_digest

from .record import (
    BEGIN,
    FLAG_SUPERSEDED,
    FLAG_USER,
    MAGIC,
    pack_fields,
    signed_parts,
)

try:
    from _blake2 import blake2b  # as in ids.py: leaner than hashlib
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MIN_SECRET_LENGTH", "Keyring"]

MIN_SECRET_LENGTH = 16


class Keyring:
    """
    Makes and checks the MAC of records.

    Args:
        secrets: each at least 16 bytes; the last one signs, all verify. Each
            is derived to 32 bytes first, so any length and form will do.
        store_id: the random ID of the store, so that a record of one store is
            nothing in another.

    Attributes:
        keys: of 32 bytes each; the first one signs.
        store_id: as it was passed.

    Raises:
        ValueError: no secret, or a short one.
    """

    def __init__(self, secrets: Sequence[bytes], store_id: bytes) -> None:
        self.keys = [self.derive(secret) for secret in reversed(secrets)]
        self.store_id = store_id
        if not self.keys:
            raise ValueError("at least one secret is needed")
        self._sign_state, *self._older_states = [
            blake2b(store_id, key=key, digest_size=16) for key in self.keys
        ]

    @staticmethod
    def derive(secret: bytes) -> bytes:
        """The 32-byte key of a secret; ValueError if it is too short."""
        if len(secret) < MIN_SECRET_LENGTH:
            raise ValueError(
                f"a secret needs at least {MIN_SECRET_LENGTH} bytes"
            )
        return blake2b(
            secret, digest_size=32, person=b"websession-key"
        ).digest()

    @classmethod
    def fingerprint(cls, secret: bytes) -> str:
        """16 hex digits that tell whether two secrets are the same."""
        key = cls.derive(secret)
        return blake2b(
            key, digest_size=8, person=b"websession-fpr"
        ).hexdigest()

    def pack(
        self,
        name: bytes,
        created: float,
        stored: float,
        env: bytes,
        data: bytes,
        serializer: int,
        supersede: bytes = b"",
        idle: int = 0,
        user: bytes = b"",
    ) -> bytes:
        """
        A record ready for a backend, which fills in sequence number and CRC.

        Args:
            supersede: what `pack_successor` gives, or nothing.
            idle: the session's own idle limit, whole seconds; 0: none.
            user: whose it is, as `record.pack_user` gives it, or nothing.
        """
        flags = FLAG_SUPERSEDED if supersede else 0
        if user:
            flags |= FLAG_USER
        payload = supersede + user[2:] + env + data
        fields = pack_fields(
            created, stored, len(env), len(data), serializer, flags, user[:2],
            idle,
        )  # fmt: skip
        state = self._sign_state.copy()
        state.update(name + MAGIC + fields)
        state.update(payload)
        return BEGIN + fields + state.digest() + payload

    def verifies(self, name: bytes, raw: bytes) -> bool:
        """Whether one of the secrets has signed this record."""
        what, mac = signed_parts(raw)
        what = name + what
        state = self._sign_state.copy()
        state.update(what)
        if compare_digest(state.digest(), mac):
            return True
        for older in self._older_states:
            state = older.copy()
            state.update(what)
            if compare_digest(state.digest(), mac):
                return True
        return False
