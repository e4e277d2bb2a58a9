"""
Cookies that a framework keeps in the standard library's `SimpleCookie`.
"""

from __future__ import annotations

from http.cookies import Morsel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from http.cookies import SimpleCookie
    from typing import ClassVar

__all__ = ["partition"]


class _Partitioned(Morsel[str]):
    """Knows the attribute, which Python does from 3.14 on."""

    _reserved: ClassVar[dict[str, str]] = {
        **Morsel._reserved,  # type: ignore[attr-defined]
        "partitioned": "Partitioned",
    }
    _flags: ClassVar[set[str]] = {
        *Morsel._flags,  # type: ignore[attr-defined]
        "partitioned",
    }


def partition(cookies: SimpleCookie, name: str) -> None:
    """
    Makes a cookie, if it is there, one of the embedding site's (CHIPS), and
    secure, or browsers would not take it.
    """
    found = cookies.get(name)
    if found is None:
        return
    made = _Partitioned()
    made.set(found.key, found.value, found.coded_value)
    made.update(found)
    made["secure"] = made["partitioned"] = True
    dict.__setitem__(cookies, name, made)
