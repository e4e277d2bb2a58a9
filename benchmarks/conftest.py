"""
Benchmarks print ratios: what was measured over the floor of its group, both
from this run. Absolute times of a shared machine mean nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def file_system(path):
    """Type and options of the mount that a path is on."""
    found = ("?", "")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, options = line.split()[:4]
        if str(path).startswith(point):
            found = (kind, options)
    return f"{found[0]} ({found[1]})"


@pytest.fixture(scope="session")
def floor(tmp_path_factory):
    """The compiled loops of floor.c."""
    target = tmp_path_factory.mktemp("floor") / "floor.so"
    source = HERE / "floor.c"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", target, source]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(target))


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Where sessions are put: WEBSESSION_BENCH_DIR, or pytest's own place."""
    base = os.environ.get("WEBSESSION_BENCH_DIR")
    if base is None:
        return tmp_path_factory.mktemp("bench")
    path = Path(base) / f"websession-bench-{os.getpid()}"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def measure(benchmark):
    """measure(group, name, func, calls=1): func makes that many calls."""

    def run(group, name, func, calls=1):
        benchmark.group = group
        benchmark.name = name
        benchmark.extra_info["calls"] = calls
        rounds, iterations = (400, 1) if calls > 1 else (400, 50)
        benchmark.pedantic(
            func, rounds=rounds, iterations=iterations, warmup_rounds=5
        )

    return run


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    groups = {}
    for bench in session.benchmarks:
        each = bench.stats.median / bench.extra_info["calls"]
        groups.setdefault(bench.group, {})[bench.name] = each
    write = terminalreporter.write_line
    write("")
    write(f"{platform.machine()}, Linux {platform.release()}, "
          f"Python {platform.python_version()}, "
          f"{file_system(config.stash.get(PLACE, '/tmp'))}")  # fmt: skip
    write("")
    write("| figure | over the floor | microseconds |")
    write("|---|---|---|")
    for group, figures in groups.items():
        base = figures["floor"]
        for name, value in figures.items():
            write(
                f"| {group}: {name} | {value / base:.2f} | {value * 1e6:.1f} |"
            )


PLACE = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _note_place(request, place):
    request.config.stash[PLACE] = str(place)
