"""The WSGI middleware, between wsgiref's validator on both sides."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from client import at_once
from machine import missing
from support import file_of, session_files
from websession import FileStore, SessionStoreError, WebSession
from websession.ids import handle
from websession.web import Session, SessionCookie, SessionManager
from websession.wsgi import SessionMiddleware

KEY = "websession.session"
TEXT = [("Content-Type", "text/plain")]


class Answer:
    def __init__(self, status, headers, body):
        self.status = int(status.split()[0])
        self.headers = headers
        self.body = body

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def one(self, name):
        (value,) = self.all(name)
        return value


class Browser:
    """Calls the application as a server does, and keeps the cookie."""

    def __init__(self, app):
        self.app = validator(app)
        self.cookie = ""

    @property
    def session_id(self):
        return self.cookie.partition("=")[2]

    def get(self, path="/", **environ):
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        if self.cookie:
            environ.setdefault("HTTP_COOKIE", self.cookie)
        setup_testing_defaults(environ)
        begun, sent = [], []

        def start_response(status, headers, exc_info=None):
            begun[:] = [status, headers]
            return sent.append

        body = self.app(environ, start_response)
        try:
            sent.extend(body)
        finally:
            body.close()
        answer = Answer(*begun, b"".join(sent))
        for header in answer.all("Set-Cookie"):
            pair = header.partition(";")[0]
            self.cookie = "" if "Max-Age=0" in header else pair
        return answer


@pytest.fixture
def make(root, backend):
    """A browser at a middleware around an application."""

    def make(app, sessions=None, **options):
        if sessions is None:
            store = FileStore(root, serializer="json", backend=backend)
            sessions = WebSession(
                store, 1800, crossCheckVars=(), sessionIDLength=32
            )
        return Browser(SessionMiddleware(validator(app), sessions, **options))

    return make


def site(environ, start_response):
    """/key=value stores, / shows."""
    session = environ[KEY]
    name, equals, value = environ["PATH_INFO"][1:].partition("=")
    if equals:
        session[name] = value
    shown = repr(dict(session)) if name != "none" else ""
    start_response("200 OK", list(TEXT))
    return [shown.encode()]


def test_a_session_over_requests(make):
    browser = make(site)
    first = browser.get("/user=ann")
    assert re.fullmatch(
        r"__Host-websession=[\w.-]{32}; "
        "Path=/; HttpOnly; SameSite=Lax; Secure",
        first.one("Set-Cookie"),
    )
    second = browser.get("/")
    assert second.body == b"{'user': 'ann'}"
    assert second.all("Set-Cookie") == []


def test_a_request_that_does_not_use_it_is_left_alone(make, root):
    browser = make(site)
    browser.cookie = "__Host-websession=made-up"
    answer = browser.get("/none")
    assert answer.body == b""
    assert ("Vary", "Cookie") in browser.get("/").headers
    browser.cookie = "__Host-websession=made-up"
    browser.app = validator(
        SessionMiddleware(
            lambda environ, start: start("200 OK", list(TEXT)) and [b""],
            root,
        )
    )
    assert browser.get("/").headers == TEXT


def test_200_crawlers_leave_no_file(make, root):
    for _ in range(200):
        answer = make(site).get("/")
        assert answer.all("Set-Cookie") == []
    assert session_files(root) == []


def test_the_headers_of_the_application_stay_as_they_were(make):
    headers = [("Content-Type", "text/plain"), ("Set-Cookie", "theirs=1")]

    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", headers)
        return [b""]

    answer = make(app).get()
    assert answer.all("Set-Cookie")[0] == "theirs=1"
    assert len(answer.all("Set-Cookie")) == 2
    assert len(headers) == 2


@pytest.mark.parametrize(
    ("given", "vary"),
    [
        ([], ["Cookie"]),
        ([("Vary", "Accept")], ["Accept", "Cookie"]),
        ([("vary", "accept, COOKIE")], ["accept, COOKIE"]),
        ([("Vary", "*")], ["*"]),
    ],
)
def test_vary(make, given, vary):
    def app(environ, start_response):
        environ[KEY].get("a")
        start_response("200 OK", [*TEXT, *given])
        return [b""]

    assert make(app).get().all("Vary") == vary


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], ["no-store"]),
        ([("Cache-Control", "no-store")], ["no-store"]),
        ([("cache-control", "Private")], ["Private"]),
        (
            [("Cache-Control", "public, max-age=60")],
            ["max-age=60, private"],
        ),
        (
            [("Cache-Control", "s-maxage=9"), ("Cache-Control", "no-cache")],
            ["no-cache, private"],
        ),
    ],
)
def test_no_shared_cache_keeps_a_cookie(make, given, sent):
    def app(environ, start_response):
        environ[KEY]["a"] = environ[KEY].get("a", 0) + 1
        start_response("200 OK", [*TEXT, *given])
        return [b""]

    browser = make(app)
    assert browser.get().all("Cache-Control") == sent
    again = browser.get().all("Cache-Control")
    assert again == [value for _, value in given]


def test_another_key_and_cookie(make):
    def app(environ, start_response):
        environ["beaker.session"]["a"] = 1
        start_response("200 OK", list(TEXT))
        return [b""]

    browser = make(
        app,
        environ_key="beaker.session",
        cookie=SessionCookie("sid", secure=False),
    )
    assert browser.get().one("Set-Cookie").startswith("sid=")


class Lazy:
    """A body that uses the session when it is made, and only then."""

    def __init__(self, session):
        self.session = session

    def __iter__(self):
        yield repr(self.session.get("user")).encode()


def as_iterable(environ, start_response):
    start_response("200 OK", list(TEXT))
    return Lazy(environ[KEY])


def as_generator(environ, start_response):
    start_response("200 OK", list(TEXT))
    yield b""
    yield from Lazy(environ[KEY])


def as_written(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    write(b"")
    for piece in Lazy(environ[KEY]):
        write(piece)
    return []


@pytest.mark.parametrize("late", [as_iterable, as_generator, as_written])
@pytest.mark.parametrize("lock", [False, True])
def test_vary_where_the_body_is_the_first_to_use_it(make, late, lock):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/late":
            return late(environ, start_response)
        return site(environ, start_response)

    browser = make(app, lock=lock)
    browser.get("/user=ann")
    answer = browser.get("/late")
    assert answer.body == b"'ann'"
    assert answer.all("Vary") == ["Cookie"]
    assert answer.all("Set-Cookie") == []
    # Without a cookie it has nothing to vary on.
    browser.cookie = "theme=dark"
    answer = browser.get("/late")
    assert answer.body == b"None"
    assert answer.all("Vary") == []


def test_a_body_that_is_there_or_a_file_varies_on_nothing(root):
    sent = []

    def answer(body):
        environ = {
            "HTTP_COOKIE": f"__Host-websession={'x' * 32}",
            "wsgi.url_scheme": "https",
            "wsgi.file_wrapper": FileWrapper,
        }
        setup_testing_defaults(environ)

        def app(environ, start_response):
            start_response("200 OK", list(TEXT))
            return body

        SessionMiddleware(app, root)(
            environ, lambda status, headers: sent.append(headers)
        )
        return sent.pop()

    for body in [b"x"], (b"x",), FileWrapper(io.BytesIO(b"x")):
        assert answer(body) == TEXT
    assert answer(iter([b"x"])) == [*TEXT, ("Vary", "Cookie")]


# When the session is stored


def test_it_is_stored_before_the_headers_leave(root, backend):
    found = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        environ[KEY]["a"] = 1  # still in time
        return [b"x"]

    def start_response(status, headers, exc_info=None):
        found.append((len(session_files(root)), dict(headers)))
        return found.append

    environ = {}
    setup_testing_defaults(environ)
    body = SessionMiddleware(app, FileStore(root, backend=backend))(
        environ, start_response
    )
    assert body == [b"x"]
    ((files, headers),) = found
    assert files == 1
    assert "Set-Cookie" in headers


def test_what_a_generator_changes_is_stored_twice(make, root):
    """Before its first piece, and at its end."""

    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", list(TEXT))
        environ[KEY]["b"] = 2
        yield b"one "
        found.append(contents(environ[KEY].id))
        environ[KEY]["c"] = 3
        yield repr(dict(environ[KEY])).encode()
        found.append(contents(environ[KEY].id))

    def contents(session_id):
        store = FileStore(root, serializer="json")
        sessions = WebSession(store, sessionIDLength=32)
        return sessions.retrieveSession(session_id)

    found = []
    browser = make(app)
    assert browser.get().body == b"one {'a': 1, 'b': 2, 'c': 3}"
    assert found == [{"a": 1, "b": 2}] * 2
    assert contents(browser.session_id) == {"a": 1, "b": 2, "c": 3}


def bodies():
    """In each way an application can change the session in the body."""

    def of_a_generator(environ, start_response):
        start_response("200 OK", list(TEXT))
        yield b"x"
        environ[KEY]["late"] = True
        yield b"y"

    def returned(environ, start_response):
        start_response("200 OK", list(TEXT))

        def body():
            yield b"x"
            environ[KEY]["late"] = True
            yield b"y"

        return body()

    def written(environ, start_response):
        write = start_response("200 OK", list(TEXT))
        write(b"x")
        environ[KEY]["late"] = True
        write(b"y")
        return []

    return {
        each.__name__: each for each in (of_a_generator, returned, written)
    }


@pytest.fixture(params=list(bodies()))
def late_app(request):
    """`site`, and at /late a body that changes the session."""
    late = bodies()[request.param]

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/late":
            return late(environ, start_response)
        return site(environ, start_response)

    return app


@pytest.mark.parametrize("lock", [False, True])
def test_a_late_change_is_stored_without_a_cookie(make, late_app, lock):
    browser = make(late_app, lock=lock)
    browser.get("/user=ann")
    answer = browser.get("/late")
    assert answer.body == b"xy"
    assert answer.all("Set-Cookie") == []
    assert browser.get().body == b"{'user': 'ann', 'late': True}"


def test_a_late_change_without_a_session_is_a_warning(
    make, root, late_app, caplog
):
    answer = make(late_app).get("/late")
    assert (answer.status, answer.body) == (200, b"xy")
    assert session_files(root) == []
    assert "is not stored: its cookie could not be sent" in caplog.text


@pytest.mark.parametrize("kind", ["of_a_generator", "returned"])
def test_a_client_that_goes_away_ends_the_body(root, kind):
    sessions = WebSession(
        FileStore(root, serializer="json"), sessionIDLength=32
    )
    sid = sessions.newSession(data={"a": 1})
    closed = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        try:
            environ[KEY]["n"] = 1
            yield b"x"
            environ[KEY]["n"] = 2
            yield b"y"
            environ[KEY]["n"] = 3
        finally:
            closed.append(True)

    def wrapped(environ, start_response):
        body = app(environ, start_response)
        if kind == "returned":
            first = next(body)
            return Returned(first, body)
        return body

    environ = {"HTTP_COOKIE": f"__Host-websession={sid}"}
    environ["wsgi.url_scheme"] = "https"
    setup_testing_defaults(environ)
    body = SessionMiddleware(wrapped, sessions)(environ, lambda *args: None)
    pieces = iter(body)
    assert next(pieces) == b"x"
    assert next(pieces) == b"y"
    del pieces
    body.close()
    assert closed == [True]
    assert sessions.retrieveSession(sid) == {"a": 1, "n": 2}


class Returned:
    def __init__(self, first, rest):
        self.first, self.rest = first, rest

    def __iter__(self):
        yield self.first
        yield from self.rest

    def close(self):
        self.rest.close()


def test_an_exception_in_the_body_stores_nothing_more(root):
    sessions = WebSession(
        FileStore(root, serializer="json"), sessionIDLength=32
    )
    sid = sessions.newSession(data={"a": 1})

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        environ[KEY]["n"] = 1
        yield b"x"
        environ[KEY]["n"] = 2
        raise ZeroDivisionError

    environ = {"HTTP_COOKIE": f"__Host-websession={sid}"}
    environ["wsgi.url_scheme"] = "https"
    setup_testing_defaults(environ)
    body = SessionMiddleware(app, sessions)(environ, lambda *args: None)
    with pytest.raises(ZeroDivisionError):
        list(body)
    body.close()
    assert sessions.retrieveSession(sid) == {"a": 1, "n": 1}


def test_a_generator_without_pieces(make, root):
    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", list(TEXT))
        return
        yield

    answer = make(app).get()
    assert answer.body == b""
    assert len(answer.all("Set-Cookie")) == 1
    assert len(session_files(root)) == 1


def test_a_body_that_is_written(make, root):
    def app(environ, start_response):
        environ[KEY]["a"] = 1
        write = start_response("200 OK", list(TEXT))
        environ[KEY]["b"] = 1
        write(b"one ")
        write(b"two ")
        return [b"three"]

    answer = make(app).get()
    assert answer.body == b"one two three"
    assert len(answer.all("Set-Cookie")) == 1
    assert len(session_files(root)) == 1


def test_a_body_is_handed_on_as_it_is(root):
    # A server recognises its wsgi.file_wrapper by its type.
    wrapped = FileWrapper(io.BytesIO(b"x"))

    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", list(TEXT))
        return wrapped

    environ = {}
    setup_testing_defaults(environ)
    app = SessionMiddleware(app, root)
    assert app(environ, lambda *args: None) is wrapped


def test_a_stream_holds_nothing(make):
    """While the body is on its way, others lock and change the session."""
    seen = []

    def app(environ, start_response):
        session = environ[KEY]
        session["n"] = session.get("n", 0) + 1
        start_response("200 OK", list(TEXT))
        if environ["PATH_INFO"] != "/stream":
            return [b"x"]

        def pieces():
            yield b"begin "
            thread = threading.Thread(target=other.get)
            thread.start()
            thread.join(20)
            seen.append(thread.is_alive())
            yield b"end"

        return pieces()

    browser = make(app, lock=True, lock_timeout=30)
    browser.get()
    other = Browser(browser.app)
    other.cookie = browser.cookie
    assert browser.get("/stream").body == b"begin end"
    assert seen == [False]


def test_an_exception_stores_nothing(make, root):
    def app(environ, start_response):
        environ[KEY]["a"] = 1
        if environ["PATH_INFO"] == "/fail":
            raise ZeroDivisionError
        start_response("200 OK", list(TEXT))
        return [b"ok"]

    browser = make(app, lock=True, lock_timeout=0.1)
    with pytest.raises(ZeroDivisionError):
        browser.get("/fail")
    assert session_files(root) == []
    browser.get()
    with pytest.raises(ZeroDivisionError):
        browser.get("/fail")
    assert browser.get().status == 200  # nothing is locked


def test_an_error_page_in_the_place_of_what_was_begun(make):
    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", list(TEXT))
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oops", list(TEXT), sys.exc_info())
        return [b"sorry"]

    answer = make(app).get()
    assert (answer.status, answer.body) == (500, b"sorry")


def test_an_error_after_the_headers_is_the_servers(root):
    def app(environ, start_response):
        write = start_response("200 OK", list(TEXT))
        write(b"x")
        try:
            raise ZeroDivisionError("too late")
        except ZeroDivisionError:
            start_response("500 Oops", list(TEXT), sys.exc_info())
        return []

    def server(status, headers, exc_info=None):
        if exc_info is not None:
            raise exc_info[1]
        return lambda data: None

    environ = {}
    setup_testing_defaults(environ)
    with pytest.raises(ZeroDivisionError, match="too late"):
        SessionMiddleware(app, root)(environ, server)


def test_start_response_is_called_once(root):
    def twice(environ, start_response):
        start_response("200 OK", list(TEXT))
        start_response("200 OK", list(TEXT))
        return []

    def never(environ, start_response):
        return [b"x"]

    environ = {}
    setup_testing_defaults(environ)
    with pytest.raises(AssertionError, match="called twice"):
        SessionMiddleware(twice, root)(environ, lambda *args: None)
    body = SessionMiddleware(never, root)(environ, lambda *args: None)
    with pytest.raises(AssertionError, match="was not called"):
        list(body)


class Closing:
    def __init__(self, pieces):
        self.pieces = iter(pieces)
        self.closed = 0

    def __iter__(self):
        return self.pieces

    def close(self):
        self.closed += 1


def test_bodies_are_closed_also_when_storing_fails(root):
    body = Closing([b"x"])

    def app(environ, start_response):
        environ[KEY]["a"] = object()
        start_response("200 OK", list(TEXT))
        return body

    environ = {}
    setup_testing_defaults(environ)
    with pytest.raises(TypeError, match=r"data\['a'\]"):
        SessionMiddleware(app, root)(environ, lambda *args: None)
    assert body.closed == 1


# What is refused


def test_one_session_too_many_is_503(root, backend):
    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", list(TEXT))
        body = Closing([b"ok"])
        bodies.append(body)
        return body

    def lazy(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", list(TEXT))
        yield b"ok"

    bodies = []
    ws = WebSession(
        FileStore(root, backend=backend),
        crossCheckVars=(),
        maxSessionCount=1,
        sessionIDLength=32,
    )
    assert Browser(SessionMiddleware(app, ws)).get().status == 200
    for each in (app, lazy):
        answer = Browser(SessionMiddleware(each, ws)).get()
        assert answer.status == 503
        assert answer.one("Retry-After") == "1"
        assert answer.all("Set-Cookie") == []
        assert answer.body.startswith(b"There are too many sessions")
    assert [body.closed for body in bodies] == [1, 1]


def large(root, backend):
    """Sessions that may be small only."""
    store = FileStore(root, serializer="json", backend=backend, max_size=200)
    return WebSession(store, 1800, crossCheckVars=(), sessionIDLength=32)


def lazily(environ, start_response):
    yield from site(environ, start_response)


@pytest.mark.parametrize("app", [site, lazily])
def test_a_session_that_is_too_large_is_413(root, backend, app, caplog):
    browser = Browser(
        SessionMiddleware(validator(app), large(root, backend), lock=True)
    )
    for _ in range(2):  # a new session, and one that is there
        before = [path.read_bytes() for path in session_files(root)]
        answer = browser.get("/cart=" + "x" * 200)
        assert answer.status == 413
        assert answer.body == (
            b"The session would hold more than it may. "
            b"Nothing was stored in it.\n"
        )
        assert answer.one("Cache-Control") == "no-store"
        assert answer.all("Set-Cookie") == answer.all("Retry-After") == []
        assert [path.read_bytes() for path in session_files(root)] == before
        assert browser.get("/user=ann").status == 200
    assert browser.get("/").body == b"{'user': 'ann'}"
    new, old = caplog.records
    shown = handle(browser.session_id).decode()
    assert new.getMessage() == (
        "session (new): too-large (session data is 211 bytes "
        "('cart' 202), the limit is 200; keep large things elsewhere "
        "and their key in the session, or raise max_size)"
    )
    assert old.getMessage().startswith(
        f"session {shown}: too-large (session data is 224 bytes ('cart' 202, "
        "'user' 5), "
    )
    assert {new.levelname, old.levelname} == {"ERROR"}


def test_requests_of_one_session_one_after_the_other(make):
    def app(environ, start_response):
        session = environ[KEY]
        count = session.get("n", 0)
        if environ["PATH_INFO"] == "/wait":
            inside.set()
            go_on.wait(20)
        session["n"] = count + 1
        start_response("200 OK", list(TEXT))
        return [str(count + 1).encode()]

    inside, go_on = threading.Event(), threading.Event()
    browser = make(app, lock=True, lock_timeout=0.2)
    browser.get()
    slow = Browser(browser.app)
    slow.cookie = browser.cookie
    answers = []
    thread = threading.Thread(target=lambda: answers.append(slow.get("/wait")))
    thread.start()
    assert inside.wait(20)
    refused = browser.get()
    assert refused.status == 503
    assert refused.body.startswith(b"Another request of this session")
    go_on.set()
    thread.join(20)
    assert [each.body for each in answers] == [b"2"]
    assert browser.get().body == b"3"


def broken(session):
    raise ZeroDivisionError


def unkept(session):
    session["object"] = object()


def no_body(environ, start_response):
    return None


def with_generator(environ, start_response):
    start_response("200 OK", list(TEXT))
    yield b"one "
    yield b"two"


def with_fault(environ, start_response):
    start_response("200 OK", list(TEXT))
    yield {}["missing"]


def with_change(change):
    def app(environ, start_response):
        change(environ[KEY])
        start_response("200 OK", list(TEXT))
        return [b""]

    return app


def ask_for(pieces):
    """A server that takes so many pieces of a body, and then closes it."""

    def ask(app, environ):
        with contextlib.closing(app(environ, lambda *args: None)) as body:
            for _ in range(pieces):
                next(body)

    return ask


# An application, what the server does with it, and how that ends.
HALVES = {
    "an exception": (with_change(broken), ask_for(0), ZeroDivisionError),
    "an exception in storing": (with_change(unkept), ask_for(0), TypeError),
    "no body": (no_body, ask_for(0), TypeError),
    "nothing of a generator": (with_generator, ask_for(0), None),
    "half a generator": (with_generator, ask_for(1), None),
    "an exception in a generator": (with_fault, ask_for(1), KeyError),
}


@pytest.mark.parametrize(("app", "ask", "error"), HALVES.values(), ids=HALVES)
def test_the_lock_is_given_back_whatever_happens(
    root, backend, app, ask, error
):
    store = FileStore(root, serializer="json", backend=backend)
    ws = WebSession(store, 1800, crossCheckVars=(), sessionIDLength=32)
    session_id = ws.newSession(data={"n": 1})
    environ = {
        "HTTP_COOKIE": f"__Host-websession={session_id}",
        "wsgi.url_scheme": "https",
    }
    setup_testing_defaults(environ)
    middleware = SessionMiddleware(app, ws, lock=True)
    with pytest.raises(error) if error else contextlib.nullcontext():
        ask(middleware, environ)

    def lock():  # in another thread: in its own one it is re-entrant
        with ws.lockSession(session_id, timeout=0):
            return True

    assert at_once(1, lock) == [True]


def test_the_lock_is_given_back_when_the_session_cannot_be_read(root, backend):
    store = FileStore(root, backend=backend)
    ws = WebSession(store, crossCheckVars=(), sessionIDLength=32)
    session_id = ws.newSession(data={"n": 1})
    path = file_of(root, session_id)
    manager = SessionManager(ws, cookie=SessionCookie("sid", secure=False))
    session = Session(manager, {"HTTP_COOKIE": f"sid={session_id}"})
    session._ensure_loaded()
    path.rename(path.with_name("aside"))
    path.mkdir()
    with pytest.raises(SessionStoreError):
        session._lock(0)

    def lock():
        with ws.lockSession(session_id, timeout=0):
            return True

    assert at_once(1, lock) == [True]
    # It is not taken for an empty one, in whose place the cookie would be.
    with pytest.raises(SessionStoreError):
        session["a"] = 1
    path.rmdir()
    path.with_name("aside").rename(path)
    assert dict(session) == {"n": 1}


# Breaking in


@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-websession=" + "k" * 32,
        "__Host-websession=; __Host-websession=x; __Host-websession=y",
        "__Host-websession=" + "\xe9\0\x01" * 9,
        "a=b; " * 13000,
        "__Host-websession=" + "z" * 65536,
        ";;=;__Host-websession;",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_whatever_cookie_comes_the_id_is_ours(make, root, cookie):
    browser = make(site)
    answer = browser.get("/user=ann", HTTP_COOKIE=cookie)
    assert answer.status == 200
    assert re.fullmatch(r"[\w.-]{32}", browser.session_id)
    assert browser.session_id not in cookie
    assert len(session_files(root)) == 1
    assert browser.get("/").body == b"{'user': 'ann'}"


def test_a_hijack_is_no_500(root, backend):
    ws = WebSession(
        FileStore(root, backend=backend),
        crossCheckVars=["REMOTE_ADDR", "HTTP_USER_AGENT"],
        sessionIDLength=32,
    )
    events = []
    browser = Browser(
        SessionMiddleware(validator(site), ws, on_event=events.append)
    )
    home = {"REMOTE_ADDR": "192.0.2.1", "HTTP_USER_AGENT": "Honest/1"}
    browser.get("/user=ann", **home)
    stolen = browser.cookie
    thief = Browser(browser.app)
    thief.cookie = stolen
    answer = thief.get("/", REMOTE_ADDR="198.51.100.1")
    assert (answer.status, answer.body) == (200, b"{}")
    assert thief.cookie == ""
    assert [each.name for each in events] == ["create", "hijack"]
    assert browser.get("/", **home).body == b"{'user': 'ann'}"


ALONE = """
import sys
from websession import WebSession
from websession.wsgi import SessionMiddleware

