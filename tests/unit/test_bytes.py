"""Only `record`, and in C ws_internal.h, know where anything is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from source_tree import modules

C_FILES = sorted((Path(__file__).parents[2] / "csrc").glob("*.c"))
# A place in what a pointer leads to: bytes are counted from one of these.
IN_C = re.compile(
    r"\b(?:header|record|raw|body|page|other)s?(?:\[\w+\])?"
    r"(?: [+-] \d+|\[(?:[3-9]|\d\d+)\])"
)

# What handles records, or may be tempted to.
ROOMS = ("admin", "disk", "stores", "engine", "keyring", "session")
# Structures of other things: of `.count`, a system call, rows of a scan.
OTHERS = {
    "disk.ledger": {"<4sIB3x32sQ", "<I"},
    "disk.plain.wipe": {"=hh4xqq24x"},
    "disk.native": {"32s64sqi4x"},
}
HANDLING = {
    name: path
    for name, path in modules().items()
    if name.split(".")[0] in ROOMS
}


def number(node):
    return isinstance(node, ast.Constant) and type(node.value) is int


def magic(tree):
    """Subscripts that name a place in a string of bytes by its number."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript):
            continue
        index = node.slice
        ends = (
            (index.lower, index.upper) if isinstance(index, ast.Slice) else ()
        )
        if any(number(end) and end.value > 3 for end in ends) or (
            number(index) and index.value > 3
        ):
            yield ast.unparse(node)


def formats(tree):
    """What a `Struct` is made of."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2]
            in {"Struct", "pack", "unpack", "unpack_from", "pack_into"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, (str, bytes))
        ):
            yield node.args[0].value


@pytest.mark.parametrize("name", sorted(HANDLING))
def test_no_place_in_a_record_is_known_elsewhere(name):
    tree = ast.parse(HANDLING[name].read_text())
    assert list(magic(tree)) == []
    assert set(formats(tree)) == OTHERS.get(name, set())


def test_the_look_finds_what_it_is_for():
    tree = ast.parse(
        "raw[41]; raw[8:16]; raw[:64]; Struct('<24xd'); struct.unpack('<d', x)"
    )
    assert len(list(magic(tree))) == 3
    assert set(formats(tree)) == {"<24xd", "<d"}


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_no_place_in_a_record_is_a_number_in_c(path):
    assert IN_C.findall(path.read_text()) == []


def test_the_look_into_c_finds_what_it_is_for():
    assert len(C_FILES) > 7
    text = "header + 16, headers[slot] + 8, record[41], slots->body + 8"
    assert len(IN_C.findall(text)) == 4
    assert IN_C.findall("header + WS_IDLE_AT, headers[slot], page[0]") == []
