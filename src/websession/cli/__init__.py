"""
The command `websession`.

Each module here is a command or a few that belong together: `add` describes
their arguments, and sets as ``run`` what is called with them. What only one
of them needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import __version__
from ..exceptions import SessionException
from . import (
    bench,
    completion,
    demo,
    doctor,
    info,
    listing,
    migrate,
    rekey,
    show,
    sweep,
    top,
    verify,
)
from .arguments import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main", "parser"]

COMMANDS = (
    info, listing, show, top, sweep, verify, doctor, migrate, rekey, bench,
    demo, completion,
)  # fmt: skip

_EPILOG = """\
PATH is the directory of the sessions; without it, what WEBSESSION_PATH says.

exit status:
  0    done
  1    it failed; a sentence on standard error says why
  2    wrong arguments, or something must be installed first
  3    done, and something was found that is not as it should be
  130  interrupted; what was done is done, and it can be run again
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
    options = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
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
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)


def _fail(sentence: str, exit_status: int) -> int:
    sys.stderr.write(f"websession: {sentence}\n")
    return exit_status


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog="websession",
        description="Server-side web sessions, one file per session.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument(
        "--version", action="version", version=f"websession {__version__}"
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return whole
