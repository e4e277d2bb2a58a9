"""
An application for tests under real servers: each path does one thing to the
session, below /locked with the session to itself, below /impatient too but
without waiting long for that. As a script it is for CGI.
"""

import os
import sys
from urllib.parse import parse_qsl

from probe_actions import act, wait
from websession import FileStore, WebSession
from websession.web import SessionCookie
from websession.wsgi import SessionMiddleware

LOCKS = {"/locked": 30.0, "/impatient": 0.1}


def stream(session, start_response, query):
    session["streamed"] = True
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first\n"
    wait(query)
    yield b"last\n"


def split(path):
    """A prefix of `LOCKS`, or nothing, and the rest."""
    for prefix in LOCKS:
        if path.startswith(prefix):
            return prefix, path.removeprefix(prefix)
    return "", path


def app(environ, start_response):
    session = environ["websession.session"]
    _, path = split(environ.get("PATH_INFO", ""))
    query = environ.get("QUERY_STRING", "")
    if path == "/stream":
        return stream(session, start_response, dict(parse_qsl(query)))
    body = act(session, path, query)
    start_response(
        "200 OK",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]


def make(directory):
    sessions = WebSession(
        FileStore(directory, serializer="json"),
        expireRemove=3600,
        crossCheckVars=("HTTP_USER_AGENT",),
        sessionIDLength=32,
    )
    cookie = SessionCookie("sid", secure=None)
    apps = {"": SessionMiddleware(app, sessions, cookie=cookie)}
    for prefix, timeout in LOCKS.items():
        apps[prefix] = SessionMiddleware(
            app, sessions, cookie=cookie, lock=True, lock_timeout=timeout
        )

    def choose(environ, start_response):
        prefix, _ = split(environ.get("PATH_INFO", ""))
        return apps[prefix](environ, start_response)

    return choose


application = make(os.environ["PROBE_SESSIONS"])

if __name__ == "__main__":
    from wsgiref.handlers import CGIHandler

    sys.exit(CGIHandler().run(application))
