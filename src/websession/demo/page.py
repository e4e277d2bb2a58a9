"""
The demo's page as HTML. It works without scripts; static/app.js makes it live.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["escape", "page"]

# The modules html and string would bring re along, which takes longer to
# import than a CGI request may last.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>websession demo</title>
<link rel="icon" href="{base}/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{base}/static/style.css">
<script src="{base}/static/app.js" defer></script>
</head>
<body data-base="{base}">
<header>
<h1>websession <small>demo</small></h1>
<p>answered by worker <b id="pid">{pid}</b>, backend {backend}</p>
</header>
<p id="notice" class="notice" role="status"{notice_hidden}>{notice}</p>
<main>
<section>
<h2>Session</h2>
<dl>
<dt>Handle</dt><dd id="handle">{handle}</dd>
<dt>Logged in as</dt><dd id="user">{user}</dd>
<dt>Ends unless used within</dt><dd id="idle">{idle}</dd>
<dt>Ends in any case in</dt><dd id="life">{life}</dd>
</dl>
<form method="post" action="{base}/">
<label for="name">Name</label>
<div class="line">
<input id="name" name="name" maxlength="40" autocomplete="off" required>
<button name="action" value="login">Log in</button>
</div>
</form>
<form method="post" action="{base}/">
<button name="action" value="renew">New ID</button>
<button name="action" value="logout">Log out</button>
</form>
<form method="post" action="{base}/">
<button name="action" value="slow">Slow request (3 s)</button>
<output id="slow"></output>
</form>
<p class="hint">Log-in gives the session a new ID: the handle changes. Start a
slow request and log out before it is done: it cannot bring the session
back.</p>
</section>
<section>
<h2>Two notes, two tabs</h2>
{notes}<p class="hint">Open this page in two tabs. Save the left note slowly
in one, and the right note in the other meanwhile: both are kept.</p>
</section>
<section>
<h2>Counter</h2>
<p class="count" id="counter">{counter}</p>
<button id="increment" type="button">+ 1</button>
<button id="hammer" type="button">Hammer: 200 at once</button>
<progress id="progress" max="200" value="0" hidden></progress>
<p id="verdict" role="status"></p>
<table id="workers" hidden>
<thead><tr><th>Worker</th><th>Answers</th></tr></thead><tbody></tbody>
</table>
</section>
<section>
<h2>Live sessions: <span id="total">{total}</span></h2>
<div class="wide">
<table id="sessions">
<thead><tr><th>Handle</th><th>Age</th><th>Unused</th><th>Bytes</th></tr></thead>
<tbody>{sessions}</tbody>
</table>
</div>
<p class="hint">From the directory itself: one file per session, an ID
nowhere.</p>
</section>
</main>
</body>
</html>
"""

_NOTE = """<form method="post" action="{base}/" data-note="{note}">
<input type="hidden" name="note" value="{note}">
<label for="{note}">The {note} note</label>
<textarea id="{note}" name="text" rows="3" maxlength="10000">
{text}</textarea>
<button name="action" value="save">Save</button>
<label class="check"><input type="checkbox" name="slowly" value="yes">
slowly (3 s)</label>
</form>
"""

_NOBODY: dict[str, Any] = {
    "handle": "none: nothing is stored yet",
    "user": "",
    "idle_left": None,
    "life_left": None,
    "counter": 0,
}


def escape(text: object) -> str:
    """`text` for HTML, in elements and quoted attributes."""
    return str(text).translate(_ESCAPES)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def _row(info: dict[str, Any]) -> str:
    mine = ' class="mine"' if info["mine"] else ""
    return (
        f"<tr{mine}><td>{escape(info['handle'][:12])}…</td>"
        f"<td>{_seconds(info['age'])}</td><td>{_seconds(info['idle'])}</td>"
        f"<td>{info['bytes']}</td></tr>"
    )


def page(state: dict[str, Any], listing: dict[str, Any], base: str) -> str:
    """
    The page as HTML.

    Args:
        state: what ``/api/state`` answers.
        listing: what ``/api/sessions`` answers.
        base: the address of the application; see `Request`.
    """
    session = state["session"] or _NOBODY
    base = escape(base)
    return _PAGE.format(
        base=base,
        pid=state["pid"],
        backend=escape(state["backend"]),
        notice=escape(state["notice"]),
        notice_hidden="" if state["notice"] else " hidden",
        handle=escape(session["handle"]),
        user=escape(session["user"] or "nobody"),
        idle=_seconds(session["idle_left"]),
        life=_seconds(session["life_left"]),
        counter=session["counter"],
        notes="".join(
            _NOTE.format(base=base, note=escape(note), text=escape(text))
            for note, text in state["notes"].items()
        ),
        total=listing["total"],
        sessions="".join(map(_row, listing["sessions"])),
    )
