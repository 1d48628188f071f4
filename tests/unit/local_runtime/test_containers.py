"""Requests to a program that takes several at once, each over a connection of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from local_runtime import containers
from local_runtime.containers import Container
from local_runtime.errors import ContainerPlace, RuntimeApiError
from local_runtime.http_client import (
    Address,
    Answer,
    AnswerTooLargeError,
    ConnectionLostError,
    TcpAddress,
)
from local_runtime.processes import ProcessRegister
from local_runtime.settings import Limits
from local_runtime.workers import ContainerPlan, ProgramSpec

# Answers two requests when both are there, and none before.
PROGRAM = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOTH = threading.Barrier(2)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        BOTH.wait()
        self.do_GET()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Call:
    """A request that does something at the moment at which it is sent."""

    body = b""
    queued_at_s = 0.0
    timeout_s = 60.0
    abandoned = False

    def __init__(self, when_sent: Callable[[], None]) -> None:
        self._when_sent = when_sent
        self.outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    @property
    def head(self) -> bytes:
        self._when_sent()
        return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

    def answered(self, answer: Answer) -> None:
        self.outcome.set_result(answer.status)

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        self.outcome.set_result(error)

    def refused(self, error: RuntimeApiError) -> None:
        self.outcome.set_result(error)

    def timed_out(self) -> None:
        self.outcome.set_result("timed out")

    def drop(self) -> None:
        self.outcome.set_result("dropped")


def command(address: Address) -> list[str]:
    assert isinstance(address, TcpAddress)
    return [sys.executable, "-c", PROGRAM, str(address.port)]


def test_a_request_that_comes_while_another_is_sent_gets_a_connection_of_its_own(
    tmp_path: Path,
) -> None:
    plan = ContainerPlan(
        place=ContainerPlace("us-east-1", "123456789012", "e", "v", "i-1", "primary"),
        program=ProgramSpec(
            command=command,
            environment=lambda _: dict(os.environ),
            cwd=tmp_path,
            listens_on_port=True,
        ),
        workers=1,
        log=tmp_path / "log",
        home=tmp_path,
        socket_prefix=str(tmp_path / "s"),
        startup_timeout_s=120.0,
        response_limit=1000,
        mark="HOME=nobody's",
    )

    async def outcomes() -> list[object]:
        container = Container(plan, Limits(), ProcessRegister(tmp_path / "groups"))
        await container.start()
        try:
            second = Call(lambda: None)
            # The protocol's attributes can be set; nobody sets them.
            first = Call(lambda: container.submit(cast("containers.Call", second)))
            container.submit(cast("containers.Call", first))
            return [await first.outcome, await second.outcome]
        finally:
            await container.stop(0.0)

    assert asyncio.run(outcomes()) == [200, 200]
