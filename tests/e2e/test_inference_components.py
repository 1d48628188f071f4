"""Inference components: copies that share an endpoint's instances."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from .conftest import ECHO, EVER_S, IMAGE, ROLE, SETTINGS, Runtime, wait_until

pytestmark = pytest.mark.e2e

SPEED = 60
QUICK_SETTINGS = SETTINGS + "\ncomponent_idle_instance_s = 60.0\n"
# Says who has answered: two copies are two processes.
WHO = ECHO.replace(
    "return data\n\ndef output", "import os; return b'%d' % os.getpid()\n\ndef output"
)
TAGGED = ECHO.replace("return data\n\ndef output", "return b'TAG'\n\ndef output")
BROKEN = "raise ValueError('no weights')"


class Components:
    """Components of a runtime, by boto3."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.client = runtime.sagemaker

    def endpoint(self, *, count: int = 1, kind: str = "ml.m5.large", **variant: Any) -> str:
        """An endpoint without a model, in service."""
        config = self.runtime.config_of(
            [
                {
                    "VariantName": "AllTraffic",
                    "InstanceType": kind,
                    "InitialInstanceCount": count,
                    "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
                    **variant,
                }
            ],
            ExecutionRoleArn=ROLE,
        )
        return self.runtime.deploy_config(config)

    def specification(
        self, code: str = ECHO, *, memory: int = 1024, **needs: Any
    ) -> dict[str, Any]:
        """A Specification that names a model."""
        name = self.runtime.name("model")
        container = self.runtime.handler(code)
        self.client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return {
            "ModelName": name,
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": memory, **needs},
        }

    def begin(self, endpoint: str, code: str = ECHO, *, copies: int = 1, **needs: Any) -> str:
        """A component that is being created."""
        name = self.runtime.name("component")
        self.client.create_inference_component(
            InferenceComponentName=name,
            EndpointName=endpoint,
            VariantName="AllTraffic",
            Specification=self.specification(code, **needs),
            RuntimeConfig={"CopyCount": copies},
        )
        return name

    def create(self, endpoint: str, code: str = ECHO, *, copies: int = 1, **needs: Any) -> str:
        """A component in service."""
        name = self.begin(endpoint, code, copies=copies, **needs)
        described = self.settled(name)
        assert described["InferenceComponentStatus"] == "InService", described.get("FailureReason")
        return name

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_inference_component(
            InferenceComponentName=name
        )
        return found

    def settled(self, name: str) -> dict[str, Any]:
        """DescribeInferenceComponent, once no work is under way."""

        def description() -> dict[str, Any] | None:
            answer = self.describe(name)
            return answer if answer["InferenceComponentStatus"] in {"InService", "Failed"} else None

        found: dict[str, Any] = wait_until(description)
        return found

    def copies(self, name: str) -> tuple[int, int]:
        """Desired and current copies."""
        config = self.describe(name)["RuntimeConfig"]
        return config["DesiredCopyCount"], config["CurrentCopyCount"]

    def resize(self, name: str, copies: int) -> dict[str, Any]:
        self.client.update_inference_component_runtime_config(
            InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": copies}
        )
        return self.settled(name)

    def invoke(self, endpoint: str, name: str, body: bytes = b"x") -> bytes:
        answer: bytes = self.runtime.invoke(endpoint, body, InferenceComponentName=name)["Body"]
        return answer

    def instances(self, endpoint: str) -> int:
        described = self.client.describe_endpoint(EndpointName=endpoint)
        count: int = described["ProductionVariants"][0]["CurrentInstanceCount"]
        return count

    def delete(self, name: str) -> None:
        self.client.delete_inference_component(InferenceComponentName=name)
        wait_until(lambda: self.gone(name))

    def gone(self, name: str) -> bool:
        try:
            self.describe(name)
        except ClientError as error:
            return "Could not find" in str(error)
        return False


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Components]:
    """A runtime whose service clock is sixty times faster than the wall's."""
    started = Runtime(
        tmp_path_factory.mktemp("components"),
        arguments=["--speed", str(SPEED)],
        settings=QUICK_SETTINGS,
    )
    yield Components(started)
    started.stop()


def refused(call: Any, **arguments: Any) -> str:
    """The message of a refusal."""
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    assert refusal.value.response["Error"]["Code"] in {"ValidationException", "ValidationError"}
    return str(refusal.value)


def test_components_answer_by_name_on_an_endpoint_without_a_model(quick: Components) -> None:
    endpoint = quick.endpoint()
    one = quick.create(endpoint, TAGGED.replace("TAG", "one"), NumberOfCpuCoresRequired=0.5)
    two = quick.create(endpoint, TAGGED.replace("TAG", "two"))

    assert quick.invoke(endpoint, one) == b"one"
    assert quick.invoke(endpoint, two) == b"two"
    invoke = quick.runtime.invoke
    assert "Inference Component Name header is required" in refused(
        invoke, name=endpoint, body=b"x"
    )
    assert "not found" in refused(invoke, name=endpoint, InferenceComponentName="nobody")
    described = quick.describe(one)
    assert described["Specification"]["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 1024,
        "NumberOfCpuCoresRequired": 0.5,
    }
    assert described["VariantName"] == "AllTraffic"
    listed = quick.client.list_inference_components(EndpointNameEquals=endpoint, SortBy="Name")
    names = {each["InferenceComponentName"] for each in listed["InferenceComponents"]}
    assert names == {one, two}
    assert one in refused(quick.client.delete_endpoint, EndpointName=endpoint)

    quick.delete(one)
    quick.delete(two)
    quick.client.delete_endpoint(EndpointName=endpoint)


