"""InvokeEndpointAsync, through boto3 alone."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from hosting.metrics import published_by

from .conftest import ECHO, Runtime, wait_until

OWN_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tests/own-server:1"
BUCKET = "async-objects"
TOPICS = ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]

# Does what the request says, so that one endpoint serves most tests.
OBEDIENT = """
import json, os, time

def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return json.loads(data)

def predict_fn(order, model):
    began = time.time()
    print("began", order, flush=True)
    time.sleep(order.get("sleep_s", 0))
    while "until" in order and not os.path.exists(order["until"]):
        time.sleep(0.01)
    if "meet" in order:
        open(os.path.join(order["meet"], str(os.getpid())), "w").close()
        while len(os.listdir(order["meet"])) < 2:
            time.sleep(0.01)
    if "die" in order:
        os._exit(3)
    if "fail" in order:
        raise ValueError(order["fail"])
    return {"pid": os.getpid(), "began": began, "ended": time.time(), "said": order.get("say")}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""

pytestmark = pytest.mark.e2e


class Queue(NamedTuple):
    """An SQS queue that hears what a topic says."""

    topic_arn: str
    url: str


@pytest.fixture(scope="module")
def bucket(runtime: Runtime) -> str:
    runtime.s3.create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture(scope="module")
def orders(runtime: Runtime, bucket: str) -> str:
    """An asynchronous endpoint that does what requests say."""
    return deploy(runtime, runtime.handler(OBEDIENT))


def configuration(*, concurrency: int | None = None, **notifications: Any) -> dict[str, Any]:
    """An AsyncInferenceConfig."""
    output: dict[str, Any] = {
        "S3OutputPath": f"s3://{BUCKET}/out",
        "S3FailurePath": f"s3://{BUCKET}/failed/",
    }
    if notifications:
        output["NotificationConfig"] = notifications
    client = {} if concurrency is None else {"MaxConcurrentInvocationsPerInstance": concurrency}
    return {"OutputConfig": output, "ClientConfig": client}


def deploy(runtime: Runtime, container: dict[str, Any], **more: Any) -> str:
    """An asynchronous endpoint in service."""
    return runtime.deploy_config(
        runtime.config_of([runtime.variant(container)], AsyncInferenceConfig=configuration(**more))
    )


