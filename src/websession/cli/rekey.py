"""
`websession rekey`: a new secret for the sessions that are there.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..admin.copy import resign, use_application
from ..exceptions import CorruptData, SessionStoreError
from ..keyring import Keyring
from ..stores.transit import COPIED, GONE, THERE
from .arguments import Refused, add_json, add_path, inspector, secrets_of
from .output import complain, counted, print_json, progress, say

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_EPILOG = """\
How to change the secret of a store in use:

 1. Let the application pass both: FileStore(PATH, secret=[old, new]), and
    restart it. The last one signs, both verify. If the store has a key of its
    own, `old` is the content of PATH/.key, read as bytes.
 2. websession rekey PATH --secret-file OLD --secret-file NEW
    (OLD may be PATH/.key). It signs what was signed with the old one anew,
    beside live traffic, and can be run again.
 3. Let the application pass the new one only, and restart it. A .key that is
    not used any more can be deleted then.
"""


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "rekey",
        help="sign all sessions with a new secret",
        description="Signs the sessions of a store with the last one of "
        "several secrets.",
        epilog=_EPILOG,
    )
    parser.set_defaults(run=_run)
    add_path(parser, secret=True)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    secrets = secrets_of(options)
    if len(secrets) < 2:
        raise Refused(
            "name the old secret and the new one, in this order: "
            "--secret-file OLD --secret-file NEW (see --help)"
        )
    store = inspector(options)
    layout = store.layout
    layout.keyring  # noqa: B018  # says now if the old one is wrong
    store_id = bytes.fromhex(layout.marker[b"id"].decode("ascii"))
    last = Keyring(secrets[-1:], store_id)
    counts = {COPIED: 0, THERE: 0, GONE: 0}
    failed = 0

    def so_far() -> str:
        return (
            f"{counted(counts[COPIED], 'session')} signed anew, "
            f"{counts[THERE]:,} were already, {failed:,} failed"
        )

    with progress("signing", layout.shards, options.json, so_far) as show:
        for number in range(layout.shards):
            for name, info in store.files(number):
                if info.st_size == 0:
                    continue
                try:
                    counts[resign(store, last, name)] += 1
                except (CorruptData, SessionStoreError) as error:
                    failed += 1
                    complain(f"{name.decode('ascii')}: {error}")
            show(number + 1)
    changed = not failed and use_application(store)
    if options.json:
        print_json(
            {
                "signed": counts[COPIED],
                "there": counts[THERE],
                "failed": failed,
            }
        )
    else:
        say(so_far())
        if changed:
            say(
                "from now on the store is opened with the application's "
                "secret; .key is not used any more"
            )
    return 3 if failed else 0
