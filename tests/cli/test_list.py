"""`websession list`: filters, order, any number."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import sys
import time

import pytest

from console import handle_of, plain
from support import Child, file_of
from websession import FileStore, WebSession
from websession.admin.inspector import StoredSession
from websession.cli import main
from websession.cli.sorting import in_order
from websession.disk import backend as backends


@pytest.fixture
def made(make_store):
    """Twenty sessions, the n-th made n hours ago with 100 n characters."""
    now = time.time()
    clock = [now]
    ws = WebSession(
        make_store(), 0, 43_200 - 60, crossCheckVars=(),
        clock=lambda: clock[0],
    )  # fmt: skip
    handles = []
    for number in range(20):
        clock[0] = now - 3600 * number
        handles.append(handle_of(ws.newSession(data="x" * 100 * number)))
    clock[0] = now
    return handles


def listed(console, *arguments):
    return [each["handle"] for each in console.json("list", *arguments)]


def test_all_of_them(console, root, made):
    assert sorted(listed(console, root)) == sorted(made)
    lines = console.text("list", root).splitlines()
    assert lines[0].split() == [
        "handle", "created", "stored", "size", "serializer", "own", "limit",
        "state",
    ]  # fmt: skip
    assert sorted(line[:32] for line in lines[1:]) == sorted(made)


def test_a_terminal_of_80_columns_shows_a_session_in_a_line(
    console, root, make_store
):
    clock = [1.0]
    ws = WebSession(
        make_store(), 0, 0, crossCheckVars=(), maxLifetime=1e9,
        clock=lambda: clock[0],
    )  # fmt: skip
    handle = handle_of(ws.newSession(data="x" * 1_020_000, idle=399 * 86400))
    console.environment["COLUMNS"] = "80"
    shown = console.on_terminal("list", root)[1]
    heading, line = plain(shown).splitlines()[:2]
    assert len(heading) < 80
    assert len(line) < 80
    assert line.startswith(f"{handle[:12]}  2")
    assert "996.1 KiB" in line
    # Enough for another command.
    assert console.json("show", root, handle[:12])[0]["handle"] == handle
    wide = plain(console.on_terminal("list", root, "--wide")[1])
    assert wide == console.text("list", root)
    assert handle in wide


def test_what_is_known_of_each(console, root, make_store):
    ws = WebSession(make_store(serializer="json"), clock=lambda: 1.7e9 + 0.25)
    handle = handle_of(ws.newSession(data={"n": 1}, idle=7200))
    (found,) = console.json("list", root)
    disk = found.pop("disk")
    assert disk % 512 == 0
    assert found == {
        "handle": handle,
        "created": 1.7e9 + 0.25,
        "stored": 1.7e9 + 0.25,
        "idle": 7200,
        "size": 7,
        "serializer": "json",
        "superseded": False,
        "state": "expired",
    }
    assert console.text("list", root).splitlines()[1].split() == [
        handle, "2023-11-14", "22:13:20", "2023-11-14", "22:13:20", "7",
        "bytes", "json", "2h", "expired",
    ]  # fmt: skip


def test_live_and_expired_ones(console, root, made):
    assert sorted(listed(console, root, "--live")) == sorted(made[:12])
    assert sorted(listed(console, root, "--expired")) == sorted(made[12:])
    out = console.text("list", root, "--expired", "--limit", "3")
    assert [line.split()[-1] for line in out.splitlines()[1:]] == (
        ["expired"] * 3
    )
    (shown,) = console.json("show", root, made[0])
    assert shown["state"] == "live"


def test_which_are_live_is_not_known_before_somebody_has_said(
    console, root, made
):
    (root / ".locks" / "limits").unlink()
    said = console.complaint("list", root, "--live", status=2)
    assert "the limits of the applications are not known" in said
    assert {each["state"] for each in console.json("list", root)} == {"?"}


def test_filters(console, root, made):
    assert sorted(listed(console, root, "--older-than", "16.5h")) == sorted(
        made[17:]
    )
    assert sorted(listed(console, root, "--newer-than", "150m")) == sorted(
        made[:3]
    )
    assert sorted(listed(console, root, "--larger-than", "1850")) == [made[19]]
    assert sorted(listed(console, root, "--smaller-than", "90")) == [made[0]]
    both = ["--older-than", "2.5h", "--newer-than", "5.5h"]
    assert sorted(listed(console, root, *both)) == sorted(made[3:6])
    assert listed(console, root, "--older-than", "2d") == []


def test_order(console, root, made):
    assert listed(console, root, "--sort", "size") == made
    assert listed(console, root, "--sort", "created") == made[::-1]
    newest = ["--sort", "stored", "--reverse", "--limit", "3"]
    assert listed(console, root, *newest) == made[:3]


def test_superseded_ones_are_not_listed(console, root, make_store):
    ws = WebSession(make_store(), crossCheckVars=())
    new = ws.regenerateSession(ws.newSession(), grace=60)
    assert listed(console, root) == [handle_of(new)]


@pytest.fixture
def damaged(root, make_store):
    """Handles: of a session that cannot be read, and of one that can."""
    ws = WebSession(make_store(), crossCheckVars=())
    bad, good = ws.newSession(), ws.newSession()
    file_of(root, bad).write_bytes(b"\xff" * 600)
    return handle_of(bad), handle_of(good)


def left_out(error, verb):
    return (
        f"websession: {error}\n"
        f"websession: 1 session cannot be read and is not {verb}; websession "
        "verify says what to do\n"
    )


@pytest.mark.parametrize("words", [["--json"], ["--json", "--sort", "size"]])
def test_damaged_ones_are_named(console, root, damaged, words):
    bad, good = damaged
    status, out, err = console.run_forked("list", root, *words)
    assert (status, json.loads(out)["handle"]) == (3, good)
    error = f"no readable state in the file of {bad}"
    assert err == left_out(error, "listed")


def test_old_ones_that_cannot_be_read_stay_and_are_named(
    console, root, damaged
):
    status, out, err = console.run_forked("delete", root, "--older-than", "0")
    assert (status, out) == (3, "1 session deleted\n")
    error = f"no readable state in the file of {damaged[0]}"
    assert err == left_out(error, "among these")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("me", [0, 65534])
def test_those_of_another_owner_are_named(
    root, ws, damaged, backend, me, monkeypatch, capsys
):
    theirs, ours = damaged
    shard = root / theirs[:2]
    os.chown(shard / theirs[2:], 54321, 0)
    if me:
        for path in [root, *root.rglob("*")]:
            if path.stat().st_uid == 0:
                os.chown(path, me, me)
        for above in root.parents:
            above.chmod(above.stat().st_mode | 0o055)
    monkeypatch.setattr(backends, "default", backends.choose(backend))
    main(["list", str(root), "--sort", "size"])  # imports what it needs
    capsys.readouterr()

    def look():
        os.setuid(me)
        status = main(["list", str(root), "--sort", "size"])
        found = capsys.readouterr()
        return status, found.out, found.err

    status, out, err = Child(look).result()
    assert (status, [line[:32] for line in out.splitlines()[1:]]) == (
        3, [ours]
    )  # fmt: skip
    who = "root" if me == 0 else "nobody"
    error = f"session {theirs} belongs to user 54321, this process "
    assert err == left_out(f"{error}runs as {who}", "listed")


def session(number):
    return StoredSession(
        f"{number:032x}", float(number), float(number), 0, 1, 512, 1, False
    )


@pytest.mark.parametrize("count", [0, 1, 70_000])
@pytest.mark.parametrize("reverse", [False, True])
def test_more_than_fit_into_memory_at_once(count, reverse):
    numbers = list(range(count))
    random.Random(1).shuffle(numbers)
    found = in_order(map(session, numbers), "stored", reverse)
    wanted = range(count)[::-1] if reverse else range(count)
    assert all(
        one == session(number)
        for one, number in zip(found, wanted, strict=True)
    )


def peak(console, *arguments):
    """The most memory that the command had, in bytes."""
    code = (
        "import resource, sys; from websession.cli import main; main(); "
        "usage = resource.getrusage(resource.RUSAGE_SELF); "
        "sys.stderr.write(str(usage.ru_maxrss * 1024))"
    )
    # A shell between, since a new process begins with the peak of its parent.
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(words)} >/dev/null; true"],
        stderr=subprocess.PIPE,
        env=console.environment,
    )
    return int(done.stderr)


@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="it takes much more"
)
@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "--json"], ["info"], ["verify"],
     ["sweep", "--idle", "1d"], ["delete", "--older-than", "1d", "--dry-run"],
     ["list", "--sort", "size"]],
    ids=" ".join,
)  # fmt: skip
def test_memory_does_not_grow_with_the_sessions(
    console, tmp_path, backend, words
):
    used = []
    for count in 500, 8000:
        path = tmp_path / str(count)
        store = FileStore(path, backend=backend, sweep_interval=0)
        ws = WebSession(store, 0, 86_400, crossCheckVars=())
        for _ in range(count):
            ws.newSession()
        used.append(peak(console, words[0], path, *words[1:]))
    # 7,500 sessions as objects are some 3 MB; a sort has chunks of 20,000.
    allowed = 12 << 20 if "--sort" in words else 1 << 20
    assert used[1] - used[0] < allowed, used
    assert used[1] < 60 << 20


def test_it_streams(console, root, ws):
    """The first lines come long before the last session is read."""
    for _ in range(2000):
        ws.newSession()
    process = console.start("list", root, "--json")
    first = json.loads(process.stdout.readline())
    assert first["serializer"] == "pickle"
    assert sum(1 for _ in process.stdout) == 1999
    assert process.wait() == 0
    process.stderr.close()
    process.stdout.close()
