"""Every adapter takes the keywords of `WebSession.for_web` beside a path."""

from __future__ import annotations

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
# Theirs is a setting of their own.
WITHOUT_IDLE = {"flask", "django"}


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
    if name not in WITHOUT_IDLE:
        sessions = ADAPTERS[name](str(root), idle=55, lifetime=66).sessions
        assert (sessions.expireRemove, sessions.maxLifetime) == (55, 66)
    else:
        with pytest.raises((TypeError, ImproperlyConfigured), match="idle"):
            ADAPTERS[name](str(root), idle=55)


def test_what_has_its_own_takes_none(name, root):
    sessions = WebSession(FileStore(root), crossCheckVars=())
    with pytest.raises((TypeError, ImproperlyConfigured), match="its own"):
        ADAPTERS[name](sessions, max_sessions=7)
    assert ADAPTERS[name](sessions).sessions is sessions
