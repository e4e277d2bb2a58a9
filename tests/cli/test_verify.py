"""`websession verify`: what is found, what is repaired, and no false alarm."""

from __future__ import annotations

import os
import stat
import time

import pytest

from console import handle_of
from golden_store import LIVE, golden_store
from support import Child, at, file_of, in_processes, session_files
from websession import (
    FileStore,
    InvalidSessionId,
    SessionRenewed,
    WebSession,
)
from websession.admin.check import Verifier
from websession.admin.inspector import Inspector
from websession.cli import main
from websession.record import HEADER_LENGTH

OLD = (1e9, 1e9)


@pytest.fixture
def ws(make_store):
    return WebSession(make_store(), crossCheckVars=(), maxSessionCount=10_000)


@pytest.fixture
def findings(console, root):
    """Paths and what is wrong with them; by --repair, and what is left."""

    def find(*options, status=3):
        *found, summary = console.json("verify", root, *options, status=status)
        assert summary["findings"] == len(found)
        assert summary["repaired"] == sum(each["done"] for each in found)
        return {each["path"]: each["what"] for each in found}

    return find


@pytest.fixture
def repaired(findings):
    """The findings; they are repaired, and were not before."""

    def repair():
        found = findings()
        done = findings("--repair", status=0)
        assert findings(status=0) == {}
        # What counts is told by modes, so the count is right after those.
        assert {**done, ".count": found.get(".count")} == {
            **found,
            ".count": found.get(".count"),
        }
        return found

    return repair


def below(root, session_id):
    return str(file_of(root, session_id).relative_to(root))


def test_nothing_is_wrong_with_a_good_store(console, root, ws):
    ids = [ws.newSession(data="x" * 997 * number) for number in range(30)]
    for session_id in ids[::2]:
        ws.storeSession(session_id, "again")
    with ws.lockSession(ids[0]):
        pass
    ws.regenerateSession(ids[1], grace=60)
    ws.deleteSession(ids[2])
    ws.cleanUp()
    out = console.text("verify", root)
    # The superseded one is one of them.
    assert out == "30 sessions verified, 0 findings, 0 repaired\n"


def test_nothing_is_wrong_with_the_golden_files(console, tmp_path):
    root = golden_store(tmp_path / "golden")
    (summary,) = console.json("verify", root)
    assert summary["sessions"] == len(LIVE) > 5


def test_findings_are_grouped_the_worst_first(console, root, ws):
    for _ in range(5):
        file_of(root, ws.newSession()).write_bytes(b"x" * 1024)
    file_of(root, ws.newSession()).chmod(0o644)
    (root / "stray").touch()
    status, out, _ = console.run("verify", root)
    assert status == 3
    lines = out.splitlines()
    assert lines[0] == "5 damaged:"
    for line in lines[1:4]:
        assert line.startswith("  ")
        assert line.endswith(
            ": is damaged: no part of it is readable "
            "(--repair: move to .damaged/)"
        )
    assert lines[4] == "  and 2 more: --all"
    assert lines[5] == "1 with a wrong mode:"
    assert lines[6].endswith(": has mode 644 (--repair: chmod 600)")
    assert lines[7:] == [
        "1 not of the store:",
        "  stray: does not belong to the store",
        "1 session verified, 7 findings, 0 repaired",
    ]
    status, out, _ = console.run("verify", root, "--all")
    assert status == 3
    assert out.count("is damaged") == 5
    assert "more: --all" not in out


def test_what_was_found_before_it_is_interrupted_is_told(
    root, ws, monkeypatch, capsys
):
    file_of(root, ws.newSession()).write_bytes(b"x" * 1024)
    findings = Verifier.findings

    def interrupted(self):
        for each in findings(self):
            yield each
            if not isinstance(each, int):
                raise KeyboardInterrupt

    monkeypatch.setattr(Verifier, "findings", interrupted)
    assert main(["verify", str(root), "--repair"]) == 130
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "1 damaged:"
    assert "(done: move to .damaged/)" in shown.out
    assert "interrupted while verifying" in shown.err


