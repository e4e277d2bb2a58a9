"""
What has gone wrong in comparable stores, tried here. Each test names the case
that it is about; the others of SECURITY.md are in disk/test_hostile_files.py,
disk/test_opening.py, unit/test_cookie.py and web/test_wsgi.py.
"""

from __future__ import annotations

import os
import pickle

import pytest

from support import at, file_of, session_files
from websession import (
    BadSessionId,
    CorruptData,
    FileStore,
    InvalidSessionId,
    SessionStoreError,
    UnsafeStore,
    WebSession,
)
from websession.ids import handle

pytestmark = pytest.mark.proof

VICTIM = b"must stay as it is"


@pytest.fixture
def ws(make_session):
    return make_session(0, 3600, clock=None)


@pytest.fixture
def victim(tmp_path):
    """A file outside the store that a planted link leads to."""
    path = tmp_path / "victim"
    path.write_bytes(VICTIM)
    path.chmod(0o600)
    yield path
    assert path.read_bytes() == VICTIM
    assert path.stat().st_nlink == 1


TRAVERSALS = [
    "../../../etc/passwd", "..", ".", "/etc/passwd", "a/b", "a\0b", "",
    "..%2f..%2fetc", "\\..\\..", "x" * 4096, "é" * 12, "\ud800" * 12,
    "keptKeptKep\n", " keptKeptKep", "keptKept/../",
]  # fmt: skip


@pytest.mark.parametrize("bad", TRAVERSALS)
def test_an_id_is_never_a_path(ws, root, bad):
    """CVE-2024-2044, GO-2024-2730: paths joined from a cookie."""
    kept = ws.newSession(data="kept")
    before = session_files(root)
    for call in (
        lambda: ws.retrieveSession(bad),
        lambda: ws.storeSession(bad, "data"),
        lambda: ws.updateSession(bad, str),
        lambda: ws.regenerateSession(bad),
        lambda: ws.lockSession(bad),
    ):
        with pytest.raises(BadSessionId):
            call()
    ws.deleteSession(bad)
    # Nor below WebSession, which checks the form first.
    store = ws.sessiondict
    assert store.delete(bad) is False
    with pytest.raises(InvalidSessionId):
        store.commit(bad, "data", at(0.0))
    assert bad not in store
    assert session_files(root) == before
    assert ws.retrieveSession(kept) == "kept"


class Bomb:
    """Says so if it is unpickled."""

    exploded: list[str] = []  # noqa: RUF012

    def __reduce__(self):
        return (Bomb.exploded.append, ("unpickled",))


@pytest.mark.parametrize("content", [pickle.dumps(Bomb()), b"<?php", b"{}"])
def test_an_upload_is_not_a_session(ws, root, content):
    """CVE-2020-9484, CVE-2025-24813: a file that was dropped there."""
    sid = "uploadUpload"
    path = file_of(root, sid)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(CorruptData):
        ws.retrieveSession(sid)
    assert Bomb.exploded == []


def test_a_session_of_another_store_is_not_one_here(ws, root, tmp_path):
    """An attacker's own store, on another path, with a key of its own."""
    other = FileStore(tmp_path / "other", backend=ws.sessiondict.backend)
    sid = WebSession(other).newSession(data=Bomb())
    path = file_of(root, sid)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(file_of(tmp_path / "other", sid).read_bytes())
    path.chmod(0o600)
    with pytest.raises(CorruptData, match="not authentic"):
        ws.retrieveSession(sid)
    assert Bomb.exploded == []


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_planted_link_is_not_a_session(ws, root, victim, link):
    sid = "plantedPlant"
    path = file_of(root, sid)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    link(victim, path)
    for call in (
        lambda: ws.retrieveSession(sid),
        lambda: ws.storeSession(sid, "data"),
        lambda: ws.touchSession(sid),
    ):
        with pytest.raises((UnsafeStore, CorruptData, InvalidSessionId)):
            call()
    ws.cleanUp()
    path.unlink(missing_ok=True)
    # A hard link may have been moved aside.
    for moved in (root / ".damaged").glob("*"):
        moved.unlink()


