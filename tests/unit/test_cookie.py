"""The session cookie: what is sent, and what comes back from whomever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from websession import WebSession
from websession.web import Session, SessionCookie, SessionManager


def test_by_default_it_is_bound_to_host_and_tls():
    cookie = SessionCookie()
    assert cookie.set("ID", https=False) == (
        "__Host-websession=ID; Path=/; HttpOnly; SameSite=Lax; Secure"
    )


def test_clearing_ends_the_very_cookie():
    cookie = SessionCookie("sid", path="/app", domain="example.org")
    assert cookie.clear(https=True) == (
        "sid=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/app; "
        "HttpOnly; SameSite=Lax; Domain=example.org; Secure"
    )


@pytest.mark.parametrize(
    ("options", "https", "name"),
    [
        ({}, False, "__Host-websession"),
        ({"secure": False}, True, "websession"),
        ({"secure": None}, False, "websession"),
        ({"secure": None}, True, "__Host-websession"),
        ({"path": "/app"}, True, "__Secure-websession"),
        ({"domain": "example.org"}, True, "__Secure-websession"),
        ({"name": "sid"}, True, "sid"),
    ],
)
def test_names(options, https, name):
    cookie = SessionCookie(**options)
    assert cookie.name(https) == name
    assert cookie.set("ID", https).startswith(f"{name}=ID; ")
    assert ("Secure" in cookie.set("ID", https).split("; ")) == (
        https if options.get("secure", True) is None else
        options.get("secure", True)
    )  # fmt: skip


def test_a_lifetime_in_the_browser():
    cookie = SessionCookie("sid", max_age=3600)
    assert cookie.set("ID", True).startswith("sid=ID; Max-Age=3600; Path=/")


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a=b"},
        {"name": "é"},
        {"same_site": "lax"},
        {"same_site": "None", "secure": None},
        {"path": "app"},
        {"path": "/;x"},
        {"path": "/\r\n"},
        {"domain": "a;b"},
        {"name": "__Host-x", "secure": False},
        {"name": "__Host-x", "path": "/app"},
        {"name": "__Host-x", "domain": "example.org"},
        {"name": "__Secure-x", "secure": None},
    ],
)
def test_what_browsers_would_not_take_is_refused(options):
    with pytest.raises(ValueError):
        SessionCookie(**options)


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("", []),
        ("sid=a", ["a"]),
        ("other=1; sid=a; more=2", ["a"]),
        ("sid=a;sid=b", ["a", "b"]),
        ("sid=a; sid=a", ["a"]),
        ("sid=1;sid=2;sid=3;sid=4;sid=5", ["1", "2", "3", "4"]),
        ('sid="a"', ["a"]),
        ('sid="', ['"']),
        ("sid", []),
        ("sid=", [""]),
        ("SID=a", []),
        ("xsid=a; sidx=b; x=sid=c", []),
        (" sid = a ;", ["a"]),
        ("\tsid=a\t", ["a"]),
        ("sid=a=b", ["a=b"]),
        ("sid=a,sid=b", ["a,sid=b"]),
        ("sid=%41", ["%41"]),
        ("sid=\xe9\0", ["\xe9\0"]),
        (";;;sid=a;;", ["a"]),
    ],
)
def test_what_is_found_in_a_header(header, values):
    assert SessionCookie("sid").values(header, False) == values


def test_a_header_of_64_kib():
    header = "; ".join(f"c{i}={'x' * 20}" for i in range(2500)) + "; sid=a"
    assert len(header) > 65536
    cookie = SessionCookie("sid")
    assert cookie.values(header, False) == ["a"]
    assert cookie.values("sid=" + "y" * 65536, False) == ["y" * 65536]
    assert cookie.values("sid;" * 16384, False) == []


@given(st.text(alphabet='sid=; \t"\0\xff,a', max_size=60))
def test_no_header_is_an_error(header):
    for value in SessionCookie("sid").values(header, False):
        assert isinstance(value, str)
        assert ";" not in value


@pytest.mark.parametrize("char", ' ",;\\')
def test_ids_that_no_cookie_can_carry_are_refused(char):
    sessions = WebSession(sessionIDLength=64, sessionIDChars="abc" + char)
    with pytest.raises(ValueError, match=re.escape(f"has {char!r}: no")):
        SessionManager(sessions)


def test_ids_of_all_that_a_cookie_can_carry():
    chars = "".join(map(chr, range(0x21, 0x7F))).translate(
        dict.fromkeys(map(ord, '",;\\'))
    )
    sessions = WebSession(
        sessionIDLength=500, sessionIDChars=chars, crossCheckVars=()
    )
    manager = SessionManager(sessions)
    for _ in range(20):
        session = Session(manager, {"wsgi.url_scheme": "https"})
        session["a"] = 1
        session._commit()
        pair = session._cookie().partition("; ")[0]
        again = Session(
            manager,
            {"wsgi.url_scheme": "https", "HTTP_COOKIE": f"b=1; {pair}; c=2"},
        )
        assert dict(again) == {"a": 1}
