"""The ASGI middleware, under Starlette, FastAPI and bare messages."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import subprocess
import sys
import threading

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.responses import StreamingResponse as Streaming
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

import websession
from support import (
    Child,
    file_of,
    in_processes,
    session_files,
    stopped_writer,
    until,
)
from websession import (
    FileStore,
    InvalidSessionId,
    SessionBusy,
    SessionExpired,
    WebSession,
)
from websession.asgi import SessionMiddleware
from websession.legacy import MovingSession
from websession.web import SessionCookie, SessionManager

COOKIE = SessionCookie("sid", secure=None)


async def set_all(request):
    request.session.update(request.query_params)
    return PlainTextResponse("set")


async def get(request):
    return JSONResponse(dict(request.session))


async def bare(request):
    return PlainTextResponse("bare")


async def clear(request):
    request.session.clear()
    return PlainTextResponse("cleared")


async def append(request):
    request.session.setdefault("list", []).append(1)
    return PlainTextResponse("appended")


async def log_in(request):
    request.session["user"] = "ann"
    request.session.regenerate(grace=0)
    return PlainTextResponse("welcome")


async def log_out(request):
    await request.session.ainvalidate()
    return PlainTextResponse("bye")


async def count(request):
    def add(data):
        data["n"] = data.get("n", 0) + 1

    await request.session.aatomically(add)
    return JSONResponse(request.session["n"])


async def fail(request):
    request.session["failed"] = True
    raise ZeroDivisionError


async def stream(request):
    request.session["streamed"] = True

    async def pieces():
        yield b"first"
        request.session["late"] = True
        yield b"last"

    return Streaming(pieces())


async def stream_late(request):
    async def pieces():
        yield str(request.session.get("a")).encode()
        request.session["late"] = True

    return Streaming(pieces())


async def late(websocket):
    await websocket.accept()
    session = websocket.session
    answer = dict(session)
    try:
        session["changed"] = True
    except RuntimeError as error:
        answer["error"] = str(error)
    await websocket.send_json(answer)
    await websocket.close()


PAGES = {
    "/set": set_all, "/get": get, "/bare": bare, "/clear": clear,
    "/append": append, "/log-in": log_in, "/log-out": log_out,
    "/count": count, "/fail": fail, "/stream": stream,
    "/stream-late": stream_late,
}  # fmt: skip


@pytest.fixture
def make_app(make_store):
    def make(sessions=None, routes=(), **options):
        if sessions is None:
            sessions = make_store(serializer="json")
        options.setdefault("cookie", COOKIE)
        return Starlette(
            routes=[
                *routes,
                *(Route(path, page) for path, page in PAGES.items()),
                WebSocketRoute("/socket", late),
            ],
            middleware=[Middleware(SessionMiddleware, sessions, **options)],
        )

    return make


@pytest.fixture
def client(make_app):
    return TestClient(make_app())


def fresh(app, cookie=None):
    """A client that sends just this cookie."""
    client = TestClient(app)
    if cookie is not None:
        client.cookies.set("sid", cookie)
    return client


def test_what_is_set_is_there_in_the_next_request(client, root):
    answer = client.get("/set?a=1")
    assert "sid=" in answer.headers["Set-Cookie"]
    assert answer.headers["Vary"] == "Cookie"
    assert answer.headers["Cache-Control"] == "no-store"
    answer = client.get("/get")
    assert answer.json() == {"a": "1"}
    assert "Set-Cookie" not in answer.headers
    assert len(session_files(root)) == 1


def test_without_use_there_is_no_session_and_no_header(client, root):
    answer = client.get("/bare")
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers
    assert client.get("/get").headers["Vary"] == "Cookie"
    assert session_files(root) == []


def test_vary_where_the_body_is_the_first_to_use_the_session(client):
    assert "Vary" not in client.get("/stream-late").headers
    client.get("/set?a=1")
    answer = client.get("/stream-late")
    assert answer.text == "1"
    assert answer.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in answer.headers
    assert client.get("/get").json() == {"a": "1", "late": True}
    # A body that is there uses nothing any more.
    assert "Vary" not in client.get("/bare").headers


def test_a_late_change_without_a_session_is_a_warning(client, root, caplog):
    assert client.get("/stream-late").text == "None"
    assert session_files(root) == []
    assert "is not stored: its cookie could not be sent" in caplog.text


def test_a_request_that_reads_writes_nothing(client, root):
    client.get("/set?a=1")
    (file,) = session_files(root)
    before = file.stat().st_mtime_ns, file.read_bytes()
    client.get("/get")
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before


def test_a_change_inside_a_value_is_saved(client):
    for _ in range(3):
        client.get("/append")
    assert client.get("/get").json() == {"list": [1, 1, 1]}


@pytest.mark.parametrize("page", ["/clear", "/log-out"])
def test_log_out_ends_the_session(make_app, root, page):
    app = make_app()
    client = TestClient(app)
    client.get("/set?a=1")
    stolen = client.cookies["sid"]
    answer = client.get(page)
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert session_files(root) == []
    assert fresh(app, stolen).get("/get").json() == {}


def test_log_in_changes_the_id(make_app):
    app = make_app()
    client = TestClient(app)
    client.get("/set?a=1")
    before = client.cookies["sid"]
    client.get("/log-in")
    renewed = client.cookies["sid"] != before
    assert renewed
    assert client.get("/get").json() == {"a": "1", "user": "ann"}
    assert fresh(app, before).get("/get").json() == {}


@pytest.mark.parametrize("cookie", ["x" * 32, "../x", "", "a" * 5000, '"'])
def test_a_cookie_that_was_made_up_is_not_adopted(make_app, root, cookie):
    header = {"Cookie": f"sid={cookie}"}
    answer = TestClient(make_app()).get("/set?a=1", headers=header)
    made = answer.headers["Set-Cookie"].partition(";")[0]
    adopted = made == f"sid={cookie}"
    assert not adopted
    assert len(session_files(root)) == 1


def test_cookies_of_several_headers_count(make_app):
    app = make_app()
    client = TestClient(app)
    client.get("/set?a=1")
    sid = client.cookies["sid"]
    answer = TestClient(app).get(
        "/get", headers=[("Cookie", "theme=dark"), ("Cookie", f"sid={sid}")]
    )
    assert answer.json() == {"a": "1"}


def test_an_exception_stores_nothing(client, root):
    with pytest.raises(ZeroDivisionError):
        client.get("/fail")
    assert session_files(root) == []


def test_a_response_that_streams_is_stored_before_its_first_byte(client):
    assert client.get("/stream").text == "firstlast"
    assert client.get("/get").json() == {"streamed": True, "late": True}


def test_what_cannot_be_kept_names_its_key(make_app, root):
    async def odd(request):
        request.session["odd"] = object()
        return PlainTextResponse("odd")

    app = make_app(routes=[Route("/odd", odd)])
    with pytest.raises(TypeError, match=r"\['odd'\]"):
        TestClient(app).get("/odd")
    assert session_files(root) == []


def test_too_many_sessions_are_refused_with_503(make_app, make_store):
    sessions = WebSession(
        make_store(serializer="json"),
        crossCheckVars=(),
        maxSessionCount=1,
        sessionIDLength=32,
    )
    app = make_app(sessions)
    assert fresh(app).get("/set?a=1").status_code == 200
    refused = fresh(app).get("/set?a=1")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert "Set-Cookie" not in refused.headers


@pytest.mark.parametrize("durability", ["none", "data"])
def test_a_session_that_is_too_large_is_413(make_app, make_store, durability):
    events = []
    app = make_app(
        make_store(serializer="json", max_size=200, durability=durability),
        on_event=events.append,
    )
    client = TestClient(app)
    for path in "/set?a=1", "/get":  # a new session, and one that is there
        refused = client.get("/set?cart=" + "x" * 200)
        assert refused.status_code == 413
        assert refused.text.startswith("The session would hold more than it")
        assert "Set-Cookie" not in refused.headers
        assert client.get(path).status_code == 200
    assert client.get("/get").json() == {"a": "1"}
    told = [each for each in events if each.name == "too-large"]
    assert [bool(each.handle) for each in told] == [False, True]
    assert all("('cart' 202" in each.detail for each in told)


def test_the_cross_check_sees_headers_and_address(make_app, make_store):
    sessions = WebSession(
        make_store(serializer="json"),
        crossCheckVars=("HTTP_USER_AGENT", "REMOTE_ADDR", "HTTP_X_NONE"),
        sessionIDLength=32,
    )
    client = TestClient(make_app(sessions))
    client.get("/set?a=1")
    (info,) = sessions.listSessions()
    assert info.size > 0
    record = sessions.readSession(
        client.cookies["sid"],
        {"HTTP_USER_AGENT": "testclient", "REMOTE_ADDR": "testclient"},
    )
    assert record.env == {
        "HTTP_USER_AGENT": "testclient",
        "REMOTE_ADDR": "testclient",
    }
    other = {"User-Agent": "other"}
    assert client.get("/get", headers=other).json() == {}


def test_https_makes_the_cookie_secure(make_app):
    app = make_app()
    for base in "http://testserver", "https://testserver":
        answer = TestClient(app, base_url=base).get("/set?a=1")
        is_secure = "Secure" in answer.headers["Set-Cookie"]
        assert is_secure == base.startswith("https")


def test_a_websocket_reads_and_does_not_store(client, root):
    client.get("/set?a=1")
    before = [file.read_bytes() for file in session_files(root)]
    with client.websocket_connect("/socket") as socket:
        answer = socket.receive_json()
    assert answer.pop("error").startswith("the session of a websocket can")
    assert answer == {"a": "1"}
    assert [file.read_bytes() for file in session_files(root)] == before


def test_fastapi_has_it_as_request_session(make_store):
    app = fastapi.FastAPI()

    @app.get("/count")
    def count(request: fastapi.Request):
        request.session["n"] = request.session.get("n", 0) + 1
        return request.session["n"]

    app.add_middleware(
        SessionMiddleware,
        sessions=make_store(serializer="json"),
        cookie=COOKIE,
    )
    client = TestClient(app)
    assert [client.get("/count").json() for _ in range(3)] == [1, 2, 3]


def test_any_store_will_do(make_app):
    client = TestClient(make_app(WebSession({}, crossCheckVars=())))
    client.get("/set?a=1")
    client.get("/append")
    assert client.get("/get").json() == {"a": "1", "list": [1]}
    assert client.get("/count").json() == 1


@pytest.mark.parametrize("durability", ["data", "full"])
def test_durable_stores_are_written_in_threads(
    make_app, make_store, durability
):
    store = make_store(serializer="json", durability=durability)
    client = TestClient(make_app(store))
    client.get("/set?a=1")
    client.get("/append")
    assert client.get("/get").json() == {"a": "1", "list": [1]}


# Bare messages


def scope_of(path, cookie=None, **others):
    headers = [] if cookie is None else [(b"cookie", f"sid={cookie}".encode())]
    return {
        "type": "http", "method": "GET", "path": path, "scheme": "http",
        "headers": headers, "client": ("192.0.2.1", 1), **others,
    }  # fmt: skip


async def ask(app, scope):
    """All messages of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, None, send)
    return sent


