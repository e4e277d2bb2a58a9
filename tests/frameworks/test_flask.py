"""Flask on top of websession: its own promises, and ours."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from uuid import UUID

import flask
import pytest
from markupsafe import Markup

import websession
from support import session_files
from websession.flask import WebSessionInterface, tagged_json


@pytest.fixture
def make_app(root, backend):
    def make(sessions=None, **config):
        app = flask.Flask("tested")
        app.config.update(config)
        options = config.pop("options", {})
        if sessions is None:
            sessions = websession.FileStore(
                root, serializer=tagged_json, backend=backend
            )
        WebSessionInterface(sessions, **options).init_app(app)

        @app.get("/set")
        def set_all():
            flask.session.update(flask.request.args.to_dict())
            return "set"

        @app.get("/get")
        def get():
            return dict(flask.session)

        @app.get("/bare")
        def bare():
            return "bare"

        @app.get("/clear")
        def clear():
            flask.session.clear()
            return "cleared"

        @app.get("/login")
        def login():
            flask.session["user"] = "ann"
            flask.session.regenerate()
            return "welcome"

        return app

    return make


def set_cookie(response):
    return response.headers.getlist("Set-Cookie")


def test_what_is_set_is_there_in_the_next_request(make_app, root):
    client = make_app().test_client()
    (cookie,) = set_cookie(client.get("/set?a=1"))
    assert cookie.startswith("session=")
    assert "HttpOnly" in cookie
    answer = client.get("/get")
    assert answer.json == {"a": "1"}
    assert set_cookie(answer) == []
    assert len(session_files(root)) == 1


def test_without_use_there_is_no_session_and_no_header(make_app, root):
    answer = make_app().test_client().get("/bare")
    assert set_cookie(answer) == []
    assert "Vary" not in answer.headers
    assert session_files(root) == []


def test_vary_where_the_body_is_the_first_to_use_the_session(make_app):
    app = make_app()

    @app.get("/stream")
    def stream():
        def pieces():
            yield str(flask.session.get("a"))
            flask.session["late"] = True

        return flask.Response(flask.stream_with_context(pieces()))

    @app.get("/file")
    def file():
        return flask.send_file(__file__)

    client = app.test_client()
    with client.get("/stream") as answer:
        assert answer.text == "None"
        assert "Vary" not in answer.headers
    client.get("/set?a=1")
    with client.get("/stream") as answer:
        assert answer.text == "1"
        assert answer.headers["Vary"] == "Cookie"
        assert set_cookie(answer) == []
    assert client.get("/get").json == {"a": "1", "late": True}
    for path in "/bare", "/file":
        with client.get(path) as answer:
            assert "Vary" not in answer.headers


def test_a_session_that_is_too_large_is_413(make_app, root, backend):
    app = make_app(
        websession.FileStore(
            root, serializer=tagged_json, backend=backend, max_size=200
        )
    )
    client = app.test_client()
    client.get("/set?a=1")
    refused = client.get("/set?cart=" + "x" * 200)
    assert refused.status_code == 413
    assert refused.text.startswith("The session would hold more than it may")
    assert set_cookie(refused) == []
    assert client.get("/get").json == {"a": "1"}


@pytest.mark.parametrize("is_used", [True, False])
def test_a_template_that_streams_shows_what_was_flashed(
    make_app, root, caplog, is_used
):
    app = make_app()

    @app.get("/flash")
    def flash():
        flask.flash("saved")
        flask.session["a"] = 1
        return "flashed"

    @app.get("/show")
    def show():
        if is_used:
            flask.session.get("a")
        return flask.stream_template_string("{{ get_flashed_messages() }}")

    client = app.test_client()
    client.get("/flash")
    assert client.get("/show").text == "[&#39;saved&#39;]"
    assert client.get("/show").text == "[]"
    assert client.get("/get").json == {"a": 1}
    assert caplog.records == []


def test_the_test_client_shows_what_was_flashed(make_app):
    app = make_app()
    app.add_url_rule("/flash", view_func=lambda: flask.flash("saved") or "")
    with app.test_client() as client:
        client.get("/flash")
        assert flask.get_flashed_messages() == ["saved"]
        flask.session["seen"] = True
        assert flask.session["seen"]


def test_what_a_teardown_changes_is_stored_when_the_response_is_closed(
    make_app, root, caplog
):
    app = make_app()

    @app.teardown_request
    def count(error):
        if flask.request.path == "/bare":
            flask.session["n"] = flask.session.get("n", 0) + 1

    client = app.test_client()
    with client.get("/bare"):
        pass
    assert session_files(root) == []
    assert "is not stored: its cookie could not be sent" in caplog.text
    client.get("/set?a=1")
    with client.get("/bare"):
        pass
    assert client.get("/get").json == {"a": "1", "n": 1}


def test_a_log_out_in_a_stream_ends_the_session(make_app, root):
    app = make_app()

    @app.get("/leave")
    def leave():
        def pieces():
            yield "bye "
            flask.session.clear()
            yield str(dict(flask.session))

        return flask.Response(flask.stream_with_context(pieces()))

    client = app.test_client()
    client.get("/set?a=1")
    assert client.get("/leave").text == "bye {}"
    assert session_files(root) == []


def test_a_look_alone_varies_and_stores_nothing(make_app, root):
    answer = make_app().test_client().get("/get")
    assert answer.headers["Vary"] == "Cookie"
    assert set_cookie(answer) == []
    assert session_files(root) == []


def test_a_cookie_keeps_the_response_out_of_shared_caches(make_app):
    answer = make_app().test_client().get("/set?a=1")
    assert answer.headers["Cache-Control"] == "private"


def test_cookie_attributes_are_those_of_the_configuration(make_app):
    app = make_app(
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_DOMAIN="example.com",
        SESSION_COOKIE_PATH="/x",
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
    )
    (cookie,) = set_cookie(app.test_client().get("/set?a=1"))
    assert cookie.startswith("sid=")
    parts = set(cookie.split("; ")[1:])
    assert parts == {
        "Domain=example.com", "Path=/x", "Secure", "SameSite=Strict",
    }  # fmt: skip


def test_nested_change_is_saved(make_app):
    app = make_app()

    @app.get("/append")
    def append():
        flask.session.setdefault("list", []).append(1)
        return "appended"

    client = app.test_client()
    for _ in range(3):
        client.get("/append")
    assert client.get("/get").json == {"list": [1, 1, 1]}


def test_types_of_flask_survive(make_app):
    app = make_app()
    values = {
        "tuple": (1, (2, 3)),
        "bytes": b"\0\xff",
        "markup": Markup("<b>"),
        "uuid": UUID(int=5),
        "time": datetime(2026, 1, 2, tzinfo=timezone.utc),
        "dict": {" t": "not a tag"},
    }
    found = {}

    @app.get("/put")
    def put():
        flask.session.update(values)
        return "put"

    @app.get("/take")
    def take():
        found.update(flask.session)
        return "taken"

    client = app.test_client()
    client.get("/put")
    client.get("/take")
    assert found == values
    assert type(found["markup"]) is Markup
    assert type(found["tuple"]) is tuple


@pytest.mark.parametrize("in_app", [False, True])
def test_what_was_written_once_is_written_again(make_app, in_app):
    """What the web layer takes for an unchanged session."""
    with make_app().app_context() if in_app else contextlib.nullcontext():
        raw = tagged_json.dumps(
            {"z": 1, "a": (b"x", {"y": 2, " b": [UUID(int=5), 0.1, None]})}
        )
        assert tagged_json.dumps(tagged_json.loads(raw)) == raw


def test_what_cannot_be_kept_names_its_key(make_app, root):
    app = make_app()

    @app.get("/odd")
    def odd():
        flask.session["fine"] = 1
        flask.session["odd"] = object()
        return "odd"

    app.testing = True
    with pytest.raises(TypeError, match=r"session\['odd'\]"):
        app.test_client().get("/odd")
    assert session_files(root) == []


def test_clear_ends_the_session(make_app, root):
    client = make_app().test_client()
    client.get("/set?a=1")
    stolen = client.get_cookie("session").value
    (cookie,) = set_cookie(client.get("/clear"))
    assert "Max-Age=0" in cookie
    assert session_files(root) == []
    client.set_cookie("session", stolen)
    assert client.get("/get").json == {}


def test_regenerate_changes_the_id_and_keeps_the_data(make_app):
    app = make_app(WEBSESSION_GRACE=0)
    client = app.test_client()
    client.get("/set?a=1")
    before = client.get_cookie("session").value
    client.get("/login")
    renewed = client.get_cookie("session").value != before
    assert renewed
    assert client.get("/get").json == {"a": "1", "user": "ann"}
    client.set_cookie("session", before)
    assert client.get("/get").json == {}


@pytest.mark.parametrize(
    "cookie", ["x" * 32, "../../etc/passwd", "", "é", "a" * 5000, '"']
)
def test_a_cookie_that_was_made_up_is_not_adopted(make_app, root, cookie):
    client = make_app().test_client(use_cookies=False)
    answer = client.get("/get", headers={"Cookie": f"session={cookie}"})
    assert answer.json == {}
    answer = client.get("/set?a=1", headers={"Cookie": f"session={cookie}"})
    (made,) = set_cookie(answer)
    adopted = made.partition(";")[0] == f"session={cookie}"
    assert not adopted
    assert len(session_files(root)) == 1


def permanent_app(make_app, **config):
    app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(hours=1), **config)

    @app.before_request
    def keep():
        if flask.request.path != "/bare":
            flask.session.permanent = True

    return app


def test_a_permanent_session_has_a_cookie_that_expires(make_app):
    client = permanent_app(make_app).test_client()
    (first,) = set_cookie(client.get("/set?a=1"))
    assert "Expires=" in first
    # Sent anew with each request that uses the session.
    assert len(set_cookie(client.get("/get"))) == 1
    assert set_cookie(client.get("/bare")) == []


@pytest.mark.parametrize("readable", [False, True])
def test_a_late_request_does_not_refresh_the_old_id(make_app, readable):
    app = permanent_app(make_app)

    @app.get("/renew")
    def renew():
        flask.session.regenerate(readable=readable)
        return "renewed"

    client, late = app.test_client(), app.test_client()
    client.get("/set?a=1")
    late.set_cookie("session", client.get_cookie("session").value)
    client.get("/renew")
    assert set_cookie(late.get("/get")) == []
    assert client.get("/get").json["a"] == "1"


def test_a_permanent_session_is_not_refreshed_against_the_settings(make_app):
    app = permanent_app(make_app, SESSION_REFRESH_EACH_REQUEST=False)
    client = app.test_client()
    client.get("/set?a=1")
    assert set_cookie(client.get("/get")) == []
    assert len(set_cookie(client.get("/set?b=2"))) == 1


def test_a_session_that_is_permanent_no_more_has_a_cookie_that_ends(make_app):
    app = make_app(SESSION_REFRESH_EACH_REQUEST=False)

    @app.get("/permanent/<int:value>")
    def permanent(value):
        flask.session["a"] = 1
        flask.session.permanent = value
        return "done"

    @app.get("/anew")
    def anew():
        flask.session.clear()
        flask.session["b"] = 2
        return "anew"

    client = app.test_client()
    for _ in range(2):
        (cookie,) = set_cookie(client.get("/permanent/1"))
        assert "Expires=" in cookie
        assert set_cookie(client.get("/permanent/1")) == []
        session_id = client.get_cookie("session").value
        (cookie,) = set_cookie(client.get("/permanent/0"))
        assert cookie.startswith(f"session={session_id};")
        assert "Expires=" not in cookie
        assert set_cookie(client.get("/permanent/0")) == []
    client.get("/permanent/1")
    (cookie,) = set_cookie(client.get("/anew"))
    assert "Expires=" not in cookie
    assert client.get("/get").json == {"b": 2}


def test_permanent_alone_is_nothing_to_store(make_app, root):
    client = permanent_app(make_app).test_client()
    assert set_cookie(client.get("/get")) == []
    assert session_files(root) == []


def test_sessions_end_after_their_lifetime_without_a_request(make_app, clock):
    app = make_app(PERMANENT_SESSION_LIFETIME=60)
    manager = app.session_interface.manager(app)
    manager.sessions._clock = clock
    client = app.test_client()
    client.get("/set?a=1")
    clock.move(59)
    assert client.get("/get").json == {"a": "1"}
    clock.move(61)
    assert client.get("/get").json == {}


def test_requests_at_the_same_time_keep_both_changes(make_app):
    app = make_app()
    loaded, go_on = threading.Event(), threading.Event()

    @app.get("/slow")
    def slow():
        flask.session["slow"] = flask.session["a"]
        loaded.set()
        go_on.wait(10)
        return "slow"

    client = app.test_client()
    client.get("/set?a=1")
    cookie = f"session={client.get_cookie('session').value}"

    def request():
        other = app.test_client(use_cookies=False)
        other.get("/slow", headers={"Cookie": cookie})

    thread = threading.Thread(target=request)
    thread.start()
    assert loaded.wait(10)
    client.get("/set?quick=1")
    go_on.set()
    thread.join(10)
    assert client.get("/get").json == {"a": "1", "slow": "1", "quick": "1"}


def test_too_many_sessions_are_refused_with_503(make_app, make_store):
    store = make_store(serializer=tagged_json)
    sessions = websession.WebSession(
        store, crossCheckVars=(), maxSessionCount=1, sessionIDLength=32
    )
    app = make_app(sessions)
    assert app.test_client().get("/set?a=1").status_code == 200
    refused = app.test_client().get("/set?a=1")
    assert (refused.status_code, set_cookie(refused)) == (503, [])
    assert refused.headers["Retry-After"] == "1"


def test_modified_may_be_set_and_is_seen_without(make_app):
    app = make_app()
    seen = []

    @app.get("/look")
    def look():
        seen.append(flask.session.modified)
        flask.session["a"] = 1
        seen.append(flask.session.modified)
        flask.session.modified = True
        return "looked"

    app.test_client().get("/look")
    assert seen == [False, True]


def test_session_is_the_one_of_flask():
    assert websession.flask.session is flask.session


def test_modified_stays_true_after_saving(make_app):
    app = make_app()
    with app.test_client() as client:
        for path, was_modified in (
            ("/get", False),
            ("/set?a=1", True),
            ("/get", False),
            ("/set?a=1", False),
            ("/bare", False),
            ("/clear", True),
        ):
            client.get(path)
            session = flask.session._get_current_object()
            assert session.modified == was_modified, path


def test_the_directory_may_come_from_the_configuration(root):
    app = flask.Flask("tested")
    app.config["WEBSESSION_PATH"] = root
    interface = WebSessionInterface()
    interface.init_app(app)
    assert app.session_interface is interface
    assert (root / ".websession").exists()


def test_no_directory_is_an_error_that_says_what_to_do():
    app = flask.Flask("tested")
    with pytest.raises(RuntimeError, match="Set WEBSESSION_PATH"):
        WebSessionInterface().init_app(app)


def test_an_unsafe_directory_is_refused_at_once(root):
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(websession.UnsafeStore):
        WebSessionInterface(root)


def test_without_flask_there_is_one_sentence():
    code = (
        "import sys; sys.modules['flask'] = None\n"
        "try:\n    import websession.flask\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == (
        "websession.flask needs Flask 2.3 or newer: pip install flask\n"
    ), done
