"""
`websession demo`: a real pre-fork server with sessions on disk.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import whole
from .output import complain

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "demo",
        help="a small web site with sessions, on several processes",
        description="Serves a small web site with sessions from several "
        "worker processes (needs the extra 'demo').",
    )
    parser.set_defaults(run=_run)
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (%(default)s)"
    )
    parser.add_argument(
        "--port",
        type=whole(0, 65535),
        help="where to listen (8000, or the next one that is free); 0: any "
        "free port",
    )
    parser.add_argument(
        "--workers",
        type=whole(1, 64),
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
        type=whole(1, 300),
        default=3,
        help="how long (%(default)s)",
    )
    group.add_argument(
        "--clients",
        type=whole(2, 64),
        default=8,
        help="clients at once (%(default)s)",
    )


def _run(options: argparse.Namespace) -> int:
    from ..demo import server

    sentence = server.missing(options.server)
    if sentence is not None:
        complain(sentence)
        return 2
    if options.selftest:
        from ..demo import selftest

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
