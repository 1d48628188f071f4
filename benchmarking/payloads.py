"""What is sent to the model: read from JSON lines, checked line by line.

A line is one request::

    {"body": "1,2,3", "content_type": "text/csv"}
    {"body": {"instances": [[1, 2]]}}
    {"body": "@digits/7.png", "content_type": "image/png", "accept": "application/json"}
    {"body_base64": "iVBORw0KGgo=", "content_type": "image/png", "target_model": "a.tar.gz"}

A body that is text starting with ``@`` names a file beside the list; ``@@`` stands for a text that
starts with ``@``. An object or array is sent as JSON. The arguments of ``InvokeEndpoint``, which
the old serverless benchmarking toolkit wrote its lists with (``Body``, ``ContentType``, …), are
read too; there a body is always the text itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarking.errors import BenchmarkError
from benchmarking.records import Option
from hosting import limits

_DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
_JSON: Final = "application/json"
_MESSAGES_SHOWN: Final = 20

# What a line may say besides its body, and what InvokeEndpoint calls it.
_HEADERS: Final = {
    "content_type": "ContentType",
    "accept": "Accept",
    "custom_attributes": "CustomAttributes",
    "target_model": "TargetModel",
    "target_variant": "TargetVariant",
}
_BODIES: Final = ("body", "body_base64", "body_file")

# What each option admits in one request.
BODY_MAX_BYTES: Final[Mapping[Option, int]] = {
    "serverless": limits.SERVERLESS_PAYLOAD_MAX_BYTES,
    "serverless-provisioned": limits.SERVERLESS_PAYLOAD_MAX_BYTES,
    "real-time": limits.REALTIME_PAYLOAD_MAX_BYTES,
    "multi-model": limits.REALTIME_PAYLOAD_MAX_BYTES,
    "async": limits.ASYNC_PAYLOAD_MAX_BYTES,
}


class PayloadError(BenchmarkError):
    """A list of payloads cannot be used; the message names each broken line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """One request's body and headers.

    Args:
        accept: None: the header is not sent.
        target_model: of a multi-model endpoint; the others are asked without it.
    """

    body: bytes
    content_type: str
    accept: str | None = None
    custom_attributes: str | None = None
    target_model: str | None = None
    target_variant: str | None = None


