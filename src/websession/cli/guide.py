"""
`websession guide`: what one needs to know, by topic.
"""

from __future__ import annotations

import argparse
import os
import textwrap
from typing import TYPE_CHECKING

from ..guides import TOPICS, guide, subject
from .output import is_terminal, say

if TYPE_CHECKING:
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
    # As git does: colours pass, and what fits is not paged.
    os.environ.setdefault("LESS", "FRX")
    try:
        from rich.console import Console
        from rich.markdown import Markdown
    except ImportError:
        import pydoc

        pydoc.pager(text)
        return
    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(text))
