"""`websession guide`, piped and on a terminal."""

from __future__ import annotations

import pytest

from console import Console
from documents import GUIDES
from websession.cli.guide import _plain


@pytest.fixture
def console():
    console = Console("python")
    console.environment["PAGER"] = "cat"
    return console


def test_without_a_topic_it_lists_them_with_what_they_are_about(console):
    status, out, err = console.run("guide")
    assert (status, err) == (0, "")
    for topic in GUIDES:
        assert f"\n  {topic} " in out
    assert "what a restored one brings back" in out
    console.environment["COLUMNS"] = "80"
    assert max(map(len, console.run("guide")[1].splitlines())) < 80


def test_piped_it_is_the_markdown_without_comments(console):
    status, out, err = console.run("guide", "deployment")
    assert (status, err) == (0, "")
    whole = GUIDES["deployment"].read_text()
    assert "<!--" in whole
    assert "<!--" not in out
    assert out.splitlines() == [
        line for line in whole.splitlines() if not line.startswith("<!--")
    ]


@pytest.mark.parametrize("rich", [True, False])
def test_on_a_terminal_it_is_paged(console, rich):
    status, shown = console.on_terminal("guide", "limits", rich=rich)
    assert status == 0
    assert "Choosing limits" in shown
    assert "# Choosing limits" not in shown


MARKDOWN = """\
# A title

**Much** is said at [some](some.md#length) in `a_long_command --with-options`.

- one
- another one, which takes more than one line of so few columns

## Further

```python
x = "as long as it is: **kwargs, | pipes |, and [it](stays)"
```

| name | cost |
|---|---|
| `"none"` | nothing |

| | |
|---|---|
| `.key` | what it is for |
"""
PLAIN = """\
A title
=======

Much is said at some in
`a_long_command
--with-options`.

- one
- another one, which takes
  more than one line of so
  few columns

Further
-------

    x = "as long as it is: **kwargs, | pipes |, and [it](stays)"

name:
  `"none"`
      cost: nothing

  `.key`
      what it is for
"""


def test_markdown_without_what_renders_it():
    assert "\n".join(_plain(MARKDOWN, 28)) + "\n" == PLAIN


@pytest.mark.parametrize("topic", GUIDES)
def test_a_guide_fits_the_terminal(topic):
    for line in _plain(GUIDES[topic].read_text(), 79):
        assert len(line) < 80 or line[:4] == "    " or " " not in line.strip()


def test_a_topic_that_is_not_there_is_refused_with_those_that_are(console):
    status, out, err = console.run("guide", "cooking")
    assert (status, out) == (2, "")
    assert "cooking" in err
    assert "deployment" in err
