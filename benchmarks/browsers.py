"""
Browsers that talk to WSGI and ASGI applications in this process.
"""

from __future__ import annotations

import asyncio
import io
from time import perf_counter
from wsgiref.util import setup_testing_defaults


class Wsgi:
    """
    A browser of a WSGI application, which keeps cookies.

    Args:
        app: answers ``/bare`` and ``/count``.
    """

    def __init__(self, app):
        self._app = app
        self._cookies = {}

    def _environ(self, path):
        environ = {
            "PATH_INFO": path,
            "HTTP_COOKIE": "; ".join(
                f"{name}={value}" for name, value in self._cookies.items()
            ),
            "wsgi.input": io.BytesIO(),
            "SERVER_NAME": "localhost",
            "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1",
        }
        setup_testing_defaults(environ)
        return environ

    def _ask(self, environ):
        sent = []

        def begin(status, headers, exc_info=None):
            sent[:] = status, headers
            return lambda data: None

        body = self._app(environ, begin)
        text = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return sent[0], sent[1], text

    def get(self, path):
        """The body of one answer; its cookies are kept."""
        status, headers, text = self._ask(self._environ(path))
        if not status.startswith("200"):
            raise RuntimeError(f"{path}: {status}")
        for name, value in headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        return text

    def timed(self, path, times):
        """Seconds that so many requests of the page take."""
        environ = self._environ(path)
        started = perf_counter()
        for _ in range(times):
            self._ask(dict(environ))
        return perf_counter() - started


class Asgi:
    """The same of an ASGI application."""

    def __init__(self, app):
        self._app = app
        self._cookie = b""

    def _scope(self, path):
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"cookie", self._cookie)],
            "client": ("127.0.0.1", 1234),
            "server": ("localhost", 443),
        }

    async def _ask(self, scope):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            sent.append(message)

        await self._app(scope, receive, send)
        return sent

    def get(self, path):
        """The body of one answer; its cookie is kept."""
        sent = asyncio.run(self._ask(self._scope(path)))
        if sent[0]["status"] != 200:
            raise RuntimeError(f"{path}: {sent[0]['status']}")
        for name, value in sent[0]["headers"]:
            if name.lower() == b"set-cookie":
                self._cookie = value.partition(b";")[0]
        return b"".join(message.get("body", b"") for message in sent[1:])

    def timed(self, path, times):
        """Seconds that so many requests of the page take."""
        scope = self._scope(path)

        async def ask():
            await self._ask(dict(scope))  # what a new loop has to begin with
            started = perf_counter()
            for _ in range(times):
                await self._ask(dict(scope))
            return perf_counter() - started

        return asyncio.run(ask())
