"""Draws figures as SVG, for a page that is light or dark."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["draw"]

ACCENT, OTHERS, BACK = "#0b6e4f", "#8a9a95", "#ffffff"


def draw(found, target: Path):
    """
    Makes the plots that the figures allow; the files' paths.

    Args:
        found: what `report.figures` returned.
        target: a directory.
    """
    import matplotlib

    matplotlib.use("svg")
    # The same figures make the same file.
    matplotlib.rcParams["svg.hashsalt"] = "websession"
    matplotlib.rcParams["font.family"] = "sans-serif"
    target.mkdir(exist_ok=True)
    made = []
    for name, plot in ("cycle", _cycle), ("processes", _processes):
        figure = plot(found)
        if figure is not None:
            path = target / f"{name}.svg"
            figure.savefig(
                path,
                facecolor=BACK,
                bbox_inches="tight",
                metadata={"Date": None},
            )
            made.append(path)
    return made


def _cycle(found):
    """
    A request's retrieve and store, of a session that the process has not seen
    and of one that it has: dots, since the scale is logarithmic.
    """
    from matplotlib.figure import Figure

    rows = found.get("cycle, first look, 250 bytes")
    if not rows:
        return None
    rows = sorted(rows, key=lambda row: -row[1]["mean"])
    again = dict(found.get("cycle, 250 bytes", ()))
    figure = Figure((8, 0.35 * len(rows) + 1.4))
    axes = figure.subplots()
    names = [name for name, _ in rows]
    means = [info["mean"] for _, info in rows]
    colours = [ACCENT if "websession" in name else OTHERS for name in names]
    axes.scatter(means, names, c=colours, label="first look", zorder=3)
    for name, mean, colour in zip(names, means, colours, strict=True):
        axes.annotate(
            f"{mean:,.0f}", (mean, name), (0, 5),
            textcoords="offset points", color=colour, ha="center",
        )  # fmt: skip
    axes.scatter(
        [again[name]["mean"] for name in names if name in again],
        [name for name in names if name in again],
        facecolors="none", edgecolors=OTHERS, label="remembered", zorder=2,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("µs for one retrieve and one store, 250 bytes, mean")
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="upper right", frameon=False)
    return figure


def _processes(found):
    """Requests per second, by the number of processes."""
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[int, float]]] = {}
    for group, rows in found.items():
        number = re.fullmatch(
            r"requests of sessions of their own, processes: (\d+)", group
        )
        if number is not None:
            for name, info in rows:
                lines.setdefault(name, []).append(
                    (int(number[1]), info["per second"])
                )
    if not lines:
        return None
    figure = Figure((8, 4.5))
    axes = figure.subplots()
    order = sorted(lines.items(), key=lambda line: -line[1][-1][1])
    for name, points in order:
        ours = "websession" in name
        axes.plot(
            *zip(*points, strict=True),
            label=name,
            marker="o",
            linewidth=2.5 if ours else 1.2,
            color=ACCENT if ours else None,
            linestyle="--" if "Python" in name and ours else "-",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.set_xlabel("processes")
    axes.set_ylabel("requests per second")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
