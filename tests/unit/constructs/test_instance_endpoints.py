"""Endpoints on instances: what they define, grant, measure and refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.assertions import Match, Template

from constructs_lib import (
    Container,
    ContainerImage,
    InferencePipelineEndpoint,
    Instances,
    ModelArtifact,
    Network,
    RealTimeEndpoint,
)
from constructs_lib.instance_endpoint import InstanceEndpoint
from hosting import metrics

LARGE = Instances(instance_type="ml.m5.large")
IMAGE = ContainerImage.from_framework("scikit-learn", version="1.4-2-py312")
_SUFFIX = {"Ref": "AWS::URLSuffix"}

Build = Callable[..., InstanceEndpoint]


@pytest.fixture
def stack() -> cdk.Stack:
    return cdk.Stack(env=cdk.Environment(region="eu-west-1"))


def realtime(
    stack: cdk.Stack, construct_id: str = "Screening", **arguments: Any
) -> RealTimeEndpoint:
    given = {"container": Container(image=IMAGE), "instances": LARGE, **arguments}
    return RealTimeEndpoint(stack, construct_id, **given)


def pipeline(
    stack: cdk.Stack, construct_id: str = "Screening", **arguments: Any
) -> InferencePipelineEndpoint:
    given = {
        "containers": [Container(image=IMAGE)] * 2,
        "instances": LARGE,
        **arguments,
    }
    return InferencePipelineEndpoint(stack, construct_id, **given)


both_kinds = pytest.mark.parametrize("build", [realtime, pipeline])


def test_pipeline_runs_its_containers_in_the_order_given(stack: cdk.Stack) -> None:
    xgboost = ContainerImage.from_framework("xgboost", version="3.0-5")

    pipeline(
        stack,
        containers=[
            Container(image=IMAGE, hostname="preprocess"),
            Container(image=xgboost, hostname="classify", environment={"THREADS": "1"}),
        ],
    )

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Model",
        {
            "PrimaryContainer": Match.absent(),
            "Containers": [
                {
                    "ContainerHostname": "preprocess",
                    "Image": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/"
                    "sagemaker-scikit-learn:1.4-2-py312-cpu-py3",
                },
                {
                    "ContainerHostname": "classify",
                    "Environment": {"THREADS": "1"},
                    "Image": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.0-5",
                },
            ],
        },
    )


def test_single_container_is_the_primary_one(stack: cdk.Stack) -> None:
    realtime(stack)

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Model",
        {
            "Containers": Match.absent(),
            "PrimaryContainer": Match.object_like({"Image": Match.any_value()}),
        },
    )


def test_one_image_serves_several_containers_and_endpoints(stack: cdk.Stack) -> None:
    """aws-sagemaker-alpha fails on the second use of an image: it gives it a fixed construct id."""
    pipeline(stack, "First")
    pipeline(stack, "Second")

    Template.from_stack(stack).resource_count_is("AWS::SageMaker::Endpoint", 2)


def test_handler_settings_yield_to_the_callers_environment(
    stack: cdk.Stack, handler_folder: Path
) -> None:
    (handler_folder / "serve.py").write_text("def model_fn(model_dir):\n    return None\n")

    realtime(
        stack,
        container=Container(
            image=IMAGE,
            artifact=ModelArtifact.from_handler(handler_folder),
            environment={"SAGEMAKER_PROGRAM": "serve.py"},
        ),
    )

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Model",
        {
            "PrimaryContainer": {
                "Environment": {
                    "SAGEMAKER_PROGRAM": "serve.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                }
            }
        },
    )


@both_kinds
def test_replaceable_resources_have_no_physical_names(stack: cdk.Stack, build: Build) -> None:
    build(stack, endpoint_name="screening")

    template = Template.from_stack(stack)
    template.has_resource_properties("AWS::SageMaker::Model", {"ModelName": Match.absent()})
    template.has_resource_properties(
        "AWS::SageMaker::EndpointConfig", {"EndpointConfigName": Match.absent()}
    )


@both_kinds
def test_model_waits_for_the_permissions_it_is_checked_for(stack: cdk.Stack, build: Build) -> None:
    endpoint = build(stack)

    policy = stack.resolve(endpoint.execution_role.policy.node.default_child.logical_id)  # type: ignore[union-attr]
    Template.from_stack(stack).has_resource(
        "AWS::SageMaker::Model", {"DependsOn": Match.array_with([policy])}
    )


@both_kinds
def test_grant_invoke_names_only_this_endpoint(stack: cdk.Stack, build: Build) -> None:
    endpoint = build(stack)
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))

    endpoint.grant_invoke(caller)

    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Policy",
        {
            "PolicyDocument": {
                "Statement": [
                    {
                        "Action": [
                            "sagemaker:InvokeEndpoint",
                            "sagemaker:InvokeEndpointWithResponseStream",
                        ],
                        "Effect": "Allow",
                        "Resource": {"Ref": Match.string_like_regexp("^Screening")},
                    }
                ]
            }
        },
    )


def test_role_may_pull_its_images_and_no_others(stack: cdk.Stack) -> None:
    realtime(stack)

    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::ManagedPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        {
                            "Action": [
                                "ecr:BatchCheckLayerAvailability",
                                "ecr:BatchGetImage",
                                "ecr:GetDownloadUrlForLayer",
                            ],
                            "Effect": "Allow",
                            "Resource": _arn(
                                ":ecr:eu-west-1:141502667606:repository/sagemaker-scikit-learn"
                            ),
                        }
                    ]
                )
            }
        },
    )


@both_kinds
def test_no_managed_policy_of_aws_is_attached(stack: cdk.Stack, build: Build) -> None:
    build(stack)

    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Role", {"ManagedPolicyArns": Match.absent()}
    )


def test_callers_role_is_used_and_extended(stack: cdk.Stack) -> None:
    role = iam.Role(stack, "Ours", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))

    realtime(stack, role=role)

    template = Template.from_stack(stack)
    template.resource_count_is("AWS::IAM::Role", 1)
    logical_id = stack.get_logical_id(role.node.default_child)  # type: ignore[arg-type]
    template.has_resource_properties("AWS::IAM::ManagedPolicy", {"Roles": [{"Ref": logical_id}]})


@both_kinds
def test_each_metric_has_the_dimensions_that_sagemaker_publishes(
    stack: cdk.Stack, build: Build
) -> None:
    endpoint = build(stack)

    for definition in metrics.published_by(endpoint.KIND):
        metric = endpoint.metric(definition.name, dimensions={"ContainerName": "preprocess"})
        dimensions = metric.dimensions
        assert dimensions is not None
        assert tuple(dimensions) == definition.dimensions
        assert metric.namespace == definition.namespace


@both_kinds
def test_each_metric_method_gives_a_metric_of_the_kind(stack: cdk.Stack, build: Build) -> None:
    endpoint = build(stack)
    published = {definition.name for definition in metrics.published_by(endpoint.KIND)}
    methods = {name for name in dir(endpoint) if name.startswith("metric_")}

    named = {
        getattr(endpoint, name)(
            *(["preprocess"] if name == "metric_container_latency" else [])
        ).metric_name
        for name in methods
    }

    assert named <= published
    assert len(named) == len(methods)


def test_only_a_pipeline_measures_its_containers(stack: cdk.Stack) -> None:
    metric = pipeline(stack, "Pipeline").metric_container_latency("classify")
    assert metric.dimensions is not None
    assert metric.dimensions["ContainerName"] == "classify"

    with pytest.raises(ValueError, match=r"ContainerLatency"):
        realtime(stack, "RealTime").metric("ContainerLatency")


def test_metric_that_the_kind_does_not_publish_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"ApproximateBacklogSize"):
        realtime(stack).metric("ApproximateBacklogSize")


@both_kinds
def test_endpoint_passes_for_cdks_own_interface(stack: cdk.Stack, build: Build) -> None:
    role = iam.Role(stack, "Api", assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"))
    endpoint: sagemaker.IEndpoint = build(stack)

    apigateway.RestApi(stack, "Front").root.add_method(
        "POST", apigateway.SagemakerIntegration(endpoint, credentials_role=role)
    )

    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Policy",
        {
            "PolicyDocument": {
                "Statement": [
                    Match.object_like({"Resource": {"Ref": Match.string_like_regexp("^Screening")}})
                ]
            }
        },
    )


@both_kinds
def test_log_group_is_defined_before_the_endpoint_can_write_to_it(
    stack: cdk.Stack, build: Build
) -> None:
    build(stack, endpoint_name="screening", log_retention=logs.RetentionDays.ONE_WEEK)

    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/aws/sagemaker/Endpoints/screening", "RetentionInDays": 7},
    )
    template.has_resource(
        "AWS::SageMaker::Endpoint",
        {"DependsOn": Match.array_with([Match.string_like_regexp("LogGroup")])},
    )


def test_endpoint_with_a_log_group_derives_its_name_from_its_place(stack: cdk.Stack) -> None:
    realtime(stack, log_retention=logs.RetentionDays.ONE_WEEK)

    template = Template.from_stack(stack)
    (endpoint,) = template.find_resources("AWS::SageMaker::Endpoint").values()
    (group,) = template.find_resources("AWS::Logs::LogGroup").values()
    name = endpoint["Properties"]["EndpointName"]
    assert "Screening" in name
    assert group["Properties"]["LogGroupName"] == f"/aws/sagemaker/Endpoints/{name}"


def test_key_encrypts_volumes_and_admits_the_log_group(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")

    realtime(
        stack,
        endpoint_name="screening",
        encryption_key=key,
        log_retention=logs.RetentionDays.ONE_WEEK,
    )

    template = Template.from_stack(stack)
    arn = {"Fn::GetAtt": [stack.get_logical_id(key.node.default_child), "Arn"]}  # type: ignore[arg-type]
    template.has_resource_properties("AWS::SageMaker::EndpointConfig", {"KmsKeyId": arn})
    template.has_resource_properties("AWS::Logs::LogGroup", {"KmsKeyId": arn})
    template.has_resource_properties(
        "AWS::KMS::Key",
        {
            "KeyPolicy": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Principal": {
                                    "Service": {"Fn::Join": ["", ["logs.eu-west-1.", _SUFFIX]]}
                                },
                                "Condition": {
                                    "ArnEquals": {
                                        "kms:EncryptionContext:aws:logs:arn": Match.any_value()
                                    }
                                },
                            }
                        )
                    ]
                )
            }
        },
    )


def test_network_places_containers_in_private_subnets(stack: cdk.Stack) -> None:
    endpoint = realtime(stack, network=Network(vpc=ec2.Vpc(stack, "Vpc")))

    assert len(endpoint.connections.security_groups) == 1
    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Model",
        {
            "VpcConfig": {
                "Subnets": Match.array_with([{"Ref": Match.string_like_regexp("Private")}]),
                "SecurityGroupIds": [
                    {"Fn::GetAtt": [Match.string_like_regexp("^Screening"), "GroupId"]}
                ],
            }
        },
    )


def test_network_isolation_is_passed_on(stack: cdk.Stack) -> None:
    realtime(stack, network_isolation=True)

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Model", {"EnableNetworkIsolation": True}
    )


@pytest.mark.parametrize("count", [0, 1, 16])
def test_pipeline_of_the_wrong_length_is_refused(stack: cdk.Stack, count: int) -> None:
    with pytest.raises(ValueError, match=f"containers must number 2 to 15, got {count}"):
        pipeline(stack, containers=[Container(image=IMAGE)] * count)


@pytest.mark.parametrize("count", [2, 15])
def test_pipeline_of_two_to_fifteen_containers_is_accepted(stack: cdk.Stack, count: int) -> None:
    pipeline(stack, containers=[Container(image=IMAGE)] * count)

    (model,) = Template.from_stack(stack).find_resources("AWS::SageMaker::Model").values()
    assert len(model["Properties"]["Containers"]) == count


def test_repeated_hostnames_are_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"hostname must differ between containers, got 'same'"):
        pipeline(stack, containers=[Container(image=IMAGE, hostname="same")] * 2)


def test_hostnames_are_given_to_all_containers_or_to_none(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"hostname must be set for all containers or for none"):
        pipeline(
            stack, containers=[Container(image=IMAGE, hostname="first"), Container(image=IMAGE)]
        )


def test_environments_of_all_containers_together_are_limited(stack: cdk.Stack) -> None:
    large = Container(image=IMAGE, environment={f"KEY_{n}": "x" * 1000 for n in range(17)})

    with pytest.raises(ValueError, match=r"all containers together must have at most 32768 bytes"):
        pipeline(stack, containers=[large, large])


@both_kinds
@pytest.mark.parametrize(
    ("argument", "value"),
    [("endpoint_name", "not_a_name"), ("weight", -1)],
)
def test_what_sagemaker_refuses_is_refused_by_name(
    stack: cdk.Stack, build: Build, argument: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"{argument} must .*got .*{value}"):
        build(stack, **{argument: value})


@both_kinds
def test_refused_endpoint_leaves_its_id_free(stack: cdk.Stack, build: Build) -> None:
    with pytest.raises(ValueError, match=r"weight"):
        build(stack, weight=-1)

    build(stack, weight=0)


def test_hostname_that_sagemaker_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hostname must be .*got 'pre_process'"):
        Container(image=IMAGE, hostname="pre_process")


def test_values_known_at_deployment_are_not_judged_now(stack: cdk.Stack) -> None:
    count = cdk.CfnParameter(stack, "Count", type="Number").value_as_number

    instances = Instances(instance_type="ml.m5.large", count=count)  # type: ignore[arg-type]
    realtime(stack, instances=instances)

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::EndpointConfig",
        {"ProductionVariants": [Match.object_like({"InitialInstanceCount": {"Ref": "Count"}})]},
    )


def _arn(rest: str) -> dict[str, Any]:
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, rest]]}
