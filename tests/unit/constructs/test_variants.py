"""Variants, instances, capture, encryption, imports: what the kinds on instances share."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match, Template

from constructs_lib import (
    Container,
    ContainerImage,
    DataCapture,
    ImportedEndpoint,
    InstancePool,
    Instances,
    ManagedScaling,
    ModelArtifact,
    RealTimeEndpoint,
    Variant,
)

from .conftest import only, statements

CONTAINER = Container(image=ContainerImage.from_framework("scikit-learn"))
LARGE = Instances(instance_type="ml.m5.large")


def _endpoint(stack: cdk.Stack, **arguments: Any) -> RealTimeEndpoint:
    given = {"container": CONTAINER, "instances": LARGE, **arguments}
    return RealTimeEndpoint(stack, "Api", **given)


def _variants(stack: cdk.Stack) -> list[dict[str, Any]]:
    variants: list[dict[str, Any]] = only(stack, "AWS::SageMaker::EndpointConfig")[
        "ProductionVariants"
    ]
    return variants


def test_weight_of_zero_reaches_the_template(stack: cdk.Stack) -> None:
    """aws-sagemaker-alpha renders 1 here, which sends traffic to a variant meant to wait."""
    _endpoint(
        stack, variants=[Variant(name="Next", containers=[CONTAINER], instances=LARGE, weight=0)]
    )

    assert [variant["InitialVariantWeight"] for variant in _variants(stack)] == [1, 0]


def test_each_variant_has_a_model_of_its_own(stack: cdk.Stack) -> None:
    _endpoint(stack, variants=[Variant(name="Next", containers=[CONTAINER], instances=LARGE)])

    first, second = _variants(stack)
    assert first["ModelName"] != second["ModelName"]


def test_shadow_variant_gets_copies(stack: cdk.Stack) -> None:
    shadow = Variant(name="Shadow", containers=[CONTAINER], instances=LARGE, weight=0.5)
    _endpoint(stack, shadow=shadow)

    (variant,) = only(stack, "AWS::SageMaker::EndpointConfig")["ShadowProductionVariants"]
    assert (variant["VariantName"], variant["InitialVariantWeight"]) == ("Shadow", 0.5)


def test_shadow_beside_two_variants_is_refused(stack: cdk.Stack) -> None:
    more = [
        Variant(name=name, containers=[CONTAINER], instances=LARGE) for name in ("Next", "Last")
    ]

    with pytest.raises(ValueError, match=r"exactly one production and one shadow variant"):
        _endpoint(stack, variants=more[:1], shadow=more[1])


def test_repeated_variant_names_are_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"variant names must differ, got 'AllTraffic'"):
        _endpoint(
            stack, variants=[Variant(name="AllTraffic", containers=[CONTAINER], instances=LARGE)]
        )


def test_instances_render_every_setting(stack: cdk.Stack) -> None:
    _endpoint(
        stack,
        instances=Instances(
            instance_type="ml.g4dn.xlarge",
            count=2,
            volume_size_gb=100,
            startup_timeout=cdk.Duration.minutes(20),
            model_download_timeout=cdk.Duration.minutes(10),
            ami_version="al2-ami-sagemaker-inference-gpu-2",
            routing="LEAST_OUTSTANDING_REQUESTS",
        ),
        enhanced_metrics=True,
    )

    (variant,) = _variants(stack)
    del variant["ModelName"]
    assert variant == {
        "VariantName": "AllTraffic",
        "InitialVariantWeight": 1,
        "InstanceType": "ml.g4dn.xlarge",
        "InitialInstanceCount": 2,
        "VolumeSizeInGB": 100,
        "ContainerStartupHealthCheckTimeoutInSeconds": 1200,
        "ModelDataDownloadTimeoutInSeconds": 600,
        "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    assert only(stack, "AWS::SageMaker::EndpointConfig")["MetricsConfig"] == {
        "EnableEnhancedMetrics": True
    }


def test_pools_replace_the_one_instance_type(stack: cdk.Stack) -> None:
    _endpoint(
        stack,
        instances=Instances(
            pools=[
                InstancePool(instance_type="ml.g5.xlarge", priority=1),
                InstancePool(instance_type="ml.g4dn.xlarge", priority=2),
            ]
        ),
    )

    (variant,) = _variants(stack)
    assert variant["InstancePools"] == [
        {"InstanceType": "ml.g5.xlarge", "Priority": 1},
        {"InstanceType": "ml.g4dn.xlarge", "Priority": 2},
    ]
    assert "InstanceType" not in variant


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Instances, "either instance_type or pools must be given, got neither"),
        (lambda: Instances(instance_type="m5.large"), "instance_type must be .*got 'm5.large'"),
        (lambda: Instances(instance_type="ml.m5.large", count=0), "count must be 1 or more, got 0"),
        (
            lambda: Instances(instance_type="ml.m5.large", volume_size_gb=0),
            "volume_size_gb must be between 1 and 512, got 0",
        ),
        (
            lambda: Instances(instance_type="ml.m5.large", startup_timeout=cdk.Duration.seconds(0)),
            "startup_timeout must be between 60 and 3600, got 0",
        ),
        (
            lambda: Instances(
                instance_type="ml.m5.large", model_download_timeout=cdk.Duration.seconds(0)
            ),
            "model_download_timeout must be between 60 and 3600, got 0",
        ),
        (
            lambda: InstancePool(instance_type="ml.g5.xlarge", priority=0),
            "priority must be between 1 and 5, got 0",
        ),
        (
            lambda: ManagedScaling(min_count=0, max_count=0),
            "max_count must be 1 or more, got 0",
        ),
        (
            lambda: Variant(name="A", containers=[], instances=LARGE, weight=-0.1),
            "weight must be 0 or more, got -0.1",
        ),
    ],
    ids=[
        "nothing",
        "type",
        "count",
        "volume",
        "startup",
        "download",
        "priority",
        "managed",
        "weight",
    ],
)
def test_values_out_of_range_are_refused_by_name(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_no_instance_is_a_legal_minimum_for_managed_scaling() -> None:
    assert ManagedScaling(min_count=0, max_count=1).min_count == 0


def test_capture_stores_samples_where_told(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "samples")
    _endpoint(stack, data_capture=DataCapture(bucket=bucket, sampling_percentage=0, answers=False))

    assert only(stack, "AWS::SageMaker::EndpointConfig")["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 0,
        "DestinationS3Uri": "s3://samples/data-capture/",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    assert any(
        "samples/data-capture/*" in str(s["Resource"]) for s in statements(stack, role="Api")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampling_percentage": 101}, "sampling_percentage must be between 0 and 100, got 101"),
        ({"requests": False, "answers": False}, "requests or answers must be stored, got neither"),
    ],
)
def test_capture_that_captures_nothing_is_refused(
    stack: cdk.Stack, arguments: dict[str, Any], message: str
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "samples")

    with pytest.raises(ValueError, match=message):
        DataCapture(bucket=bucket, **arguments)


def test_local_disks_get_no_key_and_the_rules_are_told_why(stack: cdk.Stack) -> None:
    _endpoint(
        stack,
        instances=Instances(instance_type="ml.g5.xlarge"),
        encryption_key=kms.Key(stack, "Key"),
    )

    assert "KmsKeyId" not in only(stack, "AWS::SageMaker::EndpointConfig")


def test_uncompressed_models_are_read_from_their_prefix(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "weights")
    artifact = ModelArtifact.from_prefix(bucket, "llm/")
    image = ContainerImage.from_framework("pytorch")
    _endpoint(stack, container=Container(image=image, artifact=artifact))

    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert "ModelDataUrl" not in container
    assert container["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": "s3://weights/llm/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }


def test_model_package_names_image_and_artifact(stack: cdk.Stack) -> None:
    package = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/screening/3"
    _endpoint(stack, container=Container(model_package=package))

    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert container == {"ModelPackageName": package}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either image or model_package must be given, got neither"),
        ({"image": CONTAINER.image, "model_package": "arn"}, "got both"),
    ],
)
def test_container_must_have_one_thing_to_run(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Container(**arguments)


def test_private_registry_is_reached_through_the_vpc(stack: cdk.Stack) -> None:
    provider = lambda_.Function.from_function_name(stack, "Provider", "credentials")
    image = ContainerImage.from_private_registry(
        "registry.example.com/team/server:1", credentials_provider=provider
    )
    _endpoint(stack, container=Container(image=image))

    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert container["ImageConfig"]["RepositoryAccessMode"] == "Vpc"
    assert any(s["Action"] == "lambda:InvokeFunction" for s in statements(stack, role="Api"))


def test_imported_endpoint_still_has_grants_and_metrics(stack: cdk.Stack, caller: iam.Role) -> None:
    endpoint = ImportedEndpoint(
        stack,
        "Theirs",
        endpoint_name="Team-Endpoint",
        kind="pipeline",
        variant_names=["Blue", "Green"],
    )
    endpoint.grant_invoke(caller)

    (statement,) = statements(stack, role="Caller")
    assert str(statement["Resource"]).endswith(":endpoint/team-endpoint']]}")
    metric = endpoint.metric("ModelLatency", variant_name="Green")
    assert metric.dimensions == {"EndpointName": "Team-Endpoint", "VariantName": "Green"}
    with pytest.raises(ValueError, match=r"variant_name must be one of Blue, Green, got 'Red'"):
        endpoint.metric("ModelLatency", variant_name="Red")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "batch"}, "kind must be one of real-time, .*got 'batch'"),
        ({"endpoint_name": ""}, "endpoint_name must be 1 to 63 letters"),
        ({"variant_names": []}, "variant_names must hold one name at least, got none"),
        ({"variant_names": ["a", "a"]}, "variant_names must differ, got a, a"),
        ({"container_names": ["a"]}, "container_names must be left out for kind real-time"),
    ],
)
def test_imported_endpoint_refuses_what_no_endpoint_is(
    stack: cdk.Stack, arguments: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"endpoint_name": "screening", "kind": "real-time", **arguments}

    with pytest.raises(ValueError, match=message):
        ImportedEndpoint(stack, "Endpoint", **given)


def test_metric_refuses_a_statistic_that_is_none(stack: cdk.Stack) -> None:
    endpoint = ImportedEndpoint(stack, "Endpoint", endpoint_name="screening", kind="real-time")

    with pytest.raises(ValueError, match=r"statistic of ModelLatency must be .*got banana"):
        endpoint.metric("ModelLatency", statistic="banana")


def test_imported_role_is_extended(stack: cdk.Stack) -> None:
    role = iam.Role.from_role_arn(stack, "Ours", "arn:aws:iam::123456789012:role/inference")
    _endpoint(stack, role=role)

    template = Template.from_stack(stack)
    template.has_resource_properties("AWS::IAM::ManagedPolicy", {"Roles": ["inference"]})


def test_role_that_cannot_be_extended_is_left_alone_with_a_warning(stack: cdk.Stack) -> None:
    role = iam.Role.from_role_arn(
        stack, "Ours", "arn:aws:iam::123456789012:role/inference", mutable=False
    )
    _endpoint(stack, role=role)

    assert not only(stack, "AWS::IAM::ManagedPolicy").get("Roles")
    Annotations.from_stack(stack).has_warning(
        "/Default/Api/ExecutionRole",
        Match.string_like_regexp("inference was imported as immutable"),
    )


def test_tags_reach_every_part(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    cdk.Tags.of(endpoint).add("team", "screening")

    for kind in ("Model", "EndpointConfig", "Endpoint"):
        assert only(stack, f"AWS::SageMaker::{kind}")["Tags"] == [
            {"Key": "team", "Value": "screening"}
        ]


def test_every_part_hangs_below_the_construct(stack: cdk.Stack) -> None:
    """generative-ai-cdk-constructs hangs them below the stack, where tags and aspects miss them."""
    endpoint = _endpoint(stack)

    assert endpoint.node.default_child is endpoint.cfn_endpoint
    for part in (endpoint.cfn_model, endpoint.cfn_endpoint_config, endpoint.cfn_endpoint):
        assert part.node.path.startswith(f"{endpoint.node.path}/")
