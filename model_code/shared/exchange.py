"""What a handler exchanges with its container: text, media types and the word for a bad request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
PNG = "image/png"


class Refused(ValueError):  # noqa: N818 - says what happened
    """The request, not the model, is at fault."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def media_type(header: str) -> str:
    """``text/csv`` of ``text/csv; charset=utf-8``, which is what one container hands the next."""
    return header.split(";", 1)[0].strip().lower()


def text(body: str | bytes) -> str:
    """The body as text: containers decode it for two exact content types and for no other.

    Raises:
        Refused: the body is not UTF-8.
    """
    if isinstance(body, str):
        return body
    try:
        return body.decode("utf-8-sig")  # spreadsheets put a byte order mark before the first name
    except UnicodeDecodeError as error:
        raise Refused(f"the body must be UTF-8 text, got {error}") from error


def negotiate(accept: str, offered: Sequence[str]) -> str:
    """Return the first media type of an Accept header that is offered.

    Raises:
        Refused: 406, none is offered.
    """
    for wanted in (media_type(part) for part in accept.split(",")):
        if wanted == "*/*":
            return offered[0]
        if wanted in offered:
            return wanted
    raise Refused(f"accept must be one of {', '.join(offered)}, got {accept!r}", status=406)


def unsupported(content_type: str, accepted: Sequence[str]) -> Refused:
    """The refusal of a body in another format than ``accepted``."""
    return Refused(
        f"content type must be one of {', '.join(accepted)}, got {content_type!r}", status=415
    )
