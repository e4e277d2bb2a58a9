"""The demo as an application: its page, its API, and what attackers send."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

import websession.demo
from support import file_of, session_files
from websession.demo import files as demo_files
from websession.demo import site as demo_site
from websession.demo.app import make_app
from websession.ids import handle


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def cleared(self):
        return "Max-Age=0" in self.headers.get("set-cookie", "")

    @property
    def json(self):
        return json.loads(self.body)


class Browser:
    """Drives the application in this process, and keeps its cookie."""

    def __init__(self, app):
        self.app = validator(app)
        self.cookie = None

    @property
    def session_id(self):
        return self.cookie.partition("=")[2]

    def request(self, method="GET", path="/", body=b"", **environ):
        if self.cookie is not None:
            environ.setdefault("HTTP_COOKIE", self.cookie)
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        setup_testing_defaults(environ)
        seen = []

        def start_response(status, headers, exc_info=None):
            seen.append((status, headers))

        parts = self.app(environ, start_response)
        body = b"".join(parts).decode("utf-8")
        getattr(parts, "close", bool)()
        answer = Answer(int(seen[0][0][:3]), seen[0][1], body)
        self.keep(answer)
        return answer

    def keep(self, answer):
        header = answer.headers.get("set-cookie")
        if header is not None:
            self.cookie = None if answer.cleared else header.partition(";")[0]

    def post(self, action, /, **form):
        body = urlencode({"action": action, **form}).encode()
        return self.request("POST", body=body)

    def save(self, text, note="left", **form):
        return self.post("save", note=note, text=text, **form)

    def state(self, **environ):
        return self.request(path="/api/state", **environ).json

    def increment(self, **environ):
        answer = self.request("POST", "/api/increment", **environ)
        return answer.status, answer.json.get("counter")


@pytest.fixture
def browser(root, clock):
    return Browser(make_app(root, clock, slow=0.0))


def shown(answer, element):
    """The text of the page's element with that ID."""
    return re.search(rf'id="{element}"[^>]*>\s*([^<]*)<', answer.body)[1]


# The page


def test_no_session_before_something_is_stored(browser, root):
    for method in "GET", "HEAD":
        answer = browser.request(method)
        assert answer.status == 200
        assert "set-cookie" not in answer.headers
    assert browser.state()["session"] is None
    for action in "logout", "renew", "slow":
        assert browser.post(action).status == 303
    assert browser.cookie is None
    assert session_files(root) == []


def test_a_note_is_on_the_page(browser, root):
    saved = browser.save("Gruß\r\n an alle")
    assert saved.status == 303
    assert saved.headers["location"] == "/"
    attributes = saved.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert len(browser.session_id) == 32
    answer = browser.request()
    assert ">\nGruß\r\n an alle</textarea>" in answer.body
    assert shown(answer, "pid") == str(os.getpid())
    assert shown(answer, "handle") == handle(browser.session_id).decode()
    assert not re.search(re.escape(browser.session_id), answer.body)
    assert len(session_files(root)) == 1


def test_over_tls_the_cookie_is_bound_to_the_host(browser):
    tls = {"wsgi.url_scheme": "https"}
    answer = browser.request("POST", "/api/increment", **tls)
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-websession=")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
    assert browser.state()["session"] is None
    assert browser.state(**tls)["session"]["counter"] == 1


def test_log_in_changes_the_id(browser, root):
    browser.save("kept")
    before = browser.cookie
    assert browser.post("login", name=" Ann ").status == 303
    changed = browser.cookie != before
    assert changed
    answer = browser.request()
    assert shown(answer, "user") == "Ann"
    assert "kept</textarea>" in answer.body
    # Whoever knew the old ID is not logged in.
    late = browser.request(HTTP_COOKIE=before)
    assert "has just got a new ID" in late.body
    assert "kept</textarea>" not in late.body
    assert "set-cookie" not in late.headers
    assert browser.increment(HTTP_COOKIE=before) == (409, None)
    assert browser.post("login", name=" ").status == 400


