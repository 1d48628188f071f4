"""Watch an asynchronous endpoint wake, grow, and fall asleep again.

    python -m tools.async_scaling [--requests N] [--speed X]

Starts the local runtime, deploys an endpoint with the scaling of AWS's example (none to five
instances, five waiting requests for each, cooldowns of two minutes) by boto3 alone, sends the
requests at once, and follows them until the last is answered and the last instance is gone.
Writes ``build/async/scaling.html`` (backlog, backlog per instance, instances) and ``scaling.json``;
exits 0 only when every request ended in exactly one object.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from tools.backlog_scaling import VARIANT, scale_by_backlog
from tools.runtime_client import client, local_runtime

OUT = Path(__file__).parent.parent / "build" / "async"
REGION, ACCOUNT = "us-east-1", "123456789012"
IMAGE = f"683313688378.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
NAME, BUCKET = "async-scaling", "async-scaling"
SAMPLE_S = 0.5
TIMEOUT_S = 900
SENDERS = 8
MAX_INSTANCES = 5
_STROKE = 2  # pixels of a chart's line
# Datapoints carry the wall's time, and come once a minute of the service.
_RECENT_S = 30

# Each request keeps a worker busy for a while, as a model would.
HANDLER = """
import time

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return body

def predict_fn(body, model):
    time.sleep(0.02)
    return body

