"""A client of the probe applications, as a browser would be."""

from __future__ import annotations

import contextlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

from support import file_of, until

GATES = itertools.count()


class Client:
    """A browser: one cookie, any number of requests at once."""

    def __init__(self, site, cookie=None, agent="test"):
        self.site = site
        self.cookie = cookie
        self.agent = agent

    @property
    def session_id(self):
        return self.cookie.partition("=")[2]

    @property
    def file(self):
        return file_of(self.site.sessions, self.session_id)

    def another(self):
        return Client(self.site, self.cookie)

    def send(self, path, **headers):
        """A connection with a request on it."""
        headers.setdefault("Host", "localhost")
        headers.setdefault("User-Agent", self.agent)
        if self.cookie is not None:
            headers.setdefault("Cookie", self.cookie)
        connection = self.site.connect()
        connection.request("GET", self.site.base + path, headers=headers)
        return connection

    def get(self, path, **headers):
        with contextlib.closing(self.send(path, **headers)) as connection:
            answer = connection.getresponse()
            answer.body = answer.read()
        answer.set_cookie = answer.getheader("Set-Cookie")
        answer.is_cleared = "Max-Age=0" in (answer.set_cookie or "")
        if answer.set_cookie is not None and "Cookie" not in headers:
            pair = answer.set_cookie.partition(";")[0]
            self.cookie = None if answer.is_cleared else pair
        return answer

    @contextlib.contextmanager
    def held(self, path):
        """
        A request that waits in the application; call what this yields, and it
        goes on and its answer is returned.
        """
        gate = self.site.sessions.parent / f"gate-{next(GATES)}"
        gate.parent.mkdir(mode=0o700, exist_ok=True)
        sign = "&" if "?" in path else "?"
        begun, go = gate.with_suffix(".begun"), gate.with_suffix(".go")
        connection = self.another().send(f"{path}{sign}gate={gate}")

        def finish():
            go.touch()
            return connection.getresponse()

        with contextlib.closing(connection):
            until(begun.exists)
            yield finish

    def value(self, path, **headers):
        answer = self.get(path, **headers)
        assert answer.status == 200, answer.status
        return json.loads(answer.body)["value"]


def at_once(count, func):
    with ThreadPoolExecutor(count) as pool:
        return [
            each.result() for each in [pool.submit(func) for _ in range(count)]
        ]
