"""The demo: its page, its command, its self-test, and as a CGI script."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

import websession
from conftest import missing
from support import file_of, session_files, until
from websession.cli import main
from websession.demo import cgi_app, selftest
from websession.demo.app import make_app
from websession.ids import handle

needs_cgi_handler = pytest.mark.skipif(
    not hasattr(http.server, "CGIHTTPRequestHandler"),
    reason="http.server of this Python runs no CGI scripts",
)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def cleared(self):
        return "Max-Age=0" in self.headers.get("set-cookie", "")


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
        parts = self.app(environ, lambda *what: seen.append(what[:2]))
        body = b"".join(parts).decode("utf-8")
        getattr(parts, "close", bool)()
        answer = Answer(int(seen[0][0][:3]), seen[0][1], body)
        self.keep(answer)
        return answer

    def keep(self, answer):
        header = answer.headers.get("set-cookie")
        if header is not None:
            self.cookie = None if answer.cleared else header.partition(";")[0]

    def post(self, **form):
        return self.request("POST", body=urlencode(form).encode())

    def increment(self, **environ):
        answer = self.request("POST", "/api/increment", **environ)
        return answer.status, json.loads(answer.body).get("counter")


@pytest.fixture
def browser(root, clock):
    return Browser(make_app(root, clock))


def row(answer, name):
    """What stands beside `name` in the page's table."""
    return re.search(rf"<th>{name}</th><td>([^<]*)<", answer.body)[1]


# The page


def test_no_session_before_something_is_stored(browser, root):
    for method, query in ("GET", ""), ("HEAD", ""), ("GET", "look"):
        answer = browser.request(method, QUERY_STRING=query)
        assert answer.status == 200
        assert "set-cookie" not in answer.headers
    assert browser.post(action="delete").status == 303
    assert browser.post(action="renew").status == 409
    assert session_files(root) == []


def test_a_saved_text_is_on_the_page(browser, root):
    saved = browser.post(action="save", text="Gruß\r\n an alle")
    assert saved.status == 303
    assert saved.headers["location"] == "/"
    attributes = saved.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert len(browser.session_id) == 32
    answer = browser.request()
    assert ">\nGruß\r\n an alle</textarea>" in answer.body
    assert row(answer, "Worker process") == str(os.getpid())
    assert row(answer, "Handle") == handle(browser.session_id).decode()
    assert not re.search(re.escape(browser.session_id), answer.body)
    assert len(session_files(root)) == 1


def test_over_tls_the_cookie_is_bound_to_the_host(browser):
    answer = browser.request(
        "POST",
        body=b"action=save&text=x",
        **{"wsgi.url_scheme": "https"},
    )
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-websession=")
    assert attributes == ["Path=/", "HttpOnly", "Secure", "SameSite=Lax"]
    assert not row(browser.request(), "Session").startswith("x")
    answer = browser.request(**{"wsgi.url_scheme": "https"})
    assert row(answer, "Visits") == "1"


def test_visits_are_counted_looks_are_not(browser):
    browser.post(action="save", text="x")
    for expected in "1", "2", "3":
        assert row(browser.request(), "Visits") == expected
    assert row(browser.request(QUERY_STRING="look"), "Visits") == "3"


def test_seconds_left(browser, clock):
    browser.post(action="save", text="x")
    clock.move(10)
    answer = browser.request(QUERY_STRING="look")
    assert row(answer, "Expires when unused for") == "50 s from now"
    assert row(answer, "Expires in any case") == "590 s from now"
    answer = browser.request()
    assert row(answer, "Expires when unused for") == "60 s from now"
    assert row(answer, "Expires in any case") == "590 s from now"


def test_nothing_is_cached(browser):
    for path in "/", "/nothing":
        headers = browser.request(path=path).headers
        assert headers["vary"] == "Cookie"
        assert headers["cache-control"] == "no-store"


