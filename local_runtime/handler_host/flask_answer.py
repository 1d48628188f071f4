"""What a handler returned, as Flask would answer it.

The scikit-learn and XGBoost containers hand the result of a handler to Flask 1.1, whose rules
differ from those of the other containers: text is HTML, a dictionary is JSON, None is an error.
"""

from __future__ import annotations

from .message import PHRASES, Answer
from .streaming import is_stream, open_stream
from .toolkits.response import Headers, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HTML = "text/html; charset=utf-8"

_TEXTS = {
    404: "The requested URL was not found on the server. If you entered the URL manually please "
    "check your spelling and try again.",
    500: "The server encountered an internal error and was unable to complete your request. Either "
    "the server is overloaded or there is an error in the application.",
}


def answer_result(result: Any) -> Answer:
    """The answer for what ``output_fn`` or ``transform_fn`` returned."""
    if isinstance(result, tuple):
        return answer_response(Response(response=result[0], mimetype=result[1]))
    if isinstance(result, str):
        return Answer(result.encode(), HTML)
    if isinstance(result, (bytes, bytearray)):
        return Answer(bytes(result), HTML)
    if isinstance(result, dict):
        import json  # noqa: PLC0415

        text = json.dumps(result, sort_keys=True, separators=(",", ":"))
        return Answer(f"{text}\n".encode(), "application/json")
    if hasattr(result, "get_data") and hasattr(result, "status_code"):
        return answer_response(result)
    if is_stream(result):
        return Answer(open_stream(result), HTML)
    raise TypeError(
        "the handler did not return a valid response: it must be a str, bytes, dict, tuple or "
        f"Response, got {type(result).__name__}"
    )


def answer_response(response: Any) -> Answer:
    """The answer for a Response object, of Flask or of the stand-in for it."""
    headers = response.headers if isinstance(response.headers, Headers) else dict(response.headers)
    whole = response.is_sequence
    body = response.get_data() if whole else open_stream(iter(response.response))
    return Answer(body, headers.get("Content-Type"), response.status_code, list(headers.items()))


def error_page(status: int, detail: str = "") -> Answer:
    """Flask's page for a status.

    AWS's page says nothing about the error, which stands in the log alone. Here ``detail`` follows
    in an HTML comment, so that the caller on a laptop sees it too.
    """
    phrase = PHRASES[status]
    page = (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n'
        f"<title>{status} {phrase}</title>\n<h1>{phrase}</h1>\n<p>{_TEXTS[status]}</p>\n"
    )
    if detail:
        page += f"<!--\n{detail.replace('-->', '-- >')}\n-->\n"
    return Answer(page.encode("utf-8", "backslashreplace"), HTML, status)


def html_error(status: int, text: str) -> Answer:
    """An error that a container answers as a bare sentence."""
    return Answer(text.encode("utf-8", "backslashreplace"), HTML, status)
