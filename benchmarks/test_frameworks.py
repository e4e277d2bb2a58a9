"""
A request that counts in its session, through each framework: with our
sessions, and with those that one finds there. The floor is a request to the
same framework without any sessions.

    python -m pytest benchmarks/test_frameworks.py
"""

from __future__ import annotations

from functools import partial

import pytest

from frameworks import FRAMEWORKS

CASES = [
    (framework, name)
    for framework, (_, _, others) in FRAMEWORKS.items()
    for name in ("websession, C", "websession, Python", *others)
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:flask_session")
@pytest.mark.parametrize(("framework", "name"), CASES)
def test_request(measure, place, tmp_path, framework, name):
    bare, ours, others = FRAMEWORKS[framework]
    if name in others:
        site = others[name](tmp_path)
    else:
        backend = "c" if name == "websession, C" else "python"
        site = ours(tmp_path, backend)
    assert [site.get("/count") for _ in range(3)] == [b"1", b"2", b"3"]
    measure(
        f"request through {framework} that counts in its session",
        name,
        partial(site.timed, "/count"),
        partial(bare(tmp_path).timed, "/bare"),
    )
