"""The wire form of a streamed answer: ``application/vnd.amazon.eventstream``.

A message is a prelude (its length, the length of its headers, a checksum of both), headers, a
payload, and a checksum of everything. Source: service model of sagemaker-runtime, ResponseStream;
the encoding as botocore's parser takes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Final, Literal
from zlib import crc32

CONTENT_TYPE: Final = b"application/vnd.amazon.eventstream"
StreamErrorCode = Literal["ModelInvocationTimeExceeded", "StreamBroken"]

_STRING: Final = 7
# A body that came whole is cut, so that no client has to take all of it at once.
_PART_BYTES: Final = 256 * 1024


def payload_parts(data: bytes | bytearray | memoryview) -> Iterator[bytes]:
    """A piece of the answer as events; an empty one is none."""
    view = memoryview(data)
    for start in range(0, len(view), _PART_BYTES):
        yield _message(_PART_HEADERS, bytes(view[start : start + _PART_BYTES]))


def stream_error(code: StreamErrorCode, message: str) -> bytes:
    """The exception that ends a stream which cannot be completed."""
    body = json.dumps({"Message": message, "ErrorCode": code}).encode("ascii")
    return _message(_ERROR_HEADERS, body)


def _headers(**values: str) -> bytes:
    lines = b""
    for name, value in values.items():
        key = f":{name.replace('_', '-')}".encode("ascii")
        text = value.encode("ascii")
        lines += struct.pack(f"!B{len(key)}sBH", len(key), key, _STRING, len(text)) + text
    return lines


_PART_HEADERS: Final = _headers(
    message_type="event", event_type="PayloadPart", content_type="application/octet-stream"
)
_ERROR_HEADERS: Final = _headers(
    message_type="exception", exception_type="ModelStreamError", content_type="application/json"
)


def _message(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = b"%b%b%b%b" % (prelude, struct.pack("!I", crc32(prelude)), headers, payload)
    return message + struct.pack("!I", crc32(message))
