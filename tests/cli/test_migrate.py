"""`websession migrate`: sessions from other stores, all of them, and again."""

from __future__ import annotations

import os
import shelve
import signal
import subprocess
import sys
import time
import zlib

import pytest

from console import handle_of, plain
from support import at, file_of, in_processes, session_files, until
from websession import CorruptData, FileStore, InvalidSessionId, WebSession
from websession.admin.copy import Transfer
from websession.admin.inspector import Inspector
from websession.cli import main
from websession.record import pack_user, record_length, user_of

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
    theirs = ws.sessiondict.engine
    now, user = ws.now(), pack_user([b"t" * 16], "a label")
    draft = now, now, b"", b"\x80\x05N.", 1, b"", 0, user
    theirs.create(theirs.locate("anns"), draft, at(now), None)
    out = console.text("migrate", root, target, "--shards", "16")
    there = Inspector(target, backend=backend).engine
    assert user_of(there.read(there.locate("anns"))) == user
    there.remove(there.locate("anns"))
    theirs.remove(theirs.locate("anns"))
    assert out == (
        "41 sessions: 41 copied, 0 there already, 0 gone meanwhile, 0 failed\n"
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


def store_of(path, backend, serializer, now):
    """A store with cross-check variables and a clock that is set."""
    return WebSession(
        FileStore(
            path, backend=backend, serializer=serializer, sweep_interval=0
        ),
        crossCheckVars=("REMOTE_ADDR",),
        clock=lambda: now[0],
    )


def test_again_with_another_serialiser(console, root, target, backend):
    """The cross-check variables are the same, written in another way."""
    now = [time.time() - 1000]
    env = {"REMOTE_ADDR": "192.0.2.7"}
    ws = store_of(root, backend, "pickle", now)
    session_id = ws.newSession(env, data="old")
    assert counts(console, root, target)["copied"] == 1
    remembered = store_of(target, backend, "pickle", now)
    assert remembered.retrieveSession(session_id, env) == "old"
    now[0] += 10
    ws.storeSession(session_id, "newer")
    options = ["--serializer", "json", "--unsafe-pickle"]
    assert counts(console, root, target, *options) == {
        "copied": 1, "there": 0, "gone": 0, "failed": 0
    }  # fmt: skip
    record = store_of(target, backend, "json", now).readSession(
        session_id, env
    )
    assert (record.data, record.stored) == ("newer", now[0])
    assert record.env == env
    # Who remembers the old form takes it for another one's.
    with pytest.raises(CorruptData, match="this store reads"):
        remembered.retrieveSession(session_id, env)


def test_again_when_what_was_copied_has_expired(
    console, root, target, backend
):
    """By a limit of its own; in the source it was kept alive."""
    now = [time.time() - 1000]
    ws = store_of(root, backend, "pickle", now)
    session_id = ws.newSession(data="old", idle=60)
    assert counts(console, root, target)["copied"] == 1
    for _ in range(21):
        now[0] += 50
        ws.storeSession(session_id, "kept alive")
    assert counts(console, root, target)["copied"] == 1
    there = store_of(target, backend, "pickle", now)
    record = there.readSession(session_id)
    assert (record.data, record.idle) == ("kept alive", 60)


def forge(path, backend):
    """A store whose sessions were signed with another key."""
    store = FileStore(path, backend=backend, sweep_interval=0)
    ws = WebSession(store, crossCheckVars=())
    ids = [ws.newSession(data=n) for n in range(3)]
    for session_id in ids[:2]:
        file = file_of(path, session_id)
        raw = bytearray(file.read_bytes())
        raw[48] ^= 1  # of the MAC
        rest = bytes(raw[8 : record_length(raw)])
        crc = zlib.crc32(rest, zlib.crc32(handle_of(session_id).encode()))
        raw[4:8] = crc.to_bytes(4, "little")
        file.write_bytes(raw)
    return ids


def test_forgeries_are_refused_counted_and_told(
    console, root, target, backend, open_target
):
    forged, other, good = forge(root, backend)
    for _ in range(2):
        status, out, err = console.run("migrate", root, target)
        assert (status, out.count("2 failed")) == (3, 1)
        assert sorted(err.splitlines()) == sorted(
            f"{handle_of(each)}: it is not authentic"
            for each in (forged, other)
        )
        assert list(known(target, backend)) == [handle_of(good)]
    assert open_target().retrieveSession(good) == 2


def test_a_forgery_in_the_target_is_not_one_that_is_there(
    console, root, target, backend
):
    forged, other, _ = forge(target, backend)
    old = WebSession(FileStore(root, backend=backend), crossCheckVars=())
    for session_id in forged, other:
        old._store.create(session_id, "source", {}, at(0))
    before = file_of(target, forged).read_bytes()
    status, out, err = console.run("migrate", root, target)
    assert (status, out.count("0 there already")) == (3, 1)
    assert err.count("what the target has of it is not authentic\n") == 2
    assert file_of(target, forged).read_bytes() == before


def test_another_session_of_that_handle_is_left_alone(
    console, root, target, backend
):
    for path, now in (root, 2e9), (target, 1e9):
        store = FileStore(path, backend=backend, sweep_interval=0)
        store.create("abcdefghijkl", str(path), {}, at(now))
    status, _, err = console.run("migrate", root, target)
    assert status == 3
    assert err.endswith("the target has one that was made at another time\n")


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


def test_what_cannot_be_read_is_a_failure(console, root, target, filled):
    name = session_files(root)[0]
    name.write_bytes(b"\xff" * 600)
    status, out, err = console.run_forked("migrate", root, target)
    assert (status, out.split(", ")[-1]) == (3, "1 failed\n")
    shown = f"{name.parent.name}{name.name}"
    assert err == f"no readable state in the file of {shown}\n"


def test_what_is_interrupted_says_how_many_are_copied(
    root, target, filled, monkeypatch, capsys
):
    copy, turns = Transfer.copy, iter(range(40))

    def interrupted(self, name):
        if next(turns) == 10:
            raise KeyboardInterrupt
        return copy(self, name)

    monkeypatch.setattr(Transfer, "copy", interrupted)
    assert main(["migrate", str(root), str(target)]) == 130
    assert capsys.readouterr() == (
        "",
        "websession: interrupted while copying, at 26%: 10 sessions: 10 "
        "copied, 0 there already, 0 gone meanwhile, 0 failed\n",
    )


@pytest.mark.parametrize("kind", ["store", "shelve"])
def test_progress_is_shown_while_sessions_are_counted(
    console, root, target, filled, tmp_path, kind
):
    shelf(tmp_path / "shelf")
    source = {"store": root, "shelve": tmp_path / "shelf"}[kind]
    status, shown = console.on_terminal(
        "migrate", source, target, "--from", kind, "--unsafe-pickle",
        rich=False,
    )  # fmt: skip
    assert status == 0
    assert plain(shown).startswith("\rcounting: 0")


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
    with shelve.open(str(old / "shelf")) as opened:
        opened["abcdefghijk1"] = (1.75e9 + 10, {"n": "newer"})
        opened["abcdefghijk2"] = (1.75e9 + 10, {"n": "newer"})
    found = counts(console, *words)
    assert (found["copied"], found["there"]) == (2, 3)
    with shelve.open(str(old / "shelf")) as opened:
        opened["abcdefghijk2"] = (1.75e9 + 20, {"n": "newest"})
    there.storeSession("abcdefghijk3", {"n": "stored here"})
    found = counts(console, *words, "--move")
    assert (found["copied"], found["there"]) == (1, 4)
    for number, n in (1, "newer"), (2, "newest"), (3, "stored here"):
        data = there.retrieveSession(
            f"abcdefghijk{number}", {"REMOTE_ADDR": f"192.0.2.{number}"}
        )
        assert data == {"n": n}
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
DJANGO_STORES = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY=sys.argv[2], SESSION_FILE_PATH=sys.argv[1],
                   USE_TZ=True)
