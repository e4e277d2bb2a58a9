"""The plugin for Bottle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bottle
import pytest
from webtest import TestApp

from support import session_files
from websession import WebSession
from websession.bottle import SessionPlugin
from websession.web import SessionCookie

HERE = Path(__file__).parent
COOKIE = SessionCookie("sid", secure=None)


@pytest.fixture
def make_app(make_store):
    def make(sessions=None):
        if sessions is None:
            sessions = make_store(serializer="json")
        app = bottle.Bottle()
        app.config["catchall"] = False
        app.install(SessionPlugin(sessions, cookie=COOKIE))

        @app.get("/put")
        def put(session):
            session.update(bottle.request.query)
            return "put"

        @app.get("/get")
        def get():
            return repr(sorted(bottle.request.session.items()))

        @app.get("/append")
        def append(session):
            session.setdefault("list", []).append(1)

        @app.get("/login")
        def log_in(session):
            session["user"] = "ann"
            session.regenerate(grace=0)
            bottle.redirect("/get")

        @app.get("/logout")
        def log_out(session):
            session.invalidate()
            return bottle.HTTPResponse("bye", Vary="Accept")

        @app.get("/abort")
        def abort(session):
            session["aborted"] = True
            bottle.abort(418, "teapot")

        @app.get("/fail")
        def fail(session):
            session["failed"] = True
            raise ZeroDivisionError

        @app.get("/stream")
        def stream(session):
            session["streamed"] = True
            yield ""
            yield "first"
            try:
                session["late"] = True
            except RuntimeError as error:
                yield str(error)[:22]

        @app.get("/nothing")
        def nothing(session):
            session["nothing"] = True
            yield from ()

        @app.get("/away")
        def away(session):
            session["away"] = True
            bottle.redirect("/get")
            yield "never"

        @app.get("/stream-late")
        def stream_late(session):
            yield "late "
            yield str(session.get("a"))

        @app.get("/response-late")
        def response_late(session):
            pieces = (str(session.get("a")) for _ in range(1))
            return bottle.HTTPResponse(pieces)

        @app.get("/file")
        def file():
            return bottle.static_file(Path(__file__).name, HERE)

        @app.get("/bare")
        def bare():
            return "bare"

        return TestApp(app)

    return make


@pytest.fixture
def app(make_app):
    return make_app()


def test_what_is_set_is_there_in_the_next_request(app, root):
    answer = app.get("/put?a=1")
    assert answer.headers["Vary"] == "Cookie"
    assert answer.headers["Cache-Control"] == "no-store"
    app.get("/append")
    app.get("/append")
    answer = app.get("/get")
    assert answer.text == "[('a', '1'), ('list', [1, 1])]"
    assert "Set-Cookie" not in answer.headers
    assert len(session_files(root)) == 1


def test_without_use_there_is_no_session_and_no_header(app, root):
    headers = app.get("/bare").headers
    assert "Set-Cookie" not in headers
    assert "Vary" not in headers
    assert app.get("/get").headers["Vary"] == "Cookie"
    assert session_files(root) == []


def test_vary_where_the_body_is_the_first_to_use_the_session(app):
    assert "Vary" not in app.get("/stream-late").headers
    app.get("/put?a=1")
    for path, body in ("/stream-late", "late 1"), ("/response-late", "1"):
        answer = app.get(path)
        assert answer.text == body
        assert answer.headers["Vary"] == "Cookie"
        assert "Set-Cookie" not in answer.headers
    assert "Vary" not in app.get("/bare").headers
    assert "Vary" not in app.get("/file").headers


def test_log_in_by_a_redirect_changes_the_id(app):
    app.get("/put?a=1")
    before = app.cookies["sid"]
    answer = app.get("/login", status=302)
    assert answer.headers["Vary"] == "Cookie"
    renewed = app.cookies["sid"] != before
    assert renewed
    assert app.get("/get").text == "[('a', '1'), ('user', 'ann')]"
    app.reset()
    app.set_cookie("sid", before)
    assert app.get("/get").text == "[]"


def test_log_out_ends_the_session(app, root):
    app.get("/put?a=1")
    answer = app.get("/logout")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert answer.headers["Vary"] == "Accept, Cookie"
    assert session_files(root) == []


def test_an_error_that_is_a_response_stores(app):
    app.get("/abort", status=418)
    assert app.get("/get").text == "[('aborted', True)]"


def test_an_exception_stores_nothing(app, root):
    with pytest.raises(ZeroDivisionError):
        app.get("/fail")
    assert session_files(root) == []


def test_a_body_that_is_generated_stores_before_its_first_piece(app):
    assert app.get("/stream").text == "firstthe response has begun"
    assert app.get("/get").text == "[('streamed', True)]"


@pytest.mark.parametrize("path", ["/nothing", "/away"])
def test_a_generator_without_a_body_stores(app, path):
    app.get(path)
    assert app.get("/get").text == f"[('{path[1:]}', True)]"


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


def test_it_is_not_installed_twice(make_store):
    app = bottle.Bottle()
    app.install(SessionPlugin(make_store()))
    with pytest.raises(bottle.PluginError, match="another keyword"):
        app.install(SessionPlugin(make_store()))
    app.install(SessionPlugin(make_store(), keyword="other"))


def test_without_bottle_there_is_one_sentence():
    code = (
        "import sys; sys.modules['bottle'] = None\n"
        "try:\n    import websession.bottle\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == (
        "websession.bottle needs Bottle 0.12 or newer: pip install bottle\n"
    ), done
