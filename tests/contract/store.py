"""
The contract of a store, as tests. A new store's test file is a fixture
`store` and a class that is a `StoreContract`.
"""

from __future__ import annotations

import threading

import pytest

from support import at
from websession import (
    InvalidSessionId,
    MaxSessionCountExceeded,
    SessionLocked,
    SessionRenewed,
    SessionStore,
)
from websession.ids import handle
from websession.serializers import Encoded
from websession.stores.base import KEEP

NOW = 1_700_000_000.0
ENV = {"REMOTE_ADDR": "192.0.2.7"}
# Whatever the store writes data with.
DATA = {"user": "ann", "visits": 1, "notes": ["first", "second"]}
ALPHABET = b"abcdefghijklmnopqrstuvwxyz0123456789"


class StoreContract:
    """Mixed into the tests of each store."""

    @pytest.fixture
    def here(self, store):
        """The ID of a session that is there."""
        assert store.create("here", dict(DATA), ENV, at(NOW))
        return "here"

    @staticmethod
    def version(store, session_id, now=NOW):
        return store.read(session_id, now).version

    # Making

    def test_a_session_is_read_as_it_was_made(self, store, here):
        record = store.read(here, NOW + 1)
        assert (record.created, record.stored) == (NOW, NOW)
        assert (record.data, record.env) == (DATA, ENV)
        assert (record.superseded, record.idle) == (False, 0)

    def test_one_that_comes_from_elsewhere_keeps_its_times(self, store):
        made = store.create(
            "moved",
            "data",
            {},
            at(NOW),
            created=NOW - 9,
            stored=NOW - 5,
            idle=77,
        )
        assert made is True
        record = store.read("moved", NOW)
        assert (record.created, record.stored) == (NOW - 9, NOW - 5)
        assert (record.env, record.idle) == ({}, 77)

    def test_an_id_in_use_is_false_and_changes_nothing(self, store, here):
        before = self.version(store, here)
        assert store.create(here, "other", {}, at(NOW + 1)) is False
        record = store.read(here, NOW + 1)
        assert (record.data, record.env) == (DATA, ENV)
        assert record.version == before

    def test_no_more_than_the_limit(self, store, here):
        assert store.create("second", "data", {}, at(NOW), cap=2)
        with pytest.raises(MaxSessionCountExceeded) as caught:
            store.create("third", "data", {}, at(NOW), cap=2)
        assert caught.value.max_session_count == 2
        with pytest.raises(InvalidSessionId):
            store.read("third", NOW)
        assert store.delete("second") is True
        assert store.create("third", "data", {}, at(NOW), cap=2)
        assert store.create("fourth", "data", {}, at(NOW), cap=None)
        assert store.create("fifth", "data", {}, at(NOW), cap=0)
        assert store.count() == 4

    # Reading and writing

    def test_what_is_not_there_is_invalid_to_all(self, store):
        for call in (
            lambda: store.read("nobody", NOW),
            lambda: store.commit("nobody", "data", at(NOW)),
            lambda: store.commit("nobody", KEEP, at(NOW)),
            lambda: store.supersede(
                "nobody", "next", NOW + 60, at(NOW), expected=None
            ),
        ):
            with pytest.raises(InvalidSessionId) as caught:
                call()
            assert not isinstance(caught.value, SessionRenewed)
        assert store.leads_to("nobody", "next") is False
        assert store.delete("nobody") is False
        assert store.count() == 0

    def test_a_commit_replaces_data_and_time_alone(self, store, here):
        version = store.commit(here, {"new": True}, at(NOW + 5))
        record = store.read(here, NOW + 5)
        assert (record.created, record.stored) == (NOW, NOW + 5)
        assert (record.data, record.env) == ({"new": True}, ENV)
        assert record.version == version

    def test_every_commit_has_a_version_of_its_own(self, store, here):
        versions = [self.version(store, here)]
        for data in "same", "same", KEEP, KEEP:
            versions.append(store.commit(here, data, at(NOW)))
            assert None not in versions
        assert len(set(versions)) == 5

    def test_who_was_overtaken_gets_none_and_changes_nothing(
        self, store, here
    ):
        old = self.version(store, here)
        live = store.commit(here, "first", at(NOW + 1), expected=old)
        assert live is not None
        for data in "late", KEEP:
            late = store.commit(here, data, at(NOW + 2), expected=old)
            assert late is None
        record = store.read(here, NOW + 2)
        assert (record.data, record.stored) == ("first", NOW + 1)
        assert store.commit(here, "next", at(NOW + 2), expected=live)

    def test_keep_changes_the_time_alone(self, store, here):
        version = store.commit(here, KEEP, at(NOW + 5), idle=None)
        record = store.read(here, NOW + 5)
        assert (record.data, record.env) == (DATA, ENV)
        assert (record.created, record.stored) == (NOW, NOW + 5)
        assert record.version == version

    def test_a_clock_that_is_a_little_behind_sets_nothing_back(
        self, store, here
    ):
        store.commit(here, "new", at(NOW + 5))
        for data in "newer", KEEP:
            store.commit(here, data, at(NOW + 4.5))
            assert store.read(here, NOW + 5).stored == NOW + 5

    def test_what_is_over_is_read_and_not_written(self, store, here):
        limits = [{"idle": 10.0}, {"lifetime": 10.0}]
        for limit in limits:
            for data in "late", KEEP:
                with pytest.raises(InvalidSessionId):
                    store.commit(here, data, at(NOW + 11, **limit))
            with pytest.raises(InvalidSessionId):
                store.supersede(
                    here,
                    "next",
                    NOW + 60,
                    at(NOW + 11, **limit),
                    expected=self.version(store, here),
                )
        record = store.read(here, NOW + 11)
        assert (record.data, record.stored) == (DATA, NOW)
        assert store.commit(here, "in time", at(NOW + 9, idle=10.0))

    def test_a_limit_of_its_own_counts_instead(self, store, here):
        version = store.commit(
            here,
            "remembered",
            at(NOW),
            idle=1000,
            expected=self.version(store, here),
        )
        assert store.read(here, NOW).idle == 1000
        late = at(NOW + 500, idle=10.0)
        version = store.commit(here, "still", late, expected=version)
        assert version is not None
        assert store.read(here, NOW + 500).idle == 1000
        with pytest.raises(InvalidSessionId):
            store.commit(here, "late", at(NOW + 1501, idle=10_000.0))
        store.commit(
            here, "as others", at(NOW + 501), idle=0, expected=version
        )
        assert store.read(here, NOW + 501).idle == 0

    def test_data_is_taken_as_the_serializer_wrote_it(self, store, here):
        payload = store.read(here, NOW).payload
        if store.serializer is None:
            assert payload is None
            return
        assert payload == store.serializer.dumps(DATA)
        other = store.serializer.dumps({"other": 1})
        store.commit(here, Encoded(other), at(NOW + 1))
        record = store.read(here, NOW + 1)
        assert (record.payload, record.data) == (other, {"other": 1})
        assert store.create("there", Encoded(payload), {}, at(NOW))
        assert store.read("there", NOW).data == DATA

    def test_of_many_who_change_one_session_none_is_lost(self, store):
        def add():
            for _ in range(25):
                done = None
                while done is None:
                    with store.updating("shared"):
                        record = store.read("shared", NOW)
                        done = store.commit(
                            "shared",
                            record.data + 1,
                            at(NOW),
                            expected=record.version,
                        )

        store.create("shared", 0, {}, at(NOW))
        threads = [threading.Thread(target=add) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert store.read("shared", NOW).data == 100

    # New IDs

    @pytest.fixture
    def led(self, store, here):
        """Makes a session lead to another one, which is there."""

        def lead(here="here", there="there", **options):
            store.create(there, "new", ENV, at(NOW))
            version = store.supersede(
                here,
                there,
                NOW + 60,
                at(NOW),
                expected=self.version(store, here),
                **options,
            )
            assert version is not None
            return here

        return lead

    def test_what_leads_elsewhere_holds_nothing(self, store, led):
        old = led()
        for call in (
            lambda: store.read(old, NOW + 1),
            lambda: store.commit(old, "late", at(NOW + 1)),
            lambda: store.commit(old, KEEP, at(NOW + 1)),
            lambda: store.supersede(
                old, "third", NOW + 60, at(NOW + 1), expected=None
            ),
        ):
            with pytest.raises(SessionRenewed):
                call()
        assert store.leads_to(old, "there") is True
        assert store.leads_to(old, "third") is False
        assert store.leads_to("there", old) is False
        assert store.read("there", NOW + 1).data == "new"

    def test_it_leads_there_until_its_time_and_no_longer(self, store, led):
        old = led()
        for call in (
            lambda: store.read(old, NOW + 61),
            lambda: store.commit(old, "late", at(NOW + 61)),
        ):
            with pytest.raises(InvalidSessionId) as caught:
                call()
            assert not isinstance(caught.value, SessionRenewed)
        assert store.leads_to(old, "there") is True

    def test_a_snapshot_is_read_until_its_successor_leads_on(self, store, led):
        old = led(readable=True)
        record = store.read(old, NOW + 1)
        assert (record.superseded, record.data) == (True, DATA)
        assert record.env == ENV
        with pytest.raises(SessionRenewed):
            store.commit(old, "late", at(NOW + 1))
        led("there", "further")
        with pytest.raises(SessionRenewed):
            store.read(old, NOW + 1)

    def test_who_comes_second_leads_nowhere(self, store, here):
        old = self.version(store, here)
        assert store.commit(here, "meanwhile", at(NOW))
        late = store.supersede(here, "there", NOW + 60, at(NOW), expected=old)
        assert late is None
        assert store.read(here, NOW).data == "meanwhile"
        assert store.leads_to(here, "there") is False

    def test_a_log_out_under_any_id_ends_what_it_leads_to(self, store, led):
        old = led(readable=True)
        led("there", "further")
        assert store.delete(old) is True
        for each in old, "there", "further":
            with pytest.raises(InvalidSessionId) as caught:
                store.read(each, NOW + 1)
            assert not isinstance(caught.value, SessionRenewed)
        assert store.count() == 0

    def test_who_is_logged_out_is_led_to_by_nobody(self, store, led):
        old = led(readable=True)
        assert store.delete("there") is True
        with pytest.raises(InvalidSessionId) as caught:
            store.read(old, NOW + 1)
        assert not isinstance(caught.value, SessionRenewed)

    # Deleting

    def test_what_is_deleted_is_gone_and_stays_so(self, store, here):
        assert store.delete(here) is True
        assert store.delete(here) is False
        for call in (
            lambda: store.read(here, NOW),
            lambda: store.commit(here, "late", at(NOW)),
            lambda: store.commit(here, KEEP, at(NOW)),
        ):
            with pytest.raises(InvalidSessionId):
                call()
        assert store.count() == 0
        assert store.create(here, "anew", {}, at(NOW))
        assert store.read(here, NOW).data == "anew"

    def test_what_is_expected_is_deleted_and_nothing_else(self, store, here):
        old = self.version(store, here)
        live = store.commit(here, "new", at(NOW))
        assert store.delete(here, old) is False
        assert store.read(here, NOW).data == "new"
        assert store.delete(here, live) is True
        assert store.delete(here, live) is False

    # All of them

    def test_a_sweep_removes_what_is_over(self, store, led):
        led()
        ages = {"old": (100, 0), "remembered": (100, 1000), "brief": (30, 20)}
        for name, (age, own) in ages.items():
            assert store.create(
                name,
                "data",
                {},
                at(NOW),
                created=NOW - age,
                stored=NOW - age,
                idle=own,
            )
        assert store.sweep(at(NOW)) == 1, "brief"
        assert store.sweep(at(NOW, remove=50.0)) == 1, "old"
        assert store.sweep(at(NOW, remove=50.0, lifetime=60.0)) == 1, (
            "remembered"
        )
        assert store.sweep(at(NOW, remove=50.0, lifetime=60.0)) == 0
        assert store.read("there", NOW).data == "new"
        assert store.count() == 1
        # It is no session: the number may leave it out.
        assert store.leads_to("here", "there") is True
        assert store.sweep(at(NOW + 61)) in (0, 1)
        assert store.leads_to("here", "there") is False

    def test_a_sweep_goes_by_remove_and_writing_by_idle(self, store, here):
        limits = at(NOW + 50, idle=10.0, remove=100.0)
        assert store.sweep(limits) == 0
        for data in "late", KEEP:
            with pytest.raises(InvalidSessionId):
                store.commit(here, data, limits)
        assert store.read(here, NOW + 50).data == DATA
        limits = at(NOW + 50, idle=100.0, remove=10.0)
        assert store.commit(here, "kept", limits)
        assert store.sweep(at(NOW + 100, idle=100.0, remove=10.0)) == 1
        assert store.count() == 0

    def test_entries_are_the_sessions_that_count(self, store, led):
        led()
        store.create("third", "data", {}, at(NOW), created=NOW - 9, idle=77)
        found = {
            each.handle: (each.created, each.stored, each.idle)
            for each in store.entries()
        }
        assert found == {
            handle("there").decode(): (NOW, NOW, 0),
            handle("third").decode(): (NOW - 9, NOW, 77),
        }
        assert store.count() == 2

    # Locks, and the rest

    def test_a_lock_keeps_other_threads_out(self, store, here):
        refused = []

        def other():
            try:
                with store.lock(here, 0.05, "other"):
                    pass
            except SessionLocked as error:
                refused.append(error.timeout)

        with store.lock(here, 1.0, "first"):
            with store.lock(here, 1.0, "again"):
                # Who does not ask for it is not kept out.
                store.commit(here, "written", at(NOW))
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert refused == [0.05]
        other()
        assert refused == [0.05]
        with store.lock("nobody", 1.0):
            pass

    def test_ids_are_drawn_from_the_alphabet(self, store):
        drawn = {store.draw_id(32, ALPHABET) for _ in range(50)}
        assert len(drawn) == 50
        assert {len(each) for each in drawn} == {32}
        assert set("".join(drawn)) <= set(ALPHABET.decode())

    def test_it_says_what_it_is(self, store, here):
        assert isinstance(store, SessionStore)
        assert store.quick in (True, False)
        store.sync()
        assert store.read(here, NOW).data == DATA
        store.close()
