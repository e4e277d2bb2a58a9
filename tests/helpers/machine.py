"""What the machine has that runs the tests, and what it must have."""

from __future__ import annotations

import os

import pytest

NO_EXTENSION = os.environ.get("WEBSESSION_TEST_NO_EXTENSION") == "1"
IN_CI = os.environ.get("WEBSESSION_CI") == "1"


def missing(what):
    """Skips what this machine lacks; in CI nothing may be lacking."""
    if IN_CI:
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")
