"""The session factory for Pyramid."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPFound
from pyramid.interfaces import ISession, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp
from zope.interface.verify import verifyObject

from client import Client
from serving import python, serving
from support import session_files
from websession import WebSession
from websession.pyramid import WebSessionFactory
from websession.web import SessionCookie

COOKIE = SessionCookie("sid", secure=None)


def put(request):
    request.session.update(request.GET)
    return Response("put")


def get(request):
    return Response(repr(sorted(request.session.items())))


def append(request):
    request.session.setdefault("list", []).append(1)
    return Response("appended")


def log_in(request):
    request.session["user"] = "ann"
    request.session.regenerate(grace=0)
    raise HTTPFound("/get")


def log_out(request):
    request.session.invalidate()
    return Response("bye")


def flash(request):
    session = request.session
    session.flash("one")
    session.flash("one", allow_duplicate=False)
    session.flash("two", "other")
    return Response("flashed")


def flashed(request):
    session = request.session
    seen = [session.peek_flash(), session.pop_flash(), session.pop_flash()]
    return Response(repr([*seen, session.pop_flash("other")]))


def token(request):
    return Response(get_csrf_token(request))


def fail(request):
    request.session["failed"] = True
    raise ZeroDivisionError


def stream(request):
    session = request.session

    def pieces():
        yield repr(session.get("a")).encode()[:3].ljust(3)
        session["late"] = True

    return Response(app_iter=pieces(), content_length=3)


def touched(request):
    assert request.session is not None
    return Response("touched")


def bare(request):
    return Response("bare")


VIEWS = [
    put, get, append, log_in, log_out, flash, flashed, token, fail, bare,
    stream, touched,
]  # fmt: skip


@pytest.fixture
def make_app(make_store):
    def make(sessions=None):
        if sessions is None:
            sessions = make_store(serializer="json")
        factory = WebSessionFactory(sessions, cookie=COOKIE)
        with Configurator() as config:
            config.set_session_factory(factory)
            for view in VIEWS:
                name = view.__name__
                config.add_route(name, f"/{name}")
                config.add_view(view, route_name=name)
            return TestApp(config.make_wsgi_app())

    return make


@pytest.fixture
def app(make_app):
    return make_app()


def test_it_is_what_pyramid_asks_for(make_store):
    factory = WebSessionFactory(make_store(serializer="json"), cookie=COOKIE)
    assert verifyObject(ISessionFactory, factory)
    session = factory(Request.blank("/"))
    assert verifyObject(ISession, session)
    assert isinstance(session.created, int)
    assert session.new
    session["a"] = 1
    session._commit()
    cookie = session._cookie().partition(";")[0]
    again = factory(Request.blank("/", headers={"Cookie": cookie}))
    assert not again.new


def test_vary_where_the_body_is_the_first_to_use_the_session(app):
    assert "Vary" not in app.get("/stream").headers
    app.get("/put?a=1")
    answer = app.get("/stream")
    assert answer.text == "'1'"
    assert answer.headers["Vary"] == "Cookie"
    assert app.get("/get").text == "[('a', '1'), ('late', True)]"
    # Past WebTest, which would count them.
    _, headers, _ = Request.blank("/stream").call_application(app.app)
    assert ("Content-Length", "3") in headers
    assert "Vary" not in app.get("/touched").headers


def test_a_session_that_is_too_large_is_413(make_app, make_store):
    app = make_app(make_store(serializer="json", max_size=200))
    app.get("/put?a=1")
    refused = app.get("/put?cart=" + "x" * 200, status=413)
    assert refused.text.startswith("The session would hold more than it may")
    assert "Retry-After" not in refused.headers
    assert app.get("/get").text == "[('a', '1')]"


def test_what_is_set_is_there_in_the_next_request(app, root):
    answer = app.get("/put?a=1")
    assert answer.headers["Vary"] == "Cookie"
    assert answer.headers["Cache-Control"] == "no-store"
    app.get("/append")
    app.get("/append")
    assert app.get("/get").text == "[('a', '1'), ('list', [1, 1])]"
    assert "Set-Cookie" not in app.get("/get").headers
    assert len(session_files(root)) == 1


def test_without_use_there_is_no_session_and_no_header(app, root):
    headers = app.get("/bare").headers
    assert "Set-Cookie" not in headers
    assert "Vary" not in headers
    assert app.get("/get").headers["Vary"] == "Cookie"
    assert session_files(root) == []


def test_log_in_by_a_redirect_changes_the_id(app):
    app.get("/put?a=1")
    before = app.cookies["sid"]
    app.get("/log_in", status=302)
    renewed = app.cookies["sid"] != before
    assert renewed
    assert app.get("/get").text == "[('a', '1'), ('user', 'ann')]"
    app.reset()
    app.set_cookie("sid", before)
    assert app.get("/get").text == "[]"


def test_log_out_ends_the_session(app, root):
    app.get("/put?a=1")
    answer = app.get("/log_out")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert session_files(root) == []


def test_flash_messages_wait_for_the_next_request(app):
    app.get("/flash")
    assert app.get("/flashed").text == "[['one'], ['one'], [], ['two']]"


def test_the_token_stays(app):
    token = app.get("/token").text
    assert len(token) == 64
    assert app.get("/token").text == token


def test_an_exception_stores_nothing(app, root):
    with pytest.raises(ZeroDivisionError):
        app.get("/fail")
    assert session_files(root) == []


def test_a_cookie_that_was_made_up_is_not_adopted(app, root):
    app.set_cookie("sid", "x" * 32)
    made = app.get("/put?a=1").headers["Set-Cookie"].partition(";")[0]
    adopted = made == "sid=" + "x" * 32
    assert not adopted
    assert len(session_files(root)) == 1


def test_too_many_sessions_are_refused_with_503(make_app, make_store):
    sessions = WebSession(
        make_store(serializer="json"),
        crossCheckVars=(),
        maxSessionCount=1,
        sessionIDLength=32,
    )
    make_app(sessions).get("/put?a=1")
    refused = make_app(sessions).get("/put?a=1", status=503)
    assert refused.headers["Retry-After"] == "1"
    assert "Set-Cookie" not in refused.headers


@pytest.mark.server
def test_under_waitress():
    def start(root):
        return python(
            root, "-m", "waitress", "--unix-socket={socket}",
            "--threads=8", "pyramid_probe:application",
        )  # fmt: skip

    with serving(start) as site:
        client = Client(site)
        client.value("/count")
        with client.held("/put?key=slow&value=1") as finish:
            client.value("/put?key=quick&value=2")
            assert finish().status == 200
        expected = {"count": 1, "slow": "1", "quick": "2"}
        assert client.value("/get") == expected


def test_without_pyramid_there_is_one_sentence():
    code = (
        "import sys; sys.modules['pyramid.interfaces'] = None\n"
        "try:\n    import websession.pyramid\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == (
        "websession.pyramid needs Pyramid 2.0 or newer: pip install pyramid\n"
    ), done
