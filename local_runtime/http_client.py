"""The client side of HTTP/1.1, at protocol level: one request in flight per connection.

``HttpConnection`` talks to a container; it calls back instead of being awaited, because the
invocation path has no task per request. ``fetch`` is the same for everybody else.
"""

from __future__ import annotations

import asyncio
import math
import mmap
import os
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol, cast

from local_runtime.http_wire import (
    MAX_HEAD_BYTES,
    Framing,
    Headers,
    MalformedHttpError,
    ResponseHead,
    UntilClose,
    header_block,
)

Body = bytes | bytearray | memoryview

SPOOLED_FROM_BYTES: Final = 4 * 1024 * 1024
"""From this size on a body is received into a file, where its receiver has a folder for it."""

_SCRATCH: Final = memoryview(bytearray(256 * 1024))  # see http_server: one for all connections
_ONE_WRITE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket."""

    path: str

    @property
    def host(self) -> bytes:
        """Value of the Host header."""
        return b"localhost"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port on the loopback interface."""

    port: int

    @property
    def host(self) -> bytes:
        """Value of the Host header."""
        return b"127.0.0.1:%d" % self.port


Address = UnixAddress | TcpAddress


class Answer:
    """A complete answer."""

    __slots__ = ("body", "head", "status")

    def __init__(self, head: ResponseHead, body: Body) -> None:
        self.head = head
        self.body = body
        self.status = head.status

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header given in lower case."""
        return self.head.header(name)


class ConnectionLostError(Exception):
    """The peer closed the connection, or sent something that is not an answer."""


class AnswerTooLargeError(Exception):
    """The answer's body is larger than the caller takes."""


# A container sends the same few heads over and over; each is parsed once.
_response_head = lru_cache(256)(ResponseHead)


class Exchange(Protocol):
    """Receives what becomes of one request."""

    def answered(self, answer: Answer) -> None:
        """The answer is complete."""

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        """There will be no answer; the connection is closed."""


class Stream(Protocol):
    """Receives the body of an answer piece by piece."""

    def began(self, head: ResponseHead, connection: HttpConnection) -> None:
        """The head is here; ``connection`` may be paused until more pieces can be taken."""

    def piece(self, data: bytes) -> None:
        """A piece of the body is here."""


class StreamingExchange:
    """An exchange that may want a body of unknown length as it comes.

    It is told the end with an answer whose body is empty.
    """

    __slots__ = ()

    @property
    def stream(self) -> Stream | None:
        """Who takes the body of a good answer; None: it is collected."""
        return None


class Owner(Protocol):
    """Is told when a connection can be used again, and when it cannot."""

    def connection_idle(self, connection: HttpConnection) -> None:
        """The answer has been delivered; the connection takes the next request."""

    def connection_closed(self, connection: HttpConnection) -> None:
        """The connection is gone."""


class Queue(Protocol):
    """Where requests come from that are sent before those in front of them are answered."""

    def connection_advanced(self, connection: HttpConnection) -> None:
        """A request was answered, and one that was sent ahead is now in flight."""

    def put_back(self, exchange: Exchange) -> None:
        """The connection is gone, and the server had not begun this one."""