def test_seconds_left_and_what_counts_as_activity(browser, clock):
    browser.increment()
    clock.move(10)
    for _ in range(2):
        session = browser.state()["session"]
        assert session["idle_left"] == 50
        assert session["life_left"] == 590
    browser.request()  # touches
    session = browser.state()["session"]
    assert session["idle_left"] == 60
    assert session["life_left"] == 590
    clock.move(61)
    assert browser.state()["session"] is None


def file_named(session_id):
    name = handle(session_id).decode()
    return f"{name[:2]}/{name[2:]}"


def test_the_files_of_the_directory(browser, root, clock):
    browser.increment()
    clock.move(5)
    another = Browser(browser.app)
    another.increment()
    clock.move(1)
    for name in "ff/unknown", ".locks/0":
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
        os.utime(root / name, (1, 1))
    state = browser.state()
    assert state["total"] == "3 files"
    assert state["files"] == [
        {
            "name": file_named(another.session_id),
            "bytes": 1024,
            "age": 1,
            "mine": False,
        },
        {
            "name": file_named(browser.session_id),
            "bytes": 1024,
            "age": 6,
            "mine": True,
        },
        {"name": "ff/unknown", "bytes": 1, "age": clock() - 1, "mine": False},
    ]
    page = browser.request()
    assert shown(page, "total") == "3 files"
    assert f"<td>{file_named(another.session_id)}</td>" in page.body
    for session_id in browser.session_id, another.session_id:
        assert not re.search(re.escape(session_id), page.body)
    another.post("logout")
    assert browser.state()["total"] == "2 files"


def test_of_many_files_the_newest_are_shown(browser, root, monkeypatch):
    (root / "00").mkdir()
    for number in range(30):
        path = root / "00" / f"{number}"
        path.write_bytes(b"x")
        os.utime(path, (number, number))
    state = browser.state()
    assert state["total"] == "30 files"
    shown = [file["name"] for file in state["files"]]
    assert shown == [f"00/{number}" for number in range(29, 9, -1)]
    # Of very many some are not even looked at.
    monkeypatch.setattr(demo_files, "MOST_SEEN", 25)
    assert browser.state()["total"] == "25+ files"


def test_a_file_that_goes_meanwhile_is_not_missed(browser, root, monkeypatch):
    browser.increment()
    real = os.scandir

    class Vanishing:
        def __init__(self, entry):
            self.name, self.path = entry.name, entry.path

        def stat(self, **options):
            raise FileNotFoundError

    @contextlib.contextmanager
    def scandir(path):
        with real(path) as entries:
            yield [
                entry if path == str(root) else Vanishing(entry)
                for entry in entries
            ]

    monkeypatch.setattr(demo_files.os, "scandir", scandir)
    assert browser.state()["files"] == []


def test_a_stray_file_in_the_directory_is_not_shown(browser, root):
    browser.increment()
    (root / "notes.txt").write_text("not a session")
    assert browser.state()["total"] == "1 file"


def test_nothing_is_cached(browser):
    browser.increment()
    for path in "/", "/api/state":
        headers = browser.request(path=path).headers
        assert headers["vary"] == "Cookie"
        assert headers["cache-control"] == "no-store"


def test_html_is_escaped(browser, clock):
    browser.post("login", name="<b>'\"&")
    browser.save("</textarea><script>alert('1')</script>")
    escaped = (
        "&lt;/textarea&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"
    )
    for expired in False, True:
        answer = browser.request()
        assert escaped in answer.body
        assert "<script>" not in answer.body
        assert "<b>'" not in answer.body
        assert ("Your session has expired" in answer.body) is expired
        clock.move(61)


