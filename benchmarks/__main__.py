"""
Runs the benchmarks and prints what they found as Markdown.

    python -m benchmarks [--quick] [--plots DIRECTORY] [-k EXPRESSION]

As pytest itself: ``python -m pytest benchmarks``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Runs the benchmarks, prints tables of ratios.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of sessions and time"
    )
    parser.add_argument(
        "-k", metavar="EXPRESSION", help="only these, as pytest selects them"
    )
    parser.add_argument(
        "--plots", metavar="DIRECTORY", help="draw SVG files there"
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="where pytest-benchmark writes what it measured; if the file is "
        "there, report it and measure nothing",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(options.json or Path(directory, "figures.json"))
        command = [sys.executable, "-m", "pytest", "-q", str(HERE)]
        command += [f"--benchmark-json={path}"]
        if options.k:
            command += ["-k", options.k]
        failed = 0
        if not path.exists():
            environment = dict(os.environ)
            if options.quick:
                environment.setdefault("WEBSESSION_BENCH_SCALE", "0.1")
            failed = subprocess.run(
                command, env=environment, stdout=sys.stderr
            ).returncode
        report(json.loads(path.read_text()), options, command)
    return failed


def report(measured, options, command):
    from report import compared, figures, markdown

    found = figures(measured["benchmarks"])
    said = measured["machine_info"]["websession"]
    sys.stdout.write(f"{said}; `{' '.join(command[1:5])}`\n")
    for line in [*markdown(found), *compared(found)]:
        sys.stdout.write(f"{line}\n")
    if options.plots:
        from plots import draw

        for made in draw(found, Path(options.plots)):
            sys.stdout.write(f"\ndrawn: {made}\n")


if __name__ == "__main__":
    sys.exit(main())
