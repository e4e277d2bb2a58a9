"""Every adapter takes the keywords of `WebSession.for_web` beside a path."""

from __future__ import annotations

from datetime import timedelta

import cherrypy
import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from flask import Flask

import django_site
from websession import FileStore, WebSession
from websession.asgi import SessionMiddleware as ASGIMiddleware
from websession.bottle import SessionPlugin
from websession.cherrypy import WebSessionStorage
from websession.flask import WebSessionInterface
from websession.pyramid import WebSessionFactory
from websession.wsgi import SessionMiddleware as WSGIMiddleware

if not django_settings.configured:
    django_site.configure(None)


def wsgi(place, **options):
    return WSGIMiddleware(None, place, **options).manager


def asgi(place, **options):
    return ASGIMiddleware(None, place, **options).manager


def in_bottle(place, **options):
    return SessionPlugin(place, **options).manager


def in_pyramid(place, **options):
    return WebSessionFactory(place, **options).manager


def in_flask(place, **options):
    return WebSessionInterface(place, **options).manager(Flask("app"))


def in_django(place, **options):
    from websession.django import _manager

    with override_settings(WEBSESSION_PATH=place, WEBSESSION_OPTIONS=options):
        return _manager()


def in_cherrypy(place, **options):
    cherrypy.serving.request.config = {}
    return WebSessionStorage(
        storage_path=place, options=options, timeout=60
    )._manager


ADAPTERS = {
    "wsgi": wsgi, "asgi": asgi, "bottle": in_bottle, "pyramid": in_pyramid,
    "flask": in_flask, "django": in_django, "cherrypy": in_cherrypy,
}  # fmt: skip
# What has a setting of its own, and the name of that.
SETTINGS = {
    "flask": {"idle": "PERMANENT_SESSION_LIFETIME"},
    "django": {
        "idle": "SESSION_COOKIE_AGE", "lifetime": "WEBSESSION_LIFETIME"
    },
    "cherrypy": {
        "idle": "tools.sessions.timeout",
        "lifetime": "tools.sessions.lifetime",
        "serializer": "tools.sessions.serializer",
    },
}  # fmt: skip


@pytest.fixture(params=ADAPTERS)
def name(request):
    return request.param


def test_what_is_not_said_is_safe(name, root):
    sessions = ADAPTERS[name](str(root)).sessions
    assert sessions.session_id_len == 32
    assert sessions.crossCheckVars == ()
    assert sessions.expireRemove > 0
    assert sessions.sessiondict.durability == "none"


def test_what_is_said_counts(name, root):
    options = {"max_sessions": 7, "durability": "data", "max_size": 5000}
    sessions = ADAPTERS[name](str(root), **options).sessions
    assert sessions.maxSessionCount == 7
    assert sessions.sessiondict.durability == "data"


def test_limits_are_keywords_unless_the_framework_has_its_own(name, root):
    settings = SETTINGS.get(name)
    if settings is None:
        sessions = ADAPTERS[name](str(root), idle=55, lifetime=66).sessions
        assert (sessions.expireRemove, sessions.maxLifetime) == (55, 66)
        return
    for option, setting in settings.items():
        with pytest.raises(
            (TypeError, ImproperlyConfigured), match=f"{option} is .*{setting}"
        ):
            ADAPTERS[name](str(root), **{option: 55})
    assert not root.exists()


def test_a_limit_of_flasks_that_is_none_is_an_error(root):
    app = Flask("app")
    app.permanent_session_lifetime = timedelta(seconds=-1)
    interface = WebSessionInterface(root)
    with pytest.raises(ValueError, match="PERMANENT_SESSION_LIFETIME"):
        interface.manager(app)


def test_options_of_cherrypy_that_look_alike_are_told_apart(root):
    """Nor need they be hashable, as a list of secrets is not."""

    class Clock:
        def __init__(self, now):
            self.now = now

        def __call__(self):
            return self.now

        def __repr__(self):
            return "a clock"

    secret = ["sixteen bytes and more"]
    clocks = [Clock(1.7e9), Clock(1.8e9)]
    found = [
        in_cherrypy(str(root), clock=clock, secret=secret)
        for clock in (*clocks, clocks[0])
    ]
    assert found[0] is found[2] is not found[1]
    assert [each.sessions.now() for each in found[:2]] == [1.7e9, 1.8e9]


def test_what_has_its_own_takes_none(name, root):
    sessions = WebSession(FileStore(root), crossCheckVars=())
    with pytest.raises((TypeError, ImproperlyConfigured), match="its own"):
        ADAPTERS[name](sessions, max_sessions=7)
    assert ADAPTERS[name](sessions).sessions is sessions
