"""HTTP/1.1 messages: the head of a request, and an answer with its bytes."""

from __future__ import annotations

TYPE_CHECKING = False  # the typing module costs more start-up time than this whole program
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Union

    Body = Union[bytes, bytearray]

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 2 * 1024**3  # twice what an asynchronous invocation may carry

PHRASES = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}
# What frames a message is the server's business, whatever a handler put among its headers.
_FRAMING = frozenset(
    {"connection", "content-length", "content-type", "date", "keep-alive", "server",
     "transfer-encoding"}
)  # fmt: skip
_BODILESS = frozenset({204, 304})


class MalformedRequest(Exception):  # noqa: N818  (named by what happened)
    """A request that cannot be read; the connection ends after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Head:
    """The request line and the headers of one request.

    ``fields`` has lower-case names; ``sent`` has the names as they came.
    """

    __slots__ = (
        "content_length",
        "expects_continue",
        "fields",
        "http10",
        "keep_alive",
        "method",
        "path",
        "query",
        "sent",
    )

    def __init__(self, data: bytes) -> None:
        lines = data.decode("latin-1").split("\r\n")
        request_line = lines[0].split(" ")
        if len(request_line) != 3 or not request_line[2].startswith("HTTP/1."):
            raise MalformedRequest(400, f"request line must be METHOD PATH HTTP/1.1: {lines[0]!r}")
        self.method, target, version = request_line
        self.path, _, self.query = target.partition("?")
        self.http10 = version == "HTTP/1.0"
        self.fields: dict[str, str] = {}
        self.sent: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name[-1] in " \t":
                raise MalformedRequest(400, f"header must be NAME: VALUE, got {line!r}")
            value = value.strip(" \t")
            self.sent[name] = self.fields[name.lower()] = value
        if "transfer-encoding" in self.fields:
            raise MalformedRequest(411, "send the body with a Content-Length")
        length = self.fields.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise MalformedRequest(400, f"Content-Length must be a number, got {length!r}")
        self.content_length = int(length)
        if self.content_length > MAX_BODY_BYTES:
            raise MalformedRequest(413, f"the body may have {MAX_BODY_BYTES} bytes, got {length}")
        self.expects_continue = self.fields.get("expect", "").lower() == "100-continue"
        connection = self.fields.get("connection", "").lower()
        self.keep_alive = connection == "keep-alive" if self.http10 else connection != "close"


class Answer:
    """Status, headers and body of a response; an iterator as body is streamed in chunks."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: Body | Iterator[bytes],
        content_type: str | None,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.status = status
        self.headers = headers

    def head(self, framing: str, *, keep_alive: bool) -> bytes:
        """The status line and headers, up to and including the empty line."""
        lines = [f"HTTP/1.1 {self.status} {PHRASES.get(self.status, 'Status')}"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {_one_line(self.content_type)}")
        if self.headers:
            lines += [
                f"{_one_line(name)}: {_one_line(value)}"
                for name, value in self.headers
                if str(name).lower() not in _FRAMING
            ]
        if framing:
            lines.append(framing)
        if not keep_alive:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    @property
    def bodiless(self) -> bool:
        """True for a status that HTTP forbids a body."""
        return self.status in _BODILESS


def text_answer(status: int, text: str) -> Answer:
    """An answer in plain text."""
    return Answer(text.encode("utf-8", "backslashreplace"), "text/plain; charset=utf-8", status)


def _one_line(value: object) -> str:
    """A header value as text; line breaks would end the header, so they become spaces."""
    text = value if isinstance(value, str) else str(value)
    if "\n" in text or "\r" in text:
        return text.replace("\r", " ").replace("\n", " ")
    return text
