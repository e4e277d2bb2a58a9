"""
The demo's pages: what an application does with its session.
"""

from __future__ import annotations

import os
import time

from .. import BACKEND, WebSession
from ..exceptions import InvalidSessionId, SessionExpired, SessionRenewed
from ..ids import handle
from .files import newest
from .page import page
from .request import BadRequest, Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..web import Session

__all__ = ["IDLE", "KEPT", "LIFETIME", "NOTES", "Demo"]

# Seconds. Short, so that one can see sessions expire.
IDLE = 60
LIFETIME = 600
# From the last use on, what an expired session held can be had back.
KEPT = 600
# Each is a key of the session: what two tabs store is merged by keys.
NOTES = ("left", "right")
# What has expired waits under this key for a log-in; its notes do so under
# their own, to be merged as ever.
EXPIRED = "expired"
# How often the hammer strikes.
STROKES = 200

_LONGEST_NAME = 40
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STATIC = ("style.css", "app.js", "icon.svg")


class Demo:
    """
    The application inside the middleware; `make_app` makes it.
    """

    def __init__(
        self, sessions: WebSession, directory: str, slow: float
    ) -> None:
        self._sessions = sessions
        self._directory = directory
        self._slow = slow

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except BadRequest as error:
            response = Response(
                f"{error.sentence}\n", error.status, "text/plain"
            )
        return response.send(request, start_response)

    def _answer(self, request: Request) -> Response:
        pages = {
            ("/", "GET"): self._show,
            ("/", "HEAD"): self._show,
            ("/", "POST"): self._post,
            ("/api/state", "GET"): self._state,
            ("/api/increment", "POST"): self._increment,
        }
        for name in _STATIC:
            pages[f"/static/{name}", "GET"] = _static
        do = pages.get((request.path, request.method))
        if do is not None:
            return do(request)
        methods = [method for path, method in pages if path == request.path]
        if not methods:
            raise BadRequest("404 Not Found", "There is nothing here.")
        return Response(
            "Not like that.\n",
            "405 Method Not Allowed",
            "text/plain",
            (("Allow", ", ".join(methods)),),
        )

    # What there is to see

    def _show(self, request: Request) -> Response:
        facts = self._facts(request.session)
        return Response(page(facts, request.base, IDLE, KEPT))

    def _state(self, request: Request) -> Response:
        # The page asks every few seconds: that is no sign of life.
        request.session.keep_alive = False
        return _json(self._facts(request.session))

    def _facts(self, session: Session) -> dict[str, Any]:
        _keep_what_expired(session)
        facts: dict[str, Any] = {
            "pid": os.getpid(),
            "backend": BACKEND,
            "session": None,
            "notice": _notice(session),
            "notes": _notes(session),
        }
        mine = ""
        if session.id is not None:
            mine = handle(session.id).decode("ascii")
            facts["session"] = self._about(session, mine)
        facts.update(newest(self._directory, self._sessions.now(), mine))
        return facts

    def _about(self, session: Session, name: str) -> dict[str, Any]:
        now = self._sessions.now()
        idle = (session.idle or IDLE) - (now - (session.stored or now))
        life = LIFETIME - (now - (session.created or now))
        return {
            "handle": name,
            "user": session.get("user", ""),
            "counter": session.get("counter", 0),
            "slow": session.get("slow", 0),
            "idle_left": round(max(0.0, idle), 1),
            "life_left": round(max(0.0, life), 1),
        }

    # What there is to do

    def _post(self, request: Request) -> Response:
        request.check_origin()
        form = request.form()
        do = {
            "login": self._log_in,
            "logout": self._log_out,
            "renew": self._renew,
            "save": self._save,
            "slow": self._be_slow,
            "increment": self._count,
            "hammer": self._count,
        }.get(form.get("action", ""))
        if do is None:
            raise BadRequest(
                "400 Bad Request", "That is no button of this page."
            )
        _keep_what_expired(request.session)
        do(request.session, form)
        if request.wants_json:
            return _json({"pid": os.getpid()})
        return request.redirect()

    def _log_in(self, session: Session, form: dict[str, str]) -> None:
        name = form.get("name", "").strip()[:_LONGEST_NAME]
        if not name:
            raise BadRequest("400 Bad Request", "Under which name?")
        # Whoever knew the ID before does not know it now.
        session.regenerate()
        expired = session.pop(EXPIRED, {})
        if expired.get("user", name) == name:
            session.update({**expired, **session})
        else:
            session.update(dict.fromkeys(NOTES, ""))
        session["user"] = name
        session.idle = 0  # as others

    def _log_out(self, session: Session, form: dict[str, str]) -> None:
        session.invalidate()

    def _renew(self, session: Session, form: dict[str, str]) -> None:
        # Nobody logs in: requests that are under way may read what was there.
        if session.id is not None:
            session.regenerate(readable=True)

    def _save(self, session: Session, form: dict[str, str]) -> None:
        note = form.get("note", "")
        if note not in NOTES:
            raise BadRequest("400 Bad Request", "There is no such note.")
        self._read_and_wait(session, form.get("slowly") == "yes")
        session[note] = form.get("text", "")

    def _be_slow(self, session: Session, form: dict[str, str]) -> None:
        self._read_and_wait(session, True)
        if session.id is not None:
            session["slow"] = session.get("slow", 0) + 1

    def _read_and_wait(self, session: Session, slowly: bool) -> None:
        session.get("user")  # it is loaded now, and others go on
        if slowly:
            time.sleep(self._slow)

    def _count(self, session: Session, form: dict[str, str]) -> None:
        # Where no script strikes, the hammer is this one process.
        try:
            for _ in range(STROKES if form["action"] == "hammer" else 1):
                session.atomically(_count)
        except InvalidSessionId:
            pass  # it has just ended: the page shows that

    def _increment(self, request: Request) -> Response:
        """Counts in the session, made if the request names none."""
        request.check_origin()
        session = request.session
        _keep_what_expired(session)
        answer: dict[str, object] = {"pid": os.getpid()}
        if session.id is None and not isinstance(
            session.ended, (SessionRenewed, type(None))
        ):
            return _gone(answer)
        try:
            session.atomically(_count)
        except SessionRenewed:
            answer["error"] = "session has a new ID"
            return _json(answer, "409 Conflict")
        except InvalidSessionId:
            return _gone(answer)
        answer["counter"] = session["counter"]
        return _json(answer)