def invoke(runtime: Runtime, endpoint: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """InvokeEndpointAsync with an inline body."""
    if body is not None:
        more["Body"] = body if isinstance(body, bytes) else json.dumps(body).encode()
    more.setdefault("ContentType", "application/json")
    answer: dict[str, Any] = runtime.invoker.invoke_endpoint_async(EndpointName=endpoint, **more)
    return answer


def read(runtime: Runtime, location: str) -> bytes | None:
    """An object, or None while S3 says NoSuchKey."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        content: bytes = runtime.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except runtime.s3.exceptions.NoSuchKey:
        return None
    return content


def answer_to(runtime: Runtime, accepted: dict[str, Any]) -> bytes:
    """The output object, once it is there."""
    wait_until(lambda: read(runtime, accepted["OutputLocation"]) is not None)
    assert read(runtime, accepted["FailureLocation"]) is None
    content = read(runtime, accepted["OutputLocation"])
    assert content is not None
    return content


def failure_of(runtime: Runtime, accepted: dict[str, Any]) -> str:
    """The failure object, once it is there."""
    wait_until(lambda: read(runtime, accepted["FailureLocation"]) is not None)
    assert read(runtime, accepted["OutputLocation"]) is None
    content = read(runtime, accepted["FailureLocation"])
    assert content is not None
    return content.decode()


def listening_queue(runtime: Runtime) -> Queue:
    """A topic, and a queue that hears its raw messages."""
    sns, sqs = runtime.client("sns"), runtime.client("sqs")
    name = runtime.name("topic")
    topic = sns.create_topic(Name=name)["TopicArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=attributes["Attributes"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    return Queue(topic, url)


def messages(runtime: Runtime, queue: Queue, count: int) -> list[dict[str, Any]]:
    """The next messages that a queue gets."""
    sqs = runtime.client("sqs")
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        got = sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
        return len(found) >= count

    wait_until(enough)
    assert len(found) == count
    return found


def set_instances(runtime: Runtime, endpoint: str, count: int) -> None:
    """Scale an endpoint and wait until it has as many instances."""
    runtime.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )
    described = runtime.settled(endpoint)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == count


# -- requests and answers


def test_the_answer_comes_to_where_the_response_said(
    runtime: Runtime, orders: str, bucket: str
) -> None:
    runtime.s3.put_object(Bucket=bucket, Key="in/a.json", Body=b'{"say": "hello"}')

    accepted = invoke(runtime, orders, InputLocation=f"s3://{bucket}/in/a.json")

    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert re.fullmatch(rf"s3://{bucket}/out/[0-9a-f-]{{36}}\.out", accepted["OutputLocation"])
    assert accepted["FailureLocation"].startswith(f"s3://{bucket}/failed/")
    assert json.loads(answer_to(runtime, accepted))["said"] == "hello"


def test_the_object_has_the_content_type_of_the_answer(runtime: Runtime, orders: str) -> None:
    accepted = invoke(runtime, orders, {})
    answer_to(runtime, accepted)

    bucket, _, key = accepted["OutputLocation"].removeprefix("s3://").partition("/")

    assert runtime.s3.head_object(Bucket=bucket, Key=key)["ContentType"] == "application/json"


def test_the_caller_may_name_the_answer(runtime: Runtime, orders: str, bucket: str) -> None:
    accepted = invoke(runtime, orders, {}, S3OutputPathExtension="of/today", Filename="first.json")

    assert accepted["OutputLocation"] == f"s3://{bucket}/out/of/today/first.json"
    answer_to(runtime, accepted)


def test_two_requests_with_one_inference_id_have_two_answers(runtime: Runtime, orders: str) -> None:
    first = invoke(runtime, orders, {"say": 1}, InferenceId="same")
    second = invoke(runtime, orders, {"say": 2}, InferenceId="same")

    assert (first["InferenceId"], second["InferenceId"]) == ("same", "same")
    assert json.loads(answer_to(runtime, first))["said"] == 1
    assert json.loads(answer_to(runtime, second))["said"] == 2


def test_containers_see_what_the_caller_sent(runtime: Runtime, bucket: str) -> None:
    endpoint = deploy(runtime, runtime.container({}, image=OWN_IMAGE))

    accepted = invoke(
        runtime,
        endpoint,
        b"a,b",
        ContentType="text/csv; charset=utf-8",
        Accept="text/csv;q=0.9",
        CustomAttributes="mine=1",
        InferenceId="known",
    )

    seen = json.loads(answer_to(runtime, accepted))
    assert seen["Content-Type"] == "text/csv; charset=utf-8"
    assert seen["Accept"] == "text/csv;q=0.9"
    assert seen["X-Amzn-SageMaker-Custom-Attributes"] == "mine=1"
    assert seen["X-Amzn-SageMaker-Inference-Id"] == "known"
    assert seen["body"] == "a,b"


def test_a_large_object_goes_through_and_comes_back(runtime: Runtime, bucket: str) -> None:
    """Larger than InvokeEndpoint takes, and than what is kept in memory."""
    endpoint = deploy(runtime, runtime.handler(ECHO))
    content = os.urandom(1024) * 40 * 1024
    runtime.s3.put_object(Bucket=bucket, Key="in/large", Body=content)

    accepted = invoke(
        runtime,
        endpoint,
        InputLocation=f"s3://{bucket}/in/large",
        ContentType="application/x-bytes",
        Accept="application/x-bytes",
    )

    assert answer_to(runtime, accepted) == content


# -- refusals


NO_INPUT = (
    "1 validation error detected: Value null at 'inputLocation' failed to satisfy constraint:"
    " Member must not be null"
)
LONG_TTL = (
    "1 validation error detected: Value '21601' at 'requestTTLSeconds' failed to satisfy"
    " constraint: Member must have value less than or equal to 21600"
)
LONG_TIMEOUT = (
    "1 validation error detected: Value '3601' at 'invocationTimeoutSeconds' failed to satisfy"
    " constraint: Member must have value less than or equal to 3600"
)
TWO_PATTERNS = (
    "2 validation errors detected: Value 'ftp://bucket/key' at 'inputLocation' failed to satisfy"
    " constraint: Member must satisfy regular expression pattern: ^(https|s3)://([^/]+)/?(.*)$;"
    " Value 'a.b.c' at 'filename' failed to satisfy constraint: Member must satisfy regular"
    r" expression pattern: ^(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9-_\.]*$"
)
LARGE_BODY = (
    "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have"
    " length less than or equal to 128000"
)
TWO_INPUTS = "InputLocation and Body are mutually exclusive: exactly one of them must be given."
ELSEWHERE = "InputLocation must name an object in S3, got 'https://example.com/key'"
INPUT = {"InputLocation": "s3://bucket/key"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, NO_INPUT),
        ({**INPUT, "RequestTTLSeconds": 21601}, LONG_TTL),
        ({**INPUT, "InvocationTimeoutSeconds": 3601}, LONG_TIMEOUT),
        ({"InputLocation": "ftp://bucket/key", "Filename": "a.b.c"}, TWO_PATTERNS),
        ({"Body": b"x" * 128_001}, LARGE_BODY),
        ({**INPUT, "Body": b"x"}, TWO_INPUTS),
        ({"InputLocation": "https://example.com/key"}, ELSEWHERE),
    ],
)
def test_a_request_that_breaks_a_constraint_is_refused_in_the_words_of_aws(
    runtime: Runtime, orders: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError) as refused:
        runtime.invoker.invoke_endpoint_async(EndpointName=orders, **parameters)

    error = refused.value.response
    assert error["Error"] == {"Code": "ValidationError", "Message": said}
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_body_of_exactly_the_limit_is_taken(runtime: Runtime, orders: str) -> None:
    body = b'{"say": 1}'.ljust(128_000)

    assert json.loads(answer_to(runtime, invoke(runtime, orders, body)))["said"] == 1


def test_an_asynchronous_endpoint_takes_no_other_requests(runtime: Runtime, orders: str) -> None:
    with pytest.raises(ClientError, match="Use InvokeEndpointAsync") as refused:
        runtime.invoke(orders, b"{}")

    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_other_endpoints_take_no_asynchronous_requests(runtime: Runtime) -> None:
    endpoint = runtime.deploy(runtime.handler(ECHO))

    with pytest.raises(ClientError, match="is not an asynchronous endpoint") as refused:
        invoke(runtime, endpoint, b"x")

    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_an_unknown_endpoint_is_not_found(runtime: Runtime) -> None:
    with pytest.raises(ClientError, match="Endpoint nowhere of account 123456789012 not found"):
        invoke(runtime, "nowhere", b"x")


def test_a_multi_model_container_has_no_queue(runtime: Runtime, bucket: str) -> None:
    """InvokeEndpointAsync cannot name a target model."""
    container = runtime.handler(ECHO, Mode="MultiModel") | {"ModelDataUrl": f"s3://{bucket}/many/"}

    with pytest.raises(ClientError, match="cannot be used with AsyncInferenceConfig"):
        runtime.config_of([runtime.variant(container)], AsyncInferenceConfig=configuration())


# -- failures


def test_a_handler_that_fails_leaves_what_it_answered(runtime: Runtime, orders: str) -> None:
    said = failure_of(runtime, invoke(runtime, orders, {"fail": "no such thing"}))

    assert "no such thing" in said


def test_a_missing_input_is_a_failure(runtime: Runtime, orders: str, bucket: str) -> None:
    accepted = invoke(runtime, orders, InputLocation=f"s3://{bucket}/in/never-put")

    assert "NoSuchKey" in failure_of(runtime, accepted)


def test_a_handler_that_hangs_times_out_and_the_next_request_is_served(
    runtime: Runtime, orders: str
) -> None:
    hanging = invoke(runtime, orders, {"sleep_s": 600}, InvocationTimeoutSeconds=1)
    after = invoke(runtime, orders, {"say": "still here"})

    assert "timed out" in failure_of(runtime, hanging)
    assert json.loads(answer_to(runtime, after))["said"] == "still here"


def test_the_time_limit_of_other_endpoints_does_not_count(
    start_runtime: Callable[..., Runtime],
) -> None:
    runtime = start_runtime(settings="[limits]\ninvocation_timeout_s = 0.5\n")
    runtime.s3.create_bucket(Bucket=BUCKET)
    endpoint = deploy(runtime, runtime.handler(OBEDIENT))

    answer_to(runtime, invoke(runtime, endpoint, {"sleep_s": 1.0}))


def test_a_container_that_dies_is_a_failure_and_not_tried_again(
    runtime: Runtime, orders: str
) -> None:
    assert "could not get a response" in failure_of(runtime, invoke(runtime, orders, {"die": 1}))


def test_an_answer_that_cannot_be_put_is_a_failure(runtime: Runtime, bucket: str) -> None:
    config = configuration()
    config["OutputConfig"]["S3OutputPath"] = "s3://no-such-bucket/out"
    endpoint = runtime.deploy_config(
        runtime.config_of([runtime.variant(runtime.handler(ECHO))], AsyncInferenceConfig=config)
    )

    accepted = invoke(runtime, endpoint, b"x")

    wait_until(lambda: read(runtime, accepted["FailureLocation"]) is not None)
    assert b"NoSuchBucket" in (read(runtime, accepted["FailureLocation"]) or b"")


# -- notifications


def test_a_success_is_announced_as_aws_announces_it(runtime: Runtime, bucket: str) -> None:
    queue = listening_queue(runtime)
    endpoint = deploy(runtime, runtime.handler(ECHO), SuccessTopic=queue.topic_arn)
    test_message = messages(runtime, queue, 1)
    runtime.s3.put_object(Bucket=bucket, Key="in/b", Body=b"hello")

    accepted = invoke(
        runtime,
        endpoint,
        InputLocation=f"s3://{bucket}/in/b",
        ContentType="text/plain",
        Accept="text/plain",
    )

    assert test_message == [
        {
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "TestNotification",
        }
    ]
    (message,) = messages(runtime, queue, 1)
    for time in ("eventTime", "receivedTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.pop(time))
    assert message == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/plain",
            "accept": "text/plain",
            "endpointName": endpoint,
            "inputLocation": f"s3://{bucket}/in/b",
        },
        "responseParameters": {
            "contentType": "text/plain; charset=utf-8",
            "outputLocation": accepted["OutputLocation"],
        },
        "inferenceId": accepted["InferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert read(runtime, accepted["OutputLocation"]) == b"hello"


def test_a_failure_goes_to_the_error_topic(runtime: Runtime, bucket: str) -> None:
    good, bad = listening_queue(runtime), listening_queue(runtime)
    endpoint = deploy(
        runtime,
        runtime.handler(OBEDIENT),
        SuccessTopic=good.topic_arn,
        ErrorTopic=bad.topic_arn,
        IncludeInferenceResponseIn=TOPICS,
    )
    messages(runtime, good, 1)
    messages(runtime, bad, 1)

    accepted = invoke(runtime, endpoint, {"fail": "on purpose"})
    invoke(runtime, endpoint, {"say": "fine"})

    (message,) = messages(runtime, bad, 1)
    assert message["invocationStatus"] == "Failed"
    assert message["failureReason"] == (
        "ClientError: Received server error (500) from model. See the SageMaker Endpoint logs in"
        " your account for more information."
    )
    assert message["inferenceId"] == accepted["InferenceId"]
    assert "responseParameters" not in message
    assert "on purpose" in message["responseBody"]["content"]
    (message,) = messages(runtime, good, 1)
    body = message["responseBody"]
    assert body["encoding"] == "BASE64"
    assert json.loads(base64.b64decode(body["content"]))["said"] == "fine"


def test_an_update_is_followed_by_a_test_message(runtime: Runtime, bucket: str) -> None:
    queue = listening_queue(runtime)
    config = configuration(SuccessTopic=queue.topic_arn)
    first, second = (
        runtime.config_of([runtime.variant(runtime.handler(ECHO))], AsyncInferenceConfig=config)
        for _ in range(2)
    )
    endpoint = runtime.deploy_config(first)
    messages(runtime, queue, 1)

    runtime.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=second)

    assert messages(runtime, queue, 1)[0]["eventName"] == "TestNotification"


@pytest.fixture
def http_subscriber() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that hears messages, and what it has heard; the first is answered with 500."""
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard.append({"headers": headers, "body": json.loads(body)})
            self.send_response(500 if len(heard) == 1 else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_subscribers_hear_it_and_a_broken_one_holds_nobody_up(
    runtime: Runtime, bucket: str, http_subscriber: tuple[str, list[dict[str, Any]]]
) -> None:
    url, heard = http_subscriber
    sns = runtime.client("sns")
    queue = listening_queue(runtime)
    sns.subscribe(TopicArn=queue.topic_arn, Protocol="http", Endpoint="http://127.0.0.1:9/")
    sns.subscribe(TopicArn=queue.topic_arn, Protocol="http", Endpoint=url)
    endpoint = deploy(runtime, runtime.handler(ECHO), SuccessTopic=queue.topic_arn)
    messages(runtime, queue, 1)

    accepted = invoke(runtime, endpoint, b"x")

    messages(runtime, queue, 1)

    def notified() -> dict[str, dict[str, Any]]:
        return {
            json.loads(each["body"]["Message"])["eventName"]: each
            for each in heard
            if each["headers"]["x-amz-sns-message-type"] == "Notification"
        }

    wait_until(lambda: len(notified()) >= 2)
    by_name = notified()
    assert by_name.keys() == {"TestNotification", "InferenceResult"}
    result = by_name["InferenceResult"]
    assert result["headers"]["x-amz-sns-message-type"] == "Notification"
    assert result["body"]["TopicArn"] == queue.topic_arn
    assert json.loads(result["body"]["Message"])["inferenceId"] == accepted["InferenceId"]


# -- instances


def test_an_instance_gets_no_more_requests_at_once_than_configured(
    runtime: Runtime, bucket: str
) -> None:
    endpoint = deploy(
        runtime,
        runtime.handler(OBEDIENT, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "4"}),
        concurrency=2,
    )

    accepted = [invoke(runtime, endpoint, {"sleep_s": 0.5}) for _ in range(8)]

    spans = [json.loads(answer_to(runtime, each)) for each in accepted]
    at_once = [
        sum(other["began"] <= span["began"] < other["ended"] for other in spans) for span in spans
    ]
    assert max(at_once) == 2


def test_requests_wait_while_there_is_no_instance_and_all_instances_share_them(
    runtime: Runtime, bucket: str, tmp_path: Path
) -> None:
    endpoint = deploy(runtime, runtime.handler(OBEDIENT))
    set_instances(runtime, endpoint, 0)
    accepted = [invoke(runtime, endpoint, {"meet": str(tmp_path)}) for _ in range(8)]
    assert all(read(runtime, each["OutputLocation"]) is None for each in accepted)

    set_instances(runtime, endpoint, 2)

    answers = [json.loads(answer_to(runtime, each)) for each in accepted]
    assert len({answer["pid"] for answer in answers}) == 2


def test_an_instance_that_is_scaled_in_finishes_its_request(
    runtime: Runtime, bucket: str, tmp_path: Path
) -> None:
    endpoint = deploy(runtime, runtime.handler(OBEDIENT))
    began = invoke(runtime, endpoint, {"until": str(tmp_path / "go")})
    queued = invoke(runtime, endpoint, {"say": "later"})
    wait_until(lambda: "began" in runtime.log(endpoint))

    set_instances(runtime, endpoint, 0)
    (tmp_path / "go").touch()

    answer_to(runtime, began)
    assert read(runtime, queued["OutputLocation"]) is None
    set_instances(runtime, endpoint, 1)
    assert json.loads(answer_to(runtime, queued))["said"] == "later"


def test_deleting_an_endpoint_fails_what_waits(runtime: Runtime, bucket: str) -> None:
    endpoint = deploy(runtime, runtime.handler(OBEDIENT))
    set_instances(runtime, endpoint, 0)
    accepted = invoke(runtime, endpoint, {})

    runtime.sagemaker.delete_endpoint(EndpointName=endpoint)

    assert "The endpoint was deleted" in failure_of(runtime, accepted)


# -- what is measured


def test_the_metrics_are_those_of_asynchronous_endpoints_and_no_others(
    start_runtime: Callable[..., Runtime],
) -> None:
    runtime = start_runtime(arguments=["--speed", "60"])
    runtime.s3.create_bucket(Bucket=BUCKET)
    topic = "arn:aws:sns:us-east-1:123456789012:nowhere"
    endpoint = deploy(runtime, runtime.handler(OBEDIENT), SuccessTopic=topic)
    runtime.s3.put_object(Bucket=BUCKET, Key="in/c", Body=b"{}")
    answer_to(runtime, invoke(runtime, endpoint, InputLocation=f"s3://{BUCKET}/in/c"))
    failure_of(runtime, invoke(runtime, endpoint, {"fail": "on purpose"}))
    failure_of(runtime, invoke(runtime, endpoint, InputLocation=f"s3://{BUCKET}/in/none"))
    cloudwatch = runtime.client("cloudwatch")

    def published() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for page in cloudwatch.get_paginator("list_metrics").paginate(
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}]
        ):
            for metric in page["Metrics"]:
                names = {dimension["Name"] for dimension in metric["Dimensions"]}
                found.setdefault(metric["MetricName"], set()).update(names)
        return found

    expected = {metric.name: set(metric.dimensions) for metric in published_by("async")}
    silent = {"ExpiredRequests", "ResponseUploadFailures", "GPUUtilization", "GPUMemoryUtilization"}
    wait_until(lambda: published().keys() == expected.keys() - silent)
    assert all(dimensions == expected[name] for name, dimensions in published().items())


