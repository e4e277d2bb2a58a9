"""
`WebSession` over `FileStore` against a model: every method in any order, on
two objects that share a directory, one for each backend, with a clock that
the test moves.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from clocks import Clock
from effort import LONG, effort
from machine import NO_EXTENSION
from websession import (
    FileStore,
    InvalidSessionId,
    MaxSessionCountExceeded,
    SessionExpired,
    SessionHijacked,
    SessionRenewed,
    WebSession,
)

pytestmark = pytest.mark.proof

ENV = os.environ
IDLE, REMOVE, LIFETIME, LIMIT = 100, 300, 250, 5
BACKENDS = ("python", "python") if NO_EXTENSION else ("c", "python")
payloads = st.one_of(
    st.integers(),
    st.text(max_size=20),
    st.binary(max_size=700),
    st.integers(0, 20_000).map(lambda size: "x" * size),
)
own_limits = st.sampled_from([0, 0, 20, 600])
moments = st.sampled_from([0, 1, 50, 99, 99, 101, 201, 301, -5, -50])
which = st.sampled_from([0, 1])


class Session:
    """What the model knows of one."""

    def __init__(self, data, now, env, created=None, idle=0):
        self.data = data
        self.idle = idle
        # Whether its limit has the sweep look into its file.
        self.is_marked = idle > 0
        self.stored = now
        self.created = now if created is None else created
        self.env = env
        # Of a session that has got a new ID: until when it says so.
        self.until = self.successor = None
        self.readable = False


class Sessions(RuleBasedStateMachine):
    ids = Bundle("ids")

    def __init__(self):
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.model = {}

    @initialize(limited=st.booleans())
    def open(self, limited):
        self.limit = LIMIT if limited else None
        self.both = [
            WebSession(
                FileStore(
                    self.place / "store",
                    backend=backend,
                    sweep_interval=0,
                    shards=16,
                ),
                IDLE, REMOVE, ("ADDR",), self.limit,
                maxLifetime=LIFETIME, clock=self.clock,
            )
            for backend in BACKENDS
        ]  # fmt: skip

    def teardown(self):
        shutil.rmtree(self.place)

    # What the model says

    def age(self, session):
        return max(0, self.clock.now - session.stored)

    def over(self, session):
        """Past a limit, so that nobody can write it."""
        return (
            self.age(session) > (session.idle or IDLE)
            or self.clock.now - session.created > LIFETIME
        )

    def distance(self, session):
        """How many new IDs lie between it and one in force; 0: none is."""
        if self.clock.now >= session.until:
            return 0
        for steps in range(1, 17):
            session = self.model.get(session.successor)
            if session is None:
                return 0
            if session.until is None:
                return steps
        return 0

    def ended(self, session):
        """Superseded, and over."""
        return session.until is not None and self.distance(session) == 0

    def in_force(self):
        return [each for each in self.model.values() if each.until is None]

    def write(self, session, data):
        session.data = data
        now = self.clock.now
        ahead = session.stored - now
        session.stored = session.stored if 0 < ahead <= 3600 else now

    def writable(self, session_id):
        """The exception that a write ends in, or None."""
        session = self.model.get(session_id)
        if session is None or self.ended(session):
            return InvalidSessionId
        if session.until is not None:
            return SessionRenewed
        return InvalidSessionId if self.over(session) else None

    def written(self, session_id, call):
        """Whether a write went through, as the model says it must."""
        expected = self.writable(session_id)
        if expected is None:
            call()
            return True
        with pytest.raises(expected) as caught:
            call()
        assert (caught.type is SessionRenewed) == (expected is SessionRenewed)
        return False

    # What is done

    @rule(
        target=ids,
        ws=which,
        data=payloads,
        addr=st.sampled_from("ab"),
        idle=own_limits,
    )
    def new(self, ws, data, addr, idle):
        env = {"ADDR": addr}
        if self.limit and len(self.in_force()) >= LIMIT:
            with pytest.raises(MaxSessionCountExceeded):
                self.both[ws].newSession(env, data=data, idle=idle)
            return multiple()
        session_id = self.both[ws].newSession(env, data=data, idle=idle)
        assert session_id not in self.model
        self.model[session_id] = Session(data, self.clock.now, env, idle=idle)
        return session_id

    @rule(ws=which, session_id=ids, data=payloads)
    def store(self, ws, session_id, data):
        if self.written(
            session_id, lambda: self.both[ws].storeSession(session_id, data)
        ):
            self.write(self.model[session_id], data)

    @rule(ws=which, session_id=ids)
    def touch(self, ws, session_id):
        if self.written(
            session_id, lambda: self.both[ws].touchSession(session_id)
        ):
            session = self.model[session_id]
            self.write(session, session.data)

    @rule(ws=which, session_id=ids, idle=st.none() | own_limits)
    def update(self, ws, session_id, idle):
        def pair(data):
            return [data, len(str(data))]

        def call():
            self.both[ws].updateSession(session_id, pair, idle=idle)

        if self.written(session_id, call):
            session = self.model[session_id]
            self.write(session, pair(session.data))
            if idle is not None:
                session.is_marked |= idle not in (0, session.idle)
                session.idle = idle

    @rule(ws=which, session_id=ids, addr=st.sampled_from("ab"))
    def retrieve(self, ws, session_id, addr):
        session = self.model.get(session_id)
        ws, env = self.both[ws], {"ADDR": addr}
        if session is None or self.ended(session):
            with pytest.raises(InvalidSessionId):
                ws.retrieveSession(session_id, env)
            return
        if session.until is not None and (
            not session.readable or self.distance(session) > 1
        ):
            with pytest.raises(SessionRenewed):
                ws.retrieveSession(session_id, env)
            return
        if self.age(session) > (session.idle or REMOVE):
            with pytest.raises(InvalidSessionId):
                ws.retrieveSession(session_id, env)
            del self.model[session_id]
        elif session.env != env:
            with pytest.raises(SessionHijacked) as caught:
                ws.retrieveSession(session_id, env)
            assert caught.value.failed_vars == ["ADDR"]
        elif self.over(session):
            with pytest.raises(SessionExpired) as caught:
                ws.retrieveSession(session_id, env)
            assert caught.value.session_data == session.data
            assert caught.value.timestamp == session.stored
            del self.model[session_id]
        else:
            assert ws.retrieveSession(session_id, env) == session.data

    @rule(ws=which, session_id=ids)
    def delete(self, ws, session_id):
        self.both[ws].deleteSession(session_id)
        while (session := self.model.pop(session_id, None)) is not None:
            session_id = session.successor

    @rule(
        target=ids,
        ws=which,
        session_id=ids,
        grace=st.sampled_from([0, 60]),
        readable=st.booleans(),
    )
    def regenerate(self, ws, session_id, grace, readable):
        made = []

        def call():
            made.append(
                self.both[ws].regenerateSession(
                    session_id, grace=grace, readable=readable
                )
            )

        if not self.written(session_id, call):
            return multiple()
        old = self.model[session_id]
        (new_id,) = made
        new = Session(old.data, self.clock.now, old.env, old.created, old.idle)
        self.model[new_id] = new
        if grace:
            self.write(old, old.data)
            old.until, old.successor = self.clock.now + grace, new_id
            old.readable = readable
        else:
            del self.model[session_id]
        return new_id

    @rule(ws=which)
    def clean_up(self, ws):
        removed = self.both[ws].cleanUp()
        gone = [
            session_id
            for session_id, session in self.model.items()
            if session.until is None
            and (
                self.age(session) > (session.idle or REMOVE)
                or self.clock.now - session.created > LIFETIME
            )
            # What was stored lately is not looked into.
            and (
                session.is_marked or self.age(session) > min(REMOVE, LIFETIME)
            )
        ]
        assert removed == len(gone)
        superseded = [
            session_id
            for session_id, session in self.model.items()
            if session.until is not None and self.clock.now >= session.until
        ]
        for session_id in gone + superseded:
            del self.model[session_id]
        for session in self.model.values():
            session.is_marked &= 0 < session.idle < min(REMOVE, LIFETIME)

    @rule(seconds=moments)
    def wait(self, seconds):
        self.clock.move(seconds)

    @rule(ws=which, session_id=ids)
    def stay(self, ws, session_id):
        """Use a session until its lifetime is over, and no limit before."""
        for _ in range(3):
            self.clock.move(99)
            self.store(ws, session_id, "used")

    @rule(ws=which)
    def forget(self, ws):
        """As in a process that has not seen any of this."""
        self.both[ws].close()

    # What always holds

    @invariant()
    def counts_agree(self):
        if not hasattr(self, "both"):
            return
        expected = len(self.in_force())
        for ws in self.both:
            assert ws.countSessions() == expected
        listed = sorted(
            (info.created, info.stored, info.idle)
            for info in self.both[0].listSessions()
        )
        assert listed == sorted(
            (each.created, each.stored, each.idle) for each in self.in_force()
        )


class TestSessions(Sessions.TestCase):
    settings = settings(
        max_examples=effort(200, 5000),
        stateful_step_count=effort(40, 80),
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
        # Mutations only ask whether there is an example.
        phases=[
            phase
            for phase in Phase
            if phase is not Phase.shrink or "WEBSESSION_MUTATED" not in ENV
        ],
    )
