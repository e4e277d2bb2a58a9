"""The layers that CONTRIBUTING draws: who may import whom."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from source_tree import modules

CONTRIBUTING = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"

# They import what they are made of, or look at what is there.
EXEMPT = {"", "_fork", "__main__"}


def layers():
    """The table: a list of layers, the highest first, of names of modules."""
    text = CONTRIBUTING.read_text()
    table = re.search(r"reads this table\):\n\n```\n(.*?)```", text, re.DOTALL)
    return [
        re.split(r" {2,}", row)[0].split() for row in table[1].splitlines()
    ]


def imports(name, path, known):
    """What a module imports of ours, anywhere in it."""
    package = (
        name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    )
    package = [part for part in package if part]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1]
        if node.module:
            base = base + node.module.split(".")
        for each in node.names:
            whole = ".".join([*base, each.name])
            yield whole if whole in known else ".".join(base)


def graph():
    known = modules()
    return {
        name: set(imports(name, path, known)) - {name}
        for name, path in known.items()
    }


def layer(name, table):
    """The number of its row; the longest name that fits counts."""
    fitting = [
        (len(each), number)
        for number, row in enumerate(table)
        for each in row
        if name == each or name.startswith(each + ".")
    ]
    return max(fitting)[1] if fitting else None


def circles(edges):
    """Sets of modules that import each other, the long way round too."""
    reach = {name: set(targets) for name, targets in edges.items()}
    changed = True
    while changed:
        changed = False
        for targets in reach.values():
            more = set().union(*(reach.get(t, ()) for t in targets)) - targets
            if more:
                targets |= more
                changed = True
    return {
        frozenset(
            each
            for each in targets
            if name in reach.get(each, ()) or each == name
        )
        for name, targets in reach.items()
        if name in targets
    }


def test_every_module_has_its_layer():
    table = layers()
    assert len(table) > 8
    names = set(modules()) - EXEMPT
    packages = {"stores"}
    assert {n for n in names if layer(n, table) is None} <= packages
    for row in table:
        for each in row:
            assert each in names


def test_imports_point_downwards():
    table = layers()
    found = {
        (name, target)
        for name, targets in graph().items()
        for target in targets
        if name not in EXEMPT
        and None not in (layer(name, table), layer(target, table))
        and layer(target, table) < layer(name, table)
    }
    assert found == set()


def test_only_commands_use_what_is_for_them():
    found = {
        name
        for name, targets in graph().items()
        if any(t.split(".")[0] == "admin" for t in targets)
    }
    assert {name.split(".")[0] for name in found} <= {"admin", "cli"}


def test_nothing_imports_in_circles():
    edges = {n: t for n, t in graph().items() if n not in EXEMPT}
    assert circles(edges) == set()


@pytest.mark.parametrize("name", sorted(EXEMPT))
def test_what_is_exempt_is_there(name):
    assert name in modules()
