"""Opening a store: permissions, marker, key, wrong directories."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest

from machine import missing
from support import in_processes
from websession import FileStore, SessionStoreError, UnsafeStore, WebSession
from websession.disk.engine import DiskEngine
from websession.disk.root import network_type


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_modes_are_private_whatever_the_umask(root, backend, mask):
    old = os.umask(mask)
    try:
        ws = WebSession(
            FileStore(root / "deep" / "er", backend=backend),
            0, 3600, maxSessionCount=5,
        )  # fmt: skip
        sid = ws.newSession()
        with ws.lockSession(sid):
            ws.storeSession(sid, "data")
        assert ws.retrieveSession(sid) == "data"
        ws.cleanUp()
    finally:
        os.umask(old)
    for directory, names, files in os.walk(root):
        assert all(mode(os.path.join(directory, n)) == 0o700 for n in names)
        for name in files:
            if not name.endswith(".holder"):
                path = os.path.join(directory, name)
                assert mode(path) & 0o177 == 0, path
                assert mode(path) & 0o600 == 0o600, path


def test_a_store_is_found_again(root, backend):
    ws = WebSession(FileStore(root, backend=backend))
    sid = ws.newSession()
    ws.storeSession(sid, "data")
    again = WebSession(FileStore(root, backend=backend, shards=16))
    assert again.retrieveSession(sid) == "data"
    assert again.sessiondict.engine.layout.shards == 256


@pytest.mark.parametrize("shards", [16, 256, 4096])
def test_shards_spread_the_files(root, backend, shards):
    store = FileStore(root, backend=backend, shards=shards)
    ws = WebSession(store, 0, 60)
    sid = ws.newSession()
    (path,) = [p for p in root.rglob("*") if p.is_file() and len(p.name) > 20]
    assert len(path.parent.name) == {16: 1, 256: 2, 4096: 3}[shards]
    assert len(path.parent.name + path.name) == 32
    assert ws.listSessions()[0].handle == path.parent.name + path.name
    ws.cleanUp()
    assert ws.retrieveSession(sid) == "_created_"


@pytest.mark.parametrize("empty", ["", b""])
def test_an_empty_path_is_not_the_working_directory(empty):
    with pytest.raises(ValueError, match="empty"):
        FileStore(empty)


@pytest.mark.parametrize("bad", [0, 1, 17, 65536])
def test_impossible_shard_counts_are_refused(root, bad):
    with pytest.raises(ValueError, match="16, 256 or 4096"):
        FileStore(root, shards=bad)


@pytest.mark.parametrize("bits", [0o755, 0o750, 0o701, 0o770, 0o777])
def test_a_directory_open_to_others_is_refused_with_the_remedy(root, bits):
    root.mkdir()
    root.chmod(bits)
    with pytest.raises(UnsafeStore, match="chmod 700"):
        FileStore(root)
    assert list(root.iterdir()) == []
    root.chmod(0o700)
    FileStore(root)


def test_a_parent_that_all_may_write_is_refused(tmp_path):
    parent = tmp_path / "open"
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(UnsafeStore, match="sticky bit"):
        FileStore(parent / "sessions")
    parent.chmod(0o1777)
    FileStore(parent / "sessions")


def test_a_file_in_its_place_is_not_a_directory(tmp_path):
    (tmp_path / "sessions").write_text("")
    with pytest.raises(SessionStoreError, match=r"[Nn]ot a directory|exists"):
        FileStore(tmp_path / "sessions")


def test_a_directory_with_other_things_is_not_made_a_store(root):
    root.mkdir(0o700)
    (root / "index.html").write_text("a site")
    with pytest.raises(SessionStoreError, match="not a session store"):
        FileStore(root)
    assert [path.name for path in root.iterdir()] == ["index.html"]


def test_a_symlink_to_the_store_is_resolved_once(root, tmp_path, backend):
    (tmp_path / "real").mkdir(0o700)
    root.symlink_to(tmp_path / "real")
    ws = WebSession(FileStore(root, backend=backend))
    sid = ws.newSession()
    root.unlink()
    assert ws.retrieveSession(sid) == "_created_"


def test_a_missing_key_is_an_error_and_is_never_remade(root):
    FileStore(root)
    (root / ".key").unlink()
    with pytest.raises(SessionStoreError, match="key is missing"):
        FileStore(root)
    assert not (root / ".key").exists()


def test_another_key_is_an_error(root, tmp_path):
    FileStore(root)
    (root / ".key").write_bytes(os.urandom(32))
    with pytest.raises(SessionStoreError, match="another key"):
        FileStore(root)


def test_half_a_key_is_an_error(root):
    FileStore(root)
    (root / ".key").write_bytes(b"x" * 31)
    with pytest.raises(SessionStoreError, match="key is damaged"):
        FileStore(root)


def test_a_key_that_others_can_read_is_refused(root):
    FileStore(root)
    (root / ".key").chmod(0o644)
    with pytest.raises(UnsafeStore, match=r"mode 644\): chmod -R go= /"):
        FileStore(root)


@pytest.mark.parametrize("name", [".key", ".websession"])
def test_a_planted_symlink_is_not_followed(root, tmp_path, name):
    FileStore(root)
    (root / name).rename(tmp_path / "moved")
    (root / name).symlink_to(tmp_path / "moved")
    with pytest.raises(SessionStoreError):
        FileStore(root)


@pytest.mark.parametrize(
    ("version", "said"),
    [("3", "upgrade websession"), ("1", "format 1, which was never released")],
)
def test_another_format_is_refused(root, version, said):
    FileStore(root)
    marker = root / ".websession"
    text = marker.read_text().replace("store 2", f"store {version}")
    marker.write_text(text)
    with pytest.raises(SessionStoreError, match=said):
        FileStore(root)
    assert marker.read_text() == text


@pytest.mark.parametrize("text", ["", "garbage", "websession-store 2\n"])
def test_a_damaged_marker_is_an_error(root, text):
    FileStore(root)
    (root / ".websession").write_text(text)
    with pytest.raises(SessionStoreError, match="damaged"):
        FileStore(root)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda root: root.chmod(0o755),
        lambda root: root.parent.chmod(0o777),
        lambda root: (root / ".key").chmod(0o644),
        lambda root: (root / ".key").unlink(),
        lambda root: (root / ".websession").write_text("x"),
        lambda root: (root / ".websession").rename(root / "odd\x9b"),
    ],
    ids=["open", "parent", "key", "no-key", "damaged", "no-store"],
)
def test_what_is_wrong_is_said_in_one_harmless_line(tmp_path, break_it):
    """Whatever stands in the path: applications log this."""
    root = tmp_path / "a\x1b[2J\x9b\n\u202e\udcff" / "sessions"
    assert FileStore(root).path == str(root)
    break_it(root)
    with pytest.raises(SessionStoreError) as caught:
        FileStore(root)
    assert r"\x1b[2J\x9b\n\u202e\udcff" in str(caught.value)
    assert str(caught.value).isprintable()


def test_secrets_of_the_application_leave_no_key(root):
    FileStore(root, secret="a secret of 16 b")
    assert not (root / ".key").exists()
    with pytest.raises(SessionStoreError, match="pass it as secret="):
        FileStore(root)


def test_moving_from_the_key_file_to_a_secret(root, backend):
    ws = WebSession(FileStore(root, backend=backend))
    sid = ws.newSession()
    with pytest.raises(SessionStoreError, match="first in the list"):
        FileStore(root, secret=b"x" * 32)
    key = (root / ".key").read_bytes()
    both = FileStore(root, secret=[key, b"x" * 32], backend=backend)
    assert WebSession(both).retrieveSession(sid) == "_created_"


@pytest.mark.parametrize("bad", [b"", "", b"short", "x" * 15, [], [b"x"]])
def test_empty_and_short_secrets_are_refused(root, bad):
    with pytest.raises(ValueError, match="secret"):
        FileStore(root, secret=bad)


@pytest.mark.parametrize(
    "option",
    [
        {"durability": "most"},
        {"max_size": 0},
        {"max_size": 1 << 30},
        {"serializer": "yaml"},
        {"backend": "rust"},
    ],
)
def test_impossible_options_are_refused(root, option):
    with pytest.raises(ValueError):
        FileStore(root, **option)


def test_processes_that_open_at_once_agree_on_key_and_store(tmp_path, backend):
    for turn in range(40):
        root = tmp_path / str(turn)

        def work(number, root=root):
            ws = WebSession(FileStore(root, backend=backend))
            sid = ws.newSession()
            return sid, (root / ".key").read_bytes()

        found = in_processes(5, work)
        assert len({key for _, key in found}) == 1
        ws = WebSession(FileStore(root, backend=backend))
        assert all(ws.retrieveSession(sid) for sid, _ in found)
        left = [n for n in os.listdir(root) if n.startswith(".new-")]
        assert left == []


def test_network_file_systems_are_told_by_name(monkeypatch, tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "2 1 0:5 / /home rw - nfs4 server:/home rw\n"
        "3 2 0:6 / /home/a\\040b rw shared:1 - tmpfs none rw\n"
    )
    real_open = open

    def fake_open(path, *args, **kwargs):
        if path == "/proc/self/mountinfo":
            path = table
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr("builtins.open", fake_open)
    assert network_type(b"/var/lib/x") is None
    assert network_type(b"/home/c") == "nfs4"
    assert network_type(b"/home/a b/c") is None
    assert network_type(b"/homestead") is None


def test_a_network_file_system_is_refused_unless_allowed(root, monkeypatch):
    monkeypatch.setattr(
        "websession.disk.root.network_type", lambda root: "nfs4"
    )
    with pytest.raises(UnsafeStore, match=r"\(nfs4\).*a disk of this machine"):
        FileStore(root)
    FileStore(root, allow_network=True)


def test_a_store_whose_directory_went_away_says_so(root, tmp_path, backend):
    ws = WebSession(FileStore(root, backend=backend))
    root.rename(tmp_path / "away")
    with pytest.raises(SessionStoreError, match="gone"):
        ws.newSession()
    assert not root.exists()


@pytest.mark.parametrize("durability", ["none", "data", "full"])
def test_every_durability_stores_and_deletes(root, backend, durability):
    store = FileStore(root, durability=durability, backend=backend)
    ws = WebSession(store)
    sid = ws.newSession()
    ws.storeSession(sid, "x" * 5000)
    assert ws.retrieveSession(sid) == "x" * 5000
    sid = ws.regenerateSession(sid, grace=10)
    ws.deleteSession(sid)
    assert ws.countSessions() == 0


# A directory that was removed and made anew


@pytest.fixture
def remade(root, make_store):
    """The sessions of a process whose store others have made anew."""

    def remake(**options):
        old = WebSession(make_store(sweep_interval=60), 0, 3600)
        sid = old.newSession(data="old")
        shutil.rmtree(root)
        # As if it had looked a while ago.
        old.sessiondict.engine.layout._looked -= 60
        return old, sid, WebSession(make_store(**options), 0, 3600)

    return remake


ANEW = r"made anew.*open the store again"


@pytest.mark.parametrize("shards", [16, 256])
def test_a_process_notices_that_its_store_was_made_anew(remade, shards):
    old, sid, new = remade(shards=shards)
    theirs = new.newSession(data="new")
    for use in (
        old.newSession,
        lambda: old.retrieveSession(sid),
        lambda: old.storeSession(sid, "late"),
        lambda: old.touchSession(sid),
        lambda: old.updateSession(sid, lambda data: data),
        lambda: old.deleteSession(sid),
        lambda: old.regenerateSession(sid),
        lambda: old.retrieveSession(theirs),
        lambda: old.storeSession(theirs, "late"),
        old.cleanUp,
        old.countSessions,
        old.listSessions,
    ):
        with pytest.raises(SessionStoreError, match=ANEW):
            use()
    assert new.retrieveSession(theirs) == "new"


def test_a_process_leaves_a_store_that_was_made_anew_as_it_is(root, remade):
    old, sid, new = remade()
    theirs = new.newSession()
    for shard in range(256):
        (root / f"{shard:02x}").mkdir(0o700, exist_ok=True)
    before = sorted(root.rglob("*"))
    for use in (
        old.newSession,
        old.newSession,
        old.cleanUp,
        lambda: old.storeSession(theirs, "late"),
        lambda: old.deleteSession(sid),
    ):
        with pytest.raises(SessionStoreError, match=ANEW):
            use()
    assert sorted(root.rglob("*")) == before


def test_a_new_shard_shows_at_once_that_a_store_was_made_anew(root, remade):
    old, _, _ = remade()
    old.sessiondict.engine.layout._looked += 3600  # not yet time to look
    with pytest.raises(SessionStoreError, match=ANEW):
        old.newSession()
    assert list(root.glob("[0-9a-f][0-9a-f]")) == []


def test_a_store_put_back_from_a_backup_is_the_same(root, make_store):
    ws = WebSession(make_store(), 0, 3600)
    sid = ws.newSession(data="kept")
    shutil.copytree(root, root.with_name("backup"))
    shutil.rmtree(root)
    for use in (ws.newSession, ws.countSessions):
        ws.sessiondict.engine.layout._looked -= 60
        with pytest.raises(SessionStoreError, match="is gone: open the store"):
            use()
    os.rename(root.with_name("backup"), root)
    assert ws.retrieveSession(sid) == "kept"
    ws.sessiondict.engine.layout._looked -= 60
    ws.deleteSession(ws.newSession())
    assert ws.countSessions() == 1


def test_what_is_not_there_needs_no_key(make_session, root, backend):
    ws = make_session()
    session_id = ws.newSession()
    engine = DiskEngine(root, backend=backend, existing=True)
    (root / ".key").unlink()
    assert engine.read(engine.locate("neverNever12")) is None
    with pytest.raises(SessionStoreError, match="key is missing"):
        engine.read(engine.locate(session_id))


def test_no_repository_takes_in_sessions_or_the_key(root, make_store):
    if shutil.which("git") is None:
        missing("git")
    root.parent.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "-q", root.parent], check=True)
    WebSession(make_store()).newSession()
    status = ["git", "-C", root.parent, "status", "--porcelain", "-uall"]
    assert subprocess.check_output(status) == b""


def test_a_gitignore_that_is_there_stays(root, make_store):
    root.mkdir(mode=0o700)
    (root / ".gitignore").write_text("mine\n")
    WebSession(make_store()).newSession()
    assert (root / ".gitignore").read_text() == "mine\n"