def test_html_is_escaped(browser, clock):
    browser.post(action="save", text="</textarea><script>alert('1')</script>")
    escaped = (
        "&lt;/textarea&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"
    )
    for expired in False, True:
        answer = browser.request()
        assert escaped in answer.body
        assert "<script" not in answer.body
        assert answer.cleared is expired
        clock.move(61)


# Expiry, deletion, renewal


def test_an_expired_session_offers_its_text(browser, root, clock):
    browser.post(action="save", text="what I wrote")
    before = browser.session_id
    clock.move(61)
    answer = browser.request()
    assert answer.status == 200
    assert answer.cleared
    assert "Your session has expired" in answer.body
    assert "<blockquote>what I wrote</blockquote>" in answer.body
    assert ">\nwhat I wrote</textarea>" in answer.body
    assert session_files(root) == []
    browser.post(action="save", text="what I wrote")
    again = browser.session_id == before
    assert not again
    assert "what I wrote" in browser.request().body


def test_what_is_typed_into_an_expired_session_is_not_lost(browser, clock):
    browser.post(action="save", text="old")
    clock.move(61)
    answer = browser.post(action="save", text="new")
    assert answer.status == 409
    assert answer.cleared
    assert "<blockquote>old</blockquote>" in answer.body
    assert ">\nnew</textarea>" in answer.body


def test_activity_does_not_outlive_the_lifetime(browser, clock):
    browser.post(action="save", text="x")
    for _ in range(12):
        clock.move(50)
        assert not browser.request().cleared
    clock.move(1)
    answer = browser.request()
    assert answer.cleared
    assert "<blockquote>x</blockquote>" in answer.body


def test_after_two_minutes_nothing_is_left(browser, clock):
    browser.post(action="save", text="x")
    clock.move(121)
    answer = browser.request()
    assert answer.cleared
    assert "There is no such session" in answer.body
    assert "blockquote" not in answer.body.partition("</style>")[2]


def test_a_deleted_session_is_refused(browser, root):
    browser.post(action="save", text="x")
    cookie = browser.cookie
    answer = browser.post(action="delete")
    assert answer.status == 303
    assert answer.cleared
    assert session_files(root) == []
    assert browser.increment(HTTP_COOKIE=cookie) == (410, None)
    answer = browser.request(HTTP_COOKIE=cookie)
    assert answer.cleared
    assert row(answer, "Session") == "none: nothing is stored yet"
    assert session_files(root) == []


def test_a_new_id_keeps_the_session(browser, root, clock):
    browser.post(action="save", text="kept")
    old = browser.cookie
    assert browser.post(action="renew").status == 303
    renewed = browser.cookie != old
    assert renewed
    assert "kept" in browser.request().body
    # A request under way reads what there was, and changes nothing.
    late = browser.request(HTTP_COOKIE=old)
    assert "kept" in late.body
    assert "set-cookie" not in late.headers
    late = browser.request(
        "POST", body=b"action=save&text=late", HTTP_COOKIE=old
    )
    assert late.status == 409
    assert "set-cookie" not in late.headers
    assert "late</textarea>" in late.body
    assert browser.increment(HTTP_COOKIE=old) == (409, None)
    late = browser.request("POST", body=b"action=renew", HTTP_COOKIE=old)
    assert late.status == 303
    assert "set-cookie" not in late.headers
    kept = "kept</textarea>" in browser.request().body
    assert kept
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
    for action in "delete", "renew":
        answer = browser.request(
            "POST", body=f"action={action}".encode(), HTTP_COOKIE=cookie
        )
        assert answer.status in (303, 409)
        assert answer.cleared
    assert session_files(root) == []
    browser.request("POST", body=b"action=save", HTTP_COOKIE=cookie)
    adopted = browser.session_id in cookie or len(browser.session_id) != 32
    assert not adopted


@pytest.mark.parametrize("cookie", OTHER_COOKIES, ids=range(8))
def test_cookies_of_others_are_nothing_to_us(browser, root, cookie):
    answer = browser.request(HTTP_COOKIE=cookie)
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert session_files(root) == []


