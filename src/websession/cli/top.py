"""
`websession top`: what goes on in a store, again and again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

from ..admin.watch import Activity, Moment
from .arguments import add_json, add_path, duration, inspector, whole
from .output import age, clear, is_terminal, print_json, say, size, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..admin.inspector import Inspector

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_HEAD = 6  # lines above the sessions
_COLUMNS = [
    ("time", 8), ("sessions", -10), ("created/s", -10), ("stored/s", -10),
    ("looked at", -9), ("room", -10),
]  # fmt: skip


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "top",
        help="watch a store",
        description="Shows again and again how many sessions there are, how "
        "many are made and stored per second, and which were stored last. On "
        "a terminal the picture is drawn anew, otherwise each is a line. "
        "Ctrl-C ends it. Looks at as many directories as fit into a fifth of "
        "the interval, and estimates the rest from them.",
    )
    parser.set_defaults(run=_run)
    add_path(parser)
    add_json(parser, ", one object for each interval")
    parser.add_argument(
        "--interval",
        type=duration,
        default=2.0,
        metavar="TIME",
        help="between two looks (2 s)",
    )
    parser.add_argument(
        "--count",
        type=whole(1, 10**9),
        metavar="N",
        help="end after so many looks",
    )


def _run(options: argparse.Namespace) -> int:
    store = inspector(options)
    interval = max(0.1, options.interval)
    is_picture = is_terminal() and not options.json
    lines = shutil.get_terminal_size().lines
    activity = Activity(store, max(1, lines - _HEAD) if is_picture else 0)
    moments = itertools.islice(_moments(activity, interval), options.count)
    try:
        if options.json:
            for moment in moments:
                print_json(_as_json(moment, _room(store)))
                sys.stdout.flush()
        elif is_picture:
            for moment in moments:
                _draw(store, moment)
        else:
            table(_COLUMNS, (_cells(each, _room(store)) for each in moments))
    except KeyboardInterrupt:
        pass  # the way to end it
    return 0


def _moments(activity: Activity, interval: float) -> Iterator[Moment]:
    last = time.monotonic() - interval
    while True:
        now = time.monotonic()
        yield activity.look(now - last)
        last = now
        time.sleep(max(0.0, now + interval - time.monotonic()))


def _room(store: Inspector) -> int:
    found = os.statvfs(store.layout.root)
    return found.f_bavail * found.f_frsize


def _as_json(moment: Moment, room: int) -> dict[str, object]:
    values = moment._asdict()
    del values["latest"]
    return {**values, "room_bytes": room}


def _cells(moment: Moment, room: int) -> list[str]:
    return [
        time.strftime("%H:%M:%S", time.gmtime(moment.when)),
        f"{moment.sessions:,}",
        f"{moment.created:,.1f}",
        f"{moment.stored:,.1f}",
        f"{moment.looked_at:.0%}",
        size(room),
    ]


def _draw(store: Inspector, moment: Moment) -> None:
    clear()
    say(store.layout.shown)
    table(_COLUMNS, [_cells(moment, _room(store))])
    say()
    table(
        [("handle", 32), ("size", -10), ("stored", -9), ("created", -9)],
        (
            [
                each.handle,
                size(each.size),
                age(moment.when - each.stored),
                age(moment.when - each.created),
            ]
            for each in moment.latest
        ),
    )
    sys.stdout.flush()
