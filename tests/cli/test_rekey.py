"""`websession rekey`: another secret, with nobody logged out."""

from __future__ import annotations

import re
import signal
import time

import pytest

from support import Child, in_processes, session_files
from websession import (
    CorruptData,
    FileStore,
    SessionStoreError,
    WebSession,
)
from websession.admin.copy import resign
from websession.admin.inspector import Inspector
from websession.cli import main
from websession.ids import handle
from websession.keyring import Keyring
from websession.stores.transit import COPIED
from wrapping import WrappingEngine

OLD, NEW = "the old secret of a store", "the new secret of a store"


@pytest.fixture
def files(tmp_path):
    """Options that name both secrets."""
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(NEW + "\n")
    return ["--secret-file", tmp_path / "old",
            "--secret-file", tmp_path / "new"]  # fmt: skip


@pytest.fixture
def opened(root, backend):
    def make(*secrets):
        store = FileStore(
            root, secret=list(secrets) or None, backend=backend,
            sweep_interval=0,
        )  # fmt: skip
        return WebSession(store, crossCheckVars=("REMOTE_ADDR",))

    return make


ENV = {"REMOTE_ADDR": "192.0.2.7"}


def test_it_needs_two(console, root, store, files):
    for options in [], files[:2]:
        said = console.complaint("rekey", root, *options, status=2)
        assert said.startswith("name the old secret and the new one")


def test_from_one_secret_to_another(console, root, opened, files):
    ws = opened(OLD)
    ids = [ws.newSession(ENV, data=n, idle=n * 60) for n in range(20)]
    superseded = ws.newSession()
    ws.regenerateSession(superseded, grace=60)
    before = console.json("list", root)
    out = console.text("rekey", root, *files)
    assert out == "21 sessions signed anew, 0 were already, 0 failed\n"
    assert console.json("list", root) == before
    assert console.text("rekey", root, *files).startswith(
        "0 sessions signed anew, 21 were already"
    )
    there = opened(NEW)
    for number, session_id in enumerate(ids):
        assert there.retrieveSession(session_id, ENV) == number
        assert there.readSession(session_id, ENV).idle == number * 60
    with pytest.raises(CorruptData):
        opened(OLD).retrieveSession(ids[0], ENV)


def test_from_a_key_of_the_stores_own(console, root, opened, files):
    ws = opened()
    session_id = ws.newSession(ENV)
    options = ["--secret-file", root / ".key", *files[2:]]
    out = console.text("rekey", root, *options)
    assert "1 session signed anew" in out
    assert ".key is not used any more" in out
    (root / ".key").unlink()
    assert opened(NEW).retrieveSession(session_id, ENV) == "_created_"
    with pytest.raises(SessionStoreError, match="application's own"):
        opened()


def test_a_wrong_old_secret_changes_nothing(console, root, opened, files):
    opened("a third secret, of nobody's").newSession()
    (path,) = session_files(root)
    before = path.read_bytes()
    status, out, err = console.run("rekey", root, *files)
    assert status == 3
    assert "1 failed" in out
    assert err.endswith("it is signed with none of these secrets\n")
    assert path.read_bytes() == before
    other = root.parent / "own"
    FileStore(other, sweep_interval=0)
    said = console.complaint("rekey", other, *files, status=1)
    assert "was made with another key" in said


def test_a_store_in_between_is_not_lost(root, opened, backend):
    """At the same time, as clocks tell it."""
    ws = opened(OLD)
    ws._clock = lambda: 1e9
    session_id = ws.newSession(data="old")
    store = Inspector(
        root, secrets=[OLD.encode(), NEW.encode()], backend=backend
    )
    store.engine = WrappingEngine(store.engine)
    store.engine.after(
        "inspect", lambda: Child(ws.storeSession, session_id, "new").result()
    )
    store_id = bytes.fromhex(store.layout.marker[b"id"].decode())
    last = Keyring([NEW.encode()], store_id)
    assert resign(store, last, handle(session_id)) == COPIED
    assert opened(NEW).retrieveSession(session_id) == "new"


def test_what_has_expired_by_its_own_limit_is_no_failure(
    console, root, opened, files
):
    ws = opened(OLD)
    ws._clock = lambda: time.time() - 100
    ws.newSession(idle=10)
    assert console.text("rekey", root, *files) == (
        "0 sessions signed anew, 0 were already, 0 failed\n"
    )
    assert session_files(root) == []


def test_what_is_interrupted_says_how_many_are_signed(
    root, opened, files, monkeypatch, capsys
):
    ws = opened(OLD)
    for _ in range(5):
        ws.newSession(ENV)
    turns = iter(range(5))

    def interrupted(*arguments):
        if next(turns) == 3:
            raise KeyboardInterrupt
        return resign(*arguments)

    monkeypatch.setattr("websession.cli.rekey.resign", interrupted)
    assert main(["rekey", str(root), *map(str, files)]) == 130
    assert re.fullmatch(
        r"websession: interrupted while signing, at \d+%: "
        r"3 sessions signed anew, 0 were already, 0 failed\n",
        capsys.readouterr().err,
    )


@pytest.mark.proof
def test_beside_traffic_with_both(console, root, opened, files):
    ws = opened(OLD)
    ids = [ws.newSession(data=0) for _ in range(120)]
    both = opened(OLD, NEW)
    end = time.monotonic() + 4

    def work(number):
        if number == 2:
            time.sleep(0.5)
            console.json("rekey", root, *files)
            return 0
        turns = 0
        while time.monotonic() < end:
            for session_id in ids[number::2]:
                both.updateSession(session_id, lambda n: n + 1)
            turns += 1
        return turns

    one, other, _ = in_processes(3, work)
    there = opened(NEW)
    for index, session_id in enumerate(ids):
        assert there.retrieveSession(session_id) == (one, other)[index % 2]


@pytest.mark.proof
def test_killed_and_run_again(console, root, opened, files):
    ws = opened(OLD)
    ids = [ws.newSession(data=n) for n in range(300)]
    for number in range(15):
        process = console.start("rekey", root, *files)
        time.sleep(0.1 + 0.005 * number)
        process.send_signal([signal.SIGKILL, signal.SIGINT][number % 2])
        process.communicate(timeout=30)
        both = opened(OLD, NEW)
        for n, session_id in enumerate(ids):
            assert both.retrieveSession(session_id) == n
    console.text("rekey", root, *files)
    there = opened(NEW)
    assert [there.retrieveSession(sid) for sid in ids] == list(range(300))
