"""
Benchmarks print ratios: what was measured over the floor of its group, both
from this run. Absolute times of a shared machine mean nothing.

Environment: WEBSESSION_BENCH_DIR, where to put sessions (default: pytest's
temporary directory); WEBSESSION_BENCH_SCALE, a factor for numbers of sessions
and for time spent (default 1; 0.01 for a test of the benchmarks themselves).
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest

from floor import compiled
from report import describe, figures, markdown

SCALE = float(os.environ.get("WEBSESSION_BENCH_SCALE", "1"))
# Seconds of one figure, and of one round of it.
BUDGET, ROUND = 1.0, 0.004


def scaled(count, least=10):
    """A number of sessions, by WEBSESSION_BENCH_SCALE."""
    return max(least, int(count * SCALE))


def pytest_configure(config):
    # Its tables show rounds, of as many calls as fit into ROUND.
    config.option.benchmark_quiet = True


@pytest.fixture(scope="session")
def floor_library(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("floor") / "floor.so")


@pytest.fixture(scope="session")
def place(tmp_path_factory, request):
    """Where sessions are put."""
    base = os.environ.get("WEBSESSION_BENCH_DIR")
    if base is None:
        path = tmp_path_factory.mktemp("bench")
    else:
        path = Path(base) / f"websession-bench-{os.getpid()}"
        path.mkdir(mode=0o700)
    request.config.stash[PLACE] = str(path)
    return path


@pytest.fixture
def measure(benchmark):
    """
    measure(group, name, call, floor): both return the seconds that as many
    calls took as they are told. Before each round of the one comes one of the
    other: the ratio of a round is that of two measurements milliseconds
    apart, the figure their median.
    """

    def run(group, name, call, floor, least_rounds=15):
        floors, costs = [], []
        call(1)
        once = max(call(1), 1e-9)
        times = max(1, min(200, int(ROUND / once)))
        rounds = int(min(300, BUDGET * SCALE / (1.25 * once * times)))

        def measure_call():
            costs.append(call(times) / times)

        benchmark.group, benchmark.name = group, name
        benchmark.pedantic(
            measure_call,
            setup=lambda: floors.append(floor(times) / times),
            rounds=max(least_rounds if SCALE >= 1 else 3, rounds),
        )
        pairs = list(zip(costs, floors, strict=True))
        benchmark.extra_info.update(
            ratio=statistics.median(a / b for a, b in pairs),
            microseconds=statistics.median(costs) * 1e6,
            mean=statistics.fmean(costs) * 1e6,
            floor=statistics.median(floors) * 1e6,
            beyond=statistics.median(a - b for a, b in pairs) * 1e6,
            best=min(costs) / min(floors),
        )

    return run


@pytest.fixture
def note(benchmark):
    """
    note(group, name, func, **values): runs `func` once, which returns a dict
    of what it measured by itself.
    """

    def run(group, name, func):
        benchmark.group, benchmark.name = group, name
        found = benchmark.pedantic(func, rounds=1)
        benchmark.extra_info.update(found)

    return run


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["websession"] = describe(config.stash.get(PLACE, "/tmp"))


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    found = figures(
        {"group": each.group, "name": each.name, "extra_info": each.extra_info}
        for each in session.benchmarks
    )
    terminalreporter.write_line("")
    terminalreporter.write_line(describe(config.stash.get(PLACE, "/tmp")))
    for line in markdown(found):
        terminalreporter.write_line(line)


PLACE = pytest.StashKey[str]()
