"""Type-checked, never run: what is one of a few, and what is none of them."""

from __future__ import annotations

from pathlib import Path

import websession
from websession import FileStore, SessionExpired, WebSession
from websession.options import FileStoreOptions, WebOptions
from websession.web import (
    Session,
    SessionCookie,
    SessionEvent,
    SessionManager,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Unpack, assert_type


def of_a_store(path: Path) -> None:
    FileStore(path, serializer="json", also_accept=["pickle"], backend="auto")
    FileStore(path, durability="full", shards=16, secret=["a" * 16])
    FileStore(path, serializer="jsn")  # type: ignore[arg-type]
    FileStore(path, also_accept=["jsn"])  # type: ignore[list-item]
    FileStore(path, durability="data sync")  # type: ignore[arg-type]
    FileStore(path, shards=17)  # type: ignore[arg-type]
    FileStore(path, backend="C")  # type: ignore[arg-type]
    FileStore(5)  # type: ignore[arg-type]
    store = FileStore(path)
    assert_type(store.durability, Literal["none", "data", "full"])
    assert_type(store.backend, Literal["c", "python"])
    assert_type(websession.BACKEND, Literal["c", "python"])


def of_a_site(path: Path, store: FileStore) -> None:
    WebSession.for_web(path, idle=60, max_sessions=5, durability="data")
    WebSession.for_web(store, lifetime=0, cross_check=["HTTP_USER_AGENT"])
    WebSession.for_web(path, serializer="jsn")  # type: ignore[arg-type]
    WebSession.for_web(path, ideal=60)  # type: ignore[call-arg]
    WebSession.for_web({})  # type: ignore[arg-type]
    SessionManager(path, lifetime="a day")  # type: ignore[arg-type]
    SessionManager(path, durabilty="data")  # type: ignore[call-arg]


def passed_on(path: Path, **options: Unpack[WebOptions]) -> WebSession:
    of_files: FileStoreOptions = {"durability": "data", "max_size": 1 << 16}
    WebSession.for_web(path, idle=60, **of_files)
    return WebSession.for_web(path, **options)


def of_adapters(path: Path, app: WSGIApplication) -> None:
    from websession import asgi, bottle, flask, pyramid, wsgi

    wsgi.SessionMiddleware(app, path, durability="full", lock_timeout=5)
    wsgi.SessionMiddleware(app, path, durability=2)  # type: ignore[arg-type]
    wsgi.SessionMiddleware(app, {})  # type: ignore[arg-type]
    asgi.SessionMiddleware(app, path)  # type: ignore[arg-type]
    bottle.SessionPlugin(path, keyword="s", grace=0, serializer="pickle")
    bottle.SessionPlugin(path, key_word="s")  # type: ignore[call-arg]
    pyramid.WebSessionFactory(path, idle=60, lock_timeout=1)
    pyramid.WebSessionFactory(path, timeout=60)  # type: ignore[call-arg]
    flask.WebSessionInterface(path, max_sessions=5, durability="data")
    flask.WebSessionInterface(path, idle=60)  # type: ignore[call-arg]


def of_cherrypy() -> None:
    from websession.cherrypy import WebSessionStorage

    class Storage(WebSessionStorage):
        lifetime = 600
        options = {"durability": "full"}  # noqa: RUF012

    Storage.serializer = "jsn"  # type: ignore[assignment]
    Storage.options = {"ideal": 60}  # type: ignore[typeddict-unknown-key]


def of_cookies() -> None:
    SessionCookie("sid", same_site="Strict")
    SessionCookie(same_site="None", secure=True)
    SessionCookie(same_site="strict")  # type: ignore[arg-type]


def of_events(event: SessionEvent) -> bool:
    if event.name == "hijacked":  # type: ignore[comparison-overlap]
        return False
    return event.name == "hijack"


def what_has_expired(error: SessionExpired) -> str:
    assert_type(error.session_data, Any)
    name: str = error.session_data["name"]
    return name


def what_is_stored(ws: WebSession) -> int:
    assert_type(ws.readSession("x").data, Any)
    number: int = ws.readSession("x").data["n"]
    return number


def names_that_are_not_there(ws: WebSession, session: Session) -> None:
    ws.retreiveSession("x")  # type: ignore[attr-defined]
    assert websession.FileStor is None  # type: ignore[attr-defined]
    session.commit()  # type: ignore[attr-defined]
    assert ws.session_id_re.fullmatch("x")
