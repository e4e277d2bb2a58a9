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
            session["late"] = True
            yield "last"

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


def test_a_session_that_is_too_large_is_413(make_app, make_store):
    app = make_app(make_store(serializer="json", max_size=200))
    app.get("/put?a=1")
    refused = app.get("/put?cart=" + "x" * 200, status=413)
    assert refused.text.startswith("The session would hold more than it may")
    assert "Retry-After" not in refused.headers
    assert app.get("/get").text == "[('a', '1')]"


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
    assert answer.headers.getall("Vary") == ["Accept", "Cookie"]
    assert session_files(root) == []


def test_an_error_that_is_a_response_stores(app):
    app.get("/abort", status=418)
    assert app.get("/get").text == "[('aborted', True)]"


def test_an_exception_stores_nothing(app, root):
    with pytest.raises(ZeroDivisionError):
        app.get("/fail")
    assert session_files(root) == []


def test_a_body_that_is_generated_stores_before_it_and_at_its_end(app):
    assert app.get("/stream").text == "firstlast"
    assert app.get("/get").text == "[('late', True), ('streamed', True)]"


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


# Hooks and error handlers


@pytest.fixture
def whole(make_store):
    """An application that uses the session outside of its callbacks."""
    app = bottle.Bottle()
    plugin = SessionPlugin(make_store(serializer="json"), cookie=COOKIE)

    @app.hook("before_request")
    def before():
        session = bottle.request.session
        if "hook" in bottle.request.query:
            session["before"] = bottle.request.path
        if "fail" in bottle.request.query:
            raise ZeroDivisionError

    app.install(plugin)

    @app.hook("after_request")
    def after():
        if "late" in bottle.request.query:
            bottle.request.session["after"] = bottle.response.status_code
        if "break" in bottle.request.query:
            raise ZeroDivisionError

    @app.error(404)
    @app.error(500)
    def broken(error):
        session = bottle.request.session
        session["errors"] = session.get("errors", 0) + 1
        return f"{error.status_code} {sorted(session)}"

    @app.get("/put")
    def put(session):
        session["put"] = True
        return "put"

    @app.get("/crash")
    def crash(session):
        session["crash"] = True
        raise ZeroDivisionError

    @app.get("/crash-early")
    def crash_early(session):
        session["crash"] = True
        1 / 0
        yield "never"

    @app.get("/get", skip=[plugin])
    def get():
        return repr(sorted(bottle.request.session.items()))

    return TestApp(app)


def test_hooks_see_the_session_and_change_it(whole, root):
    whole.get("/put?hook=1&late=1")
    assert whole.get("/get").text == (
        "[('after', 200), ('before', '/put'), ('put', True)]"
    )
    assert len(session_files(root)) == 1


def test_error_handlers_see_the_session_and_change_it(whole, root):
    answer = whole.get("/nowhere", status=404)
    assert answer.text == "404 ['errors']"
    assert "Cookie" in answer.headers["Vary"]
    assert whole.get("/nowhere", status=404).text == "404 ['errors']"
    assert whole.get("/get").text == "[('errors', 2)]"
    assert len(session_files(root)) == 1


@pytest.mark.parametrize("path", ["/crash", "/crash-early"])
def test_what_came_before_an_exception_is_not_stored(whole, path):
    whole.get("/put")
    answer = whole.get(path + "?hook=1", status=500, expect_errors=True)
    assert answer.text == "500 ['errors', 'put']"
    assert whole.get("/get").text == "[('errors', 1), ('put', True)]"


@pytest.mark.parametrize("query", ["hook=1&fail=1", "late=1&break=1"])
def test_an_exception_of_a_hook_stores_nothing(whole, query):
    whole.get("/put")
    whole.get(f"/put?{query}", status=500, expect_errors=True)
    assert whole.get("/get").text == "[('put', True)]"


def test_routes_of_other_applications_have_sessions(make_store, root):
    store = make_store(serializer="json")
    plugin = SessionPlugin(store, cookie=COOKIE)

    def part(plugin):
        def count(session):
            session["n"] = session.get("n", 0) + 1
            assert bottle.request.session is session
            return str(session["n"])

        app = bottle.Bottle()
        app.install(plugin)
        app.get("/n")(count)
        return app

    merged, mounted, outer, same, wsgi = (bottle.Bottle() for _ in range(5))
    merged.merge(part(plugin))
    mounted.mount("/part/", part(plugin))
    outer.install(plugin)
    outer.mount("/part/", part(SessionPlugin(store, cookie=COOKIE)))
    same.install(plugin)
    same.mount("/part/", part(plugin))
    wsgi.install(plugin)
    wsgi.mount("/part/", part(plugin).wsgi)
    for app, path in (
        (merged, "/n"),
        (mounted, "/part/n"),
        (outer, "/part/n"),
        (same, "/part/n"),
        (wsgi, "/part/n"),
    ):
        client = TestApp(app)
        assert [client.get(path).text for _ in range(3)] == ["1", "2", "3"]
    assert len(session_files(root)) == 5


def test_one_that_is_uninstalled_does_nothing(make_store, root):
    app = bottle.Bottle()
    plugin = SessionPlugin(make_store(serializer="json"), cookie=COOKIE)
    app.install(plugin)
    app.get("/")(lambda: str(hasattr(bottle.request, "session")))
    assert TestApp(app).get("/").text == "True"
    app.uninstall(plugin)
    assert TestApp(app).get("/").text == "False"


def test_two_plugins_with_keywords_of_their_own(make_store, tmp_path):
    from websession import FileStore

    app = bottle.Bottle()
    app.install(SessionPlugin(make_store(serializer="json"), cookie=COOKIE))
    other = FileStore(tmp_path / "other", serializer="json")
    name = SessionCookie("other", secure=None)
    app.install(SessionPlugin(other, keyword="other", cookie=name))

    @app.get("/")
    def both(session, other):
        session["n"] = session.get("n", 0) + 1
        other["m"] = other.get("m", 10) + 1
        return f"{session['n']} {other['m']}"

    client = TestApp(app)
    assert [client.get("/").text for _ in range(2)] == ["1 11", "2 12"]
    assert len(session_files(tmp_path / "other")) == 1


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
