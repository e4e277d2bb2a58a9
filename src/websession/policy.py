"""
The policy of sessions: which IDs are well-formed, when a session has expired,
who may use it. `WebSession` is built on it; subclasses override its hooks.
"""

from __future__ import annotations

import time

from . import ids
from .exceptions import (
    BadSessionId,
    GenerateIDError,
    SessionHijacked,
    WeakSessionIDWarning,
)
from .record import SessionRecord
from .stores.base import SessionStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from .serializers import Serializer

__all__ = ["SESSION_CROSSCHECKVARS", "SessionPolicy"]

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

_TRIES = 3
_LONGEST_IDLE = 2**32 - 1  # 136 years


def _limit(name: str, value: float | None) -> float:
    """The value, with None as 0; ValueError if it is no limit at all."""
    if value is None:
        return 0
    if not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(f"{name} is 0 (no limit) or more, not {value!r}")
    return value


def own_limit(idle: float) -> int:
    """
    A session's own idle limit in whole seconds; ValueError if it is none.
    """
    if not isinstance(idle, (int, float)) or not 0 <= idle <= _LONGEST_IDLE:
        raise ValueError(
            "idle is 0 (as all sessions) or seconds up to "
            f"{_LONGEST_IDLE}, not {idle!r}"
        )
    return int(-(-idle // 1))


class SessionPolicy:
    """
    Settings and checks; see `WebSession` for the arguments.
    """

    session_id_re: Any
    serializer: Serializer | None

    def __init__(
        self,
        dictobj: Any = None,
        expireDeactivate: float = 0,
        expireRemove: float = 0,
        crossCheckVars: Iterable[str] | None = None,
        maxSessionCount: int | None = None,
        sessionIDLength: int = 12,
        sessionIDChars: str | None = None,
        *,
        maxLifetime: float = 0,
        clock: Callable[[], float] | None = None,
        otherIDLengths: bool = False,
    ) -> None:
        if not isinstance(sessionIDLength, int) or sessionIDLength < 1:
            raise ValueError("sessionIDLength is a whole number from 1")
        if isinstance(crossCheckVars, str):
            raise TypeError("crossCheckVars is a list of names, not one name")
        self.session_id_len = sessionIDLength
        self.session_id_chars = sessionIDChars or ids.SESSION_ID_CHARS
        self._alphabet = ids.alphabet(self.session_id_chars)
        # SESSION_ID_CHARS has all of base64url.
        self._other_chars = (
            self.session_id_chars + ids.SESSION_ID_CHARS
            if otherIDLengths
            else ""
        )
        self._warn_of_weak_ids()
        self.sessiondict, self._store, self._is_mapping = self._open(dictobj)
        self.serializer = self._store.serializer
        self._draw_id = self._store.draw_id
        self.expireDeactivate = _limit("expireDeactivate", expireDeactivate)
        self.expireRemove = _limit("expireRemove", expireRemove)
        self.maxLifetime = _limit("maxLifetime", maxLifetime)
        self.crossCheckVars = (
            SESSION_CROSSCHECKVARS
            if crossCheckVars is None
            else tuple(crossCheckVars)
        )
        _limit("maxSessionCount", maxSessionCount)
        self.maxSessionCount = maxSessionCount
        self.sessionCounter = 0
        self._clock = clock

    def _open(self, dictobj: Any) -> tuple[Any, SessionStore, bool]:
        from os import PathLike

        if isinstance(dictobj, (str, bytes, PathLike)):
            from .stores.file import FileStore

            store = FileStore(dictobj)
            return store, store, False
        if isinstance(dictobj, SessionStore):
            return dictobj, dictobj, False
        from .stores.mapping import MappingStore

        if dictobj is None:
            dictobj = {}
        if not hasattr(dictobj, "keys") or not hasattr(dictobj, "__setitem__"):
            raise TypeError(
                "dictobj is a path, a store or a string-keyed mapping, not "
                f"{type(dictobj).__name__}"
            )
        return dictobj, MappingStore(dictobj, self._deleteExpired), True

    def _warn_of_weak_ids(self) -> None:
        possible = len(self._alphabet) ** self.session_id_len
        if possible < 1 << ids.MIN_ENTROPY_BITS:
            import warnings

            bits = ids.entropy_bits(self.session_id_len, self.session_id_chars)
            warnings.warn(
                f"session IDs have {bits:.0f} bits of entropy, less than "
                f"{ids.MIN_ENTROPY_BITS}: raise sessionIDLength",
                WeakSessionIDWarning,
                stacklevel=3,
            )

    def __getattr__(self, name: str) -> Any:
        # Compiled only for those who ask: importing re takes longer than
        # a CGI request.
        if name == "session_id_re":
            import re

            self.session_id_re = re.compile(
                rf"[{re.escape(self.session_id_chars)}]+\Z"
            )
            return self.session_id_re
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def now(self) -> float:
        """
        The time by this object's clock, in seconds since the epoch.
        """
        return time.time() if self._clock is None else self._clock()

    def idleLimit(self) -> float:
        """
        Seconds without a store after which a session can no longer be used:
        the shorter one of ``expireDeactivate`` and ``expireRemove``; 0: none.
        Sessions may have limits of their own, see `newSession`.
        """
        deactivate, remove = self.expireDeactivate, self.expireRemove
        if deactivate and remove:
            return min(deactivate, remove)
        return deactivate or remove

    # What subclasses override

    def _validateSessionIdFormat(self, session_id: str) -> None:
        """
        BadSessionId, unless `_generateSessionID` could have made it, or
        ``otherIDLengths`` lets it pass.
        """
        if (
            not isinstance(session_id, str)
            or len(session_id) != self.session_id_len
            # Cheaper than a regular expression: what is left of it without
            # the characters that it may have?
            or session_id.strip(self.session_id_chars)
        ) and not self._is_of_other_length(session_id):
            raise BadSessionId(session_id)

    def _is_of_other_length(self, session_id: object) -> bool:
        return (
            bool(self._other_chars)
            and isinstance(session_id, str)
            and len(session_id) in ids.OTHER_LENGTHS
            and not session_id.strip(self._other_chars)
        )

    def _crosscheckSessionEnv(
        self, stored_env: Mapping[str, Any], current_env: Mapping[str, Any]
    ) -> Sequence[str]:
        """Names of stored variables that differ or are missing now."""
        return [
            name
            for name, value in stored_env.items()
            if name not in current_env or current_env[name] != value
        ]

    def _generateCrosscheckEnv(
        self, current_env: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The variables to be cross-checked, as far as they are there."""
        return {
            name: current_env[name]
            for name in self.crossCheckVars
            if name in current_env
        }

    def _generateSessionID(self, maxtry: int = 1) -> str:
        """
        Draws a new ID from the system's CSPRNG.

        Args:
            maxtry: with 1 the ID is not looked up, since making the session
                finds out. Otherwise how many to draw until one is not in use;
                0: as many as it takes.

        Raises:
            GenerateIDError: all of them were in use.
        """
        new_id: str = self._draw_id(self.session_id_len, self._alphabet)
        if maxtry == 1:
            return new_id
        tried = 1
        while new_id in self.sessiondict:
            if tried == maxtry:
                raise GenerateIDError(maxtry)
            new_id = self._draw_id(self.session_id_len, self._alphabet)
            tried += 1
        return new_id

    # What the methods of WebSession are made of

    def _create(
        self,
        data: object,
        env: Mapping[str, Any],
        limit: int | None,
        created: float | None = None,
        idle: int = 0,
    ) -> str:
        for _ in range(_TRIES):
            session_id = self._generateSessionID()
            if self._store.create(
                session_id,
                data,
                env,
                now=self.now(),
                created=created,
                limit=limit,
                idle=self.expireRemove,
                lifetime=self.maxLifetime,
                own_idle=idle,
            ):
                return session_id
        raise GenerateIDError(_TRIES)

    def _commit(
        self,
        session_id: str,
        data: object,
        expected: object = None,
        own_idle: int | None = None,
        timeout: float | None = None,
    ) -> object:
        # On the way of every call, so `now` and `idleLimit` are written out.
        clock = self._clock
        idle, remove = self.expireDeactivate, self.expireRemove
        if remove and not 0 < idle < remove:
            idle = remove
        return self._store.commit(
            session_id,
            data,
            now=time.time() if clock is None else clock(),
            idle=idle,
            lifetime=self.maxLifetime,
            expected=expected,
            own_idle=own_idle,
            timeout=timeout,
        )

    def _crosscheck(
        self, record: SessionRecord, env: Mapping[str, Any]
    ) -> None:
        failed_vars = self._crosscheckSessionEnv(record.env, env)
        if failed_vars:
            raise SessionHijacked(failed_vars)
