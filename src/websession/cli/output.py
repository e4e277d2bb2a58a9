"""
What commands print: plain text, the same with colour and progress bars where
`rich` is installed and a terminal listens, or JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from math import inf, isfinite
from typing import TYPE_CHECKING

from ..exceptions import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

__all__ = [
    "LeftOut",
    "age",
    "bar",
    "clear",
    "complain",
    "counted",
    "is_terminal",
    "level",
    "moment",
    "page",
    "pairs",
    "print_json",
    "progress",
    "say",
    "size",
    "table",
]

_POWERS = ("KiB", "MiB", "GiB", "TiB")
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def say(text: str = "", styled: str = "") -> None:
    """
    A line on standard output.

    Args:
        text: made printable.
        styled: comes before it as it is: of `level`, never of others.
    """
    sys.stdout.write(f"{styled}{printable(text)}\n")


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{printable(text)}\n")


class LeftOut:
    """
    Names on standard error the sessions that cannot be read.

    Attributes:
        count: how many.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: Exception) -> None:
        """Another one, of which this is said."""
        self.count += 1
        complain(f"websession: {error}")

    def status(self, what: str) -> int:
        """The exit status, and how many they are that are not `what`."""
        if not self.count:
            return 0
        verb = "is" if self.count == 1 else "are"
        complain(
            f"websession: {counted(self.count, 'session')} cannot be read and "
            f"{verb} not {what}; websession verify says what to do"
        )
        return 3


def print_json(value: object) -> None:
    """One line of JSON, in ASCII; null for numbers that JSON has not."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), allow_nan=False)
    sys.stdout.write(text + "\n")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def counted(number: int, one: str, many: str = "") -> str:
    """
    How many, as 1 session.

    Args:
        one: what a single one is called.
        many: what others are; empty: the same with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(count: float) -> str:
    """Bytes, as 3.4 KiB."""
    if count < 1000:
        return counted(round(count), "byte")
    power = 0
    while count >= 1000 and power < len(_POWERS):
        count /= 1024
        power += 1
    return f"{count:.1f} {_POWERS[power - 1]}"


def age(seconds: float) -> str:
    """A span of time in its two largest units, as 3d 4h."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if rest >= length or (unit == "s" and not parts):
            parts.append(f"{rest // length}{unit}")
            rest %= length
    return " ".join(parts[:2])


def moment(seconds: float) -> str:
    """A time in UTC."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "out of range"


def bar(share: float, width: int = 30) -> str:
    """A horizontal bar, `share` (0 to 1) of `width` characters long."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    text = "█" * (eighths // 8)
    return text + _EIGHTHS[eighths % 8].strip()


def _terminal(stream: Any) -> bool:
    return bool(stream.isatty())


def is_terminal() -> bool:
    """Whether people see what is printed as it comes."""
    return _terminal(sys.stdout)


def clear() -> None:
    """Goes to the upper left corner of an empty terminal."""
    sys.stdout.write("\033[H\033[J")


def page(text: str) -> None:
    """A text that may be longer than the terminal."""
    import pydoc

    # As git does: colours pass, and what fits is not paged.
    os.environ.setdefault("LESS", "FRX")
    pydoc.pager(text)


def _styled(text: str, style: str) -> str:
    """In colour, where `rich` is installed and a terminal listens."""
    if not _terminal(sys.stdout):
        return text
    try:
        from rich.console import Console
    except ImportError:
        return text
    # It knows what the terminal can do, and about NO_COLOR.
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    with console.capture() as captured:
        console.print(text, style=style, end="", markup=False)
    return captured.get()


def _heading(text: str) -> str:
    return _styled(printable(text), "bold")


def level(name: str) -> str:
    """How bad something is, in eight columns."""
    styles = {"ok": "green", "warning": "yellow", "error": "bold red"}
    return _styled(f"{name:<8}", styles.get(name, "cyan"))


def pairs(title: str, values: Mapping[str, str]) -> None:
    """Names and values below each other."""
    width = max(map(len, values), default=0)
    if title:
        say(styled=_heading(title))
    for name, value in values.items():
        say(f"  {name:<{width}}  {value}")


def table(
    columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[str]]
) -> None:
    """
    Rows as they come, so that any number takes no memory.

    Args:
        columns: heading and width of each; a negative width: to the right.
        rows: as many texts each.
    """

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if width > 0 else cell.rjust(-width)
            for cell, (_, width) in zip(cells, columns, strict=True)
        )
        return "  ".join(padded).rstrip()

    say(styled=_heading(line([name for name, _ in columns])))
    for cells in rows:
        say(line(cells))


@contextmanager
def progress(
    title: str,
    total: int | None,
    quiet: bool = False,
    so_far: Callable[[], str] = str,
) -> Iterator[Callable[[int], None]]:
    """
    Shows on standard error how far something is, if that is a terminal; and
    says so when it is interrupted.

    Args:
        title: what is done, as in "sweeping".
        total: of how many; None: not known.
        quiet: show nothing.
        so_far: tells what was done when it is interrupted.

    Returns:
        What is to be called with how many are done.
    """
    reached = 0

    def show(done: int) -> None:
        nonlocal reached
        reached = done
        draw(done)

    try:
        with _drawing(title, total, quiet) as draw:
            draw(0)
            yield show
    except KeyboardInterrupt:
        if not quiet:
            of = f"{reached / total:.0%}" if total else f"{reached:,}"
            done = ": ".join(filter(None, (of, so_far())))
            complain(f"websession: interrupted while {title}, at {done}")
        raise


@contextmanager
def _drawing(
    title: str, total: int | None, quiet: bool
) -> Iterator[Callable[[int], None]]:
    if quiet or not _terminal(sys.stderr):
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        with _plain_progress(title, total) as draw:
            yield draw
        return
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def _plain_progress(
    title: str, total: int | None
) -> Iterator[Callable[[int], None]]:
    last = -inf

    def draw(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 0.1 and done != total:
            return
        last = now
        of = f" of {total:,}" if total is not None else ""
        sys.stderr.write(f"\r{title}: {done:,}{of}\033[K")
        sys.stderr.flush()

    try:
        yield draw
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
