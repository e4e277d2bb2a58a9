"""
Sessions for CGI scripts that print their headers themselves (RFC 3875).

    from websession import cgi

    with cgi.session("/home/ann/sessions") as session:
        session["visits"] = session.get("visits", 0) + 1
        print("Content-Type: text/plain")
        print(session.headers())
        print()
        print(session["visits"], "visits")
"""

from __future__ import annotations

import os
import sys
from io import BufferedIOBase, TextIOWrapper, UnsupportedOperation

from .exceptions import SessionBusy, SessionException, SessionLocked
from .web import refusal
from .web.cookie import SessionCookie
from .web.events import log_event
from .web.headers import with_session
from .web.loading import BEFORE
from .web.manager import SessionManager
from .web.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, NoReturn

    from typing_extensions import Unpack

    from .options import MiddlewareOptions
    from .web.events import SessionEvent
    from .web.manager import Sessions

__all__ = ["CGISession", "session"]

# What is answered with a sentence, and not with the server's own error.
_REFUSED = (*refusal.REFUSED, SessionBusy, SessionLocked)


class _Held(BufferedIOBase):
    """
    Stands in the place of the standard output, and keeps what is printed until
    it is released.
    """

    def __init__(self, out: Any) -> None:
        self._out = out
        # What codecs made has another name for it.
        self._raw = getattr(out, "buffer", None) or out.stream
        self._kept: list[bytes] | None = []
        self._text = sys.stdout = TextIOWrapper(
            self,
            encoding=getattr(out, "encoding", None) or "utf-8",
            errors=out.errors,
            line_buffering=getattr(out, "line_buffering", False),
            write_through=getattr(out, "write_through", False),
        )

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """For programs that the script starts after its headers."""
        if self._kept is not None:
            raise UnsupportedOperation(
                "print(session.headers()) before others write to the output"
            )
        self._raw.flush()
        number: int = self._raw.fileno()
        return number

    def write(self, data: Any) -> int:
        if self._kept is None:
            self._raw.write(data)
        else:
            self._kept.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        # Also called when nothing refers to this any more.
        if self._kept is None and not self._raw.closed:
            self._raw.flush()

    def release(self) -> None:
        """From now on all goes through, after what was kept."""
        _flush(self._text)
        _flush(self._out)
        kept, self._kept = self._kept, None
        self._raw.writelines(kept or ())

    def has_blank_line(self) -> bool:
        """Whether what was printed has the line that ends the headers."""
        # Whatever the script has put in the place of ours, or before it.
        _flush(sys.stdout)
        _flush(self._text)
        text = getattr(sys.stdout, "getvalue", str)()
        kept = b"".join(self._kept or ()) + text.encode("utf-8", "replace")
        lines = kept.replace(b"\r\n", b"\n")
        return lines.startswith(b"\n") or b"\n\n" in lines

    def end(self) -> None:
        """Gives the place back; what is kept is forgotten."""
        _flush(sys.stdout)
        _flush(self._text)
        sys.stdout = self._out


def _flush(file: Any) -> None:
    try:
        file.flush()
    except ValueError:
        pass  # the script has closed it


