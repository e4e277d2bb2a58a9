"""
Clients that increment counters in sessions, several at once, and what is wrong
with the answers they got.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ..limits import ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HOST", "Client", "Tally", "drive", "problems"]

HOST = "127.0.0.1"
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


def _drive_one(
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


def drive(
    port: int, cookies: Sequence[str], clients: int, seconds: float
) -> list[Tally]:
    """
    Lets clients at the server of this port, for so many seconds.

    Args:
        cookies: of the sessions; each is used by several clients.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(clients) as pool:
        try:
            running = [
                pool.submit(_drive_one, port, cookies, first, stop)
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
