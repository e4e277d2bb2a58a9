"""
Django under gunicorn. It has no grace period for an old ID, and answers 400
to a request whose session was ended meanwhile.
"""

from __future__ import annotations

import pytest

from client import Client
from contract.site import (  # noqa: F401
    test_a_cookie_made_up_is_not_adopted,
    test_changes_inside_values,
    test_crawlers_leave_nothing,
    test_every_increment_counts,
    test_keys_of_a_slow_and_a_quick_request,
    test_reading_writes_nothing,
)
from serving import gunicorn, serving

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def site():
    with serving(
        lambda root: gunicorn(
            root, "--threads", "4", app="django_probe:application"
        )
    ) as site:
        yield site


@pytest.fixture
def client(site):
    return Client(site)


def test_log_out_wins_over_a_slow_request(client):
    client.value("/count")
    path = client.file
    with client.held("/put?key=slow&value=1") as finish:
        assert client.get("/log-out").is_cleared
        assert finish().status == 400
    assert not path.exists()


def test_the_id_from_before_a_log_in_is_dead(client):
    client.value("/count")
    before, path = client.another(), client.file
    client.get("/log-in?name=ann")
    renewed = client.cookie != before.cookie
    assert renewed
    assert client.value("/get") == {"count": 1, "user": "ann"}
    assert not path.exists()
    assert before.value("/get") == {}
