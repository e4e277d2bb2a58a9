"""
`probe_actions` on CherryPy. A script: python cherrypy_probe.py SOCKET
"""

import os
import sys

import cherrypy

from probe_actions import ACTIONS, act
from websession.cherrypy import WebSessionStorage


def count(session, query):
    session.acquire_lock()  # until the end of the request
    session["count"] = session.get("count", 0) + 1
    return session["count"]


def log_in(session, query):
    session.regenerate()
    session["user"] = query["name"]


def fill(session, query):
    session["large"] = "x" * (2 << 20)


actions = {
    **ACTIONS,
    "/count": count,
    "/large": fill,
    "/log-in": log_in,
    "/log-out": lambda session, query: session.delete(),
    "/get": lambda session, query: dict(session.items()),
}


class Site:
    @cherrypy.expose
    def default(self, action, **query):
        cherrypy.response.headers["Content-Type"] = "application/json"
        query = cherrypy.request.query_string
        return act(cherrypy.session, f"/{action}", query, actions)

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self):
        yield b"["
        yield str(cherrypy.session.get("count", 0)).encode()
        yield b"]"


if __name__ == "__main__":
    cherrypy.config.update(
        {
            "environment": "production",
            "server.socket_file": sys.argv[1],
            "server.thread_pool": 12,
            # Or a busy machine refuses connections.
            "server.socket_queue_size": 128,
        }
    )
    cherrypy.quickstart(
        Site(),
        "/",
        {
            "/": {
                "tools.sessions.on": True,
                "tools.sessions.name": "sid",
                "tools.sessions.persistent": False,
                "tools.sessions.locking": "explicit",
                "tools.sessions.storage_class": WebSessionStorage,
                "tools.sessions.storage_path": os.environ["PROBE_SESSIONS"],
            }
        },
    )
