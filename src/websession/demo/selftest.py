"""
Drives the demo's server with several clients at once and checks that no
update was lost: a test of the whole, on the machine where it shall run.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from .. import FileStore, SessionException, WebSession
from .app import ID_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

__all__ = ["Tally", "problems", "run"]

HOST = "127.0.0.1"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0
REQUEST_TIMEOUT = 30.0
MOST_REQUESTS = 50_000
# A client that keeps its connection keeps its worker: change it now and then.
REQUESTS_PER_CONNECTION = 20


@dataclass
class Tally:
    """
    What one client saw.

    Attributes:
        counters: by session, the counters in the order of the answers.
        pids: the workers that answered.
        errors: whatever went wrong, in words, without any ID.
    """

    counters: list[list[int]]
    pids: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


def problems(
    tallies: Sequence[Tally], finals: Sequence[int | None], workers: int
) -> list[str]:
    """
    What is wrong with the answers, in words; empty: nothing.

    Args:
        tallies: one for each client.
        finals: by session, the counter in the end; None: it is not there.
        workers: how many worker processes there are.
    """
    found = [error for tally in tallies for error in tally.errors]
    for number, final in enumerate(finals, start=1):
        answers = [tally.counters[number - 1] for tally in tallies]
        if any(
            later <= earlier
            for own in answers
            for earlier, later in pairwise(own)
        ):
            found.append(f"session {number} went back for one client")
        acknowledged = [each for own in answers for each in own]
        if final != len(acknowledged):
            found.append(
                f"session {number} holds {final} after "
                f"{len(acknowledged)} acknowledged increments"
            )
        if len(set(acknowledged)) != len(acknowledged):
            found.append(f"session {number} gave two clients one counter")
    pids = set().union(*(tally.pids for tally in tallies))
    if len(pids) < min(2, workers):
        found.append(f"{len(pids)} of {workers} workers answered")
    return found


class Client:
    """An HTTP client that goes to a new connection every few requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self._requests = 0

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            HOST, self._port, timeout=REQUEST_TIMEOUT
        )

    def post(
        self, path: str, body: str, cookie: str | None = None
    ) -> tuple[int, str | None, bytes]:
        """Status, Set-Cookie and body of the answer."""
        if self._requests >= REQUESTS_PER_CONNECTION:
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        self._requests += 1
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if cookie is not None:
            headers["Cookie"] = cookie
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("Set-Cookie"), answer.read()

    def backend(self) -> str:
        """What the server's Python uses, which may not be ours."""
        self.close()
        self._connection = self._connect()
        self._connection.request("GET", "/api/state")
        return str(
            json.loads(self._connection.getresponse().read())["backend"]
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._requests = None, 0

    def increment(self, cookie: str, number: int, tally: Tally) -> None:
        """Increments the session of this number and notes the answer."""
        status, _, body = self.post("/api/increment", "", cookie)
        if status != 200:
            raise ValueError(f"session {number + 1}: status {status}")
        answer = json.loads(body)
        tally.counters[number].append(answer["counter"])
        tally.pids.add(answer["pid"])

    def make(self, number: int, tally: Tally) -> str:
        """A new session, counted once; its cookie."""
        status, header, body = self.post("/api/increment", "")
        cookie = (header or "").partition(";")[0]
        if status != 200 or len(cookie.partition("=")[2]) != ID_LENGTH:
            raise ValueError(f"no new session: status {status}")
        tally.counters[number].append(json.loads(body)["counter"])
        return cookie


def _drive(
    port: int, cookies: Sequence[str], first: int, stop: threading.Event
) -> Tally:
    """One client: increments its two sessions in turn."""
    tally = Tally([[] for _ in cookies])
    client = Client(port)
    try:
        for count in range(MOST_REQUESTS):
            if stop.is_set():
                break
            number = (first + count % 2) % len(cookies)
            client.increment(cookies[number], number, tally)
    except Exception as error:
        tally.errors.append(f"a client failed: {error!r}")
    finally:
        client.close()
    return tally


def _drive_all(
    port: int, cookies: Sequence[str], clients: int, seconds: float
) -> list[Tally]:
    stop = threading.Event()
    with ThreadPoolExecutor(clients) as pool:
        try:
            running = [
                pool.submit(_drive, port, cookies, first, stop)
                for first in range(clients)
            ]
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not all(
                each.done() for each in running
            ):
                stop.wait(0.05)
        finally:
            stop.set()
    return [each.result() for each in running]


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
    sessions = WebSession(
        FileStore(directory, serializer="json"), sessionIDLength=ID_LENGTH
    )
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
        sys.stdout.write(f"FAILED: {'; '.join(wrong)}\n")
        return 1
    sys.stdout.write(
        "OK: every acknowledged update is there, and a deleted session "
        "stayed deleted\n"
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
        tallies = _drive_all(port, cookies, clients, seconds)
        took = time.monotonic() - began
        refused = _delete(port)
    wrong = problems([setup, *tallies], _finals(directory, cookies), workers)
    if refused is not None:
        wrong.append(refused)
    requests = sum(len(own) for tally in tallies for own in tally.counters)
    pids = set().union(*(tally.pids for tally in tallies))
    sys.stdout.write(
        f"{server}, {backend} backend: {requests} requests in {took:.1f} s, "
        f"{requests / took:.0f} requests per second\n"
        f"{clients} clients, {len(cookies)} sessions, "
        f"{len(pids)} of {workers} workers seen\n"
    )
    return wrong
