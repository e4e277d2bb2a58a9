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


def over_everything(path: Path) -> list[WebSession]:
    store: SessionStore = FileStore(path, secret=["a" * 16], durability="full")
    other: SessionStore = MappingStore({})
    return [
        WebSession(),
        WebSession({}, 10, 20),
        WebSession(shelve.open("x"), maxSessionCount=5),
        WebSession(path, crossCheckVars=("REMOTE_ADDR",)),
        WebSession(str(path), maxLifetime=3600.0, clock=lambda: 0.0),
        WebSession(store),
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
    new: str = ws.regenerateSession(session_id, grace=10)
    thread = CleanUpThread(ws, 60)
    thread.start()
    thread.join(None)
    return sum(info.stored for info in ws.listSessions() if new)
