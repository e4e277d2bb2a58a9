"""`websession show` and `websession delete`."""

from __future__ import annotations

import json
import os
import pickle
import re
import time
from itertools import pairwise

import pytest

from console import handle_of, plain
from support import Child, at, file_of, in_processes
from websession import FileStore, InvalidSessionId, WebSession
from websession.admin.inspector import Inspector
from websession.cli import main, show
from websession.cli.show import _redacted
from websession.flask import tagged_json
from websession.keyring import MIN_SECRET_LENGTH

DATA = {
    "user": "ann",
    "password": "hunter2",
    "nested": [{"csrf_token": "t0k3n", "n": 1}],
    "api_key": {"deep": "s3cret"},
}


@pytest.fixture
def json_ws(make_store):
    return WebSession(make_store(serializer="json"), crossCheckVars=())


@pytest.fixture
def pickle_ws(make_store):
    return WebSession(make_store(), crossCheckVars=())


def test_what_is_known(console, root, json_ws):
    handle = handle_of(json_ws.newSession(data=DATA, idle=90))
    (found,) = console.json("show", root, handle)
    assert found == console.json("list", root)[0]
    assert "data" not in found
    out = console.text("show", root, handle)
    assert out.startswith(handle + "\n")
    assert "hunter2" not in out
    assert "1m 30s" in out
    assert out.splitlines()[-1].split() == ["state", "live"]


def test_an_expired_session_is_said_to_be_one(console, root, make_store):
    past = WebSession(make_store(), 0, 60, clock=lambda: time.time() - 61)
    handle = handle_of(past.newSession())
    assert "expired" in console.text("show", root, handle)
    assert console.json("show", root, handle)[0]["state"] == "expired"


def test_a_beginning_is_enough_if_there_is_one_only(console, root, json_ws):
    handles = sorted(handle_of(json_ws.newSession()) for _ in range(300))
    pair = next(
        one for one, other in pairwise(handles) if one[:2] == other[:2]
    )  # fmt: skip
    said = console.complaint("show", root, pair[:2], status=2)
    assert f"handles begin with {pair[:2]}: give more digits" in said
    (found,) = console.json("show", root, pair[:20].upper())
    assert found["handle"] == pair


def test_a_file_is_as_good_as_its_handle(console, root, json_ws):
    session_id = json_ws.newSession()
    file = file_of(root, session_id).relative_to(root)
    (found,) = console.json("show", root, str(file))
    assert found["handle"] == handle_of(session_id)


def test_two_digits_delete_nothing(console, root, json_ws):
    handle = handle_of(json_ws.newSession())
    said = console.complaint("delete", root, handle[:5], status=2)
    assert said == f"give at least 6 digits of a handle, not {handle[:5]}"
    assert json_ws.countSessions() == 1
    console.text("delete", root, handle[:6])
    assert json_ws.countSessions() == 0


@pytest.mark.parametrize("word", ["", "g" * 32, "0", "0" * 33, "../../x", "%"])
def test_what_is_no_handle(console, root, json_ws, word):
    said = console.complaint("show", root, word, status=2)
    assert "a handle, or at least the first 2 of its 32 hex digits" in said


def test_a_handle_that_is_not_there(console, root, json_ws):
    said = console.complaint("show", root, "0" * 32, status=1)
    assert said == f"there is no session with handle {'0' * 32}"
    said = console.complaint("show", root, status=2)
    assert said.startswith("show one handle, please")


def test_data_with_what_looks_like_a_secret_hidden(console, root, json_ws):
    handle = handle_of(json_ws.newSession(data=DATA))
    (found,) = console.json("show", root, handle, "--data")
    assert found["data"] == {
        "user": "ann",
        "password": "[hidden]",
        "nested": [{"csrf_token": "[hidden]", "n": 1}],
        "api_key": "[hidden]",
    }
    out = console.text("show", root, handle, "--data")
    for secret in "hunter2", "t0k3n", "s3cret":
        assert secret not in out
    (found,) = console.json("show", root, handle, "--data", "--no-redact")
    assert found["data"] == DATA


