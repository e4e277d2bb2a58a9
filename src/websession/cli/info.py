"""
`websession info`: how a store is.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

from ..admin.stats import Census, Distribution, room, take
from .arguments import add_json, add_path, inspector
from .output import age, bar, moment, pairs, print_json, progress, say, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..admin.inspector import Inspector
    from ..disk.limitsnote import InUse
    from ..disk.sweepnote import SweepNote

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "info",
        aliases=["stats"],
        help="how many sessions there are, how old, how large",
        description="Counts all sessions, and looks at some 20,000 of them: "
        "numbers, what is damaged, the last sweep, and what room is left; "
        "with --all also ages, sizes, and balance of the directories.",
    )
    parser.set_defaults(run=_run)
    add_path(parser)
    formats = parser.add_mutually_exclusive_group()
    add_json(formats)
    parser.add_argument(
        "--all",
        action="store_true",
        help="print all that is known, as the other formats do",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="look at each session, however many there are",
    )
    formats.add_argument(
        "--prometheus",
        action="store_true",
        help="print the text format of Prometheus, for the textfile "
        "collector of its node exporter",
    )


def _run(options: argparse.Namespace) -> int:
    store = inspector(options)
    quiet = options.json or options.prometheus
    with progress("looking", store.layout.shards, quiet) as show:
        census = take(store, show, options.exact)
    if options.prometheus:
        from .prometheus import exposition

        for line in exposition(store, census):
            say(line)
    elif options.json:
        print_json(_as_json(store, census))
    else:
        _print(store, census, options.all)
    return 3 if census.unreadable else 0


def _as_json(store: Inspector, census: Census) -> dict[str, object]:
    note = store.sweep_note()
    last = note.last
    return {
        "path": os.fsdecode(store.layout.root),
        "backend": store.engine.backend.NAME,
        **{
            name: _marked(store, name, "")
            for name in ("made", "key")
        },
        **{
            name: getattr(census, name)
            for name in (
                "sessions", "expired", "superseded", "unreadable", "empty",
                "damaged", "own_limit", "disk", "every",
            )
        },
        "limits": _limits_as_json(census.limits),
        "created_last_minute": census.created[60],
        "created_last_hour": census.created[3600],
        "size": _distribution(census.sizes),
        "age": _distribution(census.ages),
        "idle": _distribution(census.idle),
        "shards": {
            "count": len(census.shards),
            "least": min(census.shards),
            "most": max(census.shards),
        },
        "last_sweep": None
        if last is None
        else {
            name: getattr(last, name)
            for name in (
                "when", "removed", "reaped", "live", "damaged", "failed",
            )
        },
        "expired_per_minute": note.removed_per_minute,
        "sweep_under_way": note.present is not None,
        "room": room(store),
    }  # fmt: skip


def _limits_as_json(limits: InUse | None) -> dict[str, object] | None:
    if limits is None:
        return None
    return {
        name: dict(zip(("least", "most"), getattr(limits, name), strict=True))
        for name in ("idle", "lifetime", "remove")
    }


def _limits(limits: InUse | None) -> str:
    """What those who make sessions here go by."""
    if limits is None:
        return "not known: nobody has made a session yet"
    texts = []
    for name, (least, most) in (
        ("idle", limits.idle),
        ("in all", limits.lifetime),
    ):
        if not least:
            continue
        text = age(least)
        if most != least:
            text += f" to {age(most) if most else 'none'}"
        texts.append(f"{text} {name}")
    return ", ".join(texts) or "none"


def _marked(store: Inspector, name: str, otherwise: str) -> str:
    """A value of the store's marker as text, even if it is none."""
    found = store.layout.marker.get(name.encode())
    return otherwise if found is None else found.decode("ascii", "replace")


def _distribution(values: Distribution) -> dict[str, object]:
    return {
        "least": values.least,
        "mean": values.mean,
        "most": values.most,
        "total": values.total,
        "up_to": dict(zip(map(str, values.ends), values.counts, strict=False)),
        "above": values.counts[-1],
    }


def _print(store: Inspector, census: Census, everything: bool) -> None:
    """In 24 lines, unless everything is asked for."""
    about = _store(store) if everything else {}
    about["limits"] = _limits(census.limits)
    pairs(store.layout.shown, about)
    say()
    pairs("sessions", _sessions(census, everything))
    say()
    if everything and census.sessions:
        _histogram("size of the data", census.sizes, size)
        _histogram("since the last store", census.idle, age)
    pairs("sweep", _sweep(store, everything))
    say()
    left = room(store)
    values = {"bytes": f"{size(left['bytes'])} of {size(left['of_bytes'])}"}
    if left["of_files"]:  # some file systems have no such limit
        values["files"] = f"{left['files']:,} of {left['of_files']:,}"
    pairs("room left", values)
    if not everything:
        say("ages, sizes, directories: --all")


def _store(store: Inspector) -> dict[str, str]:
    key = store.layout.marker[b"key"].partition(b":")[0]
    return {
        "made": _marked(store, "made", "?"),
        "key": "the application's own" if key == b"application" else "in .key",
        "backend": store.engine.backend.NAME,
        "directories": str(store.layout.shards),
    }


def _expired(census: Census) -> str:
    return f" ({census.expired:,} expired)" if census.expired else ""


def _sessions(census: Census, everything: bool) -> dict[str, str]:
    shards = census.shards
    values = {
        "sessions": f"{census.sessions:,}{_expired(census)}",
        "data": f"{size(census.sizes.total)}, on disk {size(census.disk)}",
        "made": f"{census.created[60]} in the last minute, "
        f"{census.created[3600] / 60:.1f} per minute in the last hour",
    }
    if everything and census.sessions:
        values["per directory"] = (
            f"{min(shards)} to {max(shards)}, "
            f"{sum(shards) / len(shards):.1f} on average"
        )
    if census.every > 1:
        values["looked at"] = (
            f"1 of {census.every:,}: but for sessions and disk these are "
            "estimates (--exact)"
        )
    for name, number, is_usual in (
        ("own limit", census.own_limit, True),
        ("superseded", census.superseded, True),
        ("empty files", census.empty, False),
        ("unreadable", census.unreadable, False),
        ("in .damaged/", census.damaged, False),
    ):
        if number and (everything or not is_usual):
            values[name] = f"{number:,}"
    if census.unreadable:
        values["unreadable"] += " (websession verify says what to do)"
    return values


def _histogram(
    title: str, values: Distribution, text: Callable[[float], str]
) -> None:
    most = max(values.counts)
    names = [f"up to {text(end)}" for end in values.ends]
    names.append(f"above {text(values.ends[-1])}")
    rows = {
        name: f"{bar(count / most):<30} {count:,}"
        for name, count in zip(names, values.counts, strict=True)
    }
    pairs(title, rows)
    say()


def _rate(note: SweepNote) -> str:
    rate = note.removed_per_minute
    return "" if rate is None else f", {rate:.1f} per minute"


def _sweep(store: Inspector, everything: bool) -> dict[str, str]:
    note = store.sweep_note()
    if note.last is None:
        values = {"last": "never finished, or before this was noted"}
    else:
        ago = age(time.time() - note.last.when)
        values = {
            "last": f"{moment(note.last.when)} UTC, {ago} ago",
            "removed": f"{note.last.removed:,} expired{_rate(note)}",
        }
        if everything:
            values["left"] = f"{note.last.live:,}"
        for name in ("damaged", "failed"):
            if getattr(note.last, name):
                values[name] = str(getattr(note.last, name))
    if note.present is not None:
        values["under way"] = (
            f"at directory {note.shard} of {store.layout.shards}"
        )
    return values
