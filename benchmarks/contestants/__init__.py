"""
What is compared. Each contestant keeps pickled data under a key and does no
more than it must; what is not installed is left out, and said so.
"""

from __future__ import annotations

from .base import Contestant
from .databases import Diskcache, Lmdb, Redis, Sqlite
from .files import Cachelib, Django, RenamedFiles
from .ours import (
    DumbShelve,
    GnuShelve,
    NativeFiles,
    PythonFiles,
    ShelvePerRequest,
    SqliteShelve,
)
from .php import Php

__all__ = ["CONTESTANTS", "Contestant"]

CONTESTANTS: list[type[Contestant]] = [
    NativeFiles,
    PythonFiles,
    Lmdb,
    Sqlite,
    Diskcache,
    RenamedFiles,
    Cachelib,
    Django,
    Redis,
    Php,
    DumbShelve,
    GnuShelve,
    SqliteShelve,
    ShelvePerRequest,
]