@pytest.mark.parametrize(
    "name", [".count", ".locks/sweep.stamp", ".locks/sweep.lock"]
)
def test_a_planted_link_in_place_of_a_note(make_store, root, victim, name):
    """CVE-2025-68146: a lock that is opened through a link."""
    ws = WebSession(make_store(sweep_interval=1), 0, 3600, (), 100)
    (root / ".locks").mkdir(mode=0o700, exist_ok=True)
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(victim)
    for call in (ws.newSession, ws.cleanUp, ws.countSessions):
        try:
            call()
        except SessionStoreError:
            pass


def test_a_planted_link_in_place_of_a_lock(ws, root, victim):
    sid = ws.newSession()
    (root / ".locks").mkdir(mode=0o700, exist_ok=True)
    stripe = handle(sid)[:4].decode()
    for ending in (".lock", ".holder"):
        (root / ".locks" / f"{stripe}{ending}").symlink_to(victim)
    with pytest.raises(SessionStoreError):
        with ws.lockSession(sid, timeout=0.1):
            pass


@pytest.mark.parametrize("name", ["a0", ".damaged", ".locks"])
def test_a_planted_link_in_place_of_a_directory(ws, root, tmp_path, name):
    """Nothing outside is removed or changed, whatever else happens."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    kept = {}
    for number in range(5):
        path = outside / f"{number:030x}"
        path.write_bytes(b"\0" * number)
        os.utime(path, (0, 0))
        kept[path] = path.read_bytes()
    (root / name).symlink_to(outside)
    sid = ws.newSession()
    file_of(root, sid).write_bytes(b"damaged")
    for call in (
        ws.cleanUp,
        lambda: ws.retrieveSession(sid),
        lambda: ws.lockSession(sid).__enter__(),
    ):
        try:
            call()
        except (SessionStoreError, CorruptData):
            pass
    assert {path: path.read_bytes() for path in kept} == kept


def test_looking_up_tells_nothing_of_what_is_there():
    """
    CVE-2019-16782: a lookup by the raw ID takes longer the more of it is
    right. Names on disk are hashes: IDs that differ in the last character
    have nothing more in common there than any two.
    """

    def common(one, other):
        pair = [handle(one), handle(other)]
        return len(os.path.commonprefix(pair))  # noqa: RUF071 - no paths

    alike = [common("a" * 31 + "x", "a" * 31 + c) for c in "bcdefghijklmnop"]
    assert max(alike) < 4
    assert len({handle("a" * 32), handle("a" * 31), handle("A" * 32)}) == 3


@pytest.mark.parametrize("call", ["retrieveSession", "storeSession"])
def test_an_id_that_was_not_issued_is_not_adopted(ws, root, call):
    """CVE-2011-4718: strict always."""
    arguments = ("chosenByThem",) + (("data",) if call[0] == "s" else ())
    with pytest.raises(InvalidSessionId):
        getattr(ws, call)(*arguments)
    assert session_files(root) == []


def test_no_randomness_no_id(make_store, monkeypatch):
    """The fallback of a CSPRNG is an error, never something weaker."""
    store = make_store()
    if store.backend != "python":
        pytest.skip(
            "the C part asks the kernel itself; see unit/test_backend.py"
        )

    def fail(size):
        raise NotImplementedError("no source of randomness")

    ws = WebSession(store)
    monkeypatch.setattr(os, "urandom", fail)
    with pytest.raises(NotImplementedError):
        ws.newSession()


def test_nothing_is_downgraded(root, backend):
    """CVE-2026-39324: a store keeps its key and its serialiser."""
    secret = "of the application" * 2
    strict = FileStore(root, backend=backend, serializer="json", secret=secret)
    sid = WebSession(strict).newSession(data=[1])
    with pytest.raises(SessionStoreError, match="secret"):
        FileStore(root, backend=backend)
    other = FileStore(root, backend=backend, secret=secret)
    with pytest.raises(CorruptData, match="serializer"):
        WebSession(other).retrieveSession(sid)
    assert WebSession(strict).retrieveSession(sid) == [1]
