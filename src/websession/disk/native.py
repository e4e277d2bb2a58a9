"""
The backend in C: the only module that touches `ffi` and `lib`.

It checks lengths, calls, and turns what comes back into plain values or
exceptions. What each function does is said in `plain.operations`, its twin,
and in csrc/ws_api.h.
"""

from __future__ import annotations

import time
from struct import Struct

from .. import engine
from ._native import ffi, lib  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..keyring import Keyring

NAME = "c"

_READ_LENGTH = 1 << 17
_ODD_LENGTH = 4096
_BLOCK = 512  # of st_blocks, whatever the file system's are
_ROW = Struct("32s64sqi4x")
_NOTHING = (engine.ABSENT, engine.LARGE)
_NULL = ffi.NULL
_new = ffi.new
_allocate = ffi.new_allocator(should_clear_after_alloc=False)
_buffer = ffi.buffer
_unpack = ffi.unpack
_read = lib.ws_session_read
_replace = lib.ws_session_replace
_create, _commit = lib.ws_session_create, lib.ws_session_commit
_remove = lib.ws_session_remove

# Rows of a scan: what was enough until now.
_room = 256

# Buffers wait here between calls: a thread or a signal handler that comes in
# between finds the pool empty and makes its own.
_pages: list[Any] = []
_headers: list[Any] = []


def keys_of(keyring: Keyring) -> Any:
    """See `plain.operations.keys_of`."""
    made = _new("ws_keys *", {"states": len(keyring.keys)})
    made.count, made.store_id = len(keyring.keys), keyring.store_id
    for which, key in enumerate(keyring.keys):
        lib.ws_mac_key(made, which, key)
    return made


def draw_id(length: int, alphabet: bytes) -> str:
    """See `plain.operations.draw_id`."""
    if not 2 <= len(alphabet) <= 256:
        raise ValueError("an alphabet has 2 to 256 characters")
    out = _new("char[]", length)
    if lib.ws_id_draw(out, length, alphabet, len(alphabet)) != 0:
        engine.fail(engine.ERRNO, ffi.errno, b"")
    drawn: bytes = _buffer(out)[:]
    return drawn.decode("ascii")


def _bad_name() -> NoReturn:
    raise ValueError("a session's name has 32 characters")


def _header(expected: bytes) -> bytes:
    if len(expected) != 64:
        raise ValueError("not the version of a session")
    return expected


def _again(call: Callable[[float], int], timeout: float) -> int:
    """
    Makes a call again for as long as signals end its wait for a lock: their
    handlers run in between. `call` takes the seconds that are left.
    """
    deadline = time.monotonic() + timeout
    result: int = engine.INTERRUPTED
    while result == engine.INTERRUPTED:
        result = call(max(0.0, deadline - time.monotonic()))
    return result


def read(
    path: bytes,
    name: bytes,
    timeout: float,
    known: bytes | None = None,
    keys: Any = None,
) -> bytes | None:
    """See `plain.operations.read`."""
    if len(name) != 32:
        _bad_name()
    if keys is None:
        keys = _NULL
    try:
        page = _pages.pop()
    except IndexError:
        page = _allocate("char[]", _READ_LENGTH)
    if known is None:
        length = _read(path, name, keys, _NULL, 0, page, _READ_LENGTH, timeout)
    else:
        length = _read(
            path, name, keys, known, len(known), page, _READ_LENGTH, timeout
        )
        if length == 0:
            _pages.append(page)
            return known
    if 0 < length <= _READ_LENGTH:
        raw: bytes = _unpack(page, length)
        _pages.append(page)
        return raw
    if length == engine.ABSENT:
        _pages.append(page)
        return None
    return _read_slowly(path, name, timeout, known, keys, length)


def _read_slowly(
    path: bytes,
    name: bytes,
    timeout: float,
    known: bytes | None,
    keys: Any,
    length: int,
) -> bytes | None:
    """The rest of `read`: large records, waits that were interrupted."""
    capacity = _READ_LENGTH
    page = None
    seen = _NULL if known is None else known
    size = 0 if known is None else len(known)
    while length > capacity or length == engine.INTERRUPTED:
        if page is None or length > capacity:
            capacity = max(capacity, length)
            page = _allocate("char[]", capacity)
        if length == engine.INTERRUPTED:
            length = _again(
                lambda left, page=page, capacity=capacity: _read(  # type: ignore[misc]
                    path, name, keys, seen, size, page, capacity, left
                ),
                timeout,
            )
        else:
            length = _read(
                path, name, keys, seen, size, page, capacity, timeout
            )
    if length == 0:
        return known
    if length == engine.ABSENT:
        return None
    if length < 0:
        engine.fail(length, ffi.errno, name)
    raw: bytes = _unpack(page, length)
    return raw


