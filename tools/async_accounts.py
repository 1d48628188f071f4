"""An asynchronous endpoint that accounts for every request: how it ended, and who heard of it."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import tarfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

NAME: Final = "accounts"
BUCKET: Final = "accounts"
REGION, ACCOUNT = "us-east-1", "123456789012"
TIMEOUT_S: Final = 1800
_IMAGE: Final = f"683313688378.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
_WORKERS: Final = 2
_LISTENERS: Final = 8
_HEARD_FOR_S: Final = 3600

# No two invocations answer alike: an object that is written twice shows whether it is one answer.
_HANDLER: Final = """
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


class Accounts:
    """The endpoint, with versioned objects and a queue that hears of every end.

    Its clients try again, and outlive a runtime that is started again on the same port.
    """

    def __init__(self, url: str) -> None:
        """Deploy it to the runtime at ``url``."""
        self._url = url
        self._of_thread = threading.local()
        s3, sns, sqs = (self._client(service) for service in ("s3", "sns", "sqs"))
        sagemaker = self._client("sagemaker")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=_archive())
        topic = sns.create_topic(Name=NAME)["TopicArn"]
        self._queue: str = sqs.create_queue(
            QueueName=NAME, Attributes={"VisibilityTimeout": str(_HEARD_FOR_S)}
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
                "Image": _IMAGE,
                "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
                "Environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": str(_WORKERS)},
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
            EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 180}
        )

    def invoke(self, number: int) -> Accepted:
        """Ask until it is accepted: a request that was not answered may or may not have been."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self.try_to_invoke(number)
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline_s:
                    raise

    def try_to_invoke(self, number: int) -> Accepted:
        """Ask once.

        Raises:
            BotoCoreError: there was no answer.
            ClientError: it was refused.
        """
        if not hasattr(self._of_thread, "invoker"):
            self._of_thread.invoker = self._client("sagemaker-runtime", attempts=1)
        answer = self._of_thread.invoker.invoke_endpoint_async(
            EndpointName=NAME, Body=str(number).encode(), ContentType="text/plain"
        )
        return Accepted(
            answer["InferenceId"],
            answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/"),
            answer["FailureLocation"].removeprefix(f"s3://{BUCKET}/"),
        )

    def figures(self, accepted: Iterable[Accepted]) -> dict[str, float]:
        """What has become of requests, once no more are in the queue."""
        requests, versions, heard = list(accepted), self._versions(), self._heard()
        ends = [
            [key for key in (request.output_key, request.failure_key) if key in versions]
            for request in requests
        ]
        written = [versions[key] for keys in ends for key in keys]
        return {
            "accepted": len(requests),
            "outputs": sum(request.output_key in versions for request in requests),
            "failures": sum(request.failure_key in versions for request in requests),
            "without an end": sum(not keys for keys in ends),
            "with two ends": sum(len(keys) > 1 for keys in ends),
            "with two answers": sum(len(set(tags)) > 1 for tags in written),
            "written more than once": sum(len(tags) > 1 for tags in written),
            "never announced": sum(not heard[request.inference_id] for request in requests),
            "announced more than once": sum(
                heard[request.inference_id] > 1 for request in requests
            ),
        }

    def _versions(self) -> dict[str, list[str]]:
        """The ETag of every version of every object."""
        found: dict[str, list[str]] = defaultdict(list)
        pages = self._client("s3").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=BUCKET):
            for version in page.get("Versions", []):
                found[version["Key"]].append(version["ETag"])
        return found

    def _heard(self) -> Counter[str]:
        """How often the topic was told of each request."""
        with ThreadPoolExecutor(_LISTENERS) as listeners:
            parts = listeners.map(lambda _: self._listen(), range(_LISTENERS))
            return sum(parts, start=Counter())

    def _listen(self) -> Counter[str]:
        sqs, heard = self._client("sqs"), Counter[str]()
        while messages := sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            for message in messages:
                body = json.loads(message["Body"])
                if body["eventName"] == "InferenceResult":
                    heard[body["inferenceId"]] += 1
        return heard

    def _client(self, service: str, *, attempts: int = 10) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - opens nothing
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )


def accounted_for(figures: Mapping[str, float]) -> bool:
    """Whether nothing is missing, and nothing has two answers."""
    wrong = ("without an end", "with two ends", "with two answers", "never announced")
    return not any(figures[name] for name in wrong)


def wait_until_empty(state_dir: Path) -> None:
    """Wait until a runtime's queues hold no request, whether or not it runs now.

    Raises:
        TimeoutError: they still do after half an hour.
    """
    deadline_s = time.monotonic() + TIMEOUT_S
    while left := _left(state_dir / "async/queue.sqlite"):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{left} requests are left after {TIMEOUT_S} s")
        time.sleep(0.5)


def _left(queue: Path) -> int:
    with contextlib.closing(sqlite3.connect(queue)) as database:
        count: int = database.execute("SELECT count(*) FROM request").fetchone()[0]
    return count


def _archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("inference.py")
        member.size = len(_HANDLER.encode())
        tar.addfile(member, io.BytesIO(_HANDLER.encode()))
    return packed.getvalue()
