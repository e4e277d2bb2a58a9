"""
An operation in a process of its own, killed or failed at a chosen system call.

strace attaches to a forked child that waits, and injects: a signal that is
delivered as the call is entered, or an error in the place of the call. Calls
are counted by kind from the moment of attaching: a kind and a number are a
place in the operation, and `Places` knows all of them.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import pickle
import re
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

from effort import LONG
from machine import missing

__all__ = ["Attempt", "chosen", "need_strace", "places_of", "told"]

_ROOM, _PATIENCE = 1 << 16, 30.0


@contextlib.contextmanager
def told(what):
    """A failure inside says what was injected."""
    try:
        yield
    except BaseException as error:
        raise AssertionError(f"with {what}: {error!r}") from error


def need_strace():
    """Skips where strace is not, or cannot attach to a child."""
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the sanitizer's own calls would be counted")
    if shutil.which("strace") is None:
        missing("strace")
    tried = ["strace", "-o", os.devnull, "true"]
    if subprocess.run(tried, stderr=subprocess.DEVNULL).returncode:
        missing("the right to trace processes (ptrace)")


class Attempt:
    """
    One run of an operation under strace.

    Args:
        operation: called in the child.
        options: of strace, like ``["-e", "inject=flock:error=EINTR:when=2"]``.
        after: called in the child when the operation has ended, either way.
        meanwhile: called with the child's process ID when a signal that was
            injected has stopped it; then it goes on.

    Attributes:
        killed: whether a signal ended the child.
        value: what `after` returned, which must be picklable.
        error: the exception's type, errno and traceback, or None.
    """

    def __init__(self, operation, *options, after=None, meanwhile=None):
        self._shared = mmap.mmap(-1, _ROOM)
        pid = os.fork()
        if pid == 0:
            self._be_the_child(operation, after)
        tracer = subprocess.Popen(
            ["strace", "-p", str(pid), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = tracer.stderr.readline()
        self._shared[0] = 1
        self.killed = os.WIFSIGNALED(_waited(pid, tracer, meanwhile))
        said += tracer.stderr.read()
        tracer.stderr.close()
        tracer.wait()
        assert "attached" in said, said
        length = int.from_bytes(self._shared[1:8], "little")
        assert length or self.killed, "the child ended without a report"
        self.error = self.value = None
        if length:
            raw = self._shared[8 : 8 + length]
            self.error, self.value = pickle.loads(raw)
        self._shared.close()

    def _be_the_child(self, operation, after):
        # It waits, and reports, by memory: no system call that would count.
        # Nor is what others left collected, and closed, in the midst of it.
        gc.disable()
        error = value = None
        try:
            while not self._shared[0]:
                pass
            os.sched_yield()
            try:
                operation()
            except BaseException as caught:
                number = getattr(caught, "errno", None)
                text = traceback.format_exc()[-8000:]
                error = (type(caught).__name__, number, text)
            os.sched_yield()
            try:
                try:
                    value = after() if after else None
                except OSError:
                    # A call less than in the dry run: what was injected has
                    # missed the operation, and is used up now.
                    value = after()
            except BaseException:
                value = traceback.format_exc()[-8000:]
            raw = pickle.dumps((error, value))
            self._shared[8 : 8 + len(raw)] = raw
            self._shared[1:8] = len(raw).to_bytes(7, "little")
        finally:
            os._exit(0)


def _waited(pid, tracer, meanwhile):
    """The wait status of a child that ends in good time."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and not os.WIFSTOPPED(status):
            return status
        if found:
            meanwhile(pid)
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.001)
    where = Path(f"/proc/{pid}/syscall").read_text()
    os.kill(pid, signal.SIGKILL)
    tracer.kill()
    os.waitpid(pid, 0)
    raise AssertionError(f"the child did not end: {where}")


def places_of(operation):
    """
    The system calls of an operation that goes well, as a list of (kind, how
    many of that kind came since strace was attached).
    """
    with tempfile.NamedTemporaryFile("r") as log:
        attempt = Attempt(operation, "-o", log.name)
        assert attempt.error is None, attempt.error
        text = Path(log.name).read_text()
    counted, found, inside = Counter(), [], False
    for kind in re.findall(r"^(?:<\.\.\. )?(\w+)[( ]", text, re.MULTILINE):
        if kind == "sched_yield":
            inside = not inside
            continue
        counted[kind] += 1
        if inside:
            found.append((kind, counted[kind]))
    assert found, text
    return found


def chosen(places, most=80):
    """
    The places to try in this run: all, or of many the first of each kind and
    some that are spread evenly.
    """
    if LONG or len(places) <= most:
        return places
    step = -(-len(places) // most)
    seen = set()
    return [
        (kind, number)
        for at, (kind, number) in enumerate(places)
        if at % step == 0 or not (kind in seen or seen.add(kind))
    ]
