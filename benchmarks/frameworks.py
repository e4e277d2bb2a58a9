"""
One request through each framework, in process: a page that leaves the session
alone, and one that counts in it, with the sessions that one finds there.
"""

from __future__ import annotations

import asyncio
import io
from time import perf_counter
from wsgiref.util import setup_testing_defaults

# What a session holds beside the counter: 250 bytes.
DATA = {"user": "ann", "roles": ["reader"], "text": "x" * 190}


def count(session):
    """What the page does that uses the session."""
    if "user" not in session:
        session.update(DATA)
    session["n"] = session.get("n", 0) + 1


class Wsgi:
    """
    A browser of a WSGI application, which keeps cookies.

    Args:
        app: answers ``/bare`` and ``/count``.
    """

    def __init__(self, app):
        self._app = app
        self._cookies = {}

    def _environ(self, path):
        environ = {
            "PATH_INFO": path,
            "HTTP_COOKIE": "; ".join(
                f"{name}={value}" for name, value in self._cookies.items()
            ),
            "wsgi.input": io.BytesIO(),
            "SERVER_NAME": "localhost",
            "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1",
        }
        setup_testing_defaults(environ)
        return environ

    def _ask(self, environ):
        sent = []

        def begin(status, headers, exc_info=None):
            sent[:] = status, headers
            return lambda data: None

        body = self._app(environ, begin)
        text = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return sent[0], sent[1], text

    def get(self, path):
        """The body of one answer; its cookies are kept."""
        status, headers, text = self._ask(self._environ(path))
        if not status.startswith("200"):
            raise RuntimeError(f"{path}: {status}")
        for name, value in headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        return text

    def timed(self, path, times):
        """Seconds that so many requests of the page take."""
        environ = self._environ(path)
        started = perf_counter()
        for _ in range(times):
            self._ask(dict(environ))
        return perf_counter() - started


class Asgi:
    """The same of an ASGI application."""

    def __init__(self, app):
        self._app = app
        self._cookie = b""

    def _scope(self, path):
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"cookie", self._cookie)],
            "client": ("127.0.0.1", 1234),
            "server": ("localhost", 443),
        }

    async def _ask(self, scope):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            sent.append(message)

        await self._app(scope, receive, send)
        return sent

    def get(self, path):
        """The body of one answer; its cookie is kept."""
        sent = asyncio.run(self._ask(self._scope(path)))
        if sent[0]["status"] != 200:
            raise RuntimeError(f"{path}: {sent[0]['status']}")
        for name, value in sent[0]["headers"]:
            if name.lower() == b"set-cookie":
                self._cookie = value.partition(b";")[0]
        return b"".join(message.get("body", b"") for message in sent[1:])

    def timed(self, path, times):
        """Seconds that so many requests of the page take."""
        scope = self._scope(path)

        async def ask():
            await self._ask(dict(scope))  # what a new loop has to begin with
            started = perf_counter()
            for _ in range(times):
                await self._ask(dict(scope))
            return perf_counter() - started

        return asyncio.run(ask())


def store(place, backend, **options):
    """A `FileStore` of ours, as the adapters make it of a path."""
    from websession import FileStore

    return FileStore(place / f"ours-{backend}", backend=backend, **options)


# Flask


def flask_site(configure):
    import flask

    app = flask.Flask("benchmark")
    app.secret_key = "x" * 32
    configure(app)

    @app.get("/bare")
    def bare():
        return "x"

    @app.get("/count")
    def counting():
        count(flask.session)
        return str(flask.session["n"])

    return Wsgi(app)


def flask_bare(place):
    from flask.sessions import SecureCookieSessionInterface

    class NoSessions(SecureCookieSessionInterface):
        """Opens none and saves none."""

        def open_session(self, app, request):
            return self.make_null_session(app)

    def configure(app):
        app.session_interface = NoSessions()

    return flask_site(configure)


def flask_ours(place, backend):
    from websession.flask import WebSessionInterface, tagged_json

    sessions = store(place, backend, serializer=tagged_json)
    return flask_site(WebSessionInterface(sessions).init_app)


def flask_session(place):
    from cachelib import FileSystemCache
    from flask_session import Session

    def configure(app):
        app.config["SESSION_TYPE"] = "cachelib"
        app.config["SESSION_CACHELIB"] = FileSystemCache(
            str(place / "flask-session"), threshold=0
        )
        Session(app)

    return flask_site(configure)


# Django


def django_site(engine, **settings):
    import django
    from django import conf
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    def bare(request):
        return HttpResponse("x")

    def counting(request):
        count(request.session)
        return HttpResponse(str(request.session["n"]))

    if not conf.settings.configured:
        conf.settings.configure(
            SECRET_KEY="x" * 50,
            ALLOWED_HOSTS=["localhost"],
            INSTALLED_APPS=["django.contrib.sessions"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}},
            ROOT_URLCONF=type("urls", (), {"urlpatterns": []}),
            USE_TZ=True,
        )
        django.setup()
    conf.settings.ROOT_URLCONF.urlpatterns[:] = [
        path("bare", bare),
        path("count", counting),
    ]
    conf.settings.SESSION_ENGINE = engine
    conf.settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware"
    ] * bool(engine)
    for name, value in settings.items():
        setattr(conf.settings, name, value)
    return Wsgi(get_wsgi_application())


def django_ours(place, backend):
    return django_site(
        "websession.django",
        WEBSESSION_PATH=place / f"ours-{backend}",
        WEBSESSION_OPTIONS={"backend": backend},
    )


def django_file(place):
    directory = place / "django"
    directory.mkdir(mode=0o700)
    return django_site(
        "django.contrib.sessions.backends.file", SESSION_FILE_PATH=directory
    )


def django_database(place):
    from django.core.management import call_command
    from django.db import connection

    site = django_site("django.contrib.sessions.backends.db")
    connection.close()
    connection.settings_dict["NAME"] = place / "django.sqlite3"
    call_command("migrate", verbosity=0)
    return site


# Starlette


def starlette_site(middleware):
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def bare(request):
        return PlainTextResponse("x")

    async def counting(request):
        count(request.session)
        return PlainTextResponse(str(request.session["n"]))

    routes = [Route("/bare", bare), Route("/count", counting)]
    return Asgi(middleware(Starlette(routes=routes)))


def starlette_ours(place, backend):
    from websession.asgi import SessionMiddleware

    sessions = store(place, backend, serializer="json")
    return starlette_site(lambda app: SessionMiddleware(app, sessions))


def starlette_cookie(place):
    from starlette.middleware.sessions import SessionMiddleware

    return starlette_site(lambda app: SessionMiddleware(app, "x" * 32))


def starlette_bare(place):
    return starlette_site(lambda app: app)


# By framework: without sessions, ours, and the others by name
FRAMEWORKS = {
    "Flask": (
        flask_bare,
        flask_ours,
        {
            "Flask, signed cookie": lambda place: flask_site(lambda app: None),
            "Flask-Session, cachelib files": flask_session,
        },
    ),
    "Django": (
        lambda place: django_site(None),
        django_ours,
        {
            "Django, signed cookie": lambda place: django_site(
                "django.contrib.sessions.backends.signed_cookies"
            ),
            "Django, files": django_file,
            "Django, database (SQLite)": django_database,
        },
    ),
    "Starlette": (
        starlette_bare,
        starlette_ours,
        {"Starlette, signed cookie": starlette_cookie},
    ),
}