@pytest.mark.parametrize("name", ["style.css", "app.js", "icon.svg"])
def test_static_files(browser, name):
    browser.increment()
    answer = browser.request(path=f"/static/{name}")
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert "vary" not in answer.headers
    path = Path(websession.demo.__file__).parent / "static" / name
    assert answer.body == path.read_text("utf-8")
    # Nothing comes from elsewhere.
    assert "//" not in re.sub(
        r"// |http://www.w3.org/2000/svg", "", answer.body
    )
    assert f'"/static/{name}"' in browser.request().body


# Without a script


def test_each_button_is_in_a_form_that_works(browser):
    body = browser.request().body
    buttons = re.findall(r'<button name="action" value="(\w+)"', body)
    assert len(buttons) == body.count("<button") == body.count("</button>")
    assert body.count("<form ") == 5
    assert set(
        re.findall(r"<form ([^>]*?)(?: data-note=\S+| class=\S+)?>", body)
    ) == {'method="post" action="/"'}
    assert set(buttons) == {
        "login", "logout", "renew", "save", "slow", "increment", "hammer",
    }  # fmt: skip
    for action in buttons:
        form = {"name": "Ann", "note": "left", "text": "x"}
        assert browser.post(action, **form).status == 303


def test_the_counter_counts_by_a_form(browser):
    for action, counter in ("increment", 1), ("hammer", 201):
        assert browser.post(action).status == 303
        assert shown(browser.request(), "counter") == str(counter)


def test_a_form_that_counts_in_a_renewed_session_does_nothing(browser):
    browser.post("increment")
    old = browser.cookie
    browser.post("login", name="Ann")
    late = browser.request("POST", body=b"action=increment", HTTP_COOKIE=old)
    assert late.status == 303
    assert "set-cookie" not in late.headers
    assert browser.state()["session"]["counter"] == 1


# Concurrent requests


@pytest.fixture
def during_a_slow_request(root, monkeypatch):
    """
    Acts while a slow request is under way; the browser, and the answer of the
    slow one.
    """
    begun, go = threading.Event(), threading.Event()

    def wait(seconds):
        begun.set()
        assert go.wait(30)

    monkeypatch.setattr(demo_site, "time", SimpleNamespace(sleep=wait))

    def run(act, form=b"action=slow", browser=None):
        if browser is None:
            browser = Browser(make_app(root))
            browser.increment()
        other = Browser(browser.app)
        other.cookie = browser.cookie
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(other.request, "POST", body=form)
            assert begun.wait(30)
            act(browser)
            go.set()
            return browser, slow.result()

    return run


def test_two_tabs_save_two_notes(during_a_slow_request):
    browser, slow = during_a_slow_request(
        lambda browser: browser.save("quick", "right"),
        b"action=save&note=left&text=slow&slowly=yes",
    )
    assert slow.status == 303
    assert browser.state()["notes"] == {"left": "slow", "right": "quick"}


def test_two_tabs_save_two_notes_of_an_expired_session(
    browser, clock, during_a_slow_request
):
    browser.post("login", name="Ann")
    browser.save("old")
    browser.save("old", "right")
    clock.move(61)
    browser.state()
    during_a_slow_request(
        lambda browser: browser.save("quick", "right"),
        b"action=save&note=left&text=slow&slowly=yes",
        browser,
    )
    notes = {"left": "slow", "right": "quick"}
    assert browser.state()["notes"] == notes
    browser.post("login", name="Ann")
    assert browser.state()["notes"] == notes


def test_log_out_wins_over_a_slow_request(during_a_slow_request, root):
    browser, slow = during_a_slow_request(
        lambda browser: browser.post("logout")
    )
    assert slow.cleared
    assert browser.cookie is None
    assert session_files(root) == []


def test_a_slow_request_leaves_a_new_cookie_alone(during_a_slow_request):
    browser, slow = during_a_slow_request(
        lambda browser: browser.post("login", name="Ann")
    )
    assert "set-cookie" not in slow.headers
    session = browser.state()["session"]
    assert (session["user"], session["slow"]) == ("Ann", 0)


