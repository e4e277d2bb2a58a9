"""
The cookie that carries the session ID.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..options import SameSite

__all__ = ["SessionCookie", "check_id_chars"]

_BASE_NAME = "websession"
# A browser sends a cookie twice if it has it for two paths or domains. More
# than a few are not a browser's, and each costs a look at the store.
_MOST_VALUES = 4
# RFC 6265 and RFC 9110: what the name may consist of.
_TOKEN = frozenset(
    "!#$%&'*+-.^_`|~0123456789"
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
# RFC 6265: what a value may not have of the printable ASCII characters.
_NO_VALUE = frozenset(' ",;\\')
_SAME_SITE = ("Strict", "Lax", "None")


class SessionCookie:
    """
    Name and attributes of the cookie. ``HttpOnly`` is always among them: no
    script needs the ID.

    Args:
        name: None: ``__Host-websession`` where the cookie is secure, for the
            whole host and for no domain, so that no neighbour can plant one
            (RFC 6265bis); otherwise ``websession``, as ``__Secure-`` where it
            is secure.
        secure: whether browsers send it over TLS only. None: as the request
            came, which tells little behind a proxy that ends TLS.
        same_site: ``"Lax"`` (default), ``"Strict"``, or ``"None"``, which
            needs `secure`.
        path: below which it is sent; default: the whole host.
        domain: that it is sent to, with all hosts below. None: this host.
        max_age: seconds that the browser keeps it; it is sent anew whenever
            the session is stored or touched. None: until it is closed.
        partitioned: whether the browser keeps one for each site that embeds
            this one (CHIPS); needs `secure`, and ``same_site="None"`` to be
            sent there.

    Raises:
        ValueError: attributes that browsers would not take.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        secure: bool | None = True,
        same_site: SameSite = "Lax",
        path: str = "/",
        domain: str | None = None,
        max_age: int | None = None,
        partitioned: bool = False,
    ) -> None:
        self.secure = secure
        self.max_age = max_age
        self._check(name, same_site, path, domain, secure)
        if partitioned and secure is not True:
            raise ValueError("partitioned=True needs secure=True")
        self._secure = "; Secure; Partitioned" if partitioned else "; Secure"
        self._names = tuple(
            name or _default_name(path, domain, is_secure)
            for is_secure in (False, True)
        )
        attributes = f"; Path={path}; HttpOnly; SameSite={same_site}"
        if domain is not None:
            attributes += f"; Domain={domain}"
        self._attributes = attributes

    @staticmethod
    def _check(
        name: str | None,
        same_site: str,
        path: str,
        domain: str | None,
        secure: bool | None,
    ) -> None:
        if name is not None and not (name and _TOKEN.issuperset(name)):
            raise ValueError(
                f"cookie name {name!r}: letters, digits and !#$%&'*+-.^_`|~"
            )
        if same_site not in _SAME_SITE:
            raise ValueError(f"same_site is one of {', '.join(_SAME_SITE)}")
        if same_site == "None" and secure is not True:
            raise ValueError("same_site='None' needs secure=True")
        for what, value in (("path", path), ("domain", domain or "")):
            if ";" in value or not (value.isascii() and value.isprintable()):
                raise ValueError(f"cookie {what} {value!r} has odd characters")
        if not path.startswith("/"):
            raise ValueError(f"cookie path {path!r} does not begin with /")
        if (name or "").startswith("__Secure-") and secure is not True:
            raise ValueError("a __Secure- cookie needs secure=True")
        if (name or "").startswith("__Host-") and (
            secure is not True or path != "/" or domain is not None
        ):
            raise ValueError(
                "a __Host- cookie needs secure=True, path='/' and no domain"
            )

    def _is_secure(self, https: bool) -> bool:
        return https if self.secure is None else self.secure

    def name(self, https: bool) -> str:
        """The cookie's name in a request over TLS (`https`), or without."""
        return self._names[self._is_secure(https)]

    def values(self, header: str, https: bool) -> list[str]:
        """
        What a ``Cookie`` header says under our name: whatever it is, nothing
        decoded, the first few different ones in their order.
        """
        name = self.name(https)
        if name not in header:
            return []
        found: list[str] = []
        for part in header.split(";"):
            if name not in part:
                continue
            key, equals, value = part.strip(" \t").partition("=")
            if not equals or key.rstrip(" \t") != name:
                continue
            value = value.lstrip(" \t")
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            if value not in found:
                found.append(value)
                if len(found) == _MOST_VALUES:
                    break
        return found

    def set(
        self, session_id: str, https: bool, max_age: int | None = None
    ) -> str:
        """
        The value of ``Set-Cookie`` that makes a browser keep the ID.

        Args:
            max_age: for how many seconds; None: what the settings say.
        """
        if max_age is None:
            max_age = self.max_age
        age = "" if max_age is None else f"; Max-Age={max_age}"
        return f"{self.name(https)}={session_id}{age}{self._tail(https)}"

    def clear(self, https: bool) -> str:
        """The value of ``Set-Cookie`` that makes a browser forget the ID."""
        # Expires for those that do not know Max-Age.
        return (
            f"{self.name(https)}=; Max-Age=0; "
            f"Expires=Thu, 01 Jan 1970 00:00:00 GMT{self._tail(https)}"
        )

    def _tail(self, https: bool) -> str:
        return self._attributes + (self._secure * self._is_secure(https))


def check_id_chars(chars: str) -> None:
    """ValueError if a cookie cannot carry IDs of these characters."""
    wrong = sorted(_NO_VALUE.intersection(chars))
    if wrong:
        raise ValueError(
            f"sessionIDChars has {' '.join(map(repr, wrong))}: no cookie can "
            "carry that (RFC 6265); take letters, digits, - . _ ~"
        )


def _default_name(path: str, domain: str | None, is_secure: bool) -> str:
    if not is_secure:
        return _BASE_NAME
    whole_host = path == "/" and domain is None
    return ("__Host-" if whole_host else "__Secure-") + _BASE_NAME
