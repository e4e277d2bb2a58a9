"""Flask-Login's tests."""

from __future__ import annotations

from with_flask import swap

__all__ = ["TESTS", "swap"]

TESTS = ["tests/test_login.py"]
