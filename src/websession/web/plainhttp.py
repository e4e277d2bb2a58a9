"""
A warning, once per process, where browsers will not send the cookie back: it
is ``Secure``, and the site is served over plain HTTP.
"""

from __future__ import annotations

from ..exceptions import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["warn_of_plain_http"]

_has_warned = False


def warn_of_plain_http(env: Mapping[str, Any]) -> None:
    """
    Warns of a ``Secure`` cookie that is about to go out over plain HTTP to a
    browser that has sent none. From localhost most browsers take it all the
    same; and where a proxy says that it ends TLS, the browser has seen no
    plain HTTP.

    Args:
        env: of the request, as CGI and WSGI describe it.
    """
    global _has_warned
    if _has_warned:
        return
    host = env.get("HTTP_HOST") or env.get("SERVER_NAME") or ""
    if _is_local(host) or _came_over_tls(env):
        return
    _has_warned = True
    import logging

    logging.getLogger("websession").warning(
        "the session cookie is Secure, and a request to %s came over plain "
        "HTTP: browsers will not send the cookie back, so that every request "
        "begins a new session. Serve the site over TLS; if a proxy in front "
        "does, let it send X-Forwarded-Proto; where there is no TLS, pass "
        "cookie=SessionCookie(secure=None)",
        printable(host[:100]) or "this server",
    )


def _is_local(host: str) -> bool:
    """Whether a host, perhaps with a port, is this machine to browsers."""
    name = host.lower()
    if name.endswith("]") or name.count(":") > 1:  # IPv6
        return name.partition("]")[0].strip("[") == "::1"
    name = name.partition(":")[0].rstrip(".")
    numbers = name.split(".")
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or (
            len(numbers) == 4
            and numbers[0] == "127"
            and all(map(_is_number, numbers))
        )
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _came_over_tls(env: Mapping[str, Any]) -> bool:
    """Whether a proxy says so. Anybody could: it is about a warning alone."""
    told = (
        env.get("HTTP_X_FORWARDED_PROTO", "").lower(),
        env.get("HTTP_FORWARDED", "").lower().partition("proto=")[2],
    )
    return any(each.strip('"').startswith(("https", "wss")) for each in told)
