"""
The command `websession`.

Each subcommand has a function that describes its arguments and one that runs
it; what only one of them needs is imported there.
"""

from __future__ import annotations

import argparse
import sys

from . import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Runs the command.

    Args:
        argv: the arguments; None: those of this process.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for wrong arguments
        or something that must be installed first.
    """
    parser = argparse.ArgumentParser(
        prog="websession",
        description="Server-side web sessions, one file per session.",
    )
    parser.add_argument(
        "--version", action="version", version=f"websession {__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    options = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130


def _whole(least: int, most: int) -> Callable[[str], int]:
    """An argument type: a whole number between two others."""

    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{least} to {most}, not {text}")
        return int(text)

    return number


def _add_demo(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    parser = commands.add_parser(
        "demo",
        help="a small web site with sessions, on several processes",
        description="Serves a small web site with sessions from several "
        "worker processes (needs the extra 'demo').",
    )
    parser.set_defaults(run=_demo)
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (%(default)s)"
    )
    parser.add_argument(
        "--port",
        type=_whole(0, 65535),
        default=8000,
        help="where to listen (%(default)s); 0: any free port",
    )
    parser.add_argument(
        "--workers",
        type=_whole(1, 64),
        default=4,
        help="worker processes (%(default)s)",
    )
    parser.add_argument(
        "--server",
        choices=["gunicorn", "uwsgi", "wsgiref"],
        default="gunicorn",
        help="what serves it (%(default)s)",
    )
    parser.add_argument(
        "--directory",
        metavar="PATH",
        help="where to keep the sessions (a new temporary directory, removed "
        "at the end)",
    )
    _add_selftest(parser.add_argument_group("self-test"))


def _add_selftest(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--selftest",
        action="store_true",
        help="start the server on a free port of 127.0.0.1, send it requests "
        "from several clients at once, check the answers, and stop it",
    )
    group.add_argument(
        "--seconds",
        type=_whole(1, 300),
        default=3,
        help="how long (%(default)s)",
    )
    group.add_argument(
        "--clients",
        type=_whole(2, 64),
        default=8,
        help="clients at once (%(default)s)",
    )


def _demo(options: argparse.Namespace) -> int:
    from .demo import server

    sentence = server.missing(options.server)
    if sentence is not None:
        sys.stderr.write(f"{sentence}\n")
        return 2
    if options.selftest:
        from .demo import selftest

        return selftest.run(
            options.workers, options.clients, options.seconds, options.server
        )
    return server.serve(
        options.host,
        options.port,
        options.workers,
        options.directory,
        options.server,
    )
