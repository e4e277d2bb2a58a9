"""`websession migrate`: sessions from other stores, all of them, and again."""

from __future__ import annotations

import shelve
import signal
import subprocess
import sys
import time

import pytest

from console import handle_of, plain
from support import in_processes, session_files, until
from websession import FileStore, InvalidSessionId, WebSession
from websession.stores.inspect import Inspector

SECRET, OTHER = "the secret of one store", "the secret of another"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


@pytest.fixture
def open_target(target, backend):
    def make(length=12, **options):
        options.setdefault("sweep_interval", 0)
        store = FileStore(target, backend=backend, **options)
        return WebSession(
            store, crossCheckVars=("REMOTE_ADDR",), sessionIDLength=length
        )

    return make


def counts(console, *arguments, status=0):
    (found,) = console.json("migrate", *arguments, status=status)
    return found


def known(path, backend):
    """Everything that is known of each session but the place it takes."""
    store = Inspector(path, backend=backend)
    return {each.handle: each._replace(disk=0) for each in store.sessions()}


@pytest.fixture
def filled(make_store):
    """Sessions of several ages, sizes and limits."""
    clock = [time.time() - 40_000]
    ws = WebSession(
        make_store(), crossCheckVars=("REMOTE_ADDR",), clock=lambda: clock[0]
    )
    ids = []
    for number in range(40):
        ids.append(
            ws.newSession(
                {"REMOTE_ADDR": f"192.0.2.{number}"},
                data={"n": number, "text": "x" * 97 * number},
                idle=86400 * number if number % 3 == 0 else None,
            )
        )
        clock[0] += 500
    for session_id in ids[::4]:
        ws.touchSession(session_id)
        clock[0] += 10
    ws.deleteSession(ids.pop())
    return ws, ids


def test_everything_is_kept(
    console, root, target, filled, open_target, backend
):
    ws, ids = filled
    ws.regenerateSession(ws.newSession(data="superseded"), grace=60)
    out = console.text("migrate", root, target, "--shards", "16")
    assert out == (
        "40 sessions: 40 copied, 0 there already, 0 gone meanwhile, 0 failed\n"
    )
    assert known(target, backend) == known(root, backend)
    assert Inspector(target).layout.shards == 16
    there = open_target()
    for number, session_id in enumerate(ids):
        env = {"REMOTE_ADDR": f"192.0.2.{number}"}
        one, other = (
            each.readSession(session_id, env) for each in (there, ws)
        )
        for name in "created", "stored", "env", "data", "idle":
            assert getattr(one, name) == getattr(other, name)
    assert console.json("verify", target)[0]["sessions"] == 40


def test_again_copies_what_is_new(console, root, target, filled, open_target):
    ws, ids = filled
    envs = {"REMOTE_ADDR": "192.0.2.0"}, {"REMOTE_ADDR": "192.0.2.1"}
    assert counts(console, root, target)["copied"] == 39
    assert counts(console, root, target) == {
        "copied": 0, "there": 39, "gone": 0, "failed": 0
    }  # fmt: skip
    ws.storeSession(ids[0], "stored in the source since")
    there = open_target()
    there.storeSession(ids[1], "stored in the target since")
    new = ws.newSession()
    assert counts(console, root, target) == {
        "copied": 2, "there": 38, "gone": 0, "failed": 0
    }  # fmt: skip
    for number, where in enumerate(["source", "target"]):
        found = there.retrieveSession(ids[number], envs[number])
        assert found == f"stored in the {where} since"
    assert there.retrieveSession(new) == "_created_"


def test_other_secrets(console, root, target, make_store, tmp_path, backend):
    ws = WebSession(make_store(secret=SECRET), crossCheckVars=())
    session_id = ws.newSession(data="secret")
    said = console.complaint("migrate", root, target, status=1)
    assert "was made with the application's own secret" in said
    assert not target.exists()
    (tmp_path / "old").write_text(SECRET)
    (tmp_path / "new").write_text(OTHER)
    options = ["--secret-file", tmp_path / "old"]
    options += ["--new-secret-file", tmp_path / "new"]
    assert counts(console, root, target, *options)["copied"] == 1
    store = FileStore(target, secret=OTHER, backend=backend)
    assert WebSession(store, crossCheckVars=()).retrieveSession(
        session_id
    ) == "secret"  # fmt: skip


