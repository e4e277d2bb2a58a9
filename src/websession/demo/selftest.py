"""
Drives the demo's server with several clients at once and checks that no
update was lost: a test of the whole, on the machine where it shall run.
"""

from __future__ import annotations

import http.client
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import SessionException, WebSession
from ..cli.output import say
from .load import HOST, Client, Tally, drive, problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

__all__ = ["run"]

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0


def _delete(port: int) -> str | None:
    """Makes a session, deletes it, uses it again; what was wrong with that."""
    client = Client(port)
    try:
        cookie = client.make(0, Tally([[]]))
        deleted, _, _ = client.post("/", "action=logout", cookie)
        after, cleared, _ = client.post("/api/increment", "", cookie)
    finally:
        client.close()
    if (deleted, after) != (303, 410) or "Max-Age=0" not in (cleared or ""):
        return f"use after deletion: status {deleted}, then {after}"
    return None


def _finals(directory: str, cookies: Sequence[str]) -> list[int | None]:
    """What is in the sessions, without the server."""
    sessions = WebSession.for_web(directory)
    found: list[int | None] = []
    for cookie in cookies:
        try:
            data = sessions.retrieveSession(cookie.partition("=")[2])
            found.append(data["counter"])
        except SessionException:
            found.append(None)
    return found


@contextmanager
def _server(directory: str, workers: int, server: str) -> Iterator[int]:
    """The demo's server in a process of its own; its port."""
    command = [sys.executable, "-m", "websession", "demo", "--port", "0"]
    command += ["--workers", str(workers), "--directory", directory]
    command += ["--server", server]
    # In its own group: Ctrl-C is for us, and we stop the server.
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield _port(process)
    finally:
        _stop(process)


def _port(process: subprocess.Popen[str]) -> int:
    """The port in the text that the server prints when it is ready."""
    output = process.stdout
    if (
        output is not None
        and select.select([output], [], [], START_TIMEOUT)[0]
    ):
        for line in output:
            _, found, rest = line.partition(f"http://{HOST}:")
            if found:
                return int(rest.partition("/")[0])
    raise RuntimeError("the server did not start")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        # Its whole group: the workers too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def run(
    workers: int, clients: int, seconds: float, server: str = "gunicorn"
) -> int:
    """
    Runs the self-test and prints what came of it.

    Args:
        workers: worker processes of the server.
        clients: at least 2; half as many sessions, each used by at least two.
        seconds: how long.
        server: which one; see `server.SERVERS`.

    Returns:
        The exit status: 0 if all is well, else 1.
    """

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    # Without this the server would outlive us.
    before = signal.signal(signal.SIGTERM, end)
    directory = tempfile.mkdtemp(prefix="websession-selftest-")
    try:
        wrong = _test(directory, workers, clients, seconds, server)
    except (OSError, ValueError, RuntimeError, http.client.HTTPException) as e:
        wrong = [f"{e}" or repr(e)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)
    if wrong:
        say(f"FAILED: {'; '.join(wrong)}")
        return 1
    say(
        "OK: every acknowledged update is there, and a deleted session "
        "stayed deleted"
    )
    return 0


def _test(
    directory: str, workers: int, clients: int, seconds: float, server: str
) -> list[str]:
    setup = Tally([[] for _ in range(max(1, clients // 2))])
    with _server(directory, workers, server) as port:
        client = Client(port)
        cookies = [client.make(i, setup) for i in range(len(setup.counters))]
        backend = client.backend()
        client.close()
        began = time.monotonic()
        tallies = drive(port, cookies, clients, seconds)
        took = time.monotonic() - began
        refused = _delete(port)
    wrong = problems([setup, *tallies], _finals(directory, cookies), workers)
    if refused is not None:
        wrong.append(refused)
    requests = sum(len(own) for tally in tallies for own in tally.counters)
    pids = set().union(*(tally.pids for tally in tallies))
    say(
        f"{server}, {backend} backend: {requests} requests in {took:.1f} s, "
        f"{requests / took:.0f} requests per second"
    )
    say(
        f"{clients} clients, {len(cookies)} sessions, "
        f"{len(pids)} of {workers} workers seen"
    )
    return wrong
