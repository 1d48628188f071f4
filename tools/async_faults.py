"""Kill at random what serves an asynchronous endpoint, and account for every request.

    python -m tools.async_faults [--requests N] [--seed S]

Starts the local runtime, deploys an endpoint whose answers are all different, sends the requests
while workers and the data plane are killed with SIGKILL, and waits until the queue is empty. Then
each request that was accepted must have ended in exactly one object, an output or a failure, the
topic must have heard of it, and an object that was written more than once must have had the same
bytes each time. Prints the figures; exits 0 only when all of that is so.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import signal
import sqlite3
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tools.runtime_client import local_runtime

NAME, BUCKET = "async-faults", "async-faults"
REGION, ACCOUNT = "us-east-1", "123456789012"
IMAGE = f"683313688378.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SENDERS = 16
WORKERS = 2
TIMEOUT_S = 1800
WORKER, DATA_PLANE = "handler_host", "local_runtime.gateway"
# The runtime gives up on a data plane that dies six times in a row before it is ten seconds old.
DATA_PLANE_PAUSE_S = 11.0
HEARD_FOR_S = 600

# No two invocations answer alike: an object that is written twice shows whether it is one answer.
HANDLER = """
import uuid

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return body

def predict_fn(body, model):
    return body.decode() + " " + uuid.uuid4().hex

def output_fn(answer, accept):
    return answer
"""


class Accepted(NamedTuple):
    """A request that was answered with 202."""

    inference_id: str
    output_key: str
    failure_key: str


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.async_faults")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="async-faults-") as folder:
        figures = run(Path(folder), arguments.requests, arguments.seed)
    print(json.dumps(figures, indent=2))
    return 0 if accounted_for(figures) else 1


def run(folder: Path, requests: int, seed: int) -> dict[str, float]:
    """The figures of one run, with the runtime's state in a folder."""
    with local_runtime(speed=1, arguments=["--state-dir", str(folder)]) as environment:
        queue = _deploy(environment)
        began_s = time.monotonic()
        with _kills(random.Random(seed), folder) as kills:  # noqa: S311 - no secret
            with ThreadPoolExecutor(SENDERS) as senders:
                accepted = list(
                    senders.map(lambda number: _invoke(environment, number), range(requests))
                )
            _wait_until_empty(folder / "async/queue.sqlite")
        took_s = time.monotonic() - began_s
        versions = _versions(environment)
        heard = _heard(environment, queue)
    return {
        **_account(accepted, versions, heard),
        **{f"kills of {role}": kills[role] for role in (WORKER, DATA_PLANE)},
        "seconds": round(took_s, 1),
        "requests per second": round(requests / took_s, 1),
    }


def accounted_for(figures: Mapping[str, float]) -> bool:
    """Whether nothing is missing, and nothing has two answers."""
    wrong = ("without an end", "with two ends", "with two answers", "never announced")
    return not any(figures[name] for name in wrong)


def _account(
    accepted: list[Accepted], versions: Mapping[str, list[str]], heard: Counter[str]
) -> dict[str, float]:
    ends = {
        request: [key for key in (request.output_key, request.failure_key) if key in versions]
        for request in accepted
    }
    written = [versions[key] for keys in ends.values() for key in keys]
    return {
        "accepted": len(accepted),
        "outputs": sum(request.output_key in versions for request in accepted),
        "failures": sum(request.failure_key in versions for request in accepted),
        "without an end": sum(not keys for keys in ends.values()),
        "with two ends": sum(len(keys) > 1 for keys in ends.values()),
        "with two answers": sum(len(set(tags)) > 1 for tags in written),
        "written more than once": sum(len(tags) > 1 for tags in written),
        "never announced": sum(not heard[request.inference_id] for request in accepted),
        "announced more than once": sum(heard[request.inference_id] > 1 for request in accepted),
    }


def _client(service: str, environment: Mapping[str, str], *, attempts: int = 10) -> Any:
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