def output_fn(body, accept):
    return body, accept
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The endpoint at one moment."""

    service_minutes: float
    backlog: float
    backlog_per_instance: float | None
    instances: int


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.async_scaling")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--speed", type=float, default=60)
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with local_runtime(speed=arguments.speed) as environment:
        _deploy(environment)
        _wait(lambda: _instances(environment) == 0, "the idle endpoint to have no instance")
        samples, counts = _follow(environment, arguments.requests, arguments.speed)
    (OUT / "scaling.json").write_text(
        json.dumps({"counts": counts, "samples": [asdict(sample) for sample in samples]}) + "\n"
    )
    (OUT / "scaling.html").write_text(_page(samples, counts))
    print(json.dumps(counts, indent=2))
    print(f"{(OUT / 'scaling.html').relative_to(OUT.parent.parent)} shows it")
    return 0 if counts["outputs"] + counts["failures"] == arguments.requests else 1


def _deploy(environment: Mapping[str, str]) -> None:
    s3, sagemaker = client("s3", environment), client("sagemaker", environment)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=_archive())
    role = f"arn:aws:iam::{ACCOUNT}:role/inference"
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=NAME,
        ProductionVariants=[
            {
                "VariantName": VARIANT,
                "ModelName": NAME,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
        AsyncInferenceConfig={
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/output/",
                "S3FailurePath": f"s3://{BUCKET}/failure/",
            },
        },
    )
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)

    def in_service() -> bool:
        return bool(sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"] == "InService")

    _wait(in_service, "the endpoint to be in service")
    scale_by_backlog(
        client("application-autoscaling", environment),
        client("cloudwatch", environment),
        NAME,
        max_instances=MAX_INSTANCES,
    )


def _follow(
    environment: Mapping[str, str], requests: int, speed: float
) -> tuple[list[Sample], dict[str, Any]]:
    """Send the requests and sample the endpoint until it is empty and asleep."""
    started = time.monotonic()
    accepted: list[tuple[str, str]] = []
    sender = threading.Thread(target=lambda: accepted.extend(_send(environment, requests)))
    sender.start()
    samples: list[Sample] = []
    answered_s: float | None = None
    while True:
        elapsed = time.monotonic() - started
        instances = _instances(environment)
        backlog = _backlog(environment)
        samples.append(
            Sample(
                service_minutes=elapsed * speed / 60,
                backlog=backlog,
                backlog_per_instance=backlog / instances if instances else None,
                instances=instances,
            )
        )
        idle = not sender.is_alive() and backlog == 0
        if idle and answered_s is None:
            answered_s = elapsed
        if (idle and instances == 0) or elapsed > TIMEOUT_S:
            break
        time.sleep(SAMPLE_S)
    outputs, failures = _keys(environment, "output/"), _keys(environment, "failure/")
    return samples, {
        "requests": requests,
        "accepted": len(accepted),
        "outputs": len(outputs & {output for output, _ in accepted}),
        "failures": len(failures & {failure for _, failure in accepted}),
        "most_instances": max(sample.instances for sample in samples),
        "answered_after_s": None if answered_s is None else round(answered_s, 1),
        "asleep_after_s": round(time.monotonic() - started, 1),
    }


def _send(environment: Mapping[str, str], requests: int) -> list[tuple[str, str]]:
    runtime = client("sagemaker-runtime", environment)

    def send(number: int) -> tuple[str, str]:
        response = runtime.invoke_endpoint_async(
            EndpointName=NAME, Body=str(number).encode(), ContentType="text/csv"
        )
        return response["OutputLocation"], response["FailureLocation"]

    with ThreadPoolExecutor(SENDERS) as senders:
        return list(senders.map(send, range(requests)))


def _instances(environment: Mapping[str, str]) -> int:
    described = client("sagemaker", environment).describe_endpoint(EndpointName=NAME)
    return int(described["ProductionVariants"][0]["CurrentInstanceCount"])


def _backlog(environment: Mapping[str, str]) -> float:
    """The newest datapoint of ApproximateBacklogSize."""
    now = time.time()
    answer = client("cloudwatch", environment).get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ApproximateBacklogSize",
        Dimensions=[{"Name": "EndpointName", "Value": NAME}],
        StartTime=now - _RECENT_S,
        EndTime=now + 1,
        Period=1,
        Statistics=["Average"],
    )
    points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    return float(points[-1]["Average"]) if points else 0.0


def _keys(environment: Mapping[str, str], prefix: str) -> set[str]:
    pages = client("s3", environment).get_paginator("list_objects_v2")
    return {
        f"s3://{BUCKET}/{entry['Key']}"
        for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
        for entry in page.get("Contents", [])
    }


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(HANDLER)
        tar.addfile(member, io.BytesIO(HANDLER.encode()))
    return buffer.getvalue()


def _wait(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_true():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {TIMEOUT_S} s for {what}")
        time.sleep(SAMPLE_S)


def _page(samples: list[Sample], counts: Mapping[str, Any]) -> str:
    """One self-contained page with three charts over the service's minutes."""
    charts = [
        ("Requests waiting or in work", [(s.service_minutes, s.backlog) for s in samples]),
        (
            "The same for each instance (none while there is no instance)",
            [
                (s.service_minutes, s.backlog_per_instance)
                for s in samples
                if s.backlog_per_instance is not None
            ],
        ),
        ("Instances", [(s.service_minutes, float(s.instances)) for s in samples]),
    ]
    facts = ", ".join(
        f"{escape(name.replace('_', ' '))}: {value}" for name, value in counts.items()
    )
    body = "".join(_chart(title, points, samples[-1].service_minutes) for title, points in charts)
    return (
        "<!doctype html><meta charset=utf-8><title>An asynchronous endpoint scales</title>"
        "<style>body{font:15px system-ui;margin:2rem auto;max-width:52rem;padding:0 1rem}"
        "svg{width:100%;height:auto}text{font:11px system-ui;fill:#555}</style>"
        f"<h1>An asynchronous endpoint wakes, grows and sleeps</h1><p>{facts}</p>{body}"
    )


def _chart(title: str, points: list[tuple[float, float]], end: float) -> str:
    width, height, left, bottom = 800, 200, 60, 24
    top = max((value for _, value in points), default=0) or 1

    def place(minute: float, value: float) -> str:
        x = left + (width - left) * minute / end
        y = _STROKE + (height - bottom - _STROKE) * (1 - value / top)
        return f"{x:.1f},{y:.1f}"

    # A step: what was sampled holds until the next sample.
    path: list[str] = []
    for (minute, value), (following, _) in zip(points, [*points[1:], (end, 0.0)], strict=True):
        path += [place(minute, value), place(following, value)]
    ticks = "".join(
        f"<text x={left + (width - left) * share:.0f} y={height - 6}>{end * share:.0f} min</text>"
        for share in (0, 0.25, 0.5, 0.75)
    )
    return (
        f"<h2>{escape(title)}</h2><svg viewBox='0 0 {width} {height}' role=img"
        f" aria-label='{escape(title)}'><text x=0 y=12>{top:,.0f}</text>"
        f"<text x=0 y={height - bottom}>0</text>{ticks}"
        f"<polyline points='{' '.join(path)}' fill=none stroke='#0b62c4'"
        f" stroke-width={_STROKE} /></svg>"
    )


if __name__ == "__main__":
    sys.exit(main())
