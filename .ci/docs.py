"""
Makes the documentation: one page of HTML for each module that applications
use, and one of the guides. A link that leads nowhere is an error.

    python .ci/docs.py DIRECTORY       with `pip install '.[docs]'`
"""

from __future__ import annotations

import re
import sys
import warnings
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pdoc

from websession import guides

MODULES = [
    "websession",
    "websession.guides",
    *(
        f"websession.{name}"
        for name in (
            "wsgi", "asgi", "cgi", "flask", "django", "pyramid", "bottle",
            "cherrypy", "web", "legacy", "stores", "engine", "serializers",
        )
    ),
]  # fmt: skip


class Page(HTMLParser):
    """What a page has to link to, and where its links lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


def load() -> None:
    """What a module imports when it is asked for it is there from now on."""
    for name in MODULES:
        module = import_module(name)
        for each in getattr(module, "__all__", ()):
            vars(module).setdefault(each, getattr(module, each))


def unlink_inherited(path: Path) -> None:
    """What a class inherits from others' has a link and no place."""
    anchors = Page(path).anchors
    path.write_text(
        re.sub(
            r'<a href="#(\w+\.\w+)">(\w+)</a>',
            lambda link: link[0] if link[1] in anchors else link[2],
            path.read_text(),
        )
    )


def as_one_page(path: Path) -> None:
    """Links from guide to guide become links within the page of all."""
    text = path.read_text()
    for topic in guides.TOPICS:
        title = guides.guide(topic).splitlines()[0].removeprefix("# ")
        anchor = re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        text = text.replace(f'href="{topic}.md#', 'href="#')
        text = text.replace(f'href="{topic}.md"', f'href="#{anchor}"')
    path.write_text(text)


def broken(directory: Path) -> list[str]:
    pages = {path: Page(path) for path in directory.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            anchor = unquote(parts.fragment)
            if target not in pages or (
                anchor and anchor not in pages[target].anchors
            ):
                found.append(f"{path.relative_to(directory)}: {link}")
    return found


def main() -> None:
    directory = Path(sys.argv[1]).resolve()
    load()
    # Types that only checkers know are shown as they are written.
    for message in ("Failed to run TYPE_CHECKING", "Error parsing type"):
        warnings.filterwarnings("ignore", message)
    warnings.filterwarnings("error", "Found .* but it does not resolve")
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*MODULES, output_directory=directory)
    as_one_page(directory / "websession" / "guides.html")
    for path in directory.rglob("*.html"):
        unlink_inherited(path)
    wrong = broken(directory)
    if wrong:
        sys.exit("these links lead nowhere:\n" + "\n".join(wrong))


main()
