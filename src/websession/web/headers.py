"""
What the headers of a response must say when it depends on a session.
"""

from __future__ import annotations

__all__ = ["with_session"]

_NOT_FOR_ALL = ("private", "no-store")


def with_session(
    headers: list[tuple[str, str]], set_cookie: str | None
) -> list[tuple[str, str]]:
    """
    The headers of a response that used its session: ``Vary: Cookie``, since
    others would get another one (CVE-2023-30861); and with a cookie nothing
    that lets a shared cache hand it to somebody else.

    Args:
        headers: the application's; they are not changed.
        set_cookie: the value of ``Set-Cookie``; None: none.
    """
    new = _with_vary(headers)
    if set_cookie is not None:
        new = _with_private_cache(new)
        new.append(("Set-Cookie", set_cookie))
    return new


def _values(headers: list[tuple[str, str]], wanted: str) -> list[str]:
    """The members of a header that is a list, in all its lines."""
    return [
        each.strip()
        for name, value in headers
        if name.lower() == wanted
        for each in value.split(",")
        if each.strip()
    ]


def _with_vary(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    for value in _values(headers, "vary"):
        if value == "*" or value.lower() == "cookie":
            return list(headers)
    return [*headers, ("Vary", "Cookie")]


def _with_private_cache(
    headers: list[tuple[str, str]],
) -> list[tuple[str, str]]:
    said = _values(headers, "cache-control")
    if not said:
        return [*headers, ("Cache-Control", "no-store")]
    if any(each.lower() in _NOT_FOR_ALL for each in said):
        return list(headers)
    kept = [
        each
        for each in said
        if each.lower() != "public" and not each.lower().startswith("s-maxage")
    ]
    others = [each for each in headers if each[0].lower() != "cache-control"]
    return [*others, ("Cache-Control", ", ".join([*kept, "private"]))]
