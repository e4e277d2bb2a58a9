"""
Removing what is over: expired sessions, abandoned files, old damaged ones.

One sweeper at a time, elected through a lock that nobody waits for. A whole
pass for `cleanUp`; slices of a few milliseconds on the way of `newSession`, so
that a store needs neither cron nor a thread. All of it works on a full disk.
"""

from __future__ import annotations

import os
import time
from fcntl import LOCK_EX

from .. import engine
from ..engine import NO_ROOM
from ..exceptions import SessionBusy, UnsafeStore, printable
from .private import TEMPORARY
from .root import DAMAGED, LOCKS, MARKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from .count import SessionCount
    from .limitsnote import InUse
    from .root import Layout
    from .sweepnote import SweepNote, Tally

__all__ = ["Sweeper", "set_aside"]

# A pass in progress goes on after this many times what its last slice took:
# about five per cent of one processor. A new one begins after this many times
# what the last one took for what stays, a hundredth of one processor at most;
# and what has expired may lie about for this part of its limit.
_REST, _LONG_REST, _PART = 20, 100, 16
# For how many seconds a process knows when a slice is due.
_KNOWN_FOR = 1.0
_PATIENCE = 4
_LONGEST_REST = 86400.0
# Between two tries to sweep while another process does, in seconds.
_TURN, _LONGEST_TURN = 0.01, 0.25
_ABANDONED_AFTER = 3600.0
_DAMAGED_KEPT = 30 * 86400.0


def set_aside(
    layout: Layout,
    backend: ModuleType,
    count: SessionCount,
    name: bytes,
    timeout: float,
) -> None:
    """
    Moves an unreadable session file to ``.damaged/``, under its handle. When
    that fails the file stays, and is reported again.
    """
    import logging

    log = logging.getLogger("websession")
    path, shown = layout.path(name), name.decode("ascii")
    try:
        target = layout.make(DAMAGED) + b"/%b.%d" % (name, time.time())
        moved: bool = count.quarantine(
            name, lambda: backend.set_aside(path, name, target, timeout)
        )
    except OSError as error:
        log.warning("unreadable session %s cannot be moved: %s", shown, error)
        return
    if moved:
        log.warning(
            "session %s is unreadable, moved to %s",
            shown,
            printable(os.fsdecode(target)),
        )


class Election:
    """
    The right to sweep a store, for ``with``; False if somebody else has it.

    It is a lock on the marker: nothing need be made for it.
    """

    __slots__ = ("_file",)

    def __init__(self, layout: Layout) -> None:
        from .plain.files import File

        # Not shielded: a sweep may take seconds.
        path = layout.join(MARKER)
        self._file = File(path, os.O_RDONLY, shielded=False)

    def __enter__(self) -> bool:
        from .plain.files import Outcome

        try:
            self._file.__enter__()
            self._file.lock(LOCK_EX, 0)
        except BaseException as error:
            self._file.__exit__()
            if not isinstance(error, Outcome):
                raise
            if error.status == engine.BUSY:
                return False
            engine.fail(error.status, error.error, MARKER)
        return True

    def __exit__(self, *exc: object) -> None:
        self._file.__exit__()


def reap(path: bytes, name: bytes, age: float, timeout: float) -> bool:
    """
    Deletes a file that whoever was to fill it has left empty. If that one is
    still about to, it finds its file without a name, and leaves. No count has
    to know: it passes over empty files.

    Args:
        age: for how many seconds it must have been empty, at least.
        timeout: longest wait for whoever has it locked, in seconds.

    Returns:
        False if it is not empty, not so old, or gone.

    Raises:
        SessionBusy: it is still locked.
        SessionStoreError: the system failed.
    """
    from .plain.files import File, Outcome

    try:
        with File(path, os.O_RDONLY) as file:
            file.lock(LOCK_EX, timeout)
            info = file.check()
            is_old = time.time() - info.st_ctime >= age
            if info.st_size or not is_old or not file.is_named(path):
                return False
            os.unlink(path)
            return True
    except Outcome as outcome:
        if outcome.status != engine.ABSENT:
            engine.fail(outcome.status, outcome.error, name)
        return False


