"""
Limits of sessions, and what is checked of them.
"""

from __future__ import annotations

__all__ = [
    "IDLE",
    "ID_LENGTH",
    "LIFETIME",
    "SESSION_CROSSCHECKVARS",
    "checked_idle",
    "checked_limit",
]

# What is safe for a web site. OWASP and ASVS 5 want both limits on the server;
# 32 characters of 65 are 192 bits (ASVS 5: 128).
IDLE = 86400.0
LIFETIME = 30 * 86400.0
ID_LENGTH = 32


SESSION_CROSSCHECKVARS = (
    # Not constant where a client comes through several proxies.
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_USER",
    # Set by proxies, and easily forged.
    "FORWARDED_FOR",
    "HTTP_X_FORWARDED_FOR",
    # Not secret; a browser's update changes them.
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT_CHARSET",
    # Where TLS sessions are resumed.
    "SSL_SESSION_ID",
    # Client certificates.
    "SSL_CLIENT_V_START",
    "SSL_CLIENT_V_END",
    "SSL_CLIENT_I_DN",
    "SSL_CLIENT_IDN",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_SDN",
    "SSL_CLIENT_M_SERIAL",
    "SSL_CLIENT_CERT_SERIAL",
)
"""
Environment variables that are assumed to stay the same during a session. An
address or a user agent may change for honest users (mobile networks, proxies,
updates): choose what fits the application with ``crossCheckVars``.
"""

_LONGEST_IDLE = 2**32 - 1  # 136 years


def checked_limit(name: str, value: float | None) -> float:
    """The value, with None as 0; ValueError if it is no limit at all."""
    if value is None:
        return 0
    if not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(f"{name} is 0 (no limit) or more, not {value!r}")
    return value


def checked_idle(idle: float) -> int:
    """
    A session's own idle limit in whole seconds; ValueError if it is none.
    """
    if not isinstance(idle, (int, float)) or not 0 <= idle <= _LONGEST_IDLE:
        raise ValueError(
            "idle is 0 (as all sessions) or seconds up to "
            f"{_LONGEST_IDLE}, not {idle!r}"
        )
    return int(-(-idle // 1))
