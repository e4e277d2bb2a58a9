"""
What the probe applications can do to a session, whatever web server or
framework brings it: each path is one action.
"""

import json
import os
import signal
import time
from urllib.parse import parse_qsl

from websession import BACKEND


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


def double(session, query):
    """Grows until it is too large."""
    session["large"] = session.get("large", query["seed"] * 64) * 2


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
    "/double": double,
    "/die": die,
    "/get": lambda session, query: dict(session),
    "/log-in": log_in,
    "/log-out": lambda session, query: session.invalidate(),
    "/nothing": lambda session, query: None,
}


def act(session, path, query, actions=ACTIONS):
    """
    Does what a path says.

    Args:
        session: a `Session`, or what has the same methods.
        path: a key of `actions`.
        query: the query string.

    Returns:
        The body of the answer, which is JSON.
    """
    value = actions[path](session, dict(parse_qsl(query)))
    answer = {"value": value, "pid": os.getpid(), "backend": BACKEND}
    return json.dumps(answer).encode()