def test_of_several_cookies_the_first_counts(browser):
    browser.post(action="save", text="mine")
    cookies = f"a=b;{browser.cookie} ; websession={UNKNOWN}"
    assert "mine" in browser.request(HTTP_COOKIE=cookies).body


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
    browser.post(action="save", text="mine")
    for action in "save", "delete", "renew":
        answer = browser.request(
            "POST", body=f"action={action}&text=".encode(), **headers
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
        (400, b"action=save", "12"),
        (400, b"a&" * 1000, "2000"),
        (400, b"", "0"),
        (400, b"action=drop", "11"),
        (303, b"action=save&text=%ff%00\xff%zz%", "26"),
    ],
)
def test_forms(browser, root, clock, status, body, length):
    browser.app = make_app(root, clock)  # the validator refuses some lengths
    answer = browser.request("POST", body=body, CONTENT_LENGTH=length)
    assert answer.status == status
    assert bool(session_files(root)) is (status == 303)


def test_there_is_nothing_else(browser):
    assert browser.request(path="/favicon.ico").status == 404
    assert browser.request(path="//evil.example/").status == 404
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
    answer = browser.request("POST", body=b"action=save", SCRIPT_NAME=script)
    assert answer.headers["location"] == location


def test_a_damaged_session_is_none(browser, root):
    browser.post(action="save", text="x")
    file_of(root, browser.session_id).write_bytes(b"?" * 600)
    answer = browser.request()
    assert answer.status == 200
    assert answer.cleared


def test_a_failing_store_is_not_the_clients_fault(browser, root):
    shutil.rmtree(root)
    errors = io.StringIO()
    answer = browser.request(
        "POST", body=b"action=save", **{"wsgi.errors": errors}
    )
    assert answer.status == 503
    assert str(root) not in answer.body
    assert f"{root} is gone" in errors.getvalue()


# The command


@pytest.fixture
def gunicorn():
    if find_spec("gunicorn") is None:
        missing("gunicorn")


