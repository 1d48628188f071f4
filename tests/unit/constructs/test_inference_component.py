"""Inference components: what they take, and how they come back from no copy at all."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from constructs_lib import (
    AdapterComponent,
    ComputeNeeds,
    Container,
    ContainerImage,
    CopyScaling,
    InferenceComponent,
    InferenceComponentEndpoint,
    Instances,
    ManagedScaling,
    ModelArtifact,
)

from .conftest import only

CONTAINER = Container(image=ContainerImage.from_framework("huggingface", processor="gpu"))
NEEDS = ComputeNeeds(memory_mib=1024, cpu_cores=0.5, accelerators=1)


def _component(stack: cdk.Stack, **arguments: Any) -> InferenceComponent:
    endpoint = InferenceComponentEndpoint(
        stack,
        "Shared",
        instances=Instances(
            instance_type="ml.g5.12xlarge", managed_scaling=ManagedScaling(min_count=0, max_count=2)
        ),
    )
    given = {"container": CONTAINER, "needs": NEEDS, **arguments}
    return InferenceComponent(stack, "Summaries", endpoint=endpoint, **given)


def test_configuration_has_a_role_and_no_model(stack: cdk.Stack) -> None:
    _component(stack)

    config = only(stack, "AWS::SageMaker::EndpointConfig")
    (variant,) = config["ProductionVariants"]
    assert "ExecutionRoleArn" in config
    assert "ModelName" not in variant
    assert "InitialVariantWeight" not in variant
    assert variant["ManagedInstanceScaling"] == {
        "Status": "ENABLED",
        "MinInstanceCount": 0,
        "MaxInstanceCount": 2,
    }


def test_component_states_what_a_copy_takes(stack: cdk.Stack) -> None:
    _component(stack, copies=2)

    component = only(stack, "AWS::SageMaker::InferenceComponent")
    assert component["RuntimeConfig"] == {"CopyCount": 2}
    assert component["Specification"]["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 1024,
        "NumberOfCpuCoresRequired": 0.5,
        "NumberOfAcceleratorDevicesRequired": 1,
    }


def test_component_without_copies_is_woken_by_its_failures(stack: cdk.Stack) -> None:
    component = _component(stack, scaling=CopyScaling(max_copies=4, target=10))

    alarm = only(stack, "AWS::CloudWatch::Alarm")
    assert alarm["MetricName"] == "NoCapacityInvocationFailures"
    assert alarm["Dimensions"] == [
        {"Name": "InferenceComponentName", "Value": component.component_name}
    ]
    target = only(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert target["ResourceId"] == f"inference-component/{component.component_name}"
    assert target["MinCapacity"] == 0


def test_copies_are_scaled_when_there_is_a_component(stack: cdk.Stack) -> None:
    component = _component(stack, scaling=CopyScaling(max_copies=4, target=10))

    Template.from_stack(stack).has_resource(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        {"DependsOn": [stack.get_logical_id(component.cfn_component)]},
    )


def test_component_that_keeps_a_copy_needs_no_waking(stack: cdk.Stack) -> None:
    _component(stack, scaling=CopyScaling(min_copies=1, max_copies=4, target=10))

    Template.from_stack(stack).resource_count_is("AWS::CloudWatch::Alarm", 0)


def test_adapter_has_a_base_and_no_compute(stack: cdk.Stack) -> None:
    base = _component(stack)
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "adapters")
    AdapterComponent(
        stack, "German", base=base, artifact=ModelArtifact.from_prefix(bucket, "german/")
    )

    (adapter,) = (
        component["Properties"]["Specification"]
        for component in Template.from_stack(stack)
        .find_resources("AWS::SageMaker::InferenceComponent")
        .values()
        if "BaseInferenceComponentName" in component["Properties"]["Specification"]
    )
    assert adapter == {
        "BaseInferenceComponentName": base.component_name,
        "Container": {"ArtifactUrl": "s3://adapters/german/"},
    }


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ComputeNeeds(memory_mib=0), "memory_mib must be 128 or more, got 0"),
        (
            lambda: ComputeNeeds(memory_mib=128, cpu_cores=0),
            "cpu_cores must be 0.25 or more, got 0",
        ),
        (
            lambda: ComputeNeeds(memory_mib=128, accelerators=0),
            "accelerators must be 1 or more, got 0",
        ),
        (lambda: CopyScaling(max_copies=1, target=0), "target must be above 0, got 0"),
        (lambda: CopyScaling(min_copies=2, max_copies=1, target=1), "min_copies must be at most"),
    ],
    ids=["memory", "cores", "accelerators", "target", "bounds"],
)
def test_values_out_of_range_are_refused_by_name(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_component_starts_with_a_copy(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"copies must be 1 or more, got 0"):
        _component(stack, copies=0)
