"""How updates reach traffic, and what the constructs refuse before the service does."""

from __future__ import annotations

import re
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cw

from constructs_lib import EndpointAlarms, Instances, InvocationScaling, Monitored, Rollout
from hosting.metrics import FLEET_DIMENSION
from tests.unit.constructs.conftest import only, statements
from tests.unit.constructs.monitoring import OBJECTIVE, alarms, queue, real_time, two_variants


def _alarms(stack: cdk.Stack, endpoint: Any) -> list[cw.Alarm]:
    monitored = Monitored(endpoint=endpoint, title="Screening", objective=OBJECTIVE)
    return EndpointAlarms(stack, "Alarms", monitored=monitored).rollback


def _endpoint(stack: cdk.Stack, **arguments: Any) -> Any:
    return real_time(stack, endpoint_name="screening", **arguments)


def _deployed(stack: cdk.Stack, rollout: Rollout) -> dict[str, Any]:
    endpoint = _endpoint(stack)
    endpoint.roll_out(rollout, alarms=_alarms(stack, endpoint))
    config: dict[str, Any] = only(stack, "AWS::SageMaker::Endpoint")["DeploymentConfig"]
    return config


TEN_MINUTES = cdk.Duration.minutes(10)


@pytest.mark.parametrize(
    ("rollout", "policy"),
    [
        (
            Rollout.all_at_once(wait=TEN_MINUTES, termination_wait=cdk.Duration.minutes(1)),
            {
                "TrafficRoutingConfiguration": {
                    "Type": "ALL_AT_ONCE",
                    "WaitIntervalInSeconds": 600,
                },
                "TerminationWaitInSeconds": 60,
            },
        ),
        (
            Rollout.canary(percent=20, timeout=cdk.Duration.hours(1)),
            {
                "TrafficRoutingConfiguration": {
                    "Type": "CANARY",
                    "WaitIntervalInSeconds": 600,
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
                },
                "TerminationWaitInSeconds": 0,
                "MaximumExecutionTimeoutInSeconds": 3600,
            },
        ),
        (
            Rollout.linear(instances=1),
            {
                "TrafficRoutingConfiguration": {
                    "Type": "LINEAR",
                    "WaitIntervalInSeconds": 600,
                    "LinearStepSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                },
                "TerminationWaitInSeconds": 0,
            },
        ),
    ],
)
def test_blue_green_moves_traffic_as_the_rollout_says(
    stack: cdk.Stack, rollout: Rollout, policy: dict[str, Any]
) -> None:
    config = _deployed(stack, rollout)

    assert config["BlueGreenUpdatePolicy"] == policy
    assert "RollingUpdatePolicy" not in config


def test_rolling_replaces_batches_without_a_second_fleet(stack: cdk.Stack) -> None:
    config = _deployed(stack, Rollout.rolling(percent=50, rollback_percent=100))

    assert config["RollingUpdatePolicy"] == {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 600,
        "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
    }
    assert "BlueGreenUpdatePolicy" not in config


def test_alarms_of_requests_take_an_update_back(stack: cdk.Stack) -> None:
    config = _deployed(stack, Rollout.canary(percent=50))

    names = [each["AlarmName"]["Ref"] for each in config["AutoRollbackConfiguration"]["Alarms"]]
    assert [name[:-8] for name in names] == ["AlarmsErrors", "AlarmsLatency"]


def test_sagemaker_may_read_the_alarms_it_watches_and_no_others(stack: cdk.Stack) -> None:
    _deployed(stack, Rollout.canary(percent=50))

    (statement,) = [
        each
        for each in statements(stack, role="EndpointExecutionRole")
        if each["Action"] == "cloudwatch:DescribeAlarms"
    ]
    assert [each["Fn::GetAtt"][0][:-8] for each in statement["Resource"]] == [
        "AlarmsErrors",
        "AlarmsLatency",
    ]


def test_asynchronous_endpoints_roll_out_too(stack: cdk.Stack) -> None:
    endpoint = queue(stack)
    alarm = cw.Alarm(
        stack,
        "Alarm",
        metric=cw.Metric(namespace="Mine", metric_name="Wrong", period=cdk.Duration.minutes(1)),
        threshold=0,
        evaluation_periods=1,
    )

    endpoint.roll_out(Rollout.all_at_once(), alarms=[alarm])

    assert "DeploymentConfig" in only(stack, "AWS::SageMaker::Endpoint")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rollout.canary(percent=51), "percent must be between 1 and 50, got 51"),
        (lambda: Rollout.canary(percent=0), "percent must be between 1 and 50, got 0"),
        (lambda: Rollout.linear(percent=9), "percent must be between 10 and 50, got 9"),
        (lambda: Rollout.rolling(percent=4), "percent must be between 5 and 50, got 4"),
        (Rollout.canary, "either percent or instances must be given, got neither"),
        (
            lambda: Rollout.linear(percent=10, instances=1),
            "either percent or instances must be given, got both",
        ),
        (lambda: Rollout.rolling(instances=0), "instances must be 1 or more, got 0"),
        (
            lambda: Rollout.all_at_once(wait=cdk.Duration.hours(2)),
            "wait must be between 0 and 3600, got 7200",
        ),
        (
            lambda: Rollout.canary(percent=10, termination_wait=cdk.Duration.hours(2)),
            "termination_wait must be between 0 and 3600, got 7200",
        ),
        (
            lambda: Rollout.canary(percent=10, timeout=cdk.Duration.minutes(9)),
            "timeout must be between 600 and 28800, got 540",
        ),
        (
            lambda: Rollout.linear(percent=10, timeout=cdk.Duration.minutes(90)),
            r"timeout must exceed the waits together \(5400 s\), got 5400",
        ),
        (
            lambda: Rollout.rolling(percent=50, rollback_percent=0),
            "rollback_percent must be between 1 and 100, got 0",
        ),
        (
            lambda: Rollout(strategy="blue"),  # type: ignore[arg-type]
            "strategy must be one of all-at-once, canary, linear, rolling, got 'blue'",
        ),
        (
            lambda: Rollout(strategy="all-at-once", percent=50),
            "percent and instances must be left out of all-at-once rollouts",
        ),
        (
            lambda: Rollout(strategy="canary", percent=50, rollback_percent=50),
            "rollback_percent must be left out of canary rollouts",
        ),
        (
            lambda: Rollout(
                strategy="rolling", percent=50, termination_wait=cdk.Duration.seconds(1)
            ),
            "termination_wait must be left out of rolling rollouts",
        ),
    ],
)
def test_rollout_refuses_what_the_service_would(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_zero_waits_are_allowed() -> None:
    rollout = Rollout.all_at_once(wait=cdk.Duration.seconds(0))

    assert rollout.render([]).blue_green_update_policy is not None


def test_one_instance_cannot_be_divided(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack, instances=Instances(instance_type="ml.m5.large", count=1))

    with pytest.raises(ValueError, match="canary rollouts must have 2 instances or more, got 1"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=_alarms(stack, endpoint))


def test_one_instance_may_be_more_by_the_time_of_an_update(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack, instances=Instances(instance_type="ml.m5.large", count=1))
    endpoint.scale(InvocationScaling(max_instances=4, invocations_per_instance=100))

    endpoint.roll_out(Rollout.canary(percent=50), alarms=_alarms(stack, endpoint))


def test_step_is_at_most_half_of_the_instances(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)

    with pytest.raises(ValueError, match=r"instances must be at most half of 2 \(1\), got 2"):
        endpoint.roll_out(Rollout.canary(instances=2), alarms=_alarms(stack, endpoint))


def test_several_variants_do_not_roll(stack: cdk.Stack) -> None:
    endpoint = two_variants(stack)

    with pytest.raises(ValueError, match="rolling rollouts must have one variant, got 2"):
        endpoint.roll_out(Rollout.rolling(percent=50), alarms=_alarms(stack, endpoint))


def test_inferentia_of_the_first_generation_has_no_guardrails(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack, instances=Instances(instance_type="ml.inf1.xlarge", count=2))

    with pytest.raises(ValueError, match=r"rollout must be left out on ml\.inf1\.xlarge"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=_alarms(stack, endpoint))


@pytest.mark.parametrize("count", [0, 11])
def test_service_watches_one_to_ten_alarms(stack: cdk.Stack, count: int) -> None:
    endpoint = _endpoint(stack)
    alarms = (_alarms(stack, endpoint) * 6)[:count]

    with pytest.raises(ValueError, match=f"alarms must number 1 to 10, got {count}"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=alarms)


def test_alarms_of_a_rollout_differ(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    alarms = _alarms(stack, endpoint)

    with pytest.raises(ValueError, match="alarms must differ"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=[alarms[0], alarms[0]])


def test_alarm_of_another_app_cannot_be_checked(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    imported = cw.Alarm.from_alarm_name(stack, "Imported", "errors")

    with pytest.raises(ValueError, match="must be metric alarms that this app defines"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=[imported])


def test_alarm_must_be_able_to_go_off_during_the_wait(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    rollout = Rollout.canary(percent=50, wait=cdk.Duration.minutes(2))

    with pytest.raises(ValueError, match=r"wait must be 180 s or more, which alarm .*Errors needs"):
        endpoint.roll_out(rollout, alarms=_alarms(stack, endpoint))


def test_endpoint_without_a_name_of_its_own_cannot_be_named_by_its_alarms(
    stack: cdk.Stack,
) -> None:
    endpoint = real_time(stack)

    with pytest.raises(ValueError, match=r"must name the endpoint by a fixed name, which endpoint"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=_alarms(stack, endpoint))


def test_refused_rollout_changes_nothing(stack: cdk.Stack) -> None:
    endpoint = real_time(stack)

    with pytest.raises(ValueError, match="fixed name"):
        endpoint.roll_out(Rollout.canary(percent=50), alarms=_alarms(stack, endpoint))

    assert "DeploymentConfig" not in only(stack, "AWS::SageMaker::Endpoint")


def test_new_fleet_is_watched_by_its_configurations_name(stack: cdk.Stack) -> None:
    endpoint = _endpoint(stack)
    monitored = Monitored(endpoint=endpoint, title="Screening", objective=OBJECTIVE)
    watched = EndpointAlarms(stack, "Alarms", monitored=monitored, updates=True)

    endpoint.roll_out(Rollout.canary(percent=50), alarms=watched.rollback)

    found = {
        name.removeprefix("Alarms")[:-8]: drawn.metrics.values()
        for name, (_, drawn) in alarms(stack).items()
        if "Update" in name
    }
    assert set(found) == {"UpdateErrors", "UpdateLatency"}
    for metrics in found.values():
        for published in metrics:
            name = published.dimensions[FLEET_DIMENSION]
            assert re.fullmatch(r"\$\{EndpointEndpointConfig\w+\.EndpointConfigName\}", name)
            assert published.dimensions["EndpointName"] == "screening"


def test_composite_alarm_leaves_updates_to_themselves(stack: cdk.Stack) -> None:
    monitored = Monitored(endpoint=_endpoint(stack), title="Screening")
    EndpointAlarms(stack, "Alarms", monitored=monitored, updates=True)

    assert "Update" not in str(only(stack, "AWS::CloudWatch::CompositeAlarm")["AlarmRule"])


def test_only_fleets_of_instances_are_watched_by_themselves(stack: cdk.Stack) -> None:
    monitored = Monitored(endpoint=queue(stack), title="Summaries")

    with pytest.raises(ValueError, match="updates must be left out for Summaries"):
        EndpointAlarms(stack, "Alarms", monitored=monitored, updates=True)