@pytest.fixture
def environment(tmp_path):
    """For a process that has a temporary directory of its own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return {**os.environ, "TMPDIR": str(temporary)}


def command_line(*arguments):
    return [sys.executable, "-m", "websession", *arguments]


def stop(process, number=signal.SIGTERM):
    """Stops a server; its exit status."""
    process.send_signal(number)
    try:
        return process.wait(30)
    finally:
        # Whatever is left of it: workers too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def started(command, **options):
    """A server with its output in a pipe, stopped at the end."""
    options.update(stdout=subprocess.PIPE, text=True, start_new_session=True)
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        if not process.stdout.closed:
            stop(process)


def test_gunicorn_is_missed_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gunicorn", None)
    assert main(["demo"]) == 2
    assert main(["demo", "--selftest"]) == 2
    sentence = (
        "websession demo needs gunicorn: pip install 'websession[demo]'\n"
    )
    assert capsys.readouterr() == ("", sentence * 2)


@pytest.mark.parametrize(
    "arguments", [[], ["--port", "x"], ["--clients", "1"], ["--workers", "0"]]
)
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(["demo", *arguments] if arguments else [])
    assert error.value.code == 2
    assert "usage: websession" in capsys.readouterr().err


def test_a_port_in_use_is_said_in_one_sentence(gunicorn, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 1
    assert capsys.readouterr() == (
        "",
        f"websession demo: cannot listen on 127.0.0.1, port {port}: "
        "Address already in use\n",
    )


def test_an_unsafe_directory_is_said_in_one_sentence(
    gunicorn, tmp_path, capsys
):
    tmp_path.chmod(0o755)
    arguments = ["demo", "--port", "0", "--directory", str(tmp_path)]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"websession demo: {tmp_path} is open to other")
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kept", [True, False])
def test_the_server_stops_cleanly(
    gunicorn, environment, tmp_path, number, kept
):
    command = command_line("demo", "--port", "0", "--workers", "2")
    if kept:
        command += ["--directory", str(tmp_path / "kept")]
    with started(command, env=environment) as server:
        directory = Path(server.stdout.readline().split()[3])
        assert directory.stat().st_mode & 0o777 == 0o700
        text = server.stdout.readline() + server.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", text)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/api/increment", b"")
        worker = json.loads(connection.getresponse().read())["pid"]
        connection.close()
        assert len(session_files(directory)) == 1
        assert stop(server, number) == 0
    until(lambda: not Path(f"/proc/{worker}/cmdline").exists())
    assert directory.exists() is kept
    assert os.listdir(environment["TMPDIR"]) == []


# The self-test


def test_the_selftest_succeeds(gunicorn, backend, environment):
    environment["WEBSESSION_BACKEND"] = backend
    command = command_line(
        "demo", "--selftest", "--seconds", "1", "--clients", "4"
    )
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, last = done.stdout.splitlines()
    assert first.startswith(f"gunicorn, {backend} backend: ")
    assert first.endswith(" requests per second")
    assert second.startswith("4 clients, 2 sessions, ")
    assert last.startswith("OK: ")
    assert "Traceback" not in done.stderr
    assert os.listdir(environment["TMPDIR"]) == []


def test_the_selftest_fails_when_the_end_is_wrong(
    gunicorn, monkeypatch, capsys
):
    finals = selftest._finals

    def one_less(*arguments):
        return [value - 1 for value in finals(*arguments)]

    monkeypatch.setattr(selftest, "_finals", one_less)
    assert selftest.run(workers=2, clients=2, seconds=0.5) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(
        r"FAILED: session 1 holds \d+ after \d+ acknowledged increments", last
    )


def test_the_selftest_fails_when_the_server_does_not_start(
    monkeypatch, capfd, environment
):
    monkeypatch.setattr(tempfile, "tempdir", environment["TMPDIR"])
    # A worker count that the command refuses.
    assert selftest.run(workers=0, clients=2, seconds=1) == 1
    out, _ = capfd.readouterr()
    assert out == "FAILED: the server did not start\n"
    assert os.listdir(environment["TMPDIR"]) == []


def tallies(*counters, pids=(1, 2), errors=()):
    return [
        selftest.Tally([list(own)], set(pids), list(errors))
        for own in counters
    ]


@pytest.mark.parametrize(
    ("seen", "final", "expected"),
    [
        (tallies([1, 3], [2, 4]), 4, []),
        (
            tallies([1, 3], [2, 4]),
            3,
            ["session 1 holds 3 after 4 acknowledged increments"],
        ),
        (
            tallies([1, 3], [2, 4]),
            None,
            ["session 1 holds None after 4 acknowledged increments"],
        ),
        (
            tallies([1, 2], [2, 3]),
            4,
            ["session 1 gave two clients one counter"],
        ),
        (tallies([1, 4, 3], [2]), 4, ["session 1 went back for one client"]),
        (tallies([1], [2], pids=[7]), 2, ["1 of 4 workers answered"]),
        (tallies([1], errors=["status 500"]), 1, ["status 500"]),
    ],
)
def test_what_the_selftest_finds(seen, final, expected):
    assert selftest.problems(seen, [final], workers=4) == expected


# CGI

HTTP_SERVER = """
import http.server, os, sys
http.server.nobody_uid = os.getuid  # root would change to nobody
class Handler(http.server.CGIHTTPRequestHandler):
    def log_message(self, *what): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""

LIGHTTPD = """
server.bind = "{root}/socket"
server.document-root = "{root}/www"
server.errorlog = "{root}/errors"
server.modules = ("mod_setenv", "mod_cgi")
cgi.assign = (".py" => "{python}")
setenv.add-environment = (
    "WEBSESSION_DEMO_DIRECTORY" => "{sessions}",
    "PYTHONPATH" => "{source}",
)
"""


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class CgiBrowser(Browser):
    """Drives the script over HTTP."""

    def __init__(self, connect, script):
        self.connect = connect
        self.script = script
        self.cookie = None

    def request(self, method="GET", path="", body=b"", **environ):
        headers = {
            "Host": "localhost",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        cookie = environ.get("HTTP_COOKIE", self.cookie)
        if cookie is not None:
            headers["Cookie"] = cookie
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, self.script + path, body, headers)
            got = connection.getresponse()
            # http.server says 200 before it runs a script.
            status = got.getheader("Status", str(got.status))
            text = got.read().decode("utf-8")
            answer = Answer(int(status[:3]), got.getheaders(), text)
        self.keep(answer)
        return answer


