"""
Runs the benchmarks and prints what they found as Markdown.

    python -m benchmarks [--quick] [--plots DIRECTORY] [-k EXPRESSION]
    sudo python -m benchmarks --ext4

As pytest itself: ``python -m pytest benchmarks``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Bytes of the file that holds the file system which --ext4 makes.
EXT4_SIZE = 24 << 30
sys.path.insert(0, str(HERE))


@contextlib.contextmanager
def ext4(directory):
    """
    A new ext4 with a journal, mounted. One without, as some virtual machines
    have it, takes 0.7 ms to look past inodes that were freed of late.
    """
    image, mounted = directory / "ext4", directory / "mounted"
    mounted.mkdir()
    with open(image, "wb") as file:
        file.truncate(EXT4_SIZE)
    for command in (
        ["mkfs.ext4", "-q", "-O", "has_journal", "-N", "5000000", image],
        ["mount", "-o", "loop", image, mounted],
    ):
        subprocess.run(command, check=True)
    try:
        yield mounted
    finally:
        # At once, or when whoever is interrupted has closed its files.
        subprocess.run(["umount", "-l", mounted], check=True)


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
        "--ext4",
        action="store_true",
        help="put sessions on a new ext4 with a journal, in a file that is "
        "mounted for the purpose; as root",
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
            with contextlib.ExitStack() as stack:
                if options.ext4:
                    place = stack.enter_context(ext4(Path(directory)))
                    environment["WEBSESSION_BENCH_DIR"] = str(place)
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