def test_a_model_endpoint_takes_no_component_name(quick: Components) -> None:
    endpoint = quick.runtime.deploy(quick.runtime.handler(ECHO))

    said = refused(quick.runtime.invoke, name=endpoint, InferenceComponentName="some")
    assert "Inference Component Name header is not allowed" in said


def test_copies_come_and_go_without_a_failed_request(quick: Components) -> None:
    endpoint = quick.endpoint(count=2)
    name = quick.create(endpoint, WHO)
    failures: list[Exception] = []
    answered: set[bytes] = set()
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            try:
                answered.add(quick.invoke(endpoint, name))
            except ClientError as error:
                failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        quick.resize(name, 3)
        assert quick.copies(name) == (3, 3)
        wait_until(lambda: len(answered) >= 3)
        quick.resize(name, 1)
        assert quick.copies(name) == (1, 1)
        quick.client.update_inference_component(
            InferenceComponentName=name, Specification=quick.specification(TAGGED)
        )
        assert quick.settled(name)["InferenceComponentStatus"] == "InService"
        wait_until(lambda: b"TAG" in answered)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert quick.invoke(endpoint, name) == b"TAG"


def test_an_update_that_does_not_start_leaves_the_old_copies(quick: Components) -> None:
    endpoint = quick.endpoint()
    name = quick.create(endpoint, TAGGED)

    quick.client.update_inference_component(
        InferenceComponentName=name, Specification=quick.specification(BROKEN)
    )
    described = quick.settled(name)

    assert described["InferenceComponentStatus"] == "InService"
    assert "ping" in described["FailureReason"]
    assert quick.invoke(endpoint, name) == b"TAG"


def test_what_fits_nowhere_fails_and_what_fits_is_kept(quick: Components) -> None:
    endpoint = quick.endpoint()  # 8192 MiB, 2 cores
    too_large = quick.begin(endpoint, memory=9000)
    assert "not enough hardware resources" in quick.settled(too_large)["FailureReason"]
    gpu = quick.begin(endpoint, NumberOfAcceleratorDevicesRequired=1)
    assert quick.settled(gpu)["InferenceComponentStatus"] == "Failed"

    name = quick.create(endpoint, memory=3000)
    described = quick.resize(name, 3)

    assert described["InferenceComponentStatus"] == "InService"
    assert "not enough hardware resources" in described["FailureReason"]
    assert quick.copies(name) == (2, 2)


def test_a_container_that_does_not_start_fails_its_component_only(quick: Components) -> None:
    endpoint = quick.endpoint()
    name = quick.create(endpoint)
    broken = quick.settled(quick.begin(endpoint, BROKEN))

    assert broken["InferenceComponentStatus"] == "Failed"
    assert "ping" in broken["FailureReason"]
    assert quick.invoke(endpoint, name, b"y") == b"y"


def test_instances_follow_the_copies(quick: Components) -> None:
    endpoint = quick.endpoint(
        ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}
    )
    name = quick.create(endpoint, memory=8000)
    assert quick.instances(endpoint) == 1
    quick.resize(name, 3)
    assert quick.copies(name) == (3, 3)
    wait_until(lambda: quick.instances(endpoint) == 3)
    assert "not enough hardware" in quick.resize(name, 4)["FailureReason"]

    quick.resize(name, 0)
    assert quick.copies(name) == (0, 0)
    wait_until(lambda: quick.instances(endpoint) == 0)
    said = refused(quick.runtime.invoke, name=endpoint, InferenceComponentName=name)
    assert "Inference Component has no capacity" in said


def test_a_component_streams_and_reports_its_models_errors(quick: Components) -> None:
    endpoint = quick.endpoint()
    name = quick.create(endpoint)
    answer = quick.runtime.invoker.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, InferenceComponentName=name, Body=b"parts", ContentType="text/csv"
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"parts"

    bad = quick.create(endpoint, ECHO.replace("return data\n\ndef output", "raise ValueError(data)"
                                              "\n\ndef output"))  # fmt: skip
    with pytest.raises(quick.runtime.invoker.exceptions.ModelError) as failed:
        quick.invoke(endpoint, bad)
    assert f"/aws/sagemaker/InferenceComponents/{bad}" in str(failed.value)


