"""A server on the loopback interface whose answers a test writes byte by byte."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Asked:
    """A request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    at_s: float


@dataclass
class Reply:
    """What is written, and whether the connection is closed after it."""

    content: bytes = OK
    close: bool = False


Answer = Callable[[Asked], Awaitable[Reply]]


@dataclass
class Server:
    """A server that runs."""

    url: str = ""
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    stop: Callable[[], object] = field(default=lambda: None)
    """Closes every connection, and listens no more."""


async def ok(_: Asked) -> Reply:
    """Answer at once."""
    return Reply()


@contextmanager
def serving(answer: Answer = ok, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve from a thread, from here to the end of the block."""
    server = Server()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = server.connections
        server.connections += 1
        try:
            while (asked := await _read(reader, number)) is not None:
                server.asked.append(asked)
                reply = await answer(asked)
                writer.write(reply.content)
                await writer.drain()
                if reply.close:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def main() -> None:
        listener = await asyncio.start_server(converse, "127.0.0.1", 0, backlog=1024, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.port}"
        server.stop = lambda: loop.call_soon_threadsafe(end.set)
        ready.set()
        await end.wait()
        listener.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    assert ready.wait(60)
    try:
        yield server
    finally:
        if thread.is_alive():
            server.stop()
        thread.join(60)
        loop.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body, connection, time.monotonic())


def refusal(status: int, kind: str, body: bytes) -> Reply:
    """An error in the service's shape."""
    head = f"HTTP/1.1 {status} X\r\nx-amzn-errortype: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return Reply(head.encode() + body)
