"""
`websession man`: all of the help, as a page for `man`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from typing import TYPE_CHECKING

from .. import __version__
from .arguments import Refused
from .output import is_terminal, page, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

# Of these characters `roff` makes others, or commands.
_ESCAPES = str.maketrans(
    {
        "\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "~": r"\(ti",
        "^": r"\(ha",
    }
)  # fmt: skip
_ENVIRONMENT = {
    "WEBSESSION_PATH": "directory of the sessions, for commands without PATH",
    "WEBSESSION_BACKEND": "auto, c or python: what reads and writes sessions",
    "NO_COLOR": "if it is set, nothing is coloured",
}


def add(commands: Commands) -> None:
    """Describes the arguments."""
    parser = commands.add_parser(
        "man",
        help="show the man page",
        description="Shows the help of all commands as man does; where it is "
        "piped, as a page for man.",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from . import parser

    lines = _page(parser())
    if is_terminal():
        _show("\n".join(lines) + "\n")
    else:
        for line in lines:
            say(line)
    return 0


def _show(roff: str) -> None:
    """Page by page, set by what there is."""
    width = shutil.get_terminal_size().columns
    for command in (
        ["nroff", "-man", f"-rLL={width}n"],
        ["mandoc", f"-Owidth={width}"],
    ):
        try:
            done = subprocess.run(  # noqa: S603 - no shell
                command, input=roff, capture_output=True, text=True
            )
        except OSError:
            continue
        if done.returncode == 0:
            page(done.stdout)
            return
    raise Refused(
        "there is no nroff (of groff) and no mandoc to set the page: "
        "`websession man >websession.1` writes it for another machine, and "
        "`websession COMMAND --help` says the same"
    )


def _page(whole: argparse.ArgumentParser) -> Iterator[str]:
    """The lines of the page."""
    about = whole.description or ""
    yield f'.TH WEBSESSION 1 "" "websession {__version__}" "User Commands"'
    yield from (".SH NAME", rf"websession \- {_text(about.rstrip('.'))}")
    yield from (".SH SYNOPSIS", r"\fBwebsession\fR \fICOMMAND\fR [...]")
    yield ".SH DESCRIPTION"
    *parts, status = (whole.epilog or "").split("\n\n")
    yield from _parts(parts)
    yield from _options(whole)
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield ".SH COMMANDS"
            for each in action._choices_actions:
                yield rf".SS {_text(str(each.metavar or each.dest))}"
                yield from _command(action.choices[each.dest])
    yield ".SH ENVIRONMENT"
    for name, what in _ENVIRONMENT.items():
        yield from (".TP", rf"\fB{name}\fR", _text(what))
    yield ".SH EXIT STATUS"
    yield from _block(status.splitlines()[1:])


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield _text(parser.description or "")
    yield from _options(parser)
    # The last one, the exit status, is the same for all.
    yield from _parts((parser.epilog or "").split("\n\n")[:-1])


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        is_command = isinstance(action, argparse._SubParsersAction)
        if is_command or action.dest == "help" or not action.help:
            continue
        yield ".TP"
        names = ", ".join(
            rf"\fB{_text(name)}\fR" for name in action.option_strings
        )
        value = ""
        if action.nargs != 0:
            value = rf"\fI{_text(_value(action))}\fR"
        yield f"{names} {value}".strip()
        yield _text(action.help % {**vars(action), "prog": parser.prog})


def _value(action: argparse.Action) -> str:
    """What stands for the value of an argument."""
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _parts(parts: list[str]) -> Iterator[str]:
    """What stands below the arguments: a line, or lines that stay so."""
    for part in parts:
        first, _, rest = part.partition(":\n")
        yield ".PP"
        if "\n" not in part:
            yield _text(part)
            continue
        if rest:
            yield _text(first.capitalize()) + ":"
        yield from _block((rest or first).splitlines())


def _block(lines: list[str]) -> Iterator[str]:
    yield from (".RS", ".nf", *(_text(line.strip()) for line in lines))
    yield from (".fi", ".RE")


def _text(text: str) -> str:
    text = text.translate(_ESCAPES)
    return rf"\&{text}" if text.startswith(".") else text
