"""Metrics of real requests, and the policies that scale by them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import mode
from typing import Any

import pytest

from tools.backlog_scaling import scale_by_backlog

from .conftest import ECHO, EVER_S, Runtime, wait_until

pytestmark = pytest.mark.e2e

SPEED = 60
BUSY = ECHO.replace("return data\n\ndef output", "import time; time.sleep(0.01); "
                    "return data\n\ndef output")  # fmt: skip


def datapoints(
    runtime: Runtime,
    metric: str,
    endpoint: str,
    *names: str,
    period_s: int,
    **dimensions: str,
) -> list[dict[str, Any]]:
    """Statistics of a metric, by period."""
    namespace = "/aws/sagemaker/Endpoints" if "Utilization" in metric else "AWS/SageMaker"
    held = {"EndpointName": endpoint, "VariantName": "AllTraffic", **dimensions}
    now = datetime.now(UTC)
    found: list[dict[str, Any]] = runtime.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in held.items()],
        StartTime=now - timedelta(minutes=20),
        EndTime=now + timedelta(minutes=1),
        Period=period_s,
        **(
            {"ExtendedStatistics": list(names)}
            if names[0].startswith("p")
            else {"Statistics": list(names)}
        ),
    )["Datapoints"]
    return found


def statistics(
    runtime: Runtime, metric: str, endpoint: str, *names: str, **dimensions: str
) -> dict[str, Any]:
    """Statistics of a metric over everything so far, as one datapoint."""
    points = datapoints(runtime, metric, endpoint, *names, period_s=EVER_S, **dimensions)
    return points[0] if points else {}


@contextmanager
def load(runtime: Runtime, endpoint: str, *, clients: int) -> Iterator[None]:
    """Clients that call an endpoint without pause."""
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            runtime.invoke(endpoint, b"x")

    threads = [threading.Thread(target=call) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def described(runtime: Runtime, endpoint: str) -> dict[str, Any]:
    [variant] = runtime.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    found: dict[str, Any] = variant
    return found


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime whose service clock is sixty times faster than the wall's."""
    started = Runtime(tmp_path_factory.mktemp("quick"), arguments=["--speed", str(SPEED)])
    yield started
    started.stop()


def test_requests_are_counted_and_timed(quick: Runtime) -> None:
    endpoint = quick.deploy(quick.handler(BUSY))
    for _ in range(20):
        quick.invoke(endpoint, b"x")

    # The metrics of a request arrive one after the other; this is the last.
    counted = "InvocationsPerInstance"
    wait_until(lambda: statistics(quick, counted, endpoint, "Sum").get("Sum") == 20)
    assert statistics(quick, "Invocations", endpoint, "Sum")["Sum"] == 20
    latency = statistics(quick, "ModelLatency", endpoint, "Minimum", "Average", "SampleCount")
    assert latency["SampleCount"] == 20
    assert 10_000 <= latency["Minimum"] <= latency["Average"]
    assert latency["Unit"] == "Microseconds"
    quantiles = statistics(quick, "ModelLatency", endpoint, "p50", "p99")["ExtendedStatistics"]
    assert 10_000 <= quantiles["p50"] <= quantiles["p99"]
    assert statistics(quick, "Invocation5XXErrors", endpoint, "Average")["Average"] == 0
    assert statistics(quick, "OverheadLatency", endpoint, "Minimum")["Minimum"] >= 0


def test_the_errors_of_a_model_are_counted(quick: Runtime) -> None:
    endpoint = quick.deploy(quick.handler(ECHO.replace("return data\n\ndef output", "raise "
                                          "ValueError(data)\n\ndef output")))  # fmt: skip
    for _ in range(3):
        with pytest.raises(quick.invoker.exceptions.ModelError):
            quick.invoke(endpoint, b"x")

    wait_until(lambda: statistics(quick, "InvocationModelErrors", endpoint, "Sum").get("Sum") == 3)
    assert statistics(quick, "Invocation5XXErrors", endpoint, "Sum")["Sum"] == 3
    assert statistics(quick, "Invocation4XXErrors", endpoint, "Sum")["Sum"] == 0


def test_each_container_of_a_pipeline_is_timed(quick: Runtime) -> None:
    containers = [
        {**quick.handler(code), "ContainerHostname": name}
        for name, code in (("prepare", ECHO), ("predict", BUSY))
    ]
    endpoint = quick.deploy(*containers)
    for _ in range(5):
        quick.invoke(endpoint, b"x")

    def latency(container: str) -> dict[str, Any]:
        names = ("Minimum", "Sum", "SampleCount")
        return statistics(quick, "ContainerLatency", endpoint, *names, ContainerName=container)

    wait_until(lambda: latency("predict").get("SampleCount") == 5)
    whole = statistics(quick, "ModelLatency", endpoint, "Sum")["Sum"]
    assert latency("prepare")["Minimum"] > 0
    assert latency("predict")["Minimum"] >= 10_000
    assert whole == pytest.approx(latency("prepare")["Sum"] + latency("predict")["Sum"], rel=0.01)