from django.contrib.sessions.backends.file import SessionStore
session = SessionStore(sys.argv[3])
session["user"] = sys.argv[4]
session.save()
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
    written_by(DJANGO_STORES, old, "s" * 50, keys[0], "bob")
    (old / f"sessionid{keys[1]}").write_text("forged" * 9)
    status, out, err = console.run("migrate", *words, "--move")
    assert (status, out) == (
        3,
        "2 sessions: 1 copied, 0 there already, 0 gone meanwhile, 1 failed\n",
    )
    assert err.startswith(f"{handle_of(keys[1])}: a session in {old} cannot")
    assert written_by(DJANGO_READS, target, "s" * 50, keys[0]) == [
        "bob", "True"
    ]  # fmt: skip
    assert [each.name for each in old.iterdir()] == [f"sessionid{keys[1]}"]


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


@pytest.mark.parametrize(
    ("kind", "options", "hint"),
    [
        (
            "django",
            ["--cookie-name", "sid"],
            "3 files in SRC none is a session of django; is --cookie-name the "
            "site's SESSION_COOKIE_NAME?",
        ),
        (
            "cherrypy",
            ["--unsafe-pickle"],
            "3 files in SRC none is a session of cherrypy",
        ),
        (
            "shelve",
            ["--unsafe-pickle"],
            "2 keys in SRC none is a session of shelve: none is an ID of 12 "
            "characters",
        ),
    ],
)
def test_a_source_of_something_else_is_told(
    console, tmp_path, target, kind, options, hint
):
    source = old = tmp_path / "old"
    old.mkdir(mode=0o700)
    words = ["--from", kind, *options]
    if kind == "django":
        (tmp_path / "secret").write_text("s" * 50)
        words += ["--secret-key-file", tmp_path / "secret"]
    if kind == "shelve":
        source = old / "shelf"
        with shelve.open(str(source)) as opened:
            opened["of another length"] = opened["and"] = (1.75e9, {})
    else:
        assert counts(console, source, target, *words)["copied"] == 0
        for name in "sessionid" + "a" * 32, "0" * 64, "x.lock":
            (old / name).touch()
    status, out, err = console.run_forked("migrate", source, target, *words)
    assert (status, out.partition(":")[0]) == (3, "0 sessions")
    assert err == f"websession: of {hint.replace('SRC', str(source))}\n"
    # Where an earlier run has moved all of them that says nothing.
    WebSession(FileStore(target), crossCheckVars=()).newSession()
    assert counts(console, source, target, *words)["copied"] == 0


