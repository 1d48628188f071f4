"""What a scaling value defines: targets, policies, alarms, and what a deployment keeps."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_applicationautoscaling as aas
from aws_cdk.assertions import Match, Template
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib import (
    AsyncEndpoint,
    BacklogScaling,
    ConcurrencyScaling,
    Container,
    ContainerImage,
    Instances,
    InvocationScaling,
    ProvisionedConcurrencyScaling,
    RealTimeEndpoint,
    ScheduledCapacity,
    ServerlessEndpoint,
    ServerlessVariant,
    UtilizationScaling,
    Variant,
)

from .conftest import only

CONTAINER = Container(image=ContainerImage.from_framework("scikit-learn"))
LARGE = Instances(instance_type="ml.m5.large")
TRACKING = "TargetTrackingScalingPolicyConfiguration"


def _async(stack: cdk.Stack, scaling: BacklogScaling | None) -> AsyncEndpoint:
    return AsyncEndpoint(stack, "Queue", container=CONTAINER, instances=LARGE, scaling=scaling)


def _realtime(stack: cdk.Stack, **arguments: Any) -> RealTimeEndpoint:
    return RealTimeEndpoint(stack, "Api", container=CONTAINER, instances=LARGE, **arguments)


def _policies(stack: cdk.Stack, kind: str) -> list[dict[str, Any]]:
    found = Template.from_stack(stack).find_resources("AWS::ApplicationAutoScaling::ScalingPolicy")
    return [
        policy["Properties"]
        for policy in found.values()
        if policy["Properties"]["PolicyType"] == kind
    ]


def test_zero_instances_reach_the_template(stack: cdk.Stack) -> None:
    """aws-sagemaker-alpha renders 1 here."""
    _async(stack, BacklogScaling(max_instances=5))

    target = only(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 5)


def test_backlog_is_tracked_under_the_dimension_that_sagemaker_publishes(stack: cdk.Stack) -> None:
    """generative-ai-cdk-constructs watches dimensions that do not exist."""
    endpoint = _async(stack, BacklogScaling(max_instances=5, backlog_per_instance=3))

    (policy,) = _policies(stack, "TargetTrackingScaling")
    metric = policy[TRACKING]["CustomizedMetricSpecification"]
    assert policy[TRACKING]["TargetValue"] == 3
    assert metric["MetricName"] == "ApproximateBacklogSizePerInstance"
    assert metric["Statistic"] == "Average"
    assert metric["Dimensions"] == [
        {"Name": "EndpointName", "Value": stack.resolve(endpoint.endpoint_name)}
    ]


def test_waiting_request_wakes_the_first_instance(stack: cdk.Stack) -> None:
    endpoint = _async(stack, BacklogScaling(max_instances=5))

    template = Template.from_stack(stack)
    (alarm,) = template.find_resources("AWS::CloudWatch::Alarm").values()
    (step_id,) = (
        logical_id
        for logical_id, policy in template.find_resources(
            "AWS::ApplicationAutoScaling::ScalingPolicy"
        ).items()
        if policy["Properties"]["PolicyType"] == "StepScaling"
    )
    properties = alarm["Properties"]
    assert properties["MetricName"] == "HasBacklogWithoutCapacity"
    assert properties["Dimensions"] == [
        {"Name": "EndpointName", "Value": stack.resolve(endpoint.endpoint_name)}
    ]
    assert properties["AlarmActions"] == [{"Ref": step_id}]
    assert (properties["Threshold"], properties["Period"]) == (1, 60)
    assert (properties["EvaluationPeriods"], properties["DatapointsToAlarm"]) == (2, 2)
    assert properties["TreatMissingData"] == "missing"
    (policy,) = _policies(stack, "StepScaling")
    assert policy["StepScalingPolicyConfiguration"] == {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": 300,
        "MetricAggregationType": "Average",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    }


def test_fleet_that_never_sleeps_needs_no_waking(stack: cdk.Stack) -> None:
    _async(stack, BacklogScaling(min_instances=1, max_instances=5))

    Template.from_stack(stack).resource_count_is("AWS::CloudWatch::Alarm", 0)


def test_target_names_endpoint_and_variant(stack: cdk.Stack) -> None:
    endpoint = _realtime(stack)
    endpoint.scale(InvocationScaling(max_instances=2, invocations_per_instance=100))

    target = only(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    name = stack.resolve(endpoint.endpoint_name)
    assert target["ResourceId"] == {"Fn::Join": ["", ["endpoint/", name, "/variant/AllTraffic"]]}
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"


def test_scaling_uses_the_service_linked_role(stack: cdk.Stack) -> None:
    _realtime(stack).scale(InvocationScaling(max_instances=2, invocations_per_instance=100))

    template = Template.from_stack(stack)
    assert "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint" in str(
        only(stack, "AWS::ApplicationAutoScaling::ScalableTarget")["RoleARN"]
    )
    template.resource_count_is("AWS::IAM::Role", 1)


def test_deployment_keeps_the_count_that_scaling_has_set(stack: cdk.Stack) -> None:
    _realtime(stack).scale(InvocationScaling(max_instances=2, invocations_per_instance=100))

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Endpoint",
        {
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
        },
    )


def test_fixed_fleet_is_reset_by_a_deployment(stack: cdk.Stack) -> None:
    _realtime(stack)

    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Endpoint", {"RetainAllVariantProperties": Match.absent()}
    )


def test_several_variants_scale_by_themselves(stack: cdk.Stack) -> None:
    """aws-sagemaker-alpha fails at the second variant."""
    endpoint = _realtime(
        stack, variants=[Variant(name="Next", containers=[CONTAINER], instances=LARGE, weight=0)]
    )
    for name in endpoint.variant_names:
        endpoint.scale(
            InvocationScaling(max_instances=2, invocations_per_instance=100), variant_name=name
        )

    Template.from_stack(stack).resource_count_is("AWS::ApplicationAutoScaling::ScalableTarget", 2)


def test_unknown_variant_cannot_be_scaled(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"variant_name must be one of AllTraffic, got 'Next'"):
        _realtime(stack).scale(
            InvocationScaling(max_instances=2, invocations_per_instance=100), variant_name="Next"
        )


@pytest.mark.parametrize(
    ("scaling", "predefined"),
    [
        (
            InvocationScaling(max_instances=2, invocations_per_instance=100),
            "SageMakerVariantInvocationsPerInstance",
        ),
        (
            ConcurrencyScaling(max_instances=2, concurrent_requests_per_model=4),
            "SageMakerVariantConcurrentRequestsPerModelHighResolution",
        ),
    ],
)
def test_predefined_metrics_are_those_of_sagemaker(
    stack: cdk.Stack, scaling: InvocationScaling | ConcurrencyScaling, predefined: str
) -> None:
    _realtime(stack).scale(scaling)

    (policy,) = _policies(stack, "TargetTrackingScaling")
    specification = policy[TRACKING]["PredefinedMetricSpecification"]
    assert specification == {"PredefinedMetricType": predefined}


def test_utilization_is_the_instances_metric_of_the_variant(stack: cdk.Stack) -> None:
    endpoint = _realtime(stack)
    endpoint.scale(UtilizationScaling(max_instances=2, metric="GPUUtilization", percent=60))

    (policy,) = _policies(stack, "TargetTrackingScaling")
    metric = policy[TRACKING]["CustomizedMetricSpecification"]
    assert metric["Namespace"] == "/aws/sagemaker/Endpoints"
    assert metric["Dimensions"] == [
        {"Name": "EndpointName", "Value": stack.resolve(endpoint.endpoint_name)},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]


def test_schedules_set_floors(stack: cdk.Stack) -> None:
    _async(
        stack,
        BacklogScaling(
            max_instances=5,
            schedules=[
                ScheduledCapacity(schedule=aas.Schedule.cron(hour="8", minute="0"), min_capacity=1),
                ScheduledCapacity(
                    schedule=aas.Schedule.cron(hour="18", minute="0"), min_capacity=0
                ),
            ],
        ),
    )

    actions = only(stack, "AWS::ApplicationAutoScaling::ScalableTarget")["ScheduledActions"]
    assert [action["ScalableTargetAction"] for action in actions] == [
        {"MinCapacity": 1},
        {"MinCapacity": 0},
    ]


def test_provisioned_concurrency_scales_under_its_own_dimension(stack: cdk.Stack) -> None:
    endpoint = ServerlessEndpoint(
        stack,
        "Reader",
        container=CONTAINER,
        variant=ServerlessVariant(
            memory_size_mb=2048, max_concurrency=10, provisioned_concurrency=1
        ),
    )
    endpoint.scale(ProvisionedConcurrencyScaling(max_concurrency=8))

    target = only(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredProvisionedConcurrency"
    (policy,) = _policies(stack, "TargetTrackingScaling")
    assert policy[TRACKING]["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"
    }


def test_nothing_provisioned_cannot_be_scaled(stack: cdk.Stack) -> None:
    endpoint = ServerlessEndpoint(
        stack,
        "Reader",
        container=CONTAINER,
        variant=ServerlessVariant(memory_size_mb=2048, max_concurrency=10),
    )

    with pytest.raises(ValueError, match=r"provisioned_concurrency of the variant must be given"):
        endpoint.scale(ProvisionedConcurrencyScaling(max_concurrency=8))


@given(low=st.integers(-5, 20), high=st.integers(-5, 20))
def test_bounds_are_ordered_and_legal_or_refused(low: int, high: int) -> None:
    legal = 0 <= low <= high
    try:
        BacklogScaling(min_instances=low, max_instances=high)
    except ValueError as error:
        assert not legal
        assert "min_instances must be" in str(error)  # noqa: PT017 - one law for both outcomes
    else:
        assert legal


@pytest.mark.parametrize(
    "build",
    [
        lambda: InvocationScaling(min_instances=0, max_instances=2, invocations_per_instance=1),
        lambda: ConcurrencyScaling(
            min_instances=0, max_instances=2, concurrent_requests_per_model=1
        ),
        lambda: UtilizationScaling(
            min_instances=0, max_instances=2, metric="CPUUtilization", percent=1
        ),
    ],
    ids=["invocations", "concurrency", "utilization"],
)
def test_real_time_fleet_cannot_go_to_zero(build: Any) -> None:
    with pytest.raises(ValueError, match=r"min_instances must be 1 or more, got 0"):
        build()


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: BacklogScaling(max_instances=1, backlog_per_instance=0), "backlog_per_instance"),
        (lambda: BacklogScaling(max_instances=1, wake_up_periods=0), "wake_up_periods"),
        (
            lambda: InvocationScaling(max_instances=1, invocations_per_instance=0),
            "invocations_per_instance",
        ),
        (
            lambda: ConcurrencyScaling(max_instances=1, concurrent_requests_per_model=0),
            "concurrent_requests_per_model",
        ),
        (
            lambda: UtilizationScaling(max_instances=1, metric="CPUUtilization", percent=0),
            "percent",
        ),
        (lambda: ProvisionedConcurrencyScaling(max_concurrency=1, utilization=0), "utilization"),
        (
            lambda: ScheduledCapacity(schedule=aas.Schedule.expression("at(2030-01-01)")),
            "min_capacity",
        ),
    ],
    ids=["backlog", "wake-up", "invocations", "concurrency", "percent", "provisioned", "schedule"],
)
def test_zero_is_refused_by_name_where_it_means_nothing(build: Any, argument: str) -> None:
    with pytest.raises(ValueError, match=argument):
        build()
