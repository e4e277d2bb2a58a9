"""File systems of a test's own."""

from __future__ import annotations

import contextlib
import subprocess

from machine import missing


@contextlib.contextmanager
def mounted(path, options, kind="tmpfs", source="none"):
    path.mkdir()
    command = ["mount", "-t", kind, "-o", options, str(source), str(path)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        missing(f"the right to mount {kind} (root), and a kernel that has it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
