"""
A framework's own tests of sessions, with ours in the place of its own.

    python run.py SUITE BACKEND ROOT

Run where the framework's tests are.

Args:
    SUITE: the module beside this one that puts our sessions in: its `swap`
        gets a function that makes a store each time, its `TESTS` are pytest's
        arguments.
    ROOT: an empty directory, for the stores.

Prints, as the last line, a JSON object: for each test its outcome, or the
line of the test that failed, and how.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys

import pytest

import websession

NEUTRAL = ["-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", "."]


class Outcomes:
    """A plugin that notes what becomes of each test."""

    def __init__(self):
        self.found = {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.partition("::")[2]
        if report.failed:
            lines = report.longreprtext.splitlines()
            failed = [line for line in lines if line.startswith(">")]
            self.found[name] = f"{failed[0]}\n{report.longrepr.reprcrash}"
        elif report.skipped or report.when == "call":
            self.found.setdefault(name, report.outcome)


def main(suite, backend, root):
    numbers = itertools.count()

    def make_store(**options):
        path = os.path.join(root, str(next(numbers)))
        return websession.FileStore(path, backend=backend, **options)

    sys.path[:0] = [os.getcwd()]
    module = importlib.import_module(suite)
    module.swap(make_store)
    outcomes = Outcomes()
    pytest.main([*NEUTRAL, *module.TESTS], plugins=[outcomes])
    print()
    print(json.dumps(outcomes.found))


if __name__ == "__main__":
    main(*sys.argv[1:])
