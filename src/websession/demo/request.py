"""
What the demo needs of HTTP: forms, the check against cross-site requests, and
answers. A framework would bring all of it along.
"""

from __future__ import annotations

from ..wsgi import ENVIRON_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..web import Session

__all__ = ["BadRequest", "Request", "Response"]

LONGEST_BODY = 64 << 10

_COMMON_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    # Without a referrer browsers send "Origin: null" with forms.
    ("Referrer-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
    ),
)


_IN_PATHS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-~"
)


def _quoted(path: str) -> str:
    """A path from the environment as part of an address."""
    if _IN_PATHS.issuperset(path):
        return path
    # The import takes longer than a CGI request may last.
    from urllib.parse import quote

    return quote(path, encoding="latin-1")


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
        body: a page, a sentence, or the content of a file.
        status: number and phrase.
        kind: the media type; all are UTF-8.
        headers: further ones.
        cache: what caches may do. What a session holds is nobody else's
            business, nor a cache's.
    """

    def __init__(
        self,
        body: str | bytes,
        status: str = "200 OK",
        kind: str = "text/html",
        headers: tuple[tuple[str, str], ...] = (),
        cache: str = "no-store",
    ) -> None:
        if isinstance(body, str):
            body = body.encode("utf-8", "replace")
        self.body = body
        self.status = status
        self.headers = [
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", cache),
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
        base: that address, for links: ``""`` or ``"/cgi-bin/demo.py"``.
        session: the `Session` that the middleware provides.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "") or "/"
        # One slash: two would begin the name of another host.
        base = environ.get("SCRIPT_NAME", "").strip("/")
        self.base = f"/{_quoted(base)}" if base else ""
        self.session: Session = environ[ENVIRON_KEY]

    @property
    def wants_json(self) -> bool:
        """Whether a script asks, not a form."""
        return "application/json" in self.environ.get("HTTP_ACCEPT", "")

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

    def redirect(self) -> Response:
        """To the page, so that reloading it does not send a form again."""
        home = f"{self.base}/"
        return Response(
            f'<!DOCTYPE html><title>Done</title><a href="{home}">Back</a>\n',
            "303 See Other",
            headers=(("Location", home),),
        )