SECRETS = [
    "password", "user_password", "newPassword", "passwd", "pwd", "api_key",
    "apiKey", "APIKey", "api-key", "apikey", "csrf_token", "_csrftoken",
    "CSRFToken", "access_token", "tokens2", "secret", "clientSecret", "auth",
    "oauth_state_secret", "_auth_user_hash", "card_number", "otp", "pin",
    "iban", "session_id", "sessionid", "credentials", "private_key",
    "oauth_state", "google-oauth2_state", "_state_google_x", "code_verifier",
    "auth_code", "authorization_header", "_csrft_", "secretkey", "APIkey",
    "dbpass", "userpwd", "pincode", "otpauth_uri", "google_oauth", "code",
    "login_code", "backup_codes", "recovery_codes", "refresh", "PHPSESSID",
    "SAMLResponse", "ticket", "salt", "magic_link", "creditcard",
]  # fmt: skip
NO_SECRETS = [
    "shopping_cart", "author", "authors", "monkey", "keyboard",
    "_auth_user_id", "_auth_user_backend", "passage", "compass",
    "discard", "spinner", "pinned", "country_code", "postal_code", "bypass",
    "hashtags", "apiary", "user", "2", "",
]  # fmt: skip


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_known_by_the_words_of_its_name(key):
    assert _redacted({key: "x"}) == {key: "[hidden]"}


@pytest.mark.parametrize("key", NO_SECRETS)
def test_a_part_of_a_word_makes_no_secret(key):
    assert _redacted({key: ["x"]}) == {key: ["x"]}


def test_pickles_are_decoded_only_if_asked(console, root, pickle_ws):
    handle = handle_of(pickle_ws.newSession(data={1: {2, 3}, "when": b"x"}))
    said = console.complaint("show", root, handle, "--data", status=2)
    assert "say --unsafe-pickle if you trust whoever wrote it" in said
    (found,) = console.json(
        "show", root, handle, "--data", "--unsafe-pickle"
    )  # fmt: skip
    assert found["data"] == {"1": [2, 3], "when": "b'x'"}


class Planted:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_planted_pickle_is_never_decoded(console, root, pickle_ws, tmp_path):
    """Not even if that is asked for: its MAC is wrong."""
    session_id = pickle_ws.newSession()
    trap = tmp_path / "sprung"
    theirs = FileStore(tmp_path / "theirs", shards=256, sweep_interval=0)
    theirs.create(session_id, Planted(trap), {}, at(time.time()))
    planted = file_of(tmp_path / "theirs", session_id).read_bytes()
    file_of(root, session_id).write_bytes(planted)
    said = console.complaint(
        "show", root, handle_of(session_id), "--data", "--unsafe-pickle",
        status=1,
    )  # fmt: skip
    assert "is not authentic" in said
    assert not trap.exists()
    assert pickle.loads(pickle.dumps(Planted(trap))) is None
    assert trap.exists()  # it would have been


def test_other_serialisers(console, root, make_store):
    store = make_store(serializer=tagged_json)
    handle = handle_of(
        WebSession(store, crossCheckVars=()).newSession(
            data={"at": b"x", "secret": 1}
        )
    )
    (found,) = console.json("show", root, handle, "--data")
    assert found["serializer"] == "flask"
    assert found["data"]["secret"] == "[hidden]"
    assert json.dumps(found["data"]["at"])


def test_the_applications_secret(console, root, make_store, tmp_path):
    secret = "the application's own secret, longer than 32"
    store = make_store(serializer="json", secret=secret)
    handle = handle_of(WebSession(store, crossCheckVars=()).newSession(
        data={"n": 1}
    ))  # fmt: skip
    assert console.json("show", root, handle)[0]["size"] == 7
    said = console.complaint("show", root, handle, "--data", status=1)
    assert "secret" in said
    assert secret not in said
    file = tmp_path / "secret"
    file.write_text("quite another secret, which is long enough too\n")
    options = ["--data", "--secret-file", file]
    said = console.complaint("show", root, handle, *options, status=1)
    assert "secret" in said
    file.write_text(secret + "\n")
    assert console.json("show", root, handle, *options)[0]["data"] == {"n": 1}
    file.write_text("short")
    said = console.complaint("show", root, handle, *options, status=2)
    assert said == f"a secret needs at least {MIN_SECRET_LENGTH} bytes"


def test_a_secret_of_bytes_may_end_with_a_newline(
    console, root, make_store, tmp_path
):
    secret = b"\xff" * 31 + b"\n"
    store = make_store(serializer="json", secret=secret)
    handle = handle_of(WebSession(store, crossCheckVars=()).newSession(data=7))
    (tmp_path / "secret").write_bytes(secret)
    options = ["--data", "--secret-file", tmp_path / "secret"]
    assert console.json("show", root, handle, *options)[0]["data"] == 7


# delete


