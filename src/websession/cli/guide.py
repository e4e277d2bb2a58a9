"""
`websession guide`: what one needs to know, by topic.
"""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

from ..guides import TOPICS, guide, subject
from .output import is_terminal, page, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "guide",
        help="show what one needs to know, by topic",
        description="Shows a guide, in Markdown where it is piped.",
        epilog="topics:\n" + "\n".join(_line(each) for each in TOPICS),
    )
    parser.set_defaults(run=lambda options: _run(parser, options))
    parser.add_argument("topic", metavar="TOPIC", nargs="?", choices=TOPICS)


def _line(topic: str) -> str:
    indent = "  "
    return textwrap.fill(
        subject(topic),
        width=78,
        initial_indent=f"{indent}{topic:<12}",
        subsequent_indent=indent + " " * 12,
    )


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.topic is None:
        parser.print_help()
    elif is_terminal():
        _page(guide(options.topic))
    else:
        for line in guide(options.topic).splitlines():
            say(line)
    return 0


def _page(text: str) -> None:
    """As the terminal shows it best, page by page."""
    try:
        from rich.console import Console
        from rich.markdown import Markdown
        from rich.pager import Pager
    except ImportError:
        page("\n".join(_plain(text, shutil.get_terminal_size().columns)))
        return

    class Pages(Pager):
        def show(self, content: str) -> None:
            page(content)

    console = Console()
    with console.pager(Pages(), styles=True):
        console.print(Markdown(text))


def _plain(text: str, width: int) -> Iterator[str]:
    """The lines of Markdown, set without colour."""
    is_code, heads = False, None
    for line in text.splitlines():
        cells = line.strip("| ").split(" | ") if line[:1] == "|" else []
        if line.startswith("```"):
            is_code = not is_code
        elif is_code:
            yield f"    {line}".rstrip()
        elif line.startswith("#"):
            yield (title := line.lstrip("# "))
            yield "-="[line[1] == " "] * len(title)
        elif not cells:
            yield from _filled(line, width, "", "  " * (line[:2] == "- "))
        elif heads is None:
            yield from [f"{cells[0]}:"] * bool(cells[0])
        elif line[:2] != "|-":
            yield from _filled(cells[0], width, "  ")
            for head, cell in zip_longest(heads, cells[1:], fillvalue=""):
                about = f"{head}: {cell}" if head else cell
                yield from _filled(about, width, " " * 6)
        if heads is None or not cells:
            heads = cells[1:] if cells else None


def _filled(text: str, width: int, first: str, more: str = "") -> list[str]:
    """A paragraph without emphasis and the targets of links."""
    text = re.sub(r"\[([^]]+)\]\([^)]+\)|\*\*(.+?)\*\*", r"\1\2", text)
    filled = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=first + more,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return filled or [""]
