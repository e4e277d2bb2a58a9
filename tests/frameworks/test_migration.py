"""Sessions of other stores, written by these, go on here."""

from __future__ import annotations

import os
import pickle
import shelve
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from stat import S_IFSOCK

import flask
import pytest
from cachelib import FileSystemCache

from support import Child, in_processes, open_descriptors, session_files
from websession import (
    BadSessionId,
    CorruptData,
    FileStore,
    InvalidSessionId,
    SessionStoreError,
    UnsafeStore,
    WebSession,
)
from websession.flask import WebSessionInterface, tagged_json
from websession.legacy import (
    CacheFiles,
    CherryPyFiles,
    DjangoFiles,
    MovingSession,
    Shelf,
)

SECRET = "s" * 50


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def make_moving(make_store):
    def make(*sources, store_options=None, **options):
        options.setdefault("crossCheckVars", ())
        options.setdefault("sessionIDLength", 32)
        return MovingSession(
            make_store(**(store_options or {"serializer": "json"})),
            sources=sources,
            **options,
        )

    return make


def run(code, *arguments):
    """What a fresh process prints: a framework's settings are of a process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# Django

DJANGO = """
import sys
from datetime import timedelta
from django.conf import settings
settings.configure(SECRET_KEY=sys.argv[2], SESSION_FILE_PATH=sys.argv[1],
                   USE_TZ=True)
from django.contrib.sessions.backends.file import SessionStore
for expiry in None, 3600, timedelta(hours=1), 1:
    session = SessionStore()
    session["user"] = "ann"
    session["n"] = 0
    session.set_expiry(expiry)
    session.save()
    print(session.session_key)
"""


@pytest.fixture
def django_keys(old):
    return run(DJANGO, old, SECRET)


def test_sessions_of_django(old, django_keys, make_moving):
    ws = make_moving(DjangoFiles(old, secret_key=SECRET))
    before = time.time()
    usual, seconds, date, short = (ws.readSession(key) for key in django_keys)
    assert usual.data == {"user": "ann", "n": 0}
    assert before - 60 < usual.stored <= before
    assert [usual.idle, seconds.idle, short.idle] == [0, 3600, 1]
    # As long after it was stored as the date was ahead.
    assert 3598 <= date.idle <= 3600
    assert "_session_expiry" in date.data
    assert list(old.iterdir()) == []
    assert ws.retrieveSession(django_keys[0]) == {"user": "ann", "n": 0}


def test_expired_sessions_of_django_are_not_there(
    old, django_keys, make_moving
):
    for file in old.iterdir():
        os.utime(file, (1e9, 1e9))
    ws = make_moving(DjangoFiles(old, secret_key=SECRET))
    there = []
    for key in django_keys:
        try:
            there.append(ws.retrieveSession(key))
        except InvalidSessionId:
            pass
    # The one whose date lies ahead.
    assert len(there) == 1


def test_a_key_before_last_still_reads(old, django_keys, make_moving):
    ws = make_moving(
        DjangoFiles(old, secret_key="new" * 20, fallbacks=[SECRET])
    )
    assert ws.retrieveSession(django_keys[0])["user"] == "ann"


def test_a_wrong_key_leaves_the_session_alone(old, django_keys, make_moving):
    ws = make_moving(DjangoFiles(old, secret_key="wrong" * 10))
    with pytest.raises(CorruptData) as caught:
        ws.retrieveSession(django_keys[0])
    assert len(list(old.iterdir())) == 4
    said = str(caught.value)
    assert said.startswith(f"it stays where it was: a session in {old} cannot")
    named = django_keys[0] in said
    assert not named


DJANGO_SWITCHED = """
import sys
from django.conf import settings
from websession import FileStore
from websession.legacy import DjangoFiles, MovingSession
path, secret, root, key = sys.argv[1:]
settings.configure(SECRET_KEY=secret, USE_TZ=True,
    SESSION_ENGINE="websession.django",
    WEBSESSION_PATH=MovingSession(
        FileStore(root, serializer="json"),
        sources=[DjangoFiles(path, secret_key=secret)],
        expireRemove=1209600, crossCheckVars=(), sessionIDLength=32))
