"""Compiles shim.c, and says how a process gets to run with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from machine import missing

__all__ = ["shimmed"]

SOURCE = Path(__file__).with_name("shim.c")


def shimmed(directory, **changes):
    """
    The environment of a process to which something happens: `ahead`, `short`,
    `slow` or `no_statx`, as shim.c has them.
    """
    if "LD_PRELOAD" in os.environ:
        pytest.skip("something else is preloaded")
    if shutil.which("cc") is None:
        missing("a C compiler")
    library = Path(directory, "shim.so")
    if not library.exists():
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE]
        subprocess.run([*command, "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    for name, value in changes.items():
        environment[f"SHIM_{name.upper()}"] = str(value)
    return environment
