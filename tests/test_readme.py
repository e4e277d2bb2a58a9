"""The Python blocks of the README run, in order, as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_python_blocks_run(blocks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert re.fullmatch(
        r"no session with ID '.{4}'\.\.\.\n", capsys.readouterr().out
    )
    assert len(blocks) >= 10
    check_application(names["application"])


def check_application(application):
    """The WSGI example counts, and does not adopt what it did not issue."""
    environ = {}
    setup_testing_defaults(environ)
    sent = []

    def start_response(status, headers):
        sent.append(dict(headers))

    assert application(environ, start_response) == [b"1 visits"]
    cookie = sent[0]["Set-Cookie"].partition(";")[0]
    environ["HTTP_COOKIE"] = cookie
    assert application(environ, start_response) == [b"2 visits"]
    assert "Set-Cookie" not in sent[1]
    environ["HTTP_COOKIE"] = "sid=" + "x" * 32
    assert application(environ, start_response) == [b"1 visits"]
    assert "x" * 32 not in sent[2]["Set-Cookie"]


def test_success_and_failure_stand_before_line_30():
    head = "\n".join(README.read_text().splitlines()[:30])
    assert "retrieveSession" in head
    assert "except InvalidSessionId" in head


@pytest.mark.parametrize(
    "page",
    [
        "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md",
        "csrc/FORMAT.md", "tests/README.md", "tests/proof/README.md",
        "benchmarks/README.md",
    ],
)  # fmt: skip
def test_links_to_files_lead_somewhere(page):
    page = README.parent / page
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    for target in links:
        assert (page.parent / target).exists(), target
    assert links or page.name != "README.md"
