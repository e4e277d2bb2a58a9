"""
JSON that gives back what was put in, also where JSON itself has no word for
it: bytes, dates, sets, tuples, Decimal, UUID, Markup, keys that are not
strings.

What JSON keeps is written as it is. Anything else is an object with the one
key ``"~"``, whose value is a list of a type's name and its parts; a dict that
happens to look like that is written as such a list too. What cannot be kept
is refused: a type that comes back as another one is a bug found late.
"""

from __future__ import annotations

from math import inf, isfinite, nan

try:
    # The parts of json that are in C, without the package: it imports re,
    # which takes longer than a CGI request.
    import _json
except ImportError:
    _json = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    # Where a value is: its key or index, and where the container is.
    Path = tuple[object, "Path"] | None

__all__ = ["dumps", "loads"]

_TAG = "~"
_MARK = b"~"  # one byte is found faster than three
_SIMPLE = frozenset({str, int, bool, type(None)})
# Python refuses to write longer ones in decimal, and to read them.
_LONGEST_INT_BITS = 14_000


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is not JSON")


class _Scanning:
    """What a scanner asks for, as `json.JSONDecoder` has it."""

    strict = True
    object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = {
        "-Infinity": -inf, "Infinity": inf, "NaN": nan
    }.__getitem__  # fmt: skip

    def __init__(self, object_hook: Callable[[Any], object] | None) -> None:
        self.object_hook = object_hook


def _make_encode() -> Callable[[object], str]:
    # What refers to itself ends the search for what is to be tagged already.
    if _json is None:
        import json

        return json.JSONEncoder(
            separators=(",", ":"), allow_nan=False, check_circular=False
        ).encode
    # What encode() makes anew for every call, at the cost of half of it.
    encode = _json.make_encoder(
        None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False,
        False, False,
    )  # fmt: skip
    return lambda data: "".join(encode(data, 0))


def _make_decode(
    hook: Callable[[Any], object] | None = None,
) -> Callable[[str], tuple[object, int]]:
    if _json is None:
        import json

        return json.JSONDecoder(object_hook=hook).raw_decode
    scan = _json.make_scanner(_Scanning(hook))  # type: ignore[arg-type]

    def decode(text: str) -> tuple[object, int]:
        try:
            found: tuple[object, int] = scan(text, 0)
        except (StopIteration, SystemError):
            # SystemError: its own error, of which Python 3.10 to 3.12 know
            # only where json is imported already.
            raise ValueError("this is not JSON") from None
        return found

    return decode


_encode = _make_encode()
_plain = _make_decode()


def dumps(data: object) -> bytes:
    """
    Data as ASCII bytes; equal data gives equal bytes, sets included.

    Raises:
        TypeError: something cannot be kept; the message says which key.
    """
    try:
        return _encode(
            data if _is_plain(data) else _tagged(data, None)
        ).encode("ascii")
    except RecursionError:
        raise TypeError(
            f"{_endless(data)} contains itself or is nested too deeply"
        ) from None
    except ValueError:
        _tagged(data, None)  # finds the number
        raise


def loads(raw: bytes) -> object:
    """
    The data that `dumps` made into these bytes.

    Raises:
        ValueError: they are not its work.
    """
    text = raw.decode("ascii")
    data, end = (_tags if _MARK in raw else _plain)(text)
    if end != len(text):
        raise ValueError("there is something behind the JSON")
    return data


def _is_plain(value: object) -> bool:
    """Whether JSON gives back just this."""
    kind = type(value)
    if kind in _SIMPLE:
        return True
    if kind is dict:
        items: dict[object, object] = value  # type: ignore[assignment]
        for key, item in items.items():
            if type(key) is not str or not (
                type(item) in _SIMPLE or _is_plain(item)
            ):
                return False
        return len(items) != 1 or _TAG not in items
    if kind is list:
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return kind is float and isfinite(value)  # type: ignore[arg-type]


