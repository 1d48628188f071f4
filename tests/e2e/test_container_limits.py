"""Handlers that take what they can get: the container is stopped, everybody else is served on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, SETTINGS, Runtime, wait_until

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
LIMITS = f"""
invocation_timeout_s = 10.0
container_memory_bytes = {300 * MIB}
container_processes = 20
container_file_bytes = {4 * MIB}
"""
# What a request asks for is done.
GREEDY = """
import os, subprocess, sys, time
held = []

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return bytes(body).decode()

def predict_fn(wish, model):
    if wish == "leak":
        for _ in range(100):
            held.append(bytearray(os.urandom(1024) * 1024 * 10))
            time.sleep(0.001)
        time.sleep(600)
    if wish == "fork":
        while True:
            if os.fork() == 0:
                time.sleep(600)
            time.sleep(0.002)
    if wish == "start":
        for _ in range(200):
            subprocess.Popen(["sleep", "986"], start_new_session=True)
        time.sleep(600)
    if wish == "fill":
        with open(os.path.join(os.environ["TMPDIR"], "large"), "wb") as file:
            while True:
                file.write(b"x" * 65536)
    if wish == "hang":
        time.sleep(600)
    if wish == "close":
        os.close(1), os.close(2)
        print("nobody reads this")
    return wish

def output_fn(wish, accept):
    return wish.encode(), "text/plain"
"""


@contextmanager
def load(runtime: Runtime, name: str) -> Iterator[list[bytes]]:
    """Invoke an endpoint from several threads meanwhile; every answer must be right."""
    answers: list[bytes] = []
    ended = threading.Event()

    def invoke() -> None:
        while not ended.is_set():
            answers.append(runtime.invoke(name, b"x")["Body"])

    threads = [threading.Thread(target=invoke) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    runtime = Runtime(tmp_path_factory.mktemp("runtime"), settings=SETTINGS + LIMITS)
    yield runtime
    runtime.stop()


@pytest.fixture(scope="module")
def modest(limited: Runtime) -> str:
    return limited.deploy(limited.handler(ECHO))


@pytest.fixture(scope="module")
def greedy(limited: Runtime) -> str:
    slow = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "60"}
    return limited.deploy(limited.handler(GREEDY, environment=slow))


def serves(runtime: Runtime, name: str) -> bool:
    try:
        return bool(runtime.invoke(name, b"x")["Body"] == b"x")
    except ClientError:
        return False


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ("leak", "insufficient memory, the limit is 300 MB"),
        ("fork", "too many processes"),
        ("start", "too many processes"),
        ("hang", None),
        ("fill", "File too large"),
    ],
)
def test_a_greedy_handler_fails_alone(
    limited: Runtime, modest: str, greedy: str, wish: str, why: str | None
) -> None:
    data_plane = limited.data_plane

    with load(limited, modest) as answers:
        with pytest.raises(ClientError) as refusal:
            limited.invoke(greedy, wish.encode())
        wait_until(lambda: serves(limited, greedy))

    assert refusal.value.response["Error"]["Code"] == "ModelError"
    assert set(answers) == {b"x"}
    assert limited.data_plane == data_plane
    assert why is None or why in limited.log(greedy)
    wait_until(lambda: len(limited.containers(greedy)) == 1)
    wait_until(lambda: not limited.pids("sleep 986"))


def test_a_handler_that_closes_its_output_goes_on_answering(
    limited: Runtime, modest: str, greedy: str
) -> None:
    with load(limited, modest) as answers:
        for _ in range(20):
            serves(limited, greedy)
            with pytest.raises(ClientError, match="ModelError"):
                limited.invoke(greedy, b"close")

        wait_until(lambda: serves(limited, greedy))

    assert set(answers) == {b"x"}


def test_a_handler_that_takes_too_much_at_its_start_fails_the_endpoint_with_the_reason(
    limited: Runtime, modest: str
) -> None:
    held = "import time; held = b'x' * 400 * 1024**2; time.sleep(600)"

    reason = limited.failure(limited.handler(ECHO.replace("return None", held)))

    assert "insufficient memory, the limit is 300 MB" in reason
    assert serves(limited, modest)
