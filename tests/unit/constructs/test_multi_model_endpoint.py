"""Multi-model endpoints and the stores that their models are published to."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from constructs_lib import (
    Container,
    ContainerImage,
    InferencePipelineEndpoint,
    Instances,
    ModelArtifact,
    ModelStore,
    MultiContainerEndpoint,
    MultiModelContainer,
    MultiModelEndpoint,
)

from .conftest import only, statements

IMAGE = ContainerImage.from_framework("scikit-learn")


def _endpoint(
    stack: cdk.Stack, instance_type: str = "ml.m5.large", **arguments: Any
) -> MultiModelEndpoint:
    container = MultiModelContainer(image=IMAGE, store=_store(stack), **arguments)
    return MultiModelEndpoint(
        stack, "Prices", container=container, instances=Instances(instance_type=instance_type)
    )


def _store(stack: cdk.Stack, **arguments: Any) -> ModelStore:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "team-models")
    return ModelStore(stack, "Models", bucket=bucket, **arguments)


def test_container_serves_a_prefix(stack: cdk.Stack) -> None:
    _endpoint(stack)

    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert container["Mode"] == "MultiModel"
    assert container["ModelDataUrl"] == "s3://team-models/models/"
    assert "MultiModelConfig" not in container


def test_cache_can_be_switched_off(stack: cdk.Stack) -> None:
    _endpoint(stack, caches_models=False)

    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert container["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}


def test_missing_model_does_not_read_as_access_denied(stack: cdk.Stack) -> None:
    _endpoint(stack)

    (listing,) = (
        statement
        for statement in statements(stack, role="Prices")
        if statement["Action"] == "s3:ListBucket"
    )
    assert str(listing["Resource"]).endswith("team-models']]}")
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["models/*"]}}


def test_caller_may_be_held_to_some_models(stack: cdk.Stack, caller: iam.Role) -> None:
    endpoint = _endpoint(stack)
    endpoint.grant_invoke(caller, target_models=["tenant-a/*"])

    (statement,) = statements(stack, role="Caller")
    assert statement["Condition"] == {"StringLike": {"sagemaker:TargetModel": ["tenant-a/*"]}}
    assert statement["Resource"] == stack.resolve(endpoint.endpoint_arn)


def test_publisher_adds_models_below_its_names_alone(stack: cdk.Stack, caller: iam.Role) -> None:
    store = _store(stack)
    store.grant_publish(caller, models=["tenant-a/*"])

    (statement,) = statements(stack, role="Caller")
    assert "s3:PutObject" in statement["Action"]
    assert "s3:DeleteObject" not in statement["Action"]
    assert str(statement["Resource"]).endswith("team-models/models/tenant-a/*']]}")


def test_initial_models_are_deployed_under_readable_names(handler_folder: Path) -> None:
    app = cdk.App()
    stack = cdk.Stack(app, "Stack")
    artifact = ModelArtifact.from_handler(handler_folder)

    ModelStore(stack, "Models", initial_models={"tenant-a/houston": artifact, "boston": artifact})

    folders = [
        path
        for path in Path(app.synth().directory).glob("asset.*")
        if (path / "boston.tar.gz").exists()
    ]
    (folder,) = folders
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"boston.tar.gz", "tenant-a/houston.tar.gz"}
    with tarfile.open(folder / "boston.tar.gz") as archive:
        assert archive.getnames() == ["code/inference.py"]
    Template.from_stack(stack).has_resource_properties(
        "Custom::CDKBucketDeployment",
        {"DestinationBucketKeyPrefix": "models/", "Prune": False, "RetainOnDelete": True},
    )
    assert not any(zipfile.is_zipfile(path) for path in folder.rglob("*.tar.gz"))


def test_store_of_its_own_is_private(stack: cdk.Stack) -> None:
    ModelStore(stack, "Models")

    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            }
        },
    )
    template.has_resource("AWS::S3::Bucket", {"DeletionPolicy": "Retain"})


@pytest.mark.parametrize("prefix", ["models", "models.tar.gz", ""])
def test_store_is_a_prefix(stack: cdk.Stack, prefix: str) -> None:
    with pytest.raises(ValueError, match=r"prefix must end in '/'"):
        _store(stack, prefix=prefix)


@pytest.mark.parametrize("instance_type", ["ml.g5.12xlarge", "ml.inf2.xlarge", "ml.p4d.24xlarge"])
def test_types_that_cannot_share_a_gpu_are_refused(stack: cdk.Stack, instance_type: str) -> None:
    with pytest.raises(ValueError, match=rf"multi-model endpoint must have .*got {instance_type}"):
        _endpoint(stack, instance_type)


def test_gpu_needs_triton(stack: cdk.Stack) -> None:
    with pytest.raises(
        ValueError, match=r"must be sagemaker-tritonserver, got sagemaker-scikit-learn"
    ):
        _endpoint(stack, "ml.g5.xlarge")

    triton = ContainerImage.from_framework("triton", processor="gpu")
    MultiModelEndpoint(
        stack,
        "OnGpu",
        container=MultiModelContainer(image=triton, store=ModelStore(stack, "GpuModels")),
        instances=Instances(instance_type="ml.g5.xlarge"),
    )


def test_pipeline_may_hold_one_multi_model_container(stack: cdk.Stack) -> None:
    many = MultiModelContainer(image=IMAGE, store=_store(stack))
    one = Container(image=IMAGE)
    instances = Instances(instance_type="ml.m5.large")

    with pytest.raises(ValueError, match=r"MultiModel mode must number at most 1, got 2"):
        InferencePipelineEndpoint(stack, "Two", containers=[many, many], instances=instances)
    InferencePipelineEndpoint(stack, "One", containers=[one, many, one], instances=instances)

    modes = [
        container.get("Mode") for container in only(stack, "AWS::SageMaker::Model")["Containers"]
    ]
    assert modes == [None, "MultiModel", None]


def test_direct_invocation_needs_a_name_for_each_container(stack: cdk.Stack) -> None:
    instances = Instances(instance_type="ml.m5.large")

    with pytest.raises(ValueError, match=r"hostname must be set for each container of Direct mode"):
        MultiContainerEndpoint(
            stack, "Models", containers=[Container(image=IMAGE)] * 2, instances=instances
        )


def test_direct_invocation_is_granted_per_container(stack: cdk.Stack, caller: iam.Role) -> None:
    endpoint = MultiContainerEndpoint(
        stack,
        "Direct",
        containers=[Container(image=IMAGE, hostname=name) for name in ("forest", "booster")],
        instances=Instances(instance_type="ml.m5.large"),
    )
    endpoint.grant_invoke(caller, hostnames=["booster"])

    (statement,) = statements(stack, role="Caller")
    assert statement["Condition"] == {
        "StringLike": {"sagemaker:TargetContainerHostname": ["booster"]}
    }
    assert only(stack, "AWS::SageMaker::Model")["InferenceExecutionConfig"] == {"Mode": "Direct"}
    with pytest.raises(ValueError, match=r"hostnames must be among .*got oracle"):
        endpoint.grant_invoke(caller, hostnames=["oracle"])
