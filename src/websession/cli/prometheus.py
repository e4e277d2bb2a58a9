"""
The text format of Prometheus.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..admin.stats import Census, Distribution, room
from ..exceptions import printable

if TYPE_CHECKING:
    from ..admin.inspector import Inspector

__all__ = ["exposition"]


def _escaped(text: str) -> str:
    # The format has an escape for new lines, and none for other oddities.
    text = "\n".join(map(printable, text.split("\n")))
    for old, new in (("\\", r"\\"), ("\n", r"\n"), ('"', r"\"")):
        text = text.replace(old, new)
    return text


def exposition(store: Inspector, census: Census) -> list[str]:
    """Its lines, with the store's directory as the label ``path``."""
    labels = f'path="{_escaped(os.fsdecode(store.layout.root))}"'
    lines: list[str] = []

    def gauge(name: str, about: str, value: float) -> None:
        lines.extend(
            [
                f"# HELP websession_{name} {about}",
                f"# TYPE websession_{name} gauge",
                f"websession_{name}{{{labels}}} {_number(value)}",
            ]
        )

    def histogram(name: str, about: str, values: Distribution) -> None:
        name = f"websession_{name}"
        lines.extend([f"# HELP {name} {about}", f"# TYPE {name} histogram"])
        so_far = 0
        for end, count in zip(values.ends, values.counts, strict=False):
            so_far += count
            lines.append(f'{name}_bucket{{{labels},le="{end}"}} {so_far}')
        total = values.count
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {total}')
        lines.append(f"{name}_sum{{{labels}}} {_number(values.total)}")
        lines.append(f"{name}_count{{{labels}}} {total}")

    gauge("sessions", "Sessions, expired ones included.", census.sessions)
    if census.expired is not None:
        gauge(
            "expired_sessions",
            "Sessions that have expired and are not removed yet.",
            census.expired,
        )
    gauge(
        "superseded_sessions",
        "Sessions that have got a new ID.",
        census.superseded,
    )
    gauge("unreadable_sessions", "Unreadable files.", census.unreadable)
    gauge("damaged_files", "Files in .damaged.", census.damaged)
    gauge("disk_bytes", "Bytes that sessions take.", census.disk)
    gauge(
        "sampled_every",
        "Of how many sessions one was looked at.",
        census.every,
    )
    left = room(store)
    gauge("room_bytes", "Bytes left on the file system.", left["bytes"])
    gauge("room_files", "Files left on the file system.", left["files"])
    gauge(
        "created_last_hour",
        "Sessions made within the last hour.",
        census.created[3600],
    )
    last = store.sweep_note().last
    if last is not None:
        gauge(
            "last_sweep_timestamp_seconds",
            "End of the last whole sweep.",
            last.when,
        )
        gauge(
            "last_sweep_removed",
            "Expired sessions that it removed.",
            last.removed,
        )
    histogram("session_bytes", "Size of the data.", census.sizes)
    histogram("session_age_seconds", "Time since creation.", census.ages)
    histogram("session_idle_seconds", "Time since the store.", census.idle)
    return lines


def _number(value: float) -> str:
    return repr(value)
