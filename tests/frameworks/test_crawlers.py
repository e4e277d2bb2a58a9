"""
Whoever comes without a session costs nothing: no file, no system call that
looks for one; and an ID that was made up costs one look.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapters import ADAPTERS
from crawlers import MARK, WELL_FORMED
from machine import missing

HERE = Path(__file__).parent
# For the session, and for the store, which may have been made anew.
_LOOK = re.compile(
    r'openat\([^"]*"[^"]*", O_RDONLY[^)]*\) = -1 ENOENT'
    r'|newfstatat\([^"]*"[^"]*/\.websession"'
)


@pytest.mark.parametrize(
    "adapter", [*ADAPTERS, "wsgi-lock", "asgi-lock", "wsgi-moving"]
)
def test_nothing_is_made_for_crawlers(root, tmp_path, backend, adapter):
    if shutil.which("strace") is None:
        missing("strace")
    log = tmp_path / "log"
    done = subprocess.run(
        [
            *("strace", "-f", "-o", log, "-s", "4096", "-e", "trace=%file"),
            *(sys.executable, "-W", "ignore", HERE / "crawlers.py"),
            *(adapter, root),
        ],
        env={**os.environ, "WEBSESSION_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    _, none, unknown, _ = log.read_text().split(f'"{MARK}"')
    touched = [line for line in none.splitlines() if str(root) in line]
    assert touched == []
    looked = [line for line in unknown.splitlines() if str(root) in line]
    assert [line for line in looked if not _LOOK.search(line)] == []
    # Only what could be an ID is looked for.
    looks = 2 if adapter == "wsgi-moving" else 1
    assert len(looked) == 2 * looks * WELL_FORMED
    made = {path.name for path in root.rglob("*") if path.is_file()}
    # The marker, the key, .gitignore, the limits, somebody's session.
    assert len(made) == 5, made
