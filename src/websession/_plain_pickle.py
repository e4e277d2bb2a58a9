"""
Pickles of plain data, without the module `pickle`, whose import takes a third
of a CGI request: None, bool, int, float, str, bytes, list, tuple and dict.

It is about time alone. What is written are the bytes that `pickle` writes
(protocol 5), and what is read is what `pickle` reads from them; whatever is
not plain, or in the least doubt, raises some exception, and is for `pickle`.
A single byte is, too: Python slices it as one object for all, `pickle` reads
each as its own, and which parts are one object is in the bytes of a pickle.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["NotPlain", "dumps", "loads"]

# A frame ends at 64 KiB, and a list or dict is written in parts of 1,000.
_LONGEST, _LARGEST, _DEEPEST = 60_000, 999, 50
_NUMBERS = 1 << 31
_begin = b"\x80\x05"
_FRAME = Struct("<BQ")
_FRAMED_FROM = 4  # bytes; less has no frame
_FLOAT = Struct(">d")
_FRAME_CODE = 0x95
_TUPLES = {1: b"\x85", 2: b"\x86", 3: b"\x87"}


class NotPlain(Exception):
    """Something for `pickle`."""


class _Writer:
    """
    Attributes:
        parts: what is written.
        seen: what has been written and has a number, by identity.
    """

    __slots__ = ("parts", "seen")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.seen: dict[int, int] = {}

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if value is None:
            self.parts.append(b"N")
        elif kind is bool:
            self.parts.append(b"\x88" if value else b"\x89")
        elif kind is int:
            self.parts.append(_integer(value))
        elif kind is float:
            self.parts.append(b"G" + _FLOAT.pack(value))
        elif id(value) in self.seen:
            self._again(self.seen[id(value)])
        elif kind is str:
            raw = value.encode("utf-8", "surrogatepass")
            self._sized(raw, b"\x8c", b"X")
            self._number(value)
        elif kind is bytes and len(value) != 1:
            self._sized(value, b"C", b"B")
            self._number(value)
        elif depth == _DEEPEST:
            raise NotPlain("it is nested deeply, or endlessly")
        elif kind is list:
            self.parts.append(b"]")
            self._number(value)
            self._filled(value, value, b"a", b"e", depth)
        elif kind is dict:
            self.parts.append(b"}")
            self._number(value)
            pairs = [part for pair in value.items() for part in pair]
            self._filled(value, pairs, b"s", b"u", depth)
        elif kind is tuple:
            self._tuple(value, depth)
        else:
            raise NotPlain(f"there is a {kind.__name__}")

    def _number(self, value: object) -> None:
        self.parts.append(b"\x94")
        self.seen[id(value)] = len(self.seen)

    def _again(self, number: int) -> None:
        if number < 256:
            self.parts.append(b"h" + number.to_bytes(1, "little"))
        else:
            self.parts.append(b"j" + number.to_bytes(4, "little"))

    def _sized(self, raw: bytes, short: bytes, long: bytes) -> None:
        length = len(raw)
        if length > _LONGEST:
            raise NotPlain("it is long")
        if length < 256:
            self.parts.append(short + length.to_bytes(1, "little"))
        else:
            self.parts.append(long + length.to_bytes(4, "little"))
        self.parts.append(raw)

    def _filled(
        self,
        container: list[Any] | dict[Any, Any],
        items: list[Any],
        one: bytes,
        several: bytes,
        depth: int,
    ) -> None:
        if len(container) > _LARGEST:
            raise NotPlain("it is large")
        if len(container) > 1:
            self.parts.append(b"(")
        for item in items:
            self.write(item, depth + 1)
        if container:
            self.parts.append(several if len(container) > 1 else one)

    def _tuple(self, value: tuple[Any, ...], depth: int) -> None:
        if not value:
            self.parts.append(b")")
            return
        if len(value) > 3:
            self.parts.append(b"(")
        for item in value:
            self.write(item, depth + 1)
        if id(value) in self.seen:
            raise NotPlain("a tuple holds itself")
        self.parts.append(_TUPLES.get(len(value), b"t"))
        self._number(value)


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + value.to_bytes(1, "little")
    if 0 <= value < 65536:
        return b"M" + value.to_bytes(2, "little")
    if -_NUMBERS <= value < _NUMBERS:
        return b"J" + value.to_bytes(4, "little", signed=True)
    length = value.bit_length() // 8 + 1
    raw = value.to_bytes(length, "little", signed=True)
    if value < 0 and raw[-1] == 0xFF and raw[-2] & 0x80:
        raw = raw[:-1]
    return b"\x8a" + len(raw).to_bytes(1, "little") + raw


def dumps(value: object) -> bytes:
    """
    What `pickle.dumps(value, 5)` gives.

    Raises:
        Exception: of any kind: that is for `pickle` to say.
    """
    writer = _Writer()
    writer.write(value, 0)
    writer.parts.append(b".")
    raw = b"".join(writer.parts)
    if len(raw) > _LONGEST:
        raise NotPlain("it is long")
    if len(raw) < _FRAMED_FROM:
        return _begin + raw
    return _begin + _FRAME.pack(_FRAME_CODE, len(raw)) + raw


class _Reader:
    """
    Attributes:
        raw, at: what is read, and where.
        stack, marks: as those of `pickle`.
        seen: what has a number.
    """

    __slots__ = ("at", "marks", "raw", "seen", "stack")

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw = raw
        self.at = at
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.seen: list[Any] = []

    def read(self) -> object:
        raw, stack = self.raw, self.stack
        while True:
            code = raw[self.at]
            self.at += 1
            if code == 0x2E:
                break
            step = _STEPS.get(code)
            if step is None:
                raise NotPlain("there is something else")
            step(self)
        if len(stack) != 1 or self.marks or self.at != len(raw):
            raise NotPlain("something is left")
        return stack[0]

    def take(self, length: int) -> bytes:
        taken = self.raw[self.at : self.at + length]
        if len(taken) != length:
            raise NotPlain("it is cut")
        self.at += length
        return taken

    def integer(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def text(self, width: int) -> None:
        raw = self.take(self.integer(width))
        self.stack.append(raw.decode("utf-8", "surrogatepass"))

    def bytes(self, width: int) -> None:
        raw = self.take(self.integer(width))
        if len(raw) == 1:
            raise NotPlain("it is a single byte")
        self.stack.append(raw)

    def top(self, length: int) -> list[Any]:
        """The last so many of the stack; below a mark is nobody's business."""
        fence = self.marks[-1] if self.marks else 0
        if len(self.stack) - fence < length:
            raise NotPlain("there is too little")
        return self.stack[-length:]

    def number(self) -> None:
        self.seen += self.top(1)

    def tuple(self, length: int) -> None:
        self.stack[-length:] = [tuple(self.top(length))]

    def marked(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def popped(self, length: int) -> list[Any]:
        items = self.top(length)
        del self.stack[-length:]
        return items

    def extend(self, items: list[Any]) -> None:
        (found,) = self.top(1)
        if type(found) is not list:
            raise NotPlain("it is no list")
        found.extend(items)

    def update(self, items: list[Any]) -> None:
        (found,) = self.top(1)
        if type(found) is not dict:
            raise NotPlain("it is no dict")
        found.update(zip(items[::2], items[1::2], strict=True))


_STEPS: dict[int, Callable[[_Reader], Any]] = {
    0x4E: lambda r: r.stack.append(None),
    0x88: lambda r: r.stack.append(True),
    0x89: lambda r: r.stack.append(False),
    0x4B: lambda r: r.stack.append(r.integer(1)),
    0x4D: lambda r: r.stack.append(r.integer(2)),
    0x4A: lambda r: r.stack.append(r.integer(4, True)),
    0x8A: lambda r: r.stack.append(r.integer(r.integer(1), True)),
    0x47: lambda r: r.stack.append(_FLOAT.unpack(r.take(8))[0]),
    0x8C: lambda r: r.text(1),
    0x58: lambda r: r.text(4),
    0x43: lambda r: r.bytes(1),
    0x42: lambda r: r.bytes(4),
    0x94: _Reader.number,
    0x68: lambda r: r.stack.append(r.seen[r.integer(1)]),
    0x6A: lambda r: r.stack.append(r.seen[r.integer(4)]),
    0x5D: lambda r: r.stack.append([]),
    0x7D: lambda r: r.stack.append({}),
    0x29: lambda r: r.stack.append(()),
    0x85: lambda r: r.tuple(1),
    0x86: lambda r: r.tuple(2),
    0x87: lambda r: r.tuple(3),
    0x28: lambda r: r.marks.append(len(r.stack)),
    0x74: lambda r: r.stack.append(tuple(r.marked())),
    0x61: lambda r: r.extend(r.popped(1)),
    0x65: lambda r: r.extend(r.marked()),
    0x73: lambda r: r.update(r.popped(2)),
    0x75: lambda r: r.update(r.marked()),
}


def loads(raw: bytes) -> object:
    """
    What `pickle.loads(raw)` gives.

    Raises:
        Exception: of any kind: that is for `pickle` to read, or to say.
    """
    if raw[:2] != _begin:
        raise NotPlain("it is of another protocol")
    at = 2
    if raw[2] == _FRAME_CODE:
        _, length = _FRAME.unpack_from(raw, 2)
        at += _FRAME.size
        if length != len(raw) - at:
            raise NotPlain("it has several frames, or is cut")
    return _Reader(raw, at).read()
