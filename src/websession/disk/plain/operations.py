"""
The backend in plain Python: the same functions as `disk.native`, complete.

Both read and write the same files, at the same time if need be. The rules are
those of csrc/ws_api.h; `slots.find_live` is the parser.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_SH
from time import CLOCK_REALTIME, clock_gettime
from zlib import crc32

from ... import engine
from ...record import (
    FIELDS_ON,
    FLAG_SUPERSEDED,
    HEADER_LENGTH,
    IN_PAGE,
    MAGIC,
    MARKS,
    MODE_OWN_LIMIT,
    MODE_SUPERSEDED,
    PAGE,
    SEQUENCE,
    VERSION,
    later,
    number_of,
    origin_of,
    right_mode,
    slot_size,
    slot_start,
    stored_at,
    unpack_marks,
    unpack_stored,
)
from ..private import is_there
from .files import File, Outcome
from .rules import check_record, first_slot
from .wipe import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...keyring import Keyring
    from .slots import Slots

NAME = "python"

_MTIME_TOLERANCE = 0.1
# Of a new file at least, see FIRST_LEN in operations.c.
_FIRST_LENGTH = 1024
# The two slots of a small session, which need no cleaning: the state before
# is in one, the record fills the other.
_SMALL = slot_size(1)
_PAIR = slot_start(2)


def draw_id(length: int, alphabet: bytes) -> str:
    """
    A random string from the system's CSPRNG, each character as likely.

    Args:
        length: how many characters.
        alphabet: 2 to 256 distinct ASCII bytes.
    """
    if not 2 <= len(alphabet) <= 256:
        raise ValueError("an alphabet has 2 to 256 characters")
    # Bytes from `limit` on are drawn again, else some were likelier.
    limit = 256 - 256 % len(alphabet)
    table = alphabet * (limit // len(alphabet)) + bytes(256 - limit)
    rejected = bytes(range(limit, 256))
    drawn = b""
    while len(drawn) < length:
        missing = length - len(drawn)
        pool = os.urandom(missing + missing // 2 + 8)
        drawn += pool.translate(table, rejected)[:missing]
    return drawn.decode("ascii")


def _check_name(name: bytes) -> None:
    if len(name) != 32:
        raise ValueError("a session's name has 32 characters")


def _check_version(expected: bytes | None) -> None:
    if expected is not None and len(expected) != HEADER_LENGTH:
        raise ValueError("not the version of a session")


def _raise(outcome: Outcome, name: bytes) -> int:
    """
    Returns the status of an outcome that a store acts on; raises the exception
    that belongs to any other.
    """
    if outcome.status <= engine.DAMAGED:
        engine.fail(outcome.status, outcome.error, name)
    return outcome.status


def keys_of(keyring: Keyring) -> Any:
    """What `read` and `replace` take of a keyring."""
    return keyring


def read(
    path: bytes,
    name: bytes,
    timeout: float,
    known: bytes | None = None,
    keys: Any = None,
) -> bytes | None:
    """
    The live record of a session, or None if there is no session.

    Args:
        known: a record of this session that this function returned, or that
            was written, before; if it is still the live one, it is returned
            itself.
        keys: what `keys_of` made, to authenticate any other. Default: as it
            lies there.

    Raises:
        DamagedFile, ForgedRecord, CorruptData, UnsafeStore, SessionBusy,
        SessionStoreError
    """
    _check_name(name)
    try:
        raw = _read(path, name, timeout, known)
    except Outcome as outcome:
        _raise(outcome, name)
        return None
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, name)
    if (
        keys is not None
        and raw is not known
        and raw is not None
        and not keys.verifies(name, raw)
    ):
        engine.fail(engine.FORGED, 0, name)
    return raw


def _read(
    path: bytes, name: bytes, timeout: float, known: bytes | None
) -> bytes | None:
    with File(path, os.O_RDONLY, shielded=False) as file:
        if file.size == 0:
            return None
        found = file.scan(name, False, known)
        if found.live >= 0:
            return found.raw
        if found.unsupported:
            raise Outcome(engine.UNSUPPORTED)
    # Only a look under the lock tells what a torn slot means.
    with File(path, os.O_RDONLY, checked=False) as file:
        file.lock(LOCK_SH, timeout)
        file.check()
        return file.scan_locked(name, known).raw


def _agree_mtime(fd: int, stored: float) -> None:
    """
    Sets the modification time of a file if it differs from the record's time,
    since the sweep goes by it.
    """
    now = clock_gettime(CLOCK_REALTIME)
    if abs(now - stored) >= _MTIME_TOLERANCE and abs(stored) < 1e11:
        os.utime(fd, ns=(os.fstat(fd).st_atime_ns, int(stored * 1e9)))


def _mark(fd: int, mode: int, record: bytes, idle_before: int) -> None:
    """
    Sets the marks that the record asks for, before it is written: a wrong one
    is found by the sweep, a missing one is not. Of a limit of its own only
    when that is new, since the sweep takes the mark away from long ones.
    """
    wanted = mode
    flags, idle = unpack_marks(record)
    if idle and idle != idle_before:
        wanted |= MODE_OWN_LIMIT
    if flags & FLAG_SUPERSEDED:
        wanted |= MODE_SUPERSEDED
    if wanted != mode:
        os.fchmod(fd, wanted & 0o7777)


def _write(
    file: File,
    name: bytes,
    record: bytes,
    sequence: int,
    offset: int,
    durability: int,
    least: int = 0,
) -> bytes:
    """Completes the header, writes the record, returns the header."""
    # As `record.numbered` does it.
    rest = sequence.to_bytes(8, "little") + record[FIELDS_ON]
    crc = crc32(rest, crc32(name))
    whole = MAGIC + crc.to_bytes(4, "little") + rest
    file.write_at(whole.ljust(least, b"\0"), offset)
    _agree_mtime(file.fd, unpack_stored(record)[0])
    if durability > 0:
        try:
            os.fdatasync(file.fd)
        except OSError as error:
            raise Outcome(engine.UNSYNCED, error.errno or 0) from error
    return whole[VERSION]


def _look_for_count(counted: bytes) -> None:
    """
    Leaves with COUNTED if there is a count of sessions.

    Args:
        counted: its path. Nothing: whoever calls has seen to the count.
    """
    if counted:
        # Not by `is_there`, which takes a failing system for an answer.
        try:
            os.lstat(counted)
        except FileNotFoundError:
            return
        raise Outcome(engine.COUNTED)


def _look_again(counted: bytes) -> int:
    """
    Whoever has begun to count meanwhile may have come by before it was done,
    or after. Where this look fails, the sweep will correct the count.
    """
    if counted and is_there(counted):
        return engine.COUNTED_SINCE
    return engine.OK


def create(
    path: bytes,
    name: bytes,
    record: bytes,
    durability: int,
    timeout: float,
    counted: bytes = b"",
) -> int:
    """
    Makes a new session file.

    Args:
        counted: path of the count of sessions, which must not be there yet.
            Default: it need not be looked for.

    Returns:
        OK, EXISTS if the path is taken, ABSENT if its directory is missing,
        COUNTED if there is a count: nothing was done; COUNTED_SINCE if there
        was none before, and is one now.
    """
    _check_name(name)
    try:
        check_record(record)
        _look_for_count(counted)
        _make(path, name, record, durability, timeout)
        return _look_again(counted)
    except Outcome as outcome:
        return _raise(outcome, name)
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, name)


def _make(
    path: bytes, name: bytes, record: bytes, durability: int, timeout: float
) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    slot = first_slot(len(record), -1)
    with File(path, flags, checked=False) as file:
        # A sweep or a deletion may have come first; they leave at once.
        file.lock(LOCK_EX, timeout)
        info = file.check()
        if info.st_nlink == 0:
            raise Outcome(engine.EXISTS)
        try:
            mode = right_mode(record)
            if info.st_mode & 0o7777 != mode:
                os.fchmod(file.fd, mode)
            _write(
                file, name, record, 1, slot_start(slot), durability,
                _FIRST_LENGTH,
            )  # fmt: skip
        except (OSError, Outcome) as error:
            if file.is_named(path):
                os.unlink(path)
            code = error.errno if isinstance(error, OSError) else error.error
            raise Outcome(engine.ERRNO, code or 0) from error


def _look_locked(
    file: File, path: bytes, timeout: float
) -> os.stat_result | None:
    """Locks the session's file; None if it is the session's no more."""
    file.lock(LOCK_EX, timeout)
    info = file.check()
    if info.st_size == 0 or (info.st_nlink != 1 and not file.is_named(path)):
        return None
    return info


def _write_next(
    file: File,
    mode: int,
    found: Slots,
    name: bytes,
    record: bytes,
    durability: int,
) -> bytes:
    """Under the lock: writes what follows the live record; its header."""
    live = found.raw
    sequence = int.from_bytes(live[SEQUENCE], "little") + 1
    slot = first_slot(len(record), found.live)
    if record[MARKS] != live[MARKS]:
        _mark(file.fd, mode, record, unpack_marks(live)[1])
    start, least = _SMALL * slot, _SMALL
    if slot > 1 or file.size > _PAIR:
        clean(file, found, name, slot, len(record))
        start = slot_start(slot)
        least = slot_size(slot) if slot < IN_PAGE else 0
    return _write(file, name, record, sequence, start, durability, least)


def commit(
    path: bytes,
    name: bytes,
    record: bytes,
    expected: bytes | None,
    now: float,
    idle: float,
    lifetime: float,
    durability: int,
    timeout: float,
) -> tuple[int, bytes]:
    """
    Writes the session's new state, if the conditions of ws_session_commit
    hold.

    Returns:
        Status and header. OK: the header as written. CONFLICT, EXPIRED,
        SUPERSEDED: the live one. ABSENT: nothing.
    """
    _check_name(name)
    _check_version(expected)
    try:
        check_record(record)
        with File(path, os.O_RDWR, checked=False) as file:
            info = _look_locked(file, path, timeout)
            if info is None:
                return engine.ABSENT, b""
            found = file.scan_locked(name)
            verdict = engine.may_follow(
                found.raw, record, expected, now, idle, lifetime
            )
            if verdict == engine.EXHAUSTED:
                raise Outcome(verdict)
            if verdict != engine.OK:
                return verdict, found.raw[VERSION]
            header = _write_next(
                file, info.st_mode, found, name, record, durability
            )
        return engine.OK, header
    except Outcome as outcome:
        return _raise(outcome, name), b""
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, name)


def replace(
    path: bytes,
    name: bytes,
    keys: Any,
    known: bytes,
    data: bytes,
    number: int,
    now: float,
    idle: float,
    lifetime: float,
    durability: int,
    timeout: float,
) -> tuple[int, bytes]:
    """
    Writes the live record with other data.

    Args:
        keys: what `keys_of` made.
        known: as `read` takes it.
        number: of the serialiser of the data.

    Returns:
        Status and record. OK: as written. CONFLICT, since another serializer
        has written env, EXPIRED, SUPERSEDED: only the header of the live one.
        ABSENT: nothing. LARGE: nothing was done, since this is for records
        that fit into a page.
    """
    _check_name(name)
    try:
        with File(path, os.O_RDWR, checked=False) as file:
            info = _look_locked(file, path, timeout)
            if info is None:
                return engine.ABSENT, b""
            found = file.scan_locked(name, known)
            live = found.raw
            created, env, own, user = origin_of(live)
            if (
                found.live >= IN_PAGE
                or HEADER_LENGTH + len(user[2:]) + len(env) + len(data) > PAGE
            ):
                return engine.LARGE, b""
            if live is not known and not keys.verifies(name, live):
                raise Outcome(engine.FORGED)
            if env and number_of(live) != number:
                return engine.CONFLICT, live[VERSION]
            stored = later(now, stored_at(live))
            record = keys.pack(
                name, created, stored, env, data, number, b"", own, user
            )
            check_record(record)
            verdict = engine.may_follow(
                live, record, live[VERSION], now, idle, lifetime
            )
            if verdict == engine.EXHAUSTED:
                raise Outcome(verdict)
            if verdict != engine.OK:
                return verdict, live[VERSION]
            header = _write_next(
                file, info.st_mode, found, name, record, durability
            )
        return engine.OK, header + user[2:] + env + data
    except Outcome as outcome:
        return _raise(outcome, name), b""
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, name)


def remove(
    path: bytes,
    name: bytes,
    expected: bytes | None,
    timeout: float,
    marked: bool = False,
    counted: bytes = b"",
) -> int:
    """
    Unlinks the session; with `expected` only if that header is the live one.

    Args:
        marked: also if it is marked as superseded, and nothing is expected.
        counted: as `create` takes it.

    Returns:
        OK, ABSENT or CONFLICT; SUPERSEDED if it is marked so and is left;
        COUNTED, COUNTED_SINCE as `create`.
    """
    _check_name(name)
    _check_version(expected)
    try:
        _look_for_count(counted)
        with File(path, os.O_RDONLY, checked=False) as file:
            file.lock(LOCK_EX, timeout)
            info = file.check()
            if info.st_size == 0 or not file.is_named(path):
                # An empty one is somebody's who is about to make it.
                return engine.ABSENT
            if expected is None:
                if info.st_mode & MODE_SUPERSEDED and not marked:
                    return engine.SUPERSEDED
            else:
                found = file.scan_locked(name)
                if found.raw[VERSION] != expected:
                    return engine.CONFLICT
            os.unlink(path)
            file.unlinked = True
        return _look_again(counted)
    except Outcome as outcome:
        return _raise(outcome, name)
    except OSError as error:
        engine.fail(engine.ERRNO, error.errno or 0, name)


def scan_shard(
    directory: bytes, prefix: bytes, every: int = 1, seen: int = 0
) -> engine.Scanned | None:
    """
    What a shard directory holds. Takes no lock, changes nothing.

    Args:
        directory: path of the shard.
        prefix: what of the handle the directory stands for.
        every: read the header of every so manieth session; 0: of none.
        seen: how many sessions of other shards came before.

    Returns:
        What was found, or None if there is no such directory.
    """
    from .scan import scan

    return scan(directory, prefix, every, seen)


def set_aside(path: bytes, name: bytes, target: bytes, timeout: float) -> bool:
    """
    Moves a file to `target` if, under the lock, no part of it is readable.

    Returns:
        Whether it was moved. A failure to move it is not an error: the file
        stays where it is, and damaged.
    """
    try:
        with File(path, os.O_RDONLY, checked=False) as file:
            file.lock(LOCK_EX, timeout)
            file.check()
            if not file.is_named(path):
                return False
            try:
                file.scan_locked(name)
            except Outcome as outcome:
                if outcome.status == engine.DAMAGED and file.size > 0:
                    os.rename(path, target)
                    return True
    except (Outcome, OSError):
        pass
    return False


def sweep_shard(
    directory: bytes, prefix: bytes, now: float, idle: float, lifetime: float
) -> engine.Swept | None:
    """
    Removes the expired sessions of one shard directory.

    Args:
        directory: path of the shard.
        prefix: what of the handle the directory stands for.
        now, idle, lifetime: seconds; limits of 0 do not count.

    Returns:
        What was done, or None if there is no such directory.
    """
    from .sweep import sweep

    return sweep(directory, prefix, now, idle, lifetime)
