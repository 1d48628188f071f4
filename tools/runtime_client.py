"""The local runtime, started for a program's own use, and clients that talk to it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).parent.parent
EXIT_TIMEOUT_S = 60


@contextlib.contextmanager
def local_runtime(*, speed: float, arguments: Sequence[str] = ()) -> Iterator[Mapping[str, str]]:
    """Start the local runtime on a free port; give the environment of its clients.

    Args:
        speed: of the service's clock.
        arguments: more of them, for ``up``.
    """
    command = [sys.executable, "-m", "local_runtime", "up", "--port", "0", "--speed", str(speed)]
    with subprocess.Popen(
        [*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as runtime:
        try:
            port = _ready_port(runtime)
            print(f"local runtime on http://127.0.0.1:{port}", flush=True)
            yield {**os.environ, **client_environment(port)}
        finally:
            runtime.send_signal(signal.SIGTERM)


def client(service: str, environment: Mapping[str, str]) -> Any:
    """A boto3 client of the runtime."""
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def _ready_port(runtime: subprocess.Popen[str]) -> int:
    assert runtime.stdout is not None, "opened as a pipe"
    line = runtime.stdout.readline()
    ready = re.fullmatch(r"ready http://127\.0\.0\.1:(\d+)\n", line)
    if ready is None:
        raise SystemExit(
            f"the local runtime did not start (exit code {runtime.wait(EXIT_TIMEOUT_S)})"
        )
    return int(ready[1])


def client_environment(port: int) -> dict[str, str]:
    """What ``python -m local_runtime env`` exports."""
    lines = subprocess.run(
        [sys.executable, "-m", "local_runtime", "env", "--port", str(port)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    exported = (
        shlex.split(line.removeprefix("export "))[0] for line in lines if line.startswith("export ")
    )
    return dict(assignment.split("=", 1) for assignment in exported)
