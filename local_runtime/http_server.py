"""The server side of HTTP/1.1, at protocol level.

A request is handed to the application when its head is complete. The application says at once what
becomes of the body: ``collect`` it (it is received into its final buffer), ``stream`` it piece by
piece, or answer and let the rest be discarded.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, TypeVar, cast

from local_runtime.http_request import Request, Sink
from local_runtime.http_wire import (
    MAX_HEAD_BYTES,
    STATUS_LINES,
    Chunked,
    FixedLength,
    Headers,
    MalformedHttpError,
    RequestHead,
    status_line,
)
from local_runtime.known_heads import KnownHeads

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# Every connection reads into this one buffer: the loop fills it and hands it over in one step, so
# no two connections can hold it at the same time.
_SCRATCH: Final = memoryview(bytearray(256 * 1024))
_ONE_WRITE_BYTES: Final = 16 * 1024  # below this, joining head and body is cheaper than two buffers
_READ_AHEAD_BYTES: Final = 256 * 1024
_SWEEP_INTERVAL_S: Final = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerTimeouts:
    """How long a client may take. ``collect_s`` and ``head_s`` are for the whole, not per read."""

    head_s: float = 20.0
    keep_alive_s: float = 120.0
    collect_s: float = 120.0
    stall_s: float = 60.0


Application = Callable[[Request], None]


class Server:
    """Holds what all connections share; calling it makes the protocol of a new one."""

    def __init__(self, application: Application, timeouts: ServerTimeouts) -> None:
        self.application = application
        self.timeouts = timeouts
        self.connections: set[Connection] = set()
        self.heads = KnownHeads()
        self.date_line = b""
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep()

    def __call__(self) -> Connection:
        return Connection(self, self._loop)

    def _sweep(self) -> None:
        """One timer for all connections: arming one per request would cost more than answering."""
        self.date_line = f"date: {formatdate(time.time(), usegmt=True)}\r\n".encode("ascii")
        now = self._loop.time()
        for connection in [c for c in self.connections if c.deadline <= now]:
            connection.time_out()
        self._sweeper = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    def close(self) -> None:
        """Drop every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.close_now()


