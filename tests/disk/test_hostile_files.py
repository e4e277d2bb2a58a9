"""Session files that were cut, flipped, swapped, replaced or forged."""

from __future__ import annotations

import os
import pickle
import shutil
import time
from pathlib import Path

import pytest

from support import Child, file_of, session_files
from websession import (
    CorruptData,
    FileStore,
    InvalidSessionId,
    SessionException,
    SessionStoreError,
    UnsafeStore,
    WebSession,
)
from websession.keyring import Keyring


@pytest.fixture
def ws(make_session):
    return make_session(100, 200)


@pytest.fixture
def pair(ws):
    """Two sessions: one to be maltreated, one that must not notice."""
    victim, witness = ws.newSession(), ws.newSession()
    ws.storeSession(victim, {"of": "victim"})
    ws.storeSession(witness, {"of": "witness"})
    yield victim
    assert ws.retrieveSession(witness) == {"of": "witness"}
    ws.storeSession(witness, {"of": "witness again"})
    ws.cleanUp()
    assert ws.retrieveSession(witness) == {"of": "witness again"}


def test_every_cut_is_an_old_state_absence_or_damage(ws, root, pair):
    path = file_of(root, pair)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            assert ws.retrieveSession(pair) in ("_created_", {"of": "victim"})
        except InvalidSessionId:
            assert length == 0
        except CorruptData:
            assert not path.exists()


def test_every_flipped_byte_is_an_old_state_or_corrupt(ws, root, pair):
    path = file_of(root, pair)
    whole = path.read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 0x41
        path.write_bytes(flipped)
        try:
            assert ws.retrieveSession(pair) in ("_created_", {"of": "victim"})
        except CorruptData:
            path.unlink(missing_ok=True)


def test_an_emptied_file_is_no_session(ws, root, pair):
    file_of(root, pair).write_bytes(b"")
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(pair)
    with pytest.raises(InvalidSessionId):
        ws.storeSession(pair, "late")


def test_a_file_of_zeros_is_damaged(ws, root, pair):
    file_of(root, pair).write_bytes(bytes(1024))
    with pytest.raises(CorruptData):
        ws.retrieveSession(pair)


def test_damage_is_moved_and_kept_for_inspection(ws, root, pair):
    path = file_of(root, pair)
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(CorruptData):
        ws.retrieveSession(pair)
    assert not path.exists()
    (kept,) = (root / ".damaged").iterdir()
    assert kept.read_bytes() == b"garbage" * 100
    assert kept.name.startswith(path.parent.name + path.name + ".")
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(pair)


@pytest.mark.parametrize(
    "call",
    [
        lambda ws, sid: ws.storeSession(sid, "late"),
        lambda ws, sid: ws.touchSession(sid),
        lambda ws, sid: ws.updateSession(sid, lambda data: data),
        lambda ws, sid: ws.regenerateSession(sid),
    ],
)
def test_damage_is_corrupt_for_every_way_of_writing(ws, root, pair, call):
    file_of(root, pair).write_bytes(b"garbage" * 100)
    with pytest.raises(CorruptData):
        call(ws, pair)


def test_the_sweep_moves_damage_once_it_is_old(ws, root, pair, clock):
    path = file_of(root, pair)
    path.write_bytes(b"garbage" * 100)
    os.utime(path, (clock.now - 500, clock.now - 500))
    assert ws.cleanUp() == 0
    assert not path.exists()
    assert len(list((root / ".damaged").iterdir())) == 1


def test_damage_that_cannot_be_moved_stays_and_is_reported(ws, root, pair):
    path = file_of(root, pair)
    path.write_bytes(b"garbage" * 100)
    (root / ".damaged").write_text("in the way")
    with pytest.raises((CorruptData, SessionStoreError)):
        ws.retrieveSession(pair)
    assert path.exists()
    (root / ".damaged").unlink()


def test_the_file_of_another_session_is_not_accepted(ws, root, pair):
    other = ws.newSession()
    ws.storeSession(other, {"of": "somebody else"})
    shutil.copyfile(file_of(root, other), file_of(root, pair))
    with pytest.raises(CorruptData):
        ws.retrieveSession(pair)


