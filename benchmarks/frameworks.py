"""
One request through each framework, in process: a page that leaves the session
alone, and one that counts in it, with the sessions that one finds there.
"""

from __future__ import annotations

from browsers import Asgi, Wsgi

# What a session holds beside the counter: 250 bytes.
DATA = {"user": "ann", "roles": ["reader"], "text": "x" * 190}


def count(session):
    """What the page does that uses the session."""
    if "user" not in session:
        session.update(DATA)
    session["n"] = session.get("n", 0) + 1


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


# Pyramid


def pyramid_site(factory):
    from pyramid.config import Configurator
    from pyramid.response import Response

    def counting(request):
        count(request.session)
        return Response(str(request.session["n"]))

    with Configurator(session_factory=factory) as config:
        config.add_route("bare", "/bare")
        config.add_view(lambda request: Response("x"), route_name="bare")
        config.add_route("count", "/count")
        config.add_view(counting, route_name="count")
        return Wsgi(config.make_wsgi_app())


def pyramid_ours(place, backend):
    from websession.pyramid import WebSessionFactory

    return pyramid_site(
        WebSessionFactory(store(place, backend, serializer="json"))
    )


def pyramid_cookie(place):
    from pyramid.session import SignedCookieSessionFactory

    return pyramid_site(SignedCookieSessionFactory("x" * 32))


# Bottle


def bottle_site(session_of, install=lambda app: app):
    import bottle

    app = bottle.Bottle()

    @app.get("/bare")
    def bare():
        return "x"

    @app.get("/count")
    def counting():
        session = session_of(bottle.request)
        count(session)
        return str(session["n"])

    return Wsgi(install(app))


def bottle_bare(place):
    return bottle_site(lambda request: {})


def bottle_ours(place, backend):
    from websession.bottle import SessionPlugin

    def install(app):
        app.install(SessionPlugin(store(place, backend, serializer="json")))
        return app

    return bottle_site(lambda request: request.session, install)


def bottle_beaker(place):
    from beaker.middleware import SessionMiddleware

    options = {
        "session.type": "file",
        "session.data_dir": str(place / "beaker"),
        "session.auto": True,
    }
    return bottle_site(
        lambda request: request.environ["beaker.session"],
        lambda app: SessionMiddleware(app, options),
    )


# CherryPy


def cherrypy_site(**sessions):
    import cherrypy

    class Site:
        @cherrypy.expose
        def bare(self):
            return "x"

        @cherrypy.expose
        def count(self):
            count(cherrypy.session)
            return str(cherrypy.session["n"])

    cherrypy.config.update({"log.screen": False})
    config = {
        f"tools.sessions.{name}": value for name, value in sessions.items()
    }
    return Wsgi(cherrypy.Application(Site(), "", {"/": config}))


def cherrypy_ours(place, backend):
    from websession.cherrypy import WebSessionStorage

    return cherrypy_site(
        on=True,
        storage_class=WebSessionStorage,
        storage_path=store(place, backend),
        locking="explicit",
    )


def cherrypy_files(place):
    from cherrypy.lib.sessions import FileSession

    directory = place / "cherrypy"
    directory.mkdir(mode=0o700)
    return cherrypy_site(
        on=True,
        storage_class=FileSession,
        storage_path=str(directory),
        clean_freq=0,
    )


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
    "Pyramid": (
        lambda place: pyramid_site(None),
        pyramid_ours,
        {"Pyramid, signed cookie": pyramid_cookie},
    ),
    "Bottle": (bottle_bare, bottle_ours, {"Beaker, files": bottle_beaker}),
    "CherryPy": (
        lambda place: cherrypy_site(),
        cherrypy_ours,
        {"CherryPy, files": cherrypy_files},
    ),
}
