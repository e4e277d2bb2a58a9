"""
What the headers of a response must say when it depends on a session.
"""

from __future__ import annotations

__all__ = ["to_set", "with_session"]

_NOT_FOR_ALL = ("private", "no-store")


def with_session(
    headers: list[tuple[str, str]], set_cookie: str | None
) -> list[tuple[str, str]]:
    """
    The headers of a response that used its session, or still may: ``Vary:
    Cookie``, since others would get another one (CVE-2023-30861); and with a
    cookie nothing that lets a shared cache hand it to somebody else.

    Args:
        headers: the application's; they are not changed.
        set_cookie: the value of ``Set-Cookie``; None: none.
    """
    new = _with_vary(headers)
    if set_cookie is not None:
        new = _with_private_cache(new)
        new.append(("Set-Cookie", set_cookie))
    return new


def to_set(
    vary: str | None, cache_control: str | None, has_cookie: bool
) -> dict[str, str]:
    """
    What ``Vary`` and ``Cache-Control`` have to be, for response objects that
    have one value of each header.

    Args:
        vary, cache_control: what they are; None: not there.
        has_cookie: whether the response sets the cookie.
    """
    present = {"Vary": vary, "Cache-Control": cache_control}
    headers = [(name, value) for name, value in present.items() if value]
    found: dict[str, str] = {}
    for name, value in with_session(headers, "" if has_cookie else None):
        found[name] = f"{found[name]}, {value}" if name in found else value
    found.pop("Set-Cookie", None)
    return found


def _members(value: str) -> list[str]:
    """Of a header that is a list."""
    return [each.strip() for each in value.split(",") if each.strip()]


def _with_vary(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    for name, value in headers:
        if name.lower() == "vary" and not {"*", "cookie"}.isdisjoint(
            _members(value.lower())
        ):
            return list(headers)
    return [*headers, ("Vary", "Cookie")]


def _with_private_cache(
    headers: list[tuple[str, str]],
) -> list[tuple[str, str]]:
    said = [
        each
        for name, value in headers
        if name.lower() == "cache-control"
        for each in _members(value)
    ]
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
