"""
The body of a response that is made while it is sent.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["Body", "close", "is_file", "is_made"]


def is_made(body: object) -> bool:
    """
    Whether a body is there, so that making it uses no session any more.
    Otherwise the application makes it while it is sent.
    """
    return body is None or isinstance(body, (bytes, str, list, tuple, dict))


def is_file(body: object, environ: Any) -> bool:
    """Whether it is the server that reads the body, from a file."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        return True
    # Of servers whose wrapper is a function.
    return hasattr(body, "read") or hasattr(body, "filelike")


def close(body: object) -> None:
    """Calls its ``close()``, if it has one."""
    method = getattr(body, "close", None)
    if method is not None:
        method()


class Body:
    """
    Calls `end` when all of the body has been made, before the server can tell
    the client so; or when it is closed, since the client has gone. Not after
    an exception in it.

    Args:
        body: gives the pieces, and is closed.
        end: may be called twice.
        pieces: what gives them, if it is not the body itself.
    """

    __slots__ = ("_body", "_end", "_pieces")

    def __init__(
        self,
        body: Iterable[Any],
        end: Callable[[], object],
        pieces: Iterator[Any] | None = None,
    ) -> None:
        self._body = body
        self._end: Callable[[], object] | None = end
        self._pieces = body if pieces is None else pieces

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._pieces
        except Exception:
            self._end = None
            raise
        if self._end is not None:
            self._end()

    def close(self) -> None:
        """The server calls it at the end, also of half a response."""
        try:
            close(self._body)
        finally:
            if self._end is not None:
                self._end()
