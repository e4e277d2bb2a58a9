"""The examples of the guides to frameworks and to moving, in use."""

from __future__ import annotations

import subprocess
import sys

import bottle
import cherrypy
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from pyramid.response import Response
from webtest import TestApp

from documents import GUIDES, blocks


@pytest.fixture
def place(tmp_path):
    """Where the examples have their sessions."""
    place = tmp_path / "shop"
    place.mkdir(0o700)
    return place


@pytest.fixture
def example(place):
    """Runs the block of a guide that holds a text; its names."""

    def run(text, guide="frameworks"):
        (block,) = (
            block
            for block in blocks(GUIDES[guide], place)
            if text in block.code and block.language == "python"
        )
        names = {}
        exec(compile(block.code, "frameworks.md", "exec"), names)
        return names

    return run


def count(session):
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])


def test_flask(example):
    import flask

    app = example("websession.flask")["flask_app"]
    app.add_url_rule("/", view_func=lambda: count(flask.session))
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]


def test_who_moves_from_flask_session_logs_nobody_out(example, place):
    import flask
    from cachelib import FileSystemCache
    from flask_session import Session

    before = flask.Flask("shop")
    before.config["SESSION_TYPE"] = "cachelib"
    before.config["SESSION_CACHELIB"] = FileSystemCache(
        str(place / "flask_session")
    )
    Session(before)
    before.add_url_rule("/", view_func=lambda: count(flask.session))
    client = before.test_client()
    assert [client.get("/").text for _ in range(2)] == ["1", "2"]
    (cookie,) = client._cookies.values()

    after = example("CacheFiles", "moving")["app"]
    after.add_url_rule("/", view_func=lambda: count(flask.session))
    client = after.test_client()
    client.set_cookie(cookie.key, cookie.value)
    assert client.get("/").text == "3"


DJANGO = """
import sys
from django.conf import settings
names = {}
exec(sys.argv[1], names)
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF="__main__", ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE=names["SESSION_ENGINE"],
    WEBSESSION_PATH=names["WEBSESSION_PATH"],
)
import django
django.setup()
from django.http import HttpResponse
from django.test import Client
from django.urls import path

def count(request):
    request.session["n"] = request.session.get("n", 0) + 1
    return HttpResponse(request.session["n"])

urlpatterns = [path("", count)]
client = Client()
print(*(client.get("/").content.decode() for _ in range(3)))
"""


def test_django(example, tmp_path):
    names = example("websession.django")
    block = "\n".join(
        f"{name} = {names[name]!r}"
        for name in ("SESSION_ENGINE", "WEBSESSION_PATH")
    )
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", "2", "3"], done.stderr


def test_fastapi(example):
    api = example("websession.asgi")["api"]

    @api.get("/")
    def visits(request: Request):
        return count(request.session)

    # The cookie is secure, as the example leaves it.
    client = TestClient(api, base_url="https://testserver")
    assert [client.get("/").json() for _ in range(3)] == ["1", "2", "3"]


def test_pyramid(example):
    config = example("websession.pyramid")["config"]
    config.add_route("visits", "/")
    config.add_view(
        lambda request: Response(count(request.session)), route_name="visits"
    )
    app = TestApp(
        config.make_wsgi_app(), extra_environ={"wsgi.url_scheme": "https"}
    )
    assert [app.get("/").text for _ in range(3)] == ["1", "2", "3"]


def test_bottle(example):
    app = example("websession.bottle")["bottle_app"]
    app.get("/", callback=lambda session: count(session))
    assert isinstance(app, bottle.Bottle)
    client = TestApp(app, extra_environ={"wsgi.url_scheme": "https"})
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cherrypy(example):
    class Site:
        @cherrypy.expose
        def index(self):
            return count(cherrypy.session)

    config = example("websession.cherrypy")["cherrypy_config"]
    cherrypy.config.update({"log.screen": False})
    client = TestApp(cherrypy.Application(Site(), "", {"/": config}))
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