def test_a_container_of_its_own_needs_no_model(quick: Components) -> None:
    endpoint = quick.endpoint()
    container = quick.runtime.handler(TAGGED)
    name = quick.runtime.name("component")
    quick.client.create_inference_component(
        InferenceComponentName=name,
        EndpointName=endpoint,
        Specification={
            "Container": {
                "Image": IMAGE,
                "ArtifactUrl": container["ModelDataUrl"],
                "Environment": container["Environment"],
            },
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
        },
        RuntimeConfig={"CopyCount": 1},
    )
    described = quick.settled(name)

    assert described["Specification"]["Container"]["DeployedImage"]["SpecifiedImage"] == IMAGE
    assert quick.invoke(endpoint, name) == b"TAG"


def test_an_endpoint_is_updated_with_its_components(quick: Components) -> None:
    endpoint = quick.endpoint()
    name = quick.create(endpoint, WHO, copies=2)
    before = quick.invoke(endpoint, name)
    config = quick.runtime.config_of(
        [{"VariantName": "AllTraffic", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}],
        ExecutionRoleArn=ROLE,
    )
    quick.client.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert quick.runtime.settled(endpoint)["EndpointConfigName"] == config

    assert quick.invoke(endpoint, name) != before
    assert quick.copies(name) == (2, 2)


def test_components_publish_metrics_by_their_name(quick: Components) -> None:
    endpoint = quick.endpoint()  # 8192 MiB
    name = quick.create(endpoint, copies=2)
    for _ in range(6):
        quick.invoke(endpoint, name)
    cloudwatch = quick.runtime.client("cloudwatch")

    def total(metric: str, statistic: str, namespace: str = "AWS/SageMaker", **other: str) -> float:
        dimensions = other if other else {"InferenceComponentName": name}
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=EVER_S,
            Statistics=[statistic],
        )["Datapoints"]
        return float(points[0][statistic]) if points else 0.0

    # The metrics of a request arrive one after the other.
    wait_until(lambda: total("Invocations", "Sum") == 6)
    wait_until(lambda: total("InvocationsPerCopy", "Sum") == 3)
    wait_until(lambda: total("ModelLatency", "Minimum") > 0)
    assert total("Invocation5XXErrors", "Sum") == 0
    wait_until(
        lambda: (
            total(
                "MemoryReservation",
                "Maximum",
                "/aws/sagemaker/Endpoints",
                EndpointName=endpoint,
                VariantName="AllTraffic",
            )
            == 25
        )
    )
    wait_until(
        lambda: (
            total("MemoryUtilizationNormalized", "Maximum", "/aws/sagemaker/InferenceComponents")
            > 0
        )
    )


def test_a_component_goes_to_zero_and_is_woken_by_the_first_failures(quick: Components) -> None:
    endpoint = quick.endpoint(
        ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    )
    name = quick.create(endpoint)
    scaling, alarms = (
        quick.runtime.client(each) for each in ("application-autoscaling", "cloudwatch")
    )
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"
            },
            "TargetValue": 5.0,
            "ScaleInCooldown": 60,
            "ScaleOutCooldown": 60,
        },
    )
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Maximum",
            "Cooldown": 60,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )["PolicyARN"]
    alarms.put_metric_alarm(
        AlarmName="wake",
        AlarmActions=[policy],
        Namespace="AWS/SageMaker",
        MetricName="NoCapacityInvocationFailures",
        Dimensions=[{"Name": "InferenceComponentName", "Value": name}],
        Statistic="Sum",
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Threshold=1,
        Period=60,
        EvaluationPeriods=1,
        DatapointsToAlarm=1,
        TreatMissingData="missing",
    )
    # Nobody calls: a quarter of an hour of the service's clock later there is no copy.
    wait_until(lambda: quick.copies(name) == (0, 0))
    wait_until(lambda: quick.instances(endpoint) == 0)

    def answered() -> bool:
        try:
            return quick.invoke(endpoint, name) == b"x"
        except ClientError as error:
            assert "has no capacity" in str(error)  # noqa: PT017 - until it has woken
            time.sleep(0.2)
            return False

    wait_until(answered)
    activities = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=target["ResourceId"]
    )["ScalingActivities"]
    # The alarm may have rung once more before the copy was there.
    assert any("desired copy count to 1" in each["Description"] for each in activities)
    scaling.deregister_scalable_target(**target)


def test_components_come_back_after_the_data_plane_was_killed_and_after_a_restart(
    tmp_path: Any,
) -> None:
    runtime = Runtime(tmp_path)
    try:
        components = Components(runtime)
        endpoint = components.endpoint(count=2)
        name = components.create(endpoint, WHO, copies=2)
        before = components.invoke(endpoint, name)
        os.kill(runtime.data_plane, signal.SIGKILL)

        def again() -> bytes | None:
            try:
                return components.invoke(endpoint, name)
            except (BotoCoreError, ClientError):  # whatever a client sees meanwhile
                return None

        assert wait_until(again) != before
        assert components.copies(name) == (2, 2)

        runtime.restart(kill=True)
        components = Components(runtime)
        assert wait_until(again)
        wait_until(lambda: components.copies(name) == (2, 2))
    finally:
        runtime.stop()
