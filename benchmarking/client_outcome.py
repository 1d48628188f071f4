"""What an answer means: how a request ended, in the words of ``records.Outcome``.

Sources: service model of sagemaker-runtime 2017-05-13 (errors and their status); a throttled
serverless invocation is HTTP 400 with the code ThrottlingException and no message, a model that is
still being loaded 429 with ModelNotReadyException.
"""

from __future__ import annotations

import json
from typing import Final

from benchmarking.records import Outcome

_THROTTLES: Final = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)
_NOT_READY: Final = "ModelNotReadyException"
_MODEL_ERROR: Final = "ModelError"
_OUT_OF_MEMORY: Final = ("insufficient memory", "out of memory")
_TIMED_OUT: Final = "invocation timed out"
_MESSAGE_MAX: Final = 500


def outcome_of(status: int, head: bytes, body: bytes) -> tuple[Outcome, str | None]:
    """How a request ended that was answered, and the service's words when it did not end well.

    Args:
        head: status line and headers.
        body: its first kilobytes.
    """
    if 200 <= status < 300:
        return "ok", None
    kind, message = _error(head, body)
    words = ": ".join(part for part in (kind, message) if part) or f"HTTP {status}"
    return _outcome(status, kind, message), one_line(words)


def one_line(words: str) -> str:
    """Words of the service as they are kept: a page of HTML takes no more room than they do."""
    return " ".join(words.split())[:_MESSAGE_MAX]


def _outcome(status: int, kind: str, message: str) -> Outcome:
    if kind in _THROTTLES:
        return "throttle"
    if kind == _NOT_READY:
        return "not-ready"
    if kind == _MODEL_ERROR or (not kind and status == 424):
        lowered = message.lower()
        if any(words in lowered for words in _OUT_OF_MEMORY):
            return "out-of-memory"
        return "timeout" if _TIMED_OUT in lowered else "model-error"
    # Something between the client and the service may throttle, without the service's header.
    return "throttle" if not kind and status == 429 else "other"


def header(head: bytes, name: str) -> str | None:
    """The first value of a header, whatever its case; what follows the head is not looked at."""
    wanted = name.lower().encode()
    for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, colon, value = line.partition(b":")
        if colon and key.strip().lower() == wanted:
            return value.strip().decode("latin-1")
    return None


def _error(head: bytes, body: bytes) -> tuple[str, str]:
    """Code and message; empty where the answer has none."""
    kind = header(head, "x-amzn-errortype")
    try:
        content = json.loads(body)
    except ValueError:
        # Cut off, or not the service's: an HTML page of something on the way.
        content = {"message": body.decode("utf-8", "replace").strip()}
    if not isinstance(content, dict):
        content = {"message": json.dumps(content)}
    if kind is None:
        named = content.get("__type", content.get("code"))
        kind = named if isinstance(named, str) else ""
    message = next((content[key] for key in ("Message", "message") if content.get(key)), "")
    # A service may put a namespace before the code, and a link behind it.
    return kind.partition(":")[0].rpartition("#")[2], str(message)
