"""HTTP/1.1 as bytes: heads, body framing, header tables. No sockets here.

Heads are parsed by llhttp (through httptools), which refuses what request smuggling needs. Bodies
are framed here and not by llhttp, so that a large one can be received into its final buffer.
"""

from __future__ import annotations

import http
from collections.abc import Iterable
from typing import Final

import httptools

Headers = list[tuple[bytes, bytes]]

MAX_HEAD_BYTES: Final = 64 * 1024
"""A head larger than this is refused; S3 itself allows 8 KB of headers."""

_MAX_LINE_BYTES: Final = 4 * 1024  # a chunk's size line or a trailer line

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that speak about one connection only. Source: RFC 9110, 7.6.1."""

STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in http.HTTPStatus
}


class MalformedHttpError(Exception):
    """The peer sent bytes that are not HTTP/1.1."""


def status_line(status: int) -> bytes:
    """The first line of an answer; a status without a registered phrase gets none."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def header_block(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines as they travel, each with its line end."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


class _Head:
    """What the two kinds of head share: the callbacks of httptools, and how the body is framed."""

    __slots__ = ("chunked", "content_length", "headers")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.content_length: int | None = None
        self.chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"content-length":
            self.content_length = int(value)
        elif lowered == b"transfer-encoding":
            # llhttp has made sure that chunked is the last coding and that no length is beside it.
            if value.strip().lower() != b"chunked":
                raise MalformedHttpError("transfer codings other than chunked are not understood")
            self.chunked = True
        self.headers.append((lowered, value))

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header given in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class RequestHead(_Head):
    """Method, target and headers of one request; header names are in lower case."""

    __slots__ = ("keep_alive", "method", "target", "version")

    def __init__(self, data: bytes) -> None:
        """Parse ``data``, which ends with the empty line that ends the head.

        Raises:
            MalformedHttpError: it is not an HTTP/1.0 or HTTP/1.1 head.
        """
        super().__init__()
        self.target = b""
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # a server may ignore the wish; the request itself is complete
        except httptools.HttpParserError as error:
            raise _malformed(error) from error
        self.method: bytes = parser.get_method()
        self.version: str = parser.get_http_version()
        self.keep_alive: bool = parser.should_keep_alive()
        if self.version not in {"1.1", "1.0"}:
            raise MalformedHttpError(f"HTTP version must be 1.0 or 1.1, got {self.version}")

    def on_url(self, target: bytes) -> None:
        self.target += target


class ResponseHead(_Head):
    """Status and headers of one answer; header names are in lower case."""

    __slots__ = ("keep_alive", "status")

    def __init__(self, data: bytes) -> None:
        """Parse ``data``, which ends with the empty line that ends the head.

        Raises:
            MalformedHttpError: it is not an HTTP/1.x head.
        """
        super().__init__()
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            raise _malformed(error) from error
        self.status: int = parser.get_status_code()
        self.keep_alive: bool = parser.should_keep_alive()

    def framing(self, *, to_head_request: bool = False) -> Framing:
        """How the body of this answer ends. Source: RFC 9112, 6.3."""
        if to_head_request or self.status in {204, 304} or self.status < 200:
            return FixedLength(0)
        if self.chunked:
            return Chunked()
        if self.content_length is not None:
            return FixedLength(self.content_length)
        return UntilClose()


def _malformed(error: Exception) -> MalformedHttpError:
    # A refusal raised in a callback arrives wrapped in HttpParserCallbackError.
    return MalformedHttpError(str(error.__context__ if error.__context__ is not None else error))


class FixedLength:
    """A body of a known number of bytes."""

    __slots__ = ("remaining",)

    def __init__(self, length: int) -> None:
        self.remaining = length

    @property
    def done(self) -> bool:
        """Whether the body is complete."""
        return self.remaining == 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Split what arrived into pieces of the body and what follows it."""
        if len(data) <= self.remaining:
            self.remaining -= len(data)
            return [data], b""
        piece, rest = data[: self.remaining], data[self.remaining :]
        self.remaining = 0
        return [piece], rest


class UntilClose:
    """The body of an answer that ends when the peer closes the connection."""

    __slots__ = ()
    done = False

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Everything that arrives belongs to the body."""
        return [data], b""


class Chunked:
    """A chunked body. Extensions and trailers are dropped; anything inexact is refused.

    Source: RFC 9112, 7.1
    """

    __slots__ = ("_line", "_remaining", "_state", "done")

    def __init__(self) -> None:
        self.done = False
        self._line = b""
        self._remaining = 0
        self._state = "size"

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Split what arrived into pieces of the body and what follows it.

        Raises:
            MalformedHttpError: the framing is broken.
        """
        pieces: list[bytes] = []
        while data and not self.done:
            if self._state == "data":
                piece, data = data[: self._remaining], data[self._remaining :]
                self._remaining -= len(piece)
                pieces.append(piece)
                if self._remaining == 0:
                    self._state = "data end"
                continue
            line, found, data = data.partition(b"\n")
            self._line += line
            if len(self._line) > _MAX_LINE_BYTES:
                raise MalformedHttpError("a line of the chunked body is too long")
            if found:
                line, self._line = self._line, b""
                self._end_line(line)
        return pieces, data

    def _end_line(self, line: bytes) -> None:
        if not line.endswith(b"\r"):
            raise MalformedHttpError("a line of the chunked body does not end with CR LF")
        line = line[:-1]
        if self._state == "size":
            digits = line.partition(b";")[0].rstrip(b" \t")
            if not 0 < len(digits) <= 16 or digits.strip(b"0123456789abcdefABCDEF"):
                raise MalformedHttpError("a chunk's size must be hexadecimal digits")
            self._remaining = int(digits, 16)
            self._state = "data" if self._remaining else "trailer"
        elif self._state == "data end":
            if line:
                raise MalformedHttpError("a chunk is longer than its size says")
            self._state = "size"
        else:
            self.done = not line


Framing = FixedLength | UntilClose | Chunked
