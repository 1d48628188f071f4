"""What asynchronous endpoints keep when processes are killed: everything they have accepted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tools import async_faults

from .conftest import REGION, Runtime, wait_until

pytestmark = pytest.mark.e2e

REQUESTS = 1000
DATA_PLANE = "local_runtime.gateway"
# The supervisor gives up on a data plane that dies six times in a row before it is ten seconds old.
DATA_PLANE_KILLS = 4
BUCKET = "accounts"
# No two invocations answer alike: an object that is written twice shows whether it is one answer.
UNIQUE = """
import uuid

def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    return data.decode() + " " + uuid.uuid4().hex

def output_fn(prediction, accept):
    return prediction
"""


class Accepted(NamedTuple):
    """A request that was answered with 202."""

    inference_id: str
    output_key: str
    failure_key: str


class Accounts:
    """An asynchronous endpoint whose objects are versioned, and clients that try again."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.s3 = self._patient("s3")
        self.sqs = self._patient("sqs")
        sns = self._patient("sns")
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        topic = sns.create_topic(Name="ended")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="ended")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=attributes["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )
        container = runtime.handler(UNIQUE, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
        output = {
            "S3OutputPath": f"s3://{BUCKET}/out",
            "S3FailurePath": f"s3://{BUCKET}/failed",
            "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
        }
        self.endpoint = runtime.deploy_config(
            runtime.config_of(
                [runtime.variant(container)], AsyncInferenceConfig={"OutputConfig": output}
            )
        )

    def after_restart(self) -> Accounts:
        """The same, asked over new connections."""
        self.s3, self.sqs = self._patient("s3"), self._patient("sqs")
        return self

    def _patient(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.runtime.url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - opens nothing
            config=Config(
                retries={"total_max_attempts": 10, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )

    def invoke(self, number: int) -> Accepted:
        """Ask until it is accepted: a request that was not answered may or may not have been."""
        while True:
            assert self.runtime.process.poll() is None, self.runtime.stderr
            try:
                answer = self.runtime.invoker.invoke_endpoint_async(
                    EndpointName=self.endpoint, Body=str(number).encode(), ContentType="text/plain"
                )
            except (BotoCoreError, self.runtime.invoker.exceptions.ServiceUnavailable):
                continue
            return Accepted(
                answer["InferenceId"],
                answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/"),
                answer["FailureLocation"].removeprefix(f"s3://{BUCKET}/"),
            )

    def left(self) -> int:
        """Requests that the queue holds."""
        path = self.runtime.state_dir / "async/queue.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as database:
            count: int = database.execute("SELECT count(*) FROM request").fetchone()[0]
        return count

    def versions(self) -> dict[str, list[str]]:
        """The ETag of every version of every object."""
        found: dict[str, list[str]] = defaultdict(list)
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
        for page in pages:
            for version in page.get("Versions", []):
                found[version["Key"]].append(version["ETag"])
        return found

    def announced(self) -> Counter[str]:
        """How often the topic heard of each request."""
        heard: Counter[str] = Counter()
        while True:
            got = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            for message in got.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                body = json.loads(message["Body"])
                if body["eventName"] == "InferenceResult":
                    heard[body["inferenceId"]] += 1
            if not got.get("Messages"):
                return heard


@contextlib.contextmanager
def kills(runtime: Runtime, roles: list[str]) -> Iterator[Counter[str]]:
    """Kill processes of these roles at random, until the end."""
    done: Counter[str] = Counter()
    stop = threading.Event()
    chance = random.Random(20261120)  # noqa: S311 - no secret

    def kill() -> None:
        while not stop.wait(chance.uniform(0.1, 1.2)):
            role = chance.choice(roles)
            if role == DATA_PLANE and done[role] == DATA_PLANE_KILLS:
                continue
            for pid in runtime.pids(role)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    done[role] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "roles",
    [["--stack", DATA_PLANE], [DATA_PLANE]],
    ids=["workers-and-data-plane", "data-plane"],
)
def test_every_accepted_request_ends_once_whatever_is_killed(
    start_runtime: Callable[..., Runtime],
    record_testsuite_property: Callable[[str, object], None],
    roles: list[str],
) -> None:
    accounts = Accounts(start_runtime())
    began_s = time.monotonic()

    with kills(accounts.runtime, roles) as done, ThreadPoolExecutor(16) as clients:
        accepted = list(clients.map(accounts.invoke, range(REQUESTS)))
        wait_until(lambda: accounts.left() == 0)
    record_testsuite_property("drained_per_s", REQUESTS / (time.monotonic() - began_s))

    assert done[DATA_PLANE] > 0
    versions, announced = accounts.versions(), accounts.announced()
    for request in accepted:
        ends = [key for key in (request.output_key, request.failure_key) if key in versions]
        assert len(ends) == 1, request
        assert len(set(versions[ends[0]])) == 1, "the same answer, however often it was written"
        assert announced[request.inference_id] >= 1
    if "--stack" not in roles:
        # Requests that a dying data plane was working on are worked on again, so none has failed.
        assert not any(request.failure_key in versions for request in accepted)


def test_the_command_that_kills_accounts_for_every_request(tmp_path: Path) -> None:
    figures = async_faults.run(tmp_path, requests=300, seed=3)

    assert figures["accepted"] == figures["outputs"] + figures["failures"] == 300
    assert async_faults.accounted_for(figures)