def test_a_slow_request_alone_is_stored(browser):
    browser.increment()
    browser.post("slow")
    assert browser.state()["session"]["slow"] == 1


# Expiry, log-out, renewal


def test_the_notes_of_an_expired_session_wait_for_a_log_in(
    browser, root, clock
):
    browser.post("login", name="Ann")
    browser.save("what I wrote")
    browser.increment()
    before = browser.session_id
    clock.move(61)
    for seconds in 0, 4, 4, 300:  # however often one looks
        clock.move(seconds)
        for answer in browser.request(), browser.request():
            assert answer.status == 200
            assert shown(answer, "notice") == (
                "Your session has expired. Its notes are still here: log in "
                "again as Ann to go on with them."
            )
            assert ">\nwhat I wrote</textarea>" in answer.body
            assert shown(answer, "user") == "nobody"
            assert shown(answer, "counter") == "0"
        assert browser.state()["notes"]["left"] == "what I wrote"
        another_id = browser.session_id != before
        assert another_id
        assert len(session_files(root)) == 1
    browser.post("login", name="Ann")
    state = browser.state()
    assert state["notice"] == ""
    assert state["notes"] == {"left": "what I wrote", "right": ""}
    session = state["session"]
    assert (session["user"], session["counter"]) == ("Ann", 1)
    assert session["idle_left"] == 60


def test_notes_are_offered_whichever_request_finds_the_end(browser, clock):
    for find in (
        browser.state,
        browser.increment,
        lambda: browser.request("HEAD"),
        lambda: browser.post("slow"),
        lambda: browser.post("increment"),
        lambda: browser.save("new", "right"),
        lambda: browser.post("login", name="Ann"),
    ):
        browser.save("old")
        clock.move(61)
        find()
        assert browser.state()["notes"]["left"] == "old"
        browser.post("login", name="Ann")
        assert browser.state()["notes"]["left"] == "old"
        browser.post("logout")
        assert browser.state()["notes"]["left"] == ""


def test_notes_of_an_expired_session_are_not_for_another_user(browser, clock):
    browser.post("login", name="Ann")
    browser.save("mine")
    clock.move(61)
    browser.request()
    browser.post("login", name="Bob")
    state = browser.state()
    assert state["notes"] == {"left": "", "right": ""}
    assert (state["session"]["user"], state["notice"]) == ("Bob", "")


def test_notes_that_nobody_asks_for_again_go(browser, root, clock):
    browser.save("x")
    clock.move(61)
    browser.state()
    assert browser.state()["session"]["idle_left"] == 600
    clock.move(590)
    browser.save("y", "right")
    clock.move(20)  # the lifetime is over, not long since the last store
    notes = browser.state()["notes"]
    assert notes == {"left": "x", "right": "y"}
    clock.move(601)
    assert browser.state()["notes"] == {"left": "", "right": ""}
    assert session_files(root) == []


def test_an_expired_session_without_notes_offers_none(browser, root, clock):
    browser.increment()
    clock.move(61)
    answer = browser.request()
    assert answer.cleared
    assert shown(answer, "notice") == "Your session has expired."
    assert session_files(root) == []


def test_what_is_saved_into_an_expired_session_is_not_lost(browser, clock):
    browser.save("old")
    clock.move(61)
    assert browser.save("new").status == 303
    assert browser.state()["notes"]["left"] == "new"


def test_activity_does_not_outlive_the_lifetime(browser, clock):
    browser.save("x")
    for _ in range(12):
        clock.move(50)
        assert not browser.request().cleared
    clock.move(1)
    answer = browser.request()
    assert "Your session has expired" in shown(answer, "notice")
    assert ">\nx</textarea>" in answer.body


def test_ten_minutes_after_the_last_use_nothing_is_left(browser, clock):
    browser.save("x")
    clock.move(601)
    answer = browser.request()
    assert answer.cleared
    assert "There is no such session" in shown(answer, "notice")
    assert ">\nx</textarea>" not in answer.body


