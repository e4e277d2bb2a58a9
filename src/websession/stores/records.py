"""
`RecordStore`: sessions as records of an engine. Here: encoding, what this
process remembers, and what to do when a session is not what one hoped for.
"""

from __future__ import annotations

import time

from .. import serializers
from ..engine import (
    CONFLICT,
    OK,
    SUPERSEDED,
    UNREADABLE,
    Deadline,
    loud,
)
from ..exceptions import (
    CorruptData,
    InvalidSessionId,
    SessionRenewed,
    SessionStoreError,
    SessionTooLarge,
)
from ..ids import handle
from ..record import (
    FLAG_SUPERSEDED,
    HEADER_LENGTH,
    VERSION,
    SessionRecord,
    env_at,
    holds_data,
    info_of,
    is_superseded,
    later,
    number_of,
    origin_of,
    pack_successor,
    stored_at,
    successor_of,
    unpack_origin,
    user_of,
    version_of,
)
from .base import KEEP, SessionStore
from .recall import Recall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, NoReturn

    from ..engine import Draft, Engine, Limits
    from ..options import SerializerName
    from ..record import SessionInfo
    from .recall import Recalled

__all__ = ["RecordStore", "check_max_size"]

LARGEST_MAX_SIZE = 32 << 20
_make = tuple.__new__


def check_max_size(size: int) -> None:
    """ValueError unless `size` is a possible `max_size`: 1 byte to 32 MiB."""
    if not 0 < size <= LARGEST_MAX_SIZE:
        raise ValueError("max_size is 1 to 32 MiB, in bytes")