def test_delete_by_handles(console, root, make_store):
    ws = WebSession(make_store(), crossCheckVars=(), maxSessionCount=100)
    ids = [ws.newSession() for _ in range(5)]
    names = [handle_of(session_id) for session_id in ids[:2]]
    assert console.text("delete", root, *names, "--dry-run") == (
        f"{names[0]}\n{names[1]}\n2 sessions would be deleted\n"
    )
    assert ws.countSessions() == 5
    assert console.text("delete", root, names[0], names[1]) == (
        f"{names[0]}\n{names[1]}\n2 sessions deleted\n"
    )
    assert ws.countSessions() == 3
    with pytest.raises(InvalidSessionId):
        ws.retrieveSession(ids[0])


def test_a_handle_that_is_not_there_keeps_no_other_from_being_deleted(
    console, root, json_ws
):
    one, other = (handle_of(json_ws.newSession()) for _ in range(2))
    words = "delete", root, one, "f" * 32, other
    said = f"websession: there is no session with handle {'f' * 32}\n"
    for options, verb, left in (
        (["--dry-run"], "would be deleted", 2),
        ([], "deleted", 0),
    ):
        assert console.run_forked(*words, *options) == (
            1, f"{one}\n{other}\n2 sessions {verb}\n", said
        )  # fmt: skip
        assert json_ws.countSessions() == left
    status, out, err = console.run_forked("delete", root, one, "--json")
    assert (status, json.loads(out)["deleted"]) == (1, 0)
    assert err == f"websession: there is no session with handle {one}\n"


@pytest.mark.parametrize("word", ["0", "12345", "g" * 32, "BEGINNING"])
def test_nothing_is_deleted_where_one_handle_is_refused(
    console, root, json_ws, word
):
    handle = handle_of(json_ws.newSession())
    other = json_ws.newSession()
    file = file_of(root, other)
    for digit in "0f":
        file.with_name(file.name[:-1] + digit).touch()
    word = word.replace("BEGINNING", handle_of(other)[:-1])
    console.complaint("delete", root, handle, word, status=2)
    assert json_ws.countSessions() == 2


def test_a_handle_that_is_given_twice_is_deleted_once(console, root, json_ws):
    handle = handle_of(json_ws.newSession())
    words = "delete", root, handle, handle[:12]
    assert console.text(*words, "--dry-run") == (
        f"{handle}\n1 session would be deleted\n"
    )
    assert console.text(*words) == f"{handle}\n1 session deleted\n"


def test_what_goes_before_it_is_deleted_is_told(
    root, json_ws, monkeypatch, capsys
):
    handle = handle_of(json_ws.newSession())
    monkeypatch.setattr(Inspector, "delete", lambda self, name: False)
    assert main(["delete", str(root), handle]) == 1
    assert capsys.readouterr() == (
        "0 sessions deleted\n",
        f"websession: there is no session with handle {handle}\n",
    )


def test_what_goes_before_it_is_shown_is_not_there(
    root, json_ws, monkeypatch, capsys
):
    handle = handle_of(json_ws.newSession())
    monkeypatch.setattr(Inspector, "look", lambda self, name: None)
    assert main(["show", str(root), handle]) == 1
    assert capsys.readouterr() == (
        "", f"websession: there is no session with handle {handle}\n"
    )  # fmt: skip


def test_delete_what_is_old(console, root, make_store):
    clock = [time.time() - 3 * 86400]
    ws = WebSession(make_store(), crossCheckVars=(), clock=lambda: clock[0])
    old = [ws.newSession() for _ in range(5)]
    clock[0] += 2 * 86400
    ws.storeSession(old[4], "used since")
    ws.newSession()
    dry = console.text("delete", root, "--older-than", "2d", "--dry-run")
    assert dry == "4 sessions would be deleted\n"
    assert ws.countSessions() == 6
    assert console.json("delete", root, "--older-than", "2d") == [
        {"deleted": 4, "dry_run": False}
    ]
    assert ws.retrieveSession(old[4]) == "used since"
    assert ws.countSessions() == 2


@pytest.mark.parametrize(
    ("answer", "left"),
    [("y", 1), ("yes", 1), ("", 3), ("n", 3), ("yn", 3), ("\x04", 3)],
)
def test_who_sits_before_it_is_asked(console, root, make_store, answer, left):
    clock = [time.time() - 3 * 86400]
    ws = WebSession(make_store(), crossCheckVars=(), clock=lambda: clock[0])
    ws.newSession(), ws.newSession()
    clock[0] += 2 * 86400
    ws.newSession()
    status, shown = console.on_terminal(
        "delete", root, "--older-than", "2d", typed=answer
    )
    assert status == 0
    assert "delete 2 sessions not stored for 2d" in shown
    assert ("nothing was deleted" in shown) == (left == 3)
    assert ws.countSessions() == left


