"""
What the WSGI middleware costs: a request through it beyond the same request
to the bare application, which is the floor here. JSON, 250 bytes.

    python -m pytest benchmarks/test_web.py
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from wsgiref.util import setup_testing_defaults

import pytest

from websession import FileStore, WebSession
from websession.wsgi import ENVIRON_KEY, SessionMiddleware

DATA = {"user": "ann", "roles": ["reader"], "text": "x" * 190}


def bare(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x"]


def reading(environ, start_response):
    environ[ENVIRON_KEY].get("user")
    return bare(environ, start_response)


def changing(environ, start_response):
    session = environ[ENVIRON_KEY]
    session["n"] = session.get("n", 0) + 1
    return bare(environ, start_response)


def begin(status, headers, exc_info=None):
    return None


@pytest.fixture(params=["c", "python"])
def sessions(request, place):
    store = FileStore(
        place / f"web-{request.param}",
        backend=request.param,
        serializer="json",
        sweep_interval=0,
    )
    ws = WebSession.for_web(store, idle=1800)
    ws.name = request.param
    return ws


@pytest.mark.parametrize(
    ("what", "app"),
    [
        ("does not use the session", bare),
        ("reads the session", reading),
        ("loads, changes and commits", changing),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_request(measure, sessions, what, app):
    session_id = sessions.newSession(data=DATA)
    environ = {
        "HTTP_COOKIE": f"theme=dark; __Host-websession={session_id}",
        "wsgi.url_scheme": "https",
    }
    setup_testing_defaults(environ)
    middleware = SessionMiddleware(app, sessions)

    def timed(app, times):
        started = perf_counter()
        for _ in range(times):
            app(dict(environ), begin)
        return perf_counter() - started

    measure(
        "request through SessionMiddleware that " + what,
        sessions.name,
        partial(timed, middleware),
        partial(timed, bare),
    )