def test_another_serialiser(console, root, target, filled, open_target):
    ws, ids = filled
    options = ["--serializer", "json"]
    status, out, err = console.run("migrate", root, target, *options)
    assert (status, err.count("\n")) == (3, 39)
    assert "0 copied" in out
    assert "say --unsafe-pickle" in err
    ws.storeSession(ids[3], {"what JSON has no form for": print})
    status, out, err = console.run(
        "migrate", root, target, *options, "--unsafe-pickle"
    )
    assert (status, err.count("\n")) == (3, 1)
    assert err.startswith(f"{handle_of(ids[3])}: it cannot be converted: ")
    assert "38 copied" in out
    there = open_target(serializer="json")
    env = {"REMOTE_ADDR": "192.0.2.1"}
    assert there.retrieveSession(ids[1], env) == ws.retrieveSession(
        ids[1], env
    )


def test_the_same_directory(console, root, ws):
    ws.newSession()
    for same in root, f"{root}/", root / ".." / root.name:
        said = console.complaint("migrate", root, same, status=2)
        assert said == "SRC and DST are the same directory"


def test_a_target_that_is_something_else(console, root, ws, tmp_path):
    ws.newSession()
    (tmp_path / "full").mkdir(mode=0o700)
    (tmp_path / "full" / "mine").write_text("")
    said = console.complaint("migrate", root, tmp_path / "full", status=1)
    assert "not a session store, and not empty" in said


def test_progress_on_a_terminal(console, root, target, filled):
    status, shown = console.on_terminal("migrate", root, target)
    assert status == 0
    assert "copying" in shown
    assert "39 copied" in plain(shown)


@pytest.mark.proof
def test_killed_and_run_again(console, root, tmp_path, backend, make_store):
    ws = WebSession(make_store(), crossCheckVars=())
    for number in range(2000):
        ws.newSession(data={"n": number})
    whole = known(root, backend)
    partial = 0
    for number in range(12):
        target = tmp_path / f"target-{number}"
        process = console.start("migrate", root, target)
        until(lambda target=target: any(target.glob("[0-9a-f]*/*")))
        time.sleep(0.002 * number)
        process.send_signal([signal.SIGKILL, signal.SIGINT][number % 2])
        _, err = process.communicate(timeout=30)
        assert "Traceback" not in err
        partial += len(known(target, backend)) < 2000
        found = counts(console, root, target)
        assert found["copied"] + found["there"] == 2000
        assert known(target, backend) == whole
    assert partial > 0


@pytest.mark.proof
def test_beside_live_traffic(console, root, target, make_store, open_target):
    """What was copied while it was used is a state that was stored."""
    ws = WebSession(make_store(), crossCheckVars=())
    ids = [ws.newSession(data=[0, 0]) for _ in range(100)]
    end = time.monotonic() + 4

    def work(number):
        if number == 2:
            runs = 0
            while time.monotonic() < end:
                found = counts(console, root, target)
                assert found["failed"] == 0
                runs += 1
            return runs
        while time.monotonic() < end:
            for session_id in ids[number::2]:
                ws.updateSession(session_id, lambda two: [two[0] + 1] * 2)
        return 0

    runs = in_processes(3, work)[2]
    assert runs >= 2
    there = open_target()
    for session_id in ids:
        one, other = there.retrieveSession(session_id)
        assert one == other <= ws.retrieveSession(session_id)[0]
    counts(console, root, target)
    for session_id in ids:
        assert there.retrieveSession(session_id) == ws.retrieveSession(
            session_id
        )


# From others


