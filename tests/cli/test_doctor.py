"""`websession doctor` and `websession bench`, on directories of all kinds."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from contextlib import contextmanager

import pytest

from console import plain
from machine import missing
from mounting import mounted
from support import Child
from websession import FileStore
from websession.admin import doctor, probes
from websession.cli import main


@pytest.fixture
def checks(console):
    """What is found, by level."""

    def look(path, *options, status=0):
        found = {}
        for each in console.json("doctor", path, *options, status=status):
            assert set(each) == {"level", "what", "advice"}
            if each["level"] in ("warning", "error"):
                assert each["advice"]
            found.setdefault(each["level"], []).append(each["what"])
        return found

    return look


def has(texts, part):
    return any(part in text for text in texts)


GOOD = [
    "safe from others",
    "files (inodes) left",
    "keeps another one out (flock)",
    "one does (O_EXCL)",
    "writes in place another one reads",
    "keep the mode they are given",
    "times of files are exact",
    "a new session takes",
]


def test_a_store(checks, root, ws):
    before = sorted(root.rglob("*"))
    found = checks(root)
    for part in GOOD:
        assert has(found["ok"], part), part
    assert "error" not in found
    # The tests' directories lie there.
    assert has(found["warning"], "where programs delete old files")
    assert sorted(root.rglob("*")) == before


def test_a_directory_that_is_not_there_yet(checks, tmp_path):
    found = checks(tmp_path / "a" / "b")
    assert has(found["note"], f"{tmp_path}/a/b does not exist")
    assert has(found["ok"], "a new session takes")
    assert list(tmp_path.iterdir()) == []


def test_a_file(checks, tmp_path):
    (tmp_path / "file").write_text("")
    assert checks(tmp_path / "file", status=3)["error"] == [
        f"{tmp_path}/file is not a directory"
    ]


def test_for_people(console, root, ws):
    out = console.text("doctor", root)
    assert "ok       a lock of one process keeps another one out" in out
    assert "\n         -> use a directory like /var/lib" in out
    _, shown = console.on_terminal("doctor", root)
    assert "\x1b[33mwarning" in shown
    assert "a lock of one process" in plain(shown)


@pytest.fixture
def umask_022():
    old = os.umask(0o022)
    yield
    os.umask(old)


def test_it_fits_into_the_terminal_and_a_pipe_gets_whole_lines(
    console, root, ws, umask_022
):
    piped = console.text("doctor", root)
    assert "(the umask, 022, does not matter)\n" in piped
    console.environment["COLUMNS"] = "60"
    _, shown = console.on_terminal("doctor", root)
    lines = plain(shown).splitlines()
    at = lines.index(
        "ok       files keep the mode they are given (the umask, 022,"
    )
    assert lines[at + 1] == "         does not matter)"
    assert max(len(line) for line in lines if str(root) not in line) <= 60


def test_it_ends_with_a_verdict(monkeypatch, capsys):
    def verdict(*levels):
        monkeypatch.setattr(
            "websession.cli.doctor.examine",
            lambda path, allowed: [
                probes.Check(each, "something", "") for each in levels
            ],
        )
        status = main(["doctor", "PATH"])
        return status, capsys.readouterr().out.splitlines()[-1]

    assert verdict("ok", "note") == (0, "fit for sessions")
    assert verdict("ok", "warning", "note") == (
        0, "fit for sessions, with 1 warning"
    )  # fmt: skip
    assert verdict("error", "warning") == (3, "not fit for sessions: 1 error")
    assert verdict("error", "error") == (3, "not fit for sessions: 2 errors")
    main(["doctor", "PATH", "--json"])
    assert "fit" not in capsys.readouterr().out


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_umask_does_not_matter(checks, root, ws, umask):
    old = os.umask(umask)
    try:
        found = checks(root)
    finally:
        os.umask(old)
    assert has(found["ok"], f"the umask, {umask:03o}, does not matter")
    assert "error" not in found


def test_a_directory_that_a_web_server_hands_out(checks, tmp_path):
    for name in "public_html", "htdocs", "httpdocs", "www", "cgi-bin":
        path = tmp_path / name / "shop" / "sessions"
        path.mkdir(parents=True, mode=0o700)
        found = checks(path)
        assert has(found["warning"], f"below {tmp_path / name}, which")
        path = tmp_path / "not-yet" / name / "sessions"
        assert has(checks(path)["warning"], f"below {path.parent}, which")
    path = tmp_path / "www2" / "sessions"
    path.mkdir(parents=True, mode=0o700)
    found = checks(path)
    assert not has(found.get("warning", []), "web servers")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "public_html").symlink_to(tmp_path / "www2")
    found = checks(tmp_path / "home" / "public_html" / "sessions")
    assert has(found["warning"], "home/public_html, which")


def test_a_store_that_no_application_would_open(checks, root, ws):
    ws.newSession()
    (root / ".key").rename(root / ".key-away")
    assert has(checks(root, status=3)["error"], ".key is missing")
    (root / ".key").write_bytes(b"x" * 32)
    (root / ".key").chmod(0o600)
    assert "error" in checks(root, status=3)
    (root / ".key").unlink()
    (root / ".websession").unlink()
    found = checks(root, status=3)["error"]
    assert has(found, "no .websession")


def test_a_directory_of_other_things(checks, tmp_path):
    path = tmp_path / "shop"
    path.mkdir(mode=0o700)
    (path / ".key").touch()
    assert "error" not in checks(path)
    (path / "index.py").touch()
    found = checks(path, status=3)
    assert has(found["error"], "not empty (there is 'index.py')")
    assert not has(found["ok"], "safe from others")


def test_a_store_with_a_secret_of_the_applications(checks, make_store, root):
    make_store(secret="the application's own secret")
    assert "error" not in checks(root)


def test_open_to_others(checks, console, tmp_path):
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(0o755)
    found = checks(path, status=3)
    assert has(found["error"], "is open to other users (mode 755)")
    (told,) = (
        each["advice"]
        for each in console.json("doctor", path, status=3)
        if each["level"] == "error"
    )
    assert told == f"chmod 700 {path}"
    (path / "something else").touch()
    (told,) = (
        each["advice"]
        for each in console.json("doctor", path, status=3)
        if each["level"] == "error"
    )
    assert told == f"use a new directory, like {path}/sessions"


def test_parents_that_others_can_write_to(checks, tmp_path):
    path = tmp_path / "shared" / "sessions"
    path.mkdir(parents=True, mode=0o700)
    path.parent.chmod(0o777)
    for each in path, path.parent / "not" / "yet":
        assert has(checks(each, status=3)["error"], "anybody can replace")
    path.parent.chmod(0o1777)
    assert "error" not in checks(path)
    path.parent.chmod(0o770)
    for each in path, path.parent / "not-yet":
        found = checks(each)
        assert has(found["warning"], f"can write to {path.parent}")
        assert not has(found["ok"], "safe from others")


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.root
@root_only
def test_of_another_owner(checks, tmp_path):
    path = tmp_path / "theirs" / "sessions"
    path.mkdir(parents=True, mode=0o700)
    os.chown(path, 65534, 65534)
    found = checks(path, status=3)
    assert has(found["error"], "belongs to user nobody, this process runs as")
    os.chown(path, 0, 0)
    FileStore(path)
    os.chown(path / ".websession", 65534, 65534)
    found = checks(path, status=3)
    assert has(found["error"], f"{path}/.websession belongs to user nobody")
    os.chown(path / ".websession", 0, 0)
    os.chown(path.parent, 65534, 65534)
    assert has(checks(path)["warning"], "belongs to user nobody, who can")


@pytest.mark.root
@root_only
def test_as_a_user_who_may_not_write(tmp_path, backend):
    path = tmp_path / "sessions"
    path.mkdir(mode=0o755)
    for above in [tmp_path, *tmp_path.parents]:
        above.chmod(above.stat().st_mode | 0o055)

    def look():
        os.setuid(65534)
        return [tuple(each) for each in doctor.examine(str(path), False)]

    found = Child(look).result()
    errors = [what for level, what, _ in found if level == "error"]
    assert f"this user cannot write to {path}" in errors


@pytest.mark.root
def test_in_memory_and_read_only(checks, tmp_path):
    disk = tmp_path / "disk"
    with mounted(disk, "size=2m,mode=700"):
        found = checks(disk)
        assert has(found["note"], f"in memory: tmpfs on {disk}")
        assert has(found["warning"], "MiB left on the file system")
        assert list(disk.iterdir()) == []
    disk.rmdir()
    with mounted(disk, "size=2m,mode=700,ro"):
        found = checks(disk, status=3)
        assert has(found["error"], "mounted read-only")


@pytest.mark.root
def test_a_full_disk(checks, tmp_path):
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m,mode=700,nr_inodes=3"):
        (disk / "one").touch()
        (disk / "two").touch()
        found = checks(disk, status=3)
        assert has(found["warning"], "0 files (inodes) left")
        assert has(found["error"], "nothing can be made in")


@pytest.mark.root
def test_a_disk_that_fills_while_it_is_looked_at(checks, tmp_path):
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m,mode=700,nr_inodes=9"):
        found = checks(disk, status=3)
        assert has(found["error"], "trying that failed: No space left")
        assert list(disk.iterdir()) == []


@contextmanager
def disk_of(kind, path, *options):
    """A new file system of that kind."""
    image = path.with_suffix(".image")
    image.write_bytes(b"")
    os.truncate(image, 16 << 20)
    path.mkdir()
    try:
        subprocess.run(
            [f"mkfs.{kind}", "-q", "-F", *options, image], check=True
        )
        subprocess.run(
            ["mount", "-t", kind, "-o", "loop", image, path], check=True
        )
    except (OSError, subprocess.CalledProcessError):
        missing(f"{kind}, and the right to mount it from a file (root)")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)
        path.rmdir()


@pytest.mark.root
@root_only
@pytest.mark.parametrize(
    ("kind", "options", "warned"),
    [
        ("ext4", [], False),
        ("ext4", ["-O", "^has_journal"], True),
        ("ext3", [], False),
        ("ext2", [], True),
    ],
    ids=["ext4", "ext4 without", "ext3", "ext2"],
)
def test_a_disk_without_a_journal(tmp_path, kind, options, warned):
    disk = tmp_path / "disk"
    for above in [tmp_path, *tmp_path.parents]:
        above.chmod(above.stat().st_mode | 0o055)

    def look(place, user):
        os.setuid(user)
        return [tuple(each) for each in doctor.examine(str(place), False)]

    with disk_of(kind, disk, *options):
        (disk / "theirs").mkdir(mode=0o700)
        os.chown(disk / "theirs", 65534, 65534)
        for place, user in (disk / "new", 0), (disk / "theirs", 65534):
            found = Child(look, place, user).result()
            what = f"{kind} without a journal"
            told = [each for each in found if what in each[1]]
            assert len(told) == warned
            assert all(level == "warning" for level, _, _ in told)


def test_a_network_file_system(checks, root, ws, monkeypatch, backend):
    """Such as the system names them; none can be mounted in a test."""
    monkeypatch.setattr(
        doctor, "mount_of", lambda place: ("/net", "nfs4", "rw")
    )
    monkeypatch.setattr(doctor, "network_type", lambda place: "nfs4")
    for allowed, level in (False, "error"), (True, "warning"):
        found = {
            each.what: each for each in doctor.examine(str(root), allowed)
        }
        told = found["a network file system: nfs4 on /net"]
        assert told.level == level
        # Its locks may be found to work, by two processes of this machine.
        assert told.advice.endswith("two were not tried")


def test_trials_notice_what_is_wrong(tmp_path, monkeypatch):
    """Each against a file system that lies."""
    flock, utime, chmod = probes.fcntl.flock, os.utime, os.chmod
    where = str(tmp_path)

    def level(trial, *args):
        (found,) = trial(where, *args)
        for path in tmp_path.iterdir():
            path.unlink()
        return found.level

    assert level(probes.locks) == "ok"
    monkeypatch.setattr(probes.fcntl, "flock", lambda *args: None)
    assert level(probes.locks) == "error"
    monkeypatch.setattr(probes.fcntl, "flock", flock)

    assert level(probes.times) == "ok"
    monkeypatch.setattr(
        os, "utime", lambda path, times: utime(path, (int(times[0]),) * 2)
    )
    assert level(probes.times) == "note"
    monkeypatch.setattr(os, "utime", utime)

    assert level(probes.modes, 0o022) == "ok"
    monkeypatch.setattr(os, "chmod", lambda path, mode: chmod(path, 0o777))
    assert level(probes.modes, 0o022) == "error"
    monkeypatch.setattr(os, "chmod", chmod)

    assert level(probes.exclusive) == "ok"
    original = open

    def lying(path, mode="r"):
        return original(path, "w" if mode == "x" else mode)

    monkeypatch.setattr(probes, "open", lying, raising=False)
    assert level(probes.exclusive) == "error"
    monkeypatch.delattr(probes, "open")

    assert level(probes.in_place) == "ok"
    monkeypatch.setattr(os, "pread", lambda fd, length, at: bytes(length))
    assert level(probes.in_place) == "error"


def test_a_trial_waits_for_both_of_its_processes(tmp_path, monkeypatch):
    """One that is left writes on while the directory is removed."""

    def full(path, mode="r"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(probes, "open", full, raising=False)
    (found,) = probes.exclusive(str(tmp_path))
    assert found.what == "two processes could not make files here"
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_bench(console, root, ws):
    out = console.text("bench", root, "--seconds", "1", "--sessions", "20")
    lines = out.splitlines()
    assert "renamed files" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "retrieve", "store", "retrieve and store", "new and delete"
    ]  # fmt: skip
    (found,) = console.json(
        "bench", root, "--seconds", "1", "--sessions", "20"
    )  # fmt: skip
    for name in "websession, python", "renamed files":
        assert all(value > 0 for value in found[name].values())
    assert [path for path in root.iterdir() if "bench" in path.name] == []
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