from websession.django import SessionStore
session = SessionStore(key)
session["n"] += 1
session.save()
print(session["user"], session.session_key == key, SessionStore(key)["n"])
"""


def test_djangos_engine_takes_over(old, django_keys, root):
    found = run(DJANGO_SWITCHED, old, SECRET, root, django_keys[0])
    assert found == ["ann", "True", "1"]
    assert len(list(old.iterdir())) == 3


# Flask-Session


@pytest.fixture(params=[False, True], ids=["plain", "signed"])
def flask_site(request, old):
    """Logs in with Flask-Session; the client, and whether IDs are signed."""
    import warnings

    app = flask.Flask("old")
    app.secret_key = SECRET
    app.config.update(
        SESSION_TYPE="cachelib",
        SESSION_CACHELIB=FileSystemCache(str(old)),
        SESSION_USE_SIGNER=request.param,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from flask_session import Session

        Session(app)

        @app.get("/in")
        def log_in():
            flask.session["user"] = "ann"
            return "in"

        client = app.test_client()
        client.get("/in")
    return client.get_cookie("session").value, request.param


def test_sessions_of_flask_session(old, flask_site, make_store):
    cookie, is_signed = flask_site
    source = CacheFiles(old, signed_with=SECRET if is_signed else None)
    files = len(list(old.iterdir()))
    app = flask.Flask("new")
    WebSessionInterface(
        MovingSession(
            make_store(serializer=tagged_json),
            sources=[source],
            crossCheckVars=(),
            sessionIDLength=32,
        )
    ).init_app(app)

    @app.get("/who")
    def who():
        return flask.session.get("user", "nobody")

    @app.get("/login")
    def again():
        flask.session.regenerate()
        return "again"

    client = app.test_client()
    client.set_cookie("session", cookie)
    assert client.get("/who").text == "ann"
    assert len(list(old.iterdir())) == files - 1
    assert client.get("/who").text == "ann"
    client.get("/login")
    new = client.get_cookie("session").value
    assert len(new) == 32
    assert client.get("/who").text == "ann"


def test_a_wrong_signature_is_nobodys(old, make_moving):
    ws = make_moving(CacheFiles(old, signed_with=SECRET))
    for made_up in "x" * 43, "x" * 43 + "." + "y" * 27, "x" * 43 + ".":
        with pytest.raises(BadSessionId):
            ws.retrieveSession(made_up)


@pytest.fixture
def cached(old):
    """The name of a session of Flask-Session's, and its file."""
    name = "a" * 43
    FileSystemCache(str(old)).set(f"session:{name}", {"user": "ann"})
    return name, old / CacheFiles(old)._file(name)


def test_expired_sessions_of_cachelib_are_not_there(old, cached, make_moving):
    name, path = cached
    source = CacheFiles(old)
    assert source.find(name).data == {"user": "ann"}
    path.write_bytes(struct.pack("I", int(time.time()) - 1) + pickle.dumps({}))
    assert source.find(name) is None
    with pytest.raises(InvalidSessionId):
        make_moving(source, sessionIDLength=43).retrieveSession(name)


def test_files_of_cachelib_that_were_set_aside_are_there(old, cached):
    """A killed mover left them so."""
    name, path = cached
    source = CacheFiles(old)
    path.rename(f"{path}.moving")
    found = source.find(name)
    assert found.data == {"user": "ann"}
    assert source.remove(name, found.version)
    assert source.find(name) is None


# CherryPy

CHERRYPY = """
import sys
import cherrypy
from cherrypy.lib.sessions import FileSession
for timeout in 60, -1:
    session = FileSession(storage_path=sys.argv[1], clean_freq=0)
    session.timeout = timeout
    session.acquire_lock()
    session["user"] = "ann"
    session.save()
    print(session.id)
"""


def test_sessions_of_cherrypy(old, make_moving):
    live, expired = run(CHERRYPY, old)
    ws = make_moving(CherryPyFiles(old))
    assert ws.retrieveSession(live) == {"user": "ann"}
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(expired)
    assert not (old / f"session-{live}").exists()
    assert (old / f"session-{expired}").exists()


# The original's shelve


def test_sessions_of_a_shelve(old, make_moving, clock):
    path = str(old / "shelf")
    with shelve.open(path) as shelf:
        # As the original had it: no more than these two keys.
        shelf["abcdefghijkl"] = (clock.now - 50, {"user": "ann"})
        shelf["__session_checkvars__abcdefghijkl"] = {"REMOTE_ADDR": "::1"}
        mine = WebSession(shelf, clock=clock)
        remembered = mine.newSession(data="mine", idle=5000)
    ws = make_moving(Shelf(path), expireRemove=100, clock=clock)
    record = ws.readSession("abcdefghijkl", {"REMOTE_ADDR": "::1"})
    assert record.data == {"user": "ann"}
    assert record.stored == clock.now - 50
    assert record.env == {"REMOTE_ADDR": "::1"}
    clock.move(60)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession("abcdefghijkl", {"REMOTE_ADDR": "::1"})
    assert ws.readSession(remembered).idle == 5000
    with shelve.open(path) as shelf:
        assert list(shelf) == []


# Whatever the source


@pytest.fixture
def old_id(old):
    """The ID of a session of CherryPy's, made as it makes them."""
    return run(CHERRYPY, old)[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.storeSession(sid, {"user": "ann"}),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: data),
        lambda ws, sid: ws.retrieveSession(sid),
        lambda ws, sid: ws.regenerateSession(sid, grace=10, readable=True),
    ],
)
def test_any_use_moves_a_session(old, old_id, make_moving, root, call):
    ws = make_moving(CherryPyFiles(old))
    call(ws, old_id)
    assert not (old / f"session-{old_id}").exists()
    assert ws.retrieveSession(old_id) == {"user": "ann"}


