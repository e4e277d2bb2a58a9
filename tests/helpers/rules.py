"""The rows of `rules.tsv`, with records instead of words."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from raw_records import CREATED, KEYRING, NAME, finished
from websession import engine
from websession.record import pack_successor, pack_user, version_of

TABLE = Path(__file__).resolve().parent.parent / "rules.tsv"
LINES = TABLE.read_text().splitlines()
ROWS = [line.split("\t") for line in LINES if not line.startswith("#")][1:]


class Rule(NamedTuple):
    """A row of the table, with records instead of words."""

    live: bytes
    record: bytes
    expected: bytes | None
    limits: tuple[float, float, float]
    outcome: int


def record(text, data, sequence):
    created, stored, idle, env, *more = text.split()
    block = user = b""
    if "superseded" in more:
        block = pack_successor(CREATED + 100, NAME)
    for word in more:
        name, _, label = word.partition(":")
        if label:
            tags = [letter.encode() * 16 for letter in name]
            user = pack_user(tags, label)
    raw = KEYRING.pack(
        NAME, CREATED + float(created), CREATED + float(stored),
        env.encode() if env != "-" else b"", data, 2, block, int(idle),
        user,
    )  # fmt: skip
    return finished(raw, sequence)


def rule(row):
    _, live, new, expected, now, idle, lifetime, outcome = row
    found = record(live, b"live", 7)
    known = {
        "-": None,
        "live": version_of(found),
        "other": version_of(record(live, b"live", 6)),
    }
    return Rule(
        found,
        record(new, b"new", 0),
        known[expected],
        (CREATED + float(now), float(idle), float(lifetime)),
        getattr(engine, outcome),
    )