def test_a_file_of_another_store_is_not_accepted(ws, root, pair, tmp_path):
    elsewhere = WebSession(FileStore(tmp_path / "other", sweep_interval=0))
    elsewhere._generateSessionID = lambda maxtry=1: pair
    elsewhere.newSession()
    elsewhere.storeSession(pair, "of another store")
    shutil.copyfile(file_of(tmp_path / "other", pair), file_of(root, pair))
    with pytest.raises(CorruptData, match="not authentic"):
        ws.retrieveSession(pair)
    assert file_of(root, pair).exists()


@pytest.mark.parametrize("how", ["symlink", "directory", "fifo", "dangling"])
def test_what_is_not_a_regular_file_is_refused(ws, root, how, tmp_path, clock):
    pair = ws.newSession()
    path = file_of(root, pair)
    content = path.read_bytes()
    path.unlink()
    if how == "symlink":
        (tmp_path / "target").write_bytes(content)
        path.symlink_to(tmp_path / "target")
    elif how == "dangling":
        path.symlink_to(tmp_path / "nothing")
    elif how == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    for call in (
        lambda: ws.retrieveSession(pair),
        lambda: ws.storeSession(pair, "late"),
        lambda: ws.deleteSession(pair),
    ):
        with pytest.raises(UnsafeStore):
            call()
    clock.move(1000)
    ws.cleanUp()
    assert os.path.lexists(path)
    assert not (tmp_path / "nothing").exists()


def test_foreign_files_stay(ws, root, pair, clock):
    shard = file_of(root, pair).parent
    names = ["x", "0" * 29, "0" * 31, "G" * 30, "0" * 29 + "Z", ".hidden"]
    for name in names:
        (shard / name).write_text("foreign")
        os.utime(shard / name, (0, 0))
    (root / "notes.txt").write_text("foreign")
    clock.move(150)
    ws.cleanUp()
    assert all((shard / name).read_text() == "foreign" for name in names)
    assert (root / "notes.txt").exists()
    clock.move(-150)


