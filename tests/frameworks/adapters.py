"""
Every adapter in this process, behind one function: what a view sees of the
session, and what a browser is told.
"""

from __future__ import annotations

import asyncio
import io
from typing import NamedTuple
from wsgiref.util import setup_testing_defaults

import django_site

NAME = "sid"


class Answer(NamedTuple):
    """What the view returned, and the values of Set-Cookie."""

    seen: object
    cookies: list[str]


def _cookie(**settings):
    from websession.web import SessionCookie

    return SessionCookie(NAME, **{"secure": None, **settings})


def _environ(value, scheme="https"):
    environ = {"wsgi.input": io.BytesIO(), "wsgi.url_scheme": scheme}
    environ["REMOTE_ADDR"] = "127.0.0.1"
    if value is not None:
        environ["HTTP_COOKIE"] = f"{NAME}={value}"
    setup_testing_defaults(environ)
    return environ


def _on_wsgi(make):
    """Of what makes a WSGI application of a view without arguments."""

    def adapter(sessions, view, **settings):
        seen = []
        app = make(
            sessions, lambda session: seen.append(view(session)), settings
        )

        def ask(value=None):
            sent = []

            def start_response(status, headers, exc_info=None):
                assert status.startswith("200"), status
                sent.extend(headers)
                return sent.append

            for _ in app(_environ(value), start_response):
                pass
            return Answer(seen.pop(), _of(sent))

        return ask

    return adapter


def _of(headers):
    return [value for name, value in headers if name.lower() == "set-cookie"]


@_on_wsgi
def wsgi(sessions, view, settings):
    from websession.wsgi import SessionMiddleware

    def app(environ, start_response):
        view(environ["websession.session"])
        start_response("200 OK", [])
        return [b""]

    lock = settings.pop("lock", False)
    cookie = _cookie(**settings)
    return SessionMiddleware(app, sessions, lock=lock, cookie=cookie)


@_on_wsgi
def flask(sessions, view, settings):
    import flask

    from websession.flask import WebSessionInterface

    app = flask.Flask("adapters")
    app.session_interface = WebSessionInterface(sessions)
    app.config["SESSION_COOKIE_NAME"] = NAME
    app.config.update(settings.pop("other", {}), PROPAGATE_EXCEPTIONS=True)
    for name, value in settings.items():
        app.config[f"SESSION_COOKIE_{name.upper()}"] = value

    @app.get("/")
    def root():
        view(flask.session)
        return ""

    return app


@_on_wsgi
def pyramid(sessions, view, settings):
    from pyramid.config import Configurator
    from pyramid.response import Response

    from websession.pyramid import WebSessionFactory

    def root(request):
        view(request.session)
        return Response("")

    with Configurator() as config:
        config.set_session_factory(
            WebSessionFactory(sessions, cookie=_cookie(**settings))
        )
        config.add_route("root", "/")
        config.add_view(root, route_name="root")
        return config.make_wsgi_app()


@_on_wsgi
def bottle(sessions, view, settings):
    import bottle

    from websession.bottle import SessionPlugin

    app = bottle.Bottle()
    app.config["catchall"] = False
    app.install(SessionPlugin(sessions, cookie=_cookie(**settings)))

    @app.get("/")
    def root(session):
        view(session)

    return app


@_on_wsgi
def cherrypy(sessions, view, settings):
    import cherrypy

    from websession.cherrypy import WebSessionStorage

    class Site:
        @cherrypy.expose
        def index(self):
            view(cherrypy.session)
            return ""

    cherrypy.config.update({"log.screen": False})
    return cherrypy.Application(
        Site(),
        "",
        {
            "/": {
                "request.throw_errors": True,
                "tools.sessions.on": True,
                "tools.sessions.name": NAME,
                "tools.sessions.storage_class": WebSessionStorage,
                "tools.sessions.storage_path": sessions,
                **{f"tools.sessions.{key}": settings[key] for key in settings},
            }
        },
    )


def asgi(sessions, view, **settings):
    from websession.asgi import SessionMiddleware

    async def app(scope, receive, send):
        seen.append(view(scope["session"]))
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    seen = []
    lock = settings.pop("lock", False)
    cookie = _cookie(**settings)
    app = SessionMiddleware(app, sessions, lock=lock, cookie=cookie)

    def ask(value=None):
        sent = []

        async def send(message):
            sent.append(message)

        headers = []
        if value is not None:
            headers.append((b"cookie", f"{NAME}={value}".encode()))
        scope = {"type": "http", "method": "GET", "path": "/"}
        scope.update(scheme="https", headers=headers)
        scope["client"] = ("127.0.0.1", 1)
        asyncio.run(app(scope, None, send))
        found = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in sent[0].get("headers", ())
        ]
        return Answer(seen.pop(), _of(found))

    return ask


def django(sessions, view, **settings):
    from django.conf import settings as configured
    from django.http import HttpResponse
    from django.test import RequestFactory, override_settings

    if not configured.configured:
        django_site.configure(None)
    from websession.django import SessionMiddleware

    seen = []

    def answer(request):
        seen.append(view(request.session))
        return HttpResponse()

    configured_as = {
        "WEBSESSION_PATH": sessions,
        "SESSION_COOKIE_NAME": NAME,
        **settings.pop("other", {}),
        **{f"SESSION_COOKIE_{key.upper()}": settings[key] for key in settings},
    }

    def ask(value=None):
        with override_settings(**configured_as):
            request = RequestFactory().get("/")
            if value is not None:
                request.COOKIES[NAME] = value
            response = SessionMiddleware(answer)(request)
        cookies = [
            morsel.OutputString() for morsel in response.cookies.values()
        ]
        return Answer(seen.pop(), cookies)

    return ask


ADAPTERS = {
    "wsgi": wsgi,
    "asgi": asgi,
    "flask": flask,
    "django": django,
    "pyramid": pyramid,
    "bottle": bottle,
    "cherrypy": cherrypy,
}
