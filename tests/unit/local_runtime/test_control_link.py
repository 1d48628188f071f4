"""The data plane's way to the control plane, also while that is started again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_runtime.control_link import ControlLink, ControlLinkError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control.sock")


@pytest.fixture
def asking() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


def ask(link: ControlLink) -> bytes:
    with link.exchange("PUT", "/bucket/key", {}, b"body") as response:
        return response.read()


class ControlPlane:
    """Listens on the socket; ends the first connections without an answer."""

    def __init__(self, path: str, *, dies: int = 0) -> None:
        self._dies = dies
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for number in range(self._dies + 1):
            connection, _ = self._listening.accept()
            with connection:
                head = b""
                while not head.endswith(b"body"):
                    head += connection.recv(4096)
                if number >= self._dies:
                    connection.sendall(ANSWER)

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listening.close()


def test_a_request_waits_for_a_control_plane_that_is_not_there_yet(
    path: str, asking: ThreadPoolExecutor
) -> None:
    answer = asking.submit(ask, ControlLink(path, absence_s=60))

    with ControlPlane(path):
        assert answer.result() == b"ok"


def test_a_request_is_sent_again_when_the_control_plane_dies_before_its_answer(path: str) -> None:
    with ControlPlane(path, dies=2):
        assert ask(ControlLink(path, absence_s=60)) == b"ok"


def test_a_control_plane_that_stays_away_is_an_error(path: str) -> None:
    with pytest.raises(ControlLinkError, match="PUT /bucket/key"):
        ask(ControlLink(path, absence_s=0))
