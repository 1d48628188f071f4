"""The proxy between a client and a control plane of raw bytes."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest
import uvloop

from local_runtime.http_server import Server, ServerTimeouts
from local_runtime.proxy import ControlPlaneProxy

MEGABYTE = 1024 * 1024


class Upstream(BaseHTTPRequestHandler):
    """Answers as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/empty":
            self.send_response(204)
            self.end_headers()
        elif self.path == "/unmodified":
            self.send_response(304)
            self.send_header("ETag", "one")
            self.end_headers()
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        elif self.path == "/until-close":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"all of it")
            self.close_connection = True
        elif self.path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif self.path == "/silent":
            self.close_connection = True
        elif self.path == "/large":
            self.send_response(200)
            self.send_header("Content-Length", str(64 * MEGABYTE))
            self.end_headers()
            for _ in range(64):
                self.wfile.write(bytes(MEGABYTE))
        else:
            self._say(repr(sorted(self.headers.items())).encode())

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_PUT(self) -> None:
        length = self.headers["Content-Length"]
        if self.path == "/early":
            self._say(b"enough")
            self.wfile.flush()
            # What closes now may be heard of before the answer is: the other side shall go first.
            while self.rfile.read(MEGABYTE):
                pass
            return
        total = 0
        if length is None:
            while size := int(self.rfile.readline(), 16):
                total += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            while total < int(length):
                total += len(self.rfile.read(min(MEGABYTE, int(length) - total)))
        self._say(f"{total} {self.headers['Transfer-Encoding']}".encode())

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class UnixServer(ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients of these tests leave early on purpose."""

    def get_request(self) -> tuple[object, tuple[str, int]]:  # type: ignore[override]
        connection, _ = super().get_request()
        return connection, ("unix", 0)  # BaseHTTPRequestHandler wants an address


@pytest.fixture(scope="module")
def control_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with UnixServer(path, Upstream) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


@pytest.fixture
def client(control_socket: str) -> Iterator[http.client.HTTPConnection]:
    with gateway(control_socket) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        yield connection
        connection.close()


class gateway:  # noqa: N801 - used like a function
    """A server with nothing but the proxy, in a thread with a loop of its own."""

    def __init__(self, control_socket: str) -> None:
        self._control_socket = control_socket
        self._port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = Server(ControlPlaneProxy(self._control_socket).forward, ServerTimeouts())
        listening = await self._loop.create_server(server, "127.0.0.1", 0)
        self._port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listening.close()
        server.close()

    def __enter__(self) -> int:
        self._thread.start()
        self._ready.wait()
        return self._port

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


Client = http.client.HTTPConnection


def test_headers_pass_except_those_of_the_connection(client: Client) -> None:
    client.request(
        "GET", "/", headers={"X-Thing": "Two  words", "TE": "trailers", "Connection": "keep-alive"}
    )

    seen = dict(eval(client.getresponse().read()))  # noqa: S307 - our own repr

    assert seen["x-thing"] == "Two  words"
    assert seen["host"] == f"127.0.0.1:{client.port}"
    assert "te" not in seen


def test_a_connection_serves_one_kind_of_answer_after_the_other(client: Client) -> None:
    found = []
    for method, path in (
        ("GET", "/empty"),
        ("HEAD", "/x"),
        ("GET", "/chunked"),
        ("GET", "/unmodified"),
        ("GET", "/until-close"),
        ("GET", "/chunked"),
    ):
        client.request(method, path)
        answer = client.getresponse()
        found.append((answer.status, answer.read(), answer.headers["Content-Length"]))

    assert found == [
        (204, b"", None),
        (200, b"", "12345"),
        (200, b"onetwo", None),
        (304, b"", None),
        (200, b"all of it", None),
        (200, b"onetwo", None),
    ]


@pytest.mark.parametrize("size", [0, 1, 1000, 64 * MEGABYTE])
def test_a_body_passes_whatever_its_size(client: Client, size: int) -> None:
    client.request("PUT", "/", body=bytes(size))

    assert client.getresponse().read() == f"{size} None".encode()


def test_a_chunked_body_stays_chunked(client: Client) -> None:
    client.request(
        "PUT",
        "/",
        body=iter([b"a" * 10, b"b" * 300_000, b"c"]),
        headers={"Transfer-Encoding": "chunked"},
        encode_chunked=True,
    )

    assert client.getresponse().read() == b"300011 chunked"


def test_a_large_answer_passes_to_a_slow_reader(client: Client) -> None:
    client.request("GET", "/large")
    answer = client.getresponse()

    total = 0
    while piece := answer.read(100_000):
        total += len(piece)

    assert total == 64 * MEGABYTE


def test_a_client_that_asks_first_is_told_to_continue(client: Client) -> None:
    client.putrequest("PUT", "/")
    client.putheader("Content-Length", "5")
    client.putheader("Expect", "100-continue")
    client.endheaders()
    assert client.sock is not None
    assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

    client.send(b"later")

    assert client.getresponse().read() == b"5 None"


def test_an_answer_before_the_end_of_the_body_reaches_the_client(client: Client) -> None:
    client.request("PUT", "/early", body=bytes(8 * MEGABYTE))

    assert client.getresponse().read() == b"enough"


def test_an_answer_that_breaks_off_is_not_passed_as_complete(client: Client) -> None:
    client.request("GET", "/broken")
    answer = client.getresponse()

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()


def test_no_answer_is_service_unavailable(client: Client) -> None:
    client.request("GET", "/silent")

    assert client.getresponse().status == 503


def test_no_control_plane_is_service_unavailable(tmp_path: Path) -> None:
    with gateway(str(tmp_path / "nobody")) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("PUT", "/", body=b"something")

        answer = connection.getresponse()
        answer.read()

        assert answer.status == 503
        assert answer.headers["x-amzn-errortype"] == "ServiceUnavailable"
        connection.close()
