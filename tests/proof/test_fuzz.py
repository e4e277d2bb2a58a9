"""
Bytes and names that nobody meant: session files, what lies in a store's
directory, cookie headers, JSON. The fuzzers learn from what they reach; what
they have learnt is in fuzz/corpus.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import effort
from machine import NO_EXTENSION, missing
from websession import (
    FileStore,
    SessionException,
    SessionStoreError,
    WebSession,
)
from websession.disk import backend as backends

pytestmark = pytest.mark.proof

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
CORPUS = sorted((HERE / "fuzz" / "corpus").iterdir())
SECONDS = effort(5, 600)
NAME = b"94eb7a80f07d44a42dd084010bb524c9"
PARTS = (
    "crc.c", "files.c", "mac.c", "operations.c", "rules.c", "slots.c",
    "wipe.c",
)  # fmt: skip


def outcome(backend, path):
    try:
        return backend.read(path, NAME, 0.0)
    except SessionException as error:
        return type(error).__name__, str(error)


def test_both_backends_read_the_corpus_alike(tmp_path):
    if NO_EXTENSION:
        pytest.skip("this install is meant to be without the extension")
    path = tmp_path / "file"
    path.touch(0o600)
    assert len(CORPUS) > 50
    seen = set()
    for entry in CORPUS:
        path.write_bytes(entry.read_bytes()[1:])
        found = outcome(backends.choose("c"), os.fsencode(path))
        assert outcome(backends.choose("python"), os.fsencode(path)) == found
        seen.add(found[0] if isinstance(found, tuple) else type(found))
    assert {"DamagedFile", "CorruptData", bytes} <= seen


def fuzz(command, directory):
    """Runs a fuzzer for a while; what it found is in the message."""
    corpus = Path(directory, "corpus")
    corpus.mkdir()
    done = subprocess.run(
        [
            *command,
            f"-max_total_time={SECONDS}",
            "-max_len=20000",
            corpus,
            HERE / "fuzz" / "corpus",
        ],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS + 120,
    )
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, text[-4000:]
    assert "Done " in text, text[-4000:]


def compiled(compiler, directory, *options):
    """The target, made with a compiler and its options."""
    if shutil.which(compiler) is None:
        missing(compiler)
    table = PROJECT / "build" / "generated"
    if not table.exists():
        pytest.skip("needs the generated table: an editable install")
    target = directory / "slots"
    command = [compiler, "-g", *options]
    command += [f"-I{PROJECT / 'csrc'}", f"-I{table}", "-o", target]
    command += [HERE / "fuzz" / "slots.c"]
    command += [PROJECT / "csrc" / part for part in PARTS]
    subprocess.run(command, check=True)
    return target


def test_parser_in_c(tmp_path):
    sanitizers = "-fsanitize=fuzzer,address,undefined"
    fuzz([compiled("clang", tmp_path, "-O1", sanitizers)], tmp_path)


def test_parser_in_c_under_valgrind(tmp_path):
    if shutil.which("valgrind") is None:
        missing("valgrind")
    target = compiled("cc", tmp_path, "-O2", "-DALONE")
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", target, *CORPUS],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == f"{len(CORPUS)} files\n"


def test_parts_in_python(tmp_path):
    if importlib.util.find_spec("atheris") is None:
        missing("atheris (pip install '.[fuzz]')")
    fuzz([sys.executable, HERE / "fuzz" / "python_parts.py"], tmp_path)


# What lies about

names = st.one_of(
    st.sampled_from(
        [".new-1", ".count", ".damaged", "00", "g0", "0" * 30, "core", "-rf",
         "0" * 31, "A" * 30, ".nfs0001", "lost+found", "sweep.stamp"]
    ),
    st.text("0123456789abcdef", min_size=30, max_size=30),
    st.binary(min_size=1, max_size=40).map(
        lambda raw: os.fsdecode(raw.replace(b"/", b"_").replace(b"\0", b"_"))
    ),
).filter(
    lambda name: name not in (".", "..", ".websession", ".key")
)  # fmt: skip
kinds = st.sampled_from(
    ["file", "empty", "directory", "symlink", "dangling", "fifo"]
)
places = st.sampled_from(["", "00", "a7", "ff", ".locks"])


def drop(path, kind, content):
    """Puts something there, unless there is something already."""
    if os.path.lexists(path):
        return
    if kind == "directory":
        path.mkdir()
    elif kind in ("symlink", "dangling"):
        path.symlink_to("/etc/passwd" if kind == "symlink" else "/nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(content if kind == "file" else b"")


@settings(
    max_examples=effort(60, 3000), deadline=None, database=None,
    derandomize=True,
)  # fmt: skip
@given(
    st.lists(
        st.tuples(places, names, kinds, st.binary(max_size=600)), max_size=12
    )
)
def test_whatever_lies_in_the_directory(things):
    backends = ["python"] if NO_EXTENSION else ["c", "python"]
    for backend in backends:
        with tempfile.TemporaryDirectory() as place:
            check_directory_with(Path(place, "store"), backend, things)


def check_directory_with(root, backend, things):
    store = FileStore(root, backend=backend, sweep_interval=0)
    ws = WebSession(store, 0, 3600)
    ids = [ws.newSession(data=number) for number in range(5)]
    for place, name, kind, content in things:
        where = root / place
        if where.is_symlink() or (where.exists() and not where.is_dir()):
            continue
        where.mkdir(mode=0o700, exist_ok=True)
        drop(where / name, kind, content)
    again = WebSession(
        FileStore(root, backend=backend, sweep_interval=0), 0, 3600
    )
    for number, session_id in enumerate(ids):
        # Another's file may stand where the shard or the count should be:
        # then that is said, and nothing is lost.
        try:
            assert again.retrieveSession(session_id) == number
            again.storeSession(session_id, number)
            again.touchSession(session_id)
        except SessionStoreError:
            pass
    for call in (
        again.newSession, again.cleanUp, again.countSessions,
        again.listSessions, lambda: again.deleteSession(ids[0]),
    ):  # fmt: skip
        with contextlib.suppress(SessionStoreError):
            call()
    assert Path("/etc/passwd").stat().st_size > 0
