"""Who may talk to the console, and what its pages may do.

The runtime listens on the loopback interface alone, but a browser of the same machine would carry
any web page's requests there. A page that has pointed a name of its own to 127.0.0.1 is known by
its Host, one that calls from elsewhere by the headers that browsers add and no page can set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
# "none" is a person: an address typed, a bookmark.
_OWN_SITES: Final = ("same-origin", "none")

# Nothing but the console's own files, no inline code or style, and no text that becomes markup:
# not even the console's own scripts can write HTML.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


def refusal(environ: Mapping[str, Any]) -> str | None:
    """Why a request is not answered; None when it is."""
    host = environ.get("HTTP_HOST", "")
    if _name(host) not in _LOOPBACK_NAMES:
        return "call the console by a loopback name, such as 127.0.0.1"
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and urlsplit(origin).netloc != host:
        return "the console answers its own pages alone"
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is None or site in _OWN_SITES or _is_a_link(environ):
        return None
    return "the console answers its own pages alone"


def _is_a_link(environ: Mapping[str, Any]) -> bool:
    """Whether a person has followed a link from another page: it shows a page, and no more."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
        and "/api/" not in environ["PATH_INFO"]
    )


def _name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
