"""Asynchronous endpoints: places, topics, permissions and metrics."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Match, Template

from constructs_lib import AsyncEndpoint, Container, ContainerImage, Instances
from hosting import metrics

from .conftest import only, statements

LARGE = Instances(instance_type="ml.m5.large")


def _endpoint(stack: cdk.Stack, framework: str = "scikit-learn", **arguments: Any) -> AsyncEndpoint:
    container = Container(image=ContainerImage.from_framework(framework))
    return AsyncEndpoint(stack, "Queue", container=container, instances=LARGE, **arguments)


def test_answers_failures_and_topics_are_configured(stack: cdk.Stack) -> None:
    endpoint = _endpoint(
        stack, max_concurrent_invocations_per_instance=4, responses_in_notifications=True
    )

    configuration = only(stack, "AWS::SageMaker::EndpointConfig")["AsyncInferenceConfig"]
    output = configuration["OutputConfig"]
    assert configuration["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 4}
    assert output["S3OutputPath"] == stack.resolve(endpoint.bucket.s3_url_for_object("output/"))
    assert output["S3FailurePath"] == stack.resolve(endpoint.bucket.s3_url_for_object("failure/"))
    assert output["NotificationConfig"] == {
        "SuccessTopic": stack.resolve(endpoint.success_topic.topic_arn),
        "ErrorTopic": stack.resolve(endpoint.error_topic.topic_arn),
        "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"],
    }


def test_error_topic_alone_is_granted(stack: cdk.Stack) -> None:
    """The best public sample grants the error topic only where there is a success topic."""
    topic = sns.Topic(stack, "Errors")
    _endpoint(stack, error_topic=topic)

    published = [
        statement["Resource"]
        for statement in statements(stack, role="Queue")
        if statement["Action"] == "sns:Publish"
    ]
    assert str(stack.resolve(topic.topic_arn)) in str(published)


def test_key_of_the_callers_topic_is_granted(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "TopicKey")
    _endpoint(stack, success_topic=sns.Topic(stack, "Done", master_key=key))

    assert {
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Effect": "Allow",
        "Resource": stack.resolve(key.key_arn),
    } in statements(stack, role="Queue")


def test_own_topics_are_encrypted_and_refuse_plain_text(stack: cdk.Stack) -> None:
    _endpoint(stack)

    template = Template.from_stack(stack)
    template.all_resources_properties("AWS::SNS::Topic", {"KmsMasterKeyId": Match.any_value()})
    template.resource_count_is("AWS::SNS::TopicPolicy", 2)


def test_role_reads_requests_and_writes_answers_and_nothing_else(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Theirs", "team-bucket")
    _endpoint(stack, bucket=bucket)

    allowed = {
        (str(statement["Action"]), str(statement["Resource"]))
        for statement in statements(stack, role="Queue")
        if "team-bucket" in str(statement["Resource"])
    }
    shown = " ".join(sorted(f"{action} {resource}" for action, resource in allowed))
    assert "team-bucket/input/*" in shown
    assert "team-bucket/output/*" in shown
    assert "team-bucket/failure/*" in shown
    assert "s3:DeleteObject" not in shown
    Template.from_stack(stack).resource_count_is("AWS::S3::Bucket", 0)


def test_listing_is_allowed_on_the_bucket_where_it_has_effect(stack: cdk.Stack) -> None:
    """AWS's sample policy puts ListBucket on the objects, where it does nothing."""
    endpoint = _endpoint(stack)

    (listing,) = (
        statement
        for statement in statements(stack, role="Queue")
        if statement["Action"] == "s3:ListBucket"
    )
    assert listing["Resource"] == stack.resolve(endpoint.bucket.bucket_arn)


def test_caller_may_ask_and_tell_missing_from_forbidden(stack: cdk.Stack, caller: iam.Role) -> None:
    endpoint = _endpoint(stack)
    endpoint.grant_invoke(caller)

    granted = statements(stack, role="Caller")
    actions = [statement["Action"] for statement in granted]
    assert "sagemaker:InvokeEndpointAsync" in actions
    assert "sagemaker:InvokeEndpoint" not in actions
    assert {"s3:PutObject", "s3:GetObject", "s3:ListBucket"} <= set(actions)


def test_objects_expire_when_asked(stack: cdk.Stack) -> None:
    _endpoint(stack, expiration=cdk.Duration.days(7))

    (rule,) = only(stack, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 7


@pytest.mark.parametrize(
    ("framework", "variables"),
    [
        (
            "huggingface",
            {"MMS_DEFAULT_RESPONSE_TIMEOUT", "MMS_MAX_REQUEST_SIZE", "MMS_MAX_RESPONSE_SIZE"},
        ),
        (
            "pytorch",
            {"TS_DEFAULT_RESPONSE_TIMEOUT", "TS_MAX_REQUEST_SIZE", "TS_MAX_RESPONSE_SIZE"},
        ),
        ("scikit-learn", set()),
    ],
)
def test_limits_of_the_model_server_are_raised(
    stack: cdk.Stack, framework: str, variables: set[str]
) -> None:
    _endpoint(stack, framework)

    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert set(container.get("Environment", {})) == variables


def test_there_is_no_method_for_a_metric_that_is_not_published() -> None:
    for name in (
        "metric_invocations",
        "metric_invocations_per_instance",
        "metric_overhead_latency",
    ):
        assert not hasattr(AsyncEndpoint, name)


def test_backlog_metrics_carry_the_endpoint_alone(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)

    assert set(endpoint.metric_approximate_backlog_size().dimensions or {}) == {"EndpointName"}
    assert set(endpoint.metric_time_in_backlog().dimensions or {}) == {
        "EndpointName",
        "VariantName",
    }


def test_each_metric_method_gives_a_metric_of_the_kind(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    published = {definition.name for definition in metrics.published_by("async")}

    named = {
        getattr(endpoint, name)().metric_name
        for name in dir(endpoint)
        if name.startswith("metric_")
    }

    assert named <= published


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("input_prefix", "input"),
        ("output_prefix", "output"),
        ("failure_prefix", "failure"),
        ("max_concurrent_invocations_per_instance", 0),
        ("max_concurrent_invocations_per_instance", 1001),
    ],
)
def test_what_sagemaker_refuses_is_refused_by_name(
    stack: cdk.Stack, argument: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=rf"{argument} must .*got '?{value}"):
        _endpoint(stack, **{argument: value})


def test_expiration_of_the_callers_bucket_is_not_ours(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Theirs", "team-bucket")

    with pytest.raises(ValueError, match=r"expiration must be left out with bucket"):
        _endpoint(stack, bucket=bucket, expiration=cdk.Duration.days(1))
