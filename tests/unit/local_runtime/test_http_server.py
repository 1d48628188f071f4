"""The server against raw bytes, on a loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from local_runtime.http_request import Request
from local_runtime.http_server import Application, Server, ServerTimeouts

LIMIT = 1000
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def echo(request: Request) -> None:
    """Send the body back, with the path in front."""

    def collected(body: bytes | bytearray) -> None:
        request.respond(200, b"x-path: %b\r\n" % request.path, bytes(body))

    def too_large(size: int | None) -> None:
        request.respond(413, b"", str(size).encode())

    request.collect(LIMIT, collected, too_large)


@asynccontextmanager
async def client_of(
    application: Application = echo, timeouts: ServerTimeouts | None = None
) -> AsyncIterator[Client]:
    server = Server(application, ServerTimeouts() if timeouts is None else timeouts)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        listening.close()
        server.close()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await scenario()

    uvloop.run(bounded())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split(" ")[1]), headers, body


def post(body: bytes, *headers: str, path: str = "/p") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_requests_on_one_connection_are_answered_in_order() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(post(b"one", path="/1") + post(b"two", path="/2") + post(b"", path="/3"))
            answers = [await answer(reader) for _ in range(3)]

        assert [(a[1]["x-path"], a[2]) for a in answers] == [
            ("/1", b"one"),
            ("/2", b"two"),
            ("/3", b""),
        ]

    run(scenario)


@pytest.mark.parametrize("cut", [1, 30, 59, 62, 70])
def test_a_request_may_arrive_in_pieces(cut: int) -> None:
    async def scenario() -> None:
        data = post(b"0123456789") + post(b"next")
        async with client_of() as (reader, writer):
            writer.write(data[:cut])
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(data[cut:])

            assert (await answer(reader))[2] == b"0123456789"
            assert (await answer(reader))[2] == b"next"

    run(scenario)


def test_a_large_body_is_received_whole() -> None:
    async def scenario() -> None:
        body = bytes(range(256)) * 40_000

        def application(request: Request) -> None:
            request.collect(len(body), lambda whole: request.respond(200, b"", bytes(whole)), print)

        async with client_of(application) as (reader, writer):
            writer.write(post(body) + post(b"after"))

            assert (await answer(reader))[2] == body
            assert (await answer(reader))[2] == b"after"

    run(scenario)


def test_a_body_over_the_limit_is_answered_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(post(bytes(LIMIT + 1)) + post(bytes(LIMIT)))

            status, _, body = await answer(reader)
            assert (status, body) == (413, b"1001")
            assert len((await answer(reader))[2]) == LIMIT

    run(scenario)


def test_a_chunked_body_over_the_limit_is_answered_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"300\r\n" + bytes(0x300) + b"\r\n300\r\n" + bytes(0x300) + b"\r\n")
            assert (await answer(reader))[0] == 413
            writer.write(b"10\r\n" + bytes(16) + b"\r\n0\r\n\r\n" + post(b"next"))

            assert (await answer(reader))[2] == b"next"

    run(scenario)


def test_a_client_that_asks_first_is_told_to_continue() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(post(b"late", "Expect: 100-continue")[:-4])

            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"late")
            assert (await answer(reader))[2] == b"late"

    run(scenario)


def test_a_client_that_asks_first_is_not_told_to_continue_with_too_much() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(post(bytes(LIMIT + 1), "Expect: 100-continue")[: -LIMIT - 1])

            assert (await answer(reader))[0] == 413

    run(scenario)


def test_http_1_0_closes_after_the_answer() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")

            _, headers, body = await answer(reader)
            assert (headers["connection"], body) == ("close", b"hi")
            assert await reader.read() == b""

    run(scenario)


def test_a_client_that_has_closed_its_half_still_gets_the_answer() -> None:
    async def scenario() -> None:
        def application(request: Request) -> None:
            asyncio.get_running_loop().call_later(0.05, request.respond, 200, b"", b"late")

        async with client_of(application) as (reader, writer):
            writer.write(post(b""))
            writer.write_eof()

            assert (await answer(reader))[2] == b"late"
            assert await reader.read() == b""

    run(scenario)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",  # a TLS client
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
    ],
)
def test_bytes_that_are_no_request_are_answered_with_400_and_the_end(data: bytes) -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(data)

            assert (await answer(reader))[0] == 400
            assert await reader.read() == b""

    run(scenario)


def test_a_head_without_end_is_refused() -> None:
    async def scenario() -> None:
        async with client_of() as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000)

            assert (await answer(reader))[0] == 431

    run(scenario)


@pytest.mark.parametrize(
    "data",
    [b"POST / HTT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["head", "body"],
)
def test_a_client_that_stops_in_the_middle_is_told_after_its_time(data: bytes) -> None:
    async def scenario() -> None:
        timeouts = ServerTimeouts(head_s=0.1, collect_s=0.1)
        async with client_of(timeouts=timeouts) as (reader, writer):
            writer.write(data)

            assert (await answer(reader))[0] == 408
            assert await reader.read() == b""

    run(scenario)


def test_a_client_that_sends_a_byte_now_and_then_gains_no_time() -> None:
    async def scenario() -> None:
        async with client_of(timeouts=ServerTimeouts(head_s=0.4)) as (reader, writer):

            async def trickle() -> None:
                for byte in b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 100:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.05)

            trickling = asyncio.create_task(trickle())
            assert (await answer(reader))[0] == 408
            trickling.cancel()

    run(scenario)


def test_an_idle_connection_is_closed_without_a_word() -> None:
    async def scenario() -> None:
        timeouts = ServerTimeouts(keep_alive_s=0.1)
        async with client_of(timeouts=timeouts) as (reader, writer):
            writer.write(post(b"x"))
            await answer(reader)

            assert await reader.read() == b""

    run(scenario)


def test_a_fault_of_the_application_is_an_internal_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def application(_: Request) -> None:
        raise RuntimeError("a bug")

    async def scenario() -> None:
        async with client_of(application) as (reader, writer):
            writer.write(post(b"x"))

            status, headers, _ = await answer(reader)
            assert (status, headers["x-amzn-errortype"]) == (500, "InternalFailure")

    run(scenario)
    assert "a bug" in caplog.text


def test_the_application_learns_that_the_client_has_gone() -> None:
    async def scenario() -> None:
        gone = asyncio.Event()
        requests: list[Request] = []

        def application(request: Request) -> None:
            request.on_abort = gone.set
            requests.append(request)

        async with client_of(application) as (_, writer):
            writer.write(post(b""))
            await writer.drain()
            while not requests:  # noqa: ASYNC110 - filled by a callback of the server
                await asyncio.sleep(0.01)
        await gone.wait()

        assert requests[0].aborted
        requests[0].respond(200, b"", b"nobody reads this")

    run(scenario)
