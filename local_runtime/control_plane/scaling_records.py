"""What is registered with Application Auto Scaling, and what it has done."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hosting.scaling import (
    Bounds,
    Cooldown,
    StepAdjustment,
    StepScaling,
    TargetTracking,
)
from local_runtime.control_plane.scaling_schedule import Schedule

Json = dict[str, Any]
StatusCode = Literal["InProgress", "Successful", "Failed"]

NAMESPACE: Final = "sagemaker"
INSTANCES: Final = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY: Final = "sagemaker:variant:DesiredProvisionedConcurrency"
COPIES: Final = "sagemaker:inference-component:DesiredCopyCount"
NOUNS: Final[Mapping[str, str]] = {
    INSTANCES: "instance count",
    CONCURRENCY: "provisioned concurrency",
    COPIES: "copy count",
}
_RESOURCE: Final = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")
_COMPONENT: Final = re.compile(r"inference-component/(?P<component>[^/]+)")
# As AWS makes them: the policies' names hold this as the scope of the service.
_POLICY_ARN: Final = "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:resource/{resource}:policyName/{name}"  # noqa: E501 - one word


@dataclass(frozen=True, slots=True)
class TargetKey:
    """What identifies a scalable target."""

    region: str
    resource_id: str
    dimension: str

    @property
    def names(self) -> tuple[str, str] | None:
        """The endpoint and the variant; None for a resource of another kind."""
        match = _RESOURCE.fullmatch(self.resource_id)
        return None if match is None else (match["endpoint"], match["variant"])

    @property
    def component(self) -> str | None:
        """The inference component; None for a resource of another kind."""
        match = _COMPONENT.fullmatch(self.resource_id)
        return None if match is None else match["component"]

    def document(self) -> Json:
        """As every answer of the API begins."""
        return {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": self.resource_id,
            "ScalableDimension": self.dimension,
        }


@dataclass(kw_only=True, slots=True)
class Target:
    """A scalable target.

    ``outside`` says that its capacity is to be brought within the bounds, and why: it is, as soon
    as the endpoint can be changed.
    """

    key: TargetKey
    arn: str
    bounds: Bounds
    role_arn: str
    created_at_s: float
    suspended: dict[str, bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    outside: str | None = None

    def document(self) -> Json:
        """As DescribeScalableTargets shows it."""
        suspended = {
            "DynamicScalingInSuspended": False,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": False,
        }
        return {
            **self.key.document(),
            "MinCapacity": self.bounds.minimum,
            "MaxCapacity": self.bounds.maximum,
            "RoleARN": self.role_arn,
            "CreationTime": self.created_at_s,
            "SuspendedState": suspended | self.suspended,
            "ScalableTargetARN": self.arn,
        }


@dataclass(kw_only=True, slots=True)
class Policy:
    """A scaling policy; either ``tracking`` or ``step`` is set."""

    key: TargetKey
    name: str
    arn: str
    type: str
    configuration: Json
    created_at_s: float
    tracking: TargetTracking | None = None
    step: StepScaling | None = None
    high_alarm: str | None = None
    low_alarm: str | None = None
    cooldown: Cooldown | None = None

    @property
    def alarms(self) -> list[str]:
        """The names of the alarms that were made for it."""
        return [name for name in (self.high_alarm, self.low_alarm) if name is not None]

    def is_called_by(self, action_arn: str) -> bool:
        """Whether an alarm's action means this policy."""
        return action_arn == self.arn or action_arn.startswith(f"{self.arn}:createdBy/")

    def document(self, alarm_arns: Mapping[str, str]) -> Json:
        """As DescribeScalingPolicies shows it."""
        member = f"{self.type}PolicyConfiguration"
        return {
            **self.key.document(),
            "PolicyARN": self.arn,
            "PolicyName": self.name,
            "PolicyType": self.type,
            member: self.configuration,
            "Alarms": alarm_documents(alarm_arns),
            "CreationTime": self.created_at_s,
        }


