"""
Which backend is in use: C where it could be compiled, else Python.

``WEBSESSION_BACKEND`` chooses: ``auto`` (the default), ``c`` (the ImportError
shows if it is missing), ``python``. The result is `websession.BACKEND`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Literal

CHOICES = ("auto", "c", "python")


def choose(choice: str | None = None) -> ModuleType:
    """
    The backend module of that name.

    Args:
        choice: one of `CHOICES`; None: what ``WEBSESSION_BACKEND`` said when
            the package was imported. It is looked for once: where C is not
            there, an import that fails takes half a millisecond.

    Raises:
        ValueError: another name.
        ImportError: ``c`` was asked for and is not there.
    """
    return default if choice is None else _named(choice)


def _named(choice: str) -> ModuleType:
    if choice not in CHOICES:
        raise ValueError(
            f"unknown backend {choice!r}; there are {', '.join(CHOICES)}"
        )
    if choice != "python":
        try:
            from . import native
        except ImportError:
            if choice == "c":
                raise
        else:
            return native
    from .plain import operations

    return operations


default = _named(os.environ.get("WEBSESSION_BACKEND") or "auto")
BACKEND: Literal["c", "python"] = default.NAME
