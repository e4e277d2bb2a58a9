"""
`websession verify`: is everything in the store as it should be?
"""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from ..admin.check import KINDS, Verifier
from .arguments import add_json, add_path, inspector
from .output import counted, print_json, progress, say

if TYPE_CHECKING:
    from ..admin.check import Finding
    from ..admin.inspector import Inspector

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_EXAMPLES = 3


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "verify",
        help="look at every file for what is wrong",
        description="Looks at every file: format, checksum, authenticity, "
        "name, mode, owner, what does not belong there, what crashes left "
        "behind, and the count. Says of each kind how many there are, the "
        "worst first, with examples. Others may use the store meanwhile.",
    )
    parser.set_defaults(run=_run)
    add_path(parser, secret=True)
    add_json(parser, ", one finding on each line and a summary")
    parser.add_argument(
        "--all",
        action="store_true",
        help="print each finding, as it is found",
    )
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
    groups = {kind: _Group() for kind in KINDS}
    try:
        _look(store, verifier, groups, options)
    except KeyboardInterrupt:
        # What was found, and perhaps repaired, is told all the same.
        _tell(verifier, groups, options)
        raise
    return _tell(verifier, groups, options)


def _look(
    store: Inspector,
    verifier: Verifier,
    groups: dict[str, _Group],
    options: argparse.Namespace,
) -> None:
    with progress("verifying", store.layout.shards, options.json) as show:
        for each in verifier.findings():
            if isinstance(each, int):
                show(each)
                continue
            groups[each.kind].add(each)
            if options.json:
                print_json(each._asdict())
            elif options.all:
                say(_line(each))


def _tell(
    verifier: Verifier,
    groups: dict[str, _Group],
    options: argparse.Namespace,
) -> int:
    """Prints what was found; the exit status."""
    found = sum(group.found for group in groups.values())
    left = found - sum(group.done for group in groups.values())
    if options.json:
        print_json(
            {
                "sessions": verifier.sessions,
                "findings": found,
                "repaired": found - left,
                "authenticity": verifier.without_key is None,
            }
        )
        return 3 if left else 0
    if not options.all:
        for kind, group in groups.items():
            group.show(kind)
    _summary(verifier, found, left)
    return 3 if left else 0


class _Group:
    """Findings of a kind: how many, and the first of them."""

    def __init__(self) -> None:
        self.found = self.done = 0
        self._examples: list[Finding] = []

    def add(self, finding: Finding) -> None:
        self.found += 1
        self.done += finding.done
        if len(self._examples) < _EXAMPLES:
            self._examples.append(finding)

    def show(self, kind: str) -> None:
        if not self.found:
            return
        say(f"{self.found:,} {kind}:")
        for each in self._examples:
            say(f"  {_line(each)}")
        if self.found > len(self._examples):
            say(f"  and {self.found - len(self._examples):,} more: --all")


def _line(finding: Finding) -> str:
    repair = ""
    if finding.repair:
        word = "done" if finding.done else "--repair"
        repair = f" ({word}: {finding.repair})"
    return f"{finding.path}: {finding.what}{repair}"


def _summary(verifier: Verifier, found: int, left: int) -> None:
    verb = "verified" if verifier.without_key is None else "readable"
    say(
        f"{counted(verifier.sessions, 'session')} {verb}, "
        f"{counted(found, 'finding')}, {found - left:,} repaired"
    )
    if verifier.without_key is not None:
        say(f"authenticity was not checked: {verifier.without_key}")
