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
<p>A small site with sessions. Whichever process is free answers; all that they
share is a directory, with a file for each session.</p>
</header>
<main>
<p id="notice" class="notice" role="status"{notice_hidden}>{notice}</p>
<section class="all">
<h2>Try this</h2>
<ol>
<li>Log in under any name: the session gets a new ID, and with it another
handle.</li>
<li>Open <a href="{base}/" target="_blank">a second tab</a>. Write and save the
left note slowly in one, and the right note in the other meanwhile: both are
kept.</li>
<li>Hammer at the counter: 200 requests, several processes, none
lost.<noscript> (Without scripts one process counts to 200.)</noscript></li>
<li>Start a slow request, and log out before it is done: it cannot bring the
session back.</li>
<li>Log in, save a note, then wait for {limit}&nbsp;s: the session expires.
Come back within {kept} minutes and log in under the same name: its notes are
back.</li>
</ol>
</section>
<section>
<h2>Session</h2>
<dl>
<dt>Answered by</dt>
<dd>process <span id="pid">{pid}</span>, backend {backend}</dd>
<dt>Handle</dt><dd id="handle">{handle}</dd>
<dt>Logged in as</dt><dd id="user">{user}</dd>
<dt>Unused, ends in</dt><dd id="idle">{idle}</dd>
<dt>Ends anyway in</dt><dd id="life">{life}</dd>
</dl>
<form method="post" action="{base}/">
<label for="name">Name</label>
<div class="line">
<input id="name" name="name" maxlength="40" autocomplete="off" required>
<button name="action" value="login">Log in</button>
</div>
</form>
<form method="post" action="{base}/" class="line">
<button name="action" value="logout" class="quiet">Log out</button>
<button name="action" value="renew" class="quiet">New ID</button>
<button name="action" value="slow" class="quiet">Slow request (3 s)</button>
<output id="slow"></output>
</form>
</section>
<section>
<h2>Two notes</h2>
{notes}</section>
<section>
<h2>Counter</h2>
<p class="count" id="counter">{counter}</p>
<form method="post" action="{base}/">
<button name="action" value="increment">+ 1</button>
<button name="action" value="hammer" class="quiet">Hammer: + 200</button>
</form>
<progress id="progress" max="200" value="0" aria-label="Requests answered"
hidden></progress>
<p id="verdict" role="status"></p>
<table id="workers" hidden>
<thead><tr><th>Process</th><th>Answers</th></tr></thead><tbody></tbody>
</table>
</section>
<section>
<h2>The directory: <span id="total">{total}</span></h2>
<div class="files" role="region" aria-label="Files" tabindex="0">
<table id="files">
<thead><tr><th>File</th><th>Bytes</th><th>Written</th></tr></thead>
<tbody>{files}</tbody>
</table>
</div>
<p class="hint">As it is now, the newest files first. A name is a handle: made
of the session's ID, with no way back. The ID itself stands nowhere.</p>
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
<div class="line">
<button name="action" value="save">Save</button>
<label class="check"><input type="checkbox" name="slowly" value="yes">
slowly (3 s)</label>
</div>
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


def _row(file: dict[str, Any]) -> str:
    mine = ' class="mine"' if file["mine"] else ""
    return (
        f"<tr{mine}><td>{escape(file['name'])}</td><td>{file['bytes']}</td>"
        f"<td>{_seconds(file['age'])} ago</td></tr>"
    )


def page(state: dict[str, Any], base: str, idle: int, kept: int) -> str:
    """
    The page as HTML.

    Args:
        state: what ``/api/state`` answers.
        base: the address of the application; see `Request`.
        idle: seconds after which a session expires.
        kept: seconds for which it can still be had back.
    """
    session = state["session"] or _NOBODY
    base = escape(base)
    return _PAGE.format(
        base=base,
        limit=idle,
        kept=kept // 60,
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
        total=state["total"],
        files="".join(map(_row, state["files"])),
    )
