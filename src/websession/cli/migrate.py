"""
`websession migrate`: sessions from another store.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

from .. import serializers
from ..admin.copy import Transfer
from ..admin.inspector import Inspector
from ..exceptions import SessionException
from ..ids import handle
from ..serializers import Serializer
from ..stores.file import FileStore
from ..stores.transit import COPIED, GONE, THERE
from .arguments import Refused, add_json, duration, secret_in, secrets_of
from .output import complain, counted, print_json, progress, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..legacy import CherryPyFiles, DjangoFiles, Shelf

    LegacyStore = CherryPyFiles | DjangoFiles | Shelf
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    # A handle, and what copies its session.
    Job = tuple[str, Callable[[], str]]

__all__ = ["add"]

_KINDS = ("store", "django", "cherrypy", "shelve")
_EPILOG = """\
A store that is in use can be copied: run it, switch the application to DST,
and at once run it again for what was stored meanwhile: what was logged out in
DST before comes back. A session that is newer in DST stays as it is there. SRC
is not changed, unless --move is said.

Flask-Session's files do not tell the IDs of their sessions: let the
application read them with websession.legacy.CacheFiles and MovingSession.
"""


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "migrate",
        help="copy sessions from another store",
        description="Copies sessions to a store of websession, with their "
        "times, limits and cross-check variables. Can be interrupted and run "
        "again.",
        epilog=_EPILOG,
    )
    parser.set_defaults(run=_run)
    parser.add_argument("source", metavar="SRC", help="where they are")
    parser.add_argument(
        "target", metavar="DST", help="a directory; made if it is missing"
    )
    add_json(parser)
    parser.add_argument(
        "--from",
        dest="kind",
        choices=_KINDS,
        default="store",
        help="what SRC is (%(default)s)",
    )
    parser.add_argument(
        "--serializer",
        choices=["pickle", "json", "flask", "django"],
        help="write the data in this way (default: as it is; pickle from "
        "cherrypy and shelve, django from django)",
    )
    parser.add_argument(
        "--unsafe-pickle",
        action="store_true",
        help="unpickle what SRC holds, to write it in another way: that runs "
        "what its classes say, in this process",
    )
    parser.add_argument(
        "--shards",
        type=int,
        choices=[16, 256, 4096],
        default=256,
        help="directories of a new DST (%(default)s)",
    )
    parser.add_argument(
        "--allow-network",
        action="store_true",
        help="open stores even on a network file system",
    )
    for option, what in (
        ("--secret-file", "SRC"),
        ("--new-secret-file", "DST"),
    ):
        parser.add_argument(
            option,
            metavar="FILE",
            action="append",
            default=[],
            help=f"holds the application's secret of {what}; several: oldest "
            "first",
        )
    parser.add_argument(
        "--move",
        action="store_true",
        help="delete what was copied from django, cherrypy or shelve",
    )
    django = parser.add_argument_group("from Django")
    django.add_argument(
        "--secret-key-file", metavar="FILE", help="holds SECRET_KEY"
    )
    django.add_argument(
        "--cookie-name", default="sessionid", help="%(default)s"
    )
    django.add_argument(
        "--cookie-age", type=duration, default=1209600.0, metavar="TIME",
        help="of sessions without an expiry of their own (14d)",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    counts = {COPIED: 0, THERE: 0, GONE: 0}
    failed = 0

    def fail(what: object) -> None:
        nonlocal failed
        failed += 1
        complain(str(what))

    if options.kind == "store":
        source = _store(options)
        with progress("counting", None, options.json):
            count = source.engine.count()
        jobs = _store_jobs(source, options, fail)
    else:
        legacy = _legacy(options)
        count, jobs = _count(legacy, options), _legacy_jobs(legacy, options)

    def so_far() -> str:
        return (
            f"{counted(sum(counts.values()) + failed, 'session')}: "
            f"{counts[COPIED]:,} copied, {counts[THERE]:,} there already, "
            f"{counts[GONE]:,} gone meanwhile, {failed:,} failed"
        )

    with progress("copying", count, options.json, so_far) as show:
        for name, copy in jobs:
            try:
                counts[copy()] += 1
            except Exception as error:  # whatever serialisers raise
                fail(f"{name}: {error}")
            show(sum(counts.values()) + failed)
    if options.json:
        print_json({**counts, "failed": failed})
    else:
        say(so_far())
    if options.kind != "store" and not (failed or any(counts.values())):
        failed += _is_something_else(legacy, options)
    return 3 if failed else 0


# From a store of websession


def _store(options: argparse.Namespace) -> Inspector:
    if os.path.realpath(options.source) == os.path.realpath(options.target):
        raise Refused("SRC and DST are the same directory")
    if options.move:
        raise Refused("--move is for django, cherrypy and shelve")
    source = Inspector(
        options.source,
        secrets=secrets_of(options),
        allow_network=options.allow_network,
    )
    source.layout.keyring  # noqa: B018  # says now if there is no key
    return source


def _target(options: argparse.Namespace, serializer: Serializer) -> FileStore:
    store = FileStore(
        options.target,
        serializer=serializer,
        secret=_new_secrets(options) or None,
        shards=options.shards,
        sweep_interval=0,
        # What is deleted in SRC is on the disk of DST first.
        durability="full" if options.move else "none",
        allow_network=options.allow_network,
    )
    store.engine.notes_limits = False
    return store


def _new_secrets(options: argparse.Namespace) -> list[bytes]:
    return [secret_in(file) for file in options.new_secret_file]


def _store_jobs(
    source: Inspector,
    options: argparse.Namespace,
    fail: Callable[[object], None],
) -> Iterator[Job]:
    _target(options, serializers.get("pickle"))  # makes it
    target = Inspector(
        options.target,
        secrets=_new_secrets(options),
        allow_network=options.allow_network,
    )
    pairs = {
        number: (old, _serializer(options.serializer))
        for number, old in _readers(options).items()
    }
    for session in source.sessions(fail):
        name = session.handle.encode("ascii")
        pair = pairs.get(session.serializer) if options.serializer else None
        if options.serializer and pair is None:
            yield session.handle, _refuse(session.serializer)
        else:
            copier = Transfer(source, target, pair)
            yield session.handle, _copy(copier, name)


def _copy(copier: Transfer, name: bytes) -> Callable[[], str]:
    return lambda: copier.copy(name)


def _refuse(number: int) -> Callable[[], str]:
    def refuse() -> str:
        if number == 1:
            raise SessionException(
                "it is a pickle, and decoding that runs code: say "
                "--unsafe-pickle if you trust whoever wrote it"
            )
        raise SessionException(f"serializer {number} is not known here")

    return refuse


def _readers(options: argparse.Namespace) -> dict[int, Serializer]:
    names = ["json"] + ["pickle"] * options.unsafe_pickle
    if options.serializer in ("flask", "django"):
        names.append(options.serializer)
    found = [_serializer(name) for name in names]
    return {each.number: each for each in found}


def _serializer(name: str) -> Serializer:
    if name == "flask":
        from ..flask import tagged_json

        return tagged_json
    if name == "django":
        return _django_json()
    return serializers.get(name or "pickle")


def _django_json() -> Serializer:
    """What Django's JSONSerializer writes, under the number of its engine."""
    import json

    return Serializer(
        4,
        "django",
        lambda data: json.dumps(data, separators=(",", ":")).encode("latin-1"),
        lambda raw: json.loads(raw.decode("latin-1")),
        canonical=True,
    )