def _deploy(environment: Mapping[str, str]) -> str:
    """An endpoint whose objects are versioned; the URL of the queue that hears of its answers."""
    s3, sns, sqs = (_client(service, environment) for service in ("s3", "sns", "sqs"))
    sagemaker = _client("sagemaker", environment)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=_archive())
    topic = sns.create_topic(Name=NAME)["TopicArn"]
    queue: str = sqs.create_queue(
        QueueName=NAME, Attributes={"VisibilityTimeout": str(HEARD_FOR_S)}
    )["QueueUrl"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}",
        Attributes={"RawMessageDelivery": "true"},
    )
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/inference",
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
            "Environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS)},
        },
    )
    variant = {"VariantName": "AllTraffic", "ModelName": NAME, "InstanceType": "ml.m5.large"}
    output = {
        "S3OutputPath": f"s3://{BUCKET}/output",
        "S3FailurePath": f"s3://{BUCKET}/failure",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=NAME,
        ProductionVariants=[{**variant, "InitialInstanceCount": 1}],
        AsyncInferenceConfig={"OutputConfig": output},
    )
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    return queue


def _archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("inference.py")
        member.size = len(HANDLER.encode())
        tar.addfile(member, io.BytesIO(HANDLER.encode()))
    return packed.getvalue()


_of_thread = threading.local()


def _invoke(environment: Mapping[str, str], number: int) -> Accepted:
    """Ask until it is accepted: a request that was not answered may or may not have been."""
    if not hasattr(_of_thread, "invoker"):
        _of_thread.invoker = _client("sagemaker-runtime", environment, attempts=1)
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            answer = _of_thread.invoker.invoke_endpoint_async(
                EndpointName=NAME, Body=str(number).encode(), ContentType="text/plain"
            )
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline_s:
                raise
            continue
        return Accepted(
            answer["InferenceId"],
            answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/"),
            answer["FailureLocation"].removeprefix(f"s3://{BUCKET}/"),
        )


@contextlib.contextmanager
def _kills(chance: random.Random, folder: Path) -> Iterator[Counter[str]]:
    """Kill processes of the runtime with this state at random moments, until the end."""
    done: Counter[str] = Counter()
    (supervisor,) = _processes(f"--state-dir\0{folder}\0", below=os.getpid())
    ended = threading.Event()

    def kill() -> None:
        data_plane_s = time.monotonic()
        while not ended.wait(chance.uniform(0.1, 1.0)):
            role = WORKER
            if time.monotonic() - data_plane_s > DATA_PLANE_PAUSE_S * chance.uniform(1, 1.5):
                role, data_plane_s = DATA_PLANE, time.monotonic()
            found = _processes(role, below=supervisor)
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(found), signal.SIGKILL)
                    done[role] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()


def _processes(role: str, *, below: int) -> list[int]:
    """Processes below another one whose command line names the role."""
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (path / "stat").read_text().rpartition(")")[2].split()
                parents[int(path.name)] = int(stat[1])
    found = []
    for pid in parents:
        ancestor: int | None = pid
        while ancestor is not None and ancestor != below:
            ancestor = parents.get(ancestor)
        if ancestor is not None and pid != ancestor:
            with contextlib.suppress(OSError):
                if role in Path("/proc", str(pid), "cmdline").read_text():
                    found.append(pid)
    return found


def _wait_until_empty(queue: Path) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        with contextlib.closing(sqlite3.connect(queue)) as database:
            left: int = database.execute("SELECT count(*) FROM request").fetchone()[0]
        if not left:
            return
        if time.monotonic() > deadline_s:
            raise SystemExit(f"gave up waiting: {left} requests are left")
        time.sleep(0.5)


def _versions(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """The ETag of every version of every object."""
    found: dict[str, list[str]] = defaultdict(list)
    pages = _client("s3", environment).get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=BUCKET):
        for version in page.get("Versions", []):
            found[version["Key"]].append(version["ETag"])
    return found


def _heard(environment: Mapping[str, str], queue: str) -> Counter[str]:
    """How often the topic was told of each request."""
    sqs = _client("sqs", environment)
    heard: Counter[str] = Counter()
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = json.loads(message["Body"])
            if body["eventName"] == "InferenceResult":
                heard[body["inferenceId"]] += 1
    return heard


if __name__ == "__main__":
    sys.exit(main())
