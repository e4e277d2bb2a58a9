"""
What every web server and every framework must do with sessions, as tests. A
module that takes them by name has fixtures `site` and `client`.
"""

from __future__ import annotations

import json
import re

from client import Client, at_once


def test_every_increment_counts(client):
    assert client.value("/count") == 1
    pids, seen = set(), []

    def ten():
        tab = client.another()
        for _ in range(10):
            answer = json.loads(tab.get("/count").body)
            seen.append(answer["value"])
            pids.add(answer["pid"])

    # A quick worker may answer them all, but not for ever.
    for _ in range(50):
        at_once(8, ten)
        if len(pids) > 1:
            break
    assert sorted(seen) == list(range(2, 2 + len(seen)))
    assert client.value("/get") == {"count": 1 + len(seen)}
    assert len(pids) > 1


def test_keys_of_a_slow_and_a_quick_request(client):
    client.value("/count")
    with client.held("/put?key=slow&value=1") as finish:
        client.value("/put?key=quick&value=2")
        assert finish().status == 200
    assert client.value("/get") == {"count": 1, "slow": "1", "quick": "2"}


def test_changes_inside_values(client):
    for value in "abc":
        client.get(f"/append?value={value}")
    assert client.value("/get") == {"nested": {"list": ["a", "b", "c"]}}


def test_reading_writes_nothing(client):
    client.value("/count")
    before = client.file.stat(), client.file.read_bytes()
    for tab in [client.another() for _ in range(20)]:
        answer = tab.get("/get")
        assert answer.set_cookie is None
        assert answer.getheader("Vary") == "Cookie"
    after = client.file.stat(), client.file.read_bytes()
    assert (after[0].st_ino, after[0].st_mtime_ns) == (
        before[0].st_ino,
        before[0].st_mtime_ns,
    )
    assert after[1] == before[1]


def test_log_out_wins_over_a_slow_request(client):
    client.value("/count")
    path = client.file
    with client.held("/put?key=slow&value=1") as finish:
        assert client.get("/log-out").is_cleared
        answer = finish()
        assert answer.status == 200
        assert "Max-Age=0" in answer.getheader("Set-Cookie")
    assert not path.exists()


def test_a_cookie_made_up_is_not_adopted(site, client):
    for made_up in "x" * 32, "", "a" * 5000, "\xff" * 32, '"', "../../x":
        answer = client.get("/count", Cookie=f"sid={made_up}")
        assert json.loads(answer.body)["value"] == 1
        issued = answer.set_cookie.partition(";")[0].partition("=")[2]
        assert re.fullmatch(r"\S{32}", issued)
        adopted = issued == made_up
        assert not adopted


def test_the_id_from_before_a_log_in_is_good_for_nothing(client):
    client.value("/count")
    before = client.another()
    client.get("/log-in?name=ann")
    renewed = client.cookie != before.cookie
    assert renewed
    assert client.value("/get") == {"count": 1, "user": "ann"}
    answer = before.get("/put?key=late&value=1")
    assert (answer.status, answer.set_cookie) == (200, None)
    assert before.value("/get") == {}
    assert client.value("/get") == {"count": 1, "user": "ann"}


def test_a_log_out_with_the_id_from_before_a_log_in_ends_both(client):
    client.value("/count")
    before = client.another()
    client.get("/log-in?name=ann")
    assert before.get("/log-out").is_cleared
    assert client.value("/get") == {}


def test_crawlers_leave_nothing(site):
    def files():
        return sum(path.is_file() for path in site.sessions.rglob("*"))

    Client(site).get("/get")  # makes the store
    before = files()

    def fifty():
        for number in range(50):
            crawler = Client(site)
            answer = crawler.get("/get" if number % 2 else "/nothing")
            assert (answer.status, answer.set_cookie) == (200, None)

    at_once(4, fifty)
    assert files() == before
