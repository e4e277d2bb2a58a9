"""
`websession doctor`: is this directory fit for sessions?
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from ..admin.doctor import examine
from ..exceptions import printable
from .arguments import add_json, add_path, path_of
from .output import counted, is_terminal, level, print_json, say

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "doctor",
        help="is this directory fit for sessions?",
        description="Looks at a directory that holds sessions or is to: who "
        "can reach into it, what it is mounted on, what room is left; tries "
        "locks, writes and times with two processes; measures how fast it is. "
        "Says what to do about what it finds. Needs no session store there.",
    )
    parser.set_defaults(run=_run)
    add_path(parser)
    add_json(parser, ", one check on each line")


def _run(options: argparse.Namespace) -> int:
    levels: list[str] = []
    for check in examine(path_of(options), options.allow_network):
        levels.append(check.level)
        if options.json:
            print_json(check._asdict())
        else:
            first, *more = _wrapped(check.what, 9)
            say(f" {first}", level(check.level))
            for line in more:
                say(f"{'':9}{line}")
            for number, line in enumerate(_wrapped(check.advice, 12)):
                say(f"{'':9}{'   ' if number else '-> '}{line}")
            sys.stdout.flush()
    errors, warnings = levels.count("error"), levels.count("warning")
    if not options.json:
        say(_verdict(errors, warnings))
    return 3 if errors else 0


def _wrapped(text: str, indent: int) -> list[str]:
    """The lines of a text beside an indent; into pipes it is one line."""
    if not is_terminal() or not text:
        return [text] if text else []
    return textwrap.wrap(
        printable(text),
        max(20, shutil.get_terminal_size().columns - indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict(errors: int, warnings: int) -> str:
    if errors:
        return f"not fit for sessions: {counted(errors, 'error')}"
    if warnings:
        return f"fit for sessions, with {counted(warnings, 'warning')}"
    return "fit for sessions"
