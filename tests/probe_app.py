"""
An application for tests under real servers: each path does one thing to the
session, below /locked with the session to itself, below /impatient too but
without waiting long for that. As a script it is for CGI.
"""

import json
import os
import signal
import sys
import time
from urllib.parse import parse_qsl

from websession import BACKEND, FileStore, WebSession
from websession.web import SessionCookie
from websession.wsgi import SessionMiddleware

LOCKS = {"/locked": 30.0, "/impatient": 0.1}


def wait(query):
    """Says that it is here, and waits until it may go on."""
    gate = query.get("gate")
    if gate is None:
        return
    with open(f"{gate}.begun", "x"):
        pass
    for _ in range(30_000):
        if os.path.exists(f"{gate}.go"):
            return
        time.sleep(0.001)
    raise TimeoutError("nobody opened the gate")


def count(session, query):
    def add(data):
        data["count"] = data.get("count", 0) + 1

    session.atomically(add)
    return session["count"]


def put(session, query):
    """Reads, waits, then sets a key."""
    value = session.get(query["key"])
    wait(query)
    session[query["key"]] = query["value"]
    return value


def add(session, query):
    """What loses updates unless the session is locked."""
    value = session.get("sum", 0)
    wait(query)
    time.sleep(0.05)
    session["sum"] = value + 1
    return value + 1


def append(session, query):
    session.setdefault("nested", {"list": []})["list"].append(query["value"])


def die(session, query):
    session["died"] = True
    os.kill(os.getpid(), signal.SIGKILL)


def log_in(session, query):
    session.regenerate()
    session["user"] = query["name"]


ACTIONS = {
    "/count": count,
    "/put": put,
    "/add": add,
    "/append": append,
    "/die": die,
    "/get": lambda session, query: dict(session),
    "/log-in": log_in,
    "/log-out": lambda session, query: session.invalidate(),
    "/nothing": lambda session, query: None,
}


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
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    if path == "/stream":
        return stream(session, start_response, query)
    value = ACTIONS[path](session, query)
    answer = {"value": value, "pid": os.getpid(), "backend": BACKEND}
    body = json.dumps(answer).encode()
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
