"""Requests that are sent ahead: answered in order, and handed back when their turn never comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from local_runtime.http_client import (
    Answer,
    AnswerTooLargeError,
    ConnectionLostError,
    Exchange,
    HttpConnection,
    UnixAddress,
    connect,
)

HEAD = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"


class Client:
    """Owner, queue and exchange in one: writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.closed = asyncio.Event()
        self.idle = asyncio.Event()

    def connection_idle(self, connection: HttpConnection) -> None:  # noqa: ARG002
        self.idle.set()

    def connection_closed(self, connection: HttpConnection) -> None:  # noqa: ARG002
        self.closed.set()

    def connection_advanced(self, connection: HttpConnection) -> None:  # noqa: ARG002
        self.told.append("advanced")

    def put_back(self, exchange: Exchange) -> None:
        assert isinstance(exchange, Request)
        self.told.append(("put back", exchange.name))


class Request:
    """One request."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def answered(self, answer: Answer) -> None:
        self.client.told.append((self.name, bytes(answer.body)))

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:  # noqa: ARG002
        self.client.told.append((self.name, "failed"))


@contextlib.asynccontextmanager
async def three_requests(folder: Path, answer: bytes) -> AsyncIterator[Client]:
    """Send three requests at once to a server that answers with these bytes and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            await reader.readexactly(len(HEAD) + 1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    path = str(folder / "s")
    server = await asyncio.start_unix_server(serve, path)
    client = Client()
    connection = await connect(UnixAddress(path), client, response_limit=100, timeout_s=60)
    connection.send(HEAD, b"1", Request(client, "first"), 60)
    connection.send_ahead(HEAD, b"2", Request(client, "second"), 60, client)
    connection.send_ahead(HEAD, b"3", Request(client, "third"), 60, client)
    async with asyncio.timeout(60):
        await client.closed.wait()
    yield client
    server.close()
    await server.wait_closed()


def told(folder: Path, answer: bytes) -> list[object]:
    async def run() -> list[object]:
        async with three_requests(folder, answer) as client:
            return client.told

    return asyncio.run(run())


def fixed(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), more, body)


def test_answers_that_arrive_together_go_to_their_requests_in_order(tmp_path: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"

    assert told(tmp_path, fixed(b"a") + chunked + fixed(b"c")) == [
        "advanced",
        ("first", b"a"),
        "advanced",
        ("second", b"b"),
        ("third", b"c"),
    ]


def test_requests_that_were_not_begun_are_put_back_last_first(tmp_path: Path) -> None:
    assert told(tmp_path, fixed(b"a")) == [
        "advanced",
        ("first", b"a"),
        ("second", "failed"),
        ("put back", "third"),
    ]


def test_a_connection_that_the_server_closes_puts_back_everything_sent_ahead(
    tmp_path: Path,
) -> None:
    assert told(tmp_path, fixed(b"a", b"Connection: close\r\n")) == [
        ("first", b"a"),
        ("put back", "third"),
        ("put back", "second"),
    ]


def test_bytes_behind_the_last_answer_are_no_answer_to_a_later_request(tmp_path: Path) -> None:
    answers = fixed(b"a") + fixed(b"b") + fixed(b"c") + fixed(b"surplus")

    assert [each for each in told(tmp_path, answers) if each != "advanced"] == [
        ("first", b"a"),
        ("second", b"b"),
        ("third", b"c"),
    ]


class Writes(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.taken.append(bytes(data))

    def is_closing(self) -> bool:
        return False


def test_what_is_sent_ahead_in_one_turn_of_the_loop_leaves_in_one_write() -> None:
    async def run() -> list[bytes]:
        client, transport = Client(), Writes()
        connection = HttpConnection(client, 100)
        connection.connection_made(transport)
        connection.send(b"head", b"1", Request(client, "first"), 60)
        for number in (b"2", b"3"):
            connection.send_ahead(b"head", number, Request(client, "ahead"), 5, client)
        await asyncio.sleep(0)
        connection.send_ahead(b"head", b"4", Request(client, "ahead"), 5, client)
        await asyncio.sleep(0)
        return transport.taken

    assert asyncio.run(run()) == [b"head1", b"head2head3", b"head4"]
