"""
The directory of a `FileStore`: its marker and its key, and where in it a
session lies.
"""

from __future__ import annotations

import os
import time
from errno import EEXIST

from ..engine import loud
from ..exceptions import SessionStoreError, UnsafeStore, printable
from ..keyring import Keyring
from .private import (
    TEMPORARY,
    check_directory,
    check_way,
    make_directory,
    make_file,
    network_type,
    read_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

__all__ = [
    "COUNT",
    "DAMAGED",
    "FORMAT",
    "LOCKS",
    "MARKER",
    "UNTRACKED",
    "Layout",
    "may_be_shard",
]

FORMAT = 2
MARKER, KEY = b".websession", b".key"
UNTRACKED = b".gitignore"
LOCKS, COUNT, DAMAGED = b".locks", b".count", b".damaged"
KEY_LENGTH = 32
# Longest time between two looks whether the store is still the same one, in
# seconds, while nothing else leads to one.
_LOOK_INTERVAL = 1.0
SHARD_DIGITS = {16: 1, 256: 2, 4096: 3}


def is_store_id(text: bytes) -> bool:
    """32 digits of lower-case hex."""
    return len(text) == 32 and not text.strip(b"0123456789abcdef")


def path_maker(prefix: bytes, digits: int) -> Callable[[bytes], bytes]:
    """From a handle to the path of its session; on the way of every call."""

    def path(name: bytes) -> bytes:
        return prefix + name[:digits] + b"/" + name[digits:]

    return path


def may_be_shard(name: bytes) -> bool:
    """Whether a directory of sessions may be called so."""
    return len(name) <= 3 and not name.strip(b"0123456789abcdef")


class Layout:
    """
    An opened store directory.

    Args:
        path: the directory; made if it is missing.
        secrets: the application's own, oldest first; empty: the store keeps
            a random one in ``.key``.
        shards: directories to spread a new store over: 16, 256 or 4096.
        allow_network: do not refuse network file systems.
        existing: make nothing; without a store there, say so. A key that is
            missing is not missed before it is needed.

    Attributes:
        root: absolute path, resolved once.
        shown: the same for people.
        digits: how many digits of a handle name its shard.
        shards: how many there are.
        marker: the lines of ``.websession``.
        path: the path of the session with a given handle.

    Raises:
        UnsafeStore, SessionStoreError: what is wrong and what to do.
        ValueError: a secret that is too short, an impossible `shards`.
    """

    @loud
    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        secrets: Sequence[bytes],
        shards: int,
        allow_network: bool,
        existing: bool = False,
    ) -> None:
        if shards not in SHARD_DIGITS:
            raise ValueError("shards must be 16, 256 or 4096")
        if not os.fsencode(path):
            raise ValueError("the path of the store is empty")
        self.root = os.path.realpath(os.fsencode(path))
        self.shown = printable(os.fsdecode(self.root))
        for secret in secrets:
            Keyring.derive(secret)  # before anything is made
        self._secrets = secrets
        if not existing:
            self._make_root()
        elif not os.path.lexists(self.join(MARKER)):
            self._refuse_to_inspect()
        check_directory(self.root)
        if not allow_network:
            self._refuse_network()
        marker = self._read_marker()
        if marker is None:
            marker = self._initialise(bool(secrets), shards)
        self.marker = marker
        self._keyring = None if existing else self._unlock()
        self.shards = int(marker[b"shards"])
        self.digits = SHARD_DIGITS[self.shards]
        self._looked = time.monotonic()
        self._seen: tuple[int, int, int] | None = None
        self._prefix = self.root + b"/"
        self.path = path_maker(self._prefix, self.digits)

    @property
    def keyring(self) -> Keyring:
        """
        What makes and checks the MACs of this store.

        Raises:
            SessionStoreError: the key is missing, or is another one.
        """
        if self._keyring is None:
            self._keyring = self._unlock()
        return self._keyring

    def _make_root(self) -> None:
        missing = []
        path = self.root
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            make_directory(path)

    def _refuse_to_inspect(self) -> NoReturn:
        check_way(self.root)
        if not os.path.exists(self.root):
            what = "does not exist"
        elif not os.path.isdir(self.root):
            what = "is not a directory"
        elif not os.access(self.root, os.X_OK):
            what = "cannot be entered by this user"
        else:
            self._refuse_half_a_copy(os.listdir(self.root))
            what = "is not a session store (there is no .websession in it)"
        raise SessionStoreError(
            f"{self.shown} {what}: give the directory that the application "
            "keeps its sessions in, as its owner"
        )

    def _refuse_half_a_copy(self, names: list[bytes]) -> None:
        """Sessions without a marker come from a copy of what ``*`` matches."""
        shards = [
            name
            for name in names
            if may_be_shard(name) and os.path.isdir(self.join(name))
        ]
        if shards:
            raise SessionStoreError(
                f"{self.shown} has directories of sessions "
                f"({min(shards).decode()}), but no .websession: copy that and "
                ".key from where they come from (* leaves them out, cp -a of "
                "the directory does not)"
            )

    def _refuse_network(self) -> None:
        kind = network_type(self.root)
        if kind is not None:
            raise UnsafeStore(
                f"{self.shown} is on a network file system ({kind}), where "
                "stale pages and locks lose sessions: use a directory on a "
                "disk of this machine (where there is none, ask the host for "
                "one; /var/tmp/NAME will do, if old files stay there), or "
                "allow_network=True (--allow-network) if this machine alone "
                "uses it"
            )

    def _read_marker(self) -> dict[bytes, bytes] | None:
        raw = read_file(self.join(MARKER))
        if raw is None:
            return None
        fields = dict(
            line.partition(b" ")[::2] for line in raw.strip().split(b"\n")
        )
        version = fields.get(b"websession-store", b"")
        if version.isdigit() and int(version) > FORMAT:
            raise SessionStoreError(
                f"{self.shown} has format {int(version)}, this version of "
                f"websession reads format {FORMAT}: upgrade websession"
            )
        if version.isdigit() and int(version) < FORMAT:
            raise SessionStoreError(
                f"{self.shown} has format {int(version)}, which was never "
                f"released, and this version of websession reads format "
                f"{FORMAT} alone: name a new directory; whoever is logged in "
                "has to log in again"
            )
        good = (
            version == b"%d" % FORMAT
            and fields.get(b"shards") in (b"16", b"256", b"4096")
            and is_store_id(fields.get(b"id", b""))
            and b"key" in fields
        )
        if not good:
            raise SessionStoreError(
                f"{self.shown}/.websession is damaged: restore it from a "
                "backup, or use another directory"
            )
        return fields

    def _initialise(
        self, own_secrets: bool, shards: int
    ) -> dict[bytes, bytes]:
        """Makes key and marker; of several processes at once, one wins."""
        known = (KEY, LOCKS, COUNT, DAMAGED, UNTRACKED)
        others = [
            name
            for name in os.listdir(self.root)
            if name not in known and not name.startswith(TEMPORARY)
        ]
        if others and read_file(self.join(MARKER)) is None:
            self._refuse_half_a_copy(others)
            raise SessionStoreError(
                EEXIST,
                "not a session store, and not empty (there is "
                f"{os.fsdecode(min(others))!r}): name a new directory",
                os.fsdecode(self.root),
            )
        key = b"application"
        if not own_secrets:
            make_file(self.join(KEY), os.urandom(KEY_LENGTH))
            key = b"file:" + Keyring.fingerprint(self._read_key()).encode()
        # Keys and sessions in a repository would be everybody's.
        make_file(self.join(UNTRACKED), b"*\n")
        from time import gmtime, strftime

        lines = (
            b"websession-store %d" % FORMAT,
            b"shards %d" % shards,
            b"id " + os.urandom(16).hex().encode(),
            b"key " + key,
            b"made " + strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()).encode(),
            b"",
        )
        make_file(self.join(MARKER), b"\n".join(lines))
        marker = self._read_marker()
        if marker is None:
            raise SessionStoreError(f"{self.shown}/.websession went away")
        return marker

    def _read_key(self, marker: dict[bytes, bytes] | None = None) -> bytes:
        if marker and marker.get(b"key") == b"application":
            raise SessionStoreError(
                f"{self.shown} was made with the application's own secret: "
                "pass it as secret="
            )
        key = read_file(self.join(KEY))
        if key is None or len(key) != KEY_LENGTH:
            state = "missing" if key is None else "damaged"
            raise SessionStoreError(
                f"{self.shown}/.key is {state}: copy it from a backup, or "
                "from where the sessions come from; without it no session "
                "can be read"
            )
        return key

    def _unlock(self) -> Keyring:
        """The keys, if they are those that the store was made with."""
        secrets = self._secrets or [self._read_key(self.marker)]
        made_with = self.marker[b"key"]
        kind, _, fingerprint = made_with.partition(b":")
        if kind == b"file" and fingerprint.decode(
            "ascii", "replace"
        ) not in map(Keyring.fingerprint, secrets):
            advice = (
                "put the bytes of its .key first in the list of secrets"
                if self._secrets
                else "restore the .key that belongs to it"
            )
            raise SessionStoreError(
                f"{self.shown} was made with another key: {advice}"
            )
        return Keyring(secrets, bytes.fromhex(self.marker[b"id"].decode()))

    def join(self, *names: bytes) -> bytes:
        """Path of something in the store."""
        return b"/".join((self.root, *names))

    def prefix(self, shard: int) -> bytes:
        """The digits that shard number 0, 1, ... stands for."""
        return b"%0*x" % (self.digits, shard)

    def shard(self, name: bytes) -> int:
        """The number of the shard of this handle."""
        return int(name[: self.digits], 16)

    def directory(self, name: bytes) -> bytes:
        """The shard directory of this handle."""
        return self._prefix + name[: self.digits]

    def make_shard(self, name: bytes) -> None:
        """Makes the shard directory of this handle."""
        self.check()
        make_directory(self.directory(name))

    def check_at_times(self) -> None:
        """Calls `check`, unless that was done within the last second."""
        if time.monotonic() - self._looked > _LOOK_INTERVAL:
            self.check()

    @loud
    def check(self) -> None:
        """
        Whether this is still the store that was opened. One that was made anew
        has another key, and perhaps other shards.

        Raises:
            SessionStoreError: it is gone, or another one.
        """
        now = time.monotonic()
        marker = None
        try:
            info = os.stat(self.join(MARKER))
            seen = (info.st_dev, info.st_ino, info.st_mtime_ns)
            if seen == self._seen:
                self._looked = now
                return
            marker = self._read_marker()
        except FileNotFoundError:
            pass
        if marker is None:
            raise SessionStoreError(
                f"{self.shown} is gone: open the store again"
            )
        if marker[b"id"] != self.marker[b"id"]:
            raise SessionStoreError(
                f"{self.shown} was removed and made anew since this process "
                "opened it: open the store again (restart the process)"
            )
        self._seen, self._looked = seen, now

    def make(self, name: bytes) -> bytes:
        """Makes one of the directories beside the shards; its path."""
        path = self.join(name)
        make_directory(path)
        return path
