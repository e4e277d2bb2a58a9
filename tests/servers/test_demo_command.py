"""The command `websession demo`: its servers, its self-test, its ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from machine import missing
from support import session_files, started, stop, until
from websession.cli import main
from websession.demo import cgi_app, load, on_uwsgi, on_wsgiref, selftest
from websession.demo import server as demo_server


def need(server):
    if server == "gunicorn" and find_spec("gunicorn") is None:
        missing("gunicorn")
    if server == "uwsgi" and not on_uwsgi.available():
        missing("uWSGI")


@pytest.fixture
def gunicorn():
    need("gunicorn")


@pytest.fixture(params=["gunicorn", "uwsgi", "wsgiref"])
def server(request):
    need(request.param)
    return request.param


@pytest.fixture
def environment(tmp_path):
    """For a process that has a temporary directory of its own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return {**os.environ, "TMPDIR": str(temporary)}


def command_line(*arguments):
    return [sys.executable, "-m", "websession", *arguments]


def test_a_server_is_missed_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gunicorn", None)
    monkeypatch.setattr(on_uwsgi, "_program", lambda: None)
    for options in [], ["--selftest"]:
        assert main(["demo", *options]) == 2
        assert capsys.readouterr() == (
            "",
            "websession demo needs gunicorn: pip install 'websession[demo]'\n",
        )
        assert main(["demo", "--server", "uwsgi", *options]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("websession demo --server uwsgi needs uWSGI: ")
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--port", "x"],
        ["--clients", "1"],
        ["--workers", "0"],
        ["--server", "x"],
    ],
)
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(["demo", *arguments] if arguments else [])
    assert error.value.code == 2
    assert "usage: websession" in capsys.readouterr().err


