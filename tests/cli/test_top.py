"""`websession top`: what goes on in a store."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from console import handle_of, plain
from support import file_of
from websession import WebSession
from websession.admin.inspector import Inspector
from websession.admin.watch import Activity


@pytest.fixture
def activity(root, backend, ws):
    return Activity(Inspector(root, backend=backend), 5)


def test_what_happened_since_the_last_look(ws, activity, monkeypatch):
    # As many directories as there are, however busy the machine is.
    here = SimpleNamespace(time=time.time, monotonic=lambda: 0.0)
    monkeypatch.setattr("websession.admin.watch.time", here)
    past = time.time() - 100
    ids = [ws.newSession() for _ in range(50)]
    for session_id in ids:
        path = file_of(ws.sessiondict.path, session_id)
        os.utime(path, (past, past))
    ws.storeSession(ids[0], "again")
    new = ws.newSession()
    moment = activity.look(1000.0)
    assert (moment.sessions, moment.looked_at) == (51, 1.0)
    assert moment.created == 51 / 1000
    assert [each.handle for each in moment.latest[:2]] == [
        handle_of(new),
        handle_of(ids[0]),
    ]
    assert len(moment.latest) == 5
    time.sleep(0.2)
    ws.storeSession(ids[1], "now")
    moment = activity.look(0.1)
    assert moment.created == 0
    assert moment.stored == pytest.approx(10)
    assert moment.latest[0].handle == handle_of(ids[1])
    ws.deleteSession(ids[1])
    moment = activity.look(0.1)
    assert moment.sessions == 50
    assert handle_of(ids[1]) not in [each.handle for each in moment.latest]


def test_a_part_of_the_directories_stands_for_all(ws, activity):
    for _ in range(2000):
        ws.newSession()
    # No time at all: one directory.
    estimates = []
    for _ in range(256):
        moment = activity.look(1e-9)
        assert moment.looked_at == 1 / 256
        estimates.append(moment.sessions)
    assert sum(estimates) / 256 == 2000


def test_what_is_counted_is_not_estimated(make_store, activity):
    ws = WebSession(make_store(), maxSessionCount=10_000)
    for _ in range(300):
        ws.newSession()
    assert activity.look(1e-9).sessions == 300


def test_piped_it_is_a_line_each(console, root, ws):
    ws.newSession()
    # Long enough to look at all of it, beside a load too.
    out = console.text("top", root, "--interval", "1", "--count", "2")
    lines = out.splitlines()
    assert lines[0].split() == [
        "time", "sessions", "created/s", "stored/s", "looked", "at", "room"
    ]  # fmt: skip
    assert [line.split()[1] for line in lines[1:]] == ["1", "1"]
    for moment in console.json("top", root, "--count", "1"):
        assert moment["sessions"] == 1
        assert moment["room_bytes"] > 0
        assert "latest" not in moment


@pytest.mark.parametrize("rich", [True, False])
def test_on_a_terminal_it_is_a_picture_until_ctrl_c(console, root, ws, rich):
    sid = ws.newSession()

    def interrupt(process):
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)

    status, shown = console.on_terminal(
        "top", root, "--interval", "0.2", rich=rich, during=interrupt
    )
    assert status == 0
    pictures = shown.split("\x1b[H\x1b[J")[1:]
    assert len(pictures) > 2
    # The last one may be in the middle of being drawn.
    for picture in pictures[:-1]:
        assert handle_of(sid) in plain(picture)


def test_it_sees_what_others_do(console, root, ws):
    end = threading.Event()

    def work():
        while not end.wait(0.005):
            ws.newSession()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        out = console.text(
            "top", root, "--interval", "0.3", "--count", "4", "--json"
        )
    finally:
        end.set()
        worker.join()
    moments = [json.loads(line) for line in out.splitlines()]
    counts = [moment["sessions"] for moment in moments]
    assert counts == sorted(set(counts))
    assert all(moment["created"] > 10 for moment in moments[1:])
