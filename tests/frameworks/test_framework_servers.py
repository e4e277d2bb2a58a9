"""
Each framework under the server that one usually finds it on: what the
middleware promises holds for its sessions too.
"""

from __future__ import annotations

import pytest

from client import Client
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
from serving import gunicorn, serving, uvicorn

pytestmark = pytest.mark.server

THREADS = "--threads", "4"  # for a slow request beside quick ones

FRAMEWORKS = {
    "flask": lambda root: gunicorn(root, *THREADS, app="flask_probe:app"),
    "pyramid": lambda root: gunicorn(
        root, *THREADS, app="pyramid_probe:application"
    ),
    "bottle": lambda root: gunicorn(
        root, *THREADS, app="bottle_probe:application"
    ),
    "fastapi": lambda root: uvicorn(root, "fastapi_probe:app"),
}


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(request):
    with serving(FRAMEWORKS[request.param]) as site:
        yield site


@pytest.fixture
def client(site):
    return Client(site)
