"""
What commands print is harmless to a terminal, whatever names and sessions
hold, and with ``--json`` it is JSON for every reader of it.
"""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import websession
from console import handle_of, plain
from support import at, file_of, started
from websession import CorruptData, FileStore, WebSession
from websession.cli import output
from websession.exceptions import printable
from websession.legacy import CherryPyFiles, MovingSession

# What clears a terminal, in seven bits and in eight; a new line and a title;
# DEL; what turns the direction of writing; what a name that is not UTF-8
# decodes to; a form of line that only some know.
ODD = "a\x1b[2J\x9b2J\n\r\x1b]0;title\x07\x7f\u202egnp\u2066\udcff\u2028b"
SHOWN = (
    r"a\x1b[2J\x9b2J\n\r\x1b]0;title\x07\x7f\u202egnp\u2066\udcff\u2028b"
)  # fmt: skip


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_printable_is_harmless_and_says_what_was_there(text):
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_what_is_shown_of_control_characters():
    assert printable(ODD) == SHOWN
    assert printable("Zoë 日本 \\ '\"") == "Zoë 日本 \\ '\""


# Beside the functions of these two: what is a script, and what is HTTP.
WRITERS = {
    "cgi.py",
    "cli/output.py", "cli/completion.py", "demo/cgi_app.py",
}  # fmt: skip


