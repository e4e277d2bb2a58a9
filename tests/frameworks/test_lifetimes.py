"""How long a session lives at most, whatever its activity."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from adapters import ADAPTERS

DAY = 86400.0


@pytest.fixture
def now(clock, monkeypatch):
    monkeypatch.setattr(time, "time", clock)
    return clock


def count(session):
    session["n"] = session.get("n", 0) + 1
    return session["n"]


def visits(ask, now, times, step):
    """What an active visitor sees: how often he came, each time."""
    cookie, seen = None, []
    for _ in range(times):
        answer = ask(cookie)
        for each in answer.cookies:
            cookie = each.partition(";")[0].partition("=")[2]
        seen.append(answer.seen)
        now.move(step)
    return seen


def of_framework(adapter, store, limit):
    if adapter == "cherrypy":
        return ADAPTERS[adapter](store, count, lifetime=limit / 60)
    other = {"WEBSESSION_LIFETIME": limit}
    return ADAPTERS[adapter](store, count, other=other)


@pytest.mark.parametrize(
    ("adapter", "limit"),
    [
        ("flask", 600),
        ("flask", timedelta(minutes=10)),
        ("django", 600.0),
        ("django", timedelta(minutes=10)),
        ("cherrypy", 600),
    ],
)
def test_frameworks_offer_a_lifetime(make_store, now, adapter, limit):
    ask = of_framework(adapter, make_store(serializer="json"), limit)
    assert visits(ask, now, 5, 290) == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("adapter", ["flask", "django"])
def test_where_the_framework_has_longer_settings_there_is_none(
    make_store, now, adapter
):
    ask = ADAPTERS[adapter](make_store(serializer="json"), count)
    assert visits(ask, now, 100, DAY) == list(range(1, 101))


@pytest.mark.parametrize(
    "adapter", ["wsgi", "asgi", "pyramid", "bottle", "cherrypy"]
)
def test_elsewhere_it_is_thirty_days(make_store, now, adapter):
    more = {"timeout": 43000} if adapter == "cherrypy" else {}
    ask = ADAPTERS[adapter](make_store(serializer="json"), count, **more)
    assert visits(ask, now, 33, 0.99 * DAY) == [*range(1, 32), 1, 2]


def test_cherrypys_own_longer_timeout_is_not_contradicted(make_store, now):
    store = make_store(serializer="json")
    ask = ADAPTERS["cherrypy"](store, count, timeout=60 * 24 * 60)
    assert visits(ask, now, 5, 59 * DAY) == [1, 2, 3, 4, 5]
    ask = ADAPTERS["cherrypy"](store, count, timeout=43000, lifetime=0)
    assert visits(ask, now, 60, DAY) == list(range(1, 61))


@pytest.mark.parametrize("adapter", ["flask", "django"])
def test_what_is_no_lifetime_is_refused(make_store, adapter):
    from django.core.exceptions import ImproperlyConfigured

    ask = of_framework(adapter, make_store(serializer="json"), -1)
    with pytest.raises((ValueError, ImproperlyConfigured), match="LIFETIME"):
        ask()


def test_flasks_interface_takes_it_as_an_argument(root):
    import flask

    from websession.flask import WebSessionInterface

    app = flask.Flask("lifetimes")
    for lifetime, expected in (None, 0), (60, 60), (timedelta(hours=1), 3600):
        interface = WebSessionInterface(root, lifetime=lifetime)
        assert interface.manager(app).sessions.maxLifetime == expected