class Connection(asyncio.BufferedProtocol):
    """One client's connection: requests one after the other, answers in the same order.

    Invariants: at most one request is current; its body has been received when ``_framing`` is
    None; bytes that arrive after it wait in ``_ahead``. The next head is read only when the body
    has been received *and* the answer has been sent.
    """

    # The fields below change for every request on the hot path.
    __slots__ = (
        "_ahead",
        "_answered",
        "_chunked_answer",
        "_closing",
        "_collected",
        "_fill",
        "_framing",
        "_held",
        "_keep_alive",
        "_length",
        "_limit",
        "_loop",
        "_request",
        "_server",
        "_sink",
        "_too_large",
        "_transport",
        "_whole",
        "deadline",
        "on_backpressure",
    )

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._transport: asyncio.Transport
        self._ahead = b""
        self._request: Request | None = None
        self._framing: FixedLength | Chunked | None = None
        self._answered = False
        self._chunked_answer = False
        self._closing = False
        self._keep_alive = True
        self._held = False
        self._sink: Sink | None = None
        self._whole: bytearray | None = None
        self._fill: memoryview | None = None
        self._length = 0
        self._limit = 0
        self._collected: Callable[[bytes | bytearray], None] | None = None
        self._too_large: Callable[[int | None], None] | None = None
        self.deadline = math.inf
        self.on_backpressure: Callable[[bool], None] | None = None

    # -- events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, but not this class.
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        self.deadline = self._loop.time() + self._server.timeouts.head_s

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._closing = True
        self.deadline = math.inf
        request, self._request = self._request, None
        if request is not None:
            request.aborted = True
            if request.on_abort is not None:
                request.on_abort()

    def eof_received(self) -> bool:
        # A client that has sent its whole request may close its half and still want the answer.
        if self._request is None or self._framing is not None:
            return False
        self._keep_alive = False
        return True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        return _SCRATCH if self._fill is None else self._fill

    def buffer_updated(self, count: int) -> None:
        if self._fill is None:
            self._received(bytes(_SCRATCH[:count]))
        else:
            self._fill = self._fill[count:]
            if not self._fill:
                self._body_complete(b"")

    def pause_writing(self) -> None:
        if self._request is None or self._framing is None:
            self.deadline = self._loop.time() + self._server.timeouts.stall_s
        if self.on_backpressure is not None:
            self.on_backpressure(True)

    def resume_writing(self) -> None:
        if self._request is not None and self._framing is None:
            self.deadline = math.inf
        if self.on_backpressure is not None:
            self.on_backpressure(False)

    # -- receiving

    def _received(self, data: bytes) -> None:
        if self._request is None:
            self._read_head(data)
        elif self._framing is not None:
            self._read_body(data)
        else:
            self._ahead += data
            if len(self._ahead) > _READ_AHEAD_BYTES:
                self._hold()

    def _read_head(self, data: bytes) -> None:
        if self._ahead:
            data = self._ahead + data
            self._ahead = b""
        elif data[:1] in b"\r\n":
            data = data.lstrip(b"\r\n")  # RFC 9112, 2.2: a server ignores empty lines here
        if not data or self._closing:
            return
        known = self._server.heads.recognize(data)
        if known is not None:
            self._open(known, data[known.size :])
            return
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            if len(data) > MAX_HEAD_BYTES:
                self._refuse(431)
            elif not data[0:1].isalpha():
                self._refuse(400)
            else:
                self._ahead = data
            if self.deadline > (latest := self._loop.time() + self._server.timeouts.head_s):
                self.deadline = latest
            return
        try:
            head = self._server.heads.parse(data[: end + 4])
        except MalformedHttpError as error:
            _log.info("refused a malformed request: %s", error)
            self._refuse(400)
            return
        self._open(head, data[end + 4 :])

    def _open(self, head: RequestHead, rest: bytes) -> None:
        request = self._request = Request(self, head)
        self._answered = False
        self._keep_alive = head.keep_alive
        length = 0 if head.content_length is None else head.content_length
        if not head.chunked and len(rest) >= length:
            # All of it is here, as is usual for a small request: no need to wait for anything.
            self.deadline = math.inf
            self._ahead = rest[length:]
            self._length = length
            self._guard(self._server.application, request)
            if self._request is request and not self._answered:
                self._deliver(rest[:length])
            return
        self._framing = Chunked() if head.chunked else FixedLength(length)
        self.deadline = self._loop.time() + self._server.timeouts.stall_s
        self._guard(self._server.application, request)
        if self._request is not request:
            return
        if not self._answered and not rest and head.header(b"expect") is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._prepare_whole(rest) and rest:
            self._read_body(rest)

    def _guard(self, step: Callable[[_T], None], argument: _T) -> None:
        try:
            step(argument)
        except Exception:
            # The last line of defence of a server: without it a fault of ours would leave the
            # client waiting. It is logged with its traceback and answered as InternalFailure.
            _log.exception("a request could not be handled")
            self._fail()

    def _prepare_whole(self, rest: bytes) -> bool:
        """Receive a collected body of known length into one buffer, without a copy."""
        if self._whole is None or not isinstance(self._framing, FixedLength):
            return False
        self._whole = bytearray(self._framing.remaining)
        self._whole[: len(rest)] = rest
        self._fill = memoryview(self._whole)[len(rest) :]
        return True

    def _read_body(self, data: bytes) -> None:
        framing = self._framing
        assert framing is not None
        try:
            pieces, rest = framing.feed(data)
        except MalformedHttpError as error:
            _log.info("refused a malformed body: %s", error)
            self._refuse(400)
            return
        if self._sink is not None and not self._answered:
            self.deadline = self._loop.time() + self._server.timeouts.stall_s
        for piece in pieces:
            if self._sink is not None:
                self._sink.data(piece)
            elif self._whole is not None:
                self._whole += piece
                if len(self._whole) > self._limit and self._too_large is not None:
                    self._whole = None
                    self._too_large(None)
        if framing.done:
            self._body_complete(rest)

    def _body_complete(self, rest: bytes) -> None:
        self._framing = None
        self._fill = None
        self.deadline = math.inf
        self._ahead = rest
        if self._answered:
            self._next()
        else:
            self._deliver(b"" if self._whole is None else self._whole)

    def _deliver(self, body: bytes | bytearray) -> None:
        """Hand over what has arrived; a streamed body has been, except for one that came whole."""
        collected = self._collected
        if collected is not None:
            self._collected = self._too_large = self._whole = None
            self._guard(collected, body)
        elif self._sink is not None:
            sink, self._sink = self._sink, None
            if body:
                sink.data(bytes(body))
            sink.end()

    # -- what the application asks for

    def collect(
        self,
        limit: int,
        collected: Callable[[bytes | bytearray], None],
        too_large: Callable[[int | None], None],
    ) -> None:
        framing = self._framing
        if isinstance(framing, Chunked):
            self._limit = limit
        else:
            length = self._length if framing is None else framing.remaining
            if length > limit:
                too_large(length)
                return
        self._collected = collected
        if framing is not None:
            self._too_large = too_large
            self._whole = bytearray()
            self.deadline = self._loop.time() + self._server.timeouts.collect_s

    def stream(self, sink: Sink) -> None:
        self._sink = sink

    def pause_body(self) -> None:
        if self._framing is not None:
            self._hold()
            self.deadline = math.inf

    def resume_body(self) -> None:
        self._release()
        if self._framing is not None:
            self.deadline = self._loop.time() + self._server.timeouts.stall_s

    def respond(self, status: int, headers: bytes, body: bytes | bytearray | memoryview) -> None:
        request = self._request
        assert request is not None
        head = b"%b%b%bcontent-length: %d\r\n%b\r\n" % (
            STATUS_LINES.get(status) or status_line(status),
            headers,
            self._server.date_line,
            len(body),
            self._connection_line(request.head.version),
        )
        if not body or request.head.method == b"HEAD":
            self._transport.write(head)
        elif len(body) < _ONE_WRITE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        self._finish()

    def start_response(
        self, status: int, headers: Headers, *, length: int | None, has_body: bool
    ) -> None:
        request = self._request
        assert request is not None
        lines = [status_line(status)]
        lines += [b"%b: %b\r\n" % header for header in headers]
        self._chunked_answer = False
        if length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        elif has_body and request.head.version == "1.1":
            self._chunked_answer = True
            lines.append(b"transfer-encoding: chunked\r\n")
        elif has_body:
            self._keep_alive = False  # to HTTP/1.0 the end of the connection ends the body
        lines += [self._connection_line(request.head.version), b"\r\n"]
        self._transport.write(b"".join(lines))

    def write(self, piece: bytes) -> None:
        if not piece:
            return  # an empty chunk would end the body
        if self._chunked_answer:
            self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            self._transport.write(piece)

    def end_response(self) -> None:
        if self._chunked_answer:
            self._transport.write(b"0\r\n\r\n")
        self._finish()

    # -- the end of a request

    def _finish(self) -> None:
        self._answered = True
        self.on_backpressure = None
        if self._framing is None:
            self._next()
            return
        # The rest of the body is read and dropped, for a client looks for the answer only when it
        # has sent everything; closing now would reset the connection under it.
        self._sink = None
        self._whole = None
        self._fill = None
        self._collected = None
        self._too_large = None
        self._release()
        self.deadline = self._loop.time() + self._server.timeouts.collect_s

    def _next(self) -> None:
        request, self._request = self._request, None
        assert request is not None
        self._release()
        if not self._keep_alive:
            self._closing = True
            self.deadline = self._loop.time() + self._server.timeouts.stall_s
            self._transport.close()
            return
        self.deadline = self._loop.time() + self._server.timeouts.keep_alive_s
        if self._ahead:
            # Not at once: answers that are ready immediately would recurse once per request.
            self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        if self._request is None and self._ahead and not self._closing:
            data, self._ahead = self._ahead, b""
            self._read_head(data)

    def time_out(self) -> None:
        """The client, or the network to it, has taken too long."""
        idle = self._request is None and not self._ahead
        if idle or self._answered or self._closing:
            self.close_now()
        else:
            self._refuse(408)

    def close_now(self) -> None:
        """Drop the connection; what was not sent is lost."""
        self._closing = True
        self._transport.abort()

    def _fail(self) -> None:
        if self._answered or self._request is None:
            self.close_now()
            return
        self._keep_alive = False
        body = b'{"Message": "InternalFailure"}'
        self.respond(
            500, b"content-type: application/json\r\nx-amzn-errortype: InternalFailure\r\n", body
        )

    def _refuse(self, status: int) -> None:
        """Answer bytes that are not a request, and close: what follows cannot be understood."""
        if self._closing:
            return
        request = self._request
        self._closing = True
        if request is not None:
            request.aborted = True
            self._request = None
            if request.on_abort is not None:
                request.on_abort()
        self._framing = None
        self._fill = None
        self._ahead = b""
        self.deadline = self._loop.time() + self._server.timeouts.stall_s
        line = status_line(status)
        reason = line[13:-2]
        self._transport.write(
            b"%bcontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (line, len(reason), reason)
        )
        self._transport.close()

    def _connection_line(self, version: str) -> bytes:
        if not self._keep_alive:
            return b"connection: close\r\n"
        return b"" if version == "1.1" else b"connection: keep-alive\r\n"

    def _hold(self) -> None:
        if not self._held and not self._transport.is_closing():
            self._held = True
            self._transport.pause_reading()

    def _release(self) -> None:
        if self._held and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()
