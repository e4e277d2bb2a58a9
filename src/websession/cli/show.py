"""
`websession show` and `websession delete`: single sessions, by their handles.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from math import isfinite
from typing import TYPE_CHECKING

from ..exceptions import CorruptData, SessionException
from .arguments import Refused, add_json, duration, inspector
from .listing import as_json, serializer_name, state_of
from .output import (
    LeftOut,
    age,
    complain,
    counted,
    is_terminal,
    moment,
    pairs,
    print_json,
    progress,
    say,
    size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..admin.inspector import Inspector, StoredSession

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add"]

_PICKLE, _JSON = 1, 2
# Words in the names of what nobody else is to read; how words of several may
# end, and which do so by chance; and words that are one only with others
# beside them (not `_auth_user_id`, `country_code`).
_SECRETS = frozenset(
    {
        "pw", "passphrase", "passcode", "passwort", "passhash", "jwt", "csrf",
        "xsrf", "csrft", "nonce", "bearer", "hash", "salt", "seed",
        "signature", "card", "cardnumber", "cvc", "cvv", "iban", "otp",
        "totp", "otpauth", "mfa", "pin", "pincode", "ssn", "cred",
        "credential", "credentials", "private", "session", "sid", "oauth",
        "verifier", "state", "assertion", "ticket", "refresh", "magic",
        "keys", "tokens", "secrets", "passwords",
    }
)  # fmt: skip
_ENDS = (
    "pass", "password", "passwd", "pwd", "token", "secret", "key", "card",
    "sessionid", "sessid", "response",
)  # fmt: skip
_BY_CHANCE = frozenset(
    {
        "bypass", "compass", "discard", "donkey", "hockey", "jockey",
        "monkey", "postcard", "scorecard", "surpass", "trespass", "turkey",
        "whiskey", "wildcard",
    }
)  # fmt: skip
_ALONE_OR_WITH = {
    "auth": {"code", "header", "data", "value"},
    "authorization": {"code", "header", "data", "value"},
    "cookie": {"header", "value"},
    "code": {"login", "sms", "backup", "recovery", "verification", "confirm"},
    "codes": {"login", "backup", "recovery", "verification"},
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LEAST_DIGITS = 6  # of a handle, to delete a session
_HIDDEN = "[hidden]"


def add(commands: Commands) -> None:
    """Describes the arguments."""
    show = commands.add_parser(
        "show",
        help="show one session",
        description="Shows what is known of a session, and with --data what "
        "it holds. What looks like a secret by its name is hidden.",
    )
    show.set_defaults(run=_show)
    _add_words(show, "HANDLE")
    add_json(show)
    show.add_argument(
        "--data", action="store_true", help="decode the data; needs the key"
    )
    show.add_argument(
        "--no-redact", action="store_true", help="hide nothing in it"
    )
    show.add_argument(
        "--unsafe-pickle",
        action="store_true",
        help="unpickle data whose authenticity was checked: that runs what "
        "the application's classes say, in this process",
    )
    delete = commands.add_parser(
        "delete",
        help="delete sessions",
        description="Deletes the sessions of these handles, or all that were "
        "not stored for a time. Whoever uses one is logged out. A handle that "
        "is not there is told, and the others are deleted all the same.",
    )
    delete.set_defaults(run=_delete)
    _add_words(delete, "HANDLE ...")
    add_json(delete)
    delete.add_argument(
        "--older-than",
        type=duration,
        metavar="TIME",
        help="all that were not stored for so long, as in 90m or 2d",
    )
    delete.add_argument(
        "--dry-run",
        action="store_true",
        help="delete nothing: say which of the handles, or how many",
    )
    delete.add_argument(
        "--yes",
        action="store_true",
        help="with --older-than: do not ask; with --json, and where no "
        "terminal is, nobody is asked",
    )


def _add_words(parser: argparse.ArgumentParser, handles: str) -> None:
    parser.add_argument(
        "words",
        metavar=f"[PATH] {handles}",
        nargs="*",
        help="directory of the sessions (may be left out if WEBSESSION_PATH "
        "is set), and handles or their beginnings",
    )
    parser.add_argument(
        "--allow-network",
        action="store_true",
        help="open it even on a network file system",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        action="append",
        default=[],
        help="holds the secret of a store that was made with the "
        "application's own; several: oldest first",
    )


def _opened(options: argparse.Namespace) -> tuple[Inspector, list[str]]:
    """The store, and the beginnings of handles."""
    words: list[str] = options.words
    options.path = os.environ.get("WEBSESSION_PATH")
    if words and (not options.path or os.path.isdir(words[0])):
        options.path, words = words[0], words[1:]
    return inspector(options), words


def _name(store: Inspector, beginning: str) -> bytes | None:
    """The one handle that begins with this text; None if there is none."""
    try:
        # `verify` names files, with a slash behind the directory.
        found = store.find(beginning.replace("/", "", 1))
    except ValueError as error:
        raise Refused(str(error)) from error
    if len(found) > 1:
        raise Refused(
            f"{len(found)} handles begin with {beginning}: give more digits"
        )
    return found[0] if found else None


def _not_there(beginning: str) -> str:
    return f"there is no session with handle {beginning}"


def _show(options: argparse.Namespace) -> int:
    store, words = _opened(options)
    if len(words) != 1:
        raise Refused("show one handle, please: `websession list` has them")
    name = _name(store, words[0])
    session = None if name is None else store.look(name)
    if name is None or session is None:
        raise SessionException(_not_there(words[0]))
    data = _data(store, name, options) if options.data else None
    state = state_of(session, time.time(), store.limits())
    if options.json:
        found = as_json(session, state)
        if options.data:
            found["data"] = data
        print_json(found)
        return 0
    pairs(session.handle, _known(session, state))
    if options.data:
        text = json.dumps(data, indent=2, ensure_ascii=False)
        for line in text.split("\n"):
            say(line)
    return 0


def _known(session: StoredSession, state: str) -> dict[str, str]:
    now = time.time()
    return {
        "created": f"{moment(session.created)} UTC, "
        f"{age(now - session.created)} ago",
        "stored": f"{moment(session.stored)} UTC, "
        f"{age(now - session.stored)} ago",
        "size": f"{size(session.size)}, on disk {size(session.disk)}",
        "serializer": serializer_name(session.serializer),
        "own limit": age(session.idle) if session.idle else "none",
        "state": "superseded by a new ID" if session.superseded else state,
    }


def _data(
    store: Inspector, name: bytes, options: argparse.Namespace
) -> object:
    """The data of a session, in a form that JSON has."""
    number, _, payload = store.payload(name)
    if not payload:
        return None  # it has a new ID, and all is there
    if number == _PICKLE and not options.unsafe_pickle:
        raise Refused(
            "the data is a pickle, and decoding that runs code: say "
            "--unsafe-pickle if you trust whoever wrote it"
        )
    try:
        # What an application's objects say of themselves may fail as well.
        text = json.dumps(_plain(_decoded(number, payload)))
    except Exception as error:
        raise CorruptData(f"the data cannot be shown: {error}") from error
    plain = json.loads(text)
    return plain if options.no_redact else _redacted(plain)


def _decoded(number: int, payload: bytes) -> object:
    from .. import serializers

    if number == _PICKLE:
        return serializers.get("pickle").loads(payload)
    if number == _JSON:
        return serializers.get("json").loads(payload)
    try:
        return json.loads(payload)
    except ValueError:
        return f"{len(payload)} bytes of a serialiser of the application's"


def _plain(data: object) -> object:
    """The `repr` of a value that JSON has no form for."""
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple, set, frozenset)):
        return [_plain(value) for value in data]
    if data is None or isinstance(data, (bool, int, str)):
        return data
    if isinstance(data, float) and isfinite(data):
        return data
    return repr(data)


def _redacted(data: object) -> object:
    if isinstance(data, dict):
        return {
            key: _HIDDEN if _is_secret(key) else _redacted(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_redacted(value) for value in data]
    return data


def _is_secret(key: str) -> bool:
    """By the words of its name, whatever they are joined with."""
    words = [word.lower() for word in _WORD.findall(key)]
    return any(
        word in _SECRETS
        or (word.endswith(_ENDS) and word not in _BY_CHANCE)
        or _is_one_here(word, words)
        for word in words
    )


def _is_one_here(word: str, words: list[str]) -> bool:
    others = _ALONE_OR_WITH.get(word)
    return others is not None and (
        len(words) == 1 or not others.isdisjoint(words)
    )


def _delete(options: argparse.Namespace) -> int:
    store, words = _opened(options)
    if bool(words) == (options.older_than is not None):
        given = ", not both" if words else ""
        raise Refused(
            f"delete which sessions? Give handles, or --older-than{given}"
        )
    before = time.time() - (options.older_than or 0)
    missing, left_out = 0, LeftOut()
    if words:
        count, missing = _delete_named(store, words, options)
    elif options.dry_run:
        count = _delete_old(store, before, options, "counting", left_out)
    elif _is_meant(store, before, options):
        count = _delete_old(store, before, options, "deleting", left_out)
    else:
        return 0
    if options.json:
        print_json({"deleted": count, "dry_run": options.dry_run})
    else:
        verb = "would be deleted" if options.dry_run else "deleted"
        say(f"{counted(count, 'session')} {verb}")
    return 1 if missing else left_out.status("among these")


def _delete_named(
    store: Inspector, words: list[str], options: argparse.Namespace
) -> tuple[int, int]:
    """How many were deleted, and how many are not there."""
    for word in words:
        # On a small store one digit less would mean any session.
        if len(word) < _LEAST_DIGITS:
            raise Refused(
                f"give at least {_LEAST_DIGITS} digits of a handle, not {word}"
            )
    # Each once; and nothing is deleted where one is refused.
    names = {_name(store, word) or word: word for word in words}
    count = missing = 0
    for name, word in names.items():
        if isinstance(name, str) or not (
            options.dry_run or store.delete(name)
        ):
            complain(f"websession: {_not_there(word)}")
            missing += 1
            continue
        count += 1
        if not options.json:
            say(name.decode("ascii"))
    return count, missing


def _is_meant(
    store: Inspector, before: float, options: argparse.Namespace
) -> bool:
    """Asks whoever sits before it, unless they have said so."""
    if (
        options.yes
        or options.json
        or not (sys.stdin.isatty() and is_terminal())
    ):
        return True
    count = _delete_old(store, before, options, "counting", lambda _: None)
    span = age(options.older_than)
    question = (
        f"delete {counted(count, 'session')} not stored for {span}, and log "
        "their users out? [y/N] "
    )
    if count and _answer(question) in ("y", "yes"):
        return True
    say("nothing was deleted")
    return False


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:  # Ctrl-D
        say()
        return ""
    except KeyboardInterrupt:
        say()
        raise


def _delete_old(
    store: Inspector,
    before: float,
    options: argparse.Namespace,
    title: str,
    left_out: Callable[[Exception], None],
) -> int:
    """Deletes what was stored before that time, or only counts."""
    count = 0

    def so_far() -> str:
        verb = "deleted" if title == "deleting" else "found"
        return f"{counted(count, 'session')} {verb}"

    with progress(title, store.layout.shards, options.json, so_far) as show:
        for number in range(store.layout.shards):
            for name, version in store.older(number, before, left_out):
                count += title == "counting" or store.delete(name, version)
            show(number + 1)
    return count