def create(
    path: bytes,
    name: bytes,
    record: bytes,
    durability: int,
    timeout: float,
    counted: bytes = b"",
) -> int:
    """See `plain.operations.create`."""
    if len(name) != 32:
        _bad_name()
    result: int = _create(
        path, name, record, len(record), counted, durability, timeout
    )
    if result <= engine.DAMAGED:
        engine.fail(result, ffi.errno, name)
    return result


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
    """See `plain.operations.commit`."""
    if len(name) != 32:
        _bad_name()
    assumed = _NULL if expected is None else _header(expected)
    try:
        header = _headers.pop()
    except IndexError:
        header = _new("char[]", 64)
    size = len(record)
    result: int = _commit(
        path, name, record, size, assumed, now, idle, lifetime, durability,
        timeout, header,
    )  # fmt: skip
    if result == engine.INTERRUPTED:
        result = _again(
            lambda left: _commit(
                path, name, record, size, assumed, now, idle, lifetime,
                durability, left, header,
            ),
            timeout,
        )  # fmt: skip
    if result <= engine.DAMAGED:
        engine.fail(result, ffi.errno, name)
    written = b"" if result == engine.ABSENT else _unpack(header, 64)
    _headers.append(header)
    return result, written


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
    """See `plain.operations.replace`."""
    if len(name) != 32:
        _bad_name()
    length = len(data)
    try:
        page = _pages.pop()
    except IndexError:
        page = _allocate("char[]", _READ_LENGTH)
    result: int = _replace(
        path, name, keys, known, len(known), data, length, number, now, idle,
        lifetime, durability, timeout, page,
    )  # fmt: skip
    if result == engine.INTERRUPTED:
        result = _again(
            lambda left: _replace(
                path, name, keys, known, len(known), data, length, number,
                now, idle, lifetime, durability, left, page,
            ),
            timeout,
        )  # fmt: skip
    if result > 0:
        written: bytes = _unpack(page, result)
        _pages.append(page)
        return engine.OK, written
    if result <= engine.DAMAGED and result != engine.LARGE:
        engine.fail(result, ffi.errno, name)
    header = b"" if result in _NOTHING else _unpack(page, 64)
    _pages.append(page)
    return result, header


def remove(
    path: bytes,
    name: bytes,
    expected: bytes | None,
    timeout: float,
    marked: bool = False,
    counted: bytes = b"",
) -> int:
    """See `plain.operations.remove`."""
    if len(name) != 32:
        _bad_name()
    header = _NULL if expected is None else _header(expected)
    result: int = _remove(path, name, header, marked, counted, timeout)
    if result == engine.INTERRUPTED:
        result = _again(
            lambda left: _remove(path, name, header, marked, counted, left),
            timeout,
        )
    if result <= engine.DAMAGED:
        engine.fail(result, ffi.errno, name)
    return result


def sweep_shard(
    directory: bytes, prefix: bytes, now: float, idle: float, lifetime: float
) -> engine.Swept | None:
    """See `plain.operations.sweep_shard`."""
    odd = _new("char[]", _ODD_LENGTH)
    result = _new("ws_swept *")
    outcome = lib.ws_shard_sweep(
        directory, prefix, now, idle, lifetime, odd, _ODD_LENGTH, result
    )
    if outcome == engine.ABSENT:
        return None
    if outcome != engine.OK:
        engine.fail(outcome, ffi.errno, prefix)
    swept = engine.Swept()
    swept.live, swept.removed = result.live, result.removed
    swept.reaped, swept.busy = result.reaped, result.busy
    swept.failed, swept.error = result.failed, result.error
    swept.own = result.own
    if result.odd > 0:
        swept.odd = [name for name in _buffer(odd)[:].split(b"\0") if name]
    return swept


def scan_shard(
    directory: bytes, prefix: bytes, every: int = 1, seen: int = 0
) -> engine.Scanned | None:
    """See `plain.operations.scan_shard`."""
    global _room
    kept = _new("char[]", prefix)
    while True:
        rows = _allocate("ws_row[]", _room if every else 0)
        result = _new("ws_scanned *")
        result.prefix, result.rows, result.room = kept, rows, len(rows)
        result.every, result.seen = every, seen
        outcome = lib.ws_shard_scan(directory, result)
        if outcome == engine.ABSENT:
            return None
        if outcome != engine.OK:
            engine.fail(outcome, ffi.errno, prefix)
        filled = result.filled
        if filled <= len(rows):
            break
        _room = filled + filled // 8
    found = engine.Scanned()
    found.sessions, found.superseded = result.sessions, result.superseded
    found.empty, found.disk = result.empty, result.blocks * _BLOCK
    found.rows = [
        (name, b"" if status else header, blocks * _BLOCK, status)
        for name, header, blocks, status in _ROW.iter_unpack(
            _buffer(rows, filled * _ROW.size)
        )
    ]
    return found


def set_aside(path: bytes, name: bytes, target: bytes, timeout: float) -> bool:
    """See `plain.operations.set_aside`: too rare to be worth compiling."""
    from .plain.operations import set_aside

    return set_aside(path, name, target, timeout)
