"""Deploy every stack to the local runtime with the real CDK CLI and invoke every endpoint.

    python -m tools.demo          (which is what ``make demo`` runs)

Prints a table and writes ``build/demo/summary.json``: one object per endpoint with its name, kind,
request, response, latency_ms and ok. The runtime's clock runs sixty times faster, so that an
asynchronous endpoint is seen going to zero instances and coming back. Exits 0 when every endpoint
answered as it should.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from local_runtime.console import CONSOLE_ROUTE
from local_runtime.settings import DEFAULT_PORT
from tools.demo_questions import Question, question_for
from tools.deployment import deploy_all, stack_outputs
from tools.runtime_client import client, local_runtime

ROOT = Path(__file__).parent.parent
OUT = ROOT / "build" / "demo"
SPEED = 60
# Wall clock; at this speed the quarter of an hour that AWS takes to scale in passes in 15 s.
SCALE_TIMEOUT_S = 120
ANSWER_TIMEOUT_S = 60
POLL_S = 0.2

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """One endpoint's line of the summary."""

    name: str
    kind: str
    request: str
    response: Any
    latency_ms: float
    ok: bool


def main() -> int:
    """Run the demo; return the exit code."""
    OUT.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with local_runtime(speed=SPEED) as environment:
        print(f"console on {environment['AWS_ENDPOINT_URL']}{CONSOLE_ROUTE} meanwhile", flush=True)
        deploy_all(environment, OUT / "cdk.out")
        print(f"deployed after {time.monotonic() - started:.0f} s\n", flush=True)
        outputs = stack_outputs(environment)
        invocations = [
            _invoke(kind.removesuffix(_SUFFIX), name, outputs, environment)
            for kind, name in outputs.items()
            if kind.endswith(_SUFFIX)
        ]
        waking = _wake_from_zero(outputs, environment)
    (OUT / "summary.json").write_text(
        json.dumps([asdict(invocation) for invocation in invocations], indent=2) + "\n"
    )
    _print_table(invocations)
    print(f"\n{waking}")
    print(f"{(OUT / 'summary.json').relative_to(ROOT)} holds the requests and the answers")
    print(f"{time.monotonic() - started:.0f} s in all; the runtime is stopped")
    print(_KEEP)
    return 0 if invocations and all(invocation.ok for invocation in invocations) else 1


_SUFFIX = "EndpointName"
_KEEP = f"""
To keep one, and its console:
    make local    # leave it running: http://127.0.0.1:{DEFAULT_PORT}{CONSOLE_ROUTE}
    eval "$(.venv/bin/python -m local_runtime env)"    # in another shell
    npx cdk bootstrap -c env=local && npx cdk deploy --all -c env=local"""


def _invoke(
    kind: str, name: str, outputs: Mapping[str, str], environment: Mapping[str, str]
) -> Invocation:
    question = question_for(kind)
    started = time.perf_counter()
    if kind.startswith("Async"):
        answer = _ask_async(kind, name, question, outputs, environment)
    else:
        answer = _ask(name, question, environment)
    latency_ms = (time.perf_counter() - started) * 1000
    return Invocation(
        name=name,
        kind=kind,
        request=question.text,
        response=answer,
        latency_ms=round(latency_ms, 2),
        ok=question.is_right(answer),
    )


def _ask(name: str, question: Question, environment: Mapping[str, str]) -> Any:
    response = client("sagemaker-runtime", environment).invoke_endpoint(
        EndpointName=name,
        Body=question.body,
        ContentType=question.content_type,
        Accept=question.accept,
        **question.arguments,
    )
    return json.loads(response["Body"].read())


def _ask_async(
    kind: str,
    name: str,
    question: Question,
    outputs: Mapping[str, str],
    environment: Mapping[str, str],
) -> Any:
    """Put a request into the bucket, have it answered, and wait for the answer's object."""
    s3 = client("s3", environment)
    bucket, prefix = _place(outputs[f"{kind}InputPrefix"])
    key = f"{prefix}{time.monotonic_ns()}"
    s3.put_object(Bucket=bucket, Key=key, Body=question.body)
    response = client("sagemaker-runtime", environment).invoke_endpoint_async(
        EndpointName=name,
        InputLocation=f"s3://{bucket}/{key}",
        ContentType=question.content_type,
        Accept=question.accept,
    )
    output, failure = _place(response["OutputLocation"]), _place(response["FailureLocation"])

    def answer() -> bytes | None:
        if (reason := _object(s3, *failure)) is not None:
            raise SystemExit(f"{name} failed: {reason.decode()}")
        return _object(s3, *output)

    return json.loads(_wait_for(answer, ANSWER_TIMEOUT_S, f"the answer of {name}"))


def _wake_from_zero(outputs: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Let the asynchronous endpoint fall asleep, ask it again, and say how long both took."""
    sagemaker = client("sagemaker", environment)
    name = outputs["AsyncEndpointName"]

    def asleep() -> bool | None:
        variant = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]
        return True if variant["CurrentInstanceCount"] == 0 else None

    started = time.monotonic()
    print(f"waiting for {name} to go to zero instances …", flush=True)
    _wait_for(asleep, SCALE_TIMEOUT_S, f"{name} to have no instance")
    slept = time.monotonic()
    _ask_async("Async", name, question_for("Async"), outputs, environment)
    woke = time.monotonic()
    return (
        f"{name} was at zero instances {slept - started:.1f} s later, and from zero it answered in"
        f" {woke - slept:.1f} s, {(woke - slept) * SPEED:.0f} s by the service's clock"
    )


def _wait_for(read: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Poll until ``read`` gives something."""
    deadline = time.monotonic() + timeout_s
    while (value := read()) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(POLL_S)
    return value


def _object(s3: Any, bucket: str, key: str) -> bytes | None:
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return None
    return content


def _place(url: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URL."""
    parts = urlsplit(url)
    return parts.netloc, parts.path.removeprefix("/")


def _print_table(invocations: list[Invocation]) -> None:
    header = ("kind", "latency", "ok", "answer")
    rows = [
        (
            invocation.kind,
            f"{invocation.latency_ms:.1f} ms",
            "yes" if invocation.ok else "NO",
            question_for(invocation.kind).shown(invocation.response),
        )
        for invocation in sorted(invocations, key=lambda invocation: invocation.kind)
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, tuple("-" * width for width in widths), *rows):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


if __name__ == "__main__":
    sys.exit(main())