def test_instances_are_counted_by_their_processors_samples(quick: Runtime) -> None:
    endpoint = quick.deploy(quick.handler(ECHO), InitialInstanceCount=2)

    def usual_count() -> float | None:
        # A minute of the service is a second here.
        minutes = datapoints(quick, "CPUUtilization", endpoint, "SampleCount", period_s=1)
        return mode(point["SampleCount"] for point in minutes) if len(minutes) > 3 else None

    # A minute may have none on a busy machine, and the next one those of two.
    wait_until(lambda: usual_count() == 2)
    assert 0 < statistics(quick, "MemoryUtilization", endpoint, "Maximum")["Maximum"] < 100
    wait_until(lambda: statistics(quick, "DiskUtilization", endpoint, "Maximum"))
    assert 0 < statistics(quick, "DiskUtilization", endpoint, "Maximum")["Maximum"] < 100


def test_a_real_time_endpoint_scales_out_under_load_and_back(quick: Runtime) -> None:
    endpoint = quick.deploy(quick.handler(BUSY))
    scaling = quick.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    scaling.put_scaling_policy(
        **target,
        PolicyName="invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 20.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 60,
        },
    )

    def current() -> int:
        count: int = described(quick, endpoint)["CurrentInstanceCount"]
        return count

    assert current() == 1
    with load(quick, endpoint, clients=3):
        wait_until(lambda: current() == 2)
    wait_until(lambda: current() == 1)

    activities = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=target["ResourceId"]
    )["ScalingActivities"]
    assert [activity["Description"] for activity in activities] == [
        "Setting desired instance count to 1.",
        "Setting desired instance count to 2.",
    ]
    assert "-AlarmHigh-" in activities[1]["Cause"]
    assert activities[1]["StatusCode"] == "Successful"
    assert quick.invoke(endpoint, b"still here")["Body"] == b"still here"


def test_an_alarm_on_a_metric_of_the_endpoint_goes_off(quick: Runtime) -> None:
    endpoint = quick.deploy(quick.handler(BUSY))
    cloudwatch = quick.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=endpoint,
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        ExtendedStatistic="p90",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5_000.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        [alarm] = cloudwatch.describe_alarms(AlarmNames=[endpoint])["MetricAlarms"]
        value: str = alarm["StateValue"]
        return value

    with load(quick, endpoint, clients=1):
        wait_until(lambda: state() == "ALARM")
    wait_until(lambda: state() == "OK")


def test_an_asynchronous_endpoint_wakes_from_zero_and_returns_to_it(quick: Runtime) -> None:
    output = {"S3OutputPath": "s3://models/out"}
    config = quick.config_of(
        [quick.variant(quick.handler(BUSY))], AsyncInferenceConfig={"OutputConfig": output}
    )
    endpoint = quick.deploy_config(config)
    scaling, cloudwatch = quick.client("application-autoscaling"), quick.client("cloudwatch")
    resource_id, alarm = scale_by_backlog(scaling, cloudwatch, endpoint, max_instances=2)

    def current() -> int:
        count: int = described(quick, endpoint)["CurrentInstanceCount"]
        return count

    wait_until(lambda: current() == 0)
    quick.s3.put_object(Bucket="models", Key="input", Body=b"wake up")
    answer = quick.invoker.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation="s3://models/input"
    )
    key = answer["OutputLocation"].removeprefix("s3://models/")

    def written() -> bool:
        found = quick.s3.list_objects_v2(Bucket="models", Prefix=key).get("Contents", [])
        return bool(found)

    wait_until(written)
    [*_, woken, _emptied] = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=resource_id
    )["ScalingActivities"]

    history = cloudwatch.describe_alarm_history(
        AlarmName=alarm, HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
    )["AlarmHistoryItems"]
    states = [json.loads(item["HistoryData"])["newState"] for item in history]
    gone_off, *_ = [each["stateReason"] for each in states if each["stateValue"] == "ALARM"]

    assert f"{alarm} in state ALARM triggered policy wake-up" in woken["Cause"]
    assert "2 out of the last 2 datapoints" in gone_off
    wait_until(lambda: current() == 0)
