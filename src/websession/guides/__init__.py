"""
What one needs to know to run a site with this library, by topic. The command
``websession guide`` shows them.

.. include:: requests.md
.. include:: limits.md
.. include:: frameworks.md
.. include:: cgi.md
.. include:: deployment.md
.. include:: moving.md
.. include:: backup.md
.. include:: monitoring.md
.. include:: security.md
.. include:: machines.md
.. include:: stores.md
.. include:: api.md
"""

from __future__ import annotations

import os

__all__ = ["TOPICS", "guide", "subject"]

TOPICS = (
    "requests",
    "limits",
    "frameworks",
    "cgi",
    "deployment",
    "moving",
    "backup",
    "monitoring",
    "security",
    "machines",
    "stores",
    "api",
)
"""In the order in which to read them."""


def guide(topic: str) -> str:
    """
    A guide, as Markdown.

    Args:
        topic: one of `TOPICS`.
    """
    path = os.path.join(os.path.dirname(__file__), f"{topic}.md")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    # Comments say to tests what a block is.
    return "\n".join(each for each in lines if not each.startswith("<!--"))


def subject(topic: str) -> str:
    """What a guide is about: the sentence below its title."""
    return guide(topic).splitlines()[2]
