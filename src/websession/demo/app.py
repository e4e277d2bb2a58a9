"""
The demo as a WSGI application: how a web application uses `WebSession`.
"""

from __future__ import annotations

import os
import time

from .. import BACKEND, FileStore, WebSession
from ..exceptions import (
    BadSessionId,
    CorruptData,
    InvalidSessionId,
    SessionExpired,
    SessionRenewed,
    SessionStoreError,
)
from ..ids import handle
from .page import page
from .request import BadRequest, Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from _typeshed.wsgi import (
        StartResponse,
        WSGIApplication,
        WSGIEnvironment,
    )

__all__ = ["IDLE", "LIFETIME", "make_app"]

# Seconds. Short, so that one can see sessions expire.
IDLE = 60
REMOVE = 120
LIFETIME = 600
GRACE = 10

ID_LENGTH = 32

_GONE = (BadSessionId, InvalidSessionId, CorruptData)


def make_app(
    directory: str | os.PathLike[str],
    clock: Callable[[], float] | None = None,
) -> WSGIApplication:
    """
    The demo's WSGI application. May be made before the server forks.

    Args:
        directory: where the sessions are kept; made if it is missing.
        clock: returns seconds since the epoch. None: `time.time`.

    Raises:
        SessionStoreError: the directory cannot be used, and why.
    """
    return Demo(FileStore(directory), clock)


def contents(data: Any) -> dict[str, Any]:
    """What a session of the demo holds; a new one holds nothing of it yet."""
    empty = {"text": "", "visits": 0, "counter": 0}
    return {**empty, **data} if isinstance(data, dict) else empty


def add(name: str) -> Callable[[Any], dict[str, Any]]:
    """An update that counts something in a session."""

    def update(data: Any) -> dict[str, Any]:
        data = contents(data)
        return {**data, name: data[name] + 1}

    return update


class Visit:
    """What a request found under the ID of its cookie."""

    def __init__(self, sessions: WebSession, request: Request) -> None:
        self.session_id = request.session_id
        self.clear = False
        self.data: dict[str, Any] = contents(None)
        self.notice = ""
        self.held: str | None = None
        if self.session_id is None:
            return
        try:
            self.data = contents(sessions.retrieveSession(self.session_id))
        except SessionExpired as expired:
            self.held = contents(expired.session_data)["text"]
            self.end("Your session has expired. This is what it held:")
        except _GONE:
            self.end("There is no such session (any more).")

    def end(self, notice: str) -> None:
        """There is no session under the ID: nothing is done with it."""
        self.session_id = None
        self.clear = True
        self.notice = notice


