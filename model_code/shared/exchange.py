"""What a handler exchanges with its container: text, media types and refusals.

AWS's scikit-learn and XGBoost containers answer every exception of a handler with 500 and without
its text. A caller learns what was wrong with a request only from a ``worker.Response`` that the
handler returns, and a response that ``input_fn`` returns still travels through ``predict_fn`` and
``output_fn``. ``answers_refusals`` makes both happen.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, TypeVar

from sagemaker_containers.beta.framework import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JSON = "application/json"
CSV = "text/csv"

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_Result = TypeVar("_Result")


class Refused(ValueError):
    """The request, not the model, is at fault."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def answers_refusals(
    function: Callable[[_First, _Second], _Result],
) -> Callable[[_First | worker.Response, _Second], _Result | worker.Response]:
    """Answer ``Refused`` with its status and ``{"error": message}``; pass earlier answers on.

    Fits ``input_fn``, ``predict_fn`` and ``output_fn`` alike: each takes what the one before it
    returned, and one thing more.
    """

    @functools.wraps(function)
    def answer(first: _First | worker.Response, second: _Second) -> _Result | worker.Response:
        if isinstance(first, worker.Response):
            return first
        try:
            return function(first, second)
        except Refused as refused:
            body = json.dumps({"error": str(refused)})
            return worker.Response(response=body, status=refused.status, mimetype=JSON)

    return answer


def media_type(header: str) -> str:
    """``text/csv`` of ``text/csv; charset=utf-8``, which is what one container hands the next."""
    return header.split(";", 1)[0].strip().lower()


def text(body: str | bytes) -> str:
    """The body as text: containers decode it for two exact content types and for no other."""
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
