"""
Requests of crawlers, to be watched.

    python crawlers.py ADAPTER PATH

Between two marks (a path that is looked for, `MARK`) come REQUESTS requests
without a cookie, which look into the session; then as many with one of our
name that names no session; then a third mark.
"""

from __future__ import annotations

import os
import sys
import tempfile

import adapters

MARK = "/websession-mark"
UNKNOWN = ["x" * 32, "a" * 40, "no ID", "", "a" * 5000] * 4
REQUESTS, WELL_FORMED = len(UNKNOWN), 8


def mark():
    os.path.exists(MARK)


def many(ask, values):
    for value in values:
        seen, cookies = ask(value)
        assert seen is None, seen
        # Nothing to keep; at most one to forget.
        assert all("=; " in each or "Max-Age=0" in each for each in cookies)


def main(name, path):
    from websession import FileStore, WebSession
    from websession.legacy import CherryPyFiles, MovingSession

    name, _, kind = name.partition("-")
    settings = {"lock": True} if kind == "lock" else {}
    sessions = FileStore(path, serializer="json", sweep_interval=0)
    # Made by somebody else, so that the directories are there.
    WebSession(sessions).newSession()
    if kind == "moving":
        sessions = MovingSession(
            sessions,
            sources=[CherryPyFiles(tempfile.mkdtemp())],
            crossCheckVars=(),
            sessionIDLength=32,
        )
    ask = adapters.ADAPTERS[name](
        sessions, lambda session: session.get("user"), **settings
    )
    many(ask, [None, *UNKNOWN])  # imports what it needs
    mark()
    many(ask, [None] * REQUESTS)
    mark()
    many(ask, UNKNOWN)
    mark()


if __name__ == "__main__":
    main(*sys.argv[1:])
