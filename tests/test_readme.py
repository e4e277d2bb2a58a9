"""The blocks of the README and of the guides run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

import websession
from documents import GUIDES, PLACE, README, blocks
from websession import WebSession

PAGES = {"README": README, **GUIDES}
# Whoever sells it in 200 lines has thought about each.
MOST_LINES = 200
# By `.ci/run`, and by tests/servers/test_guides.py, as are the files of
# servers.
ELSEWHERE = ("python3 -m venv ", "gunicorn ")
FILES = ("ini", "nginx", "apache")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the examples work: a directory with a store that is in use."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "shop"
    place.mkdir(0o700)
    (place / "flask_session").mkdir(0o700)  # what one moves from
    ws = WebSession.for_web(place / "sessions")
    for number in range(3):
        ws.newSession(data={"visits": number})
    return place


def shell(code):
    """Runs it with the commands of this environment, and of this source."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(websession.__file__).parents[1]),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run(page, place):
    """Runs the blocks of a page in order; the names that those in Python have
    made."""
    names = {}
    for block in blocks(page, place):
        if block.language == "python":
            exec(compile(block.code, page.name, "exec"), names)
        elif block.language == "sh":
            if not block.code.startswith(ELSEWHERE):
                shell(block.code)
        else:
            assert (block.language in FILES and block.file) or (
                block.language == "text"
            )
    return names


@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_run(name, place):
    run(PAGES[name], place)


def test_what_the_examples_of_the_readme_do(place, capsys):
    names = run(README, place)
    assert re.fullmatch(
        r"no session with ID '.{4}'\.\.\.\n", capsys.readouterr().out
    )
    check_application(names["application"])


def test_the_first_example_counts_across_restarts(place):
    first = next(
        block for block in blocks(README, place) if block.language == "python"
    )
    cookie = {}
    for visit in 1, 2, 3:
        names = {"__name__": "shop"}
        exec(first.code, names)  # as a server that is started again
        client = names["app"].test_client()
        for name, value in cookie.items():
            client.set_cookie(name, value)
        assert client.get("/").text == f"{visit} visits\n"
        cookie = {each.key: each.value for each in client._cookies.values()}


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


def test_the_readme_is_short_and_shows_first_what_one_gets():
    lines = README.read_text().splitlines()
    assert len(lines) <= MOST_LINES
    head = "\n".join(lines[:40])
    assert "flask.session" in head
    assert f"{PLACE}/sessions" in head


def test_the_readme_names_each_guide():
    text = README.read_text()
    for topic, path in GUIDES.items():
        assert f"websession/guides/{path.name})" in text, topic


def anchors(page):
    """What a link to a heading of the page may say behind the #."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize(
    "page",
    [
        "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md",
        "csrc/FORMAT.md", "tests/README.md", "tests/proof/README.md",
        "benchmarks/README.md",
        *(f"src/websession/guides/{name}.md" for name in GUIDES),
    ],
)  # fmt: skip
def test_links_lead_somewhere(page):
    page = README.parent / page
    links = re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text())
    for file, heading in links:
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not heading or heading in anchors(target), (file, heading)
    assert links or page.name != "README.md"


def test_no_two_guides_have_a_heading_in_common():
    # They are one page, in the documentation that is made of them.
    found = [each for path in GUIDES.values() for each in anchors(path)]
    assert len(found) == len(set(found))


def test_every_guide_has_a_title_and_says_what_it_is_about():
    directory = Path(websession.__file__).parent / "guides"
    assert {path.stem for path in directory.glob("*.md")} == set(GUIDES)
    for path in GUIDES.values():
        title, empty, subject = path.read_text().splitlines()[:3]
        assert title.startswith("# ")
        assert not empty
        # What `websession guide` lists it with.
        assert subject.endswith(".")
        assert "](" not in subject
