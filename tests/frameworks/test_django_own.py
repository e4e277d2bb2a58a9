"""Django's own tests of session engines, run with ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

from conftest import missing

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def their_tests(pytestconfig):
    """The tests in the source distribution of the Django that is installed."""
    name = f"django-{django.__version__}"
    place = pytestconfig.cache.mkdir("django")
    archive = place / f"{name}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        command += ["--no-binary", ":all:", "--dest", str(place)]
        done = subprocess.run(
            [*command, f"django=={django.__version__}"],
            capture_output=True,
            text=True,
        )
        if not archive.exists():
            missing(f"Django's source distribution: {done.stderr[-500:]}")
    tests = place / name / "tests"
    if not (tests / "sessions_tests" / "tests.py").exists():
        wanted = f"{name}/tests/sessions_tests/"
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.name.startswith(wanted) and member.isfile():
                    file = place / member.name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(opened.extractfile(member).read())
    return tests


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