# -- time


def test_a_request_that_waits_for_too_long_expires(
    start_runtime: Callable[..., Runtime],
) -> None:
    """The shortest RequestTTLSeconds is a minute: here the queue is made to believe it is over."""
    runtime = start_runtime()
    runtime.s3.create_bucket(Bucket=BUCKET)
    queue = listening_queue(runtime)
    endpoint = deploy(runtime, runtime.handler(ECHO), ErrorTopic=queue.topic_arn)
    messages(runtime, queue, 1)
    set_instances(runtime, endpoint, 0)
    accepted = invoke(runtime, endpoint, b"x", RequestTTLSeconds=60)
    with closing(sqlite3.connect(runtime.state_dir / "async/queue.sqlite")) as database:
        database.execute(
            "UPDATE request SET document = json_set(document, '$.expires_at_s',"
            " json_extract(document, '$.received_at_s') - 1)"
        )
        database.commit()

    os.kill(runtime.data_plane, signal.SIGKILL)

    # Not before it is back: a request in flight is lost with the process.
    wait_until(lambda: "requests taken up again" in runtime.stderr)
    assert "expired" in failure_of(runtime, accepted)
    (message,) = messages(runtime, queue, 1)
    assert message["invocationStatus"] == "Failed"
    assert "RequestTTLSeconds" in message["failureReason"]