def test_damage_of_each_kind(root, ws, findings):
    ids = [ws.newSession(data="good") for _ in range(6)]
    paths = [file_of(root, session_id) for session_id in ids]
    raw = [path.read_bytes() for path in paths]
    paths[0].write_bytes(raw[0][:40])  # cut off
    paths[1].write_bytes(b"\xff" * 600)  # no format
    flipped = bytearray(raw[2])
    flipped[HEADER_LENGTH + 2] ^= 1
    paths[2].write_bytes(flipped)  # checksum
    paths[3].write_bytes(raw[4])  # another session's
    newer = bytearray(raw[5])
    newer[3] = 9
    paths[5].write_bytes(newer)  # another version
    found = findings()
    for session_id in ids[:3] + ids[3:4]:
        assert "is damaged" in found[below(root, session_id)]
    assert "newer" in found[below(root, ids[5])] or "version" in found[
        below(root, ids[5])
    ]  # fmt: skip
    assert below(root, ids[4]) not in found
    left = findings("--repair")
    assert set(left) == set(found)
    kept = {path.name.partition(".")[0] for path in
            (root / ".damaged").iterdir()}  # fmt: skip
    assert kept == set(map(handle_of, ids[:4]))
    contents = [path.read_bytes() for path in (root / ".damaged").iterdir()]
    assert bytes(flipped) in contents
    # What a newer version has written stays where it is.
    assert list(findings()) == [below(root, ids[5])]
    assert paths[5].read_bytes() == bytes(newer)


def test_somebody_elses_record(
    console, root, ws, findings, tmp_path, make_store
):
    session_id = ws.newSession()
    theirs = FileStore(tmp_path / "theirs", sweep_interval=0)
    theirs.create(session_id, "planted", {}, at(time.time()))
    planted = file_of(theirs.path, session_id).read_bytes()
    file_of(root, session_id).write_bytes(planted)
    for options in [], ["--repair"]:
        found = findings(*options)
        assert "is not authentic" in found[below(root, session_id)]
    assert file_of(root, session_id).read_bytes() == planted


def test_modes_and_marks(root, ws, repaired):
    ids = [ws.newSession() for _ in range(4)]
    file_of(root, ids[0]).chmod(0o644)
    file_of(root, ids[1]).chmod(0o700)
    successor = ws.regenerateSession(ids[2], grace=60)
    file_of(root, ids[2]).chmod(0o600)
    (root / ".key").chmod(0o640)
    shard = file_of(root, ids[3]).parent
    shard.chmod(0o750)
    found = repaired()
    del found[".count"]
    assert found == {
        below(root, ids[0]): "has mode 644",
        below(root, ids[1]): "is marked as superseded, and is not",
        below(root, ids[2]): "is not marked as superseded, and is",
        ".key": "has mode 640",
        shard.name: "has mode 750",
    }
    assert stat.S_IMODE(file_of(root, ids[0]).stat().st_mode) == 0o600
    assert ws.countSessions() == 4
    assert ws.retrieveSession(successor) == "_created_"


def test_times_that_were_changed(root, ws, repaired):
    session_id = ws.newSession()
    stored = file_of(root, session_id).stat().st_mtime
    os.utime(file_of(root, session_id), OLD)
    assert repaired() == {
        below(root, session_id): "has another modification time than its "
        "record"
    }
    assert file_of(root, session_id).stat().st_mtime == pytest.approx(
        stored, abs=1
    )


def test_strays_are_told_and_left_alone(root, ws, findings):
    session_id = ws.newSession()
    shard = file_of(root, session_id).parent
    (shard / "notes.txt").write_text("mine")
    (shard / ("G" * 30)).write_text("mine")
    (root / "backup.tar").write_text("mine")
    (root / "zz").mkdir()
    file_of(root, "nobody").parent.mkdir(mode=0o700, exist_ok=True)
    link = file_of(root, "nobody")
    link.symlink_to(file_of(root, session_id))
    directory = file_of(root, "somebody")
    directory.mkdir(parents=True)
    directory.parent.chmod(0o700)
    expected = {
        f"{shard.name}/notes.txt": "is not a session",
        f"{shard.name}/{'G' * 30}": "is not a session",
        "backup.tar": "does not belong to the store",
        "zz": "does not belong to the store",
        below(root, "nobody"): "is not a regular file: move it away",
        below(root, "somebody"): "is not a regular file: move it away",
    }
    assert findings("--repair") == expected
    assert findings() == expected


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_owner(root, ws, findings):
    session_id = ws.newSession()
    os.chown(file_of(root, session_id), 65534, 65534)
    expected = "belongs to user 65534: chown it to the owner"
    for options in [], ["--repair"]:
        assert findings(*options)[below(root, session_id)] == expected