class RecordStore(SessionStore):
    """
    Sessions as authenticated records, wherever an engine keeps them. The
    docstrings of `SessionStore` say what the methods do.

    Args:
        engine: keeps the records.
        serializer: ``"pickle"`` (default: any object), ``"json"``, or a
            `serializers.Serializer`.
        also_accept: serialisers that records may have been written with
            besides. Default: none, so that nothing is unpickled by surprise.
        max_size: largest serialised data in bytes, default 1 MiB, at most
            32 MiB.

    Attributes:
        engine: as it was passed.

    Raises:
        ValueError: an argument out of range.
    """

    serializer: serializers.Serializer

    def __init__(
        self,
        engine: Engine,
        *,
        serializer: SerializerName | serializers.Serializer = "pickle",
        also_accept: Sequence[SerializerName | serializers.Serializer] = (),
        max_size: int = 1 << 20,
    ) -> None:
        check_max_size(max_size)
        self.engine = engine
        self.quick = engine.quick
        self.serializer = serializers.get(serializer)
        self._number = self.serializer.number
        accepted = [self.serializer, *map(serializers.get, also_accept)]
        # Not their `loads`: that of pickle changes with use.
        self._accepted = {each.number: each for each in accepted}
        self._max_size = max_size
        self._recall = Recall(engine.locate)
        self._recent, self._of = self._recall.recent, self._recall.of
        self._read, self._commit = engine.read, engine.commit
        self._replace = engine.replace

    # Encoding

    def _dumps(self, data: object) -> bytes:
        if type(data) is serializers.Encoded:
            payload: bytes = data
        else:
            payload = bytes(self.serializer.dumps(data))
        if len(payload) > self._max_size:
            from .sizes import largest

            keys = largest(payload, self.serializer)
            raise SessionTooLarge(len(payload), self._max_size, keys)
        return payload

    # Reading

    def _raw(self, known: Recalled, timeout: float | None = None) -> bytes:
        """The live record; InvalidSessionId if there is none."""
        last = known.raw
        raw = self._read(known.address, last, timeout)
        if raw is None:
            raise InvalidSessionId(known.session_id)
        if raw is not last:
            self._recall.remember(known, raw)
        return raw

    def _current(
        self, known: Recalled, now: float, timeout: float | None = None
    ) -> bytes:
        """
        The live record, for a write that is to follow it; the exceptions of
        `read` if it may not be written.
        """
        raw = self._raw(known, timeout)
        if is_superseded(raw):
            self._refuse(known, SUPERSEDED, now)
        return raw

    def _check_readable(self, known: Recalled, raw: bytes, now: float) -> None:
        """
        InvalidSessionId if a superseded session is over, by time or by
        log-out; SessionRenewed if it is not, but has nothing to read.
        """
        from .succession import distance

        steps = distance(self.engine, raw, now)
        if steps == 0:
            raise InvalidSessionId(known.session_id)
        # The second new ID may be that of a log-in.
        if steps > 1 or not holds_data(raw):
            raise SessionRenewed(known.session_id)

    def _refuse(self, known: Recalled, outcome: int, now: float) -> None:
        """Raises the exception that says why a session was not written."""
        known.forget()
        if outcome == SUPERSEDED:
            raw = self._raw(known)
            if is_superseded(raw):
                self._check_readable(known, raw, now)
                raise SessionRenewed(known.session_id)
        self.engine.check()
        raise InvalidSessionId(known.session_id)

    def read(
        self, session_id: str, now: float, timeout: float | None = None
    ) -> SessionRecord:
        """See `SessionStore.read`."""
        known = self._recent.get(session_id) or self._of(session_id)
        # As `_raw` does it, written out on the way of every request.
        last = known.raw
        raw = self._read(known.address, last, timeout)
        if raw is None:
            raise InvalidSessionId(session_id)
        if raw is not last:
            self._recall.remember(known, raw)
        created, stored, env_len, number, flags, idle = unpack_origin(raw)
        at = env_at(raw) if flags else HEADER_LENGTH
        superseded = flags & FLAG_SUPERSEDED != 0
        if superseded:
            self._check_readable(known, raw, now)
        if number not in self._accepted:
            self._refuse_number(session_id, number)
        loads = self._accepted[number].loads
        env: Any = {}
        try:
            if env_len:
                env = loads(raw[at : at + env_len])
                at += env_len
            payload = raw[at:]
            data = loads(payload)
        except SessionStoreError:
            raise  # that says nothing about the data
        except Exception as error:
            raise CorruptData(
                f"session {handle(session_id).decode()} cannot be decoded: "
                f"{error}"
            ) from error
        version = raw[VERSION]
        return _make(
            SessionRecord,
            (created, stored, env, data, version, superseded, payload, idle),
        )

    def leads_to(self, session_id: str, successor_id: str) -> bool:
        """See `SessionStore.leads_to`."""
        try:
            raw = self._raw(self._of(session_id))
        except InvalidSessionId:
            return False
        return successor_of(raw)[1] == handle(successor_id)

    # Writing

    @loud
    def create(
        self,
        session_id: str,
        data: object,
        env: Mapping[str, object],
        limits: Limits,
        *,
        created: float | None = None,
        stored: float | None = None,
        idle: int = 0,
        cap: int | None = None,
    ) -> bool:
        """See `SessionStore.create`."""
        known = self._of(session_id)
        now = limits[0]
        if created is None:
            created = now
        packed = self.serializer.dumps(dict(env)) if env else b""
        draft = (
            created, now if stored is None else stored, packed,
            self._dumps(data), self._number, b"", idle, b"",
        )  # fmt: skip
        outcome = self.engine.create(known.address, draft, limits, cap)
        return outcome == OK

    def commit(
        self,
        session_id: str,
        data: object,
        limits: Limits,
        *,
        expected: object = None,
        idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        """See `SessionStore.commit`."""
        known = self._recent.get(session_id) or self._of(session_id)
        if data is KEEP:
            return self._touch(known, expected, limits)
        payload = self._dumps(data)
        if expected is not None:
            return self._follow(
                known, payload, limits, expected, idle, timeout
            )
        outcome, raw = self._replace(
            known.address, known.raw, payload, self._number, limits, timeout
        )
        if outcome == CONFLICT:
            return self._convert(known, payload, limits, timeout)
        if outcome != OK:
            self._refuse(known, outcome, limits[0])
        self._recall.remember(known, raw)
        return raw[VERSION]

    def _convert(
        self,
        known: Recalled,
        payload: bytes,
        limits: Limits,
        timeout: float | None,
    ) -> object:
        """Replaces what another serialiser has written, env too."""
        deadline = Deadline(
            self.engine.timeout if timeout is None else timeout
        )
        while True:
            live = version_of(self._current(known, limits[0], timeout))
            found = self._follow(known, payload, limits, live, None, timeout)
            if found is not None:
                return found
            deadline.check()

    def _converted(self, session_id: str, number: int, env: bytes) -> bytes:
        """Env of another serialiser, by that of this store."""
        if number not in self._accepted:
            self._refuse_number(session_id, number)
        loads = self._accepted[number].loads
        try:
            return self.serializer.dumps(loads(env))
        except SessionStoreError:
            raise  # of the system, as where env is read
        except Exception as error:
            raise CorruptData(
                f"session {handle(session_id).decode()} cannot be converted: "
                f"{error}"
            ) from error

    def _refuse_number(self, session_id: str, number: int) -> NoReturn:
        """CorruptData: no accepted serialiser has this number."""
        mine = self.serializer
        raise CorruptData(
            f"session {handle(session_id).decode()} was written by "
            f"serializer {number}, this store reads {mine.number} "
            f"({mine.name}): WebSession(path) writes pickle (1), "
            "WebSession.for_web and the adapters JSON (2); open it in the "
            "same way, or name the other one in also_accept"
        )

    def _follow(
        self,
        known: Recalled,
        payload: bytes,
        limits: Limits,
        expected: object,
        idle: int | None,
        timeout: float | None,
    ) -> object:
        """Writes what follows one record; the new version, or None."""
        if type(expected) is not bytes or len(expected) != HEADER_LENGTH:
            raise ValueError("not the version of a session")
        now = limits[0]
        # Another thread may have seen another record meanwhile.
        raw = known.raw
        if not raw.startswith(expected):
            raw = self._current(known, now, timeout)
            if not raw.startswith(expected):
                return None
        created, env, own, user = origin_of(raw)
        if env and number_of(raw) != self._number:
            env = self._converted(known.session_id, number_of(raw), env)
        if idle is not None:
            own = idle
        stored = later(now, stored_at(raw))
        draft = created, stored, env, payload, self._number, b"", own, user
        outcome, header = self._commit(
            known.address, draft, expected, limits, timeout
        )
        if outcome == CONFLICT:
            return None
        if outcome != OK:
            self._refuse(known, outcome, now)
        self._recall.remember(known, header + user[2:] + env + payload)
        return header

    def _touch(
        self, known: Recalled, expected: object, limits: Limits
    ) -> object:
        """Sets the time and nothing else; the new version, or None."""
        now = limits[0]
        deadline: Deadline | None = None
        while True:
            old = self._current(known, now)
            header = old[VERSION]
            if expected is not None and header != expected:
                return None
            outcome, written = self._commit(
                known.address, _again(old, now), header, limits
            )
            if outcome == OK:
                return written
            if outcome != CONFLICT:
                self._refuse(known, outcome, now)
            deadline = deadline or Deadline(self.engine.timeout)
            deadline.check()

    @loud
    def supersede(
        self,
        session_id: str,
        successor_id: str,
        until: float,
        limits: Limits,
        *,
        expected: object,
        readable: bool = False,
    ) -> object:
        """See `SessionStore.supersede`."""
        known = self._of(session_id)
        now = limits[0]
        old = self._current(known, now)
        header = version_of(old)
        if header != expected:
            return None
        block = pack_successor(until, handle(successor_id))
        outcome, written = self._commit(
            known.address,
            _again(old, now, block, readable),
            header,
            limits,
        )
        if outcome not in (OK, CONFLICT):
            self._refuse(known, outcome, now)
        known.forget()
        return written if outcome == OK else None

    @loud
    def delete(self, session_id: str, expected: object = None) -> bool:
        """See `SessionStore.delete`."""
        known = self._of(session_id)
        known.forget()
        outcome = self.engine.remove(
            known.address,
            expected,  # type: ignore[arg-type]
        )
        if outcome == SUPERSEDED:
            from .succession import delete

            return delete(self.engine, known.address)
        return outcome == OK

    # All of them

    @loud
    def sweep(self, limits: Limits) -> int:
        """See `SessionStore.sweep`."""
        return self.engine.sweep(limits)

    @loud
    def count(self) -> int:
        """See `SessionStore.count`."""
        return self.engine.count()

    @loud
    def entries(self) -> Iterator[SessionInfo]:
        """See `SessionStore.entries`. Needs no secret; skips damaged ones."""
        self.engine.check()
        return self._entries()

    def _entries(self) -> Iterator[SessionInfo]:
        engine = self.engine
        for part in range(engine.parts):
            for name in engine.handles(part):
                try:
                    raw = engine.inspect(engine.address(name))
                except UNREADABLE:
                    continue
                if raw is not None:
                    yield info_of(name, raw)

    @loud
    def lock(
        self, session_id: str, timeout: float, label: str = ""
    ) -> AbstractContextManager[None]:
        """See `SessionStore.lock`."""
        return self.engine.lock(self._of(session_id).address, timeout, label)

    def close(self) -> None:
        """Forgets what was remembered."""
        self._recall.forget()
        self.engine.close()

    # What clients of the original read: `sessiondict[id]` and the like

    def __getitem__(self, session_id: str) -> tuple[float, object]:
        record = self.read(session_id, time.time())
        return record.stored, record.data

    def __contains__(self, session_id: object) -> bool:
        if not isinstance(session_id, str):
            return False
        try:
            self.read(session_id, time.time())
        except (CorruptData, SessionRenewed):
            return True
        except InvalidSessionId:
            return False
        return True

    def __len__(self) -> int:
        return self.count()

    __iter__ = None  # it has no IDs to iterate over


def _again(
    old: bytes, now: float, block: bytes = b"", whole: bool = True
) -> Draft:
    """
    The draft of a record that differs from an old one in its time, and
    perhaps in a successor.

    Args:
        old: the record that it is to follow.
        block: of the successor; empty: there is none.
        whole: keep env and data. False: the new record has neither.
    """
    created, stored, env_len, number, flags, idle = unpack_origin(old)
    env = data = user = b""
    if whole:
        at = env_at(old) if flags else HEADER_LENGTH
        env, data = old[at : at + env_len], old[at + env_len :]
    if flags:
        user = user_of(old)
    return created, later(now, stored), env, data, number, block, idle, user