def _count(data: dict[str, Any]) -> None:
    data["counter"] = data.get("counter", 0) + 1


def _notes(data: Mapping[str, Any]) -> dict[str, str]:
    return {note: data.get(note, "") for note in NOTES}


def _keep_what_expired(session: Session) -> None:
    """
    Begins a session of nobody, in which what has expired waits for its user:
    this request is the last one that is told what there was.
    """
    if isinstance(session.ended, SessionExpired) and EXPIRED not in session:
        data: Any = session.ended.session_data
        notes = _notes(data)
        if any(notes.values()):
            session.update(notes)
            session[EXPIRED] = data.get(EXPIRED, data)
            session.idle = KEPT


def _notice(session: Session) -> str:
    """What is to be said about a session that has ended."""
    if EXPIRED in session:
        user = session[EXPIRED].get("user")
        return (
            "Your session has expired. Its notes are still here: log in again "
            f"{f'as {user} ' if user else ''}to go on with them."
        )
    if isinstance(session.ended, SessionExpired):
        return "Your session has expired."
    if isinstance(session.ended, SessionRenewed):
        return "The session has just got a new ID: load again."
    if session.ended is not None:
        return "There is no such session (any more)."
    return ""


def _gone(answer: dict[str, object]) -> Response:
    """Answers that the session is gone."""
    return _json({**answer, "error": "no such session"}, "410 Gone")


def _json(answer: object, status: str = "200 OK") -> Response:
    import json

    return Response(json.dumps(answer) + "\n", status, "application/json")


def _static(request: Request) -> Response:
    """A file of the page's; only known names lead here."""
    name = request.path.rpartition("/")[2]
    path = os.path.join(os.path.dirname(__file__), "static", name)
    with open(path, "rb") as file:
        content = file.read()
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(content, kind=kind, cache="no-cache")
