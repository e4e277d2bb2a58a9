"""Starlette's tests of its `SessionMiddleware`."""

from __future__ import annotations

import re

import starlette.middleware.sessions

from websession import WebSession
from websession.asgi import AsyncSession, SessionMiddleware
from websession.web import SessionCookie, SessionManager

# Ours is for asyncio.
TESTS = ["tests/middleware/test_session.py", "-k", "not trio"]


def swap(make_store):
    module = starlette.middleware.sessions

    class Middleware(SessionMiddleware):
        """Ours, with the arguments of theirs."""

        def __init__(
            self, app, secret_key, session_cookie="session",
            max_age=14 * 86400, path="/", same_site="lax", https_only=False,
            domain=None, partitioned=False,
        ):  # fmt: skip
            cookie = _Cookie(
                session_cookie,
                secure=https_only,
                same_site=same_site.capitalize(),
                path=path,
                domain=domain,
                max_age=max_age,
                **({"partitioned": True} if partitioned else {}),
            )
            super().__init__(app, sessions(), cookie=cookie)

    def sessions():
        return WebSession(
            make_store(serializer="json"),
            crossCheckVars=(),
            sessionIDLength=32,
        )

    def session_with(contents):
        manager = SessionManager(sessions())
        sid = manager.sessions.newSession(data=contents)
        header = f"{manager.cookie.name(False)}={sid}"
        return AsyncSession(manager, {"HTTP_COOKIE": header})

    module.SessionMiddleware, module.Session = Middleware, session_with


class _Cookie(SessionCookie):
    """
    Writes the attributes as they do: they have no case (RFC 6265, 5.2), but
    the tests look for theirs.
    """

    def _tail(self, https):
        return re.sub(
            r"; (\w+)", lambda found: found[0].lower(), super()._tail(https)
        )
