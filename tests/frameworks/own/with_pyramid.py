"""
Pyramid's tests of every session that it has. Those of just one kind are of
the format of its cookie.
"""

from __future__ import annotations

import time
import unittest

from websession import WebSession
from websession.pyramid import WebSessionFactory
from websession.web import SessionCookie

TESTS = [__file__]


def swap(make_store):
    """The tests, for a factory of ours; they become tests of this module."""
    from tests.test_session import SharedCookieSessionTests

    class TestAnySession(SharedCookieSessionTests, unittest.TestCase):
        def setUp(self):
            self.store = make_store(serializer="json")

        def _sessions(self, now=time.time, timeout=1200):
            return WebSession(
                self.store,
                expireRemove=float(timeout or 0),
                crossCheckVars=(),
                sessionIDLength=32,
                clock=now,
            )

        def _serialize(self, value):
            """What is in the cookie of a session of that time and data."""
            if value == "abc":
                return value
            accessed, _, data = value
            return self._sessions(lambda: accessed).newSession(data=data)

        def _makeOne(
            self, request, timeout=1200, cookie_name="session", **options
        ):
            session_id = request.cookies.get("session", "")
            request.environ["HTTP_COOKIE"] = f"session={session_id}"
            given = {
                name: value
                for name, value in options.items()
                if name in ("path", "domain")
            }
            cookie = SessionCookie(
                cookie_name, secure=options.get("secure", False), **given
            )
            sessions = self._sessions(timeout=timeout)
            return WebSessionFactory(sessions, cookie=cookie)(request)

    globals()["TestAnySession"] = TestAnySession
