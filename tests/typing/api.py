"""Type-checked, never run: what a typed application writes."""

from __future__ import annotations

import shelve
from pathlib import Path

from websession import (
    CleanUpThread,
    FileStore,
    InvalidSessionId,
    MappingStore,
    SessionExpired,
    SessionStore,
    WebSession,
)
from websession.web import (
    Session,
    SessionCookie,
    SessionEvent,
    SessionManager,
)
from websession.wsgi import SessionMiddleware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def over_everything(path: Path) -> list[WebSession]:
    store: SessionStore = FileStore(path, secret=["a" * 16], durability="full")
    other: SessionStore = MappingStore({})
    return [
        WebSession(),
        WebSession({}, 10, 20),
        WebSession(shelve.open("x"), maxSessionCount=5),
        WebSession(path, crossCheckVars=("REMOTE_ADDR",)),
        WebSession(str(path), maxLifetime=3600.0, clock=lambda: 0.0),
        WebSession(store, otherIDLengths=True),
        WebSession(other),
    ]


def use(ws: WebSession) -> float:
    session_id: str = ws.newSession({"REMOTE_ADDR": "192.0.2.1"})
    try:
        ws.retrieveSession(session_id)
    except SessionExpired as error:
        return error.timestamp
    except InvalidSessionId as error:
        print(error.session_id)
    with ws.lockSession(session_id, timeout=5.0):
        ws.storeSession(session_id, {"n": 1})
    ws.updateSession(session_id, lambda data: data)
    new: str = ws.regenerateSession(
        session_id, grace=10, readable=True, func=lambda data: data, idle=5
    )
    thread = CleanUpThread(ws, 60)
    thread.start()
    thread.join(None)
    return sum(info.stored for info in ws.listSessions() if new)


def web(path: Path, app: WSGIApplication) -> WSGIApplication:
    def on_event(event: SessionEvent) -> None:
        print(event.name, event.handle, event.detail)

    manager = SessionManager(path, touch_interval=5, on_event=on_event)
    session: Session = Session(manager, {"HTTP_COOKIE": ""})
    session["n"] = [1]
    session.atomically(lambda data: data.update(n=2))
    session.regenerate(grace=0, readable=True)
    print(session.id, session.created, session.modified, session.ended)
    session.invalidate()
    record = manager.sessions.readSession("x")
    manager.sessions.replaceSession("x", record.data, record.version)
    return SessionMiddleware(
        app,
        manager.sessions,
        lock=True,
        cookie=SessionCookie("sid", secure=None, max_age=60),
    )