class HttpConnection(asyncio.BufferedProtocol):
    """One keep-alive connection.

    ``deadline``, ``idle_since`` and ``took_s`` are the owner's to read: it sweeps over its
    connections instead of arming a timer for each request.
    """

    __slots__ = (
        "_ahead",
        "_exchange",
        "_fill",
        "_framing",
        "_head",
        "_limit",
        "_loop",
        "_owner",
        "_part",
        "_pieces",
        "_queue",
        "_since_s",
        "_spool",
        "_stream",
        "_transport",
        "_unsent",
        "_whole",
        "closed",
        "deadline",
        "idle_since",
        "took_s",
    )

    def __init__(self, owner: Owner, response_limit: int, spool: Path | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._limit = response_limit
        self._spool = spool
        self._transport: asyncio.Transport
        self._exchange: Exchange | None = None
        self._ahead: deque[tuple[Exchange, float]] = deque()
        self._queue: Queue | None = None
        self._unsent: list[Body] = []
        self._since_s = 0.0
        self._part = b""
        self._head: ResponseHead | None = None
        self._framing: Framing | None = None
        self._stream: Stream | None = None
        self._whole: bytearray | memoryview | None = None
        self._fill: memoryview | None = None
        self._pieces = bytearray()
        self.closed = False
        self.deadline = math.inf
        self.idle_since = 0.0
        self.took_s = math.inf  # the last request, from when it was in flight to its answer

    @property
    def exchange(self) -> Exchange | None:
        """The request in flight."""
        return self._exchange

    @property
    def sent_ahead(self) -> int:
        """Requests behind the one in flight."""
        return len(self._ahead)

    def send(self, head: bytes, body: Body, exchange: Exchange, timeout_s: float) -> None:
        """Send a request. Only on an idle connection."""
        self._exchange = exchange
        self._since_s = now_s = self._loop.time()
        self.deadline = now_s + timeout_s
        self._write(head, body)

    def send_ahead(
        self, head: bytes, body: Body, exchange: Exchange, timeout_s: float, queue: Queue
    ) -> None:
        """Send a request behind the one in flight: the server need not be woken for it.

        Only to a server that answers one after the other: should the connection end before its
        turn has come, nothing of it has been done, and it goes back to ``queue``.
        """
        self._ahead.append((exchange, timeout_s))
        self._queue = queue
        if not self._unsent:
            # What comes in one turn of the loop leaves in one write: the loop makes one of each.
            self._loop.call_soon(self._flush)
        self._unsent += (head, body)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(unsent))

    def _write(self, head: bytes, body: Body) -> None:
        if len(body) < _ONE_WRITE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    def abandon(self) -> None:
        """Forget the request in flight, without telling its exchange, and close."""
        self._exchange = None
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def pause(self) -> None:
        """Take nothing more of the answer until ``resume``."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take more of the answer."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # -- events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, but not this class.
        self._transport = cast("asyncio.Transport", transport)
        self.idle_since = self._loop.time()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        reason = "the connection was closed" if error is None else str(error)
        self._fail(ConnectionLostError(reason))
        while self._ahead and self._queue is not None:
            self._queue.put_back(self._ahead.pop()[0])
        self._owner.connection_closed(self)

    def eof_received(self) -> bool:
        if isinstance(self._framing, UntilClose):
            self._complete()
        return False

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        return _SCRATCH if self._fill is None else self._fill

    def buffer_updated(self, count: int) -> None:
        if self._fill is not None:
            self._fill = self._fill[count:]
            if not self._fill:
                self._complete()
            return
        try:
            self._received(bytes(_SCRATCH[:count]))
        except MalformedHttpError as error:
            self._break(ConnectionLostError(f"the answer is not HTTP/1.1: {error}"))

    # -- receiving

    def _received(self, data: bytes) -> None:
        if self._exchange is None:
            self._break(ConnectionLostError("an answer came without a request"))
            return
        if self._head is None:
            if self._part:
                data = self._part + data
                self._part = b""
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES:
                    raise MalformedHttpError("its head is too long")
                self._part = data
                return
            head = _response_head(data[: end + 4])
            data = data[end + 4 :]
            if head.status < 200:  # 100 Continue and 103 Early Hints precede the answer
                if data:
                    self._received(data)
                return
            self._head = head
            if head.length is not None:
                self._fixed(head.length, data)
                return
            self._framing = head.framing()
            exchange = self._exchange
            if isinstance(exchange, StreamingExchange) and 200 <= head.status < 300:
                self._stream = exchange.stream
                if self._stream is not None:
                    self._stream.began(head, self)
            if not data:
                return
        self._more(data)

    def _fixed(self, length: int, data: bytes) -> None:
        if length > self._limit:
            self._break(AnswerTooLargeError(f"its body has {length} bytes"))
        elif len(data) >= length:
            self._complete(data[:length], data[length:])
        else:
            try:
                self._whole = self._room(length)
            except OSError as error:
                reason = f"there is no room for its {length} bytes ({error.strerror})"
                self._break(ConnectionLostError(reason))
                return
            self._whole[: len(data)] = data
            self._fill = memoryview(self._whole)[len(data) :]

    def _room(self, length: int) -> bytearray | memoryview:
        if self._spool is None or length < SPOOLED_FROM_BYTES:
            return bytearray(length)
        with tempfile.TemporaryFile(dir=self._spool) as file:
            if sys.platform == "linux":
                # On a full disk this fails; writing to a mapped page would end the process.
                os.posix_fallocate(file.fileno(), 0, length)
            else:
                file.truncate(length)
            return memoryview(mmap.mmap(file.fileno(), length))

    def _more(self, data: bytes) -> None:
        framing = self._framing
        assert framing is not None
        pieces, rest = framing.feed(data)
        for piece in pieces:
            if self._stream is None:
                self._pieces += piece
            else:
                self._stream.piece(piece)
        if len(self._pieces) > self._limit:
            self._break(AnswerTooLargeError(f"its body has more than {self._limit} bytes"))
        elif framing.done:
            self._complete(rest=rest)

    def _complete(self, body: Body | None = None, rest: bytes = b"") -> None:
        head, exchange = self._head, self._exchange
        assert head is not None
        reusable = head.keep_alive
        if body is None:
            body = self._pieces if self._whole is None else self._whole
            reusable = reusable and not isinstance(self._framing, UntilClose)
            self._fill = self._whole = self._framing = self._stream = None
            self._pieces = bytearray()
        self._head = None
        self._exchange = None
        self.deadline = math.inf
        # First the owner: the next waiting request travels while this answer is handled.
        if not reusable:
            self.close()
        elif self._ahead:
            self._advance()
        else:
            self.idle_since = now_s = self._loop.time()
            self.took_s = now_s - self._since_s
            rest = b""
            self._owner.connection_idle(self)
        if exchange is not None:
            exchange.answered(Answer(head, body))
        if rest and self._exchange is not None:
            self._received(rest)

    def _advance(self) -> None:
        """The next request that was sent ahead is in flight now; its time begins."""
        now_s = self._loop.time()
        self.took_s = now_s - self._since_s
        self._since_s = now_s
        self._exchange, timeout_s = self._ahead.popleft()
        self.deadline = now_s + timeout_s
        assert self._queue is not None
        self._queue.connection_advanced(self)

    def _break(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        self._fail(error)
        self.close()

    def _fail(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        self.deadline = math.inf
        self._fill = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.failed(error)


async def connect(
    address: Address,
    owner: Owner,
    *,
    response_limit: int,
    timeout_s: float,
    spool: Path | None = None,
) -> HttpConnection:
    """Open a connection.

    Args:
        spool: the folder that large answers are received into; without it, into memory.

    Raises:
        OSError: nobody listens there, or not within ``timeout_s`` (TimeoutError).
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        if isinstance(address, UnixAddress):
            _, connection = await loop.create_unix_connection(
                lambda: HttpConnection(owner, response_limit, spool), address.path
            )
        else:
            # uvloop sets TCP_NODELAY on every TCP connection.
            _, connection = await loop.create_connection(
                lambda: HttpConnection(owner, response_limit, spool), "127.0.0.1", address.port
            )
    return connection


