"""Real processes for tests, and looking at session files from outside."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import ClassVar

from websession.ids import handle


class Child:
    """A forked process that runs a function; its result comes over a pipe."""

    alive: ClassVar[list[Child]] = []

    def __init__(self, func, *args):
        read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(read_end)
                try:
                    outcome = (True, func(*args))
                    status = 0
                except BaseException as error:
                    text = traceback.format_exc()
                    outcome = (False, f"{error!r}\n{text}")
                with os.fdopen(write_end, "wb") as pipe:
                    pickle.dump(outcome, pipe)
            finally:
                os._exit(status)
        os.close(write_end)
        self.pipe = os.fdopen(read_end, "rb")
        self.status = None
        self.alive.append(self)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def wait(self):
        """The wait status; the result is thrown away."""
        if self.status is None:
            self.status = os.waitpid(self.pid, 0)[1]
            self.pipe.close()
            self.alive.remove(self)
        return self.status

    def result(self):
        """What the function returned; its failure is a failure here."""
        raw = self.pipe.read()
        self.wait()
        assert raw, f"child died with wait status {self.status}"
        good, value = pickle.loads(raw)
        assert good, value
        return value


def at(now, idle=0.0, lifetime=0.0, remove=0.0):
    """Limits, as stores and engines take them."""
    return now, idle, lifetime, remove


def in_processes(count, func, *args):
    """Runs func(number, *args) in `count` processes; the results in order."""
    children = [Child(func, number, *args) for number in range(count)]
    return [child.result() for child in children]


def alone(test):
    """
    Runs a test in a child, which has no other threads: for tests of signals,
    whose handlers are held back in one thread only.
    """

    @functools.wraps(test)
    def run(*args, **fixtures):
        Child(lambda: test(*args, **fixtures)).result()

    return run


def in_thread_of(ident, func):
    """
    What a function returns in a thread of that ident. A child gives out those
    of threads which its parent had.
    """
    outcomes, threads = [], []
    over, ready = threading.Event(), threading.Semaphore(0)

    def run():
        try:
            if threading.get_ident() == ident:
                try:
                    outcomes.append((True, func()))
                except BaseException as error:
                    outcomes.append((False, error))
        finally:
            ready.release()
        over.wait()

    while not outcomes and len(threads) < 20:
        threads.append(threading.Thread(target=run))
        threads[-1].start()
        ready.acquire()
    over.set()
    for thread in threads:
        thread.join()
    assert outcomes, "idents of threads are not given out again here"
    good, value = outcomes[0]
    if not good:
        raise value
    return value


def until(condition, timeout=30.0):
    """Waits for something that another process is about to do."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)


def file_of(root, session_id):
    """The path of a session's file in a store with 256 shards."""
    name = handle(session_id).decode()
    return Path(root) / name[:2] / name[2:]


@contextlib.contextmanager
def stopped_writer(root, session_id):
    """
    A process that was stopped in the middle of writing a session: who reads
    it has to wait for its lock. It is killed at the end, or by ``kill()``, or
    after 8 seconds: who waits for it all the time finds the session then.
    """
    path = file_of(root, session_id)

    def write():
        fd = os.open(path, os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.pwrite(fd, b"torn", 512)
        os.kill(os.getpid(), signal.SIGSTOP)

    def end():
        if writer.status is None:
            writer.kill()

    writer = Child(write)
    os.waitpid(writer.pid, os.WUNTRACED)
    timer = threading.Timer(8, end)
    timer.start()
    try:
        yield writer
    finally:
        timer.cancel()
        timer.join()
        end()
        writer.wait()


def session_files(root):
    """All files in shard directories."""
    return sorted(
        path
        for path in Path(root).glob("[0-9a-f][0-9a-f]/*")
        if not path.is_dir()
    )


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def stop(process, number=signal.SIGTERM):
    """Stops a server; its exit status."""
    process.send_signal(number)
    try:
        return process.wait(30)
    finally:
        # Whatever is left of it: workers too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def started(command, **options):
    """A server with its output in a pipe, stopped at the end."""
    options.update(stdout=subprocess.PIPE, text=True, start_new_session=True)
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        if not process.stdout.closed:
            stop(process)


def at_each_line(module, run, interlope):
    """
    Calls run() again and again, and interlope() in the middle of it: when it
    is at its first line of code in that module, at its second one, and so on
    until it has no more. What another thread could do there.
    """
    number = 0
    while True:
        number += 1
        left = [number]

        def trace(frame, event, arg, left=left):
            if frame.f_code.co_filename != module.__file__:
                return None
            if event == "line":
                left[0] -= 1
                if left[0] == 0:
                    interlope()
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            run()
        finally:
            sys.settrace(before)
        if left[0] > 0:
            assert number > 1, "it has no line there at all"
            return
