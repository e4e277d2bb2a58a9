"""
The command `websession`.

Each module here is a command or a few that belong together: `add` describes
their arguments, and sets as ``run`` what is called with them. A module is
imported when its command is given, or the list of all is wanted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from .. import __version__
from ..exceptions import SessionException
from .arguments import Parser, Refused
from .manual import Manual, add_manual
from .output import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main", "parser"]

# The modules in the order of the help, with the names of their commands.
COMMANDS = {
    "info": ("info", "stats"),
    "listing": ("list",),
    "show": ("show", "delete"),
    "top": ("top",),
    "sweep": ("sweep", "gc"),
    "verify": ("verify",),
    "doctor": ("doctor",),
    "migrate": ("migrate",),
    "rekey": ("rekey",),
    "bench": ("bench",),
    "demo": ("demo",),
    "guide": ("guide",),
    "completion": ("completion",),
    "manpage": ("man",),
}

_EPILOG = """\
PATH is the directory of the sessions; without it, what WEBSESSION_PATH says.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Runs the command.

    Args:
        argv: the arguments; None: those of this process.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for wrong arguments
        or something that must be installed first, 3 if something is found to
        be wrong, 130 if interrupted.
    """
    words = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        # One that has no bars or umlauts says which they were.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # Even that takes a while: a command is imported.
        whole = parser(words[0] if words else "")
        options = whole.parse_args(words)
        if "run" not in options:
            whole.error("which command? websession --help lists them")
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except KeyboardInterrupt:
        return 130
    except Refused as refusal:
        return _fail(str(refusal), 2)
    except BrokenPipeError:
        # Whoever read this has enough; nothing is left to be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SessionException as error:
        return _fail(str(error), 1)
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)


def _fail(sentence: str, exit_status: int) -> int:
    complain(f"websession: {sentence}")
    return exit_status


def parser(command: str = "") -> argparse.ArgumentParser:
    """
    The arguments of a command, or of all.

    Args:
        command: its name; of something else: all.
    """
    modules = [name for name in COMMANDS if command in COMMANDS[name]]
    whole = Parser(
        prog="websession",
        description="Server-side web sessions, one file per session.",
        epilog=_EPILOG,
    )
    add_manual("", whole)
    whole.add_argument(
        "--version", action="version", version=f"websession {__version__}"
    )
    # If it were required, that would be said of a mistyped option before it.
    commands = whole.add_subparsers(metavar="COMMAND")
    for module in modules or COMMANDS:
        import_module(f".{module}", __name__).add(commands)
        for name in COMMANDS[module]:
            # Further names of a command have its parser.
            if commands.choices[name].formatter_class is not Manual:
                add_manual(name, commands.choices[name])
    return whole
