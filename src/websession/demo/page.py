"""
The demo's page: HTML and CSS in one string, nothing loaded from elsewhere.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
<title>websession demo</title>
<style>
body {{ font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 0 auto;
  padding: 1rem; color: #222; background: #fff }}
h1 {{ font-size: 1.4rem }}
textarea {{ width: 100%; box-sizing: border-box; font: inherit }}
button {{ font: inherit; padding: .5rem 1rem; margin: .5rem .5rem 0 0 }}
table {{ border-collapse: collapse; margin: 1rem 0; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem .5rem;
  border-bottom: 1px solid #ccc; overflow-wrap: anywhere }}
th {{ font-weight: normal; color: #666; width: 45% }}
blockquote {{ margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }}
.notice {{ background: #fff3cd; border: 1px solid #e0c060;
  padding: .5rem 1rem }}
</style>
</head>
<body>
<h1>websession demo</h1>
{notice}<form method="post" action="?">
<label for="text">A text to keep in the session</label>
<textarea id="text" name="text" rows="4" maxlength="10000">
{text}</textarea>
<button name="action" value="save">{save}</button>
{buttons}</form>
<table>
{rows}</table>
<p><a href="?">Reload</a> (counts as a visit) &middot;
<a href="?look">Look</a> (leaves the session as it is)</p>
</body>
</html>
"""

_BUTTONS = """<button name="action" value="renew">New ID</button>
<button name="action" value="delete">Delete the session</button>
"""


def escape(text: object) -> str:
    """`text` for HTML, in elements and quoted attributes."""
    return str(text).translate(_ESCAPES)


def _notice(sentence: str, held: str | None) -> str:
    if not sentence:
        return ""
    text = escape(sentence)
    if held is not None:
        text += f"\n<blockquote>{escape(held)}</blockquote>"
    return f'<div class="notice">{text}</div>\n'


def page(
    facts: Iterable[tuple[str, object]],
    *,
    text: str = "",
    has_session: bool = False,
    notice: str = "",
    held: str | None = None,
) -> str:
    """
    The page as HTML.

    Args:
        facts: rows of the table below the form.
        text: what stands in the form.
        has_session: whether there are buttons to delete and to renew it.
        notice: a sentence above the form.
        held: a text that the notice quotes, None: none.
    """
    return _PAGE.format(
        notice=_notice(notice, held),
        text=escape(text),
        save="Save text" if has_session else "Start a session with this text",
        buttons=_BUTTONS if has_session else "",
        rows="".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>\n"
            for name, value in facts
        ),
    )
