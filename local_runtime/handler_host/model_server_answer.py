"""What a handler returned, as Multi Model Server would answer it.

Source: mms/protocol/otf_message_handler.py of multi-model-server 1.1.11.
"""

from __future__ import annotations

from .message import Answer
from .process_log import log_exception
from .streaming import is_stream, open_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .context import RequestProcessor

# The server writes its JSON with Gson, which escapes what could be taken for HTML.
_GSON_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&='"}


def answer_value(value: Any, request: RequestProcessor) -> Answer:
    """The answer for a handler's value: bytes and text as they are, everything else as JSON."""
    if is_stream(value):
        body: Any = open_stream(value)
    elif isinstance(value, (bytes, bytearray)):
        body = bytes(value)
    elif isinstance(value, str):
        body = value.encode()
    else:
        import json  # noqa: PLC0415  (most handlers answer in text of their own)

        try:
            body = json.dumps(value, indent=2).encode()
        except TypeError:
            log_exception("the answer cannot be written as JSON")
            return json_error(503, "Unsupported model output data type.")
    headers = request.get_response_headers()
    return Answer(
        body,
        headers.get("content-type"),
        request.get_response_status_code(),
        list(headers.items()),
    )


def json_error(status: int, message: str) -> Answer:
    """The server's own error document."""
    import json  # noqa: PLC0415

    error = {"code": status, "type": "InternalServerException", "message": message}
    text = json.dumps(error, indent=2, ensure_ascii=False).translate(_GSON_ESCAPES)
    return Answer(f"{text}\n".encode("utf-8", "backslashreplace"), "application/json", status)