def test_what_has_become_old_before_the_answer_stays(
    root, ws, monkeypatch, capsys
):
    clock = [1e9]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    ws.newSession()
    clock[0] += 5
    ws.newSession()

    def answer(question):
        assert "delete 1 session not stored for 3s" in question
        clock[0] += 60
        return "y"

    monkeypatch.setattr(show, "_answer", answer)
    monkeypatch.setattr(show, "is_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main(["delete", str(root), "--older-than", "3s"]) == 0
    assert capsys.readouterr().out == "1 session deleted\n"


def test_who_has_said_yes_is_not_asked(console, root, make_store):
    ws = WebSession(make_store(), crossCheckVars=(), clock=lambda: 1e9)
    ws.newSession()
    status, shown = console.on_terminal(
        "delete", root, "--older-than", "2d", "--yes"
    )
    assert status == 0
    assert "[y/N]" not in shown
    assert plain(shown).endswith("1 session deleted\n")


def test_nobody_is_asked_about_nothing(console, root, ws):
    shown = console.on_terminal("delete", root, "--older-than", "2d")[1]
    assert "[y/N]" not in shown
    assert "nothing was deleted" in shown


def test_an_interrupted_deletion_says_how_many_are_gone(
    root, make_store, monkeypatch, capsys
):
    ws = WebSession(make_store(), crossCheckVars=(), clock=lambda: 1e9)
    for _ in range(3):
        ws.newSession()
    delete, turns = Inspector.delete, iter(range(3))

    def interrupted(self, *arguments):
        if next(turns) == 2:
            raise KeyboardInterrupt
        return delete(self, *arguments)

    monkeypatch.setattr(Inspector, "delete", interrupted)
    assert main(["delete", str(root), "--older-than", "2d"]) == 130
    assert re.fullmatch(
        r"websession: interrupted while deleting, at \d+%: "
        r"2 sessions deleted\n",
        capsys.readouterr().err,
    )
    assert ws.countSessions() == 1


def test_what_is_used_before_it_is_deleted_as_old_stays(ws, root, backend):
    """Between the look at its age and the deletion."""
    old = WebSession(ws.sessiondict, crossCheckVars=(), clock=lambda: 1e9)
    session_id = old.newSession()
    store = Inspector(root, backend=backend)
    shard = int(handle_of(session_id)[:2], 16)
    ((name, version),) = store.older(shard, 1.1e9)
    assert name == handle_of(session_id).encode()
    Child(ws.storeSession, session_id, "new").result()
    assert not store.delete(name, version)
    assert ws.retrieveSession(session_id) == "new"
    assert list(store.older(shard, 1.1e9)) == []


def test_delete_needs_to_be_told_which(console, root, json_ws):
    handle = handle_of(json_ws.newSession())
    for words in [], [handle, "--older-than", "1d"]:
        said = console.complaint("delete", root, *words, status=2)
        assert said.startswith("delete which sessions?")
    assert json_ws.countSessions() == 1


@pytest.mark.proof
def test_delete_beside_stores_deletes_nothing_in_use(
    console, root, make_store
):
    """Whoever stores all the time keeps the session, or never had it."""
    ws = WebSession(make_store(), crossCheckVars=())
    now = time.time
    past = WebSession(
        make_store(), crossCheckVars=(), clock=lambda: now() - 7200
    )
    # Those in use become so a moment before they would be deleted.
    ids = [past.newSession(data=0) for _ in range(40)]
    for _ in range(200):
        past.newSession(data=0)
    for session_id in ids:
        ws.updateSession(session_id, lambda n: n)
    end = time.monotonic() + 3

    def use(number):
        mine, turns, lost = ids[number::4], 0, 0
        while time.monotonic() < end:
            for session_id in mine:
                try:
                    ws.updateSession(session_id, lambda n: n + 1)
                except InvalidSessionId:
                    lost += 1
            turns += 1
        return turns, lost

    def delete():
        count = 0
        while time.monotonic() < end - 0.5:
            (found,) = console.json("delete", root, "--older-than", "1h")
            count += found["deleted"]
        return count

    *results, deleted = in_processes(
        5, lambda number: use(number) if number < 4 else delete()
    )
    assert all(turns > 10 for turns, _ in results)
    assert [lost for _, lost in results] == [0] * 4
    assert deleted == 200
    assert [ws.retrieveSession(sid) for sid in ids] == [
        results[n % 4][0] for n in range(40)
    ]
