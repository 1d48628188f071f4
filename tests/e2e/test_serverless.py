"""Serverless endpoints, with boto3 alone."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, SETTINGS, Runtime, wait_until

pytestmark = pytest.mark.e2e

# Answers with the process that did, and what it has done since it began.
COUNTING = """
import json, os

def model_fn(model_dir):
    return {"calls": 0}

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    model["calls"] += 1
    return {"pid": os.getpid(), "calls": model["calls"]}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""

# Holds every request that names a file until that file is there, and says by another that it does.
HOLDING = COUNTING.replace(
    'model["calls"] += 1',
    """
    import pathlib, time
    if data:
        place = pathlib.Path(data.decode())
        (place / f"working-{os.getpid()}").touch()
        while not (place / "go").exists():
            time.sleep(0.01)
    model["calls"] += 1""",
)


def serverless(memory_mb: int = 1024, concurrency: int = 2, **more: int) -> dict[str, Any]:
    """What makes the variant of ``Runtime.deploy`` serverless."""
    size = {"MemorySizeInMB": memory_mb, "MaxConcurrency": concurrency, **more}
    return {"InstanceType": None, "InitialInstanceCount": None, "ServerlessConfig": size}


def config(runtime: Runtime, code: str, **size: int) -> str:
    variant = runtime.variant(runtime.handler(code), **serverless(**size))
    return runtime.config_of([{key: value for key, value in variant.items() if value is not None}])


def deploy(runtime: Runtime, code: str = COUNTING, **size: int) -> str:
    return runtime.deploy_config(config(runtime, code, **size))


def call(runtime: Runtime, name: str, body: bytes = b"") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(runtime.invoke(name, body)["Body"])
    return answer


def workers(runtime: Runtime, endpoint: str) -> list[int]:
    """The environments of an endpoint that are running now; each has a log stream and a home."""
    logs = runtime.state_dir / "logs/aws/sagemaker/Endpoints" / endpoint
    homes = {f"home-{path.name}" for path in logs.glob("*/*")}
    found = []
    for pid in runtime.pids("handler_host"):
        try:
            entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
        except OSError:
            continue
        if homes & {Path(entry).name for entry in entries if entry.startswith("HOME=")}:
            found.append(pid)
    return found


@pytest.fixture
def patient(start_runtime: Callable[..., Runtime]) -> Runtime:
    """A runtime in which requests may take long."""
    return start_runtime(settings=SETTINGS.replace("timeout_s = 1.5", "timeout_s = 20.0"))


def test_the_first_request_starts_an_environment_and_the_next_finds_it(runtime: Runtime) -> None:
    name = deploy(runtime)
    assert workers(runtime, name) == []

    first, second = call(runtime, name), call(runtime, name)

    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]
    assert workers(runtime, name) == [first["pid"]]