def test_from_cherrypys_files(console, tmp_path, target, open_target):
    old = tmp_path / "old"
    old.mkdir(mode=0o700)
    ids = written_by(CHERRYPY, old)
    words = [old, target, "--from", "cherrypy", "--unsafe-pickle"]
    (old / f"session-{'0' * 40}").write_bytes(b"\xff" * 30)
    (old / f"session-{'0' * 40}").chmod(0o600)
    status, out, err = console.run("migrate", *words)
    assert status == 3
    assert "3 copied" in out
    assert "1 failed" in out
    assert err.startswith(f"{handle_of('0' * 40)}: a session in {old} cannot")
    there = open_target(length=40)
    assert there.retrieveSession(ids[2]) == {"n": 2}
    assert (old / f"session-{ids[2]}").exists()
    with pytest.raises(InvalidSessionId):
        there.retrieveSession("0" * 40)
    assert len(session_files(target)) == 3
    newer = time.time() + 1
    os.utime(old / f"session-{ids[1]}", (newer, newer))
    _, out, _ = console.run("migrate", *words, "--move")
    assert "1 copied, 2 there already" in out
    assert there.readSession(ids[1]).stored == pytest.approx(newer, abs=1e-3)
    left = [each.name for each in old.iterdir() if each.suffix != ".lock"]
    assert left == [f"session-{'0' * 40}"]


def test_moving_is_for_the_stores_of_others(console, root, target, ws):
    said = console.complaint("migrate", root, target, "--move", status=2)
    assert said == "--move is for django, cherrypy and shelve"
    assert not target.exists()


def test_the_limits_are_those_of_applications(
    console, root, target, filled, tmp_path
):
    """Who copies sessions has none, and ends none by that."""
    console.run("migrate", root, target)
    with shelve.open(str(tmp_path / "old")) as old:
        WebSession(old, crossCheckVars=()).newSession()
    other = tmp_path / "other"
    console.run(
        "migrate", tmp_path / "old", other, "--from", "shelve",
        "--unsafe-pickle",
    )  # fmt: skip
    for path in target, other:
        assert session_files(path)
        assert not (path / ".locks" / "limits").exists()
