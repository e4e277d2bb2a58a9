"""
Turning session data into bytes and back.

Each record names its serialiser by number. A store reads records of the
serialiser it writes with, and of others only if it was told so: a store that
writes JSON never unpickles by surprise.
"""

from __future__ import annotations

from sys import modules

from .exceptions import SessionStoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Dumps = Callable[[object], bytes]
    Loads = Callable[[bytes], object]

__all__ = ["Encoded", "Serializer", "get", "naming"]


class Encoded(bytes):
    """
    Data that the store's serialiser has written already, to be stored as it
    is: for callers that had to look at the bytes anyway.
    """

    __slots__ = ()


class Serializer:
    """
    A pair of functions with the number that records carry.

    Args:
        number: 1 to 255; 128 and above are the application's own.
        name: for messages and configuration.
        dumps: any object to bytes; raises on what it cannot keep.
        loads: bytes back to the object.
        canonical: whether `dumps` writes again what it wrote once, when
            `loads` has read it: then other bytes are other data.
    """

    __slots__ = ("canonical", "dumps", "loads", "name", "number")

    def __init__(
        self,
        number: int,
        name: str,
        dumps: Callable[[object], bytes],
        loads: Callable[[bytes], object],
        canonical: bool = False,
    ) -> None:
        if not 1 <= number <= 255:
            raise ValueError("a serializer's number is 1 to 255")
        self.number: int = number
        self.name: str = name
        self.dumps: Callable[[object], bytes] = dumps
        self.loads: Callable[[bytes], object] = loads
        self.canonical: bool = canonical

    def __repr__(self) -> str:
        return f"<Serializer {self.number} {self.name}>"


# So many plain pickles are read and written before `pickle` is imported, which
# is faster from then on.
_PLAIN_USES = 16


def _by_pickle() -> tuple[Dumps, Loads]:
    try:
        try:
            # Without pickle.py: 27 modules and 4 ms less at the first use.
            from _pickle import dumps, loads
        except ImportError:
            from pickle import dumps, loads
    except (ImportError, OSError) as error:  # no descriptor left
        raise SessionStoreError(
            f"pickle cannot be imported: {error}"
        ) from error

    # Protocol 5 is the newest that all supported Pythons read.
    return (lambda data: dumps(data, 5)), loads


def _make_pickle() -> Serializer:
    """
    Pickle, by `_plain_pickle` at first: a process that serves one request of
    plain data, under CGI, is done before the import would be.
    """
    if "_pickle" in modules:
        return Serializer(1, "pickle", *_by_pickle())
    from . import _plain_pickle

    uses = 0

    def is_plain() -> bool:
        nonlocal uses
        uses += 1
        return uses <= _PLAIN_USES and "_pickle" not in modules

    def change() -> None:
        made.dumps, made.loads = _by_pickle()

    def plain_at_first(name: str) -> Any:
        plain = getattr(_plain_pickle, name)

        def call(value: Any) -> Any:
            # Who has noted this before the change goes on with it.
            if getattr(made, name) is call:
                if is_plain():
                    try:
                        return plain(value)
                    except Exception:  # noqa: S110 - pickle will say
                        pass
                change()
            return getattr(made, name)(value)

        return call

    made = Serializer(
        1, "pickle", plain_at_first("dumps"), plain_at_first("loads")
    )
    return made


def _make_json() -> Serializer:
    from ._tagged_json import dumps, loads

    return Serializer(2, "json", dumps, loads, canonical=True)


_makers = {"pickle": _make_pickle, "json": _make_json}
_made: dict[str, Serializer] = {}


def get(serializer: str | Serializer) -> Serializer:
    """
    A serialiser by name.

    Args:
        serializer: ``"pickle"``; ``"json"``, which keeps what JSON keeps,
            and bytes, tuples, sets, dates and times (of a time zone its
            offset), Decimal, UUID, and keys that are not strings, and raises
            TypeError for anything else; or one made by the application, which
            is returned as it is.

    Raises:
        ValueError: no such name.
    """
    if isinstance(serializer, Serializer):
        return serializer
    if serializer not in _makers:
        raise ValueError(
            f"unknown serializer {serializer!r}; "
            f"there are {', '.join(_makers)}, or pass a Serializer"
        )
    if serializer not in _made:
        _made[serializer] = _makers[serializer]()
    return _made[serializer]


def naming(dumps: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """
    A `dumps` that names the key of a session in its TypeErrors.

    Args:
        dumps: of a serialiser that raises TypeError for what it cannot keep.
    """

    def named(data: object) -> bytes:
        try:
            return dumps(data)
        except TypeError as error:
            if not isinstance(data, dict):
                raise
            for key, value in data.items():
                try:
                    dumps({key: value})
                except TypeError:
                    raise TypeError(f"session[{key!r:.60}]: {error}") from None
            raise

    return named
