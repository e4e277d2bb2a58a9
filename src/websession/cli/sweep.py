"""
`websession sweep`: removes what has expired.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from typing import TYPE_CHECKING

from ..disk.private import user_name
from ..disk.sweepnote import Tally
from .arguments import (
    Refused,
    add_json,
    add_path,
    duration,
    inspector,
    path_of,
)
from .output import age, counted, print_json, progress, say

if TYPE_CHECKING:
    from ..admin.inspector import Inspector
    from ..disk.limitsnote import InUse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_CRON = """\
# as user {owner}: crontab -e
7 * * * *  {line}

# or, as root, these files in /etc/systemd/system, and then
# systemctl enable --now websession-sweep.timer
# websession-sweep.service
[Unit]
Description=Removes expired web sessions
[Service]
Type=oneshot
User={owner}
ExecStart={exec}

# websession-sweep.timer
[Unit]
Description=Removes expired web sessions every hour
[Timer]
OnCalendar=hourly
RandomizedDelaySec=5min
Persistent=true
[Install]
WantedBy=timers.target
"""
_SAFE_IN_A_UNIT = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:@+"
)


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "sweep",
        aliases=["gc"],
        help="remove expired sessions",
        description="Removes the sessions that have expired, and what crashed "
        "processes left behind. A store does so by itself, a little at a "
        "time, as long as new sessions are made. The limits are those that "
        "the applications have noted in the store, unless others are given; "
        "sessions with a limit of their own go by that.",
    )
    parser.set_defaults(run=_run)
    add_path(parser)
    add_json(parser)
    parser.add_argument(
        "--idle",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="remove what was not stored for so long, as in 90m or 14d "
        "(default: what the applications go by)",
    )
    parser.add_argument(
        "--lifetime",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="remove what was made so long ago (default: likewise)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also by limits that are shorter than those in use: that ends "
        "sessions which an application would still take",
    )
    parser.add_argument(
        "--budget",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="stop after this time, and go on there the next time",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing unless it fails"
    )
    parser.add_argument(
        "--print-cron",
        action="store_true",
        help="print lines for crontab and systemd that do this every hour",
    )


def _run(options: argparse.Namespace) -> int:
    store = inspector(options)
    limits = store.limits()
    _refuse_shorter(limits, options)
    if options.print_cron:
        _print_cron(_command(options))
        return 0
    if not options.idle and not options.lifetime:
        if limits is None:
            raise Refused(
                "after how long does a session expire? No application has "
                "noted its limits here: say --idle, --lifetime or both, as "
                "the application does: --idle 1d"
            )
        options.idle, options.lifetime = limits.remove[1], limits.lifetime[1]
    started = time.monotonic()
    tally, shards = _sweep(store, options)
    took = time.monotonic() - started
    if options.json:
        print_json(_as_json(tally, shards, store.layout.shards, took))
    elif not options.quiet:
        _report(tally, shards, store.layout.shards, took)
    return 3 if tally.damaged + tally.failed else 0


def _refuse_shorter(limits: InUse | None, options: argparse.Namespace) -> None:
    """Refuses limits that are shorter than the largest ones in use."""
    if limits is None or options.force:
        return
    for name, (_, most) in ("idle", limits.remove), (
        "lifetime", limits.lifetime
    ):  # fmt: skip
        given = getattr(options, name)
        if given and (not most or given < most):
            longest = f"after {age(most)}" if most else "by no such limit"
            raise Refused(
                f"--{name} {age(given)} would end sessions that an "
                f"application still takes: the longest one removes them "
                f"{longest}. Say so with --force if that is meant"
            )


def _print_cron(words: list[str]) -> None:
    """Prints how cron and systemd run a command."""
    import shlex

    command = shlex.join(words)
    # Versions of cron differ in what a backslash before others than % is.
    if not command.isprintable() or "\\" in command:
        raise Refused(f"{command} cannot stand in a crontab")
    text = _CRON.format(
        owner=user_name(os.geteuid()),
        # To cron, a percent sign ends the command.
        line=command.replace("%", "\\%"),
        exec=" ".join(map(_unit_word, words)),
    )
    for line in text.splitlines():
        say(line)


def _unit_word(word: str) -> str:
    """A word of a command as systemd takes it: not as a shell does."""
    for special in "%$":
        word = word.replace(special, special * 2)
    if _SAFE_IN_A_UNIT.issuperset(word):
        return word
    return '"' + word.replace('"', '\\"') + '"'


def _command(options: argparse.Namespace) -> list[str]:
    """This command without `--print-cron`, as it runs from anywhere."""
    words = [*_program(), "sweep", os.path.abspath(path_of(options))]
    for name in ("idle", "lifetime", "budget"):
        value = getattr(options, name)
        if value:
            words += [f"--{name}", f"{value:.15g}"]
    for name in ("force", "allow_network"):
        if getattr(options, name):
            words.append("--" + name.replace("_", "-"))
    return [*words, "--quiet"]


def _program() -> list[str]:
    """The words that start this program from any directory."""
    script = os.path.abspath(sys.argv[0])
    # What `python -m` puts there is a part of the package, and no program.
    if os.path.basename(script) != "__main__.py" and os.access(
        script, os.X_OK
    ):
        return [script]
    import sysconfig

    words = [sys.executable, "-m", "websession"]
    place = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    if place not in sysconfig.get_paths().values():
        # A copy of the package, that Python finds only if it is told.
        words = ["/usr/bin/env", f"PYTHONPATH={place}", *words]
    return words


def _sweep(store: Inspector, options: argparse.Namespace) -> tuple[Tally, int]:
    """What was found and done, and how many shards the pass has behind it."""
    last, done, shards = Tally(time.time()), 0, store.layout.shards
    until = time.monotonic() + (options.budget or 1e9)
    quiet = options.quiet or options.json
    sweep = store.sweeper().whole_pass(
        time.time(),
        options.idle,
        options.lifetime,
        math.inf if options.budget else 0,
    )
    with progress("sweeping", shards, quiet) as show:
        for done, last in sweep:  # noqa: B007
            show(done)
            if done < shards and time.monotonic() > until:
                break
        sweep.close()
    return last, done


def _report(tally: Tally, done: int, shards: int, took: float) -> None:
    looked_at = tally.live + tally.removed + tally.reaped
    rate = looked_at / max(took, 1e-6)
    say(
        f"{counted(tally.removed, 'expired session')} removed, "
        f"{tally.live:,} left; {age(took)}, {rate:,.0f} files per second"
    )
    if tally.reaped:
        both = counted(
            tally.reaped,
            "superseded session or empty file",
            "superseded sessions and empty files",
        )
        say(f"{both} removed")
    if tally.damaged:
        say(f"{counted(tally.damaged, 'damaged file')} moved to .damaged/")
    if tally.failed:
        say(f"{counted(tally.failed, 'file')} could not be looked at")
    if done < shards:
        say(
            f"stopped after {done} of {shards} directories (--budget): the "
            "next run goes on there"
        )


def _as_json(
    tally: Tally, done: int, shards: int, took: float
) -> dict[str, object]:
    return {
        "removed": tally.removed,
        "reaped": tally.reaped,
        "live": tally.live,
        "damaged": tally.damaged,
        "failed": tally.failed,
        "shards": done,
        "complete": done == shards,
        "seconds": round(took, 6),
    }
