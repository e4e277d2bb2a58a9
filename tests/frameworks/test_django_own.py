"""Django's own tests of session engines, run with ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import django
import pytest

from sources import fetched

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def their_tests(pytestconfig):
    """The tests in the source distribution of the Django that is installed."""
    source = fetched(
        pytestconfig.cache,
        "django",
        django.__version__,
        "tests/sessions_tests/",
    )
    return source / "tests"


def test_djangos_own_tests_pass(their_tests, root, backend):
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "django_own.py"),
            *map(str, (their_tests, root, backend)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == {}
    assert found["skipped"] == []
    # 47 in Django 4.2, 75 with the asynchronous ones of 5.2.
    assert found["run"] >= 45
