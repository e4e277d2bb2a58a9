"""
What the help of each command has besides its arguments: examples, and what
the exit status says.
"""

from __future__ import annotations

import argparse
import os
import textwrap
from typing import ClassVar

from .output import is_terminal

__all__ = ["Manual", "add_manual", "help_formatter"]

_EXAMPLES = {
    "info": """\
  websession info ~/sessions
  websession info ~/sessions --all
  websession info ~/sessions --json | jq .room.files
  websession info ~/sessions --prometheus > sessions.prom""",
    "list": """\
  websession list ~/sessions --sort size --reverse --limit 20
  websession list ~/sessions --older-than 30d --json""",
    "show": """\
  websession show ~/sessions 3f9c0b7a --data""",
    "delete": """\
  websession delete ~/sessions 3f9c0b7a 81d22e4f
  websession delete ~/sessions --older-than 90d --dry-run""",
    "top": """\
  websession top ~/sessions
  websession top ~/sessions --interval 10 --json >> sessions.log""",
    "sweep": """\
  websession sweep ~/sessions --idle 1d --lifetime 30d
  websession sweep ~/sessions --idle 1d --budget 30s --quiet
  websession sweep ~/sessions --idle 1d --print-cron""",
    "verify": """\
  websession verify ~/sessions
  websession verify ~/sessions --repair""",
    "doctor": """\
  websession doctor ~/sessions""",
    "migrate": """\
  websession migrate old new --shards 4096
  websession migrate old new --serializer json --unsafe-pickle
  websession migrate /tmp new --from django --secret-key-file key""",
    "rekey": """\
  websession rekey ~/sessions --secret-file old --secret-file new""",
    "bench": """\
  websession bench ~/sessions --seconds 20""",
    "demo": """\
  websession demo --port 8080
  websession demo --selftest --server wsgiref""",
    "guide": """\
  websession guide
  websession guide deployment""",
    "man": """\
  websession man
  websession man > ~/.local/share/man/man1/websession.1""",
}
_STATUS = """\
exit status:
  0    done
  1    it failed; a sentence on standard error says why
  2    wrong arguments, or something must be installed first
  3    done, and something was found that is not as it should be
  130  interrupted; what was done is done, and it can be run again"""


class Manual(argparse.HelpFormatter):
    """Wraps paragraphs, and leaves lines that are indented as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts: list[str] = []
        for line in text.splitlines():
            if not line or line.startswith(" "):
                parts.append(line)
            else:
                parts.extend(textwrap.wrap(line, width))
        return "\n".join(indent + part for part in parts)


def help_formatter() -> type[argparse.HelpFormatter]:
    """
    `Manual`; in colour where `rich-argparse` is installed, a terminal listens
    and ``NO_COLOR`` is not set.
    """
    if not is_terminal() or os.environ.get("NO_COLOR"):
        return Manual
    try:
        from rich.text import Text
        from rich_argparse import RichHelpFormatter
    except ImportError:
        return Manual

    class Coloured(RichHelpFormatter, Manual):
        group_name_formatter = str  # which leaves them as they are
        help_markup = text_markup = False
        styles: ClassVar = {
            **RichHelpFormatter.styles,
            "argparse.groups": "bold",
        }
        highlights: ClassVar = [
            *RichHelpFormatter.highlights,
            r"(?m)^(?P<groups>[a-z ]+:)$",
        ]

        def _rich_fill_text(
            self, text: Text, width: int, indent: Text
        ) -> Text:
            filled = Text(self._fill_text(text.plain, width, indent.plain))
            for pattern in self.highlights:
                filled.highlight_regex(pattern, style_prefix="argparse.")
            return filled + "\n\n"

    return Coloured


def add_manual(name: str, parser: argparse.ArgumentParser) -> None:
    """
    Adds to the help of a command.

    Args:
        name: its first one; of no command: of all of them together.
    """
    parts = [parser.epilog.rstrip()] if parser.epilog else []
    if name in _EXAMPLES:
        parts.append("examples:\n" + _EXAMPLES[name])
    parser.epilog = "\n\n".join([*parts, _STATUS])
    parser.formatter_class = Manual
