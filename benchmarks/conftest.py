"""
Benchmarks print ratios: what was measured over the floor of its group, both
from this run. Absolute times of a shared machine mean nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import statistics
import subprocess
import time
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
    """
    measure(group, name, func, floor) measures a call of `func` with
    pytest-benchmark, and before each round the floor: the ratio of a round is
    that of two measurements a millisecond apart, the figure their median.

    `floor` takes how often it shall do its system calls.
    """

    def run(group, name, func, floor, rounds=400, iterations=50):
        floors, figures = [], []

        def measure_floor():
            started = time.perf_counter()
            floor(iterations)
            floors.append((time.perf_counter() - started) / iterations)

        def measure_func():
            started = time.perf_counter()
            for _ in range(iterations):
                func()
            figures.append((time.perf_counter() - started) / iterations)

        benchmark.group, benchmark.name = group, name
        benchmark.pedantic(measure_func, setup=measure_floor, rounds=rounds)
        pairs = list(zip(figures, floors, strict=True))
        ratios = [a / b for a, b in pairs]
        beyond = [a - b for a, b in pairs]
        benchmark.extra_info.update(
            ratio=statistics.median(ratios),
            microseconds=statistics.median(figures) * 1e6,
            floor_microseconds=statistics.median(floors) * 1e6,
            beyond_microseconds=statistics.median(beyond) * 1e6,
        )

    return run


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    write = terminalreporter.write_line
    place = config.stash.get(PLACE, "/tmp")
    write("")
    write(
        f"{platform.machine()}, Linux {platform.release()}, Python "
        f"{platform.python_version()}, {file_system(place)}"
    )
    write("")
    write("| figure | over the floor | microseconds | floor | beyond it |")
    write("|---|---|---|---|---|")
    for bench in session.benchmarks:
        info = bench.extra_info
        write(
            f"| {bench.group}: {bench.name} | {info['ratio']:.2f} | "
            f"{info['microseconds']:.1f} | {info['floor_microseconds']:.1f} | "
            f"{info['beyond_microseconds']:.1f} |"
        )


PLACE = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _note_place(request, place):
    request.config.stash[PLACE] = str(place)
