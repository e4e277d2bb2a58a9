"""
`websession bench`: what sessions cost on a disk of one's own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from ..disk.private import check_way
from .arguments import Refused, add_json, path_of, whole
from .output import print_json, progress, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..options import BackendChoice
    from ..session import WebSession

    # With the IDs of its sessions.
    Contestant = tuple[dict[str, Callable[[str], object]], list[str]]
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_FRACTION = 0.04  # of the seconds: one round of one thing
_DATA = {"user": "ann", "roles": ["reader"], "text": "x" * 190}


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "bench",
        help="measure sessions on this disk",
        description="Measures what sessions cost below a directory, beside "
        "writing a temporary file and renaming it, in a new directory that is "
        "removed at the end. The long form is `python -m benchmarks` in the "
        "source of websession.",
    )
    parser.set_defaults(run=_run)
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default=os.environ.get("WEBSESSION_PATH"),
        help="a directory on the disk (default: WEBSESSION_PATH)",
    )
    add_json(parser)
    parser.add_argument(
        "--seconds",
        type=whole(1, 600),
        default=5,
        help="how long, about (%(default)s)",
    )
    parser.add_argument(
        "--sessions",
        type=whole(1, 1_000_000),
        default=1000,
        help="among how many (%(default)s)",
    )


def _run(options: argparse.Namespace) -> int:
    path = path_of(options)
    check_way(os.path.realpath(os.fsencode(path)))
    if not os.path.isdir(path):
        raise Refused(f"{path} is not a directory")
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=path) as place:
        found = _measure(place, options)
    if options.json:
        print_json(found)
        return 0
    columns = [("µs each, median of rounds", 26)]
    columns += [(name, -max(8, len(name))) for name in found]
    rows = []
    for what in next(iter(found.values())):
        cells = [found[name][what] for name in found]
        rows.append([what, *(f"{cell:.1f}" for cell in cells)])
    table(columns, rows)
    return 0


def _measure(
    place: str, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Microseconds of each operation, by contestant."""
    from ..disk.backend import BACKEND

    backends: list[BackendChoice] = ["python"]
    if BACKEND == "c":
        backends.insert(0, "c")
    makers = {
        f"websession, {backend}": partial(_ours, place, backend)
        for backend in backends
    }
    makers["renamed files"] = partial(_renamed, place)
    contestants: dict[str, Contestant] = {}
    with progress("making sessions", len(makers), options.json) as show:
        for name, make in makers.items():
            contestants[name] = make(options.sessions)
            show(len(contestants))
    jobs = [
        (name, what, call, ids)
        for name, (calls, ids) in contestants.items()
        for what, call in calls.items()
    ]
    times: dict[tuple[str, str], list[float]] = {}
    rounds = max(3, int(options.seconds / (_FRACTION * len(jobs))))
    with progress("measuring", rounds, options.json) as show:
        for number in range(rounds):
            for name, what, call, ids in jobs:
                took = _round(call, ids, _FRACTION)
                times.setdefault((name, what), []).append(took)
            show(number + 1)
    return {
        name: {
            what: round(statistics.median(times[name, what]) * 1e6, 2)
            for what in calls
        }
        for name, (calls, _) in contestants.items()
    }


def _round(
    call: Callable[[str], object], ids: list[str], seconds: float
) -> float:
    """Mean seconds of a call, over as many calls as fit."""
    count, started = 0, perf_counter()
    while True:
        for session_id in ids[:100]:
            call(session_id)
        count += min(100, len(ids))
        took = perf_counter() - started
        if took > seconds:
            return took / count


def _ours(place: str, backend: BackendChoice, count: int) -> Contestant:
    from .. import FileStore, WebSession

    store = FileStore(
        os.path.join(place, backend), backend=backend, allow_network=True
    )
    ws = WebSession(store, 1800, crossCheckVars=(), sessionIDLength=32)
    ids = [ws.newSession(data=_DATA) for _ in range(count)]

    def cycle(session_id: str) -> None:
        ws.storeSession(session_id, ws.retrieveSession(session_id))

    return {
        "retrieve": ws.retrieveSession,
        "store": partial(_store, ws),
        "retrieve and store": cycle,
        "new and delete": partial(_new, ws),
    }, ids


def _store(ws: WebSession, session_id: str) -> None:
    ws.storeSession(session_id, _DATA)


def _new(ws: WebSession, session_id: str) -> None:
    ws.deleteSession(ws.newSession(data=_DATA))


def _renamed(place: str, count: int) -> Contestant:
    """What most others do: pickle, a temporary file, a rename."""
    import pickle

    root = os.path.join(place, "renamed")
    os.mkdir(root, 0o700)
    ids = [f"{number:032x}" for number in range(count)]

    def store(session_id: str) -> None:
        path = os.path.join(root, session_id)
        with open(path + ".new", "wb") as file:
            file.write(pickle.dumps(_DATA))
        os.rename(path + ".new", path)

    def retrieve(session_id: str) -> object:
        with open(os.path.join(root, session_id), "rb") as file:
            return pickle.loads(file.read())  # noqa: S301  # its own files

    def cycle(session_id: str) -> None:
        retrieve(session_id)
        store(session_id)

    def new(session_id: str) -> None:
        store("new")
        os.unlink(os.path.join(root, "new"))

    for session_id in ids:
        store(session_id)
    return {
        "retrieve": retrieve,
        "store": store,
        "retrieve and store": cycle,
        "new and delete": new,
    }, ids
