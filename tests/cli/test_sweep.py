"""`websession sweep`, as cron runs it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from console import handle_of, plain
from support import file_of, in_processes, session_files
from websession import FileStore, WebSession
from websession.cli import main


@pytest.fixture
def aged(make_store):
    """30 sessions of yesterday, 10 of now, one of yesterday for a month."""
    clock = [time.time() - 86400]
    ws = WebSession(
        make_store(), 0, 3600, crossCheckVars=(), clock=lambda: clock[0]
    )
    for _ in range(30):
        ws.newSession()
    ws.newSession(data="remembered", idle=30 * 86400)
    clock[0] += 86400
    for _ in range(10):
        ws.newSession()
    return ws


def test_it_needs_a_limit(console, root, store):
    said = console.complaint("sweep", root, status=2)
    assert said.startswith("after how long does a session expire?")


def test_it_goes_by_the_limits_of_the_applications(console, root, aged):
    (found,) = console.json("sweep", root)
    assert found["removed"] == 30
    assert aged.countSessions() == 11


def test_of_several_applications_the_longest_limit_counts(
    console, root, aged, make_store
):
    other = WebSession(make_store(), 0, 3 * 86_400, maxLifetime=86_400)
    other.newSession()
    assert console.json("sweep", root)[0]["removed"] == 0
    WebSession(make_store(), 0, 0).newSession()
    assert console.json("sweep", root)[0]["removed"] == 0


@pytest.mark.parametrize(
    ("words", "longest"),
    [
        (["--idle", "59m"], "after 1h"),
        (["--idle", "1s", "--lifetime", "1d"], "after 1h"),
        (["--lifetime", "7d"], "by no such limit"),
    ],
)
def test_a_shorter_limit_than_those_in_use_needs_force(
    console, root, aged, words, longest
):
    said = console.complaint("sweep", root, *words, status=2)
    assert "would end sessions that an application still takes" in said
    assert longest in said
    assert "--force" in said
    assert aged.countSessions() == 41
    console.json("sweep", root, *words, "--force")


def test_expired_sessions_go(console, root, aged):
    (found,) = console.json("sweep", root, "--idle", "2d")
    assert found["removed"] == 0
    out = console.text("sweep", root, "--idle", "1h")
    assert out.startswith("30 expired sessions removed, 11 left; 0s, ")
    assert len(session_files(root)) == 11
    (found,) = console.json("gc", root, "--lifetime", "1h", "--force")
    assert (found["removed"], found["live"]) == (1, 10)
    assert (found["complete"], found["shards"]) == (True, 256)
    assert console.text("sweep", root, "--idle", "1h", "--quiet") == ""
    assert console.json("info", root)[0]["last_sweep"]["live"] == 10


def test_one_of_each_is_not_several(console, root, make_store):
    then = time.time() - 7200
    ws = WebSession(
        make_store(), 0, 3600, crossCheckVars=(), clock=lambda: then
    )
    ws.regenerateSession(ws.newSession(), grace=60)
    damaged = file_of(root, ws.newSession())
    damaged.write_bytes(b"x" * 600)
    os.utime(damaged, (1, 1))
    _, out, _ = console.run("sweep", root)
    first, *rest = out.splitlines()
    assert first.startswith("1 expired session removed, ")
    assert rest == [
        "1 superseded session or empty file removed",
        "1 damaged file moved to .damaged/",
    ]


def test_progress_on_a_terminal(console, root, aged):
    for rich in True, False:
        status, shown = console.on_terminal(
            "sweep", root, "--idle", "1h", rich=rich
        )
        assert status == 0
        assert "sweeping" in shown
        assert "11 left" in plain(shown)


def test_a_budget_stops_it_and_the_next_run_goes_on(console, root, aged):
    short = ["--idle", "1h", "--budget", "1e-9s"]
    (found,) = console.json("sweep", root, *short)
    assert (found["complete"], found["shards"]) == (False, 1)
    out = console.text("sweep", root, *short)
    assert "stopped after 2 of 256 directories (--budget)" in out
    assert console.json("info", root)[0]["sweep_under_way"]
    rest = ["--idle", "1h", "--budget", "1m"]
    (found,) = console.json("sweep", root, *rest)
    assert (found["complete"], found["shards"]) == (True, 256)
    (last,) = console.json("info", root)
    # Of all three runs together.
    assert last["last_sweep"]["removed"] == 30
    assert last["last_sweep"]["live"] == 11
    assert not last["sweep_under_way"]
    # And from the beginning again.
    assert console.json("sweep", root, *short)[0]["shards"] == 1
    # Without a budget it is a whole one.
    (found,) = console.json("sweep", root, "--idle", "1h")
    assert (found["complete"], found["live"]) == (True, 11)


def test_damaged_files_are_told_and_kept(console, root, aged):
    damaged = aged.newSession()
    file_of(root, damaged).write_bytes(b"\xff" * 600)
    os.utime(file_of(root, damaged), (1, 1))
    status, out, err = console.run("sweep", root, "--idle", "1h", "--json")
    assert (status, json.loads(out)["damaged"]) == (3, 1)
    assert f"{handle_of(damaged)} is unreadable, moved to" in err
    assert err.count("\n") == 1
    assert len(list((root / ".damaged").iterdir())) == 1
    assert console.json("sweep", root, "--idle", "1h")[0]["damaged"] == 0


def test_one_at_a_time(console, root, aged):
    aged.cleanUp()
    hold = (root / ".websession").open("rb")
    fcntl.flock(hold, fcntl.LOCK_EX)
    said = console.complaint("sweep", root, "--idle", "1h", status=1)
    assert said == "another process is sweeping this store"
    hold.close()
    assert console.text("sweep", root, "--idle", "1h", "--quiet") == ""


def test_the_printed_line_is_refused_or_forced(console, root, aged):
    short = ["sweep", root, "--idle", "1m", "--print-cron"]
    said = console.complaint(*short, status=2)
    assert "would end sessions that an application still takes" in said
    assert "--force --quiet" in console.text(*short, "--force")
    line = console.text("sweep", root, "--print-cron").splitlines()[1]
    assert line.endswith(f"sweep {root} --quiet")


@pytest.fixture
def printed(console, tmp_path, backend):
    """What is printed for a store with an odd name; its directory."""
    root = tmp_path / "50%, 'a' \"b\" $HOME;"
    then = time.time() - 86400
    ws = WebSession(
        FileStore(root, backend=backend, sweep_interval=0),
        0,
        3600,
        crossCheckVars=(),
        clock=lambda: then,
    )
    ws.newSession()
    status, out, err = console.run(
        "sweep", root, "--idle", "14.000001d", "--print-cron"
    )
    assert (status, err) == (0, "")
    return out, root


def test_the_printed_crontab_line_runs(console, printed, backend):
    out, root = printed
    (line,) = [line for line in out.splitlines() if line.startswith("7 ")]
    assert line.startswith("7 * * * *  ")
    command = line[len("7 * * * *  ") :]
    assert "%" not in command.replace("\\%", "")
    # As cron understands it.
    command = command.replace("\\%", "%")
    *_, name, path, idle, seconds, quiet = shlex.split(command)
    assert (name, path) == ("sweep", str(root))
    assert (idle, seconds, quiet) == ("--idle", "1209600.0864", "--quiet")
    done = subprocess.run(
        ["sh", "-c", command.replace(seconds, "3600")],
        # As cron has it, and what a compiler's checks may need.
        env={
            "PATH": "/usr/bin:/bin",
            **{
                name: os.environ[name]
                for name in ("LD_PRELOAD", "ASAN_OPTIONS")
                if name in os.environ
            },
        },
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert session_files(root) == []


@pytest.mark.parametrize(
    ("name", "mode", "is_installed"),
    [
        ("websession", 0o755, True),
        ("websession", 0o644, False),
        # Of a package whose files came over FTP.
        ("__main__.py", 0o755, False),
    ],
)
def test_it_prints_how_it_was_started(
    root, aged, tmp_path, monkeypatch, capsys, name, mode, is_installed
):
    program = tmp_path / "bin" / name
    program.parent.mkdir()
    program.touch(mode)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert main(["sweep", str(root), "--print-cron"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith(f"sweep {root} --quiet")
    assert (f"  {program} sweep " in line) == is_installed
    assert (f"{sys.executable} -m websession " in line) != is_installed


def test_what_no_crontab_holds_is_refused(console, tmp_path, backend):
    root = tmp_path / "a\\b"
    FileStore(root, backend=backend)
    said = console.complaint("sweep", root, "--print-cron", status=2)
    assert said.endswith("cannot stand in a crontab")


def test_systemd_takes_what_is_printed(printed):
    out, root = printed
    _, _, rest = out.partition("# websession-sweep.service\n")
    service, _, timer = rest.partition("\n# websession-sweep.timer\n")
    assert re.fullmatch(
        r"\[Unit]\nDescription=.+\n"
        r"\[Service]\nType=oneshot\nUser=(.+)\nExecStart=(/.+)\n",
        service,
    )
    lines = dict(line.split("=", 1) for line in service.splitlines()[3:])
    assert lines["User"] == root.owner()
    # Quotes as a shell has them, if whole words are in double ones.
    words = shlex.split(lines["ExecStart"])
    text = re.sub(r"([%$])\1", r"\1", words[-4])
    assert (text, words[-5]) == (str(root), "sweep")
    assert re.search(r"(?<!\S)\"[^']*'a' \\\"b\\\"", lines["ExecStart"])
    assert timer.startswith("[Unit]\nDescription=")
    assert "\n[Timer]\nOnCalendar=hourly\n" in timer
    assert timer.endswith("[Install]\nWantedBy=timers.target\n")


@pytest.mark.proof
def test_interrupted_and_run_again(console, root, aged):
    def cut(number):
        process = console.start("sweep", root, "--idle", "1h")
        time.sleep(0.05 + 0.01 * number)
        process.send_signal([signal.SIGINT, signal.SIGKILL][number % 2])
        _, err = process.communicate(timeout=30)
        if err.startswith("Fatal Python error: init_"):
            return 130  # Python itself had not begun yet
        return process.returncode

    statuses = {cut(number) for number in range(20)}
    assert statuses <= {0, 130, -signal.SIGKILL, -signal.SIGINT}
    console.text("sweep", root, "--idle", "1h", "--quiet")
    assert len(session_files(root)) == 11
    assert console.text("verify", root).startswith("11 sessions verified, 0 ")


@pytest.mark.proof
def test_beside_live_traffic(console, root, make_store):
    """What is used stays, what is not goes; and the count is right."""
    ws = WebSession(
        make_store(), 0, 3600, crossCheckVars=(), maxSessionCount=100_000
    )
    ids = [ws.newSession(data=0) for _ in range(40)]
    now = time.time
    past = WebSession(
        make_store(),
        0,
        3600,
        crossCheckVars=(),
        maxSessionCount=100_000,
        clock=lambda: now() - 7200,
    )
    unused = [past.newSession() for _ in range(500)]
    end = time.monotonic() + 3

    def use(number):
        turns = 0
        while time.monotonic() < end:
            for session_id in ids[number::3]:
                ws.updateSession(session_id, lambda n: n + 1)
            ws.deleteSession(ws.newSession())
            turns += 1
        return turns

    def sweep():
        removed = 0
        while time.monotonic() < end - 0.5:
            (found,) = console.json("sweep", root, "--idle", "1h")
            removed += found["removed"]
        return removed

    *turns, removed = in_processes(4, lambda n: use(n) if n < 3 else sweep())
    assert removed == len(unused) == 500
    assert [ws.retrieveSession(sid) for sid in ids] == [
        turns[number % 3] for number in range(40)
    ]
    assert ws.countSessions() == len(session_files(root)) == 40
