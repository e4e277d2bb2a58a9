"""The modules of the package, as files."""

from __future__ import annotations

from pathlib import Path

import websession

SOURCE = Path(websession.__file__).resolve().parent


def modules():
    """The tree: file by name, less the package's own."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found