async def ok(send, *pieces):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in pieces or (b"",):
        await send({"type": "http.response.body", "body": piece})


def test_other_scopes_pass_untouched(make_store):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    scope = {"type": "lifespan"}
    asyncio.run(ask(SessionMiddleware(app, make_store()), scope))
    assert seen == [{"type": "lifespan"}]
    assert seen[0] is scope


def test_an_app_without_a_response_stores_nothing(make_store, root):
    async def app(scope, receive, send):
        scope["session"]["a"] = 1

    sent = asyncio.run(
        ask(SessionMiddleware(app, make_store()), scope_of("/"))
    )
    assert sent == []
    assert session_files(root) == []


def test_early_hints_go_before_the_session_is_stored(make_store, root):
    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": []})
        scope["session"]["a"] = 1
        await ok(send)

    sent = asyncio.run(
        ask(SessionMiddleware(app, make_store()), scope_of("/"))
    )
    assert [message["type"] for message in sent] == [
        "http.response.early_hint",
        "http.response.start",
        "http.response.body",
    ]
    names = [name for name, _ in sent[1]["headers"]]
    assert b"set-cookie" in names
    assert len(session_files(root)) == 1


START = {"type": "http.response.start", "status": 200, "headers": []}
LENGTH = {**START, "headers": [(b"content-length", b"2")]}


