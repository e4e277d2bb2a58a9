"""
What the adapters for WSGI and the frameworks share: the session of a request,
the cookie that carries its ID, and the events of sessions.
"""

from __future__ import annotations

from .cookie import SessionCookie
from .events import SessionEvent, log_event
from .manager import SessionManager
from .session import Session

__all__ = [
    "Session",
    "SessionCookie",
    "SessionEvent",
    "SessionManager",
    "log_event",
]
