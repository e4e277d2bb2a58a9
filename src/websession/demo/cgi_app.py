#!/usr/bin/env python3
"""
The demo as a CGI script: a process for each request, nothing kept in memory.

Let a web server run this file, or a copy or link of it, with a Python that has
websession installed. The sessions are in the directory that the variable
WEBSESSION_DEMO_DIRECTORY names, otherwise in one under the temporary
directory; the user that the server runs scripts as must own it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from _typeshed.wsgi import WSGIApplication

__all__ = ["main"]


def run_cgi(app: WSGIApplication) -> None:
    """
    Answers the request that is described by the environment.

    Like wsgiref's CGIHandler, whose import would make every request a quarter
    slower.
    """
    # WSGI wants the bytes of the environment as Latin-1.
    environ: dict[str, Any] = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in os.environb.items()
    }
    https = environ.get("HTTPS", "").lower() in ("on", "1")
    environ.update(
        {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if https else "http",
            "wsgi.input": sys.stdin.buffer,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": True,
        }
    )
    answer: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        lines = [f"Status: {status}", *(f"{k}: {v}" for k, v in headers)]
        answer.append("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return answer.append

    answer.extend(app(environ, start_response))
    # At once and complete, or not at all.
    sys.stdout.buffer.write(b"".join(answer))
    sys.stdout.buffer.flush()


def main() -> int:
    """
    Answers one request.

    Returns:
        The exit status.
    """
    if "REQUEST_METHOD" not in os.environ:
        sys.stderr.write("This is a CGI script: let a web server run it.\n")
        return 2
    from websession import SessionStoreError
    from websession.demo.app import default_directory, make_app
    from websession.exceptions import printable

    try:
        app = make_app(default_directory())
    except SessionStoreError as error:
        sys.stderr.write(f"websession demo: {printable(str(error))}\n")
        sys.stdout.write(
            "Status: 503 Service Unavailable\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
            "The sessions cannot be reached. Try again later.\n"
        )
        return 1
    run_cgi(app)
    return 0


if __name__ == "__main__":
    sys.exit(main())