def test_what_crashes_leave_behind(root, ws, backend, monkeypatch):
    """Old files for which nobody can be waiting any more, and only these."""
    session_id = ws.newSession()
    empty, temporary = file_of(root, session_id), root / ".new-0123"
    empty.write_bytes(b"")
    temporary.write_bytes(b"x")

    def findings(repair):
        store = Inspector(root, backend=backend)
        return {
            each.path: (each.what, each.done)
            for each in Verifier(store, repair).findings()
            if not isinstance(each, int)
        }

    assert findings(True) == {}
    later = time.time() + 3700
    monkeypatch.setattr("websession.admin.check.time.time", lambda: later)
    expected = {
        below(root, session_id): "is empty: whoever was to fill it crashed",
        ".new-0123": "was left behind by a process that crashed",
    }
    for repair in False, True:
        assert findings(repair) == {
            path: (what, repair) for path, what in expected.items()
        }
    assert findings(False) == {}
    assert not empty.exists()
    assert not temporary.exists()


def test_the_count(root, ws, repaired):
    for _ in range(20):
        ws.newSession()
    # Nothing is announced any more that a missing file would explain.
    assert ws.countSessions() == 20
    victim = session_files(root)[0]
    victim.unlink()
    (found,) = repaired().values()
    assert "sessions in directory" in found
    assert ws.countSessions() == 19


def test_a_missing_key(console, root, ws, findings):
    ws.newSession()
    (root / ".key").unlink()
    found = findings()
    assert "missing" in found[".key"]
    (*_, summary) = console.json("verify", root, status=3)
    assert summary["authenticity"] is False
    status, out, _ = console.run("verify", root)
    assert status == 3
    assert "authenticity was not checked" in out


def test_with_the_applications_secret(console, root, make_store, tmp_path):
    secret = "the application's own secret"
    ws = WebSession(make_store(secret=secret), crossCheckVars=())
    ws.newSession()
    out = console.text("verify", root)
    assert out.startswith("1 session readable, 0 findings, 0 repaired\n")
    assert "authenticity was not checked" in out
    (tmp_path / "secret").write_text(secret)
    assert console.text(
        "verify", root, "--secret-file", tmp_path / "secret"
    ) == "1 session verified, 0 findings, 0 repaired\n"  # fmt: skip


def traffic(ws, ids, end):
    """Everything that sessions go through, until a time."""
    turns = 0
    mine = list(ids)
    while time.monotonic() < end:
        for index, session_id in enumerate(mine):
            try:
                ws.updateSession(session_id, lambda text: text + "x" * 61)
                if turns % 5 == index % 5:
                    mine[index] = ws.regenerateSession(session_id, grace=0.01)
                if turns % 7 == index % 7:
                    ws.deleteSession(mine[index])
                    mine[index] = ws.newSession(data="")
                if turns % 11 == 0:
                    ws.storeSession(mine[index], "")
            except (InvalidSessionId, SessionRenewed):
                mine[index] = ws.newSession(data="")
        turns += 1
    return turns


@pytest.mark.proof
@pytest.mark.parametrize("repair", [[], ["--repair"]])
def test_live_traffic_is_no_finding(console, root, ws, repair):
    ids = [ws.newSession(data="") for _ in range(60)]
    end = time.monotonic() + 6

    def work(number):
        if number < 4:
            return traffic(ws, ids[number::4], end)
        runs = 0
        while time.monotonic() < end or runs < 20:
            (summary,) = console.json("verify", root, *repair)
            assert summary["findings"] == 0
            runs += 1
        return runs

    *turns, runs = in_processes(5, work)
    assert min(turns) > 5
    assert runs >= 20
    assert console.json("verify", root)[0]["findings"] == 0


@pytest.mark.proof
def test_after_kills_nothing_is_wrong(console, root, ws):
    """Whatever is left of a killed process is good or is about to be."""
    ids = [ws.newSession(data="") for _ in range(30)]
    for number in range(25):
        child = Child(traffic, ws, ids, time.monotonic() + 60)
        time.sleep(0.02 + 0.003 * number)
        child.kill()
        child.wait()
    found = console.run("verify", root, "--json")
    assert found[0] in (0, 3)
    console.run("verify", root, "--repair")
    (summary,) = console.json("verify", root)
    assert summary["findings"] == 0
    assert ws.countSessions() == sum(
        not path.stat().st_mode & 0o100 and path.stat().st_size > 0
        for path in session_files(root)
    )
