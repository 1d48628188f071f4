"""What the benchmark's clients do when AWS is busy, or is not AWS."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarking.aws import Account
from benchmarking.errors import RefusedError


class Service(ThreadingHTTPServer):
    """Refuses a number of control calls as AWS does when there are too many, then answers."""

    daemon_threads = True

    def __init__(self, refusals: int, status: object) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusals = refusals
        self.status = status
        self.calls = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls += 1
        if self.server.calls <= self.server.refusals:
            self._send(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
        else:
            self._send(200, {"ModelName": "m"})

    def do_GET(self) -> None:
        self._send(200, self.server.status)

    def _send(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    server = Service(refusals=2, status={"speed": 60})
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_throttled_control_calls_are_repeated(service: Service) -> None:
    account = Account(region="us-east-1")

    assert account.client("sagemaker").describe_model(ModelName="m")["ModelName"] == "m"
    assert service.calls == 3


def test_a_local_runtimes_clock_shortens_waiting(service: Service) -> None:
    account = Account(region="us-east-1")

    assert account.local_speed == 60
    assert account.wall_s(600) == 10


def test_what_is_not_a_local_runtime_keeps_real_time(service: Service) -> None:
    service.status = {"message": "something else"}
    account = Account(region="us-east-1")

    assert account.local_speed is None
    assert account.wall_s(600) == 600


def test_without_a_region_the_sentence_says_how_to_give_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    with pytest.raises(RefusedError, match="no AWS region is set: give --region"):
        Account()
