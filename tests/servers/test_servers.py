"""
The middleware under real servers, with several workers and concurrent clients.
"""

from __future__ import annotations

import contextlib
import http.client
import json

import pytest

from client import Client, at_once
from contract.site import (  # noqa: F401
    test_a_cookie_made_up_is_not_adopted,
    test_a_log_out_with_the_id_from_before_a_log_in_ends_both,
    test_changes_inside_values,
    test_crawlers_leave_nothing,
    test_every_increment_counts,
    test_keys_of_a_slow_and_a_quick_request,
    test_log_out_wins_over_a_slow_request,
    test_reading_writes_nothing,
    test_the_id_from_before_a_log_in_is_good_for_nothing,
)
from serving import SERVERS, serving
from support import until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", params=SERVERS)
def site(request):
    with serving(SERVERS[request.param]) as site:
        yield site


@pytest.fixture
def client(site):
    return Client(site)


def test_who_fails_the_cross_check_gets_an_empty_session(client):
    client.value("/count")
    thief = Client(client.site, client.cookie, agent="other")
    answer = thief.get("/get")
    assert (answer.status, answer.is_cleared) == (200, True)
    assert json.loads(answer.body)["value"] == {}
    assert client.value("/get") == {"count": 1}


def test_a_response_that_streams_holds_nothing(client):
    client.value("/count")
    expected = {"count": 1, "streamed": True}
    with client.held("/locked/stream") as finish:
        # It is stored, and neither the session nor its lock is held.
        assert client.value("/impatient/get") == expected
        client.value("/impatient/put?key=other&value=1")
        assert finish().read() == b"first\nlast\n"
    assert client.value("/get") == {**expected, "other": "1"}


def test_locked_requests_come_one_by_one(client):
    client.value("/count")
    values = at_once(3, lambda: client.another().value("/locked/add"))
    assert sorted(values) == [1, 2, 3]


def test_a_lock_that_is_not_to_be_had(client):
    client.value("/count")
    with client.held("/locked/add") as finish:
        answer = client.get("/impatient/get")
        assert answer.status == 503
        assert answer.getheader("Retry-After") == "1"
        assert client.value("/get") == {"count": 1}
        assert finish().status == 200
    assert client.value("/impatient/get") == {"count": 1, "sum": 1}


def test_a_worker_that_is_killed_takes_nothing_along(client):
    client.value("/count")
    for path in "/die", "/locked/die", "/die":
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert client.another().get(path).status >= 500
    until(lambda: client.another().get("/locked/count").status == 200)
    answer = client.value("/get")
    assert "died" not in answer
    assert answer["count"] == 2