def app(environ, start_response):
    dict(environ["websession.session"])
    start_response("200 OK", [])
    return []

environ = {
    "HTTP_COOKIE": "__Host-websession=" + sys.argv[2],
    "REMOTE_ADDR": "198.51.100.1",
}
assert "logging" not in sys.modules
ws = WebSession(
    sys.argv[1], crossCheckVars=["REMOTE_ADDR"], sessionIDLength=32
)
list(SessionMiddleware(app, ws)(environ, lambda *what: None))
"""


def test_who_has_not_imported_logging_is_warned_of_a_hijack(root):
    ws = WebSession(
        FileStore(root), crossCheckVars=["REMOTE_ADDR"], sessionIDLength=32
    )
    session_id = ws.newSession({"REMOTE_ADDR": "192.0.2.1"})
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(root), session_id],
        capture_output=True,
        text=True,
    )
    shown = handle(session_id).decode()
    assert f"session {shown}: hijack" in done.stderr
    assert session_id not in done.stderr


def test_a_log_out_wins_over_a_slow_request(make, root):
    def app(environ, start_response):
        session = environ[KEY]
        if environ["PATH_INFO"] == "/logout":
            session.invalidate()
        elif environ["PATH_INFO"] == "/slow":
            session["late"] = 1
            other.get("/logout")
        else:
            session["user"] = "ann"
        start_response("200 OK", list(TEXT))
        return [b""]

    browser = make(app)
    browser.get()
    other = Browser(browser.app)
    other.cookie = browser.cookie
    assert "Max-Age=0" in browser.get("/slow").one("Set-Cookie")
    assert other.cookie == ""
    assert session_files(root) == []


def test_nested_requests_of_one_session_merge(make):
    def app(environ, start_response):
        session = environ[KEY]
        session.setdefault("all", []).append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/slow":
            session["slow"] = 1
            other.get("/fast")
        else:
            session["fast"] = 1
        start_response("200 OK", list(TEXT))
        return [repr(sorted(session)).encode()]

    browser = make(app)
    browser.get("/first")
    other = Browser(browser.app)
    other.cookie = browser.cookie
    browser.get("/slow")
    assert browser.get("/").body == b"['all', 'fast', 'slow']"


READER = """
import sys
from wsgiref.util import setup_testing_defaults
from websession import FileStore, WebSession
from websession.wsgi import SessionMiddleware

