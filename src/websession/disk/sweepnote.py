"""
What sweeps tell each other through ``.locks/sweep.stamp``: where the automatic
one goes on, when that is due, and what the passes found and did.
"""

from __future__ import annotations

import os

from .private import open_note, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine import Swept

__all__ = ["SweepNote", "Tally"]

_COUNTS = ("removed", "reaped", "live", "damaged", "failed")
_NUMBERS = (*_COUNTS, "own")


def _shorter(one: int, other: int) -> int:
    """The shorter of two limits, of which 0 is none."""
    return min(filter(None, (one, other)), default=0)


class Tally:
    """
    What a pass found and did.

    Attributes:
        when: of a finished pass its end, otherwise its beginning, in seconds
            since the epoch.
        removed: expired sessions deleted.
        reaped: superseded sessions and abandoned empty files deleted.
        live: sessions that are left.
        damaged: unreadable session files met.
        failed: files on which a system call failed.
        own: the shortest idle limit of its own that a session has which is
            left, as far as that is shorter than the common one; 0: none has.
        took: seconds of processor time.
    """

    __slots__ = (
        "damaged", "failed", "live", "own", "reaped", "removed", "took",
        "when",
    )  # fmt: skip

    def __init__(self, when: float) -> None:
        self.when = when
        self.took = 0.0
        self.removed = self.reaped = self.live = self.damaged = 0
        self.failed = self.own = 0

    def add(self, swept: Swept) -> None:
        """Adds what was found in one shard."""
        self.removed += swept.removed
        self.reaped += swept.reaped
        self.live += swept.live
        self.damaged += len(swept.odd)
        self.failed += swept.failed
        self.own = _shorter(self.own, swept.own)

    def __add__(self, other: Tally) -> Tally:
        """The sum of two tallies, with the beginning of the first."""
        both = Tally(self.when)
        both.took = self.took + other.took
        for name in _COUNTS:
            setattr(both, name, getattr(self, name) + getattr(other, name))
        both.own = _shorter(self.own, other.own)
        return both

    @property
    def took_for_live(self) -> float:
        """
        Seconds for what was left as it is: what was removed is no reason to
        wait, or where much expires a sweep would fall behind for ever.
        """
        seen = self.live + self.removed + self.reaped
        return self.took * self.live / seen if seen else self.took

    def line(self) -> bytes:
        """The tally as a line of the note."""
        numbers = (getattr(self, name) for name in _NUMBERS)
        return b"%.3f %.3f %d %d %d %d %d %d" % (
            self.when, self.took, *numbers,
        )  # fmt: skip

    @classmethod
    def of_line(cls, line: bytes) -> Tally | None:
        """The tally that a line of the note holds; None if it holds none."""
        words = line.split(b" ")
        try:
            tally = cls(float(words[0]))
            tally.took = float(words[1])
            for name, word in zip(_NUMBERS, words[2:], strict=True):
                setattr(tally, name, int(word))
        except (IndexError, ValueError):
            return None
        return tally


def _seconds(line: bytes) -> float:
    """The time in a line, in seconds since the epoch; 0 if it holds none."""
    try:
        value = float(line)
    except ValueError:
        return 0.0
    return value if 0 < value < 1e11 else 0.0


class SweepNote:
    """
    What ``.locks/sweep.stamp`` says.

    Attributes:
        shard: that comes next.
        present: the automatic pass that is under way; None: none.
        last: the last pass that was finished; None: none is known.
        before: when the one before that was finished, in seconds since the
            epoch; 0: not known.
        began: when the last one began: what expired in the course of a long
            pass it may have passed by; 0: not known.
    """

    __slots__ = ("_path", "before", "began", "last", "present", "shard")

    def __init__(self, path: bytes) -> None:
        self._path = path
        lines = (read_file(path) or b"").split(b"\n") + [b""] * 4
        shard, present, last, before, began, *_ = lines
        self.shard = int(shard) if shard.isdigit() else 0
        self.present = Tally.of_line(present)
        self.last = Tally.of_line(last)
        self.before, self.began = _seconds(before), _seconds(began)

    @property
    def removed_per_minute(self) -> float | None:
        """By the last pass, since the one before; None: not known."""
        if self.last is None or not 0 < self.before < self.last.when:
            return None
        return 60 * self.last.removed / (self.last.when - self.before)

    def finish(self, tally: Tally, now: float) -> None:
        """A pass has been finished."""
        self.before = self.last.when if self.last is not None else 0.0
        self.began, tally.when = tally.when, now
        self.shard, self.present, self.last = 0, None, tally

    def save(self, due: float) -> None:
        """Writes it; its modification time is when the next slice is due."""
        content = b"\n".join(
            [
                b"%08d" % self.shard,
                b"" if self.present is None else self.present.line(),
                b"" if self.last is None else self.last.line(),
                b"%.3f" % self.before,
                b"%.3f" % self.began,
                b"",
            ]
        )
        fd = open_note(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
            os.utime(fd, (due, due))
        finally:
            os.close(fd)