def test_a_port_in_use_is_said_and_what_to_do(gunicorn, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 1
    assert capsys.readouterr() == (
        "",
        f"websession demo: cannot listen on 127.0.0.1, port {port}: "
        "Address already in use; choose another port with --port, or any "
        "free one: --port 0\n",
    )


@contextlib.contextmanager
def neighbours():
    """A port in use, and the next one, which is free."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                socket.create_server(("127.0.0.1", port + 1)).close()
                yield port, port + 1
                return


def test_the_next_free_port_is_taken_and_said(monkeypatch, capsys):
    with neighbours() as (taken, free):
        monkeypatch.setattr(demo_server, "PORTS", [taken, free])
        monkeypatch.setattr(on_wsgiref, "run", run_nothing)
        assert main(["demo", "--server", "wsgiref"]) == 0
    assert (
        f"\nOpen http://127.0.0.1:{free}/ (port {taken} is in use) and try:\n"
    ) in capsys.readouterr().out


def run_nothing(app, directory, listener, workers, announce):
    announce()
    return 0


def test_no_free_port_is_said(monkeypatch, capsys):
    with neighbours() as (taken, _):
        monkeypatch.setattr(demo_server, "PORTS", [taken])
        assert main(["demo", "--server", "wsgiref"]) == 1
    assert capsys.readouterr().err.startswith(
        f"websession demo: cannot listen on 127.0.0.1, ports {taken} to "
        f"{taken}: Address already in use; choose another port"
    )


def test_what_is_printed_at_the_start_fits_a_terminal(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(on_wsgiref, "run", run_nothing)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert main(["demo", "--server", "wsgiref", "--port", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "and its notes are back" in " ".join(lines)
    assert max(map(len, lines)) < 80


def test_an_unsafe_directory_is_said_in_one_sentence(
    gunicorn, tmp_path, capsys
):
    tmp_path.chmod(0o755)
    arguments = ["demo", "--port", "0", "--directory", str(tmp_path)]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"websession demo: {tmp_path} is open to other")
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kept", [True, False])
def test_the_server_stops_cleanly(server, environment, tmp_path, number, kept):
    command = command_line(
        "demo", "--port", "0", "--workers", "2", "--server", server
    )
    if kept:
        command += ["--directory", str(tmp_path / "kept")]
    with started(command, env=environment) as running:
        directory = Path(running.stdout.readline().split()[3])
        assert directory.stat().st_mode & 0o777 == 0o700
        text = running.stdout.readline() + running.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", text)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/api/increment", b"")
        worker = json.loads(connection.getresponse().read())["pid"]
        connection.close()
        assert len(session_files(directory)) == 1
        assert stop(running, number) == 0
    until(lambda: not Path(f"/proc/{worker}/cmdline").exists())
    assert directory.exists() is kept
    assert os.listdir(environment["TMPDIR"]) == []


# The self-test


def test_the_selftest_succeeds(server, backend, environment):
    environment["WEBSESSION_BACKEND"] = backend
    command = command_line(
        "demo",
        "--selftest",
        "--seconds",
        "1",
        "--clients",
        "4",
        "--server",
        server,
    )
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, last = done.stdout.splitlines()
    # The system's uWSGI may have another Python, without compiled modules.
    assert first.startswith(f"{server}, {backend} backend: ") or (
        server == "uwsgi" and first.startswith("uwsgi, python backend: ")
    )
    assert first.endswith(" requests per second")
    assert second.startswith("4 clients, 2 sessions, ")
    assert last.startswith("OK: ")
    assert "Traceback" not in done.stderr
    assert os.listdir(environment["TMPDIR"]) == []


def test_the_selftest_fails_when_the_end_is_wrong(
    gunicorn, monkeypatch, capsys
):
    finals = selftest._finals

    def one_less(*arguments):
        return [value - 1 for value in finals(*arguments)]

    monkeypatch.setattr(selftest, "_finals", one_less)
    assert selftest.run(workers=2, clients=2, seconds=0.5) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    # On a busy machine one of the two workers may have had nothing to do.
    assert re.fullmatch(
        r"FAILED: session 1 holds \d+ after \d+ acknowledged increments"
        r"(; 1 of 2 workers answered)?",
        last,
    )


def test_the_selftest_fails_when_the_server_does_not_start(
    monkeypatch, capfd, environment
):
    monkeypatch.setattr(tempfile, "tempdir", environment["TMPDIR"])
    # A worker count that the command refuses.
    assert selftest.run(workers=0, clients=2, seconds=1) == 1
    out, _ = capfd.readouterr()
    assert out == "FAILED: the server did not start\n"
    assert os.listdir(environment["TMPDIR"]) == []


def tallies(*counters, pids=(1, 2), errors=()):
    return [
        load.Tally([list(own)], set(pids), list(errors)) for own in counters
    ]


@pytest.mark.parametrize(
    ("seen", "final", "expected"),
    [
        (tallies([1, 3], [2, 4]), 4, []),
        (
            tallies([1, 3], [2, 4]),
            3,
            ["session 1 holds 3 after 4 acknowledged increments"],
        ),
        (
            tallies([1, 3], [2, 4]),
            None,
            ["session 1 holds None after 4 acknowledged increments"],
        ),
        (
            tallies([1, 2], [2, 3]),
            4,
            ["session 1 gave two clients one counter"],
        ),
        (tallies([1, 4, 3], [2]), 4, ["session 1 went back for one client"]),
        (tallies([1], [2], pids=[7]), 2, ["1 of 4 workers answered"]),
        (tallies([1], errors=["status 500"]), 1, ["status 500"]),
    ],
)
def test_what_the_selftest_finds(seen, final, expected):
    assert load.problems(seen, [final], workers=4) == expected


# As a CGI script without a server


def test_the_script_says_that_it_is_none_for_a_terminal(monkeypatch, capsys):
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    assert cgi_app.main() == 2
    assert capsys.readouterr().err == (
        "This is a CGI script: let a web server run it.\n"
    )


def test_the_script_says_that_its_directory_is_unsafe(
    monkeypatch, tmp_path, capsys
):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("WEBSESSION_DEMO_DIRECTORY", str(tmp_path))
    assert cgi_app.main() == 1
    out, err = capsys.readouterr()
    assert out.startswith("Status: 503 Service Unavailable\r\n")
    assert str(tmp_path) not in out
    assert f"{tmp_path} is open to other users" in err


def test_a_uwsgi_that_does_not_start_is_shown(
    monkeypatch, capfd, tmp_path, environment
):
    program = tmp_path / "uwsgi"
    program.write_text("#!/bin/sh\necho no such option >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(on_uwsgi, "_program", lambda: str(program))
    monkeypatch.setattr(tempfile, "tempdir", environment["TMPDIR"])
    assert main(["demo", "--server", "uwsgi", "--port", "0"]) == 1
    assert capfd.readouterr().err == (
        "no such option\nuWSGI ended with status 1\n"
    )


def test_a_killed_worker_of_wsgiref_is_replaced(environment):
    command = command_line(
        "demo", "--port", "0", "--workers", "1", "--server", "wsgiref"
    )
    with started(command, env=environment) as running:
        lines = [running.stdout.readline() for _ in range(3)]
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", lines[2])[1])
        workers = []
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            with contextlib.closing(connection):
                connection.request("GET", "/api/state")
                answer = json.loads(connection.getresponse().read())
            workers.append(answer["pid"])
            os.kill(workers[-1], signal.SIGKILL)
            until(lambda: not is_running(workers[-1]))
        assert len(set(workers)) == 2


def test_a_stop_while_a_worker_is_made_is_not_lost():
    code = (
        "import os, signal, socket\n"
        "from websession.demo import on_wsgiref\n"
        "stop = lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "os.register_at_fork(before=stop)\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(on_wsgiref.run(None, '', listener, 1, lambda: None))\n"
        "listener.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0\n", "")


def is_running(pid):
    return Path(f"/proc/{pid}/cmdline").exists()
