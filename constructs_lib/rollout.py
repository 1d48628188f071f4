"""How an update reaches an endpoint's traffic, and which alarms take it back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from constructs_lib.endpoint import Endpoint
from hosting import limits, rollouts, validation
from hosting.rollouts import Strategy

_CAPACITY = sagemaker.CfnEndpoint.CapacitySizeProperty
_NO_WAIT = cdk.Duration.seconds(0)
_BAKE = cdk.Duration.minutes(10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """A way from the old fleet to the new one; take one of the four that have names.

    ::

        Rollout.canary(percent=50, wait=cdk.Duration.minutes(10))

    In each, alarms are watched during ``wait``; one that goes off brings the old fleet back.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html (2026-11-20)

    Args:
        strategy: how traffic moves.
        percent: size of the canary, of a step or of a batch, in percent of the instances.
        instances: the same in instances, instead.
        wait: between steps, and after the last one.
        termination_wait: how long the old fleet is kept after that.
        timeout: after which an update that is not done is taken back; the service decides without.
        rollback_percent: how much of the old fleet comes back at once; all of it without.

    Raises:
        ValueError: a size or a time is not what the service accepts, or the waits take longer than
            the timeout allows.
    """

    strategy: Strategy
    percent: int | None = None
    instances: int | None = None
    wait: cdk.Duration = _BAKE
    termination_wait: cdk.Duration = _NO_WAIT
    timeout: cdk.Duration | None = None
    rollback_percent: int | None = None

    def __post_init__(self) -> None:
        validation.require(
            rollouts.complaints(
                self.strategy,
                percent=self.percent,
                instances=self.instances,
                wait_s=self.wait.to_seconds(),
                termination_wait_s=self.termination_wait.to_seconds(),
                timeout_s=None if self.timeout is None else self.timeout.to_seconds(),
            ),
            []
            if self.rollback_percent is None or 1 <= self.rollback_percent <= 100
            else [f"rollback_percent must be between 1 and 100, got {self.rollback_percent}"],
            []
            if self.rollback_percent is None or self.strategy == "rolling"
            else [f"rollback_percent must be left out of {self.strategy} rollouts"],
            []
            if self.termination_wait.to_seconds() == 0 or self.strategy != "rolling"
            else ["termination_wait must be left out of rolling rollouts: no second fleet is kept"],
        )

    @classmethod
    def all_at_once(
        cls,
        *,
        wait: cdk.Duration = _BAKE,
        termination_wait: cdk.Duration = _NO_WAIT,
        timeout: cdk.Duration | None = None,
    ) -> Rollout:
        """Move all traffic to a second fleet, and wait before the first is taken down."""
        return cls(
            strategy="all-at-once", wait=wait, termination_wait=termination_wait, timeout=timeout
        )

    @classmethod
    def canary(
        cls,
        *,
        percent: int | None = None,
        instances: int | None = None,
        wait: cdk.Duration = _BAKE,
        termination_wait: cdk.Duration = _NO_WAIT,
        timeout: cdk.Duration | None = None,
    ) -> Rollout:
        """Move a part of the traffic to a second fleet, wait, then move the rest."""
        return cls(
            strategy="canary",
            percent=percent,
            instances=instances,
            wait=wait,
            termination_wait=termination_wait,
            timeout=timeout,
        )

    @classmethod
    def linear(
        cls,
        *,
        percent: int | None = None,
        instances: int | None = None,
        wait: cdk.Duration = _BAKE,
        termination_wait: cdk.Duration = _NO_WAIT,
        timeout: cdk.Duration | None = None,
    ) -> Rollout:
        """Move traffic to a second fleet in equal steps, with a wait after each."""
        return cls(
            strategy="linear",
            percent=percent,
            instances=instances,
            wait=wait,
            termination_wait=termination_wait,
            timeout=timeout,
        )

    @classmethod
    def rolling(
        cls,
        *,
        percent: int | None = None,
        instances: int | None = None,
        wait: cdk.Duration = _BAKE,
        timeout: cdk.Duration | None = None,
        rollback_percent: int | None = None,
    ) -> Rollout:
        """Replace instances batch by batch, without the instances of a second fleet."""
        return cls(
            strategy="rolling",
            percent=percent,
            instances=instances,
            wait=wait,
            timeout=timeout,
            rollback_percent=rollback_percent,
        )

    def render(self, alarm_names: Sequence[str]) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        """The deployment configuration, which ``alarm_names`` can take back."""
        is_rolling = self.strategy == "rolling"
        return sagemaker.CfnEndpoint.DeploymentConfigProperty(
            auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                alarms=[
                    sagemaker.CfnEndpoint.AlarmProperty(alarm_name=name) for name in alarm_names
                ]
            ),
            blue_green_update_policy=None if is_rolling else self._blue_green(),
            rolling_update_policy=self._rolling() if is_rolling else None,
        )

    def _blue_green(self) -> sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty:
        return sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
            traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
                type=self.strategy.upper().replace("-", "_"),
                wait_interval_in_seconds=self.wait.to_seconds(),
                canary_size=self._size() if self.strategy == "canary" else None,
                linear_step_size=self._size() if self.strategy == "linear" else None,
            ),
            termination_wait_in_seconds=self.termination_wait.to_seconds(),
            maximum_execution_timeout_in_seconds=self._timeout_s(),
        )

    def _rolling(self) -> sagemaker.CfnEndpoint.RollingUpdatePolicyProperty:
        return sagemaker.CfnEndpoint.RollingUpdatePolicyProperty(
            maximum_batch_size=self._size(),
            wait_interval_in_seconds=self.wait.to_seconds(),
            maximum_execution_timeout_in_seconds=self._timeout_s(),
            rollback_maximum_batch_size=None
            if self.rollback_percent is None
            else _CAPACITY(type="CAPACITY_PERCENT", value=self.rollback_percent),
        )

    def _size(self) -> sagemaker.CfnEndpoint.CapacitySizeProperty:
        if self.percent is not None:
            return _CAPACITY(type="CAPACITY_PERCENT", value=self.percent)
        assert self.instances is not None
        return _CAPACITY(type="INSTANCE_COUNT", value=self.instances)

    def _timeout_s(self) -> float | None:
        return None if self.timeout is None else self.timeout.to_seconds()


def roll_out(endpoint: Endpoint, rollout: Rollout, alarms: Sequence[cw.Alarm]) -> None:
    """Let updates of ``endpoint`` go by ``rollout``, and be taken back by ``alarms``.

    Raises:
        ValueError: the service would refuse the rollout for this endpoint, would not watch the
            alarms, or an alarm cannot go off before the rollout is over, or cannot be defined
            before the endpoint.
    """
    fixed = [
        fleet.count
        for name, fleet in endpoint.fleets.items()
        if name not in endpoint.scalings and not cdk.Token.is_unresolved(fleet.count)
    ]
    validation.require(
        rollouts.complaints_of_endpoint(
            rollout.strategy,
            instances=rollout.instances,
            instance_types=[each for fleet in endpoint.fleets.values() for each in fleet.types],
            variants=len(endpoint.variant_names),
            fixed_count=min(fixed) if fixed else None,
        ),
        []
        if len(alarms) in limits.ROLLBACK_ALARMS
        else [f"alarms must number {limits.ROLLBACK_ALARMS}, got {len(alarms)}"],
        []
        if len({alarm.node.path for alarm in alarms}) == len(alarms)
        else ["alarms must differ, got one more than once"],
        *(_complaints_of_alarm(endpoint, alarm, rollout.wait.to_seconds()) for alarm in alarms),
    )
    policy = endpoint.execution_role.further_policy(
        endpoint, "RolloutPolicy", description="Which alarms SageMaker may watch during updates"
    )
    policy.add_statements(
        iam.PolicyStatement(
            actions=["cloudwatch:DescribeAlarms"],
            resources=[alarm.alarm_arn for alarm in alarms],
        )
    )
    endpoint.cfn_endpoint.node.add_dependency(policy)
    endpoint.cfn_endpoint.deployment_config = rollout.render([alarm.alarm_name for alarm in alarms])


def _complaints_of_alarm(endpoint: Endpoint, alarm: cw.Alarm, wait_s: float) -> list[str]:
    resource = alarm.node.default_child
    if not isinstance(resource, cw.CfnAlarm):
        return [f"alarms must be metric alarms that this app defines, got {alarm.node.path}"]
    stack = cdk.Stack.of(alarm)
    metrics: Any = stack.resolve(resource.metrics)
    measured = json.dumps([stack.resolve(resource.dimensions), metrics])
    found = []
    if stack.resolve(endpoint.cfn_endpoint.logical_id) in measured:
        found.append(
            f"alarm {alarm.node.path} must name the endpoint by a fixed name, which endpoint_name"
            " or log_retention give it: the endpoint names the alarm in turn"
        )
    needed_s = _seconds_to_alarm(resource, metrics)
    if needed_s is not None and needed_s > wait_s:
        found.append(
            f"wait must be {needed_s:g} s or more, which alarm {alarm.node.path} needs to go off,"
            f" got {wait_s:g}"
        )
    return found


def _seconds_to_alarm(alarm: cw.CfnAlarm, metrics: Any) -> float | None:
    """How long a fault must last until the alarm goes off."""
    periods = [query["metricStat"]["period"] for query in metrics or () if "metricStat" in query]
    period_s = max(periods) if periods else alarm.period
    count = alarm.evaluation_periods
    if alarm.datapoints_to_alarm is not None:
        count = alarm.datapoints_to_alarm
    return None if period_s is None or count is None else float(period_s * count)
