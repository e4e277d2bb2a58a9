"""
What the arguments of several commands have in common.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING

from ..admin.inspector import Inspector
from ..exceptions import printable
from .manual import help_formatter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, NoReturn

    from _typeshed import SupportsWrite

__all__ = [
    "Parser",
    "Refused",
    "add_json",
    "add_path",
    "byte_count",
    "duration",
    "inspector",
    "path_of",
    "secret_in",
    "secrets_of",
    "whole",
]

_POWERS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MOST_BYTES = 1 << 50
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Parser(argparse.ArgumentParser):
    """
    Repeats nothing of wrong arguments that steers a terminal, and says what
    may have been meant.
    """

    def error(self, message: str) -> NoReturn:
        """Prints the usage and the message, and exits with status 2."""
        super().error(printable(message))

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Prints the help; in colour, if somebody sees it."""
        self.formatter_class = help_formatter()
        super().print_help(file)

    def parse_known_args(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        """Knows all, or it is an error: of the command that has them."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            options = [word for word in rest if word.startswith("-")]
            self.error(
                f"unrecognized arguments: {' '.join(rest)}"
                + _meant(options, self._option_string_actions)
            )
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _meant([str(value)], action.choices or ())
            raise


def _meant(words: list[str], known: Iterable[object]) -> str:
    """What the first of the words may be a slip for."""
    from difflib import get_close_matches

    for word in words[:1]:
        for found in get_close_matches(
            word.partition("=")[0], map(str, known), n=1
        ):
            return f"; did you mean {found}?"
    return ""


class Refused(Exception):
    """Wrong arguments: the sentence goes to standard error."""


def whole(least: int, most: int) -> Callable[[str], int]:
    """An argument type: a whole number between two others."""

    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{least} to {most}, not {text}")
        return int(text)

    return number


def duration(text: str) -> float:
    """An argument type: seconds, or a number with s, m, h, d or w."""
    number, unit = text, "s"
    if text[-1:] in _UNITS:
        number, unit = text[:-1], text[-1]
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e11:
        raise argparse.ArgumentTypeError(
            f"seconds, or a number with s, m, h, d or w, as in 2d, not {text}"
        )
    return seconds


def byte_count(text: str) -> int:
    """An argument type: bytes, or a number with K, M, G or T, as in 64KiB."""
    found = re.fullmatch(r"([\d.]+)(?:([kmgt])i?)?b?", text.lower())
    try:
        count = float(found[1]) * _POWERS[found[2] or ""] if found else -1.0
    except ValueError:
        count = -1.0
    if not 0 <= count <= _MOST_BYTES:
        raise argparse.ArgumentTypeError(
            f"bytes, or a number with K, M or G, as in 64K, not {text}"
        )
    return int(count)


def add_path(parser: argparse.ArgumentParser, secret: bool = False) -> None:
    """
    The argument PATH.

    Args:
        secret: whether the command may need the application's secret.
    """
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default=os.environ.get("WEBSESSION_PATH"),
        help="directory of the sessions (default: WEBSESSION_PATH)",
    )
    parser.add_argument(
        "--allow-network",
        action="store_true",
        help="open it even on a network file system",
    )
    if secret:
        parser.add_argument(
            "--secret-file",
            metavar="FILE",
            action="append",
            default=[],
            help="holds the secret of a store that was made with the "
            "application's own; several: oldest first",
        )


def add_json(
    parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup,
    what: str = "",
) -> None:
    """The option ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help=f"print JSON{what}"
    )


def path_of(options: argparse.Namespace) -> str:
    """The argument PATH; raises `Refused` if there is none."""
    path: str | None = options.path
    if not path:
        raise Refused(
            "which directory? Name it after the command, or set "
            "WEBSESSION_PATH"
        )
    return path


def secrets_of(options: argparse.Namespace) -> list[bytes]:
    """The secrets in the files that were named."""
    return [secret_in(file) for file in getattr(options, "secret_file", [])]


def secret_in(path: str) -> bytes:
    """
    The secret in a file. Of text, without the newline at its end; other bytes,
    as those of a store's ``.key``, may well end with one.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content
    return content.rstrip(b"\r\n")


def inspector(options: argparse.Namespace) -> Inspector:
    """The store at PATH; makes none."""
    try:
        return Inspector(
            path_of(options),
            secrets=secrets_of(options),
            allow_network=options.allow_network,
        )
    except ValueError as error:  # of a secret
        raise Refused(str(error)) from error