def app(environ, start_response):
    environ["websession.session"]["nested"]["list"][0]
    start_response("200 OK", [])
    return [b"x"]

store = FileStore(sys.argv[1], backend=sys.argv[2], serializer="json")
ws = WebSession(store, 1800, crossCheckVars=(), sessionIDLength=32)
environ = {"HTTP_COOKIE": sys.argv[3], "wsgi.url_scheme": "https"}
setup_testing_defaults(environ)
app = SessionMiddleware(app, ws)
app(dict(environ), lambda status, headers: None)
try:
    open("/begin-of-the-second-request")
except OSError:
    pass
app(dict(environ), lambda status, headers: None)
"""


def test_a_reading_request_makes_only_reading_system_calls(
    root, backend, tmp_path
):
    if shutil.which("strace") is None:
        missing("strace")
    store = FileStore(root, backend=backend, serializer="json")
    ws = WebSession(store, 1800, crossCheckVars=(), sessionIDLength=32)
    session_id = ws.newSession(data={"nested": {"list": [1]}})
    path = file_of(root, session_id)
    before = path.stat()
    trace = tmp_path / "trace"
    subprocess.run(
        [
            *("strace", "-f", "-o", trace, "-e", "trace=file,desc"),
            *(sys.executable, "-c", READER, root, backend),
            f"__Host-websession={session_id}",
        ],
        check=True,
        timeout=120,
    )
    lines = trace.read_text().partition("/begin-of-the-second-request")[2]
    assert path.name in lines  # it was read
    calls = re.findall(r"^\d+ +(\w+)\((.*)$", lines, re.MULTILINE)
    opened = [rest for name, rest in calls if name.startswith("open")]
    assert not [
        rest for rest in opened if re.search("O_RDWR|O_WRONLY|O_CREAT", rest)
    ]
    writing = "write|truncate|rename|unlink|chmod|utime|link|fsync|flock"
    assert not [name for name, _ in calls if re.search(writing, name)]
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_threads_each_have_their_session(make):
    def app(environ, start_response):
        session = environ[KEY]
        session["me"] = environ["PATH_INFO"]
        session.atomically(lambda data: None)
        start_response("200 OK", list(TEXT))
        return [session["me"].encode()]

    browser = make(app)
    wrong = []

    def work(number):
        mine = Browser(browser.app)
        bodies = [mine.get(f"/{number}").body for _ in range(20)]
        if bodies != [f"/{number}".encode()] * 20:
            wrong.append(number)

    threads = [threading.Thread(target=work, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_the_environment_holds_a_session(root):
    environ = {}
    setup_testing_defaults(environ)

    def app(environ, start_response):
        assert isinstance(environ[KEY], Session)
        start_response("200 OK", [])
        return []

    SessionMiddleware(app, os.fspath(root))(environ, lambda *args: None)