class Demo:
    """
    The WSGI application; `make_app` makes it.
    """

    def __init__(
        self, store: FileStore, clock: Callable[[], float] | None
    ) -> None:
        self._store = store
        self._clock = clock or time.time
        self._sessions = WebSession(
            store,
            IDLE,
            REMOVE,
            # Telephones change their address, and there is nothing secret.
            crossCheckVars=(),
            sessionIDLength=ID_LENGTH,
            maxLifetime=LIFETIME,
            clock=clock,
        )

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
        except SessionStoreError as error:
            environ["wsgi.errors"].write(f"websession demo: {error}\n")
            response = Response(
                "The sessions cannot be reached. Try again later.\n",
                "503 Service Unavailable",
                "text/plain",
            )
        return response.send(request, start_response)

    def _answer(self, request: Request) -> Response:
        pages = {
            ("/", "GET"): self._show,
            ("/", "HEAD"): self._show,
            ("/", "POST"): self._post,
            ("/api/increment", "POST"): self._increment,
        }
        path = request.path or "/"
        do = pages.get((path, request.method))
        if do is not None:
            return do(request)
        methods = [method for known, method in pages if known == path]
        if not methods:
            raise BadRequest("404 Not Found", "There is nothing here.")
        return Response(
            "Not like that.\n",
            "405 Method Not Allowed",
            "text/plain",
            (("Allow", ", ".join(methods)),),
        )

    # The page

    def _show(self, request: Request) -> Response:
        visit = Visit(self._sessions, request)
        counts = request.method == "GET" and request.query != "look"
        if visit.session_id is not None and counts:
            try:
                visit.data = self._sessions.updateSession(
                    visit.session_id, add("visits")
                )
            except SessionRenewed:
                pass  # another request has the new ID; show what there was
            except _GONE:
                visit.end("The session was deleted just now.")
        return self._page(request, visit, visit.data["text"])

    def _page(
        self,
        request: Request,
        visit: Visit,
        text: str,
        status: str = "200 OK",
    ) -> Response:
        if visit.held is not None and not text:
            text = visit.held
        return Response(
            page(
                self._facts(visit),
                text=text,
                has_session=visit.session_id is not None,
                notice=visit.notice,
                held=visit.held,
            ),
            status,
            headers=(request.set_cookie(None),) if visit.clear else (),
        )

    def _facts(self, visit: Visit) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = [
            ("Worker process", os.getpid()),
            ("Backend", BACKEND),
        ]
        if visit.session_id is None:
            return [("Session", "none: nothing is stored yet"), *facts]
        facts += [
            ("Visits", visit.data["visits"]),
            ("Increments", visit.data["counter"]),
            ("Handle", handle(visit.session_id).decode("ascii")),
        ]
        now = self._clock()
        try:
            record = self._store.read(visit.session_id, now)
        except (InvalidSessionId, CorruptData):
            return facts  # deleted since it was read
        idle = max(0, IDLE - (now - record.stored))
        life = max(0, LIFETIME - (now - record.created))
        return [
            *facts,
            ("Expires when unused for", f"{idle:.0f} s from now"),
            ("Expires in any case", f"{life:.0f} s from now"),
        ]

    # The buttons

    def _post(self, request: Request) -> Response:
        request.check_origin()
        form = request.form()
        visit = Visit(self._sessions, request)
        action = form.get("action")
        if action == "save":
            return self._save(request, visit, form.get("text", ""))
        if action == "delete":
            if visit.session_id is not None:
                self._sessions.deleteSession(visit.session_id)
            return request.redirect(request.set_cookie(None))
        if action == "renew":
            return self._renew(request, visit)
        raise BadRequest("400 Bad Request", "That is no button of this page.")

    def _save(self, request: Request, visit: Visit, text: str) -> Response:
        if visit.held is not None:
            # What was typed is not lost: the page offers it once more.
            return self._page(request, visit, text, "409 Conflict")
        cookies = []
        session_id = visit.session_id
        if session_id is None:
            session_id = self._sessions.newSession()
            cookies.append(request.set_cookie(session_id))
        try:
            self._sessions.updateSession(
                session_id, lambda data: {**contents(data), "text": text}
            )
        except SessionRenewed:
            visit.notice = "The session just got a new ID: save again."
            return self._page(request, visit, text, "409 Conflict")
        except _GONE:
            visit.end("The session was deleted just now.")
            return self._page(request, visit, text, "409 Conflict")
        return request.redirect(*cookies)

    def _renew(self, request: Request, visit: Visit) -> Response:
        if visit.session_id is None:
            visit.notice = visit.notice or "There is no session yet."
            return self._page(request, visit, "", "409 Conflict")
        try:
            # For some seconds requests under way can still read the old one.
            new_id = self._sessions.regenerateSession(
                visit.session_id, grace=GRACE
            )
        except SessionRenewed:
            return request.redirect()
        except _GONE:
            visit.end("The session was deleted just now.")
            return self._page(request, visit, "", "409 Conflict")
        return request.redirect(request.set_cookie(new_id))

    # For programs

    def _increment(self, request: Request) -> Response:
        """Counts in the session, made if the request names none."""
        import json

        request.check_origin()
        session_id = request.session_id
        cookies = []
        if session_id is None:
            session_id = self._sessions.newSession()
            cookies.append(request.set_cookie(session_id))
        answer: dict[str, object] = {"pid": os.getpid()}
        status = "200 OK"
        try:
            data = self._sessions.updateSession(session_id, add("counter"))
            answer["counter"] = data["counter"]
        except SessionRenewed:
            status, answer["error"] = "409 Conflict", "session has a new ID"
        except _GONE:
            status, answer["error"] = "410 Gone", "no such session"
            cookies.append(request.set_cookie(None))
        return Response(
            json.dumps(answer) + "\n",
            status,
            "application/json",
            tuple(cookies),
        )
