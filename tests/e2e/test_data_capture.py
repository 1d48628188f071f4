"""DataCaptureConfig: a share of what was asked and answered stands in S3, in AWS's layout."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, Runtime, wait_until

pytestmark = pytest.mark.e2e

FAILING = ECHO.replace("return data, accept", "raise OSError('no')")


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime that delivers every second."""
    runtime = Runtime(tmp_path_factory.mktemp("fast"), arguments=["--speed", "60"])
    runtime.s3.create_bucket(Bucket="captured")
    yield runtime
    runtime.stop()


def deployed(runtime: Runtime, code: str = ECHO, **capture: Any) -> str:
    config = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captured/some/where",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        **capture,
    }
    variant = runtime.variant(runtime.handler(code))
    name: str = runtime.deploy_config(runtime.config_of([variant], DataCaptureConfig=config))
    return name


def objects(runtime: Runtime, endpoint: str) -> list[str]:
    listed = runtime.s3.list_objects_v2(Bucket="captured", Prefix=f"some/where/{endpoint}/")
    return [each["Key"] for each in listed.get("Contents", [])]


def lines(runtime: Runtime, endpoint: str) -> list[dict[str, Any]]:
    bodies = [
        runtime.s3.get_object(Bucket="captured", Key=key)["Body"].read().decode()
        for key in objects(runtime, endpoint)
    ]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_requests_and_answers_stand_in_s3_by_variant_and_hour(fast: Runtime) -> None:
    header = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    name = deployed(fast, CaptureContentTypeHeader=header)

    fast.invoke(name, b"1,2\n", ContentType="text/csv; charset=utf-8", InferenceId="mine")
    fast.invoke(name, b'{"a": 1}', ContentType="application/json")
    fast.invoke(name, b"\x00\xff", ContentType="image/png")
    wait_until(lambda: len(lines(fast, name)) == 3)

    csv, document, image = lines(fast, name)
    assert csv["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv; charset=utf-8",
        "mode": "INPUT",
        "data": "1,2\n",
        "encoding": "CSV",
    }
    assert csv["captureData"]["endpointOutput"]["mode"] == "OUTPUT"
    assert csv["eventMetadata"]["inferenceId"] == "mine"
    assert csv["eventVersion"] == "0"
    assert document["captureData"]["endpointInput"]["encoding"] == "JSON"
    assert json.loads(document["captureData"]["endpointInput"]["data"]) == {"a": 1}
    assert "inferenceId" not in document["eventMetadata"]
    sent = image["captureData"]["endpointInput"]
    assert (sent["encoding"], base64.b64decode(sent["data"])) == ("BASE64", b"\x00\xff")
    for key in objects(fast, name):
        assert re.fullmatch(
            rf"some/where/{name}/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/[\d-]+-[0-9a-f-]{{36}}\.jsonl",
            key,
        )


def test_only_the_side_that_was_asked_for_is_captured(fast: Runtime) -> None:
    name = deployed(fast, CaptureOptions=[{"CaptureMode": "Input"}])
    fast.invoke(name, b"x")

    wait_until(lambda: lines(fast, name))

    [line] = lines(fast, name)
    assert line["captureData"].keys() == {"endpointInput"}


def test_what_waits_is_written_when_the_endpoint_is_deleted(fast: Runtime) -> None:
    name = deployed(fast)
    for _ in range(50):
        fast.invoke(name, b"x")
    fast.sagemaker.delete_endpoint(EndpointName=name)

    wait_until(lambda: len(lines(fast, name)) == 50)


def test_a_share_of_the_requests_is_captured_and_none_that_failed(fast: Runtime) -> None:
    name = deployed(fast, InitialSamplingPercentage=50)
    failing = deployed(fast, FAILING)
    for _ in range(200):
        fast.invoke(name, b"x")
    for _ in range(5):
        with pytest.raises(ClientError):
            fast.invoke(failing, b"x")
    for endpoint in (name, failing):
        fast.sagemaker.delete_endpoint(EndpointName=endpoint)

    fast.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 180}
    )
    assert 55 <= len(lines(fast, name)) <= 145  # more than six standard deviations of 200 coins
    assert lines(fast, failing) == []


def test_capture_that_is_switched_off_captures_nothing(fast: Runtime) -> None:
    name = deployed(fast, EnableCapture=False)
    fast.invoke(name, b"x")
    described = fast.sagemaker.describe_endpoint(EndpointName=name)["DataCaptureConfig"]
    fast.sagemaker.delete_endpoint(EndpointName=name)
    fast.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 180}
    )

    assert described["CaptureStatus"] == "Stopped"
    assert objects(fast, name) == []