def test_a_deleted_session_is_refused(browser, root):
    browser.save("x")
    cookie = browser.cookie
    answer = browser.post("logout")
    assert answer.status == 303
    assert answer.cleared
    assert session_files(root) == []
    assert browser.increment(HTTP_COOKIE=cookie) == (410, None)
    answer = browser.request(HTTP_COOKIE=cookie)
    assert answer.cleared
    assert shown(answer, "handle") == "none: nothing is stored yet"
    assert session_files(root) == []


def test_a_new_id_keeps_the_session(browser, clock):
    browser.save("kept")
    old = browser.cookie
    assert browser.post("renew").status == 303
    renewed = browser.cookie != old
    assert renewed
    assert browser.state()["notes"]["left"] == "kept"
    # A request under way reads what there was, and changes nothing.
    late = browser.request(HTTP_COOKIE=old)
    assert "kept" in late.body
    assert "set-cookie" not in late.headers
    late = browser.request(
        "POST", body=b"action=save&note=left&text=late", HTTP_COOKIE=old
    )
    assert "set-cookie" not in late.headers
    assert browser.increment(HTTP_COOKIE=old) == (409, None)
    late = browser.request("POST", body=b"action=renew", HTTP_COOKIE=old)
    assert "set-cookie" not in late.headers
    assert browser.state()["notes"]["left"] == "kept"
    clock.move(11)
    assert browser.increment(HTTP_COOKIE=old) == (410, None)


# What a hostile or broken client sends

UNKNOWN = "abcdefghijklmnopqrstuvwxyz012345"

BAD_COOKIES = {
    "unknown": f"websession={UNKNOWN}",
    "empty": "websession=",
    "short": "websession=abc",
    "quoted": f'websession="{UNKNOWN}"',
    "path": "websession=../../../../etc/passwd",
    "64 KiB": "websession=" + "a" * 65536,
    "NUL": f"websession={UNKNOWN[:-1]}\0",
    "newline": f"websession={UNKNOWN}\n",
    "Latin-1": "websession=" + "\xff" * 32,
    "digits of Unicode": "websession=" + "\xb2" * 32,
    "duplicates": f"websession=x; websession={UNKNOWN}; websession=",
    "many": "a=b; " * 10_000 + "websession=x",
    "equals signs": "websession==" + "=" * 31,
}
OTHER_COOKIES = ["", "websession", ";;;=;=;", "\0" * 100, "=" * 65536]
OTHER_COOKIES += ["WEBSESSION=x", f"__Host-websession={UNKNOWN}", "\xff;\x80="]


@pytest.mark.parametrize("cookie", BAD_COOKIES.values(), ids=BAD_COOKIES)
def test_a_bad_cookie_is_cleared_and_never_adopted(browser, root, cookie):
    answer = browser.request(HTTP_COOKIE=cookie)
    assert answer.status == 200
    assert answer.cleared
    assert browser.increment(HTTP_COOKIE=cookie) == (410, None)
    for action in "logout", "renew", "slow":
        answer = browser.request(
            "POST", body=f"action={action}".encode(), HTTP_COOKIE=cookie
        )
        assert (answer.status, answer.cleared) == (303, True)
    assert session_files(root) == []
    browser.request("POST", body=b"action=login&name=Ann", HTTP_COOKIE=cookie)
    adopted = browser.session_id in cookie or len(browser.session_id) != 32
    assert not adopted


@pytest.mark.parametrize("cookie", OTHER_COOKIES, ids=range(8))
def test_cookies_of_others_are_nothing_to_us(browser, root, cookie):
    answer = browser.request(HTTP_COOKIE=cookie)
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert session_files(root) == []