def test_a_made_up_id_adopts_nothing(old, make_moving, root):
    ws = make_moving(CherryPyFiles(old))
    for made_up in "0" * 40, "x" * 32:
        with pytest.raises(InvalidSessionId):
            ws.retrieveSession(made_up)
    with pytest.raises(BadSessionId):
        ws.retrieveSession("../" * 5)
    assert session_files(root) == []
    assert not (root / ".locks").exists()


def test_processes_that_come_at_once_lose_nothing(old, old_id, make_moving):
    ws = make_moving(CherryPyFiles(old))

    def increments(number):
        for _ in range(25):
            ws.updateSession(
                old_id, lambda data: {**data, "n": data.get("n", 0) + 1}
            )

    in_processes(8, increments)
    assert ws.retrieveSession(old_id) == {"user": "ann", "n": 200}


def test_a_kill_between_making_and_removing(old, old_id, make_moving):
    source = CherryPyFiles(old)
    ws = make_moving(source)
    source.remove = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    assert Child(ws.retrieveSession, old_id).wait() == signal.SIGKILL
    del source.remove
    assert (old / f"session-{old_id}").exists()
    ws.storeSession(old_id, {"user": "bob"})
    assert ws.retrieveSession(old_id) == {"user": "bob"}
    ws.deleteSession(old_id)
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(old_id)
    assert not (old / f"session-{old_id}").exists()


def test_a_log_out_beside_a_move_stays_a_log_out(old, make_moving, root):
    """Whichever comes first, and whatever comes in between."""
    source = CherryPyFiles(old)
    for _ in range(10):
        ids = run(CHERRYPY * 1, old)[:1]
        ws = make_moving(source)

        def either(number, ids=ids, ws=ws):
            for session_id in ids:
                if number % 2:
                    ws.deleteSession(session_id)
                    continue
                try:
                    ws.retrieveSession(session_id)
                except InvalidSessionId:
                    pass

        in_processes(4, either)
        ws.deleteSession(ids[0])
        with pytest.raises(InvalidSessionId):
            ws.retrieveSession(ids[0])
    assert session_files(root) == []


@pytest.mark.parametrize(
    "kind", ["link", "fifo", "socket", "directory", "garbage", "writable"]
)
def test_a_file_that_is_not_ours_is_not_unpickled(
    old, old_id, make_moving, kind
):
    path = old / f"session-{old_id}"
    if kind == "writable":
        path.chmod(0o620)
    else:
        path.rename(old / "elsewhere")
        if kind == "link":
            path.symlink_to("elsewhere")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            os.mknod(path, 0o600 | S_IFSOCK)
        elif kind == "directory":
            path.mkdir()
        else:
            path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    ws = make_moving(CherryPyFiles(old))
    if kind == "garbage":
        path.write_bytes(b"\xff" * 100)
    open_before = open_descriptors()
    with pytest.raises(CorruptData) as caught:
        ws.retrieveSession(old_id)
    assert open_descriptors() == open_before
    inode = path.lstat().st_ino  # the name is not told: the ID is in it
    assert f"(find {old} -inum {inode})" in str(caught.value)
    assert old_id not in str(caught.value)


@pytest.mark.root
def test_a_file_of_somebody_else_is_not_unpickled(old, old_id, make_moving):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(old / f"session-{old_id}", 65534, 65534)
    with pytest.raises(CorruptData):
        make_moving(CherryPyFiles(old)).retrieveSession(old_id)


def test_a_file_that_may_not_be_read_is_told_from_a_closed_directory(
    old, old_id
):
    (old / f"session-{old_id}").chmod(0)
    for above in [old, *old.parents]:
        if os.geteuid() == 0:
            above.chmod(above.stat().st_mode | 0o055)

    def look():
        if os.geteuid() == 0:
            os.setuid(65534)
        with pytest.raises(SessionStoreError) as caught:
            source.find(old_id)
        return type(caught.value)

    source = CherryPyFiles(old)
    assert Child(look).result() is UnsafeStore
    old.chmod(0)
    assert Child(look).result() is SessionStoreError


def test_a_directory_that_others_write_to_is_refused(old):
    old.chmod(0o770)
    with pytest.raises(UnsafeStore, match="chmod go-w"):
        CherryPyFiles(old)


def test_django_keeps_its_files_in_a_sticky_directory():
    DjangoFiles(tempfile.gettempdir(), secret_key=SECRET)


def test_what_is_here_is_not_looked_for(old, make_moving):
    class Elsewhere(CherryPyFiles):
        def find(self, session_id):
            raise AssertionError("looked for")

    ws = make_moving(Elsewhere(old))
    sid = ws.newSession(data={})
    ws.updateSession(sid, lambda data: {"a": 1})
    assert ws.retrieveSession(sid) == {"a": 1}


def test_all_ids_that_are_known_can_be_moved(old, make_moving, django_keys):
    source = DjangoFiles(old, secret_key=SECRET)
    ws = make_moving(source)
    assert sorted(source.ids()) == sorted(django_keys)
    assert [ws.move(session_id) for session_id in source.ids()] == [True] * 4
    assert list(source.ids()) == []
    assert ws.countSessions() == 4
    assert isinstance(ws.sessiondict, FileStore)
    assert Path(ws.sessiondict.path).exists()