def read_payloads(path: Path) -> tuple[Payload, ...]:
    """Read a list of payloads.

    Raises:
        PayloadError: the file or a line of it cannot be used; all broken lines are named.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise PayloadError(
            f"payloads must be a readable file of JSON lines, got {path}: {error.strerror}"
        ) from None
    payloads: list[Payload] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            faults.append(f"line {number}: empty")
            continue
        try:
            payloads.append(_payload(line, path.parent))
        except _LineError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        more = len(faults) - _MESSAGES_SHOWN
        shown = [*faults[:_MESSAGES_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise PayloadError(f"every line of {path} must be a payload\n  " + "\n  ".join(shown))
    if not payloads:
        raise PayloadError(f"payloads must hold at least one line, got an empty file {path}")
    return tuple(payloads)


def oversize(payloads: Sequence[Payload], option: Option) -> str | None:
    """Which payloads ``option`` does not admit, or None."""
    allowed = BODY_MAX_BYTES[option]
    large = [(n, len(each.body)) for n, each in enumerate(payloads, 1) if len(each.body) > allowed]
    if not large:
        return None
    number, size = max(large, key=lambda pair: pair[1])
    others = f" (and {len(large) - 1} others)" if len(large) > 1 else ""
    return (
        f"a request may have {allowed} bytes at most, the payload of line {number} has"
        f" {size}{others}"
    )


def write_payloads(path: Path, arguments: Iterable[Mapping[str, Any]]) -> int:
    """Write arguments of ``InvokeEndpoint`` as a list of payloads; return how many.

    Bodies may be text, bytes or what can be written as JSON.

    Raises:
        PayloadError: an element is none; it is named by its position from 1.
    """
    lines = []
    for number, each in enumerate(arguments, 1):
        try:
            lines.append(json.dumps(_as_line(each), ensure_ascii=False))
        except (_LineError, TypeError) as error:
            raise PayloadError(f"element {number}: {error}") from None
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def convert(source: Path, target: Path) -> int:
    """Convert a file of invoke arguments: a JSON array, or JSON lines; return how many.

    Raises:
        PayloadError: the file is neither, or an element cannot be sent.
    """
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PayloadError(f"source must be a readable text file, got {source}: {error}") from None
    elements: list[Any] = []
    if text.lstrip().startswith("["):
        try:
            elements = json.loads(text)
        except ValueError as error:
            raise PayloadError(f"{source} must be a JSON array or JSON lines: {error}") from None
    else:
        for number, line in enumerate(text.splitlines(), 1):
            try:
                elements.append(json.loads(line))
            except ValueError as error:
                raise PayloadError(f"{source} line {number}: not JSON: {error}") from None
    if not elements:
        raise PayloadError(f"source must hold at least one request, got {source} with none")
    return write_payloads(target, elements)


class _LineError(ValueError):
    """What is wrong with one line."""


def _payload(line: bytes, folder: Path) -> Payload:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise _LineError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise _LineError(f"must be an object, got {type(fields).__name__}")
    as_arguments = "Body" in fields
    if as_arguments:
        fields = _as_line(fields)
    unknown = sorted(fields.keys() - set(_HEADERS) - set(_BODIES))
    if unknown:
        allowed = ", ".join((*_BODIES, *_HEADERS))
        raise _LineError(f"keys must be among {allowed}, got {', '.join(unknown)}")
    given = [key for key in _BODIES if key in fields]
    if len(given) != 1:
        raise _LineError(
            f"exactly one of {', '.join(_BODIES)} must be there, got {', '.join(given) or 'none'}"
        )
    body, default_type = _body(given[0], fields[given[0]], folder)
    headers = {key: _header(key, fields[key]) for key in _HEADERS if fields.get(key) is not None}
    headers.setdefault("content_type", default_type)
    return Payload(body=body, **headers)


def _as_line(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``InvokeEndpoint`` as a line of ours."""
    if not isinstance(arguments, Mapping):
        raise _LineError(f"must be an object, got {type(arguments).__name__}")
    if "Body" not in arguments:
        return dict(arguments)
    names = {argument: key for key, argument in _HEADERS.items()}
    unknown = sorted(arguments.keys() - names.keys() - {"Body"})
    if unknown:
        allowed = ", ".join(("Body", *names))
        raise _LineError(f"arguments must be among {allowed}, got {', '.join(unknown)}")
    line: dict[str, Any] = {}
    body = arguments["Body"]
    if isinstance(body, bytes | bytearray):
        line["body_base64"] = base64.b64encode(body).decode()
    elif isinstance(body, str) and body.startswith("@"):
        line["body"] = f"@{body}"
    else:
        line["body"] = body
    line |= {names[name]: value for name, value in arguments.items() if name != "Body"}
    return line


def _body(key: str, value: Any, folder: Path) -> tuple[bytes, str]:
    """The bytes to send and the content type that they suggest."""
    if key == "body" and isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":")).encode(), _JSON
    if not isinstance(value, str):
        allowed = "text, an object or an array" if key == "body" else "text"
        raise _LineError(f"{key} must be {allowed}, got {type(value).__name__}")
    if key == "body_base64":
        try:
            return base64.b64decode(value, validate=True), _DEFAULT_CONTENT_TYPE
        except binascii.Error as error:
            raise _LineError(f"body_base64 must be base64: {error}") from None
    if key == "body" and not value.startswith("@"):
        return value.encode(), _DEFAULT_CONTENT_TYPE
    if key == "body" and value.startswith("@@"):
        return value[1:].encode(), _DEFAULT_CONTENT_TYPE
    path = folder / (value[1:] if key == "body" else value)
    try:
        return path.read_bytes(), _DEFAULT_CONTENT_TYPE
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _LineError(f"body file {path} cannot be read: {reason}") from None


_RULES: Final[Mapping[str, tuple[int, str]]] = {
    "content_type": (limits.HEADER_MAX_LENGTH, r"[\x20-\x7e]+"),
    "accept": (limits.HEADER_MAX_LENGTH, r"[\x20-\x7e]+"),
    "custom_attributes": (limits.CUSTOM_ATTRIBUTES_MAX_LENGTH, r"[\x20-\x7e]+"),
    "target_model": (int(limits.TARGET_MODEL_LENGTH.maximum or 0), limits.TARGET_MODEL_PATTERN),
    "target_variant": (limits.NAME_MAX_LENGTH, limits.NAME_PATTERN),
}


def _header(key: str, value: Any) -> str:
    longest, pattern = _RULES[key]
    if not isinstance(value, str) or len(value) > longest or not re.fullmatch(pattern, value):
        raise _LineError(
            f"{key} must be printable text of 1 to {longest} characters, got {value!r:.60}"
        )
    return value
