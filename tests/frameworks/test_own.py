"""
The frameworks' own tests of sessions, run with ours.

What fails is listed in own/differences.tsv: the suite, the test, how it fails,
and why that is right. Exactly that fails, so that the list stays true.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sources import fetched

pytestmark = pytest.mark.proof

OWN = Path(__file__).parent / "own"
# Our conftest is above the tests that are written here.
PATH = os.pathsep.join([str(OWN), str(OWN.parent.parent / "helpers")])
# Of each: the distribution that has the tests, and how many there are.
# Beaker's last one with tests; the others' are of what is installed.
SUITES = {
    "flask": ("flask", None, 230),
    "flask_login": ("flask-login", None, 110),
    "starlette": ("starlette", None, 14),
    "pyramid": ("pyramid", None, 33),
    "beaker": ("beaker", "1.13.0", 10),
    "cherrypy": (None, None, 10),
}


def listed(suite):
    with open(OWN / "differences.tsv") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = list(reader)
    return {
        row["test"]: row["failure"] for row in rows if row["suite"] == suite
    }


@pytest.mark.parametrize("suite", SUITES)
def test_only_what_is_listed_fails(
    suite, backend, root, tmp_path, pytestconfig
):
    name, number, least = SUITES[suite]
    place = tmp_path
    if name is not None:
        number = number or version(name)
        place = fetched(pytestconfig.cache, name, number, "tests/")
    root.mkdir(0o700)
    command = [sys.executable, str(OWN / "run.py"), f"with_{suite}"]
    done = subprocess.run(
        [*command, backend, str(root)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": PATH, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) >= least, done.stdout + done.stderr
    failed = {
        test: outcome
        for test, outcome in found.items()
        if outcome not in ("passed", "skipped")
    }
    wanted = listed(suite)
    assert failed.keys() == wanted.keys(), done.stdout
    for test, text in wanted.items():
        assert text in failed[test]
