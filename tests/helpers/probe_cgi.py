"""
A script that prints its headers itself: what `probe_app` does, without WSGI.
Whoever puts it on a server says in a module ``settings`` where sessions are.
"""

import os

import settings

from probe_actions import act
from websession import FileStore, WebSession, cgi
from websession.web import SessionCookie

LOCKS = {"/locked": 30.0, "/impatient": 0.1}


def main():
    path = os.environ.get("PATH_INFO", "")
    options = {}
    for prefix, timeout in LOCKS.items():
        if path.startswith(prefix):
            path = path.removeprefix(prefix)
            options = {"lock": True, "lock_timeout": timeout}
    sessions = WebSession(
        FileStore(settings.SESSIONS, serializer="json"),
        expireRemove=3600,
        crossCheckVars=("HTTP_USER_AGENT",),
        sessionIDLength=32,
    )
    cookie = SessionCookie("sid", secure=None)
    with cgi.session(sessions, cookie=cookie, **options) as session:
        body = act(session, path, os.environ.get("QUERY_STRING", ""))
        print("Content-Type: application/json")
        print(session.headers())
        print()
        print(body.decode(), end="")


main()
