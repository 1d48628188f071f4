"""One request as the application sees it, and the ways to answer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from local_runtime.http_wire import Headers, RequestHead

if TYPE_CHECKING:
    from local_runtime.http_server import Connection


class Sink(Protocol):
    """Takes a streamed body."""

    def data(self, piece: bytes) -> None:
        """Take one piece."""

    def end(self) -> None:
        """The body is complete."""


class Request:
    """One request and the way to answer it."""

    __slots__ = ("_connection", "aborted", "head", "on_abort", "path")

    def __init__(self, connection: Connection, head: RequestHead) -> None:
        self._connection = connection
        self.head = head
        self.path = head.target.partition(b"?")[0]
        self.aborted = False
        self.on_abort: Callable[[], None] | None = None

    def collect(
        self,
        limit: int,
        collected: Callable[[bytes | bytearray], None],
        too_large: Callable[[int | None], None],
    ) -> None:
        """Receive the whole body, then call ``collected``.

        A body over ``limit`` bytes is not kept: ``too_large`` gets its size (None when the client
        did not announce it).
        """
        self._connection.collect(limit, collected, too_large)

    def stream(self, sink: Sink) -> None:
        """Hand each piece of the body to ``sink`` as it arrives."""
        self._connection.stream(sink)

    def pause_body(self) -> None:
        """Take nothing more from the client until ``resume_body``."""
        self._connection.pause_body()

    def resume_body(self) -> None:
        """Take more from the client."""
        self._connection.resume_body()

    def respond(
        self, status: int, headers: bytes, body: bytes | bytearray | memoryview = b""
    ) -> None:
        """Send a whole answer.

        Args:
            status: HTTP status.
            headers: header lines, each with its line end, without length and connection.
            body: sent as it is; nothing is sent when the request's method is HEAD.
        """
        if not self.aborted:
            self._connection.respond(status, headers, body)

    def start_response(
        self, status: int, headers: Headers, *, length: int | None, has_body: bool
    ) -> None:
        """Send the head of an answer whose body follows; without ``length`` it is chunked."""
        if not self.aborted:
            self._connection.start_response(status, headers, length=length, has_body=has_body)

    def write(self, piece: bytes) -> None:
        """Send a piece of the body."""
        if not self.aborted:
            self._connection.write(piece)

    def end_response(self) -> None:
        """The answer is complete."""
        if not self.aborted:
            self._connection.end_response()

    def set_backpressure(self, changed: Callable[[bool], None]) -> None:
        """Call ``changed`` with True when the client reads too slowly, with False when it goes."""
        self._connection.on_backpressure = changed

    def break_off(self) -> None:
        """Close the connection: the answer cannot be completed and the client must notice."""
        self._connection.close_now()