def piece(body=b"", more=False):
    return {"type": "http.response.body", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("start", "pieces", "stored"),
    [
        (START, [piece(b"x")], 1),
        (LENGTH, [piece(b"xx")], 1),
        (START, [piece(b"x", True), piece(b"y")], 2),
        (LENGTH, [piece(b"x", True), piece(b"y")], 2),
        (LENGTH, [{"type": "http.response.pathsend", "path": "/x"}], 1),
        # Whose end is never told: the application returns.
        (START, [piece(b"x", True)], 1),
        (START, [], 0),
        (LENGTH, [], 0),
    ],
)
@pytest.mark.parametrize("is_used", [True, False])
def test_what_changes_meanwhile_is_stored_before_the_last_message(
    sessions, start, pieces, stored, is_used
):
    sid = sessions.newSession(data={"n": 0})
    seen, sent = [], []

    async def app(scope, receive, send):
        session = scope["session"]
        if is_used:
            session.get("n")
        await send(start)
        for each in pieces:
            session["n"] += 1
            await send(each)

    async def send(message):
        sent.append(message["type"])
        seen.append(sessions.retrieveSession(sid)["n"])

    app = SessionMiddleware(app, sessions, cookie=COOKIE)
    asyncio.run(app(scope_of("/", sid), None, send))
    assert sent == [start["type"], *(each["type"] for each in pieces)]
    if stored and not pieces[-1].get("more_body"):
        assert seen[-1] == stored
    assert sessions.retrieveSession(sid)["n"] == stored


