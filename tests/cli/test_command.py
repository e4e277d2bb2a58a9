"""What all commands have in common: paths, refusals, help, ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from console import handle_of, plain
from machine import missing
from support import Child, until
from websession import (
    FileStore,
    SessionStoreError,
    UnsafeStore,
    WebSession,
    __version__,
)
from websession.cli import COMMANDS as COMMANDS_BY_MODULE
from websession.cli import main, parser

COMMANDS = [
    "info", "stats", "list", "show", "delete", "top", "sweep", "gc", "verify",
    "doctor", "migrate", "rekey", "bench", "demo", "guide", "completion",
    "man",
]  # fmt: skip
# Which `show` needs too.
LISTING = "websession.cli.listing"
# With what else they need, for a store at PATH.
ON_A_STORE = [
    ["info", "PATH"],
    ["list", "PATH"],
    ["show", "PATH", "00"],
    ["delete", "PATH", "--older-than", "1d"],
    ["top", "PATH", "--count", "1"],
    ["sweep", "PATH", "--idle", "1d"],
    ["verify", "PATH"],
    ["rekey", "PATH", "--secret-file", "SECRET", "--secret-file", "SECRET"],
    ["migrate", "PATH", "TARGET"],
]


@pytest.fixture(params=ON_A_STORE, ids=lambda words: words[0])
def command(request, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s" * 40)
    words = {"SECRET": secret, "TARGET": tmp_path / "target"}

    def fill(path):
        words["PATH"] = path
        return [words.get(word, word) for word in request.param]

    return fill


def test_there_is_help_for_each(console):
    whole = console.text("--help")
    for name in COMMANDS:
        assert name in whole
        out = console.text(name, "--help")
        assert out.startswith("usage: websession ")
        assert "\nexit status:\n  0    done\n" in out
        assert ("\nexamples:\n  websession " in out) == (name != "completion")
        assert max(map(len, out.splitlines())) < 100
    assert "exit status:" in whole
    assert console.text("--version") == f"websession {__version__}\n"


def test_a_path_that_is_missing(console, command, tmp_path):
    said = console.complaint(*command(tmp_path / "not-there"), status=1)
    assert f"{tmp_path}/not-there does not exist: give the directory" in said


def test_a_path_that_is_a_file(console, command, tmp_path):
    (tmp_path / "file").write_text("")
    said = console.complaint(*command(tmp_path / "file"), status=1)
    assert f"{tmp_path}/file is not a directory" in said


def test_a_directory_that_is_no_store(console, command, tmp_path):
    path = tmp_path / "empty"
    path.mkdir(mode=0o700)
    said = console.complaint(*command(path), status=1)
    assert f"{path} is not a session store" in said
    assert list(path.iterdir()) == []
    assert not (tmp_path / "target").exists()


def test_a_store_of_a_newer_format(console, command, root, ws):
    marker = root / ".websession"
    marker.write_bytes(marker.read_bytes().replace(b"store 2", b"store 7"))
    said = console.complaint(*command(root), status=1)
    assert said.endswith("format 7, this version of websession reads format "
                         "2: upgrade websession")  # fmt: skip


def give(root, user):
    for path in [root, *root.rglob("*")]:
        os.chown(path, user, user)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.root
@root_only
def test_a_store_of_another_user(console, command, root, ws):
    give(root, 65534)
    assert console.complaint(*command(root), status=1) == (
        f"{root} belongs to user nobody, this process runs as root: run it "
        "as nobody (runuser -u nobody -- ...), or use another directory"
    )
    give(root, 54321)
    assert console.complaint(*command(root), status=1) == (
        f"{root} belongs to user 54321, this process runs as root: run it "
        "as user 54321, or use another directory"
    )


@pytest.mark.root
@root_only
def test_what_belongs_to_root_and_is_looked_at_by_others(
    tmp_path, root, ws, capsys
):
    for above in [tmp_path, *tmp_path.parents]:
        above.chmod(above.stat().st_mode | 0o055)
    below = tmp_path / "closed" / "in"
    below.mkdir(parents=True)
    below.parent.chmod(0o700)
    mixed = tmp_path / "mixed"
    FileStore(mixed)
    os.chown(mixed, 65534, 65534)

    # Nobody else may be allowed to read the code.
    parser()

    def look():
        os.setuid(65534)
        for path in (root, below, mixed):
            assert main(["list", str(path)]) == 1
        assert main(["bench", str(root)]) == 1
        with pytest.raises(UnsafeStore) as refused:
            FileStore(root)
        return [*capsys.readouterr().err.splitlines(), str(refused.value)]

    who = "belongs to user root, this process runs as nobody"
    as_root = "run it as root (sudo -u root ...)"
    assert Child(look).result() == [
        f"websession: {root} {who}: {as_root}",
        f"websession: {below.parent} {who}: {as_root}",
        f"websession: {mixed}/.websession {who}, who owns the directory: let "
        f"root give all of it to nobody (chown -R nobody {mixed})",
        f"websession: {root} {who}: {as_root}",
        f"{root} {who}: {as_root}, or let root give it to nobody "
        f"(chown -R nobody {root})",
    ]


def test_a_copy_without_the_marker(console, command, root, ws, tmp_path):
    ws.newSession()
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    subprocess.run(f"cp -r {root}/* {copy}", shell=True, check=True)
    (shard,) = os.listdir(copy)
    expected = (
        f"{copy} has directories of sessions ({shard}), but no .websession: "
        "copy that and .key from where they come from (* leaves them out, "
        "cp -a of the directory does not)"
    )
    assert console.complaint(*command(copy), status=1) == expected
    with pytest.raises(SessionStoreError) as refused:
        FileStore(copy)
    assert str(refused.value) == expected
    assert os.listdir(copy) == [shard]


def test_a_copy_without_the_key(console, root, ws, tmp_path):
    handle = handle_of(ws.newSession())
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    shown = console.text("show", copy, handle, "--data", "--unsafe-pickle")
    assert "_created_" in shown
    (copy / ".key").unlink()
    assert console.complaint(
        "show", copy, handle, "--data", "--unsafe-pickle", status=1
    ) == (
        f"{copy}/.key is missing: copy it from a backup, or from where the "
        "sessions come from; without it no session can be read"
    )


def test_a_store_that_others_can_read(console, command, root, ws):
    root.chmod(0o755)
    said = console.complaint(*command(root), status=1)
    assert said.endswith(f"chmod 700 {root}")


def test_without_a_path_it_is_that_of_the_environment(console, root, ws):
    assert console.complaint("info", status=2) == (
        "which directory? Name it after the command, or set WEBSESSION_PATH"
    )
    console.environment["WEBSESSION_PATH"] = str(root)
    session_id = ws.newSession()
    assert console.json("info")[0]["sessions"] == 1
    (listed,) = console.json("list")
    assert listed["handle"] == handle_of(session_id)
    assert console.json("show", listed["handle"]) == [listed]
    assert console.json("delete", listed["handle"])[0]["deleted"] == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nothing"],
        ["list", "--limit", "0"],
        ["list", "--older-than", "soon"],
        ["list", "--older-than", "-1"],
        ["list", "--larger-than", "-1"],
        ["list", "--sort", "name"],
        ["sweep", "--idle", "nan"],
        ["migrate", "one"],
        ["completion", "fish-and-chips"],
    ],
)
def test_wrong_arguments(console, words):
    status, out, err = console.run(*words)
    assert (status, out) == (2, "")
    assert err.startswith("usage: websession")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        (["lst"], "websession: ", "; did you mean list?"),
        (["delte", "PATH"], "websession: ", "; did you mean delete?"),
        (["--versoin"], "websession: ",
         "unrecognized arguments: --versoin; did you mean --version?"),
        ([], "websession: ", "which command? websession --help lists them"),
        (["list", "PATH", "--jsn"], "websession list: ",
         "unrecognized arguments: --jsn; did you mean --json?"),
        (["sweep", "PATH", "--idel=3d", "more"], "websession sweep: ",
         "unrecognized arguments: --idel=3d more; did you mean --idle?"),
        (["list", "PATH", "--sort", "sise"], "websession list: ",
         "; did you mean size?"),
        (["list", "PATH", "list"], "websession list: ",
         "unrecognized arguments: list"),
        (["list", "PATH", "--xyzzy"], "websession list: ",
         "unrecognized arguments: --xyzzy"),
    ],
)  # fmt: skip
def test_what_may_have_been_meant(console, words, start, end):
    status, out, err = console.run_forked(*words)
    assert (status, out) == (2, "")
    said = err.splitlines()[-1]
    assert said.startswith(start + "error: ")
    assert said.endswith(end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("500", 500), ("7B", 7), ("64K", 65_536), ("64k", 65_536),
        ("64KiB", 65_536), ("1.5kb", 1536), ("1M", 1_048_576),
        ("2G", 2_147_483_648), ("1T", 1_099_511_627_776),
    ],
)  # fmt: skip
def test_sizes_are_given_with_units(text, expected):
    options = parser().parse_args(["list", "PATH", "--larger-than", text])
    assert options.larger_than == expected


@pytest.mark.parametrize(
    "text", ["", "K", "-1", "64i", "64KK", "1..2k", "64 K", "1e9", "9999T"]
)
def test_what_is_no_size(console, text):
    _, out, err = console.run_forked("list", "PATH", f"--larger-than={text}")
    assert out == ""
    assert err.endswith(
        "argument --larger-than: bytes, or a number with K, M or G, as in "
        f"64K, not {text}\n"
    )


def test_a_reader_that_has_enough(console, root, ws):
    for _ in range(3000):
        ws.newSession()
    words = " ".join(console.command("list", root))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} | head -n 2"],
        capture_output=True,
        text=True,
        env=console.environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


def test_ctrl_c_ends_it_without_a_traceback(console, root, ws):
    process = console.start("bench", root, "--seconds", "30")
    until(lambda: any(root.glob(".bench-*/*/.websession")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert re.fullmatch(
        r"websession: interrupted while (making sessions|measuring), "
        r"at \d+%\n",
        err,
    )
    assert list(root.glob(".bench-*")) == []


def test_ctrl_c_while_a_command_is_imported(monkeypatch, capsys):
    def interrupted(*names):
        raise KeyboardInterrupt

    monkeypatch.setattr("websession.cli.import_module", interrupted)
    assert main(["verify", "PATH"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_completion(console, shell):
    script = console.text("completion", shell)
    for name in COMMANDS:
        assert name in script
    assert ("remove expired sessions" in script) == (shell in ("zsh", "fish"))
    assert "Removes the sessions that have expired" not in script


def test_completion_in_a_shell(console, tmp_path):
    bash = shutil.which("bash")
    script = tmp_path / "completion"
    script.write_text(console.text("completion", "bash"))

    def completed(*words):
        code = (
            f". {script}; COMP_WORDS=({' '.join(words)}); "
            f"COMP_CWORD={len(words) - 1}; "
            "$(complete -p websession | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
            'echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            [bash, "-c", code], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert completed("websession", "ver") == ["verify"]
    assert completed("websession", "verify", "--rep") == ["--repair"]


def test_completion_in_fish(console, tmp_path):
    fish = shutil.which("fish") or missing("fish")
    script = tmp_path / "completion"
    script.write_text(console.text("completion", "fish"))

    def completed(line):
        code = f"source {script}; complete -C '{line}'"
        done = subprocess.run(
            [fish, "--no-config", "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    assert completed("websession ver") == [
        "verify\tlook at every file for what is wrong"
    ]
    (option,) = completed("websession sweep --print")
    assert option.startswith("--print-cron\tprint lines for crontab")
    assert completed("websession verify --print") == []
    (tmp_path / "sessions").mkdir()
    (tmp_path / "session.prom").touch()
    (found,) = completed(f"websession list {tmp_path}/sess")
    assert found.startswith(f"{tmp_path}/sessions/")


def parsers(whole):
    for action in whole._actions:
        if action.dest == "==SUPPRESS==" and action.choices:
            yield from action.choices.values()


def test_the_man_page_has_all_of_the_help(console):
    lines = console.text("man").splitlines()
    page = "\n".join(lines)
    found = list(parsers(parser()))
    assert len(found) == len(COMMANDS)
    for each in found:
        for action in each._actions:
            for option in action.option_strings:
                shown = option.replace("-", r"\-")
                assert rf"\fB{shown}\fR" in page or option in ("-h", "--help")
    for section in (
        "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "ENVIRONMENT",
        "EXIT STATUS",
    ):  # fmt: skip
        assert f".SH {section}" in lines
    at = lines.index(".SS sweep (gc)")
    assert lines[at + 1].startswith("Removes the sessions that have expired")
    assert (
        r"websession sweep \(ti/sessions \-\-idle 1d \-\-print\-cron" in lines
    )
    assert r"\fB\-\-sort\fR \fIcreated|stored|size\fR" in lines
    assert r"program\(aqs" in page


def test_the_man_page_is_roff(console):
    head, *lines = console.text("man").splitlines()
    assert head == (
        f'.TH WEBSESSION 1 "" "websession {__version__}" "User Commands"'
    )
    for line in lines:
        assert line.isascii()
        assert re.match(r"\.(SH|SS|TP|PP|RS|RE|nf|fi)\b|[^.']", line), line
        assert not re.search(r"\\(?!e|-|\(aq|\(ga|\(ti|\(ha|&|f[BIR])", line)
        assert not re.search(r"(?<!\\)-", line)
    assert lines.count(".nf") == lines.count(".fi")


def test_groff_sets_the_man_page(console):
    groff = shutil.which("groff") or missing("groff")
    done = subprocess.run(
        [groff, "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-ww", "-"],
        input=console.text("man"),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    words = " ".join(done.stdout.split())
    assert "NAME websession - Server-side web sessions, one file" in words
    # Whole lines, as they are to be typed.
    assert "websession info ~/sessions --json | jq .room.files" in done.stdout
    assert "--idle TIME remove what was not stored for so long" in words


def test_the_man_page_is_set_on_a_terminal(console):
    for name in "groff", "nroff":
        shutil.which(name) or missing(name)
    console.environment |= {"PAGER": "cat", "GROFF_NO_SGR": "1"}
    status, shown = console.on_terminal("man")
    assert status == 0
    text = re.sub(".\b", "", plain(shown))
    assert "\nNAME\n       websession - Server-side web sessions" in text
    assert ".SH" not in text
    assert len(text.splitlines()[0]) == 100


@pytest.mark.parametrize(
    ("there", "shown"),
    [
        ({"mandoc": "echo set: $1"}, "set: -Owidth=100"),
        ({"nroff": "exit 1", "mandoc": "echo set"}, "set"),
        ({}, "websession: there is no nroff (of groff) and no mandoc"),
    ],
)
def test_what_sets_the_man_page(console, tmp_path, there, shown):
    for name, script in there.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    console.environment |= {"PATH": str(tmp_path), "PAGER": "/bin/cat"}
    status, found = console.on_terminal("man")
    assert status == (0 if there else 2)
    assert found.startswith(shown)


def test_completion_without_shtab(console):
    code = (
        "import sys; sys.modules['shtab'] = None; "
        "from websession.cli import main; sys.exit(main())"
    )
    older = code.replace("] = None", "].SUPPORTED_SHELLS = ['bash']")
    older = older.replace("import sys", "import shtab, sys")
    for start, shell in (code, "bash"), (older, "fish"):
        done = subprocess.run(
            [sys.executable, "-c", start, "completion", shell],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "websession: completion needs shtab: pip install "
            "'websession[cli]'\n"
        )


@pytest.mark.parametrize("name", ["", *COMMANDS_BY_MODULE])
def test_help_in_colour_says_the_same(console, name):
    words = [*COMMANDS_BY_MODULE.get(name, [])[:1], "--help"]
    piped = console.text(*words)
    assert "\x1b" not in piped
    status, shown = console.on_terminal(*words)
    assert (status, plain(shown)) == (0, piped)
    assert "\x1b[1musage:\x1b[0m" in shown
    assert "\x1b[1mexit status:\x1b[0m" in shown


def test_help_without_colour(console):
    piped = console.text("list", "--help")
    _, shown = console.on_terminal("list", "--help", rich=False)
    assert shown.replace("\r\n", "\n") == piped
    _, _, err = console.run_forked("list", "--nothing")
    assert "\x1b" not in err
    _, shown = console.on_terminal("list", "--nothing")
    assert shown.replace("\r\n", "\n") == err
    console.environment["NO_COLOR"] = "1"
    _, shown = console.on_terminal("list", "--help")
    assert shown.replace("\r\n", "\n") == piped


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_gets_colour_and_a_pipe_none(console, root, ws, rich):
    ws.newSession()
    piped = console.text("list", root)
    assert "\x1b" not in piped
    status, shown = console.on_terminal("list", root, "--wide", rich=rich)
    assert (status, plain(shown)) == (0, piped)
    assert ("\x1b[1mhandle" in shown) == rich
    _, shown = console.on_terminal("doctor", root, rich=rich)
    assert ("\x1b[32mok" in shown) == rich
    console.environment["NO_COLOR"] = "1"
    _, shown = console.on_terminal("doctor", root, rich=rich)
    assert "\x1b[3" not in shown


@pytest.mark.parametrize("rich", [True, False])
def test_progress_is_shown_to_a_terminal_only(console, root, ws, rich):
    ws.newSession()
    _, shown = console.on_terminal("verify", root, rich=rich)
    assert "verifying" in shown
    assert "1 session verified, 0 findings, 0 repaired" in plain(shown)
    assert console.text("verify", root) == (
        "1 session verified, 0 findings, 0 repaired\n"
    )


def test_progress_of_what_is_made_to_be_measured(console, root, ws):
    _, shown = console.on_terminal(
        "bench", root, "--seconds", "1", "--sessions", "9", rich=False
    )
    assert "making sessions: 0 of " in shown


def test_no_id_is_ever_printed(console, root, make_store):
    ws = WebSession(make_store(), crossCheckVars=())
    ids = [ws.newSession(data={"n": number}) for number in range(5)]
    printed = console.text("list", root) + console.text("info", root)
    for session_id in ids:
        shown = console.text(
            "show", root, handle_of(session_id), "--data",
            "--unsafe-pickle",
        )  # fmt: skip
        printed += shown
    printed += console.text("delete", root, "--older-than", "0s")
    assert [sid for sid in ids if sid in printed] == []
    assert FileStore(root).path  # it opens still


def test_only_the_module_of_a_command_is_imported():
    for module, names in COMMANDS_BY_MODULE.items():
        for name in names:
            code = (
                "import sys; from websession.cli import parser; "
                f"whole = parser({name!r}); "
                "found = [name for action in whole._actions "
                "if action.choices for name in action.choices]; "
                "print(*found); print(*(name for name in sys.modules "
                "if name.startswith('websession.cli.')))"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True
            )
            found, modules = done.stdout.splitlines()
            assert tuple(found.split()) == names
            assert f"websession.cli.{module}" in modules.split()
            commands = {
                f"websession.cli.{each}" for each in COMMANDS_BY_MODULE
            }
            others = commands & set(modules.split())
            assert others <= {f"websession.cli.{module}", LISTING}


@pytest.mark.parametrize("name", COMMANDS_BY_MODULE)
def test_the_examples_in_the_help_are_understood(name, capsys):
    for command in COMMANDS_BY_MODULE[name]:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        _, _, rest = capsys.readouterr().out.partition("\nexamples:\n")
        for line in rest.partition("\n\n")[0].splitlines():
            program, *words = re.split(r" [|>]", line)[0].split()
            assert program == "websession"
            assert callable(parser().parse_args(words).run)
