"""The warning of a secure cookie that browsers will not send back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from websession.asgi import SessionMiddleware as AsgiMiddleware
from websession.web import SessionCookie, plainhttp
from websession.wsgi import SessionMiddleware


@pytest.fixture
def visit(root, backend, monkeypatch, caplog):
    """Makes a session in a request like this; what was warned of."""
    monkeypatch.setattr(plainhttp, "_has_warned", False)
    caplog.set_level(logging.WARNING, "websession")

    def app(environ, start_response):
        environ["websession.session"]["n"] = 1
        start_response("200 OK", [])
        return []

    def request(cookie=None, **environ):
        middleware = SessionMiddleware(
            app, root, backend=backend, cookie=cookie
        )
        environ.setdefault("wsgi.url_scheme", "http")
        list(middleware(environ, lambda status, headers: None))
        return [each.getMessage() for each in caplog.records]

    return request


def test_plain_http_to_a_host_is_told_once(visit):
    (said,) = visit(HTTP_HOST="shop.example:8080")
    assert "a request to shop.example:8080 came over plain HTTP" in said
    assert "every request begins a new session" in said
    assert "SessionCookie(secure=None)" in said
    assert visit(HTTP_HOST="other.example") == [said]


def test_a_server_without_a_host_header_is_told_by_its_name(visit):
    (said,) = visit(SERVER_NAME="192.0.2.1")
    assert "a request to 192.0.2.1 came" in said


def test_the_host_is_not_believed_to_be_printable(visit):
    (said,) = visit(HTTP_HOST="a\x1b[2J\n")
    assert said.isprintable()


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": "localhost"},
        {"HTTP_HOST": "localhost:8000"},
        {"HTTP_HOST": "shop.localhost:8000"},
        {"HTTP_HOST": "127.0.0.1:8000"},
        {"HTTP_HOST": "LocalHost:8000"},
        {"HTTP_HOST": "localhost."},
        {"HTTP_HOST": "[::1]"},
        {"SERVER_NAME": "::1"},
        {"SERVER_NAME": "127.1.2.3"},
        {"HTTP_HOST": "[::1]:8000"},
        {"SERVER_NAME": "localhost"},
        {"HTTP_HOST": "a.example", "wsgi.url_scheme": "https"},
        {"HTTP_HOST": "a.example", "HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_HOST": "a.example", "HTTP_X_FORWARDED_PROTO": "HTTPS, http"},
        {"HTTP_HOST": "a.example", "HTTP_FORWARDED": "for=b;proto=https"},
        {"HTTP_HOST": "a.example", "HTTP_FORWARDED": 'Proto="HTTPS";by=c'},
        {"HTTP_HOST": "a.example", "HTTP_X_FORWARDED_PROTO": "wss"},
    ],
)
def test_what_browsers_send_back_is_nothing_to_warn_of(visit, environ):
    assert visit(**environ) == []


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": "localhost.example"},
        {"HTTP_HOST": "127.0.0.1.example"},
        {"HTTP_HOST": "127.0.0.example:80"},
        {"HTTP_HOST": "a.example", "HTTP_X_FORWARDED_PROTO": "http"},
        {"HTTP_HOST": "a.example", "HTTP_FORWARDED": "for=b;proto=http"},
        {"HTTP_HOST": "[2001:db8::1]:80"},
    ],
)
def test_what_browsers_do_not_send_back(visit, environ):
    assert len(visit(**environ)) == 1


def test_a_cookie_that_came_back_shows_that_browsers_send_it(visit):
    name = SessionCookie().name(False)
    assert visit(HTTP_HOST="a.example", HTTP_COOKIE=f"{name}=madeUp") == []


def test_a_cookie_that_is_not_secure_is_nothing_to_warn_of(visit):
    for secure in (None, False):
        cookie = SessionCookie("sid", secure=secure)
        assert visit(cookie, HTTP_HOST="shop.example") == []


def test_who_has_no_session_is_not_warned(visit, root):
    def app(environ, start_response):
        start_response("200 OK", [])
        return []

    environ = {"wsgi.url_scheme": "http", "HTTP_HOST": "shop.example"}
    list(SessionMiddleware(app, root)(environ, lambda *what: None))
    assert not plainhttp._has_warned


def test_asgi_warns_too(visit, root, caplog):
    async def app(scope, receive, send):
        scope["session"]["n"] = 1
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def ignore(message):
        pass

    scope = {
        "type": "http", "scheme": "http",
        "headers": [(b"host", b"shop.example")],
    }  # fmt: skip
    asyncio.run(AsgiMiddleware(app, root)(scope, None, ignore))
    (said,) = caplog.records
    assert "shop.example" in said.getMessage()
