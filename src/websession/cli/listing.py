"""
`websession list`: the sessions of a store.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import TYPE_CHECKING

from .arguments import (
    Refused,
    add_json,
    add_path,
    byte_count,
    duration,
    inspector,
    whole,
)
from .output import (
    LeftOut,
    age,
    is_terminal,
    moment,
    print_json,
    progress,
    size,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..admin.inspector import Inspector, StoredSession
    from ..disk.limitsnote import InUse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add", "as_json", "serializer_name", "state_of"]

_SHORT = 12  # digits of a handle: hardly two of a million begin alike
_SERIALIZERS = {1: "pickle", 2: "json", 3: "flask", 4: "django"}


def serializer_name(number: int) -> str:
    """The name of the serialiser of this number."""
    return _SERIALIZERS.get(number, str(number))


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "list",
        help="list the sessions",
        description="Lists the sessions in force: handle, when they were made "
        "and last stored (UTC), size of the data, serialiser, idle limit of "
        "their own. In no order, as they are read, unless --sort says so. "
        "What cannot be read is named on standard error. On a terminal "
        "handles are cut, which is enough for other commands, and times are "
        "how long ago that was.",
    )
    parser.set_defaults(run=_run)
    add_path(parser)
    add_json(parser, ", one object on each line")
    add_filters(parser)
    parser.add_argument(
        "--wide",
        action="store_true",
        help="whole handles and times, on a terminal too",
    )
    parser.add_argument(
        "--sort", choices=["created", "stored", "size"], help="in this order"
    )
    parser.add_argument(
        "--reverse", action="store_true", help="the largest or latest first"
    )
    parser.add_argument(
        "--limit",
        type=whole(1, 10**12),
        metavar="N",
        help="no more than so many",
    )
    state = parser.add_mutually_exclusive_group()
    for name in "live", "expired":
        state.add_argument(
            f"--{name}",
            action="store_const",
            const=name,
            dest="state",
            help=f"only {name} sessions, by the limits of the applications",
        )


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Options for which sessions are meant."""
    for option, help_text in (
        ("--older-than", "not stored for so long, as in 90m or 2d"),
        ("--newer-than", "stored since"),
    ):
        parser.add_argument(
            option, type=duration, metavar="TIME", help=help_text
        )
    for option, help_text in (
        ("--larger-than", "with more data, as in 500 or 64K"),
        ("--smaller-than", "with less data"),
    ):
        parser.add_argument(
            option,
            type=byte_count,
            metavar="SIZE",
            help=help_text,
        )


def matching(
    store: Inspector,
    options: argparse.Namespace,
    left_out: LeftOut,
    show: Callable[[int], None] = lambda done: None,
) -> Iterator[StoredSession]:
    """
    The sessions that the filters let through.

    Args:
        left_out: is called with what is wrong with what cannot be read.
        show: is called with how many directories are done.
    """
    now = time.time()
    oldest = _before(now, options.newer_than)
    newest = _before(now, options.older_than)
    larger, smaller = options.larger_than, options.smaller_than
    for number in range(store.layout.shards):
        for each in store.shard(number, left_out):
            if (
                not each.superseded
                and (oldest is None or each.stored >= oldest)
                and (newest is None or each.stored < newest)
                and (larger is None or each.size > larger)
                and (smaller is None or each.size < smaller)
            ):
                yield each
        show(number + 1)


def _before(now: float, span: float | None) -> float | None:
    return None if span is None else now - span


def as_json(session: StoredSession, state: str) -> dict[str, object]:
    """A session as ``--json`` prints it."""
    return {
        **session._asdict(),
        "serializer": serializer_name(session.serializer),
        "state": state,
    }


def state_of(session: StoredSession, now: float, limits: InUse | None) -> str:
    """A word; without limits that are known only its own ends a session."""
    if session.is_expired(now, limits):
        return "expired"
    return "live" if limits is not None else "?"


def _run(options: argparse.Namespace) -> int:
    store, left_out = inspector(options), LeftOut()
    found = matching(store, options, left_out)
    if options.sort is not None:
        from .sorting import in_order

        with progress("reading", store.layout.shards, options.json) as show:
            found = in_order(
                matching(store, options, left_out, show),
                options.sort,
                options.reverse,
            )
    now, limits = time.time(), store.limits()
    pairs: Iterator[tuple[StoredSession, str]] = (
        (each, state_of(each, now, limits)) for each in found
    )
    if options.state is not None:
        if limits is None:
            raise Refused(
                f"--{options.state}: the limits of the applications are not "
                "known, since none has made a session here yet"
            )
        pairs = (pair for pair in pairs if pair[1] == options.state)
    pairs = itertools.islice(pairs, options.limit)
    if options.json:
        for session, state in pairs:
            print_json(as_json(session, state))
    elif options.wide or not is_terminal():
        _whole_table(pairs)
    else:
        _short_table(pairs, now)
    return left_out.status("listed")


def _whole_table(pairs: Iterator[tuple[StoredSession, str]]) -> None:
    table(
        [
            ("handle", 32),
            ("created", 19),
            ("stored", 19),
            ("size", -10),
            ("serializer", 10),
            ("own limit", -9),
            ("state", 7),
        ],
        (
            [
                session.handle,
                moment(session.created),
                moment(session.stored),
                *_described(session),
                state,
            ]
            for session, state in pairs
        ),
    )


def _short_table(
    pairs: Iterator[tuple[StoredSession, str]], now: float
) -> None:
    """In 80 columns."""
    table(
        [
            ("handle", _SHORT),
            ("created", -9),
            ("stored", -9),
            ("size", -9),
            ("serializer", 10),
            ("own limit", -9),
            ("state", 7),
        ],
        (
            [
                session.handle[:_SHORT],
                age(now - session.created),
                age(now - session.stored),
                *_described(session),
                state,
            ]
            for session, state in pairs
        ),
    )


def _described(session: StoredSession) -> list[str]:
    return [
        size(session.size),
        serializer_name(session.serializer),
        age(session.idle) if session.idle else "",
    ]
