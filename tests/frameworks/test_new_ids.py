"""
Whatever an application does with a session in one request, in whatever order,
and whatever the framework: what is set after a new ID is never to be had under
the old one.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults

import bottle
import cherrypy
import flask
import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as OfDjango
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from pyramid.config import Configurator
from pyramid.response import Response

import django_site
import websession.asgi
import websession.wsgi
from support import file_of
from websession import InvalidSessionId
from websession.bottle import SessionPlugin
from websession.cherrypy import WebSessionStorage
from websession.flask import WebSessionInterface
from websession.pyramid import WebSessionFactory
from websession.web import SessionCookie

if not django_settings.configured:
    django_site.configure(None)

COOKIE = SessionCookie("sid", secure=None)
SECRET = "<secret>"


class Wsgi:
    """
    A site whose only page does what it is told.

    Attributes:
        view: what the next request does with its session.
    """

    errors = (InvalidSessionId,)

    def __init__(self, root):
        self.app = websession.wsgi.SessionMiddleware(
            self.page, root, cookie=COOKIE
        )

    def page(self, environ, start_response):
        self.view(environ["websession.session"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    def ask(self, cookie, view):
        """The cookie that the browser has after a request."""
        self.view = view
        environ = {"wsgi.input": io.BytesIO(), "REMOTE_ADDR": "127.0.0.1"}
        setup_testing_defaults(environ)
        if cookie:
            environ["HTTP_COOKIE"] = f"sid={cookie}"
        sent = []
        body = self.app(environ, lambda *answer: sent.append(answer))
        assert b"".join(body) == b"done"
        assert sent[-1][0].startswith("200")
        for name, value in sent[-1][1]:
            if name.lower() == "set-cookie":
                cookie = kept(value)
        return cookie

    def regenerate(self, session):
        session.regenerate()

    def invalidate(self, session):
        session.invalidate()

    def atomically(self, session, func):
        session.atomically(func)


def elsewhere(call):
    """Calls it in a thread, as a server does for each of its requests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def kept(header):
    """What a browser keeps of a cookie."""
    found = SimpleCookie()
    found.load(header)
    (morsel,) = found.values()
    is_cleared = str(morsel["max-age"]) == "0" or "1970" in morsel["expires"]
    return "" if is_cleared else unquote(morsel.value)


class Asgi(Wsgi):
    def __init__(self, root):
        self.app = websession.asgi.SessionMiddleware(
            self.page, root, cookie=COOKIE
        )

    async def page(self, scope, receive, send):
        self.view(scope["session"])
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b"done"})

    def ask(self, cookie, view):
        self.view = view
        headers = [(b"cookie", f"sid={cookie}".encode())] if cookie else []
        scope = {"type": "http", "method": "GET", "path": "/"}
        scope["headers"] = headers
        sent = []

        async def send(message):
            sent.append(message)

        elsewhere(lambda: asyncio.run(self.app(scope, None, send)))
        for name, value in sent[0]["headers"]:
            if name == b"set-cookie":
                cookie = kept(value.decode())
        return cookie


class Flask(Wsgi):
    def __init__(self, root):
        self.app = flask.Flask("new_ids")
        self.app.config["SESSION_COOKIE_NAME"] = "sid"
        self.app.testing = True
        self.app.session_interface = WebSessionInterface(root)

        @self.app.get("/")
        def page():
            self.view(flask.session)
            return "done"


class Pyramid(Wsgi):
    def __init__(self, root):
        config = Configurator()
        config.set_session_factory(WebSessionFactory(root, cookie=COOKIE))
        config.add_route("page", "/")
        config.add_view(self.page, route_name="page")
        self.app = config.make_wsgi_app()

    def page(self, request):
        self.view(request.session)
        return Response("done")


class Bottle(Wsgi):
    def __init__(self, root):
        self.app = bottle.Bottle()
        self.app.install(SessionPlugin(root, cookie=COOKIE))

        @self.app.get("/")
        def page(session):
            self.view(session)
            return "done"


class CherryPy(Wsgi):
    def __init__(self, root):
        class Site:
            @cherrypy.expose
            def index(page):
                self.view(cherrypy.session)
                return "done"

        self.app = cherrypy.Application(
            Site(),
            "",
            {
                "/": {
                    "tools.sessions.on": True,
                    "tools.sessions.name": "sid",
                    "tools.sessions.locking": "explicit",
                    "tools.sessions.storage_class": WebSessionStorage,
                    "tools.sessions.storage_path": root,
                    "request.throw_errors": True,
                }
            },
        )

    def invalidate(self, session):
        session.delete()

    def atomically(self, session, func):
        func(session)
        session.save()


class Django(Wsgi):
    errors = (InvalidSessionId, UpdateError)

    def __init__(self, root):
        self.root = root

    def ask(self, cookie, view):
        request = RequestFactory().get("/")
        if cookie:
            request.COOKIES["sessionid"] = cookie

        def page(request):
            view(request.session)
            return HttpResponse("done")

        with override_settings(WEBSESSION_PATH=self.root):
            try:
                answer = OfDjango(page)(request)
            except SessionInterrupted:  # which answers 400
                return cookie
        told = answer.cookies.get("sessionid")
        return cookie if told is None else told.value

    def regenerate(self, session):
        session.cycle_key()

    def invalidate(self, session):
        session.flush()


steps = st.sampled_from(
    "set delete regenerate atomically invalidate other clear".split()  # noqa: SIM905
)


@pytest.mark.parametrize(
    "kind", [Wsgi, Asgi, Flask, Pyramid, Bottle, CherryPy, Django]
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(order=st.lists(steps, max_size=7))
def test_nothing_set_after_a_new_id_is_had_under_the_old_one(kind, order):
    with tempfile.TemporaryDirectory() as place:
        check_order(Path(place, "store"), kind, order)


def check_order(root, kind, order):
    site = kind(root)
    old = site.ask("", lambda session: session.update({"first": 1}))
    new = old

    def other():
        """Another request of the browser, beside the one that is tried."""
        another = kind(root)
        elsewhere(
            lambda: another.ask(old, lambda session: session.update({"b": 1}))
        )

    def view(session):
        value = "before"
        for kind_of_step in order:
            if kind_of_step == "regenerate":
                value = SECRET
            try:
                step(site, session, kind_of_step, value, other)
            except site.errors:
                pass
            nothing_secret(root, old)

    new = site.ask(old, view)
    nothing_secret(root, old)
    seen = []
    if old != new:
        site.ask(old, lambda session: seen.append(repr(dict(session.items()))))
        assert SECRET not in seen[0]
    if "regenerate" in order and not {"invalidate", "clear"} & {*order}:
        assert new not in ("", old)


def step(site, session, kind, value, other):
    """One thing that an application does with the session of a request."""
    if kind == "set":
        session["key"] = value
    elif kind == "delete":
        session.pop("key", None)
    elif kind == "regenerate":
        site.regenerate(session)
    elif kind == "atomically":
        site.atomically(session, lambda data: data.update({"atomic": value}))
    elif kind == "invalidate":
        site.invalidate(session)
    elif kind == "clear":
        session.clear()
    else:
        other()


def nothing_secret(root, old):
    file = file_of(root, old)
    if file.exists():
        assert SECRET.encode() not in file.read_bytes()
