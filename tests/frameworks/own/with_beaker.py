"""Beaker's tests of its middleware as applications see it."""

from __future__ import annotations

import sys
import types

from websession.web import Session, SessionCookie
from websession.wsgi import SessionMiddleware

TESTS = ["tests/test_increment.py", "tests/test_domain_setting.py"]


def swap(make_store):
    """The module that they import is one that has our middleware."""

    def make(app, auto=False, **options):
        cookie = SessionCookie(
            secure=None, domain=options.get("session.cookie_domain")
        )
        return SessionMiddleware(
            app,
            make_store(serializer="json"),
            environ_key="beaker.session",
            cookie=cookie,
        )

    # What is to be done by hand when Beaker is replaced: every change is
    # saved, and an empty session is false.
    Session.save = lambda session: None
    Session.__bool__ = lambda session: True
    beaker = types.ModuleType("beaker")
    beaker.middleware = types.ModuleType("beaker.middleware")
    beaker.middleware.SessionMiddleware = make
    sys.modules.update(
        {"beaker": beaker, "beaker.middleware": beaker.middleware}
    )