def check_cgi_script(browser, root):
    """What is promised of the script, whatever server runs it."""
    answer = browser.request()
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert session_files(root) == []
    saved = browser.post(action="save", text="Grüße <b>")
    assert saved.status == 303
    assert saved.headers["location"] == browser.script
    pages = [browser.request(), browser.request()]
    assert [row(page, "Visits") for page in pages] == ["1", "2"]
    assert len({row(page, "Worker process") for page in pages}) == 2
    assert ">\nGrüße &lt;b&gt;</textarea>" in pages[1].body
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda _: browser.increment(), range(20)))
    assert sorted(seen) == [(200, number) for number in range(1, 21)]
    answer = browser.request(HTTP_COOKIE="websession=" + "\xff" * 3000)
    assert (answer.status, answer.cleared) == (200, True)
    browser.post(action="save", text="x")
    cookie = browser.cookie
    assert browser.post(action="delete").cleared
    assert browser.increment(HTTP_COOKIE=cookie) == (410, None)


@needs_cgi_handler
def test_as_a_script_of_http_server(root, tmp_path):
    script = tmp_path / "cgi-bin" / "demo.py"
    script.parent.mkdir()
    source = Path(cgi_app.__file__).read_text("utf-8")
    script.write_text(f"#!{sys.executable}\n{source}", "utf-8")
    script.chmod(0o755)
    environment = {**os.environ, "WEBSESSION_DEMO_DIRECTORY": str(root)}
    command = [sys.executable, "-W", "ignore", "-c", HTTP_SERVER]
    with started(command, cwd=tmp_path, env=environment) as server:
        port = int(server.stdout.readline())
        check_cgi_script(
            CgiBrowser(
                lambda: http.client.HTTPConnection(
                    "127.0.0.1", port, timeout=30
                ),
                "/cgi-bin/demo.py",
            ),
            root,
        )


def test_as_a_script_of_lighttpd(root):
    program = shutil.which("lighttpd", path=os.defpath + ":/usr/sbin:/sbin")
    program = program or shutil.which("lighttpd")
    if program is None:
        missing("lighttpd")
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="ws-") as short:
        www = Path(short, "www")
        www.mkdir()
        (www / "demo.py").symlink_to(cgi_app.__file__)
        config = Path(short, "conf")
        config.write_text(
            LIGHTTPD.format(
                root=short,
                python=sys.executable,
                sessions=root,
                source=Path(websession.__file__).parents[1],
            )
        )

        def connect():
            return UnixConnection(f"{short}/socket", timeout=30)

        def ready():
            assert server.poll() is None, Path(short, "errors").read_text()
            with (
                contextlib.suppress(OSError),
                contextlib.closing(connect()) as connection,
            ):
                connection.connect()
                return True

        with started([program, "-D", "-f", str(config)]) as server:
            until(ready)
            check_cgi_script(CgiBrowser(connect, "/demo.py"), root)


def test_the_script_says_that_it_is_none_for_a_terminal(monkeypatch, capsys):
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    assert cgi_app.main() == 2
    assert capsys.readouterr().err == (
        "This is a CGI script: let a web server run it.\n"
    )


def test_the_script_says_that_its_directory_is_unsafe(
    monkeypatch, tmp_path, capsys
):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("WEBSESSION_DEMO_DIRECTORY", str(tmp_path))
    assert cgi_app.main() == 1
    out, err = capsys.readouterr()
    assert out.startswith("Status: 503 Service Unavailable\r\n")
    assert str(tmp_path) not in out
    assert f"{tmp_path} is open to other users" in err
