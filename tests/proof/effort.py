"""
How much is tried: a little at each run of the suite, or for as long as it
takes with ``WEBSESSION_PROOF=long``.
"""

from __future__ import annotations

import os

__all__ = ["LONG", "effort"]

LONG = os.environ.get("WEBSESSION_PROOF") == "long"


def effort(short, long):
    """The number for this run."""
    return long if LONG else short