class CGISession(Session):
    """
    The session of the request that a script was started for, to be used in a
    `with` statement around everything that the script prints. What changes
    before `headers` is stored by then, what changes later at the end, without
    a new cookie. An exception that the script does not catch stores nothing;
    `sys.exit` is none.

    What is printed before `headers` is called is held back until then. So a
    session that cannot be had or stored at present, or is too large, is
    answered with a 503 or a 413 in the place of all that, and the script ends.
    """

    _lock_timeout: float | None = None
    _has_begun = False
    _held: _Held | None = None
    _pid = 0  # of whom has entered it

    def headers(self, others: Iterable[tuple[str, str]] = ()) -> str:
        """
        Stores the session. To be printed with the other headers, before the
        empty line.

        Args:
            others: names and values of further headers. What a script says
                about caches (``Cache-Control``, ``Vary``) belongs here, so
                that no shared cache hands out the cookie.

        Returns:
            Lines, of which the last one has no end: ``Vary``, and if the
            browser is to be told of the session, ``Cache-Control`` and
            ``Set-Cookie``. Never empty.

        Raises:
            ValueError: a header with the end of a line in it.
            RuntimeError: the empty line was printed before, and nothing is
                stored; it was called before, or not inside of `with`.
            MaxSessionCountExceeded, SessionTooLarge, SessionStoreError,
            TypeError: it could not be stored, see `Session`.
        """
        own = [*others]
        # Before anything is stored.
        _lines(own)
        if not self._pid:
            raise RuntimeError("print(session.headers()) inside of `with`")
        if self._has_begun or (
            self._held is not None and self._held.has_blank_line()
        ):
            # It would show the session's ID in the page.
            raise RuntimeError(
                "print(session.headers()) once, and before the empty line "
                "that ends the headers"
            )
        self._store()
        self._has_begun = True
        self._release()
        cookie = self._cookie() if self.accessed else None
        return "\n".join(_lines(with_session(own, cookie)))

    def _store(self) -> None:
        try:
            self._commit()
        except BaseException:
            self._phase = BEFORE  # so that less may be tried
            raise
        finally:
            self._unlock()

    def __enter__(self) -> CGISession:
        if self._pid:
            raise RuntimeError("a session is for one `with`, and one request")
        self._pid = os.getpid()
        if self._lock_timeout is not None:
            label = os.environ.get("SCRIPT_NAME", "")[:80]
            try:
                self._lock(self._lock_timeout, label)
            except _REFUSED as error:
                _refuse(error)
        if hasattr(sys.stdout, "buffer") or hasattr(sys.stdout, "stream"):
            self._held = _Held(sys.stdout)
        return self

    def __exit__(
        self, kind: object, error: object, trace: object
    ) -> Literal[False]:
        # A child that was forked within answers nothing, and stores nothing.
        is_ours = self._pid == os.getpid()
        try:
            if is_ours and (error is None or isinstance(error, SystemExit)):
                self._end()
                self._release()
                return False
        except _REFUSED as refused:
            error = refused
        finally:
            try:
                if self._held is not None:
                    self._held.end()
            finally:
                if is_ours:
                    self._unlock()
        if is_ours and not self._has_begun and isinstance(error, _REFUSED):
            _refuse(error)
        return False

    def _release(self) -> None:
        if self._held is not None:
            self._held.release()

    def _end(self) -> None:
        """After all that the script printed."""
        if self._has_begun:
            self._finish()
            return
        self._store()
        # A cookie that is to be forgotten may as well come again.
        if self._for_browser():
            raise RuntimeError(
                "the browser was not told of its session: "
                "print(session.headers()) before the empty line that ends "
                "the headers"
            )


def session(
    sessions: Sessions,
    *,
    lock: bool = False,
    lock_timeout: float = 10.0,
    cookie: SessionCookie | None = None,
    touch_interval: float | None = None,
    grace: float = 10.0,
    on_event: Callable[[SessionEvent], object] = log_event,
    **options: Unpack[MiddlewareOptions],
) -> CGISession:
    """
    The session of the request that this process was started for.

    Args:
        sessions: the path of a directory, a store, or a `WebSession`; see
            `SessionManager`.
        lock: True: requests of one session that come with its cookie run one
            after the other, from the `with` statement to the headers.
        lock_timeout: seconds to wait for that; then the answer is 503.
        cookie: name and attributes of the cookie. Default: secure, which
            browsers do not send over plain HTTP (some do to localhost):
            ``SessionCookie(secure=None)`` for a server without TLS.
        touch_interval, grace, on_event: see `SessionManager`.
        options: ``idle``, ``lifetime``, ``durability`` and so on, see
            `WebSession.for_web`.

    Raises:
        UnsafeStore, SessionStoreError, ValueError, TypeError: as
            `WebSession.for_web`.
    """
    manager = SessionManager(
        sessions,
        cookie=cookie,
        touch_interval=touch_interval,
        grace=grace,
        on_event=on_event,
        **options,
    )
    found = CGISession(manager, _environ())
    found._lock_timeout = lock_timeout if lock else None
    return found


def _environ() -> dict[str, str]:
    """The request as WSGI would describe it: bytes as Latin-1."""
    environ = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in os.environb.items()
    }
    https = (
        environ.get("HTTPS", "").lower() in ("on", "1", "yes")
        or environ.get("REQUEST_SCHEME") == "https"
    )
    environ["wsgi.url_scheme"] = "https" if https else "http"
    return environ


def _lines(headers: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"{name}: {value}" for name, value in headers]
    for line in lines:
        if not line.isprintable():
            raise ValueError(f"a header with control characters: {line!r}")
    return lines


def _refuse(error: SessionException) -> NoReturn:
    """Answers in the place of the script, and of all that it would print."""
    answer = refusal.of(error)
    lines = [f"Status: {answer.status}", *_lines(answer.headers), "", ""]
    sys.stdout.write("\n".join(lines) + answer.body.decode("ascii"))
    sys.stdout.flush()
    sys.exit()
