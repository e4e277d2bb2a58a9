"""
What the demo needs of HTTP: the cookie, forms, the check against cross-site
requests, and answers. A framework would bring all of it along.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["BadRequest", "Request", "Response"]

LONGEST_BODY = 64 << 10

_COMMON_HEADERS = (
    # What a session holds is nobody else's business, nor a cache's.
    ("Cache-Control", "no-store"),
    ("Vary", "Cookie"),
    ("X-Content-Type-Options", "nosniff"),
    # Without a referrer browsers send "Origin: null" with forms.
    ("Referrer-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
    ),
)


class BadRequest(Exception):
    """
    A request that is answered with this status and sentence.
    """

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence


class Response:
    """
    An answer.

    Args:
        body: a page, or a sentence.
        status: number and phrase.
        kind: the media type; all are UTF-8.
        headers: further ones.
    """

    def __init__(
        self,
        body: str,
        status: str = "200 OK",
        kind: str = "text/html",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.body = body.encode("utf-8", "replace")
        self.status = status
        self.headers = [
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            *_COMMON_HEADERS,
            *headers,
        ]

    def send(
        self, request: Request, start_response: StartResponse
    ) -> list[bytes]:
        """What a WSGI application does last."""
        start_response(self.status, self.headers)
        return [b""] if request.method == "HEAD" else [self.body]


class Request:
    """
    A request, as WSGI describes it.

    Attributes:
        method: ``GET`` and the like.
        path: below the application's own address.
        query: what follows the question mark.
        session_id: what the cookie says, whatever that is; None: no cookie.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        self.query: str = environ.get("QUERY_STRING", "")
        self._secure = environ["wsgi.url_scheme"] == "https"
        # Browsers take a cookie of this prefix only over TLS and from this
        # very host: no neighbour can plant one.
        self._cookie_name = ("__Host-" if self._secure else "") + "websession"
        self.session_id = self._cookie()

    def _cookie(self) -> str | None:
        """
        The first value under our name. Nothing is decoded, so nothing can go
        wrong; the session's own check finds out what is no ID.
        """
        for part in self.environ.get("HTTP_COOKIE", "").split(";"):
            name, equals, value = part.strip(" \t").partition("=")
            if equals and name == self._cookie_name:
                return str(value)
        return None

    def set_cookie(self, session_id: str | None) -> tuple[str, str]:
        """The header that sets the cookie, or clears it (None)."""
        cookie = f"{self._cookie_name}={session_id or ''}; Path=/; HttpOnly"
        if session_id is None:
            cookie += "; Max-Age=0"
        if self._secure:
            cookie += "; Secure"
        return "Set-Cookie", f"{cookie}; SameSite=Lax"

    def check_origin(self) -> None:
        """
        Refuses what another site made a browser send (CSRF).

        Browsers say where a request comes from: in Sec-Fetch-Site, and where
        that is missing (old ones, plain HTTP) in Origin. What sends neither
        is no browser and carries nobody's cookie but its own. So there is no
        token to keep, and a form works before there is a session. Behind this
        stands SameSite=Lax: other sites' forms come without the cookie.
        """
        site = self.environ.get("HTTP_SEC_FETCH_SITE")
        origin = self.environ.get("HTTP_ORIGIN")
        if site is not None:
            good = site in ("same-origin", "none")
        elif origin is not None:
            host = self.environ.get("HTTP_HOST")
            good = bool(host) and origin.partition("://")[2] == host
        else:
            good = True
        if not good:
            raise BadRequest(
                "403 Forbidden", "This request comes from another site."
            )

    def form(self) -> dict[str, str]:
        """
        The fields of a form.

        Raises:
            BadRequest: too long, incomplete, or no form.
        """
        # Late, because only forms need it.
        from urllib.parse import parse_qsl

        length = self.environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            raise BadRequest("400 Bad Request", "What length is that?")
        if len(length) > 9 or int(length) > LONGEST_BODY:
            raise BadRequest(
                "413 Content Too Large",
                f"No more than {LONGEST_BODY} bytes, please.",
            )
        body = self.environ["wsgi.input"].read(int(length))
        if len(body) != int(length):
            raise BadRequest("400 Bad Request", "The form is incomplete.")
        try:
            fields = parse_qsl(
                body.decode("ascii", "replace"),
                keep_blank_values=True,
                errors="replace",
                max_num_fields=10,
            )
        except ValueError:
            raise BadRequest(
                "400 Bad Request", "That is not the form of this page."
            ) from None
        return dict(fields)

    def redirect(self, *headers: tuple[str, str]) -> Response:
        """To the page, so that reloading it does not send a form again."""
        from urllib.parse import quote

        base = quote(self.environ.get("SCRIPT_NAME", ""), encoding="latin-1")
        # One slash: two would begin the name of another host.
        home = "/" + f"{base}{self.path}".lstrip("/")
        return Response(
            f'<!DOCTYPE html><title>Done</title><a href="{home}">Back</a>\n',
            "303 See Other",
            headers=(("Location", home), *headers),
        )