class Trace:
    """Leaves a trace where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_forged_pickle_is_never_unpickled(ws, root, pair, tmp_path):
    trace = str(tmp_path / "trace")
    path = file_of(root, pair)
    name = (path.parent.name + path.name).encode()
    store_id = bytes.fromhex(
        (root / ".websession").read_text().split("id ")[1][:32]
    )
    keyring = Keyring([b"not the key of this store"], store_id)
    forged = keyring.pack(
        name, time.time(), time.time(), pickle.dumps(Trace(trace)),
        pickle.dumps(Trace(trace)), 1,
    )  # fmt: skip
    path.unlink()
    assert (
        ws.sessiondict.engine.backend.create(bytes(path), name, forged, 0, 1)
        == 0
    )
    for call in (
        lambda: ws.retrieveSession(pair),
        lambda: ws.updateSession(pair, lambda data: data),
        lambda: ws.touchSession(pair),
        lambda: ws.sessiondict[pair],
    ):
        with pytest.raises(CorruptData, match="not authentic"):
            call()
    ws.listSessions(), ws.cleanUp(), ws.countSessions()
    path.write_bytes(pickle.dumps(Trace(trace)))
    with pytest.raises(CorruptData):
        ws.retrieveSession(pair)
    assert not os.path.exists(trace)


def test_a_rotated_away_secret_costs_no_session(root, backend):
    def open_with(*secrets):
        store = FileStore(
            root, secret=secrets, backend=backend, sweep_interval=0
        )
        return WebSession(store, 0, 0.0001)

    old, new = b"o" * 16, "n" * 20
    ws = open_with(old)
    sid, witness = ws.newSession(), None
    ws.expireRemove = 0
    ws.storeSession(sid, "data")
    wrong = open_with(new)
    wrong.expireRemove = 0
    for call in (
        lambda: wrong.retrieveSession(sid),
        lambda: wrong.touchSession(sid),
        lambda: wrong.updateSession(sid, lambda data: data),
        lambda: wrong.storeSession(sid, "lost"),
    ):
        with pytest.raises(CorruptData, match="another secret"):
            call()
    witness = wrong.newSession()
    both = open_with(old, new)
    both.expireRemove = 0
    assert both.retrieveSession(sid) == "data"
    assert both.retrieveSession(witness) == "_created_"
    both.touchSession(sid)  # signs with the last
    assert wrong.retrieveSession(sid) == "data"


def test_a_class_that_is_gone_costs_no_session(ws, root, pair, monkeypatch):
    import decimal

    class Cart:
        pass

    Cart.__module__, Cart.__qualname__ = "decimal", "Cart"
    monkeypatch.setattr(decimal, "Cart", Cart, raising=False)
    ws.storeSession(pair, Cart())
    monkeypatch.undo()
    with pytest.raises(CorruptData) as caught:
        ws.retrieveSession(pair)
    assert isinstance(caught.value.__cause__, AttributeError)
    assert file_of(root, pair).exists()
    monkeypatch.setattr(decimal, "Cart", Cart, raising=False)
    assert type(ws.retrieveSession(pair)) is Cart


def test_another_serializer_is_refused_unless_accepted(root, backend):
    pickled = WebSession(FileStore(root, backend=backend))
    sid = pickled.newSession()
    pickled.storeSession(sid, {"a": 1})
    strict = WebSession(FileStore(root, serializer="json", backend=backend))
    with pytest.raises(CorruptData, match="also_accept"):
        strict.retrieveSession(sid)
    lenient = WebSession(
        FileStore(
            root, serializer="json", also_accept=["pickle"], backend=backend
        )
    )
    assert lenient.retrieveSession(sid) == {"a": 1}
    lenient.storeSession(sid, {"b": 2})
    assert strict.retrieveSession(sid) == {"b": 2}


def test_no_id_and_no_data_of_an_id_is_on_disk(ws, root):
    sid = ws.newSession()
    ws.storeSession(sid, "data")
    ws.regenerateSession(sid, grace=50)
    with ws.lockSession(sid):
        for directory, _, files in os.walk(root):
            for name in files:
                path = os.path.join(directory, name)
                assert sid not in path
                assert sid.encode() not in Path(path).read_bytes()


def test_messages_of_exceptions_show_no_id(ws, root):
    sid = ws.newSession()
    file_of(root, sid).write_bytes(b"garbage")
    for call in (
        lambda: ws.retrieveSession(sid),
        lambda: ws.retrieveSession(sid),
        lambda: ws.retrieveSession(sid + "x"),
    ):
        with pytest.raises(SessionException) as caught:
            call()
        assert sid not in str(caught.value)
        assert sid not in repr(caught.value)


def test_a_planted_empty_file_blocks_nothing_for_ever(ws, root, clock):
    """What a crash between open and write leaves is reaped when old."""
    sid = ws.newSession()
    path = file_of(root, sid)
    path.write_bytes(b"")
    ws.cleanUp()
    assert path.exists()  # somebody may be about to write it
    now = time.clock_gettime(time.CLOCK_REALTIME)
    assert now - os.stat(path).st_ctime < 3600


@pytest.mark.root
def test_unreadable_and_foreign_files_are_told_apart(root, backend, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    os.chmod(tmp_path, 0o777 | 0o1000)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent.name.startswith("pytest"):
            os.chmod(parent, 0o755)

    def as_nobody(number):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        ws = WebSession(FileStore(root, backend=backend, sweep_interval=0))
        sid, unreadable = ws.newSession(), ws.newSession()
        os.chmod(file_of(root, unreadable), 0)
        with pytest.raises(SessionStoreError, match="Permission denied"):
            ws.retrieveSession(unreadable)
        assert ws.retrieveSession(sid) == "_created_"
        return sid

    sid = Child(as_nobody, 0).result()
    with pytest.raises(UnsafeStore, match="belongs to user nobody, this"):
        FileStore(root, backend=backend)
    assert len(session_files(root)) == 2
    assert file_of(root, sid).stat().st_uid == 65534
