"""
CherryPy's sessions, under CherryPy's own server: one process with threads. It
has no grace period for an old ID.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from client import Client, at_once
from contract.site import (  # noqa: F401
    test_a_cookie_made_up_is_not_adopted,
    test_changes_inside_values,
    test_crawlers_leave_nothing,
    test_keys_of_a_slow_and_a_quick_request,
    test_log_out_wins_over_a_slow_request,
)
from serving import python, serving
from support import session_files

PROBE = Path(__file__).parent / "probes" / "cherrypy_probe.py"


@pytest.fixture(scope="module")
def site():
    with serving(lambda root: python(root, str(PROBE), "{socket}")) as site:
        yield site


@pytest.fixture
def client(site):
    return Client(site)


@pytest.mark.server
def test_a_session_that_is_too_large_is_413(client):
    client.value("/count")
    refused = client.get("/large")
    assert refused.status == 413
    assert b"The session would hold more than it may" in refused.body
    assert client.value("/get") == {"count": 1}


@pytest.mark.server
def test_a_stream_says_that_it_varies(client):
    client.value("/count")
    answer = client.get("/stream")
    assert json.loads(answer.body) == [1]
    assert answer.getheader("Vary") == "Cookie"
    assert answer.getheader("Cache-Control") == "no-store"


@pytest.mark.server
def test_every_increment_under_the_lock_counts(client):
    assert client.value("/count") == 1
    tab = client.another()
    seen = at_once(8, lambda: [tab.value("/count") for _ in range(10)])
    numbers = sorted(number for each in seen for number in each)
    assert numbers == list(range(2, 82))


@pytest.mark.server
def test_reading_writes_nothing(client):
    client.value("/count")
    before = client.file.stat().st_mtime_ns, client.file.read_bytes()
    for _ in range(20):
        assert client.value("/get") == {"count": 1}
    after = client.file.stat().st_mtime_ns, client.file.read_bytes()
    assert after == before


@pytest.mark.server
def test_the_id_from_before_a_log_in_is_dead(client):
    client.value("/count")
    before, path = client.another(), client.file
    client.get("/log-in?name=ann")
    renewed = client.cookie != before.cookie
    assert renewed
    assert client.value("/get") == {"count": 1, "user": "ann"}
    assert not path.exists()
    assert before.value("/get") == {}


def run(code, root):
    """What a fresh process says: CherryPy's settings are of the process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(root)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SITE = """
import json, sys, io
import cherrypy
from wsgiref.util import setup_testing_defaults
from websession.cherrypy import WebSessionStorage


class Site:
    @cherrypy.expose
    def put(self, **values):
        cherrypy.session.update(values)
        cherrypy.session["set"] = {1, 2}
        return "put"

    @cherrypy.expose
    def get(self):
        return repr(sorted(cherrypy.session.items()))

    @cherrypy.expose
    def bare(self):
        return "bare"

    @cherrypy.expose
    def twice(self):
        cherrypy.session["first"] = 1
        cherrypy.session.save()
        cherrypy.session["second"] = 2
        return "twice"

    @cherrypy.expose
    def again(self):
        cherrypy.session.regenerate()
        return str(len(cherrypy.session))


config = {
    "tools.sessions.on": True,
    "tools.sessions.storage_class": WebSessionStorage,
    "tools.sessions.storage_path": sys.argv[1],
    "tools.sessions.timeout": 30,
}
cherrypy.config.update({'log.screen': False})
app = cherrypy.tree.mount(Site(), "/", {"/": config})


def ask(path, cookie=None):
    path, _, query = path.partition("?")
    environ = {"PATH_INFO": path, "QUERY_STRING": query, "wsgi.input":
               io.BytesIO(), "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme":
               "http", "REQUEST_METHOD": "GET"}
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    setup_testing_defaults(environ)
    sent = []
    body = b"".join(
        app(environ, lambda status, headers, exc_info=None: sent.extend(
            [status, dict(headers)])))
    if not sent[0].startswith("200"):
        sys.exit(body.decode())
    return sent[1], body.decode()
"""


def test_the_cookie_lasts_as_long_as_the_session(root):
    code = SITE + (
        "headers, _ = ask('/put?a=1')\n"
        "cookie = headers['Set-Cookie'].partition(';')[0]\n"
        "again, body = ask('/get', cookie)\n"
        "print(json.dumps([headers['Set-Cookie'].partition(';')[2],"
        " headers['Vary'], headers['Cache-Control'], body]))"
    )
    attributes, vary, cache, body = run(code, root)
    assert "Max-Age=1800" in attributes
    assert (vary, cache) == ("Cookie", "no-store")
    assert body == "[('a', '1'), ('set', {1, 2})]"
    assert len(session_files(root)) == 1


def test_without_use_there_is_no_cookie_and_no_file(root):
    code = SITE + (
        "print(json.dumps(["
        "sorted(ask('/bare')[0]), sorted(ask('/get')[0]),"
        " ask('/get', 'session_id=' + 'x' * 32)[0].get('Set-Cookie')]))"
    )
    bare, get, made_up = run(code, root)
    assert "Set-Cookie" not in bare
    assert "Vary" not in bare
    assert "Set-Cookie" not in get
    assert "Vary" in get
    is_expired = "expires=" in made_up
    assert is_expired
    assert session_files(root) == []


def test_saving_twice_keeps_both(root):
    code = SITE + (
        "cookie = ask('/twice')[0]['Set-Cookie'].partition(';')[0]\n"
        "print(json.dumps(ask('/get', cookie)[1]))"
    )
    assert run(code, root) == "[('first', 1), ('second', 2)]"


def test_regenerate_moves_the_data(root):
    code = SITE + (
        "cookie = ask('/put?a=1')[0]['Set-Cookie'].partition(';')[0]\n"
        "headers, count = ask('/again', cookie)\n"
        "new = headers['Set-Cookie'].partition(';')[0]\n"
        "print(json.dumps([new != cookie, count, ask('/get', new)[1],"
        " ask('/get', cookie)[1]]))"
    )
    assert run(code, root) == [
        True, "1", "[('a', '1'), ('set', {1, 2})]", "[]",
    ]  # fmt: skip


def test_without_cherrypy_there_is_one_sentence():
    code = (
        "import sys; sys.modules['cherrypy'] = None\n"
        "try:\n    import websession.cherrypy\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == (
        "websession.cherrypy needs CherryPy 18 or newer: "
        "pip install cherrypy\n"
    ), done
