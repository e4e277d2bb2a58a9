"""
The contract of an engine, as tests. A new engine's test file is a fixture
`engine` and a class that is an `EngineContract`.
"""

from __future__ import annotations

import threading

import pytest

from support import at
from websession import (
    CorruptData,
    MaxSessionCountExceeded,
    SessionLocked,
)
from websession import (
    engine as outcomes,
)
from websession.ids import handle
from websession.record import (
    Parts,
    info_of,
    is_superseded,
    pack_successor,
    pack_user,
    stored_at,
    user_of,
    version_of,
)

NOW = 1_700_000_000.0
UNLIMITED = at(NOW)


def draft(
    data=b"data",
    stored=NOW,
    env=b"env",
    block=b"",
    idle=0,
    created=NOW,
    user=b"",
):
    return created, stored, env, data, 2, block, idle, user


ANN = pack_user([b"the tag of ann.."], "Firefox, Linux")
BOB = pack_user([b"the tag of bob.."], "Firefox, Linux")


class EngineContract:
    """Mixed into the tests of each engine."""

    @pytest.fixture
    def here(self, engine):
        """The address of a session that is there."""
        address = engine.locate("here")
        assert engine.create(address, draft(), UNLIMITED, None) == outcomes.OK
        return address

    # Addresses

    def test_a_session_is_where_its_handle_is(self, engine, here):
        raw = engine.read(engine.address(handle("here")))
        assert raw == engine.read(here)
        assert Parts(raw).data == b"data"

    # Reading

    def test_what_is_not_there_reads_as_none(self, engine):
        address = engine.locate("nowhere")
        assert engine.read(address) is None
        assert engine.inspect(address) is None

    def test_a_record_is_read_as_it_was_drafted(self, engine):
        address = engine.locate("all of it")
        made = draft(b"x" * 5000, NOW + 5, b"e" * 300, b"", 77, NOW - 5, ANN)
        assert engine.create(address, made, UNLIMITED, None) == outcomes.OK
        parts = Parts(engine.read(address))
        assert made == (
            parts.created, parts.stored, parts.env, parts.data, parts.number,
            parts.supersede, parts.idle, parts.user,
        )  # fmt: skip
        assert engine.inspect(address) == engine.read(address)

    def test_what_is_known_and_live_is_returned_itself(self, engine, here):
        known = engine.read(here)
        assert engine.read(here, known) is known
        copy = bytes(bytearray(known))
        assert engine.read(here, copy) is copy

    def test_what_is_known_and_was_replaced_is_not(self, engine, here):
        known = engine.read(here)
        engine.commit(here, draft(b"new"), None, UNLIMITED)
        assert Parts(engine.read(here, known)).data == b"new"

    def test_what_is_not_authentic_is_not_read(self, engine, here, forge):
        forge("here")
        with pytest.raises(CorruptData):
            engine.read(here)
        assert engine.inspect(here) is not None

    # Making

    def test_what_is_there_is_not_made_again(self, engine, here):
        again = engine.create(here, draft(b"again"), UNLIMITED, None)
        assert again == outcomes.EXISTS
        assert Parts(engine.read(here)).data == b"data"

    def test_no_more_than_the_cap(self, engine, here):
        second, third = map(engine.locate, ("second", "third"))
        assert engine.create(second, draft(), UNLIMITED, 2) == outcomes.OK
        with pytest.raises(MaxSessionCountExceeded):
            engine.create(third, draft(), UNLIMITED, 2)
        assert engine.read(third) is None
        assert engine.remove(second) == outcomes.OK
        assert engine.create(third, draft(), UNLIMITED, 2) == outcomes.OK

    # Writing

    def test_what_is_not_there_is_not_written(self, engine):
        address = engine.locate("nowhere")
        outcome = engine.commit(address, draft(), None, UNLIMITED)
        assert outcome == (outcomes.ABSENT, b"")
        assert engine.read(address) is None

    def test_a_write_tells_the_header_that_it_wrote(self, engine, here):
        before = version_of(engine.read(here))
        outcome, header = engine.commit(here, draft(b"new"), None, UNLIMITED)
        assert outcome == outcomes.OK
        assert header == version_of(engine.read(here)) != before
        outcome, again = engine.commit(here, draft(b"new"), header, UNLIMITED)
        assert outcome == outcomes.OK
        assert again != header, "the same twice is another version"

    def test_who_was_overtaken_is_told_the_live_header(self, engine, here):
        old = version_of(engine.read(here))
        _, live = engine.commit(here, draft(b"new"), old, UNLIMITED)
        found = engine.commit(here, draft(b"late"), old, UNLIMITED)
        assert found == (outcomes.CONFLICT, live)
        assert Parts(engine.read(here)).data == b"new"

    def test_what_is_over_is_not_written(self, engine, here):
        live = version_of(engine.read(here))
        limits = at(NOW + 11, idle=10.0)
        late = draft(stored=NOW + 11)
        for expected in None, live:
            found = engine.commit(here, late, expected, limits)
            assert found == (outcomes.EXPIRED, live)

    def test_of_many_writers_at_once_each_counts(self, engine, here):
        def add():
            for _ in range(50):
                while True:
                    raw = engine.read(here)
                    number = int(Parts(raw).data) + 1
                    outcome, _ = engine.commit(
                        here, draft(b"%d" % number), version_of(raw), UNLIMITED
                    )
                    if outcome == outcomes.OK:
                        break

        engine.commit(here, draft(b"0"), None, UNLIMITED)
        threads = [threading.Thread(target=add) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert Parts(engine.read(here)).data == b"200"

    # Other data

    def test_other_data_changes_nothing_else(self, engine):
        address = engine.locate("other")
        made = draft(b"old", env=b"e" * 300, idle=77, created=NOW - 5)
        engine.create(address, made, UNLIMITED, None)
        raw = engine.read(address)
        for seconds, known in enumerate((b"", raw, raw, None), 1):
            if known is None:
                known = raw
            data = b"%d" % seconds
            outcome, raw = engine.replace(
                address, known, data, 2, at(NOW + seconds)
            )
            assert outcome == outcomes.OK
            assert engine.read(address) == raw
            assert engine.read(address, raw) is raw
            parts = Parts(raw)
            assert (parts.created, parts.env) == (NOW - 5, b"e" * 300)
            assert (parts.idle, parts.supersede) == (77, b"")
            assert (parts.stored, parts.data) == (NOW + seconds, data)
            assert parts.number == 2

    @pytest.mark.parametrize("before", [0, 70_000])
    @pytest.mark.parametrize("after", [0, 3000, 70_000])
    @pytest.mark.parametrize("known", [False, True])
    def test_other_data_of_whatever_size(self, engine, before, after, known):
        address = engine.locate("other")
        engine.create(address, draft(b"x" * before), UNLIMITED, None)
        raw = engine.read(address) if known else b""
        outcome, raw = engine.replace(address, raw, b"y" * after, 2, UNLIMITED)
        assert outcome == outcomes.OK
        assert engine.read(address) == raw
        assert Parts(raw).data == b"y" * after

    def test_other_data_for_whatever_is_live(self, engine, here):
        old = engine.read(here)
        changed = draft(b"theirs", idle=99)
        engine.commit(here, changed, version_of(old), UNLIMITED)
        outcome, raw = engine.replace(here, old, b"mine", 2, UNLIMITED)
        assert outcome == outcomes.OK
        assert (Parts(raw).data, Parts(raw).idle) == (b"mine", 99)

    def test_other_data_only_for_what_is_in_force(self, engine, here):
        nowhere = engine.locate("nowhere")
        found = engine.replace(nowhere, b"", b"new", 2, UNLIMITED)
        assert found == (outcomes.ABSENT, b"")
        live = engine.read(here)
        for known in b"", live:
            late = at(NOW + 11, idle=10.0)
            found = engine.replace(here, known, b"new", 2, late)
            assert found == (outcomes.EXPIRED, version_of(live))
        assert engine.read(here) == live
        engine.remove(here)
        found = engine.replace(here, live, b"new", 2, UNLIMITED)
        assert found == (outcomes.ABSENT, b"")
        assert engine.read(here) is None

    def test_other_data_of_another_serializer(self, engine, here):
        """Env is of one serialiser with the data."""
        live = engine.read(here)
        for known in b"", live:
            found = engine.replace(here, known, b"new", 7, UNLIMITED)
            assert found == (outcomes.CONFLICT, version_of(live))
        bare = engine.locate("bare")
        engine.create(bare, draft(env=b""), UNLIMITED, None)
        outcome, raw = engine.replace(bare, b"", b"new", 7, UNLIMITED)
        assert (outcome, Parts(raw).number) == (outcomes.OK, 7)

    def test_other_data_for_what_is_ahead_keeps_its_time(self, engine, here):
        _, raw = engine.replace(here, b"", b"new", 2, at(NOW - 2))
        assert (stored_at(raw), Parts(raw).data) == (NOW, b"new")
        _, raw = engine.replace(here, b"", b"new", 2, at(NOW - 4000))
        assert stored_at(raw) == NOW - 4000

    def test_what_is_not_authentic_gets_no_other_data(
        self, engine, here, forge
    ):
        forge("here")
        before = engine.inspect(here)
        with pytest.raises(CorruptData):
            engine.replace(here, b"", b"new", 2, UNLIMITED)
        assert engine.inspect(here) == before

    def test_of_many_who_replace_at_once_each_is_the_live_one_once(
        self, engine, here
    ):
        written = []

        def write(number):
            for turn in range(50):
                data = b"%d %d" % (number, turn)
                outcome, raw = engine.replace(here, b"", data, 2, UNLIMITED)
                assert outcome == outcomes.OK
                written.append(version_of(raw))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(written) == len(set(written)) == 200
        assert version_of(engine.read(here)) in written

    # Whose it is

    def test_whose_it_is_stays_with_whatever_is_written(self, engine):
        address = engine.locate("hers")
        engine.create(address, draft(b"x" * 70_000, user=ANN), UNLIMITED, None)
        for data in b"small", b"y" * 5000, b"y" * 70_000, b"", b"z":
            outcome, raw = engine.replace(address, b"", data, 2, UNLIMITED)
            assert outcome == outcomes.OK
            assert (user_of(raw), Parts(raw).data) == (ANN, data)
            assert engine.read(address) == raw
            header = version_of(engine.read(address))
            for user in b"", BOB:
                stranger = draft(b"stolen", user=user)
                for expected in None, header:
                    found = engine.commit(
                        address, stranger, expected, UNLIMITED
                    )
                    assert found == (outcomes.CONFLICT, header)
            new = draft(data, user=ANN)
            assert (
                engine.commit(address, new, header, UNLIMITED)[0]
                == outcomes.OK
            )

    def test_nobodys_session_becomes_nobody_elses(self, engine, here):
        live = version_of(engine.read(here))
        for expected in None, live:
            found = engine.commit(here, draft(user=ANN), expected, UNLIMITED)
            assert found == (outcomes.CONFLICT, live)

    def test_whose_it_was_is_known_when_it_is_superseded(self, engine):
        address = engine.locate("hers")
        engine.create(address, draft(user=ANN), UNLIMITED, None)
        live = version_of(engine.read(address))
        block = pack_successor(NOW + 60, handle("next"))
        led = draft(b"", env=b"", block=block, user=ANN)
        assert engine.commit(address, led, live, UNLIMITED)[0] == outcomes.OK
        parts = Parts(engine.read(address))
        assert (parts.supersede, parts.user) == (block, ANN)
        assert (parts.env, parts.data) == (b"", b"")

    # Superseding

    @pytest.fixture
    def led(self, engine, here):
        """A session that leads to another one."""
        block = pack_successor(NOW + 60, handle("next"))
        live = version_of(engine.read(here))
        new = draft(b"", env=b"", block=block)
        assert engine.commit(here, new, live, UNLIMITED)[0] == outcomes.OK
        return here

    def test_what_is_superseded_is_read_and_not_counted(self, engine, led):
        assert is_superseded(engine.read(led))
        assert engine.count() == 0
        assert list(self.handles(engine)) == []

    def test_nothing_follows_what_is_superseded(self, engine, led):
        live = version_of(engine.read(led))
        for expected in None, live:
            found = engine.commit(led, draft(), expected, UNLIMITED)
            assert found == (outcomes.SUPERSEDED, live)

    def test_what_is_superseded_gets_no_other_data(self, engine, led):
        live = engine.read(led)
        for known in b"", live:
            found = engine.replace(led, known, b"new", 2, UNLIMITED)
            assert found == (outcomes.SUPERSEDED, version_of(live))

    def test_what_is_superseded_is_removed_if_that_is_said(self, engine, led):
        assert engine.remove(led) == outcomes.SUPERSEDED
        assert engine.read(led) is not None
        assert engine.remove(led, superseded=True) == outcomes.OK
        assert engine.read(led) is None

    # Removing

    def test_what_is_removed_is_gone(self, engine, here):
        assert engine.remove(here) == outcomes.OK
        assert engine.remove(here) == outcomes.ABSENT
        assert engine.read(here) is None
        assert engine.count() == 0

    def test_what_is_expected_is_removed_and_nothing_else(self, engine, here):
        old = version_of(engine.read(here))
        _, live = engine.commit(here, draft(b"new"), old, UNLIMITED)
        assert engine.remove(here, old) == outcomes.CONFLICT
        assert engine.remove(here, live) == outcomes.OK

    # All of them

    @staticmethod
    def handles(engine):
        for part in range(engine.parts):
            yield from engine.handles(part)

    def test_every_session_has_its_handle_once(self, engine):
        names = [f"session {number}" for number in range(40)]
        for name in names:
            engine.create(engine.locate(name), draft(), UNLIMITED, None)
        found = list(self.handles(engine))
        assert sorted(found) == sorted(map(handle, names))
        assert engine.count() == 40
        infos = [info_of(n, engine.inspect(engine.address(n))) for n in found]
        assert {info.stored for info in infos} == {NOW}

    def test_a_sweep_removes_what_is_over(self, engine):
        times = {"fresh": NOW, "old": NOW - 100, "remembered": NOW - 100}
        for name, stored in times.items():
            own = 1000 if name == "remembered" else 0
            made = draft(stored=stored, created=stored, idle=own)
            engine.create(engine.locate(name), made, UNLIMITED, None)
        assert engine.sweep(at(NOW, remove=50.0)) == 1
        assert engine.read(engine.locate("old")) is None
        assert stored_at(engine.read(engine.locate("remembered"))) == NOW - 100
        assert engine.sweep(at(NOW, remove=50.0, lifetime=60.0)) == 1
        assert engine.count() == 1

    # Locks

    def test_a_lock_keeps_other_threads_out(self, engine, here):
        refused = []

        def other():
            try:
                with engine.lock(here, 0.05, "other"):
                    pass
            except SessionLocked:
                refused.append(True)

        with engine.lock(here, 1.0, "first"):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert refused == [True]
        other()
        assert refused == [True]

    def test_it_says_what_it_is(self, engine):
        assert isinstance(engine, outcomes.Engine)
        assert engine.quick in (True, False)
        assert engine.parts >= 1
        assert engine.timeout > 0
        engine.check()
        engine.close()