# From others


def _legacy(options: argparse.Namespace) -> LegacyStore:
    from .. import legacy

    if options.kind == "django":
        if options.secret_key_file is None:
            raise Refused("reading Django's sessions needs --secret-key-file")
        key = _text_in(options.secret_key_file)
        return legacy.DjangoFiles(
            options.source,
            secret_key=key,
            cookie_name=options.cookie_name,
            cookie_age=int(options.cookie_age),
        )
    if not options.unsafe_pickle:
        raise Refused(
            f"the sessions of {options.kind} are pickles, and decoding these "
            "runs code: say --unsafe-pickle if you trust whoever can write to "
            f"{options.source}"
        )
    if options.kind == "cherrypy":
        return legacy.CherryPyFiles(options.source)
    return legacy.Shelf(options.source)


def _is_something_else(
    source: LegacyStore, options: argparse.Namespace
) -> bool:
    """Says so where there is something, and nothing of it is a session."""
    # After an earlier run that moved all of them there may be none left.
    is_first = not _target(options, serializers.get("pickle")).engine.count()
    number = source.entries() if is_first else 0
    if number:
        what = "key" if options.kind == "shelve" else "file"
        hint = {
            "django": "; is --cookie-name the site's SESSION_COOKIE_NAME?",
            "cherrypy": "",
            "shelve": ": none is an ID of 12 characters",
        }
        complain(
            f"websession: of {counted(number, what)} in {options.source} none "
            f"is a session of {options.kind}{hint[options.kind]}"
        )
    return number > 0


def _text_in(path: str) -> str:
    try:
        return secret_in(path).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is not text in UTF-8") from None


def _count(source: LegacyStore, options: argparse.Namespace) -> int:
    number = 0
    with progress("counting", None, options.json) as show:
        for number, _ in enumerate(source.ids(), 1):
            show(number)
    return number


def _legacy_jobs(
    source: LegacyStore, options: argparse.Namespace
) -> Iterator[Job]:
    usual = "django" if options.kind == "django" else "pickle"
    target = _target(options, _serializer(options.serializer or usual))
    for session_id in source.ids():
        yield (
            handle(session_id).decode("ascii"),
            _carry(source, target, session_id, options.move),
        )


def _carry(
    source: LegacyStore, target: FileStore, session_id: str, move: bool
) -> Callable[[], str]:
    from ..stores.transit import carry

    def job() -> str:
        limits = time.time(), 0.0, 0.0, 0.0
        return carry(session_id, source, target, limits, remove=move)

    return job