def test_one_place_writes_to_the_terminal():
    """A second one would forget to make it printable."""
    package = Path(websession.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and re.fullmatch(
                r"print|sys\.std(out|err)\.(buffer\.)?write(lines)?",
                ast.unparse(node.func),
            ):
                found.add(str(path.relative_to(package)))
    assert found == WRITERS


def test_one_is_not_several():
    assert output.counted(1, "session") == "1 session"
    assert output.counted(0, "session") == "0 sessions"
    assert output.counted(2000, "session") == "2,000 sessions"
    assert output.counted(2, "body", "bodies") == "2 bodies"
    assert output.size(1) == "1 byte"
    assert output.size(0) == "0 bytes"
    assert output.size(999) == "999 bytes"


@pytest.mark.parametrize(
    ("total", "shown"), [(2000, "0 of 2,000"), (None, "0")]
)
def test_progress_is_shown_before_anything_is_done(
    monkeypatch, capsys, total, shown
):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(output, "_terminal", lambda stream: True)
    with output.progress("looking", total):
        assert capsys.readouterr().err == f"\rlooking: {shown}\x1b[K"


@pytest.mark.parametrize(("total", "at"), [(256, "25%"), (None, "64")])
def test_what_is_interrupted_says_how_far_it_got(capsys, total, at):
    for quiet in False, True:
        with pytest.raises(KeyboardInterrupt):
            with output.progress("sweeping", total, quiet) as show:
                show(64)
                raise KeyboardInterrupt
    assert capsys.readouterr().err == (
        f"websession: interrupted while sweeping, at {at}\n"
    )


def test_everything_that_is_written_is_printable(capsys):
    output.say(ODD)
    output.complain(ODD)
    output.pairs(ODD, {ODD: ODD})
    output.table([(ODD, 5)], [[ODD]])
    out, err = capsys.readouterr()
    assert harmless(out).count(SHOWN) == 6
    assert harmless(err) == SHOWN + "\n"


@pytest.fixture
def odd_root(tmp_path, backend):
    """A store whose name is as odd as a name can be, and long in use."""
    path = tmp_path / ODD / "sessions"
    path.parent.mkdir()
    ws = WebSession(FileStore(path, serializer="json", backend=backend))
    ws.newSession(data={"user": "ann"})
    ws.cleanUp()
    return path


def harmless(out):
    for line in out.split("\n"):
        assert line.isprintable(), ascii(line)
    return out


def strict(out):
    """JSON as RFC 8259 has it, in ASCII."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    assert out.isascii()
    harmless(out)
    return [
        json.loads(line, parse_constant=refuse)
        for line in out.split("\n")[:-1]
    ]


COMMANDS = [
    ["info"],
    ["list"],
    ["show", "HANDLE", "--data"],
    ["delete", "HANDLE", "--dry-run"],
    ["delete", "--older-than", "1h"],
    ["top", "--count", "1", "--interval", "0.1"],
    ["sweep", "--idle", "1h", "--force"],
    ["verify"],
    ["doctor"],
    ["bench", "--seconds", "1", "--sessions", "5"],
    ["migrate", "TO"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_path_with_odd_characters(console, odd_root, words):
    (listed,) = console.json("list", odd_root)
    own = {"HANDLE": listed["handle"], "TO": f"{odd_root}-2"}
    words = [own.get(word, word) for word in words]
    command = [words[0], odd_root, *words[1:]]
    harmless(console.text(*command))
    for found in strict(console.text(*command, "--json")):
        assert found.get("path", str(odd_root)) == str(odd_root)


def test_the_path_is_told_where_people_and_programs_look_for_it(
    console, odd_root
):
    shown = f"{odd_root.parent.parent}/{SHOWN}/sessions"
    assert console.text("info", odd_root).startswith(shown + "\n")
    out = harmless(console.text("info", odd_root, "--prometheus"))
    label = shown.replace("\\", r"\\").replace(r"\\n", r"\n")
    assert f'websession_sessions{{path="{label}"}} 1' in out.split("\n")


def test_the_path_comes_from_the_environment(console, odd_root):
    console.environment["WEBSESSION_PATH"] = str(odd_root)
    harmless(console.text("info"))
    os.rename(odd_root, odd_root.with_name("away"))
    said = harmless(console.complaint("info", status=1))
    assert f"{SHOWN}/sessions does not exist: give the directory" in said


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["info", f"/{ODD}"], 1, f"/{SHOWN} does not exist"),
        (["show", "ROOT", ODD], 2, "a handle, or at least"),
        (["rekey", "ROOT", "--secret-file", f"/{ODD}",
          "--secret-file", "x"], 1, "No such file"),
        (["bench", f"/{ODD}"], 2, f"/{SHOWN} is not a directory"),
        (["migrate", f"/{ODD}", "to", "--from", "shelve"], 2,
         f"can write to /{SHOWN}"),
        (["migrate", f"/{ODD}", "to"], 1, f"/{SHOWN} does not exist"),
        (["demo", "--server", "wsgiref", "--port", "0", "--directory",
          f"/dev/null/{ODD}"], 1, "Not a directory"),
    ],
)  # fmt: skip
def test_what_is_refused(console, root, ws, words, status, part):
    words = [str(root) if word == "ROOT" else word for word in words]
    found, out, err = console.run_forked(*words)
    assert (found, out) == (status, "")
    assert part in err
    assert harmless(err).count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["info", "ROOT", f"--{ODD}"],
        ["info", "ROOT", ODD],
        ["list", "ROOT", "--limit", ODD],
        ["list", "ROOT", "--older-than", ODD],
        ["list", "ROOT", "--sort", ODD],
        [ODD],
    ],
)
def test_wrong_arguments(console, root, ws, words):
    words = [str(root) if word == "ROOT" else word for word in words]
    found, out, err = console.run_forked(*words)
    assert (found, out) == (2, "")
    assert "Traceback" not in err
    assert "a\\x1b[2J" in harmless(err)


def test_help_tells_nothing_of_the_environment(console):
    console.environment["WEBSESSION_PATH"] = ODD.replace("\udcff", "")
    harmless(console.text("list", "--help"))
    _, shown = console.on_terminal("list", "--help")
    harmless(plain(shown))


def test_a_path_that_no_crontab_holds(console, odd_root):
    said = console.complaint(
        "sweep", odd_root, "--idle", "1h", "--force", "--print-cron", status=2
    )
    assert "cannot stand in a crontab" in harmless(said)


def test_names_in_the_store(console, root, ws):
    ws.newSession()
    odd = os.fsencode(ODD.replace("\u2028", ""))
    shard = next(path for path in root.iterdir() if len(path.name) == 2)
    for directory in root, shard, root / ".locks":
        directory.mkdir(exist_ok=True, mode=0o700)
        (directory / os.fsdecode(odd)).mkdir()
    out = harmless(console.text("verify", root, status=3))
    assert out.count("a\\x1b[2J\\x9b2J\\n") == 3
    *found, _ = strict(console.text("verify", root, "--json", status=3))
    assert {Path(each["path"]).name for each in found} == {os.fsdecode(odd)}


def test_a_marker_that_is_not_text(console, root, ws):
    ws.newSession()
    marker = root / ".websession"
    made = re.sub(
        rb"(?m)^made .*$", b"made \xff\x9b\x1b[2J", marker.read_bytes()
    )
    marker.write_bytes(made)
    harmless(console.text("info", root))
    strict(console.text("info", root, "--json"))


def test_the_first_file_of_a_directory_that_is_no_store(console, tmp_path):
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    (place / ODD).touch()
    (tmp_path / "source").mkdir(mode=0o700)
    FileStore(tmp_path / "source")
    said = console.complaint("migrate", tmp_path / "source", place, status=1)
    harmless(said)


NUMBERS = [float("nan"), float("inf"), float("-inf"), 1.5, 10**30]


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_data_with_odd_characters(console, root, make_store, serializer):
    ws = WebSession(make_store(serializer=serializer))
    text = ODD if serializer == "pickle" else ODD.replace("\udcff", "")
    handle = handle_of(ws.newSession(data={text: [text], "n": NUMBERS}))
    command = ["show", root, handle, "--data", "--unsafe-pickle"]
    out = harmless(console.text(*command))
    assert r"\u202egnp\u2066" in out
    (found,) = strict(console.text(*command, "--json"))
    assert found["data"] == {
        text: [text],
        "n": ["nan", "inf", "-inf", 1.5, 10**30],
    }


def test_data_of_another_serialiser(console, root, make_store):
    """JSON of others may have what RFC 8259 has not."""
    ours = websession.serializers.Serializer(
        7, "own", lambda data: data.encode(), lambda raw: raw.decode()
    )
    ws = WebSession(make_store(serializer=ours))
    handle = handle_of(ws.newSession(data='{"n": NaN, "s": "\\ud800\\u009b"}'))
    harmless(console.text("show", root, handle, "--data"))
    (found,) = strict(console.text("show", root, handle, "--data", "--json"))
    assert found["data"] == {"n": "nan", "s": "\ud800\x9b"}


class Rude:
    """What unpickling and showing it says."""

    def __reduce__(self):
        return int, (ODD,)


class Nameless:
    def __repr__(self):
        raise RuntimeError(ODD)


def endless():
    data = []
    data.append(data)
    return data


@pytest.mark.parametrize(
    "data", [Rude(), Nameless(), endless(), 10**5000],
    ids=["rude", "nameless", "endless", "huge"],
)  # fmt: skip
def test_data_that_cannot_be_shown(console, root, make_store, data):
    ws = WebSession(make_store())
    handle = handle_of(ws.newSession(data=data))
    said = console.complaint(
        "show", root, handle, "--data", "--unsafe-pickle", status=1
    )
    assert "the data cannot be shown" in harmless(said)


def test_times_beyond_all_numbers(console, root, make_store):
    """Two ages whose sum is no number any more."""
    store = make_store()
    for name in "one", "two":
        store.create(name, 1, {}, at(-1.7e308))
    harmless(console.text("info", root, "--all"))
    (found,) = strict(console.text("info", root, "--json"))
    assert found["age"]["total"] is None
    assert found["age"]["up_to"]["60"] == 0
    harmless(console.text("list", root))
    strict(console.text("list", root, "--json"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode(console, odd_root, encoding):
    console.environment["PYTHONIOENCODING"] = encoding
    found, out, err = console.run("info", odd_root, "--all")
    assert (found, err) == (0, "")
    assert "since the last store" in out


def test_a_heading_is_shown_as_it_is(console, tmp_path):
    """Not with the pictures that some words stand for."""
    root = tmp_path / ":warning:[b]"
    FileStore(root)
    _, shown = console.on_terminal("info", root)
    assert "/:warning:[b]" in shown


def test_the_demo(console, tmp_path):
    directory = tmp_path / ODD
    command = ["demo", "--port", "0", "--server", "wsgiref"]
    command += ["--workers", "1", "--directory", directory]
    with started(console.command(*command), env=console.environment) as demo:
        line = harmless(demo.stdout.readline())
    assert f"Sessions are in {tmp_path}/{SHOWN} (kept)." in line


def test_what_is_logged_is_harmless(console, odd_root, caplog):
    ws = WebSession(FileStore(odd_root, serializer="json"))
    session_id = ws.newSession()
    file_of(odd_root, session_id).write_bytes(b"damaged" * 200)
    with pytest.raises(CorruptData):
        ws.retrieveSession(session_id)
    assert f"moved to {odd_root.parent.parent}/{SHOWN}" in caplog.text
    for record in caplog.records:
        harmless(record.getMessage())


def test_what_the_decoders_of_others_say(console, tmp_path):
    source = tmp_path / ODD
    source.mkdir(mode=0o700)
    (source / f"session-{'0' * 40}").write_bytes(pickle.dumps(Rude()))
    found, out, err = console.run(
        "migrate", source, tmp_path / "to", "--from", "cherrypy",
        "--unsafe-pickle",
    )  # fmt: skip
    assert (found, out) == (
        3, "1 session: 0 copied, 0 there already, 0 gone meanwhile, "
        "1 failed\n",
    )  # fmt: skip
    assert f"in {tmp_path}/{SHOWN} cannot be decoded" in err
    assert harmless(err).count("\n") == 1


def test_what_is_said_of_sessions_that_stay_where_they_are(
    make_store, tmp_path, caplog
):
    source = tmp_path / ODD
    source.mkdir(mode=0o700)
    file = source / f"session-{'0' * 40}"
    file.write_bytes(pickle.dumps(Rude()))
    file.chmod(0o622)
    ws = MovingSession(
        make_store(), sessionIDLength=40, sources=[CherryPyFiles(source)]
    )
    with pytest.raises(CorruptData) as caught:
        ws.retrieveSession("0" * 40)
    assert f"in {tmp_path}/{SHOWN} must be a regular one" in str(caught.value)
    harmless(str(caught.value))


def test_a_secret_key_that_is_no_text(console, tmp_path):
    (tmp_path / "key").write_bytes(b"\xff" * 50)
    said = console.complaint(
        "migrate", tmp_path, tmp_path / "to", "--from", "django",
        "--secret-key-file", tmp_path / "key", status=2,
    )  # fmt: skip
    assert said == f"{tmp_path}/key is not text in UTF-8"
