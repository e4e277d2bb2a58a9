"""What others do to a session between two operations of the engine."""

from __future__ import annotations

import pytest

from websession import InvalidSessionId, WebSession
from websession.engine import ABSENT, CONFLICT
from websession.stores.records import RecordStore
from wrapping import WrappingEngine


@pytest.fixture
def engine(any_engine):
    return WrappingEngine(any_engine)


@pytest.fixture
def twins(engine, any_engine, clock):
    """Two processes' worth of WebSession, the second with a slow clock."""
    fast = WebSession(RecordStore(engine), 100, 200, clock=clock)
    slow = WebSession(
        RecordStore(any_engine), 100, 200, clock=lambda: clock.now - 5
    )
    return fast, slow


@pytest.mark.parametrize("age", [101, 201])
def test_a_session_refreshed_meanwhile_is_not_deleted_as_expired(
    engine, twins, clock, age
):
    """It is expired for one process; another refreshes it in between."""
    fast, slow = twins
    sid = fast.newSession()
    clock.move(age)

    def refresh():
        slow.expireDeactivate = slow.expireRemove = 0
        slow.storeSession(sid, "refreshed")

    engine.before("remove", refresh)
    assert fast.retrieveSession(sid) == "refreshed"
    assert sid in fast.sessiondict
    assert engine.outcomes("remove") == [CONFLICT]


def test_a_session_deleted_meanwhile_is_gone(engine, twins, clock):
    fast, slow = twins
    sid = fast.newSession()
    clock.move(150)
    engine.before("remove", lambda: slow.deleteSession(sid))
    with pytest.raises(InvalidSessionId):
        fast.retrieveSession(sid)
    assert engine.outcomes("remove") == [ABSENT]
