"""The summarizer's stack, deployed by the CDK command line and asked for summaries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.environments import environment_named
from stacks.summarizer_stack import SummarizerStack

from .conftest import PATIENCE_S, REPOSITORY, Runtime, wait_until

pytestmark = pytest.mark.e2e

CLI = REPOSITORY / "node_modules" / ".bin" / "cdk"
ARTICLE = (REPOSITORY / "model_code/summarizer/lighthouse.txt").read_bytes()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, dict[str, str]]]:
    """A runtime with the stack, and the stack's outputs."""
    folder = tmp_path_factory.mktemp("summaries")
    runtime = Runtime(folder)
    assembly = folder / "cdk.out"
    app = cdk.App(outdir=str(assembly))
    SummarizerStack(app, "Summarizer", environment=environment_named("local"))
    app.synth()
    try:
        run(runtime, folder, "bootstrap", "aws://123456789012/us-east-1", assembly=assembly)
        run(runtime, folder, "deploy", "--all", "--require-approval", "never", assembly=assembly)
        (stack,) = runtime.client("cloudformation").describe_stacks(StackName="summarizer-local")[
            "Stacks"
        ]
        yield runtime, {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    finally:
        runtime.stop()


def run(runtime: Runtime, folder: Path, *arguments: str, assembly: Path) -> None:
    """Run the CLI on an assembly."""
    assert CLI.exists(), "the CDK command line is missing: run `npm ci`"
    finished = subprocess.run(
        [str(CLI), *arguments, "--app", str(assembly), "--no-notices", "--progress", "events"],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": runtime.url,
            "AWS_ENDPOINT_URL_S3": runtime.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def subscribe(runtime: Runtime, topic: str) -> str:
    """A queue that hears a topic's messages in SNS's envelope, as a queue does by default."""
    sqs = runtime.client("sqs")
    url: str = sqs.create_queue(QueueName=runtime.name("heard"))["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    runtime.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"]
    )
    return url


def next_message(runtime: Runtime, url: str) -> dict[str, Any]:
    """The next message of a queue."""
    sqs = runtime.client("sqs")
    (message,) = wait_until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    found: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
    return found


def ask(runtime: Runtime, outputs: dict[str, str], body: bytes) -> dict[str, Any]:
    """Put an article where the stack wants it and ask for its summary."""
    bucket, _, prefix = outputs["AsyncInputPrefix"].removeprefix("s3://").partition("/")
    key = f"{prefix}{runtime.name('article')}"
    runtime.s3.put_object(Bucket=bucket, Key=key, Body=body)
    accepted: dict[str, Any] = runtime.invoker.invoke_endpoint_async(
        EndpointName=outputs["AsyncEndpointName"],
        InputLocation=f"s3://{bucket}/{key}",
        ContentType="text/plain",
        Accept="application/json",
    )
    return accepted


def content(runtime: Runtime, location: str) -> bytes:
    """An object that is there."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    found: bytes = runtime.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def test_an_article_becomes_a_summary_and_the_topic_says_so(
    deployed: tuple[Runtime, dict[str, str]],
) -> None:
    runtime, outputs = deployed
    queue = subscribe(runtime, outputs["AsyncSuccessTopicArn"])

    accepted = ask(runtime, outputs, ARTICLE)

    message = next_message(runtime, queue)
    assert message["invocationStatus"] == "Completed"
    assert message["responseParameters"]["outputLocation"] == accepted["OutputLocation"]
    assert accepted["OutputLocation"].startswith(outputs["AsyncOutputPrefix"])
    summary = content(runtime, accepted["OutputLocation"]).decode()
    assert 50 < len(summary) < len(ARTICLE) / 2


def test_what_is_no_article_leaves_the_reason_and_the_error_topic_says_so(
    deployed: tuple[Runtime, dict[str, str]],
) -> None:
    runtime, outputs = deployed
    queue = subscribe(runtime, outputs["AsyncErrorTopicArn"])

    accepted = ask(runtime, outputs, b"\xff\xfe not text")

    message = next_message(runtime, queue)
    assert message["invocationStatus"] == "Failed"
    assert message["inferenceId"] == accepted["InferenceId"]
    assert content(runtime, accepted["FailureLocation"])
