"""
`websession doctor`: is this directory fit for sessions?
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..admin.doctor import examine
from .arguments import add_json, add_path, path_of
from .output import level, print_json, say

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
    worst = 0
    for check in examine(path_of(options), options.allow_network):
        worst += check.level == "error"
        if options.json:
            print_json(check._asdict())
        else:
            say(f" {check.what}", level(check.level))
            if check.advice:
                say(f"{'':8} -> {check.advice}")
            sys.stdout.flush()
    return 3 if worst else 0