@pytest.mark.parametrize("start", [START, LENGTH])
@pytest.mark.parametrize("more", [False, True])
def test_only_a_body_that_is_whole_says_no_vary(sessions, start, more):
    async def app(scope, receive, send):
        await send(start)
        await send(piece(b"xx", more))
        if more:
            scope["session"].get("n")
            await send(piece())

    sid = sessions.newSession(data={"n": 0})
    app = SessionMiddleware(app, sessions, cookie=COOKIE)
    (first, *_) = asyncio.run(ask(app, scope_of("/", sid)))
    says_vary = (b"vary", b"Cookie") in first["headers"]
    # Without a length it may be long until there is a piece.
    assert says_vary == (more or start is START)


def test_an_exception_in_the_body_stores_nothing_more(sessions):
    sid = sessions.newSession(data={"n": 0})

    async def app(scope, receive, send):
        await send(START)
        scope["session"]["n"] = 1
        await send(piece(b"x", True))
        raise ZeroDivisionError

    app = SessionMiddleware(app, sessions, cookie=COOKIE)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask(app, scope_of("/", sid)))
    assert sessions.retrieveSession(sid) == {"n": 0}


def test_modified_stays_true_after_the_response(sessions):
    sid = sessions.newSession(data={"n": 0})
    seen = []

    async def app(scope, receive, send):
        scope["session"]["n"] += 1
        await ok(send, b"x")
        seen.append(scope["session"].modified)

    app = SessionMiddleware(app, sessions, cookie=COOKIE)
    asyncio.run(ask(app, scope_of("/", sid)))
    assert seen == [True]


def test_a_task_after_the_response_changes_nothing(sessions, caplog):
    sid = sessions.newSession(data={"n": 0})

    async def app(scope, receive, send):
        scope["session"].get("n")
        await ok(send, b"x")
        scope["session"]["n"] = 1
        await scope["session"].aatomically(lambda data: {**data, "m": 2})

    app = SessionMiddleware(app, sessions, cookie=COOKIE)
    asyncio.run(ask(app, scope_of("/", sid)))
    assert sessions.retrieveSession(sid)["m"] == 2
    assert "is not stored: the response has ended" in caplog.text


@pytest.fixture
def sessions(make_store):
    return WebSession(
        make_store(serializer="json"),
        3600,
        crossCheckVars=(),
        sessionIDLength=32,
    )


def test_requests_at_the_same_time_keep_both_changes(sessions):
    sid = sessions.newSession(data={"a": 1})

    async def both():
        loaded, go_on = asyncio.Event(), asyncio.Event()

        async def app(scope, receive, send):
            session = scope["session"]
            if scope["path"] == "/slow":
                session["slow"] = session["a"]
                loaded.set()
                await go_on.wait()
            else:
                session["quick"] = session["a"]
            await ok(send)

        app = SessionMiddleware(app, sessions, cookie=COOKIE)
        slow = asyncio.create_task(ask(app, scope_of("/slow", sid)))
        await loaded.wait()
        await ask(app, scope_of("/quick", sid))
        go_on.set()
        await slow

    asyncio.run(both())
    assert sessions.retrieveSession(sid) == {"a": 1, "slow": 1, "quick": 1}


