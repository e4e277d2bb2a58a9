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

_LOCAL = ("localhost", "[::1]")
_has_warned = False


def warn_of_plain_http(env: Mapping[str, Any]) -> None:
    """
    Warns of a ``Secure`` cookie that is about to go out over plain HTTP.
    Browsers take it from localhost all the same; and where a proxy says that
    it ends TLS, the browser has seen no plain HTTP.

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
        printable(host) or "this server",
    )


def _is_local(host: str) -> bool:
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return (
        name in _LOCAL
        or name.endswith(".localhost")
        or name.startswith("127.")
    )


def _came_over_tls(env: Mapping[str, Any]) -> bool:
    """Whether a proxy says so. Anybody could: it is about a warning alone."""
    told = (
        env.get("HTTP_X_FORWARDED_PROTO", ""),
        env.get("HTTP_FORWARDED", "").partition("proto=")[2],
    )
    return any(each.strip('"').lower().startswith("https") for each in told)
