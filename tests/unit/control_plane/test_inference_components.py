"""The API of inference components, through boto3 against a stand-in for the data plane."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.control_plane.component_records import StaleReport
from local_runtime.control_plane.store import Store

from .conftest import CONTAINER, IMAGE, REGION, RunningControlPlane, fresh, variant

ROLE = "arn:aws:iam::123456789012:role/execution"
NEEDS = {"MinMemoryRequiredInMb": 1024}


class Endpoint:
    """An endpoint without a model, in service."""

    def __init__(self, served: RunningControlPlane) -> None:
        self.served, self.store = served, served.store
        self.client = served.client("sagemaker")
        self.name = fresh("endpoint")
        hosting = {key: value for key, value in variant("-").items() if key != "ModelName"}
        self.client.create_endpoint_config(
            EndpointConfigName=self.name, ProductionVariants=[hosting], ExecutionRoleArn=ROLE
        )
        self.client.create_endpoint(EndpointName=self.name, EndpointConfigName=self.name)
        self.client.get_waiter("endpoint_in_service").wait(
            EndpointName=self.name, WaiterConfig={"Delay": 1}
        )

    def model(self) -> str:
        name = fresh("model")
        self.client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=CONTAINER)
        return name

    def create(self, **changes: Any) -> str:
        """A component that is being created."""
        name = fresh("component")
        request: dict[str, Any] = {
            "InferenceComponentName": name,
            "EndpointName": self.name,
            "Specification": {"ModelName": self.model(), "ComputeResourceRequirements": NEEDS},
            "RuntimeConfig": {"CopyCount": 1},
            **changes,
        }
        self.client.create_inference_component(**request)
        return name

    def report(self, name: str, outcome: Any, *, copies: int, reason: str | None = None) -> None:
        """What the data plane would say."""
        generation = self.store.components.by_name[REGION, name].generation
        self.store.components.report(
            REGION, name, generation, outcome, copies=copies, failure_reason=reason
        )

    def in_service(self, **changes: Any) -> str:
        name = self.create(**changes)
        self.report(name, "InService", copies=1)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_inference_component(
            InferenceComponentName=name
        )
        return found

    def refusal(self, **changes: Any) -> str:
        with pytest.raises(ClientError) as refused:
            self.create(**changes)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
        return str(refused.value)


@pytest.fixture(scope="module")
def endpoint(served: RunningControlPlane) -> Endpoint:
    return Endpoint(served)


def test_a_component_is_created_and_described(endpoint: Endpoint) -> None:
    name = endpoint.create(Tags=[{"Key": "team", "Value": "a"}])
    assert endpoint.describe(name)["InferenceComponentStatus"] == "Creating"

    endpoint.report(name, None, copies=1)
    assert endpoint.describe(name)["RuntimeConfig"]["CurrentCopyCount"] == 1
    endpoint.report(name, "InService", copies=1)

    described = endpoint.describe(name)
    assert described["InferenceComponentStatus"] == "InService"
    assert described["VariantName"] == "AllTraffic"
    assert described["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    tags = endpoint.client.list_tags(ResourceArn=described["InferenceComponentArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"EndpointName": "nowhere"}, "Could not find endpoint"),
        ({"VariantName": "Other"}, "VariantName must be one of AllTraffic, got Other"),
        ({"RuntimeConfig": {"CopyCount": 0}}, "CopyCount of RuntimeConfig must be 1 or more"),
        (
            {"Specification": {"ModelName": "none", "ComputeResourceRequirements": NEEDS}},
            "Could not find model",
        ),
        ({"Specification": {"ComputeResourceRequirements": NEEDS}}, "Exactly one of ModelName and"),
        ({"Specification": {"ModelName": "m"}}, "ComputeResourceRequirements must be specified"),
        ({"Specification": {"BaseInferenceComponentName": "base"}}, "An adapter"),
        (
            {"Specification": {"Container": {"Image": IMAGE}, "ComputeResourceRequirements": {
                **NEEDS, "MaxMemoryRequiredInMb": 512}}},
            "MaxMemoryRequiredInMb must be at least MinMemoryRequiredInMb (1024), got 512",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(
    endpoint: Endpoint, changes: dict[str, Any], said: str
) -> None:
    assert said in endpoint.refusal(**changes)


def test_a_name_is_given_once(endpoint: Endpoint) -> None:
    name = endpoint.create()

    assert "already existing" in endpoint.refusal(InferenceComponentName=name)


def test_copies_change_while_the_containers_stay(endpoint: Endpoint) -> None:
    name = endpoint.in_service()
    before = endpoint.store.components.by_name[REGION, name].deployment

    endpoint.client.update_inference_component_runtime_config(
        InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": 3}
    )
    assert endpoint.describe(name)["InferenceComponentStatus"] == "Updating"
    with pytest.raises(ClientError, match="while its status is Updating"):
        endpoint.client.update_inference_component(
            InferenceComponentName=name, RuntimeConfig={"CopyCount": 2}
        )
    endpoint.report(name, "RolledBack", copies=2, reason="no room")

    described = endpoint.describe(name)
    assert described["InferenceComponentStatus"] == "InService"
    assert described["FailureReason"] == "no room"
    assert described["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    assert endpoint.store.components.by_name[REGION, name].deployment == before


def test_an_update_that_fails_leaves_the_specification_as_it_was(endpoint: Endpoint) -> None:
    name = endpoint.in_service()
    before = endpoint.describe(name)["Specification"]
    container = {"Image": IMAGE, "ArtifactUrl": "s3://models/other.tar.gz"}

    endpoint.client.update_inference_component(
        InferenceComponentName=name,
        Specification={"Container": container, "ComputeResourceRequirements": NEEDS},
    )
    assert endpoint.describe(name)["Specification"] == before  # it serves until the update is made
    endpoint.report(name, "RolledBack", copies=1, reason="it does not start")

    assert endpoint.describe(name)["Specification"] == before


def test_a_report_about_an_older_generation_is_refused(endpoint: Endpoint) -> None:
    name = endpoint.in_service()
    generation = endpoint.store.components.by_name[REGION, name].generation
    endpoint.client.delete_inference_component(InferenceComponentName=name)

    with pytest.raises(StaleReport):
        endpoint.store.components.report(REGION, name, generation, "InService", copies=1)
    endpoint.report(name, "Deleted", copies=0)

    with pytest.raises(ClientError, match="Could not find inference component"):
        endpoint.describe(name)


def test_lists_know_endpoints_names_and_statuses(served: RunningControlPlane) -> None:
    endpoint = Endpoint(served)
    first, second = endpoint.in_service(), endpoint.create()

    def listed(**filters: Any) -> list[str]:
        found = endpoint.client.list_inference_components(
            EndpointNameEquals=endpoint.name, SortOrder="Ascending", **filters
        )
        return [each["InferenceComponentName"] for each in found["InferenceComponents"]]

    assert listed() == [first, second]
    assert listed(StatusEquals="Creating") == [second]
    assert listed(NameContains=first) == [first]
    assert listed(VariantNameEquals="Other") == []


def test_an_endpoint_with_components_is_neither_deleted_nor_moved_under_a_change(
    served: RunningControlPlane,
) -> None:
    endpoint = Endpoint(served)
    name = endpoint.create()

    with pytest.raises(ClientError, match=f"delete them first: {name}"):
        endpoint.client.delete_endpoint(EndpointName=endpoint.name)
    with pytest.raises(ClientError, match="is Creating"):
        endpoint.client.update_endpoint(
            EndpointName=endpoint.name, EndpointConfigName=endpoint.name
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "ExecutionRoleArn must be given"),
        ({"ExecutionRoleArn": ROLE, "DataCaptureConfig": {
            "InitialSamplingPercentage": 1, "DestinationS3Uri": "s3://b/c",
            "CaptureOptions": [{"CaptureMode": "Input"}]}}, "DataCaptureConfig cannot be given"),
    ],
)  # fmt: skip
def test_a_configuration_without_models_needs_a_role_and_has_no_capture(
    served: RunningControlPlane, changes: dict[str, Any], said: str
) -> None:
    hosting = {key: value for key, value in variant("-").items() if key != "ModelName"}
    with pytest.raises(ClientError, match=said):
        served.client("sagemaker").create_endpoint_config(
            EndpointConfigName=fresh("config"), ProductionVariants=[hosting], **changes
        )


def test_copies_are_a_scalable_dimension(endpoint: Endpoint) -> None:
    name = endpoint.in_service()
    scaling = endpoint.served.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=4)
    metric = "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
    alarms = scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "TargetValue": 5.0,
        },
    )["Alarms"]
    found = endpoint.served.client("cloudwatch").describe_alarms(
        AlarmNames=[alarm["AlarmName"] for alarm in alarms]
    )["MetricAlarms"]

    assert {(alarm["MetricName"], alarm["Period"]) for alarm in found} == {
        ("ConcurrentRequestsPerCopy", 10),
        ("ConcurrentRequestsPerCopy", 60),
    }
    assert found[0]["Dimensions"] == [{"Name": "InferenceComponentName", "Value": name}]
    with pytest.raises(ClientError, match="does not exist, or has no copy count"):
        scaling.register_scalable_target(
            **{**target, "ResourceId": "inference-component/none"}, MinCapacity=0, MaxCapacity=4
        )


def test_a_store_takes_what_an_earlier_version_has_given() -> None:
    given: list[Any] = []

    def write(record: Any) -> bytes:
        given.append(record)
        return b""

    Store("123456789012").give(write)
    later = Store("123456789012")
    later.take(given[0][:5])

    assert later.components.by_name == {}
    assert json.loads(json.dumps(later.desired(after=0, wait_s=0)))["endpoints"] == []
