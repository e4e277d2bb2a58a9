"""Cookies of their own for each site that embeds ours (CHIPS)."""

from __future__ import annotations

import pickle
from http.cookies import SimpleCookie

import pytest
from flask.sessions import SessionInterface

from adapters import ADAPTERS
from machine import missing
from websession.web import SessionCookie
from websession.web.morsel import partition

SECURE = {"partitioned": True, "secure": True}


def put(session):
    session["a"] = 1


def parts(cookie):
    first, *attributes = cookie.split("; ")
    return first.partition("=")[2].strip('"'), attributes


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_adapter_sets_and_clears_them(make_store, adapter):
    if adapter == "flask" and not hasattr(
        SessionInterface, "get_cookie_partitioned"
    ):
        missing("Flask 3.1")
    store = make_store(serializer="json")
    ask = ADAPTERS[adapter](store, put, **SECURE)
    (cookie,) = ask().cookies
    session_id, attributes = parts(cookie)
    assert len(session_id) == 32
    assert "Partitioned" in attributes
    assert "Secure" in attributes
    ask = ADAPTERS[adapter](store, lambda session: session.get("a"), **SECURE)
    assert ask(session_id).seen == 1
    # Only one that says so takes a partitioned cookie away.
    seen, (cleared,) = ask("x" * 32)
    assert seen is None
    value, attributes = parts(cleared)
    assert value in ("", "x" * 32) or "Max-Age=0" in attributes
    assert "Partitioned" in attributes
    assert "Secure" in attributes


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_without_the_setting_there_are_none(make_store, adapter):
    ask = ADAPTERS[adapter](make_store(serializer="json"), put)
    (cookie,) = ask().cookies
    assert "Partitioned" not in cookie


def test_browsers_take_them_over_tls_only():
    for secure in False, None:
        with pytest.raises(ValueError, match="partitioned=True needs secure"):
            SessionCookie(secure=secure, partitioned=True)
    cookie = SessionCookie(same_site="None", partitioned=True)
    assert cookie.set("x", True).endswith(
        "; SameSite=None; Secure; Partitioned"
    )


def test_a_cookie_of_the_standard_library():
    cookies = SimpleCookie()
    cookies["sid"] = "x"
    cookies["sid"]["max-age"] = 5
    cookies["other"] = "y"
    partition(cookies, "sid")
    partition(cookies, "sid")
    partition(cookies, "absent")
    assert cookies["other"].OutputString() == "other=y"
    expected = "sid=x; Max-Age=5; Partitioned; Secure"
    assert cookies["sid"].OutputString() == expected
    again = pickle.loads(pickle.dumps(cookies))
    assert again["sid"].OutputString() == expected
    cookies["sid"] = "z"
    assert cookies["sid"].OutputString() == expected.replace("x", "z", 1)
