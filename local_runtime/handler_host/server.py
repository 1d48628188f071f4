"""The HTTP server of one worker: one request at a time, inline, on a unix socket."""

from __future__ import annotations

import _socket
import errno
import os
import select

from .message import MAX_HEAD_BYTES, Answer, Head, MalformedRequest, text_answer
from .process_log import log, log_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .message import Body

    Respond = Callable[[Head, Body], Answer]

# _socket is what the socket module wraps; the wrapper's imports (selectors, enum) would double the
# time this program takes to start.

_READ_BYTES = 65_536
_REMEMBERED_HEADS = 256


class Server:
    """Answers requests on a unix socket until the process ends.

    Connections are watched together while idle, and a request is handed on when all of it is here,
    so a client that stops halfway delays nobody.
    """

    def __init__(self, path: str, respond: Respond) -> None:
        self._respond = respond
        self._owner = os.getpid()
        # A gateway sends the same few heads over and over; only Content-Length and custom
        # attributes vary, so most heads are parsed once.
        self._heads: dict[bytes, Head] = {}
        # read into over and over: recv() would allocate as much for each request
        self.scratch = memoryview(bytearray(_READ_BYTES))
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if os.path.exists(path):
            os.unlink(path)  # left by a worker that was killed
        self._listener.bind(path)
        self._listener.listen(64)

    def serve(self) -> None:
        """Accept and answer for ever."""
        listener = self._listener.fileno()
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        connections: dict[int, Connection] = {}
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == listener:
                    accepted = self._accept()
                    if accepted is not None:
                        connections[accepted.fileno()] = Connection(accepted)
                        poll.register(accepted.fileno(), select.POLLIN)
                    continue
                connection = connections[descriptor]
                try:
                    alive = connection.advance(self)
                except OSError:  # the client left; its connection is all that ends
                    alive = False
                if not alive:
                    poll.unregister(descriptor)
                    del connections[descriptor]
                    connection.socket.close()

    def _accept(self) -> _socket.socket | None:
        try:
            # accept() of the socket module is this call wrapped into its class
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise SystemExit("no file descriptor is left for a connection") from error
            return None  # gone before it was accepted
        return _socket.socket(fileno=descriptor)

    def parse(self, data: bytes) -> Head:
        """The head in ``data``, remembered for the next request that has the same."""
        head = self._heads.get(data)
        if head is None:
            head = Head(data)
            if len(self._heads) >= _REMEMBERED_HEADS:
                self._heads.clear()
            self._heads[data] = head
        return head

    def answer(self, client: _socket.socket, head: Head, body: Body) -> bool:
        """Run the handler and write what it answers; True when the connection stays open."""
        answer = self._respond(head, body)
        if os.getpid() != self._owner:
            # The handler forked and its child came back here. Only the parent answers.
            log("a process forked by the handler returned from it; it ends here")
            os._exit(0)
        keep_alive = head.keep_alive
        content = answer.body
        if isinstance(content, (bytes, bytearray)):
            if answer.bodiless:
                client.sendall(answer.head("", keep_alive=keep_alive))
                return keep_alive
            framing = f"Content-Length: {len(content)}"
            data = answer.head(framing, keep_alive=keep_alive)
            if head.method == "HEAD":
                client.sendall(data)
            elif len(content) <= 65_536:
                client.sendall(data + content)
            else:
                _send_large(client, data, content)
            return keep_alive
        return _stream(client, head, answer, content)


class Connection:
    """One client: bytes that are not yet a request, or a body that is not yet complete."""

    __slots__ = ("body", "filled", "head", "pending", "socket")

    def __init__(self, client: _socket.socket) -> None:
        self.socket = client
        self.pending = b""
        self.head: Head | None = None
        self.body = bytearray()
        self.filled = 0

    def advance(self, server: Server) -> bool:
        """Read what has arrived and answer what is complete; False when the client is done."""
        if self.head is not None:
            with memoryview(self.body) as view:
                received = self.socket.recv_into(view[self.filled :])
            if received == 0:
                return False
            self.filled += received
            if self.filled < len(self.body):
                return True
            head, body, self.head, self.body = self.head, self.body, None, bytearray()
            return server.answer(self.socket, head, body)
        received = self.socket.recv_into(server.scratch)
        if received == 0:
            return False
        data = bytes(server.scratch[:received])
        if self.pending:
            data, self.pending = self.pending + data, b""
        try:
            return self._take_requests(server, data)
        except MalformedRequest as error:
            refusal = text_answer(error.status, str(error))
            framing = f"Content-Length: {len(refusal.body)}"  # type: ignore[arg-type]
            self.socket.sendall(refusal.head(framing, keep_alive=False) + refusal.body)  # type: ignore[operator]
            return False

    def _take_requests(self, server: Server, data: bytes) -> bool:
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > MAX_HEAD_BYTES:
                if len(data) > MAX_HEAD_BYTES:
                    raise MalformedRequest(431, f"headers may have {MAX_HEAD_BYTES} bytes")
                self.pending = data
                return True
            head = server.parse(data[:end])
            start = end + 4
            stop = start + head.content_length
            if len(data) < stop:
                self.head = head
                self.body = bytearray(head.content_length)
                self.filled = len(data) - start
                self.body[: self.filled] = data[start:]
                if head.expects_continue and self.filled == 0:
                    self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                return True
            body = data[start:stop]
            data = data[stop:]
            if not server.answer(self.socket, head, body):
                return False
        return True


def _send_large(client: _socket.socket, head: bytes, content: Body) -> None:
    """Head and body in one system call, without joining megabytes first."""
    sent = client.sendmsg([head, content])
    if sent < len(head):
        client.sendall(head[sent:])
        sent = len(head)
    with memoryview(content) as view:
        client.sendall(view[sent - len(head) :])


def _stream(client: _socket.socket, head: Head, answer: Answer, chunks: Iterator[bytes]) -> bool:
    """Write each chunk as the handler yields it.

    The status is on its way by the time a later chunk fails, so the failure shows as a body that
    ends without its last chunk.
    """
    keep_alive = head.keep_alive and not head.http10
    framing = "" if head.http10 else "Transfer-Encoding: chunked"
    client.sendall(answer.head(framing, keep_alive=keep_alive))
    while True:
        try:
            chunk = next(chunks, None)
        except Exception:  # whatever the handler's generator raises
            log_exception("the handler failed while its answer was streamed")
            return False
        if chunk is None:
            break
        if head.http10:
            client.sendall(chunk)
        elif chunk:  # an empty chunk would end the body
            client.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    if not head.http10:
        client.sendall(b"0\r\n\r\n")
    return keep_alive
