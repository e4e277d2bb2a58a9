"""
One session's file: what a `FileStore` does with it through the backend.
"""

from __future__ import annotations

from .. import engine
from ..engine import Deadline, loud
from ..exceptions import (
    CorruptData,
    InvalidSessionId,
    SessionRenewed,
)
from ..ids import handle
from ..record import (
    HEADER_LENGTH,
    Parts,
    holds_data,
    is_superseded,
    later,
    origin_of,
    stored_at,
    version_of,
)
from .count import SessionCount
from .private import sync_directory
from .root import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["SessionFile", "Tools"]

# How many session files are remembered, and how many bytes of their records,
# small ones not counted.
_FILES, _BYTES, _SMALL = 1024, 8 << 20, 8192
# What is seen of a session at first.
NOTHING: tuple[bytes, None] = (b"", None)


class Tools:
    """
    What all session files of a store have in common.

    Attributes:
        recent: the session files of late, by ID: mostly those of the requests
            that are going on. Bounded, and emptied at once when full.
    """

    def __init__(
        self,
        layout: Layout,
        backend: ModuleType,
        count: SessionCount,
        durability: int,
        timeout: float,
    ) -> None:
        self.layout = layout
        self.backend = backend
        self.count = count
        self.durability = durability
        self.timeout = timeout
        self.pack = layout.keyring.pack
        self.read = backend.read
        self.write = backend.commit
        self.verifies = layout.keyring.verifies
        self.recent: dict[str, SessionFile] = {}
        self._remembered = 0

    def file(self, session_id: str) -> SessionFile:
        """The file of a session."""
        file = self.recent.get(session_id)
        if file is None:
            if len(self.recent) >= _FILES:
                self.forget()
            file = self.recent[session_id] = SessionFile(self, session_id)
        return file

    def remember(self, more: int) -> None:
        """So many more bytes of records are remembered."""
        self._remembered += more
        if self._remembered > _BYTES:
            self.forget()

    def forget(self) -> None:
        """Forgets all of them."""
        self.recent.clear()
        self._remembered = 0


