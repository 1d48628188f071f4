"""The worker's HTTP server: framing, connections, clients that misbehave."""

from __future__ import annotations

import socket

import pytest

from tests.unit.handler_host.conftest import Host, Hosts

ECHO = """
    def model_fn(model_dir): return None
    def input_fn(body, content_type): return body
    def predict_fn(data, model): return data
    def output_fn(data, accept): return data, "application/octet-stream"
"""


@pytest.fixture(scope="module")
def echo(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("scikit-learn", ECHO)


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65_536), b""))


def exchange(client: socket.socket, request: bytes, ends_with: bytes) -> bytes:
    client.sendall(request)
    received = b""
    while not received.endswith(ends_with):
        data = client.recv(65_536)
        assert data, received
        received += data
    return received


def test_ping_is_200_with_an_empty_body(echo: Host) -> None:
    reply = echo.request("GET", "/ping")

    assert (reply.status, reply.body) == (200, b"")


def test_many_requests_share_one_connection(echo: Host) -> None:
    connection = echo.connection()

    for number in range(50):
        connection.request("POST", "/invocations", body=f"{number}".encode())
        assert connection.getresponse().read() == f"{number}".encode()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 262_144, 6 * 1024**2 + 17])
def test_bodies_of_any_size_come_back_whole(echo: Host, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)

    assert echo.invoke(body[:size], "application/octet-stream").body == body[:size]


def test_head_and_small_body_leave_in_one_write(echo: Host) -> None:
    client = echo.raw()
    client.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\n\r\nok")

    assert client.recv(65_536).endswith(b"\r\n\r\nok")


def test_a_request_may_arrive_byte_by_byte(echo: Host) -> None:
    client = echo.raw()
    request = b"POST /invocations HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    for index in range(len(request) - 1):
        client.sendall(request[index : index + 1])

    assert exchange(client, request[-1:], b"abc").startswith(b"HTTP/1.1 200 OK")


def test_requests_sent_ahead_are_answered_in_order(echo: Host) -> None:
    client = echo.raw()
    request = b"POST /invocations HTTP/1.1\r\nContent-Length: 1\r\n\r\n"

    answers = exchange(client, request + b"1" + request + b"2", b"\r\n\r\n2")

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.index(b"\r\n\r\n1") < answers.index(b"\r\n\r\n2")


def test_a_second_connection_is_served_while_the_first_is_idle(echo: Host) -> None:
    idle, busy = echo.connection(), echo.connection()
    idle.connect()

    busy.request("POST", "/invocations", body=b"x")

    assert busy.getresponse().read() == b"x"


def test_a_client_that_stops_halfway_delays_nobody(echo: Host) -> None:
    stalled = echo.raw()
    stalled.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 100000\r\n\r\nsome")

    assert echo.invoke(b"other", "text/plain").body == b"other"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /invocations HT",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_a_client_that_leaves_ends_its_connection_only(echo: Host, sent: bytes) -> None:
    client = echo.raw()
    client.sendall(sent)
    client.close()

    assert echo.invoke(b"other", "text/plain").body == b"other"


def test_a_client_that_leaves_before_a_large_answer_ends_its_connection_only(echo: Host) -> None:
    body = b"x" * 3_000_000
    client = echo.raw()
    client.sendall(
        b"POST /invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    client.close()

    assert echo.invoke(b"other", "text/plain").body == b"other"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nContent-Length : 3\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: -3\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: ten\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n", 413),
        (b"POST /invocations HTTP/1.1\r\nX: " + b"y" * 70_000, 431),
    ],
)
def test_a_malformed_request_is_refused_and_its_connection_closed(
    echo: Host, request_bytes: bytes, status: int
) -> None:
    client = echo.raw()
    client.sendall(request_bytes)

    assert read_all(client).startswith(b"HTTP/1.1 %d " % status)


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(echo: Host) -> None:
    client = echo.raw()
    head = b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"

    assert exchange(client, head, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert exchange(client, b"ok", b"ok").startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "request_line_and_headers",
    [b"GET /ping HTTP/1.1\r\nConnection: close", b"GET /ping HTTP/1.0"],
)
def test_the_connection_closes_when_the_client_asks(
    echo: Host, request_line_and_headers: bytes
) -> None:
    client = echo.raw()
    client.sendall(request_line_and_headers + b"\r\n\r\n")

    assert b"\r\nConnection: close\r\n" in read_all(client)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/invocations", 405),
        ("POST", "/ping", 405),
        ("GET", "/", 404),
        ("GET", "/execution-parameters", 404),
    ],
)
def test_paths_and_methods_outside_the_contract_are_refused(
    echo: Host, method: str, path: str, status: int
) -> None:
    assert echo.request(method, path).status == status


def test_a_query_string_does_not_change_the_path(echo: Host) -> None:
    assert echo.request("GET", "/ping?x=1").status == 200


def test_the_socket_left_by_a_killed_worker_is_replaced(hosts: Hosts) -> None:
    killed = hosts.serve("scikit-learn", ECHO)
    killed.process.kill()
    killed.process.wait()

    again = hosts.serve("scikit-learn", ECHO, socket_path=killed.socket_path)
    assert again.process.poll() is None


STREAMS = """
    import os
    def model_fn(model_dir): return None
    def input_fn(body, content_type): return body
    def predict_fn(data, model):
        kind = data
        def chunks():
            if kind == "fails at once": raise ValueError("no first chunk")
            yield "one "
            yield b"two "
            if kind == "fails later": raise ValueError("no third chunk")
            yield ""
            yield "three"
        async def asynchronous():
            yield "one "
            yield b"two three"
        return asynchronous() if kind == "asynchronous" else chunks()
    def output_fn(prediction, accept): return prediction
"""


@pytest.fixture(scope="module", params=["scikit-learn", "inference", "huggingface"])
def streams(shared_hosts: Hosts, request: pytest.FixtureRequest) -> Host:
    return shared_hosts.serve(request.param, STREAMS)


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
def test_a_generator_is_answered_in_chunks(streams: Host, kind: str) -> None:
    reply = streams.invoke(kind)

    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.body == b"one two three"


def test_the_connection_goes_on_after_a_streamed_answer(streams: Host) -> None:
    connection = streams.connection()
    for _ in range(3):
        connection.request("POST", "/invocations", b"x", {"Content-Type": "text/csv"})
        assert connection.getresponse().read() == b"one two three"


def test_a_generator_that_fails_at_once_is_an_error(streams: Host) -> None:
    reply = streams.invoke("fails at once")

    assert reply.status in {400, 500}
    assert "no first chunk" in reply.text


def test_a_generator_that_fails_later_ends_the_body_early(streams: Host) -> None:
    client = streams.raw()
    client.sendall(
        b"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\n"
        b"Content-Length: 11\r\n\r\nfails later"
    )

    assert read_all(client).endswith(b"two \r\n")
    assert "no third chunk" in streams.log


def test_an_http_1_0_client_gets_a_stream_without_chunks(streams: Host) -> None:
    client = streams.raw()
    client.sendall(
        b"POST /invocations HTTP/1.0\r\nContent-Type: text/csv\r\nContent-Length: 1\r\n\r\nx"
    )

    assert read_all(client).endswith(b"\r\n\r\none two three")
