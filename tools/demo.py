"""Deploy every stack to the local runtime with the real CDK CLI and invoke every endpoint.

    python -m tools.demo          (which is what ``make demo`` runs)

Prints a table and writes ``build/demo/summary.json``: one object per endpoint with its name, kind,
request, response, latency_ms and ok. Exits 0 when every endpoint answered as it should.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).parent.parent
OUT = ROOT / "build" / "demo"
HOLDOUT = ROOT / "model_code" / "tumor_screening" / "artifacts" / "holdout.csv"
ROWS = 5
READY_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """One endpoint's line of the summary."""

    name: str
    kind: str
    request: str
    response: Any
    latency_ms: float
    ok: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What an endpoint is asked, and how its answer is judged."""

    body: str
    content_type: str
    is_right: Callable[[Any], bool]


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    with _local_runtime() as environment:
        started = time.monotonic()
        _cdk("bootstrap", environment)
        _cdk("deploy", environment, "--all", "--require-approval", "never")
        print(f"deployed in {time.monotonic() - started:.0f} s\n", flush=True)
        invocations = [
            _invoke(name, kind, environment) for kind, name in _endpoints(environment).items()
        ]
    (OUT / "summary.json").write_text(
        json.dumps([asdict(invocation) for invocation in invocations], indent=2) + "\n"
    )
    _print_table(invocations)
    print(f"\n{(OUT / 'summary.json').relative_to(ROOT)} holds the requests and the answers")
    return 0 if invocations and all(invocation.ok for invocation in invocations) else 1


@contextlib.contextmanager
def _local_runtime() -> Iterator[Mapping[str, str]]:
    """Start the local runtime on a free port; give the environment of its clients."""
    command = [sys.executable, "-m", "local_runtime", "up", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as runtime:
        try:
            port = _ready_port(runtime)
            print(f"local runtime on http://127.0.0.1:{port}", flush=True)
            yield {**os.environ, **_client_environment(port)}
        finally:
            runtime.send_signal(signal.SIGTERM)


def _ready_port(runtime: subprocess.Popen[str]) -> int:
    assert runtime.stdout is not None, "opened as a pipe"
    line = runtime.stdout.readline()
    ready = re.fullmatch(r"ready http://127\.0\.0\.1:(\d+)\n", line)
    if ready is None:
        raise SystemExit(
            f"the local runtime did not start (exit code {runtime.wait(READY_TIMEOUT_S)})"
        )
    return int(ready[1])


def _client_environment(port: int) -> dict[str, str]:
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


def _cdk(verb: str, environment: Mapping[str, str], *arguments: str) -> None:
    command = ["npx", "cdk", verb, "-c", "env=local", "--output", str(OUT / "cdk.out"), *arguments]
    print(f"$ {shlex.join(command)}", flush=True)
    subprocess.run(command, cwd=ROOT, env=dict(environment), check=True)


def _client(service: str, environment: Mapping[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def _endpoints(environment: Mapping[str, str]) -> dict[str, str]:
    """Every deployed endpoint's name, by the kind that its stack output starts with."""
    stacks = _client("cloudformation", environment).describe_stacks()["Stacks"]
    suffix = "EndpointName"
    return {
        output["OutputKey"].removesuffix(suffix): output["OutputValue"]
        for stack in stacks
        for output in stack.get("Outputs", [])
        if output["OutputKey"].endswith(suffix)
    }


def _question(kind: str) -> Question:
    """Rows that training did not see, without their labels; right is the true label for most."""
    if kind not in {"Pipeline", "RealTime"}:
        raise ValueError(f"kind must be Pipeline or RealTime, got {kind!r}")
    with HOLDOUT.open(newline="") as file:
        rows = list(csv.DictReader(file))[:ROWS]
    truth = [row.pop("label") for row in rows]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]

    def is_right(answer: Any) -> bool:
        labels = [finding["label"] for finding in answer]
        hits = sum(label == true for label, true in zip(labels, truth, strict=True))
        return bool(hits >= ROWS - 1)

    return Question(body="\n".join(lines) + "\n", content_type="text/csv", is_right=is_right)


def _invoke(name: str, kind: str, environment: Mapping[str, str]) -> Invocation:
    question = _question(kind)
    runtime = _client("sagemaker-runtime", environment)
    started = time.perf_counter()
    response = runtime.invoke_endpoint(
        EndpointName=name,
        Body=question.body.encode(),
        ContentType=question.content_type,
        Accept="application/json",
    )
    answer = json.loads(response["Body"].read())
    return Invocation(
        name=name,
        kind=kind,
        request=question.body,
        response=answer,
        latency_ms=round((time.perf_counter() - started) * 1000, 2),
        ok=question.is_right(answer),
    )


def _print_table(invocations: list[Invocation]) -> None:
    header = ("kind", "endpoint", "latency", "ok", "first answer")
    rows = [
        (
            invocation.kind,
            invocation.name,
            f"{invocation.latency_ms:.1f} ms",
            "yes" if invocation.ok else "NO",
            _shortened(invocation.response[0]),
        )
        for invocation in invocations
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, tuple("-" * width for width in widths), *rows):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _shortened(finding: Mapping[str, Any]) -> str:
    return f"{finding['label']}, probability {finding['probability']:.3f}"


if __name__ == "__main__":
    sys.exit(main())
