"""`websession info`, for people, programs and Prometheus."""

from __future__ import annotations

import os
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from console import handle_of
from support import file_of, session_files
from websession import WebSession


def test_an_empty_store(console, root, store):
    (found,) = console.json("info", root)
    assert found["sessions"] == found["disk"] == found["damaged"] == 0
    assert found["size"]["least"] is None
    assert found["last_sweep"] is None
    assert found["expired_per_minute"] is None
    assert "never finished" in console.text("info", root)


def test_what_has_expired_is_told_from_what_is_live(console, root, make_store):
    now = time.time()
    past = WebSession(
        make_store(), 600, 3600, maxLifetime=86_400, crossCheckVars=(),
        clock=lambda: now - 700,
    )  # fmt: skip
    for idle in (0, 0, 650, 900):
        past.newSession(idle=idle)
    WebSession(make_store(), 300, 3600, crossCheckVars=()).newSession()
    (found,) = console.json("info", root)
    assert (found["sessions"], found["expired"]) == (5, 3)
    assert found["limits"] == {
        "idle": {"least": 300, "most": 600},
        "lifetime": {"least": 86_400, "most": 0},
        "remove": {"least": 3600, "most": 3600},
    }
    out = console.text("info", root)
    assert "5 (3 expired)" in out
    assert "5m to 10m idle, 1d to none in all" in out
    families = text_string_to_metric_families(
        console.text("info", root, "--prometheus")
    )
    values = {each.name: each.samples[0].value for each in families}
    assert values["websession_sessions"] == 5
    assert values["websession_expired_sessions"] == 3


def test_limits_that_nobody_has_noted(console, root, store):
    (found,) = console.json("info", root)
    assert found["limits"] is found["expired"] is None
    assert "nobody has made a session yet" in console.text("info", root)
    out = console.text("info", root, "--prometheus")
    assert "expired_sessions" not in out


def test_numbers_sizes_and_ages(console, root, make_store):
    clock = [time.time() - 7200]
    ws = WebSession(make_store(), crossCheckVars=(), clock=lambda: clock[0])
    for number in range(10):
        ws.newSession(data="x" * 100 * number)
    own = ws.newSession(data="x", idle=86400)
    clock[0] += 7170
    ws.newSession(data="x")
    ws.storeSession(own, "x" * 2000)
    (found,) = console.json("info", root)
    assert found["path"] == str(root)
    assert found["backend"] == console.environment["WEBSESSION_BACKEND"]
    assert (found["sessions"], found["own_limit"]) == (12, 1)
    assert found["unreadable"] == found["empty"] == found["superseded"] == 0
    sizes = found["size"]
    assert sizes["least"] < 30
    assert 2000 < sizes["most"] < 2100
    assert sum(sizes["up_to"].values()) + sizes["above"] == 12
    assert sizes["up_to"]["4096"] == 1
    assert found["age"]["up_to"]["60"] == 1
    assert found["age"]["up_to"]["21600"] == 11
    assert found["idle"]["up_to"]["60"] == 2
    assert found["created_last_minute"] == 1
    assert found["created_last_hour"] == 1
    assert found["disk"] == sum(
        os.stat(path).st_blocks * 512 for path in session_files(root)
    )
    shards = found["shards"]
    assert shards["count"] == 256
    assert shards["least"] == 0 < shards["most"]
    assert found["room"]["bytes"] <= found["room"]["of_bytes"]


def test_superseded_empty_and_damaged_files(console, root, make_store):
    ws = WebSession(make_store(), crossCheckVars=())
    old = ws.newSession()
    ws.regenerateSession(old, grace=60)
    damaged, empty = ws.newSession(), ws.newSession()
    file_of(root, damaged).write_bytes(b"\xff" * 600)
    file_of(root, empty).write_bytes(b"")
    (root / ".damaged").mkdir(mode=0o700)
    (root / ".damaged" / f"{'0' * 32}.1").write_bytes(b"x")
    (found,) = console.json("info", root, status=3)
    assert (found["sessions"], found["superseded"]) == (1, 1)
    assert (found["unreadable"], found["empty"]) == (1, 1)
    assert found["damaged"] == 1
    out = console.text("info", root, status=3)
    bad = ["empty files", "unreadable", "in .damaged/"]
    for line in bad:
        assert f"  {line}" in out
    assert "1 (websession verify says what to do)" in out
    assert "  superseded" not in out
    out = console.text("info", root, "--all", status=3)
    for line in [*bad, "superseded"]:
        assert f"  {line}" in out


