"""
From figures to tables: what was measured, over the floor or over another one.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["compared", "describe", "figures", "markdown"]


def file_system(path):
    """Type and options of the mount that a path is on."""
    found = ("", "?", "")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, options = line.split()[:4]
        if str(path).startswith(point) and len(point) >= len(found[0]):
            found = (point, kind, options)
    return f"{found[1]} ({found[2]})"


def describe(place):
    """The machine in a sentence."""
    return (
        f"{platform.machine()}, {os.cpu_count()} processors, Linux "
        f"{platform.release()}, Python {platform.python_version()}, "
        f"{file_system(place)}"
    )


def figures(benchmarks):
    """By group, the name and what is known of each of its figures."""
    found = {}
    for each in benchmarks:
        rows = found.setdefault(each["group"], [])
        rows.append((each["name"], dict(each["extra_info"])))
    return found


COLUMNS = {
    "microseconds": ("µs", "{:.1f}"),
    "mean": ("mean, µs", "{:.1f}"),
    "floor": ("floor, µs", "{:.1f}"),
    "ratio": ("over the floor", "{:.2f}"),
    "best": ("best rounds", "{:.2f}"),
    "beyond": ("beyond it, µs", "{:.1f}"),
}


def columns(rows):
    """The names of what is known of any of them, the usual ones first."""
    known = dict.fromkeys(key for _, info in rows for key in info)
    return [key for key in COLUMNS if key in known] + [
        key for key in known if key not in COLUMNS
    ]


def cell(info, key):
    value = info.get(key)
    if value is None:
        return ""
    if key in COLUMNS:
        return COLUMNS[key][1].format(value)
    if isinstance(value, float):
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def markdown(found):
    """Lines of Markdown: a table for each group."""
    for group, rows in found.items():
        keys = columns(rows)
        heads = [COLUMNS.get(key, (key,))[0] for key in keys]
        yield ""
        yield f"| {group} | " + " | ".join(heads) + " |"
        yield "|---|" + "---|" * len(heads)
        for name, info in rows:
            cells = [cell(info, key) for key in keys]
            yield f"| {name} | " + " | ".join(cells) + " |"


OURS = "websession, C"


def compared(found):
    """
    Lines of Markdown: what websession takes, over what the others take, for
    each group in which they did the same. Of means: what a database puts off
    to every thousandth call is a part of its cost.
    """
    groups = [
        group
        for group, rows in found.items()
        if any(name == OURS and "mean" in info for name, info in rows)
    ]
    names = dict.fromkeys(
        name for group in groups for name, _ in found[group] if name != OURS
    )
    if not names:
        return
    yield ""
    yield f"| {OURS}, over | " + " | ".join(groups) + " |"
    yield "|---|" + "---|" * len(groups)
    for name in names:
        cells = []
        for group in groups:
            means = {each: info.get("mean") for each, info in found[group]}
            theirs = means.get(name)
            cells.append(f"{means[OURS] / theirs:.2f}" if theirs else "")
        yield f"| {name} | " + " | ".join(cells) + " |"
