"""Exceptions: hierarchy, attributes, pickling, and what they do not show."""

from __future__ import annotations

import copy
import errno
import pickle
import traceback

import pytest

import websession
from websession import exceptions

SID = "abcdefghijkl"

SAMPLES = [
    (exceptions.SessionException("x"), {}),
    (exceptions.CorruptData("why"), {"reason": "why"}),
    (exceptions.GenerateIDError(3), {"maxtry": 3}),
    (
        exceptions.SessionExpired(1e9, {"a": 1}),
        {"timestamp": 1e9, "session_data": {"a": 1}},
    ),
    (exceptions.SessionHijacked(["A"]), {"failed_vars": ["A"]}),
    (exceptions.MaxSessionCountExceeded(5), {"max_session_count": 5}),
    (exceptions.BadSessionId(SID), {"session_id": SID}),
    (exceptions.InvalidSessionId(SID), {"session_id": SID}),
    (exceptions.SessionRenewed(SID), {"session_id": SID}),
    (exceptions.SessionLocked("me", 2.5), {"holder": "me", "timeout": 2.5}),
    (exceptions.SessionTooLarge(7, 5), {"size": 7, "max_size": 5}),
    (
        exceptions.SessionTooLarge(7, 5, [("'a'", 4)]),
        {"size": 7, "max_size": 5, "largest": [("'a'", 4)]},
    ),
    (
        exceptions.SessionStoreError(errno.ENOSPC, "full", "/x"),
        {"errno": errno.ENOSPC, "strerror": "full", "filename": "/x"},
    ),
    (exceptions.SessionBusy("busy"), {}),
    (exceptions.UnsafeStore("unsafe"), {}),
]


@pytest.mark.parametrize(("error", "attributes"), SAMPLES)
def test_exceptions_survive_pickling_and_copying(error, attributes):
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        for name, value in attributes.items():
            assert getattr(twin, name) == value


@pytest.mark.parametrize(("error", "attributes"), SAMPLES)
def test_no_message_shows_a_whole_id(error, attributes):
    shown = "".join(traceback.format_exception_only(error)) + repr(error)
    assert SID not in shown
    assert SID[:5] not in shown
    assert str(error)


def test_every_sample_is_there():
    classes = {type(error) for error, _ in SAMPLES}
    assert classes == {
        each
        for each in vars(exceptions).values()
        if isinstance(each, type)
        and issubclass(each, exceptions.SessionException)
        and not each.__name__.startswith("_")
    }


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("CorruptData", ValueError),
        ("GenerateIDError", RuntimeError),
        ("BadSessionId", ValueError),
        ("InvalidSessionId", KeyError),
        ("SessionLocked", TimeoutError),
        ("SessionTooLarge", ValueError),
        ("SessionStoreError", OSError),
        ("SessionBusy", TimeoutError),
        ("UnsafeStore", PermissionError),
    ],
)
def test_each_is_the_builtin_it_resembles(name, builtin):
    cls = getattr(websession, name)
    assert issubclass(cls, builtin)
    assert issubclass(cls, websession.SessionException)


def test_messages_name_the_cause():
    assert str(exceptions.InvalidSessionId(SID)) == (
        "no session with ID 'abcd'..."
    )
    assert str(exceptions.BadSessionId("x")) == "malformed session ID '...'"
    assert str(exceptions.BadSessionId(None)) == "malformed session ID 'N'..."
    assert str(exceptions.SessionHijacked(["A", "B"])) == (
        "cross-check of these variables failed: A, B"
    )
    assert str(exceptions.SessionExpired(0.0, None)) == (
        "session expired, last used 1970-01-01 00:00:00 UTC"
    )
    assert str(exceptions.SessionExpired(1e300, None)) == "session expired"
    assert str(exceptions.SessionStoreError(28, "No space", "/x")) == (
        "[Errno 28] No space: '/x'"
    )


def test_public_names_are_these():
    assert websession.__all__ == sorted(
        websession.__all__,
        key=lambda name: (not name.isupper(), name),
    )
    for name in websession.__all__:
        assert getattr(websession, name) is not None
    with pytest.raises(AttributeError):
        websession.nothing_of_the_kind