def _tagged(value: Any, path: Path) -> object:
    """A value with everything tagged that JSON has no word for."""
    kind = type(value)
    if kind is int and value.bit_length() > _LONGEST_INT_BITS:
        raise TypeError(f"{_where(path)} is an int of too many digits")
    if kind in _SIMPLE or (kind is float and isfinite(value)):
        return value
    if kind is list:
        return _items(value, path)
    if kind is dict:
        if all(type(key) is str for key in value) and not (
            len(value) == 1 and _TAG in value
        ):
            return {k: _tagged(item, (k, path)) for k, item in value.items()}
        pairs = [
            [_tagged(key, (key, path)), _tagged(item, (key, path))]
            for key, item in value.items()
        ]
        return {_TAG: ["dict", pairs]}
    encode = _ENCODERS.get(f"{kind.__module__}.{kind.__qualname__}")
    if encode is None:
        raise TypeError(
            f"{_where(path)} is of type {kind.__name__}, which JSON cannot "
            "keep: store what it is made of, or use serializer='pickle'"
        )
    return {_TAG: encode(value, path)}


def _items(values: Iterable[object], path: Path) -> list[object]:
    return [_tagged(each, (at, path)) for at, each in enumerate(values)]


def _sorted(values: Iterable[object], path: Path) -> list[object]:
    """The members of a set, in an order that does not depend on hashes."""
    return sorted(
        (_tagged(each, (each, path)) for each in values), key=_encode
    )


def _where(path: Path) -> str:
    keys = []
    while path is not None:
        keys.append(f"[{path[0]!r:.60}]")
        path = path[1]
    return "data" + "".join(reversed(keys))


def _endless(data: object) -> str:
    """Where data is that has no end."""
    if type(data) is dict:
        for key, item in data.items():
            try:
                _is_plain(item)
                _tagged(item, None)
            except RecursionError:
                return _where((key, None))
            except TypeError:
                continue
    return "data"


def _bytes(value: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(value, newline=False).decode("ascii")


def _datetime(value: Any) -> list[object]:
    fold = [1] if value.fold else []
    return ["datetime", value.isoformat(), *fold]


_ENCODERS: dict[str, Callable[[Any, Path], list[object]]] = {
    "builtins.tuple": lambda value, path: ["tuple", _items(value, path)],
    "builtins.set": lambda value, path: ["set", _sorted(value, path)],
    "builtins.frozenset": lambda value, path: [
        "frozenset",
        _sorted(value, path),
    ],
    "builtins.bytes": lambda value, path: ["bytes", _bytes(value)],
    "builtins.float": lambda value, path: ["float", repr(value)],
    # Time zones become the offset from UTC that they have at that time.
    "datetime.datetime": lambda value, path: _datetime(value),
    "datetime.date": lambda value, path: ["date", value.isoformat()],
    "datetime.time": lambda value, path: ["time", value.isoformat()],
    "datetime.timedelta": lambda value, path: [
        "timedelta",
        value.days,
        value.seconds,
        value.microseconds,
    ],
    "decimal.Decimal": lambda value, path: ["decimal", str(value)],
    "uuid.UUID": lambda value, path: ["uuid", value.hex],
    "markupsafe.Markup": lambda value, path: ["markup", str(value)],
}


def _to_bytes(text: str) -> bytes:
    from binascii import a2b_base64

    return a2b_base64(text)


def _to_datetime(text: str, fold: int = 0) -> object:
    from datetime import datetime

    return datetime.fromisoformat(text).replace(fold=fold)


def _to_date(text: str) -> object:
    from datetime import date

    return date.fromisoformat(text)


def _to_time(text: str) -> object:
    from datetime import time

    return time.fromisoformat(text)


def _to_timedelta(*parts: int) -> object:
    from datetime import timedelta

    return timedelta(*parts)


def _to_decimal(text: str) -> object:
    from decimal import Decimal

    return Decimal(text)


def _to_uuid(text: str) -> object:
    from uuid import UUID

    return UUID(text)


def _to_markup(text: str) -> object:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  # it was Markup when it came


_DECODERS: dict[str, Callable[..., object]] = {
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "float": float,
    "bytes": _to_bytes,
    "datetime": _to_datetime,
    "date": _to_date,
    "time": _to_time,
    "timedelta": _to_timedelta,
    "decimal": _to_decimal,
    "uuid": _to_uuid,
    "markup": _to_markup,
}


def _untagged(found: dict[str, Any]) -> object:
    if len(found) != 1 or _TAG not in found:
        return found
    try:
        name, *parts = found[_TAG]
        return _DECODERS[name](*parts)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"not a value that was tagged here: {error}"
        ) from None


_tags = _make_decode(_untagged)
