"""
The floor: a C loop that does the system calls of an operation and no more.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import time
from pathlib import Path

__all__ = ["Floor", "compiled"]

HERE = Path(__file__).parent
HEADER = 64


def compiled(target: Path) -> ctypes.CDLL:
    """floor.c as a library, made at `target`."""
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", target, HERE / "floor.c"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(target), use_errno=True)


class Floor:
    """
    A tree like a store's, of files that are no sessions.

    Args:
        library: what `compiled` returned.
        root: where; must not exist.
        sessions: how many files.
        payload: bytes of data that a session would have.
        chosen: how many of them the calls go to, at random.
    """

    def __init__(self, library, root, sessions, payload, chosen):
        self._library = library
        self.root = root
        self._root = os.fsencode(root)
        self._size = HEADER + payload
        for shard in range(256):
            Path(root, f"{shard:02x}").mkdir(parents=True)
        self._next = 0
        self.create(sessions)
        files = [
            os.fsencode(path)
            for path in Path(root).glob("??/*")
            if int(path.name, 16) < sessions
        ]
        paths = random.Random(1).sample(sorted(files), chosen)
        self._paths = (ctypes.c_char_p * chosen)(*paths)
        self._chosen = chosen
        # Both places are there, as in a session that was stored twice.
        self.store(2 * chosen)
        self.store(2 * chosen + 1)

    def _timed(self, function, *arguments):
        started = time.perf_counter()
        result = function(*arguments)
        seconds = time.perf_counter() - started
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return seconds

    def _on_files(self, function, times):
        return self._timed(
            function, self._paths, self._chosen, self._size, times
        )

    def retrieve(self, times):
        """Like the others, the seconds that `times` of it took."""
        return self._on_files(self._library.floor_read, times)

    def store(self, times):
        return self._on_files(self._library.floor_store, times)

    def cycle(self, times):
        return self._on_files(self._library.floor_cycle, times)

    update = cycle

    def create(self, times):
        self._next += times
        return self._timed(
            self._library.floor_create,
            self._root,
            self._size,
            self._next - times,
            times,
        )

    def remove(self, times):
        """Of what `create` made last."""
        self._next -= times
        return self._timed(
            self._library.floor_delete, self._root, self._next, times
        )

    def new(self, times):
        seconds = self.create(times)
        self.remove(times)
        return seconds

    def delete(self, times):
        self.create(times)
        return self.remove(times)

    def sweep(self, times=1):
        return sum(
            self._timed(self._library.floor_sweep, self._root)
            for _ in range(times)
        )