class Sweeper:
    """
    Sweeps a store.

    Args:
        layout, backend, count: the store's.
        interval: seconds between automatic passes; 0: none.
        budget: seconds of processor time, or a quarter of the real time, of
            an automatic slice; it always finishes a shard.
        timeout: longest wait for a lock on the way.
    """

    def __init__(
        self,
        layout: Layout,
        backend: ModuleType,
        count: SessionCount,
        interval: float,
        budget: float,
        timeout: float,
    ) -> None:
        self._layout = layout
        self._backend = backend
        self._count = count
        self._interval = interval
        self._budget = budget
        self._timeout = timeout
        self._stamp = layout.join(LOCKS, b"sweep.stamp")
        # Where the sweep goes on and when, if the disk has no room to note it.
        self._unsaved: tuple[SweepNote, float] | None = None
        # When a slice is due, and until when nobody asks again.
        self._known = (0.0, 0.0)

    def sweep_all(self, now: float, idle: float, lifetime: float) -> int:
        """
        A whole pass; how many sessions were removed. 0 if another process is
        at it.
        """
        removed = 0
        try:
            for _, tally in self.whole_pass(now, idle, lifetime):
                removed = tally.removed
        except SessionBusy:
            return 0
        return removed

    def whole_pass(
        self, now: float, idle: float, lifetime: float, resume: float = 0.0
    ) -> Generator[tuple[int, Tally], None, None]:
        """
        A whole pass, which goes on as it is iterated: after each shard, how
        many are done, and what was found in them here.

        Args:
            now, idle, lifetime: seconds.
            resume: go on where a pass stopped, be it an automatic one, that
                was begun less than so many seconds ago. Where this one is
                closed, the next may go on.

        Raises:
            SessionBusy: another process is at it.
        """
        # Here and below, since looking whether it is time needs none of it.
        from .sweepnote import Tally

        with Election(self._layout) as elected:
            if not elected:
                raise SessionBusy("another process is sweeping this store")
            note = self._note()
            if note.present is None or not (
                0 <= now - note.present.when < resume
            ):
                note.shard, note.present = 0, Tally(now)
            before, tally = note.present, Tally(now)
            for shard in range(note.shard, self._layout.shards):
                started = time.thread_time()
                self._try_shard(shard, now, idle, lifetime, tally)
                tally.took += time.thread_time() - started
                try:
                    yield shard + 1, tally
                except GeneratorExit:
                    note.shard, note.present = shard + 1, before + tally
                    self._save(note, now + self._interval)
                    raise
            use = self._in_use(now, idle, lifetime)
            self._finish(note, before + tally, now, use)

    def make_room(self, now: float, idle: float, lifetime: float) -> bool:
        """
        Looks for something that has expired, before a new session is refused:
        goes on with the pass until something was removed. Of the passes that
        begin in one interval one looks at all there is.

        Returns:
            Whether something was removed.
        """
        until = time.monotonic() + _LONGEST_TURN
        while True:
            if 0 <= now - self._note().began < self._interval:
                return False
            use = self._in_use(now, idle, lifetime)
            passing = self.whole_pass(
                now, use.remove[1], use.lifetime[1], self._interval
            )
            try:
                return any(tally.removed for _, tally in passing)
            except SessionBusy:
                if time.monotonic() > until:
                    return False
                time.sleep(_TURN)  # another process looks for it
            except Exception as error:
                self._warn("no room was looked for", error)
                return False
            finally:
                passing.close()

    def slice_if_due(self, now: float, idle: float, lifetime: float) -> None:
        """
        A slice of a pass, if it is time. What goes wrong is logged: it must
        not fail the request on whose way this is.
        """
        due, until = self._known
        if now < due and time.monotonic() < until:
            return
        if not self._interval or not self._is_due(now):
            return
        try:
            with Election(self._layout) as elected:
                if elected and self._is_due(now):
                    self._slice(now, idle, lifetime)
        except Exception as error:
            self._warn("automatic sweep failed", error)

    def expect(self, now: float, own: float) -> None:
        """
        Lets the next pass come by for a session with a limit of its own: the
        one that is due goes by the sessions that the last one has seen.
        """
        due, until = self._known
        soon = now + max(self._interval, own)
        if due <= soon or self._unsaved is not None:
            return
        last = self._note().last
        if last is not None:
            soon = max(soon, now + _LONG_REST * last.took_for_live)
        if soon < due:
            try:
                os.utime(self._stamp, (soon, soon))
            except OSError:
                return  # it is gone, and the next pass due at once
            self._known = soon, until

    @staticmethod
    def _warn(what: str, error: Exception) -> None:
        import logging

        logging.getLogger("websession").warning(
            "%s: %s", what, printable(str(error))
        )

    def _in_use(self, now: float, idle: float, lifetime: float) -> InUse:
        """The limits of all applications, those of this one among them."""
        from .limitsnote import InUse, in_use

        own = idle, lifetime, idle
        try:
            return in_use(self._layout, now, own) or InUse([own])
        except (OSError, UnsafeStore):
            return InUse([own])

    def _is_due(self, now: float) -> bool:
        # The stamp's mtime is when the next slice is due. One that lies too
        # far ahead comes from a clock that was wrong.
        try:
            due = (
                os.stat(self._stamp).st_mtime
                if self._unsaved is None
                else self._unsaved[1]
            )
        except OSError:
            return True
        if not now < due <= now + max(self._interval, _LONGEST_REST) + 3600.0:
            return True
        self._known = due, time.monotonic() + _KNOWN_FOR
        return False

    def _slice(self, now: float, idle: float, lifetime: float) -> None:
        from .sweepnote import Tally

        # Another application may take sessions that this one would not.
        use = self._in_use(now, idle, lifetime)
        note = self._note()
        shard = note.shard if note.shard < self._layout.shards else 0
        if note.present is None or shard == 0:
            note.present = Tally(now)
        # Processor time: on a busy machine as much gets done, if later. Real
        # time, more of it, bounds what a slow disk may cost a request.
        started, cpu = time.perf_counter(), time.thread_time()
        while True:
            self._try_shard(
                shard, now, use.remove[1], use.lifetime[1], note.present
            )
            shard += 1
            took = time.thread_time() - cpu
            if (
                shard >= self._layout.shards
                or took >= self._budget
                or time.perf_counter() - started >= _PATIENCE * self._budget
            ):
                break
        note.present.took += took
        if shard < self._layout.shards:
            note.shard = shard
            self._save(note, now + _REST * took)
        else:
            self._finish(note, note.present, now, use)

    def _finish(
        self, note: SweepNote, tally: Tally, now: float, use: InUse
    ) -> None:
        self._tidy()
        note.finish(tally, now)
        # What is over is refused already: a pass is about room alone.
        smallest = use.remove[0], use.lifetime[0], tally.own
        limit = min(filter(None, smallest), default=0.0)
        rest = max(limit / _PART, _LONG_REST * tally.took_for_live)
        self._save(note, now + max(self._interval, min(rest, _LONGEST_REST)))

    def _note(self) -> SweepNote:
        from .sweepnote import SweepNote

        if self._unsaved is not None:
            return self._unsaved[0]
        return SweepNote(self._stamp)

    def _save(self, note: SweepNote, due: float) -> None:
        """Writes the note; on a full disk only this process remembers it."""
        try:
            self._layout.make(LOCKS)
            note.save(due)
            self._unsaved = None
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            if self._unsaved is None:
                import logging

                logging.getLogger("websession").warning(
                    "where the sweep goes on cannot be noted: %s", error
                )
            self._unsaved = note, due

    def _try_shard(
        self,
        shard: int,
        now: float,
        idle: float,
        lifetime: float,
        tally: Tally,
    ) -> None:
        """Sweeps a shard; logs a failure, so that the others are swept."""
        try:
            self._sweep_shard(shard, now, idle, lifetime, tally)
        except OSError as error:
            import logging

            logging.getLogger("websession").warning(
                "sweep of shard %s failed: %s",
                self._layout.prefix(shard).decode(),
                error,
            )

    def _sweep_shard(
        self,
        shard: int,
        now: float,
        idle: float,
        lifetime: float,
        tally: Tally,
    ) -> None:
        prefix = self._layout.prefix(shard)
        directory = self._layout.join(prefix)
        swept = self._count.correct(
            shard,
            lambda: self._backend.sweep_shard(
                directory, prefix, now, idle, lifetime
            ),
        )
        if swept is None:
            return
        tally.add(swept)
        for file in swept.odd:
            set_aside(
                self._layout, self._backend, self._count, prefix + file,
                self._timeout,
            )  # fmt: skip
        if swept.failed:
            import logging

            logging.getLogger("websession").warning(
                "sweep of %s: %d files could not be looked at: %s",
                printable(os.fsdecode(directory)),
                swept.failed,
                os.strerror(swept.error) if swept.error else "not ours",
            )

    def _tidy(self) -> None:
        """Removes what crashed processes left, and old damaged files."""
        self._reap(self._layout.root, TEMPORARY, _ABANDONED_AFTER)
        self._reap(self._layout.join(DAMAGED), b"", _DAMAGED_KEPT)

    def _reap(self, directory: bytes, prefix: bytes, age: float) -> None:
        now = time.time()
        try:
            entries = os.listdir(directory)
        except FileNotFoundError:
            return
        for name in entries:
            path = directory + b"/" + name
            try:
                if name.startswith(prefix) and (
                    now - os.lstat(path).st_ctime > age
                ):
                    os.unlink(path)
            except FileNotFoundError:
                pass
