"""`websession.cgi`: scripts that print their headers themselves."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import websession
from websession import WebSession, cgi
from websession.web import SessionCookie

# What a module in C that was made with a sanitizer needs.
SANITIZED = {
    name: os.environ[name]
    for name in ("LD_PRELOAD", "ASAN_OPTIONS")
    if name in os.environ
}
BEGIN = """
import sys
sys.path.insert(0, {source!r})
from websession import cgi
from websession.web import SessionCookie

cookie = SessionCookie("sid", secure=None)
with cgi.session({root!r}, cookie=cookie, max_size=4096) as session:
"""
COUNT = """
    session["visits"] = session.get("visits", 0) + 1
    print("Content-Type: text/plain")
    print(session.headers())
    print()
    print(session["visits"], "visits")
"""


@pytest.fixture
def visit(tmp_path, backend):
    """Runs a script as a server does; status, headers, body, errors."""
    root = tmp_path / "sessions"

    def run(code=COUNT, cookie=None, **environment):
        begin = BEGIN.format(
            source=str(Path(websession.__file__).parents[1]), root=str(root)
        )
        environment = {
            "PATH": os.environ["PATH"],
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": "GET",
            "WEBSESSION_BACKEND": backend,
            **SANITIZED,
            **environment,
        }
        if cookie is not None:
            environment["HTTP_COOKIE"] = cookie
        done = subprocess.run(
            [sys.executable, "-c", begin + code],
            env=environment,
            capture_output=True,
            text=True,
        )
        head, _, body = done.stdout.partition("\n\n")
        lines = head.splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines)  # none of them twice
        return done.returncode, headers, body, done.stderr

    run.root = root
    return run


def cookie_of(headers):
    return headers["Set-Cookie"].partition(";")[0]


def sessions(visit):
    return WebSession.for_web(visit.root).countSessions()


def test_a_script_of_ten_lines_counts_visits(visit):
    status, headers, body, errors = visit()
    assert (status, body, errors) == (0, "1 visits\n", "")
    assert headers["Vary"] == "Cookie"
    assert headers["Cache-Control"] == "no-store"
    cookie = cookie_of(headers)
    assert headers["Set-Cookie"] == (
        f"{cookie}; Path=/; HttpOnly; SameSite=Lax"
    )
    status, headers, body, errors = visit(cookie=cookie)
    assert (status, body, errors) == (0, "2 visits\n", "")
    assert headers == {"Content-Type": "text/plain", "Vary": "Cookie"}


def test_the_cookie_of_a_request_over_tls_is_secure(visit):
    headers = visit(HTTPS="on")[1]
    assert headers["Set-Cookie"].endswith("; SameSite=Lax; Secure")


@pytest.mark.parametrize(
    "cookie", ["sid=" + "x" * 32, "sid=", "\xff; sid=../"]
)
def test_a_cookie_made_up_is_not_adopted(visit, cookie):
    status, headers, body, _ = visit(cookie=cookie)
    assert (status, body) == (0, "1 visits\n")
    assert "x" * 32 not in headers["Set-Cookie"]
    assert sessions(visit) == 1


def test_a_visitor_for_whom_nothing_is_stored_leaves_nothing(visit):
    status, headers, body, _ = visit(
        '\n    print(session.headers())\n    print()\n    session.get("user")'
    )
    assert (status, headers, body) == (0, {"Vary": "Cookie"}, "")
    assert sessions(visit) == 0


def test_log_in_and_log_out(visit):
    cookie = cookie_of(visit()[1])
    new = cookie_of(visit("\n    session.regenerate()" + COUNT, cookie)[1])
    assert new != cookie
    assert visit(cookie=new)[2] == "3 visits\n"
    headers = visit(
        "\n    session.invalidate()\n    print(session.headers())", new
    )[1]
    assert "Max-Age=0" in headers["Set-Cookie"]
    assert sessions(visit) == 0


def test_what_changes_after_the_headers_is_stored_at_the_end(visit):
    cookie = cookie_of(visit()[1])
    later = '    session["visits"] = 7\n    sys.exit(0)\n'
    assert visit(COUNT + later, cookie)[2] == "2 visits\n"
    assert visit(cookie=cookie)[2] == "8 visits\n"


def test_an_exception_stores_nothing_and_prints_no_headers(visit):
    cookie = cookie_of(visit()[1])
    status, headers, body, errors = visit(
        '\n    print("Content-Type: text/plain")'
        '\n    session["visits"] = 7\n    1 / 0',
        cookie,
    )
    assert (status, headers, body) == (1, {}, "")
    assert "ZeroDivisionError" in errors
    assert visit(cookie=cookie)[2] == "2 visits\n"


def test_a_session_that_is_too_large_is_answered_with_413(visit):
    cookie = cookie_of(visit()[1])
    status, headers, body, errors = visit(
        '\n    session["large"] = "x" * 5000' + COUNT, cookie
    )
    assert status == 0
    assert headers["Status"] == "413 Content Too Large"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert len(body) == int(headers["Content-Length"])
    assert "visits" not in body
    assert "large" in errors  # which key it is
    assert visit(cookie=cookie)[2] == "2 visits\n"


def test_what_a_refused_script_prints_at_its_end_is_no_part_of_the_answer(
    visit,
):
    status, headers, body, _ = visit(
        '\n    session["large"] = "x" * 5000' + COUNT + 'print("page")\n'
    )
    assert (status, headers["Status"]) == (0, "413 Content Too Large")
    assert len(body) == int(headers["Content-Length"])


def test_too_many_sessions_are_answered_with_503(visit):
    visit()
    begin = "\n    session._manager.sessions.maxSessionCount = 1"
    status, headers, _, _ = visit(begin + COUNT)
    assert (status, headers["Status"]) == (0, "503 Service Unavailable")
    assert headers["Retry-After"] == "1"


def test_a_browser_that_is_not_told_of_its_session_is_an_error(visit):
    status, headers, _, errors = visit(
        '\n    session["user"] = "ann"\n    print("Content-Type: text/plain")'
    )
    assert (status, headers) == (1, {})
    assert "print(session.headers())" in errors


@pytest.mark.parametrize(
    "head", ["Content-Type: text/plain\\n", "A: b\\r\\n\\r", ""]
)
def test_no_id_is_printed_into_the_page(visit, head):
    status, headers, _, errors = visit(f'\n    print("{head}")' + COUNT)
    assert (status, headers) == (1, {})
    assert "before the empty line that ends the headers" in errors
    assert sessions(visit) == 0
    status, _, body, errors = visit(COUNT + "    print(session.headers())")
    assert (status, body) == (1, "1 visits\n")
    assert "print(session.headers()) once" in errors


def test_a_response_that_may_be_cached_is_for_one_browser(visit):
    code = COUNT.replace(
        "session.headers()",
        'session.headers([("Cache-Control", "public, max-age=60")])',
    )
    headers = visit(code)[1]
    assert headers["Cache-Control"] == "max-age=60, private"


def test_a_header_with_the_end_of_a_line_is_refused(visit):
    code = COUNT.replace("headers()", 'headers([("Location", "/\\nX: 1")])')
    status, headers, _, errors = visit(code)
    assert (status, headers) == (1, {})
    assert "control characters" in errors
    assert sessions(visit) == 0


def test_everything_comes_out_in_the_order_in_which_it_was_printed(visit):
    status, _, body, _ = visit(
        '\n    session["a"] = 1'
        '\n    sys.stdout.write("Content-Type: text/plain\\n")'
        '\n    sys.stdout.write(session.headers() + "\\n\\n")'
        '\n    print("\\u00e9t\\u00e9", flush=True)'
        '\n    sys.stdout.buffer.write(b"raw\\n")'
        "\n    sys.stdout.buffer.flush()"
        '\n    print("last")'
        '\nprint("after")',
        PYTHONIOENCODING="utf-8",
    )
    assert (status, body) == (0, "\u00e9t\u00e9\nraw\nlast\nafter\n")


def test_the_standard_output_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    cookie = SessionCookie("sid", secure=None)
    with cgi.session(tmp_path / "sessions", cookie=cookie) as session:
        print(session.headers())
        assert sys.stdout is not out
    assert sys.stdout is out
    with pytest.raises(KeyError), cgi.session(tmp_path / "sessions") as one:
        one["nothing"]
    assert sys.stdout is out
    assert out.buffer.getvalue() == b"Vary: Cookie\n"


@pytest.mark.parametrize(
    "wrap",
    [
        "io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
        "codecs.getwriter('utf-8')(sys.stdout.buffer)",
        "io.StringIO()",
    ],
)
def test_no_id_gets_into_a_page_whatever_the_output_is(visit, wrap):
    code = (
        f"\n    import codecs, io\n    sys.stdout = {wrap}"
        '\n    session["user"] = "ann"'
        '\n    print("Content-Type: text/plain\\n")'
        "\n    print(session.headers())"
    )
    status, headers, body, errors = visit(code)
    assert (status, headers, body) == (1, {}, "")
    assert "before the empty line" in errors
    assert sessions(visit) == 0


def test_an_output_that_codecs_made_is_held_back_too(visit, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import codecs, sys\n"
        "from websession import cgi\n"
        "from websession.web import SessionCookie\n"
        "sys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer)\n"
        f"with cgi.session({str(visit.root)!r}) as session:\n"
        "    session['user'] = 'ann'\n"
        "    print('Content-Type: text/plain')\n"
        "    if len(sys.argv) > 1:\n"
        "        print()\n"
        "    print(session.headers())\n"
    )
    source = str(Path(websession.__file__).parents[1])

    def run(*arguments):
        return subprocess.run(
            [sys.executable, script, *arguments],
            env={**os.environ, "PYTHONPATH": source},
            capture_output=True,
            text=True,
        )

    assert "Set-Cookie: __Host-websession=" in run().stdout
    assert run("early").stdout == ""


def test_headers_are_for_use_within_the_statement(visit):
    session = cgi.session(visit.root)
    session["user"] = "ann"
    with pytest.raises(RuntimeError, match="inside of `with`"):
        session.headers()
    assert sessions(visit) == 0
    with cgi.session(visit.root) as session:
        with pytest.raises(RuntimeError, match="for one `with`"):
            session.__enter__()


def test_a_program_that_is_started_after_the_headers_writes_in_order(visit):
    _, _, body, errors = visit(
        '\n    session["a"] = 1\n    import subprocess'
        "\n    print(session.headers() + '\\n\\n' + 'one')"
        "\n    subprocess.run(['echo', 'two'], stdout=sys.stdout.flush())"
        "\n    subprocess.run(['echo', 'three'], stdout=sys.stdout)"
        "\n    print('four')"
    )
    assert (body, errors) == ("one\ntwo\nthree\nfour\n", "")
    status, headers, _, errors = visit(
        "\n    import subprocess"
        "\n    subprocess.run(['echo', 'two'], stdout=sys.stdout)"
    )
    assert (status, headers) == (1, {})
    assert "print(session.headers()) before others write" in errors


def test_an_unbuffered_output_stays_unbuffered(visit):
    _, _, body, _ = visit(
        '\n    session["a"] = 1\n    import os'
        "\n    print(session.headers() + '\\n\\n' + 'one')"
        "\n    os.system('echo two')\n    print('three')",
        PYTHONUNBUFFERED="1",
    )
    assert body == "one\ntwo\nthree\n"


def test_a_child_that_is_forked_within_stores_and_prints_nothing(visit):
    fork = (
        "\n    import os\n    print('X-Before: 1')"
        "\n    if os.fork() == 0:"
        "\n        session['child'] = True\n        sys.exit()"
        "\n    os.wait()"
    )
    status, headers, body, errors = visit(fork + COUNT)
    assert (status, body, errors) == (0, "1 visits\n", "")
    assert headers["Content-Type"] == "text/plain"
    assert sessions(visit) == 1


def test_a_cookie_that_names_nothing_is_no_error_where_all_is_read(visit):
    status, headers, body, errors = visit(
        '\n    print("Content-Type: text/plain\\n")'
        '\n    print("user", session.get("user"))',
        "sid=" + "x" * 32,
    )
    assert (status, body, errors) == (0, "user None\n", "")
    assert headers == {"Content-Type": "text/plain"}


def test_a_script_may_do_with_less_after_what_was_too_large(visit):
    status, _, body, _ = visit(
        '\n    session["large"] = "x" * 5000\n    try:'
        "\n        session.headers()\n    except Exception:"
        '\n        del session["large"]' + COUNT
    )
    assert (status, body) == (0, "1 visits\n")
    assert sessions(visit) == 1


def test_a_refusal_is_printed_though_the_script_has_another_output(visit):
    _, headers, body, _ = visit(
        "\n    import codecs"
        "\n    sys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer)"
        '\n    session["large"] = "x" * 5000' + COUNT
    )
    assert headers["Status"] == "413 Content Too Large"
    assert "visits" not in body


def test_a_script_may_close_its_output(visit):
    cookie = cookie_of(visit()[1])
    status, _, body, errors = visit(
        COUNT + "    sys.stdout.close()\n    session['visits'] = 7\n", cookie
    )
    assert (status, body, errors) == (0, "2 visits\n", "")
    assert visit(cookie=cookie)[2] == "8 visits\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTPS", "yes"), ("HTTPS", "1"), ("REQUEST_SCHEME", "https")],
)
def test_what_servers_call_tls(visit, name, value):
    assert visit(**{name: value})[1]["Set-Cookie"].endswith("; Secure")
