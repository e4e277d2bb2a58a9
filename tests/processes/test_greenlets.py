"""Greenlets that take turns within one thread that nobody has patched."""

from __future__ import annotations

import subprocess
import sys

import pytest
from greenlet import getcurrent, greenlet

from websession import FileStore, SessionBusy, WebSession
from websession.stores.records import RecordStore
from wrapping import WrappingEngine


def interleaved(ws, sid, other):
    """
    Updates a session in a greenlet that lets another one come in between; how
    often its function ran.
    """
    main, runs = getcurrent(), []

    def func(data):
        runs.append(1)
        if len(runs) == 1:
            main.switch()
        return [*data, "updated"]

    update = greenlet(lambda: ws.updateSession(sid, func))
    update.switch()
    greenlet(other).switch()
    update.switch()
    assert update.dead
    return len(runs)


@pytest.fixture
def sid(ws):
    return ws.newSession(data=[])


def test_a_store_of_another_greenlet_is_not_lost(ws, sid):
    def store():
        ws.storeSession(sid, [*ws.retrieveSession(sid), "stored"])

    assert interleaved(ws, sid, store) == 2
    assert ws.retrieveSession(sid) == ["stored", "updated"]


def test_an_update_of_another_greenlet_is_not_lost(ws, sid):
    def update():
        ws.updateSession(sid, lambda data: [*data, "other"])

    assert interleaved(ws, sid, update) == 2
    assert ws.retrieveSession(sid) == ["other", "updated"]


def test_updates_that_end_in_another_order_are_not_lost(ws, sid):
    main = getcurrent()

    def add(what):
        runs = []

        def func(data):
            runs.append(1)
            if len(runs) == 1:
                main.switch()
            return [*data, what]

        return greenlet(lambda: ws.updateSession(sid, func))

    first, second = add("first"), add("second")
    first.switch(), second.switch()
    first.switch(), second.switch()
    assert first.dead
    assert second.dead
    assert ws.retrieveSession(sid) == ["first", "second"]


def test_over_a_mapping_another_greenlets_update_is_refused():
    ws = WebSession({})
    sid = ws.newSession(data=[])

    def update():
        with pytest.raises(SessionBusy, match=r"another greenlet .* patch"):
            ws.updateSession(sid, lambda data: [*data, "other"])
        other = ws.newSession(data=[])
        ws.updateSession(other, lambda data: [*data, "other session"])

    assert interleaved(ws, sid, update) == 1
    assert ws.retrieveSession(sid) == ["updated"]


def test_an_update_within_an_update_is_still_its_own(ws, sid):
    def func(data):
        ws.storeSession(sid, ["stored"])
        return ["returned"]

    greenlet(lambda: ws.updateSession(sid, func)).switch()
    assert ws.retrieveSession(sid) == ["returned"]


def test_an_expiry_is_not_taken_for_another_greenlets(any_engine, clock):
    engine = WrappingEngine(any_engine)
    ws = WebSession(RecordStore(engine), 0, 60, clock=clock)
    sid = ws.newSession()
    engine.before("remove", getcurrent().switch)
    clock.move(61)
    expiry = greenlet(lambda: sid in map(ws.retrieveSession, [sid]))
    expiry.switch()
    clock.move(-61)
    ws.storeSession(sid, "refreshed")
    greenlet(lambda: ws.deleteSession(sid)).switch()
    assert sid not in ws.sessiondict
    with pytest.raises(KeyError):
        expiry.switch()


def test_greenlet_is_not_imported(tmp_path, backend):
    code = (
        "import sys; from websession import FileStore, WebSession\n"
        f"ws = WebSession(FileStore({str(tmp_path / 'store')!r}, "
        f"backend={backend!r}))\n"
        "ws.updateSession(ws.newSession(), lambda data: data)\n"
        "sys.exit('greenlet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_store_of_its_own_gives_way_to_its_update(tmp_path, backend):
    """What imports greenlet in the middle of an update loses nothing."""
    ws = WebSession(FileStore(tmp_path / "store", backend=backend))
    sid = ws.newSession(data=0)
    hidden = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.partition(".")[0] == "greenlet"
    }

    def func(data):
        sys.modules.update(hidden)
        ws.storeSession(sid, 10)
        return data + 1

    try:
        ws.updateSession(sid, func)
    finally:
        sys.modules.update(hidden)
    assert ws.retrieveSession(sid) == 11
