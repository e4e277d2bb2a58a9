"""
A look at all of a shard, in one call of either backend, and what is made of
it: `websession info` of many sessions.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from support import in_processes
from websession import CorruptData, WebSession
from websession.admin import stats
from websession.admin.inspector import Inspector
from websession.engine import ABSENT, DAMAGED, OK, UNSUPPORTED
from websession.ids import handle
from websession.record import version_of

SHARDS = 16


@pytest.fixture
def ws(make_store):
    return WebSession(make_store(shards=SHARDS), 0, 3600, crossCheckVars=())


def file_of(ws, session_id):
    _, path = ws.sessiondict.engine.locate(session_id)
    return Path(os.fsdecode(path))


@pytest.fixture
def ids(ws):
    return [ws.newSession(data="x" * number) for number in range(200)]


def tear(path):
    """Leaves a file whose later record was not written to its end."""
    raw = bytearray(path.read_bytes())
    at = max((0, 512), key=lambda at: raw[at + 8 : at + 16][::-1])
    raw[at + 70] ^= 1
    path.write_bytes(raw)


def scans(backend, root, every=1, seen=0):
    """Of all shards that are there, as a command takes them."""
    for shard in range(SHARDS):
        prefix = b"%x" % shard
        directory = os.fsencode(root / prefix.decode())
        found = backend.scan_shard(directory, prefix, every, seen)
        if found is not None:
            seen += found.sessions + found.superseded
            yield found


def rows(backend, root, every=1, seen=0):
    return [
        row for each in scans(backend, root, every, seen) for row in each.rows
    ]


def as_numbers(found):
    return (
        found.sessions, found.superseded, found.empty, found.disk,
        sorted(found.rows),
    )  # fmt: skip


def test_each_session_has_a_row(ws, ids, root, backend_module):
    engine = ws.sessiondict.engine
    found = rows(backend_module, root)
    assert len(found) == len(ids)
    for session_id in ids:
        name = handle(session_id)
        ((header, disk, status),) = [
            row[1:] for row in found if row[0] == name
        ]
        info = file_of(ws, session_id).stat()
        assert (disk, status) == (info.st_blocks * 512, OK)
        assert header == version_of(engine.read(engine.address(name)))
    assert sum(each.disk for each in scans(backend_module, root)) == sum(
        row[2] for row in found
    )


def test_a_shard_that_is_not_there(root, ws, backend_module):
    where = os.fsencode(root / "not there")
    assert backend_module.scan_shard(where, b"f") is None


@pytest.mark.parametrize("every", [0, 1, 2, 7, 199, 1000])
@pytest.mark.parametrize("seen", [0, 3])
def test_every_so_manieth_has_a_row(ids, root, both, every, seen):
    for backend in both:
        found = list(scans(backend, root, every, seen))
        assert sum(each.sessions for each in found) == 200
        expected = range(seen, seen + 200)
        number = sum(at % every == 0 for at in expected) if every else 0
        assert sum(len(each.rows) for each in found) == number


def test_both_backends_see_the_same(ws, ids, root, both):
    ws.regenerateSession(ids[0], grace=60)
    ws.storeSession(ids[1], "x" * 100_000)
    file_of(ws, ids[2]).write_bytes(b"")
    file_of(ws, ids[3]).write_bytes(b"rubbish" * 30)
    tear(file_of(ws, ids[4]))
    raw = bytearray(file_of(ws, ids[5]).read_bytes())
    raw[3] += 1
    file_of(ws, ids[5]).write_bytes(raw)
    file_of(ws, ids[6]).unlink()
    file_of(ws, ids[6]).mkdir()
    file_of(ws, ids[7]).unlink()
    file_of(ws, ids[7]).symlink_to(file_of(ws, ids[8]))
    file_of(ws, ids[8]).with_name("notASession").touch()
    mine, other = (
        [as_numbers(each) for each in scans(backend, root)] for backend in both
    )
    assert mine == other
    found = {row[0]: row[1:] for row in rows(both[0], root)}
    statuses = {
        ids[3]: DAMAGED, ids[4]: DAMAGED, ids[5]: UNSUPPORTED, ids[0]: OK,
        ids[1]: OK,
    }  # fmt: skip
    for session_id, status in statuses.items():
        header, _, said = found[handle(session_id)]
        assert said == status
        assert bool(header) == (status == OK)
    for number in (2, 6, 7):
        assert handle(ids[number]) not in found
    assert sum(each.superseded for each in scans(both[0], root)) == 1
    assert sum(each.empty for each in scans(both[0], root)) == 1


def test_more_rows_than_were_expected(ids, root, both, monkeypatch):
    native, _ = both
    expected = sorted(rows(native, root))
    monkeypatch.setattr(native, "_room", 1)
    assert sorted(rows(native, root)) == expected
    assert native._room > 1


def test_a_torn_slot_is_looked_at_under_the_lock(ws, ids, root, backend):
    ws.storeSession(ids[0], "before")
    ws.storeSession(ids[0], "torn")
    tear(file_of(ws, ids[0]))
    store = Inspector(root, backend=backend)
    shard = int(handle(ids[0])[:1], 16)
    (row,) = [
        row for row in store.scan(shard).rows if row[0] == handle(ids[0])
    ]
    assert row[3] == DAMAGED
    session = store.session_of(row)
    assert session == store.look(handle(ids[0]))
    assert session is not None
    assert session.size > 0


def test_what_is_gone_since_the_scan(ws, ids, root, backend):
    store = Inspector(root, backend=backend)
    name = handle(ids[0])
    assert store.session_of((name, b"", 0, ABSENT)) is None
    file_of(ws, ids[0]).unlink()
    assert store.session_of((name, b"", 0, DAMAGED)) is None


def test_a_scan_changes_nothing_and_waits_for_nobody(ws, ids, root, both):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_mode)
            for path in root.rglob("*")
        }

    before = state()
    with open(file_of(ws, ids[0]), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for backend in both:
            assert len(rows(backend, root)) == 200
    assert {path: state()[path] for path in before} == before


def test_beside_writers_each_session_is_there_once(ws, ids, root, both):
    """Or is to be looked at again: torn, since a write is under way."""

    def work(number):
        if number == 0:
            for turn in range(1500):
                ws.storeSession(ids[turn % 200], "y" * (turn % 700))
            return 0
        least = 200
        for turn in range(30):
            found = rows(both[turn % 2], root)
            assert len({row[0] for row in found}) == len(found) == 200
            assert {row[3] for row in found} <= {OK, DAMAGED}
            least = min(least, sum(row[3] == OK for row in found))
        return least

    _, least = in_processes(2, work)
    assert least > 150


# What is made of it


def census(root, backend, exact=False):
    done = []
    found = stats.take(Inspector(root, backend=backend), done.append, exact)
    assert done == list(range(1, SHARDS + 1))
    return found


def test_of_many_some_are_looked_at(ws, ids, root, backend, monkeypatch):
    ws.regenerateSession(ids[0], grace=60)
    whole = census(root, backend)
    assert (whole.every, whole.sessions, whole.sizes.count) == (1, 200, 200)
    monkeypatch.setattr(stats, "SAMPLE", 10)
    found = census(root, backend)
    assert found.every > 1
    assert (found.sessions, found.superseded) == (200, 1)
    assert (found.disk, found.shards) == (whole.disk, whole.shards)
    # Each stands for so many, and they are spread over all of them.
    for values in found.sizes, found.ages, found.idle:
        assert 200 - found.every <= values.count <= 200 + found.every
        assert values.count % found.every == 0
    assert 0.3 < found.sizes.mean / whole.sizes.mean < 2
    assert abs(found.created[60] - 200) <= found.every
    assert census(root, backend, exact=True).sizes.counts == whole.sizes.counts


def test_it_is_said_that_some_were_looked_at(ids, console, root, monkeypatch):
    (found,) = console.json("info", root)
    assert found["every"] == 1
    assert "looked at" not in console.text("info", root)
    monkeypatch.setattr(stats, "SAMPLE", 10)
    (found,) = console.json("info", root)
    assert found["every"] > 1
    assert found["sessions"] == 200
    assert f"1 of {found['every']}" in console.text("info", root)
    assert "looked at" not in console.text("info", root, "--exact")
    out = console.text("info", root, "--prometheus")
    assert "websession_sampled_every{" in out
    (found,) = console.json("info", root, "--exact")
    assert found["every"] == 1


def test_what_cannot_be_read_is_counted(ws, ids, root, backend, monkeypatch):
    for session_id in ids[:50]:
        file_of(ws, session_id).write_bytes(b"rubbish" * 30)
    found = census(root, backend)
    assert (found.sessions, found.unreadable) == (150, 50)
    monkeypatch.setattr(stats, "SAMPLE", 10)
    found = census(root, backend)
    assert found.sessions == 200  # by their names
    assert found.unreadable % found.every == 0
    assert found.unreadable < 200
    with pytest.raises(CorruptData):
        Inspector(root, backend=backend).look(handle(ids[0]))