def adding(scope, receive, send):
    """What loses updates unless the session is locked."""

    async def add():
        session = scope["session"]
        n = session["n"]
        await asyncio.sleep(0.01)
        session["n"] = n + 1
        await ok(send)

    return add()


def test_locked_requests_of_one_loop_come_one_by_one(sessions):
    sid = sessions.newSession(data={"n": 0})
    app = SessionMiddleware(adding, sessions, cookie=COOKIE, lock=True)

    async def many():
        await asyncio.gather(
            *(ask(app, scope_of("/", sid)) for _ in range(12))
        )

    asyncio.run(many())
    assert sessions.retrieveSession(sid) == {"n": 12}


def test_locked_requests_of_processes_come_one_by_one(sessions):
    sid = sessions.newSession(data={"n": 0})
    app = SessionMiddleware(adding, sessions, cookie=COOKIE, lock=True)

    def many(number):
        async def four():
            await asyncio.gather(
                *(ask(app, scope_of("/", sid)) for _ in range(4))
            )

        asyncio.run(four())

    in_processes(3, many)
    assert sessions.retrieveSession(sid) == {"n": 12}


def test_a_lock_that_is_not_to_be_had_is_503(sessions):
    sid = sessions.newSession(data={"n": 0})
    app = SessionMiddleware(
        adding, sessions, cookie=COOKIE, lock=True, lock_timeout=0.05
    )

    async def ask_once():
        return await ask(app, scope_of("/", sid))

    def hold():
        with sessions.lockSession(sid):
            return asyncio.run(ask_once())

    # The lock belongs to this thread, the request's to another one.
    sent = hold()
    assert sent[0]["status"] == 503
    assert asyncio.run(ask_once())[0]["status"] == 200


def holding():
    """The threads that have a lock for a request, or wait for it."""
    found = threading.enumerate()
    return {each for each in found if each.name == "websession hold"}


async def holding_are(number, before):
    async def wait():
        while len(holding() - before) != number:
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), 30)


def test_a_cancelled_request_gives_its_lock_back(sessions):
    sid = sessions.newSession(data={"n": 0})
    before = holding()

    async def cancel():
        begun = asyncio.Event()

        async def app(scope, receive, send):
            begun.set()
            await asyncio.sleep(60)

        app = SessionMiddleware(app, sessions, cookie=COOKIE, lock=True)
        first = asyncio.create_task(ask(app, scope_of("/", sid)))
        await begun.wait()
        # One that waits for the lock, and one that has it.
        second = asyncio.create_task(ask(app, scope_of("/", sid)))
        await holding_are(2, before)
        for task in second, first:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        # The one that waited gets the lock as well, and gives it back. Here,
        # since it does so at the latest when the loop is closed.
        await holding_are(0, before)

    asyncio.run(cancel())
    with sessions.lockSession(sid, timeout=0):
        pass


def test_a_cancelled_commit_is_whole(sessions, root):
    async def cancel():
        storing = asyncio.Event()

        async def app(scope, receive, send):
            scope["session"]["a"] = 1
            storing.set()
            await ok(send)

        app = SessionMiddleware(app, sessions, cookie=COOKIE)
        task = asyncio.create_task(ask(app, scope_of("/")))
        await storing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert len(session_files(root)) == 1
    assert sessions.countSessions() == 1


def hold_file(path, note, end):
    """Holds a session's own lock, as a writer that was stopped does."""
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        note.touch()
        until(end.exists)


def test_the_loop_goes_on_while_a_writer_is_in_the_way(
    sessions, root, tmp_path
):
    sid = sessions.newSession(data={"n": 0})
    note, end = tmp_path / "held", tmp_path / "end"
    child = Child(hold_file, bytes(file_of(root, sid)), note, end)
    until(note.exists)
    app = SessionMiddleware(adding, sessions, cookie=COOKIE)

    async def beside():
        request = asyncio.create_task(ask(app, scope_of("/", sid)))
        # Blocked, the loop would never come to the end of this.
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert not request.done()
        end.touch()
        return await request

    sent = asyncio.run(beside())
    child.result()
    assert sent[0]["status"] == 200
    assert sessions.retrieveSession(sid) == {"n": 1}


async def showing(scope, receive, send):
    await ok(send, str(scope["session"]["n"]).encode())


async def showing_patiently(scope, receive, send):
    await scope["session"].aload()
    await showing(scope, receive, send)


async def showing_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send(piece(str(scope["session"]["n"]).encode()))