@dataclass(kw_only=True, slots=True)
class ScheduledAction:
    """A change of a target's bounds at set times; moments are the wall's."""

    key: TargetKey
    name: str
    arn: str
    request: Json
    schedule: Schedule
    created_at_s: float
    due_s: float | None

    def document(self) -> Json:
        """As DescribeScheduledActions shows it."""
        optional = ("Timezone", "StartTime", "EndTime", "ScalableTargetAction")
        return {
            **self.key.document(),
            "ScheduledActionName": self.name,
            "ScheduledActionARN": self.arn,
            "Schedule": self.request["Schedule"],
            **{member: self.request[member] for member in optional if member in self.request},
            "CreationTime": self.created_at_s,
        }


@dataclass(kw_only=True, slots=True)
class Activity:
    """One change of a capacity, or a reason why there was none."""

    key: TargetKey
    desired: int
    cause: str
    started_at_s: float
    status: StatusCode = "InProgress"
    message: str | None = None
    ended_at_s: float | None = None
    generation: int | None = None
    policy: Policy | None = None
    not_scaled: Json | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def end(self, status: StatusCode, message: str, now_s: float) -> None:
        """Say how it ended."""
        self.status, self.message, self.ended_at_s = status, message, now_s

    def document(self) -> Json:
        """As DescribeScalingActivities shows it."""
        noun = NOUNS[self.key.dimension]
        shown: Json = {
            **self.key.document(),
            "ActivityId": self.id,
            "Description": f"Setting desired {noun} to {self.desired}.",
            "Cause": self.cause,
            "StartTime": self.started_at_s,
            "StatusCode": self.status,
        }
        if self.not_scaled is not None:
            shown["Description"] = "Attempting to scale due to alarm triggered"
            shown["NotScaledReasons"] = [self.not_scaled]
        if self.message is not None:
            shown["StatusMessage"] = self.message
        if self.ended_at_s is not None:
            shown["EndTime"] = self.ended_at_s
        return shown


def policy_arn(region: str, account_id: str, key: TargetKey, name: str) -> str:
    """The ARN of a new policy."""
    return _POLICY_ARN.format(
        region=region,
        account=account_id,
        id=uuid.uuid4(),
        resource=f"{NAMESPACE}/{key.resource_id}",
        name=name,
    )


def read_tracking(configuration: Mapping[str, Any]) -> TargetTracking:
    """Read a TargetTrackingScalingPolicyConfiguration; raises ValueError for a wrong value."""
    defaults = TargetTracking(target_value=1)
    return TargetTracking(
        target_value=configuration["TargetValue"],
        scale_out_cooldown_s=configuration.get("ScaleOutCooldown", defaults.scale_out_cooldown_s),
        scale_in_cooldown_s=configuration.get("ScaleInCooldown", defaults.scale_in_cooldown_s),
        disable_scale_in=configuration.get("DisableScaleIn", False),
    )


def read_step(configuration: Mapping[str, Any]) -> StepScaling:
    """Read a StepScalingPolicyConfiguration; raises ValueError for a wrong value."""
    if "AdjustmentType" not in configuration:
        raise ValueError("AdjustmentType must be given")
    steps = tuple(
        StepAdjustment(
            adjustment=step["ScalingAdjustment"],
            lower_bound=step.get("MetricIntervalLowerBound"),
            upper_bound=step.get("MetricIntervalUpperBound"),
        )
        for step in configuration.get("StepAdjustments", [])
    )
    defaults = StepScaling(
        adjustment_type="ChangeInCapacity", steps=(StepAdjustment(adjustment=1, lower_bound=0),)
    )
    return StepScaling(
        adjustment_type=configuration["AdjustmentType"],
        steps=steps,
        cooldown_s=configuration.get("Cooldown", defaults.cooldown_s),
        min_adjustment_magnitude=configuration.get("MinAdjustmentMagnitude"),
        aggregation=configuration.get("MetricAggregationType", defaults.aggregation),
    )


def alarm_documents(arns: Mapping[str, str]) -> list[Json]:
    """Alarms as the API names them beside a policy."""
    return [{"AlarmName": name, "AlarmARN": arn} for name, arn in arns.items()]
