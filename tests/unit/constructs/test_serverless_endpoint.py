"""Serverless endpoints: their sizes, and what the service does not offer."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from constructs_lib import (
    Container,
    ContainerImage,
    ModelArtifact,
    ModelStore,
    MultiModelContainer,
    ServerlessComparison,
    ServerlessEndpoint,
    ServerlessVariant,
)
from hosting import metrics

from .conftest import only, statements

CONTAINER = Container(image=ContainerImage.from_framework("scikit-learn"))
SMALL = ServerlessVariant(memory_size_mb=1024, max_concurrency=5)


def _endpoint(stack: cdk.Stack, **arguments: Any) -> ServerlessEndpoint:
    given = {"container": CONTAINER, "variant": SMALL, **arguments}
    return ServerlessEndpoint(stack, "Reader", **given)


def test_variant_has_a_size_and_no_instances(stack: cdk.Stack) -> None:
    _endpoint(
        stack,
        variant=ServerlessVariant(
            memory_size_mb=2048, max_concurrency=10, provisioned_concurrency=2
        ),
    )

    (variant,) = only(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["ServerlessConfig"] == {
        "MemorySizeInMB": 2048,
        "MaxConcurrency": 10,
        "ProvisionedConcurrency": 2,
    }
    assert "InstanceType" not in variant
    assert "InitialInstanceCount" not in variant


def test_comparison_deploys_one_container_at_every_size(stack: cdk.Stack) -> None:
    comparison = ServerlessComparison(
        stack,
        "Sizes",
        container=CONTAINER,
        variants={
            f"Memory{size}": ServerlessVariant(memory_size_mb=size, max_concurrency=5)
            for size in (1024, 6144)
        },
    )

    assert list(comparison.endpoints) == ["Memory1024", "Memory6144"]
    found = Template.from_stack(stack).find_resources("AWS::SageMaker::EndpointConfig")
    assert sorted(
        config["Properties"]["ProductionVariants"][0]["ServerlessConfig"]["MemorySizeInMB"]
        for config in found.values()
    ) == [1024, 6144]


def test_grant_invoke_names_only_this_endpoint(stack: cdk.Stack, caller: iam.Role) -> None:
    endpoint = _endpoint(stack)
    endpoint.grant_invoke(caller)

    (statement,) = statements(stack, role="Caller")
    assert statement["Resource"] == stack.resolve(endpoint.endpoint_arn)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((1000, 5, None), "memory_size_mb must be one of .*got 1000"),
        ((0, 5, None), "memory_size_mb must be one of .*got 0"),
        ((1024, 0, None), "max_concurrency must be between 1 and 200, got 0"),
        ((1024, 201, None), "max_concurrency must be between 1 and 200, got 201"),
        ((1024, 5, 0), "provisioned_concurrency must be between 1 and 200, got 0"),
        ((1024, 5, 6), r"provisioned_concurrency must be at most max_concurrency \(5\), got 6"),
    ],
)
def test_sizes_that_are_not_offered_are_refused(
    size: tuple[int, int, int | None], message: str
) -> None:
    memory, concurrency, provisioned = size

    with pytest.raises(ValueError, match=message):
        ServerlessVariant(
            memory_size_mb=memory, max_concurrency=concurrency, provisioned_concurrency=provisioned
        )


@pytest.mark.parametrize(
    "argument", ["network", "network_isolation", "data_capture", "variants", "instances", "shadow"]
)
def test_what_the_service_lacks_is_no_argument(stack: cdk.Stack, argument: str) -> None:
    with pytest.raises(TypeError, match=rf"unexpected keyword argument '{argument}'"):
        _endpoint(stack, **{argument: None})


def test_image_for_gpus_is_refused(stack: cdk.Stack) -> None:
    gpu = ContainerImage.from_framework("pytorch", processor="gpu")

    with pytest.raises(ValueError, match=r"must compute on CPUs, got one for GPUs"):
        _endpoint(stack, container=Container(image=gpu))


def test_many_models_are_refused(stack: cdk.Stack) -> None:
    container = MultiModelContainer(
        image=ContainerImage.from_framework("scikit-learn"), store=ModelStore(stack, "Models")
    )

    with pytest.raises(TypeError, match=r"serverless endpoints serve one model each"):
        _endpoint(stack, container=container)


def test_plain_files_are_refused(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "team-models")
    container = Container(
        image=ContainerImage.from_framework("scikit-learn"),
        artifact=ModelArtifact.from_prefix(bucket, "model/"),
    )

    with pytest.raises(ValueError, match=r"must be a \.tar\.gz archive, got a prefix"):
        _endpoint(stack, container=container)


def test_comparison_of_nothing_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"variants must hold one size at least, got none"):
        ServerlessComparison(stack, "Sizes", container=CONTAINER, variants={})


def test_each_metric_method_gives_a_metric_of_the_kind(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    published = {definition.name for definition in metrics.published_by("serverless")}
    methods = [name for name in dir(endpoint) if name.startswith("metric_")]

    named = {getattr(endpoint, name)().metric_name for name in methods}

    assert named <= published
    assert len(named) == len(methods)