@pytest.fixture
def swept(root, make_session, clock):
    clock.now = time.time() - 1000
    ws = make_session(0, 100, crossCheckVars=())
    ws.cleanUp()
    for _ in range(30):
        ws.newSession()
    clock.move(500)
    ws.newSession()
    ws.cleanUp()


def test_expiries_per_minute(console, root, swept):
    (found,) = console.json("info", root)
    last = found["last_sweep"]
    assert (last["removed"], last["live"]) == (30, 1)
    note = (root / ".locks" / "sweep.stamp").read_text().splitlines()
    before = float(note[3])
    expected = 60 * 30 / (last["when"] - before)
    assert found["expired_per_minute"] == pytest.approx(expected)
    assert f"30 expired, {expected:.1f} per minute" in console.text(
        "info", root
    )


def test_the_usual_output_fits_a_terminal_of_24_lines(
    console, root, make_store
):
    """And leaves a line for the prompt."""
    ws = WebSession(make_store(), 0, 3600, crossCheckVars=())
    ws.newSession(idle=60)
    ws.regenerateSession(ws.newSession(), grace=60)
    bad, empty = ws.newSession(), ws.newSession()
    ws.cleanUp()
    file_of(root, bad).write_bytes(b"\xff" * 600)
    file_of(root, empty).write_bytes(b"")
    (root / ".damaged").mkdir(mode=0o700, exist_ok=True)
    (root / ".damaged" / f"{'0' * 32}.1").write_bytes(b"x")
    out = console.text("info", root, status=3)
    # A sample, and what a sweep found damaged, could not remove or is at,
    # may add a line each.
    assert out.count("\n") + 4 <= 23
    assert out.endswith("ages, sizes, directories: --all\n")
    everything = console.text("info", root, "--all", status=3)
    for line in (
        "made ", "key ", "backend ", "directories ", "per directory ",
        "own limit ", "superseded ", "left ",
    ):  # fmt: skip
        assert f"\n  {line} " in everything
    assert "--all" not in everything


def test_a_histogram_is_drawn(console, root, ws):
    for number in range(8):
        ws.newSession(data="x" * (100 if number < 6 else 5000))
    lines = console.text("info", root, "--all").splitlines()
    at = lines.index("size of the data")
    rows = {line[2:18].strip(): line[18:] for line in lines[at + 1 : at + 9]}
    assert rows["up to 256 bytes"].split() == ["█" * 30, "6"]
    assert rows["up to 16.0 KiB"].split() == ["█" * 10, "2"]
    assert rows["above 1.0 MiB"].split() == ["0"]


def samples(text):
    """Values by name, of the text format of Prometheus; checks its form."""
    found, announced = {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in announced
            assert kind in ("gauge", "histogram")
            announced.add(name)
            continue
        name, _, value = line.rpartition(" ")
        base = name.partition("{")[0]
        assert any(
            base.removesuffix(end) in announced
            for end in ("", "_bucket", "_sum", "_count")
        )
        found[name] = float(value)
    assert text.endswith("\n")
    return found


def test_prometheus(console, root, swept):
    text = console.text("info", root, "--prometheus")
    found = samples(text)
    label = f'path="{root}"'
    assert found[f"websession_sessions{{{label}}}"] == 1
    assert found[f"websession_last_sweep_removed{{{label}}}"] == 30
    size = "websession_session_bytes"
    assert found[f'{size}_bucket{{{label},le="+Inf"}}'] == 1
    assert found[f"{size}_count{{{label}}}"] == 1
    buckets = [
        value for name, value in found.items() if f"{size}_bucket" in name
    ]
    assert buckets == sorted(buckets)


def test_it_prints_one_format(console, root, swept):
    status, out, err = console.run("info", root, "--json", "--prometheus")
    assert (status, out) == (2, "")
    assert "--prometheus: not allowed with argument --json" in err


def test_prometheus_itself_reads_it(console, root, swept):
    text = console.text("info", root, "--prometheus")
    families = list(text_string_to_metric_families(text))
    assert {family.type for family in families} == {"gauge", "histogram"}


def test_a_path_with_quotes(console, tmp_path, backend):
    from websession import FileStore

    path = tmp_path / 'a "b" \\ c\nd'
    FileStore(path, backend=backend)
    text = console.text("info", path, "--prometheus")
    assert r"a \"b\" \\ c\nd" in text
    assert samples(text)


def test_handles_not_ids(console, root, ws):
    session_id = ws.newSession()
    assert handle_of(session_id) not in console.text("info", root)