def request_head(method: str, target: str, address: Address, headers: Headers) -> bytes:
    """The bytes of a request's head, without the empty line that ends it."""
    line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    return line + b"host: %b\r\n" % address.host + header_block(headers)


class _Once:
    """Owner and exchange of a connection that serves one request."""

    def __init__(self) -> None:
        self.result: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def connection_idle(self, connection: HttpConnection) -> None:
        connection.close()

    def connection_closed(self, connection: HttpConnection) -> None:
        pass

    def answered(self, answer: Answer) -> None:
        if not self.result.done():
            self.result.set_result(answer)

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        if not self.result.done():
            self.result.set_exception(error)


async def fetch(
    address: Address,
    method: str,
    target: str,
    *,
    headers: Headers | None = None,
    body: Body = b"",
    response_limit: int = 64 * 1024 * 1024,
    timeout_s: float,
) -> Answer:
    """Send one request on a connection of its own and return the answer.

    Raises:
        OSError: nobody listens there, or no answer within ``timeout_s`` (TimeoutError).
        ConnectionLostError: the peer closed without an answer.
        AnswerTooLargeError: the answer has more than ``response_limit`` bytes.
    """
    once = _Once()
    async with asyncio.timeout(timeout_s):
        connection = await connect(
            address, once, response_limit=response_limit, timeout_s=timeout_s
        )
        try:
            head = request_head(method, target, address, [] if headers is None else headers)
            connection.send(head + b"content-length: %d\r\n\r\n" % len(body), body, once, math.inf)
            return await once.result
        finally:
            connection.close()
