"""Several containers behind one endpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, Runtime, wait_until

pytestmark = pytest.mark.e2e

# Answers with what it has seen, in a list that the next one extends.
WITNESS = """
import json

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    before = json.loads(data) if content_type == "application/x-witness" else []
    seen = {"content_type": content_type, "accept": accept}
    return json.dumps(before + [seen]), "application/x-witness"
"""

LARGE = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return b"x" * int(data), "application/octet-stream"
"""

RAISES = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    raise RuntimeError("the second step is broken")
"""

HOP_LIMIT_BYTES = 5 * 1024 * 1024

Named = Callable[..., dict[str, Any]]


@pytest.fixture
def named(runtime: Runtime) -> Named:
    def container(hostname: str, code: str) -> dict[str, Any]:
        return runtime.handler(code, ContainerHostname=hostname)

    return container


def test_each_container_sees_the_type_of_the_answer_before_and_the_last_the_accept(
    runtime: Runtime,
) -> None:
    own = {"Image": "tests/own-server"}
    name = runtime.deploy(runtime.handler(ECHO), own, own, own)

    answer = runtime.invoke(
        name,
        "1,2",
        ContentType="text/csv; header=present",
        Accept="application/vnd.lab+json",
        CustomAttributes="id=7",
    )

    last = json.loads(answer["Body"])
    second = json.loads(json.loads(last["body"])["body"])
    assert last["Accept"] == "application/vnd.lab+json"
    assert last["Content-Type"] == "application/json"
    assert second["Accept"] == "*/*"
    assert second["body"] == "1,2"
    assert second["X-Amzn-SageMaker-Custom-Attributes"] == "id=7"
    assert last["X-Amzn-SageMaker-Custom-Attributes"] == "id=7"


def test_fifteen_containers_answer_in_order(runtime: Runtime) -> None:
    name = runtime.deploy(*(runtime.handler(WITNESS) for _ in range(15)))

    seen = json.loads(runtime.invoke(name, b"{}", ContentType="application/json")["Body"])

    assert [step["content_type"] for step in seen] == [
        "application/json",
        *["application/x-witness"] * 14,
    ]


def test_the_failing_container_is_named_and_ends_the_request(
    runtime: Runtime, named: Named
) -> None:
    name = runtime.deploy(named("first", ECHO), named("second", RAISES), named("third", ECHO))

    with pytest.raises(ClientError) as raised:
        runtime.invoke(name, b"x")

    response = raised.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["Error"]["Message"].startswith("Received server error (500) from second with")
    assert response["OriginalStatusCode"] == 500
    assert response["LogStreamArn"].endswith("/second")


def test_an_answer_at_the_limit_between_containers_passes(runtime: Runtime, named: Named) -> None:
    name = runtime.deploy(named("grow", LARGE), named("copy", ECHO))

    assert len(runtime.invoke(name, str(HOP_LIMIT_BYTES))["Body"]) == HOP_LIMIT_BYTES


def test_an_answer_over_the_limit_between_containers_is_a_model_error(
    runtime: Runtime, named: Named
) -> None:
    name = runtime.deploy(named("grow", LARGE), named("copy", ECHO))

    with pytest.raises(ClientError) as raised:
        runtime.invoke(name, str(HOP_LIMIT_BYTES + 1))

    error = raised.value.response["Error"]
    assert error["Code"] == "ModelError"
    assert error["Message"] == (
        "Received response from grow with status code 200. However, the request payload from grow"
        f" to copy is {HOP_LIMIT_BYTES + 1} bytes, which has exceeded the maximum limit of 5 MB."
    )


@pytest.fixture(scope="module")
def direct(runtime: Runtime) -> str:
    first = runtime.handler(ECHO, ContainerHostname="first")
    second = runtime.handler(WITNESS, ContainerHostname="second")
    return runtime.deploy(first, second, mode="Direct")


class TestDirectMode:
    """Containers that are invoked one by one."""

    def test_the_named_container_alone_answers(self, runtime: Runtime, direct: str) -> None:
        assert runtime.invoke(direct, b"x", TargetContainerHostname="first")["Body"] == b"x"
        answer = runtime.invoke(direct, b"x", TargetContainerHostname="second", Accept="text/csv")
        assert json.loads(answer["Body"]) == [
            {"content_type": "application/octet-stream", "accept": "text/csv"}
        ]

    def test_each_container_is_measured(self, runtime: Runtime, direct: str) -> None:
        cloudwatch = runtime.client("cloudwatch")

        def measured(container: str, metric: str) -> dict[str, Any] | None:
            points = cloudwatch.get_metric_statistics(
                Namespace="AWS/SageMaker",
                MetricName=metric,
                Dimensions=[
                    {"Name": "EndpointName", "Value": direct},
                    {"Name": "VariantName", "Value": "AllTraffic"},
                    {"Name": "ContainerName", "Value": container},
                ],
                StartTime=time.time() - 3600,
                EndTime=time.time() + 3600,
                Period=86_400,
                Statistics=["Sum"],
            )["Datapoints"]
            return points[0] if points else None

        runtime.invoke(direct, b"x", TargetContainerHostname="second")

        assert wait_until(lambda: measured("second", "Invocations"))["Unit"] == "None"
        assert wait_until(lambda: measured("second", "ContainerLatency"))["Sum"] > 0

    @pytest.mark.parametrize(
        "target", [{}, {"TargetContainerHostname": "third"}], ids=["none", "another"]
    )
    def test_another_name_or_none_is_refused(
        self, runtime: Runtime, direct: str, target: dict[str, str]
    ) -> None:
        with pytest.raises(ClientError) as raised:
            runtime.invoke(direct, b"x", **target)

        assert raised.value.response["Error"]["Code"] == "ValidationError"
        assert "TargetContainerHostname" in raised.value.response["Error"]["Message"]
