"""Type-checked, never run: what a typed application on Flask writes."""

from __future__ import annotations

from flask import Flask

from websession import SessionExpired
from websession.flask import FlaskSession, WebSessionInterface, session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import assert_type

app = Flask(__name__)
WebSessionInterface("/var/lib/example/sessions", lifetime=0).init_app(app)


@app.post("/login")
def log_in() -> str:
    session["user"] = "ann"
    session.regenerate()
    session.idle = 14 * 86400
    session.permanent = True
    return "welcome"


@app.post("/count")
def count() -> dict[str, Any]:
    def one_more(stored: dict[str, Any]) -> None:
        stored["n"] = stored.get("n", 0) + 1

    session.atomically(one_more)
    assert_type(session.get("n", 0), Any)
    return dict(session)


@app.post("/logout")
def log_out() -> str:
    session.invalidate()
    session.invaldate()  # type: ignore[attr-defined]
    return "bye"


def what_is_known() -> None:
    assert_type(session, FlaskSession)
    assert_type(session.id, str | None)
    assert_type(session.created, float | None)
    assert_type(session.permanent, bool)
    assert_type(session.modified, bool)
    assert_type(session.new, bool)
    if isinstance(session.ended, SessionExpired):
        session.update(session.ended.session_data)
