"""Fixtures for the commands."""

from __future__ import annotations

import pytest

from console import Console
from websession import WebSession


@pytest.fixture
def console(backend):
    return Console(backend)


@pytest.fixture
def ws(make_store):
    """Sessions on the real clock, as the commands see them."""
    return WebSession(make_store(), crossCheckVars=("REMOTE_ADDR",))
