"""
`websession verify`: is everything in the store as it should be?
"""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from ..admin.check import Verifier
from .arguments import add_json, add_path, inspector
from .output import print_json, progress, say

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "verify",
        help="look at every file for what is wrong",
        description="Looks at every file: format, checksum, authenticity, "
        "name, mode, owner, what does not belong there, what crashes left "
        "behind, and the count. Others may use the store meanwhile.",
    )
    parser.set_defaults(run=_run)
    add_path(parser, secret=True)
    add_json(parser, ", one finding on each line and a summary")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="put right what can be; nothing is destroyed: unreadable "
        "sessions are moved to .damaged/",
    )


def _run(options: argparse.Namespace) -> int:
    store = inspector(options)
    verifier = Verifier(store, options.repair)
    # What is logged is a finding, and told as one.
    logging.getLogger("websession").addHandler(logging.NullHandler())
    found = left = 0
    with progress("verifying", store.layout.shards, options.json) as show:
        for each in verifier.findings():
            if isinstance(each, int):
                show(each)
                continue
            found += 1
            left += not each.done
            if options.json:
                print_json(each._asdict())
            else:
                say(f"{each.path}: {each.what}{_about(each)}")
    if options.json:
        print_json(
            {
                "sessions": verifier.sessions,
                "findings": found,
                "repaired": found - left,
                "authenticity": verifier.without_key is None,
            }
        )
    else:
        _summary(verifier, found, left)
    return 3 if left else 0


def _about(finding: object) -> str:
    repair = getattr(finding, "repair", "")
    if not repair:
        return ""
    done = getattr(finding, "done", False)
    return f" ({'done' if done else '--repair'}: {repair})"


def _summary(verifier: Verifier, found: int, left: int) -> None:
    verb = "verified" if verifier.without_key is None else "readable"
    say(
        f"{verifier.sessions} sessions {verb}, {found} findings, "
        f"{found - left} repaired"
    )
    if verifier.without_key is not None:
        say(f"authenticity was not checked: {verifier.without_key}")
