"""The README and the guides: their blocks of code, and where these run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import websession
from websession.guides import TOPICS

README = Path(__file__).parents[2] / "README.md"
GUIDES = {
    topic: Path(websession.__file__).parent / "guides" / f"{topic}.md"
    for topic in TOPICS
}
# Where the examples have their sessions, and their code.
PLACE = "/var/lib/shop"
CODE = "/srv/shop"
SOCKETS = "/run/shop"

_BLOCK = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w*)\n"
    r"(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """What stands between two fences, and the name of its file or None."""

    file: str | None
    language: str
    code: str


def blocks(page, place):
    """The blocks of a page, with `place` for where the examples have theirs,
    and ``code`` and ``run`` beside it."""
    text = page.read_text().replace(PLACE, str(place))
    text = text.replace(CODE, str(place.parent / "code"))
    text = text.replace(SOCKETS, str(place.parent / "run"))
    return [Block(**each.groupdict()) for each in _BLOCK.finditer(text)]


def named(page, file, place):
    """The one block that is a file of this name."""
    (block,) = (each for each in blocks(page, place) if each.file == file)
    return block.code