@contextlib.contextmanager
def in_the_way(sessions, root):
    """The ID of a session, and who was stopped in the middle of writing it."""
    sid = sessions.newSession(data={"n": 1})
    with stopped_writer(root, sid) as writer:
        yield sid, writer


def test_a_read_on_the_loop_does_not_wait_for_a_stopped_writer(
    sessions, root, caplog
):
    app = SessionMiddleware(showing, sessions, cookie=COOKIE)
    with in_the_way(sessions, root) as (sid, writer):
        start, _ = asyncio.run(ask(app, scope_of("/", sid)))
        assert start["status"] == 503
        assert (b"retry-after", b"1") in start["headers"]
        assert "answered 503" in caplog.text
        assert sid not in caplog.text
        writer.kill()
        writer.wait()
        start, body = asyncio.run(ask(app, scope_of("/", sid)))
        assert (start["status"], body["body"]) == (200, b"1")


def test_aload_waits_beside_the_loop(sessions, root):
    app = SessionMiddleware(showing_patiently, sessions, cookie=COOKIE)

    async def beside(sid, writer):
        request = asyncio.create_task(ask(app, scope_of("/", sid)))
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert not request.done()
        writer.kill()
        return await request

    with in_the_way(sessions, root) as (sid, writer):
        start, body = asyncio.run(beside(sid, writer))
        assert (start["status"], body["body"]) == (200, b"1")


def test_an_answer_that_has_begun_is_not_answered_again(sessions, root):
    app = SessionMiddleware(showing_late, sessions, cookie=COOKIE)
    with (
        in_the_way(sessions, root) as (sid, _),
        pytest.raises(SessionBusy),
    ):
        asyncio.run(ask(app, scope_of("/", sid)))


def test_what_has_expired_is_not_deleted_on_the_loop(make_store, root, clock):
    """That may take a lock."""
    ws = WebSession(make_store(serializer="json"), 60, 3600, clock=clock)
    sid = ws.newSession(data={"n": 1})
    for age, error in (61, SessionExpired), (3601, InvalidSessionId):
        clock.move(age)
        with pytest.raises(error):
            ws.readSession(sid, timeout=0)
        assert len(session_files(root)) == 1
        assert ws.sessiondict.read(sid, clock.now).data == {"n": 1}
    ws.cleanUp()
    assert session_files(root) == []


def test_sessions_of_another_store_are_moved_in_threads(sessions, root):
    moving = MovingSession(FileStore(root, serializer="json"), sources=[])
    assert SessionManager(sessions).is_quick
    assert not SessionManager(moving).is_quick


def test_it_needs_no_framework():
    code = (
        "import sys\n"
        "for name in 'starlette', 'fastapi', 'anyio':\n"
        "    sys.modules[name] = None\n"
        "import websession.asgi"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys, websession\n"
        "assert not {'asyncio', 'flask', 'django', 'starlette', 'pyramid',"
        " 'bottle', 'cherrypy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert websession.FileStore is FileStore


def test_it_is_what_starlette_gives(make_store):
    """In an order that has each as the first use of a request."""
    app = fastapi.FastAPI()

    @app.get("/set")
    def set_all(request: fastapi.Request):
        session = request.session
        session |= {"a": 1, "b": [2]}
        return {}

    @app.get("/json")
    def as_json(request: fastapi.Request):
        return JSONResponse(request.session)

    @app.get("/raw")
    def raw(request: fastapi.Request):
        return JSONResponse(request.scope["session"])

    @app.get("/bare")
    def bare(request: fastapi.Request):
        return request.session

    @app.get("/typed")
    def typed(request: fastapi.Request) -> dict[str, int | list[int]]:
        return request.session

    @app.get("/c")
    def from_c(request: fastapi.Request):
        return JSONResponse(dict(dict.items(request.session)))

    @app.get("/pop")
    def pop(request: fastapi.Request):
        assert isinstance(request.session, dict)
        request.session.mark_modified()
        return request.session.popitem()

    app.add_middleware(
        SessionMiddleware,
        sessions=make_store(serializer="json"),
        cookie=COOKIE,
    )
    client = TestClient(app)
    client.get("/set")
    for page in "/json", "/raw", "/bare", "/typed", "/c":
        assert client.get(page).json() == {"a": 1, "b": [2]}, page
    assert client.get("/pop").json() == ["b", [2]]
    assert client.get("/json").json() == {"a": 1}
