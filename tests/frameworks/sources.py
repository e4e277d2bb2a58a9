"""The source distributions of frameworks, which have their tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile

from machine import missing


def fetched(cache, name, version, wanted):
    """
    A directory with what a source distribution has below `wanted`, a path in
    it; pip fetches it by its name, once.

    Args:
        cache: pytest's.
    """
    place = cache.mkdir(f"{name}-{version}".replace(".", "_"))
    found = place / "source" / wanted
    if not found.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        command += ["--no-binary", name, "--dest", str(place)]
        done = subprocess.run(
            [*command, f"{name}=={version}"], capture_output=True, text=True
        )
        archives = list(place.glob("*.tar.gz"))
        if not archives:
            missing(f"{name}'s source distribution: {done.stderr[-500:]}")
        unpack(archives[0], wanted, place / "source")
    return place / "source"


def unpack(archive, wanted, place):
    with tarfile.open(archive) as opened:
        for member in opened:
            path = member.name.partition("/")[2]
            if path.startswith(wanted) and member.isfile():
                file = place / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(opened.extractfile(member).read())