def shelf(path):
    with shelve.open(str(path)) as opened:
        for number in range(5):
            session_id = f"abcdefghijk{number}"
            opened[session_id] = (1.75e9 + number, {"n": number})
            opened["__session_checkvars__" + session_id] = {
                "REMOTE_ADDR": f"192.0.2.{number}"
            }


def test_from_a_shelve(console, tmp_path, target, open_target):
    old = tmp_path / "old"
    old.mkdir(mode=0o700)
    shelf(old / "shelf")
    words = [old / "shelf", target, "--from", "shelve"]
    said = console.complaint("migrate", *words, status=2)
    assert "say --unsafe-pickle if you trust whoever can write to" in said
    assert not target.exists()
    words.append("--unsafe-pickle")
    assert counts(console, *words)["copied"] == 5
    assert counts(console, *words)["there"] == 5
    there = open_target()
    found = there.readSession("abcdefghijk3", {"REMOTE_ADDR": "192.0.2.3"})
    assert (found.stored, found.data) == (1.75e9 + 3, {"n": 3})
    assert found.env == {"REMOTE_ADDR": "192.0.2.3"}
    with shelve.open(str(old / "shelf")) as opened:
        assert len(opened) == 10
    assert counts(console, *words, "--move")["there"] == 5
    with shelve.open(str(old / "shelf")) as opened:
        assert len(opened) == 0


def written_by(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


DJANGO = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY=sys.argv[2], SESSION_FILE_PATH=sys.argv[1],
                   USE_TZ=True)
from django.contrib.sessions.backends.file import SessionStore
for expiry in None, 3600:
    session = SessionStore()
    session["user"] = "ann"
    session.set_expiry(expiry)
    session.save()
    print(session.session_key)
"""
DJANGO_READS = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY=sys.argv[2], USE_TZ=True,
                   SESSION_ENGINE="websession.django",
                   WEBSESSION_PATH=sys.argv[1])
from websession.django import SessionStore
session = SessionStore(sys.argv[3])
print(session["user"], session.session_key == sys.argv[3])
"""


def test_from_djangos_files(console, tmp_path, target, backend):
    old = tmp_path / "old"
    old.mkdir(mode=0o700)
    keys = written_by(DJANGO, old, "s" * 50)
    words = [old, target, "--from", "django"]
    said = console.complaint("migrate", *words, status=2)
    assert "needs --secret-key-file" in said
    (tmp_path / "secret").write_text("s" * 50 + "\n")
    words += ["--secret-key-file", tmp_path / "secret"]
    assert counts(console, *words)["copied"] == 2
    found = known(target, backend)
    assert [found[handle_of(key)].idle for key in keys] == [0, 3600]
    assert {each.serializer for each in found.values()} == {4}
    assert written_by(DJANGO_READS, target, "s" * 50, keys[0]) == [
        "ann", "True"
    ]  # fmt: skip


CHERRYPY = """
import sys
import cherrypy
from cherrypy.lib.sessions import FileSession
for number in range(3):
    session = FileSession(storage_path=sys.argv[1], clean_freq=0)
    session.acquire_lock()
    session["n"] = number
    session.save()
    print(session.id)
"""


def test_from_cherrypys_files(console, tmp_path, target, open_target):
    old = tmp_path / "old"
    old.mkdir(mode=0o700)
    ids = written_by(CHERRYPY, old)
    words = [old, target, "--from", "cherrypy", "--unsafe-pickle"]
    (old / f"session-{'0' * 40}").write_bytes(b"\xff" * 30)
    (old / f"session-{'0' * 40}").chmod(0o600)
    status, out, _ = console.run("migrate", *words)
    assert status in (0, 3)
    assert "3 copied" in out
    there = open_target(length=40)
    assert there.retrieveSession(ids[2]) == {"n": 2}
    assert (old / f"session-{ids[2]}").exists()
    with pytest.raises(InvalidSessionId):
        there.retrieveSession("0" * 40)
    assert len(session_files(target)) == 3
