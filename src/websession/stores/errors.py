"""A failing system call is a `SessionStoreError`, wherever it happens."""

from __future__ import annotations

import os
from functools import wraps

from ..exceptions import SessionException, SessionStoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["loud"]


def loud(func: Callable[P, R]) -> Callable[P, R]:
    """Makes a function raise `SessionStoreError` for every `OSError`."""

    @wraps(func)
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

    return wrapper
