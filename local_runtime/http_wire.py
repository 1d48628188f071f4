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
    """The header lines of a head that llhttp has accepted, and how its body is framed.

    llhttp refuses folded lines, bare line ends and names with spaces, so that looking for
    ``\\r\\nname:`` finds exactly the headers. That is several times cheaper than a call back into
    Python for each of them.
    """

    __slots__ = ("_data", "_headers", "_lowered", "chunked", "content_length")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lowered: bytes | None = data.lower()
        self._headers: Headers | None = None
        length = self._value(b"\r\ncontent-length:")
        self.content_length = None if length is None else int(length)
        coding = self._value(b"\r\ntransfer-encoding:")
        # llhttp has made sure that chunked is the last coding and that no length is beside it.
        if coding is not None and coding.lower() != b"chunked":
            raise MalformedHttpError("transfer codings other than chunked are not understood")
        self.chunked = coding is not None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header given in lower case."""
        return self._value(b"\r\n%b:" % name)

    def _value(self, needle: bytes) -> bytes | None:
        start = self._lower().find(needle)
        if start < 0:
            return None
        start += len(needle)
        return self._data[start : self._data.index(b"\r\n", start)].strip(b" \t")

    def _lower(self) -> bytes:
        if self._lowered is None:
            self._lowered = self._data.lower()
        return self._lowered

    def beginning_with(self, prefix: bytes) -> Headers:
        """The headers whose names begin with ``prefix``, in order; both in lower case."""
        needle = b"\r\n%b" % prefix
        found: Headers = []
        lowered = self._lower()
        start = lowered.find(needle)
        while start >= 0:
            colon = lowered.index(b":", start)
            end = self._data.index(b"\r\n", colon)
            found.append((lowered[start + 2 : colon], self._data[colon + 1 : end].strip(b" \t")))
            start = lowered.find(needle, end)
        return found

    def _keeps_alive(self, version: str) -> bool:
        # Not the parser's should_keep_alive: it forgets the header when there is no body.
        value = self._value(b"\r\nconnection:")
        if value is None:
            return version == "1.1"
        options = {option.strip() for option in value.lower().split(b",")}
        return b"keep-alive" in options if version == "1.0" else b"close" not in options

    @property
    def headers(self) -> Headers:
        """Every header in order; names are in lower case."""
        if self._headers is None:
            lines = self._data.split(b"\r\n")[1:-2]
            self._headers = []
            for line in lines:
                name, _, value = line.partition(b":")
                self._headers.append((name.lower(), value.strip(b" \t")))
        return self._headers


class RequestHead(_Head):
    """Method, target and headers of one request.

    ``known`` is a head that differs from this one only in what nobody reads, see ``known_heads``;
    None: there is none.
    """

    __slots__ = ("keep_alive", "known", "method", "target", "version")

    def __init__(self, data: bytes) -> None:
        """Parse ``data``, which ends with the empty line that ends the head.

        Raises:
            MalformedHttpError: it is not an HTTP/1.0 or HTTP/1.1 head.
        """
        parser = httptools.HttpRequestParser(_NO_CALLBACKS)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # a server may ignore the wish; the request itself is complete
        except httptools.HttpParserError as error:
            raise MalformedHttpError(str(error)) from error
        super().__init__(data)
        self.known: RequestHead | None = None
        # llhttp has made sure that there are three words.
        self.method, self.target, rest = data.split(None, 2)
        self.version: str = "1.1" if rest[:8] == b"HTTP/1.1" else parser.get_http_version()
        self.keep_alive = self._keeps_alive(self.version)
        if self.version not in {"1.1", "1.0"}:
            raise MalformedHttpError(f"HTTP version must be 1.0 or 1.1, got {self.version}")

    @property
    def size(self) -> int:
        """Bytes, the empty line at its end included."""
        return len(self._data)


class ResponseHead(_Head):
    """Status and headers of one answer."""

    __slots__ = ("keep_alive", "length", "status")

    def __init__(self, data: bytes) -> None:
        """Parse ``data``, which ends with the empty line that ends the head.

        Raises:
            MalformedHttpError: it is not an HTTP/1.x head.
        """
        parser = httptools.HttpResponseParser(_NO_CALLBACKS)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            raise MalformedHttpError(str(error)) from error
        super().__init__(data)
        self.status: int = parser.get_status_code()
        self.keep_alive = self._keeps_alive(parser.get_http_version())
        # Source for both: RFC 9112, 6.3.
        bodiless = self.status in {204, 304} or self.status < 200
        self.length = 0 if bodiless else self.content_length

    def framing(self, *, to_head_request: bool = False) -> Framing:
        """How the body of this answer ends."""
        if to_head_request:
            return FixedLength(0)
        if self.length is not None:
            return FixedLength(self.length)
        return Chunked() if self.chunked else UntilClose()


_NO_CALLBACKS: Final = object()


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
