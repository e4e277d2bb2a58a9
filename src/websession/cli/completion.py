"""
`websession completion`: so that the shell completes commands and options.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .arguments import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_EPILOG = """\
bash:  websession completion bash > ~/.local/share/bash-completion/completions/websession
zsh:   websession completion zsh > ~/.zfunc/_websession   (in the fpath)
fish:  websession completion fish > ~/.config/fish/completions/websession.fish
tcsh:  websession completion tcsh > ~/.websession.tcsh    (sourced by .tcshrc)
"""  # noqa: E501
_DIRECTORIES = frozenset({"path", "source", "target", "words"})


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "completion",
        help="print what makes a shell complete this command",
        description="Prints a script for the completion of a shell.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "shell", choices=["bash", "zsh", "tcsh", "fish"], help="which one"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        import shtab

        if options.shell not in shtab.SUPPORTED_SHELLS:
            raise ImportError("too old")
    except ImportError:
        raise Refused(
            "completion needs shtab: pip install 'websession[cli]'"
        ) from None
    from . import parser

    whole = parser()
    for action in _actions(whole):
        if action.dest in _DIRECTORIES:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif isinstance(action, argparse._SubParsersAction):
            for each in action._choices_actions:
                # A line in a list of many, not a paragraph.
                action.choices[each.dest].description = each.help
    sys.stdout.write(shtab.complete(whole, options.shell) + "\n")
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The actions of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
