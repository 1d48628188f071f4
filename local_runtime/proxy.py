"""Everything the data plane does not serve goes to the control plane, byte for byte.

Bodies stream through in both directions: neither a 5 GB upload nor a 5 GB download is held in
memory, and the slower side sets the pace. Each request has a connection of its own to the control
plane: on a unix socket that costs little, and no request can meet a connection that is just being
closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Final, cast

from local_runtime.http_request import Request
from local_runtime.http_wire import (
    HOP_BY_HOP,
    MAX_HEAD_BYTES,
    FixedLength,
    Framing,
    MalformedHttpError,
    ResponseHead,
    header_block,
)

_log = logging.getLogger(__name__)

_SCRATCH: Final = memoryview(bytearray(256 * 1024))  # see http_server: one for all connections
# What a client may send before the connection to the control plane stands.
_EARLY_BYTES: Final = 256 * 1024


class ControlPlaneProxy:
    """Forwards requests to the control plane's unix socket."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()

    def forward(self, request: Request) -> None:
        """Send ``request`` on and its answer back."""
        upstream = _Upstream(request)
        request.on_abort = upstream.abort
        request.stream(upstream)
        task = self._loop.create_task(self._connect(upstream))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, upstream: _Upstream) -> None:
        try:
            await self._loop.create_unix_connection(lambda: upstream, self._socket_path)
        except OSError as error:
            upstream.unreachable(error)


class _Upstream(asyncio.BufferedProtocol):
    """The connection to the control plane that carries one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._early: deque[bytes] = deque()
        self._early_bytes = 0
        self._paused_client = False
        self._sent_all = False
        self._aborted = False
        self._part = b""
        self._head: ResponseHead | None = None
        self._framing: Framing | None = None
        self._done = False
        head = request.head
        self._chunked = head.chunked

    # -- the client's side

    def data(self, piece: bytes) -> None:
        """A piece of the request's body."""
        if self._transport is None:
            self._early.append(piece)
            self._early_bytes += len(piece)
            if self._early_bytes > _EARLY_BYTES:
                self._pause_client()
        else:
            self._write(piece)

    def end(self) -> None:
        """The request's body is complete."""
        self._sent_all = True
        if self._transport is not None:
            self._write_end()

    def abort(self) -> None:
        """The client has gone."""
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    def unreachable(self, error: OSError) -> None:
        """There is no control plane to talk to."""
        _log.warning("the control plane cannot be reached: %s", error)
        self._unavailable()

    # -- the control plane's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, but not this class.
        self._transport = cast("asyncio.Transport", transport)
        if self._aborted:
            self._transport.abort()
            return
        self._request.set_backpressure(self._client_is_slow)
        self._transport.write(self._request_head())
        while self._early:
            self._write(self._early.popleft())
        if self._sent_all:
            self._write_end()
        elif self._paused_client:
            self._resume_client()

    def connection_lost(self, error: Exception | None) -> None:
        if self._done or self._aborted:
            return
        self._done = True
        _log.warning("the control plane closed a connection before its answer: %s", error)
        if self._head is None:
            self._unavailable()
        else:
            self._request.break_off()

    def eof_received(self) -> bool:
        if self._head is not None and not self._done and not self._has_length():
            self._finish()
        return False

    def pause_writing(self) -> None:
        self._pause_client()

    def resume_writing(self) -> None:
        self._resume_client()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        return _SCRATCH

    def buffer_updated(self, count: int) -> None:
        if self._done or self._aborted:
            return
        try:
            self._received(bytes(_SCRATCH[:count]))
        except MalformedHttpError as error:
            _log.warning("the control plane's answer is not HTTP/1.1: %s", error)
            assert self._transport is not None
            self._transport.abort()

    def _received(self, data: bytes) -> None:
        if self._head is None:
            data = self._part + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES:
                    raise MalformedHttpError("its head is too long")
                self._part = data
                return
            self._part = b""
            head = ResponseHead(data[: end + 4])
            data = data[end + 4 :]
            if head.status < 200:  # the gateway has sent its own 100 Continue
                if data:
                    self._received(data)
                return
            self._start(head)
        framing = self._framing
        assert framing is not None
        if data and not framing.done:
            for piece in framing.feed(data)[0]:
                self._request.write(piece)
        if framing.done:
            self._finish()

    def _start(self, head: ResponseHead) -> None:
        self._head = head
        to_head = self._request.head.method == b"HEAD"
        self._framing = head.framing(to_head_request=to_head)
        bodiless = to_head or head.status in {204, 304}
        headers = [
            (name, value)
            for name, value in head.headers
            if name not in HOP_BY_HOP and (bodiless or name != b"content-length")
        ]
        # An answer to HEAD keeps the length that GET would have, as one of its plain headers.
        length = None if bodiless else head.content_length
        self._request.start_response(head.status, headers, length=length, has_body=not bodiless)

    def _finish(self) -> None:
        self._done = True
        self._request.end_response()
        if self._transport is not None:
            self._transport.abort()

    def _has_length(self) -> bool:
        return isinstance(self._framing, FixedLength) or (
            self._head is not None and self._head.chunked
        )

    # -- helpers

    def _request_head(self) -> bytes:
        head = self._request.head
        dropped = HOP_BY_HOP | {b"expect"}
        headers = [(name, value) for name, value in head.headers if name not in dropped]
        headers.append((b"connection", b"close"))
        if head.chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        line = b"%b %b HTTP/1.1\r\n" % (head.method, head.target)
        return line + header_block(headers) + b"\r\n"

    def _write(self, piece: bytes) -> None:
        assert self._transport is not None
        if self._chunked:
            if piece:
                self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            self._transport.write(piece)

    def _write_end(self) -> None:
        if self._chunked and self._transport is not None:
            self._transport.write(b"0\r\n\r\n")

    def _client_is_slow(self, slow: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if slow:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _pause_client(self) -> None:
        self._paused_client = True
        self._request.pause_body()

    def _resume_client(self) -> None:
        self._paused_client = False
        self._request.resume_body()

    def _unavailable(self) -> None:
        self._done = True
        message = {"Message": "the local runtime's control plane is not available"}
        self._request.respond(
            503,
            b"content-type: application/json\r\nx-amzn-errortype: ServiceUnavailable\r\n",
            json.dumps(message).encode(),
        )