def test_of_several_cookies_the_one_that_is_ours_counts(browser):
    browser.save("mine")
    cookies = f"a=b;websession={UNKNOWN};{browser.cookie} "
    assert browser.state(HTTP_COOKIE=cookies)["notes"]["left"] == "mine"


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {
            "HTTP_SEC_FETCH_SITE": "cross-site",
            "HTTP_ORIGIN": "http://demo.example:8000",
        },
        {"HTTP_ORIGIN": "http://evil.example"},
        {"HTTP_ORIGIN": "http://demo.example"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": ""},
    ],
)
def test_requests_of_other_sites_are_refused(browser, root, headers):
    headers["HTTP_HOST"] = "demo.example:8000"
    browser.save("mine")
    for action in "save", "logout", "renew", "login", "slow":
        answer = browser.request(
            "POST", body=f"action={action}&name=x".encode(), **headers
        )
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
    answer = browser.request("POST", "/api/increment", **headers)
    assert answer.status == 403
    assert len(session_files(root)) == 1
    assert "mine" in browser.request().body


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_SEC_FETCH_SITE": "same-origin"},
        {"HTTP_ORIGIN": "http://demo.example:8000"},
        {"HTTP_ORIGIN": "https://demo.example:8000"},
    ],
)
def test_requests_of_the_page_itself_are_served(browser, headers):
    headers["HTTP_HOST"] = "demo.example:8000"
    assert browser.increment(**headers) == (200, 1)


@pytest.mark.parametrize(
    ("status", "body", "length"),
    [
        (413, b"", "65537"),
        (413, b"", "9" * 5000),
        (400, b"", "-1"),
        (400, b"", "\xb2"),
        (400, b"action=login", "13"),
        (400, b"a&" * 1000, "2000"),
        (400, b"", "0"),
        (400, b"action=drop", "11"),
        (400, b"action=save&note=middle", "23"),
        (303, b"action=save&note=left&text=%ff%00\xff%zz%", "36"),
    ],
)
def test_forms(browser, root, clock, status, body, length):
    browser.app = make_app(root, clock)  # the validator refuses some lengths
    answer = browser.request("POST", body=body, CONTENT_LENGTH=length)
    assert answer.status == status
    assert bool(session_files(root)) is (status == 303)


def test_a_script_gets_no_page_for_a_form(browser):
    answer = browser.request(
        "POST", body=b"action=renew", HTTP_ACCEPT="application/json"
    )
    assert (answer.status, answer.json) == (200, {"pid": os.getpid()})


def test_there_is_nothing_else(browser):
    paths = "/favicon.ico", "//evil.example/", "/static/", "/static/../app.py"
    for path in paths:
        assert browser.request(path=path).status == 404
    assert browser.request("GET", "/api/increment").status == 405
    answer = browser.request("PUT")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("script", "location"),
    [("/cgi-bin/démo", "/cgi-bin/d%C3%A9mo/"), ("//evil", "/evil/")],
)
def test_a_redirect_stays_here(browser, script, location):
    script = script.encode().decode("latin-1")
    answer = browser.request("POST", body=b"action=slow", SCRIPT_NAME=script)
    assert answer.headers["location"] == location
    page = browser.request(SCRIPT_NAME=script)
    assert f'href="{location}static/style.css"' in page.body


def test_a_damaged_session_is_none(browser, root):
    browser.save("x")
    file_of(root, browser.session_id).write_bytes(b"?" * 600)
    answer = browser.request()
    assert answer.status == 200
    assert "There is no such session" in shown(answer, "notice")
    assert browser.increment() == (410, None)


def test_a_failing_store_is_not_the_clients_fault(browser, root):
    shutil.rmtree(root)
    for method, body, why in (
        ("GET", b"", f"No such file or directory: '{root}'"),
        ("POST", b"action=login&name=x", f"{root} is gone"),
        ("POST", b"action=save&note=left&text=x", f"{root} is gone"),
    ):
        errors = io.StringIO()
        answer = browser.request(method, body=body, **{"wsgi.errors": errors})
        assert answer.status == 503
        assert str(root) not in answer.body
        assert why in errors.getvalue()