class SessionFile:
    """
    The file of one session, which may or may not exist. Holds no descriptor.

    Args:
        tools: the store's.
        session_id: any str.

    Attributes:
        name: the handle.
        path: where the file is.
        seen: the last record that this process saw or wrote there, or
            nothing: the same bytes need not be verified again; and its
            creation time, env and idle limit, or None: not looked at yet.
            One value, replaced whole, since threads share it.
    """

    __slots__ = ("_tools", "name", "path", "seen", "session_id")

    def __init__(self, tools: Tools, session_id: str) -> None:
        self._tools = tools
        self.session_id = session_id
        self.name = handle(session_id)
        self.path = tools.layout.path(self.name)
        self.seen: tuple[bytes, tuple[float, bytes, int] | None] = NOTHING

    def raw(self, timeout: float | None = None) -> bytes:
        """
        The live record, authenticated.

        Args:
            timeout: seconds to wait for a writer; None: the store's.

        Raises:
            InvalidSessionId, CorruptData, SessionBusy, SessionStoreError
        """
        tools, name, last = self._tools, self.name, self.seen[0]
        if timeout is None:
            timeout = tools.timeout
        try:
            raw: bytes | None = tools.read(self.path, name, timeout, last)
        except engine.DamagedFile as damage:
            self._set_aside()
            raise CorruptData(damage.reason) from damage
        if raw is None:
            tools.layout.check()
            raise InvalidSessionId(self.session_id)
        if raw is last:
            return raw
        if not tools.verifies(name, raw):
            tools.layout.check()
            raise CorruptData(
                f"session {name.decode()} is not authentic: it was written "
                "with another secret, or by somebody else; it is left as it is"
            )
        self._remember(raw)
        return raw

    def _remember(
        self, raw: bytes, origin: tuple[float, bytes, int] | None = None
    ) -> None:
        before = len(self.seen[0])
        self.seen = raw, origin
        if len(raw) + before > _SMALL:
            self._tools.remember(len(raw) - before)

    def current(self, now: float, timeout: float | None = None) -> bytes:
        """The live record, for one that is to follow it."""
        raw = self.raw(timeout)
        if is_superseded(raw):
            self.refuse(engine.SUPERSEDED, now)
        return raw

    def check_readable(self, raw: bytes, now: float) -> None:
        """
        InvalidSessionId if a superseded session is over, by time or by
        log-out; SessionRenewed if it is not, but has nothing to read.
        """
        from .succession import distance

        steps = distance(self._tools, raw, now)
        if steps == 0:
            raise InvalidSessionId(self.session_id)
        # The second new ID may be that of a log-in.
        if steps > 1 or not holds_data(raw):
            raise SessionRenewed(self.session_id)

    def refuse(self, outcome: int, now: float) -> None:
        """Raises why the session could not be written."""
        self.forget()
        if outcome == engine.SUPERSEDED:
            raw = self.raw()
            if is_superseded(raw):
                self.check_readable(raw, now)
                raise SessionRenewed(self.session_id)
        self._tools.layout.check()
        raise InvalidSessionId(self.session_id)

    @loud
    def _set_aside(self) -> None:
        from .sweep import set_aside

        tools = self._tools
        self.forget()
        set_aside(
            tools.layout, tools.backend, tools.count, self.name, tools.timeout
        )

    def forget(self) -> None:
        """What was seen there may be there no more."""
        self.seen = NOTHING

    def store(
        self,
        data: bytes,
        serializer: int,
        expected: object,
        now: float,
        idle: float,
        lifetime: float,
        own_idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        """Writes new data, see `SessionStore.commit`; its version, or None."""
        stored = now
        raw, origin = self.seen
        if type(expected) is bytes and len(expected) == HEADER_LENGTH:
            stored = later(now, stored_at(expected))
            # Another thread may have seen another record meanwhile.
            if not raw.startswith(expected):
                raw, origin = self.current(now, timeout), None
                if not raw.startswith(expected):
                    return None
        if origin is None:
            origin = origin_of(raw or self.current(now, timeout))
        tools, name = self._tools, self.name
        if timeout is None:
            timeout = tools.timeout
        deadline: Deadline | None = None
        while True:
            created, env, own = origin
            if own_idle is not None:
                own = own_idle
            record = tools.pack(
                name, created, stored, env, data, serializer, b"", own
            )
            outcome, header = tools.write(
                self.path, name, record, expected, now, idle, lifetime,
                tools.durability, timeout,
            )  # fmt: skip
            if outcome == engine.OK:
                break
            if outcome != engine.CONFLICT:
                self.refuse(outcome, now)
            if expected is not None and header != expected:
                return None
            # Not what was remembered, or a clock is behind: look, try again.
            deadline = deadline or Deadline(timeout)
            deadline.check()
            live = self.current(now, timeout)
            origin = origin_of(live)
            stored = later(now, stored_at(live))
        self._remember(header + record[HEADER_LENGTH:], (created, env, own))
        return header

    def copy(
        self,
        old: bytes,
        now: float,
        supersede: bytes = b"",
        whole: bool = True,
    ) -> bytes:
        """
        The same record with another time, and perhaps a successor; with
        nothing in it unless `whole`.
        """
        parts = Parts(old)
        env, data = (parts.env, parts.data) if whole else (b"", b"")
        return self._tools.pack(
            self.name, parts.created, later(now, parts.stored), env, data,
            parts.number, supersede, parts.idle,
        )  # fmt: skip

    def commit(
        self,
        record: bytes,
        expected: object,
        now: float,
        idle: float,
        lifetime: float,
    ) -> tuple[int, bytes]:
        """See the backends' `commit`."""
        tools = self._tools
        outcome: tuple[int, bytes] = tools.write(
            self.path, self.name, record, expected, now, idle, lifetime,
            tools.durability, tools.timeout,
        )  # fmt: skip
        return outcome

    def touch(
        self, expected: object, now: float, idle: float, lifetime: float
    ) -> object:
        """Sets the time and nothing else; the new version, or None."""
        deadline = Deadline(self._tools.timeout)
        while True:
            old = self.current(now)
            header = version_of(old)
            if expected is not None and header != expected:
                return None
            record = self.copy(old, now)
            outcome, written = self.commit(record, header, now, idle, lifetime)
            if outcome == engine.OK:
                return written
            if outcome != engine.CONFLICT:
                self.refuse(outcome, now)
            deadline.check()

    def create(self, record: bytes) -> int:
        """Makes the file, and its shard if need be; OK or EXISTS."""
        tools = self._tools
        outcome: int = engine.ABSENT
        for _ in range(3):
            outcome = tools.backend.create(
                self.path, self.name, record, tools.durability, tools.timeout
            )
            if outcome != engine.ABSENT:
                break
            tools.layout.make_shard(self.name)
            if tools.durability == 2:
                sync_directory(tools.layout.root)
        if outcome == engine.ABSENT:
            engine.fail(engine.ERRNO, 2, self.name)
        if tools.durability == 2:
            sync_directory(tools.layout.directory(self.name))
        return outcome

    def reap(self) -> bool:
        """Deletes the file if it is what a killed process left: empty."""
        from .sweep import reap

        tools = self._tools
        return reap(self.path, self.name, tools.count, 0.0, tools.timeout)

    def remove(self, expected: object) -> bool:
        """
        Deletes the file, and without `expected` also what followed it under a
        new ID; False if there was none, or another version.
        """
        tools = self._tools
        self.forget()
        outcome = tools.count.remove(
            self.name,
            lambda: tools.backend.remove(
                self.path, self.name, expected, tools.timeout
            ),
        )
        if outcome == engine.SUPERSEDED:
            from .succession import delete

            return delete(tools, self.name, tools.durability == 2)
        if outcome == engine.ABSENT:
            tools.layout.check()
        if outcome == engine.OK and tools.durability == 2:
            sync_directory(tools.layout.directory(self.name))
        return bool(outcome == engine.OK)
