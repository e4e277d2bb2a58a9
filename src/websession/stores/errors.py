"""A failing system call is a `SessionStoreError`, wherever it happens."""

from __future__ import annotations

import os
from errno import EDQUOT, ENOSPC

from ..exceptions import (
    CorruptData,
    SessionBusy,
    SessionException,
    SessionStoreError,
    UnsafeStore,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["NO_ROOM", "UNREADABLE", "loud"]

NO_ROOM = frozenset({ENOSPC, EDQUOT})
"""A full disk: what makes room must work in spite of it."""

UNREADABLE = (CorruptData, SessionBusy, UnsafeStore)
"""Because of the session's file: another one may be read all the same."""


def loud(func: Callable[P, R]) -> Callable[P, R]:
    """Makes a function raise `SessionStoreError` for every `OSError`."""

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return func(*args, **kwargs)
        except SessionException:
            raise
        except OSError as error:
            where = error.filename
            if isinstance(where, bytes):
                where = os.fsdecode(where)
            details = (error.errno, error.strerror, where)
            raise SessionStoreError(*details) from error

    # What functools.wraps does, whose import takes 2 ms.
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(wrapper, name, getattr(func, name))
    wrapper.__wrapped__ = func  # type: ignore[attr-defined]
    return wrapper
