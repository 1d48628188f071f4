"""Application Auto Scaling's operations for SageMaker; moto answers for other services.

moto registers targets and policies too, but calls none, and makes no alarms for SageMaker.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from hosting.scaling import Bounds
from local_runtime.control_plane import quotas
from local_runtime.control_plane.autoscaler import Autoscaler
from local_runtime.control_plane.cloudwatch.api import CloudWatchApi
from local_runtime.control_plane.errors import (
    InvalidNextTokenException,
    LimitExceededException,
    ObjectNotFoundException,
    ResourceNotFoundException,
    ValidationException,
)
from local_runtime.control_plane.scaling_records import (
    COPIES,
    INSTANCES,
    NAMESPACE,
    NOUNS,
    Json,
    Policy,
    ScheduledAction,
    Target,
    TargetKey,
    alarm_documents,
    policy_arn,
    read_step,
    read_tracking,
)
from local_runtime.control_plane.scaling_schedule import ScheduleError, read
from local_runtime.control_plane.service_model import validate
from local_runtime.control_plane.tracking_alarms import alarm_requests, check_metric, name_alarms
from local_runtime.settings import Limits

Operation = Callable[[Json, str], Json]
_T = TypeVar("_T")

TARGET: Final = "AnyScaleFrontendService."
_SERVICE: Final = "application-autoscaling"
_SERVICE_ROLE: Final = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_PAGE: Final = 50


class AutoscalingApi:
    """The operations by name, each ``(request, region) -> response``."""

    def __init__(
        self,
        autoscaler: Autoscaler,
        cloudwatch: CloudWatchApi,
        account_id: str,
        *,
        max_instances: int = Limits().max_instances_per_variant,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.autoscaler = autoscaler
        self._max_instances = max_instances
        self._cloudwatch = cloudwatch
        self._account_id = account_id
        self._now_s = now_s
        self.operations: dict[str, Operation] = {
            "RegisterScalableTarget": self.register_scalable_target,
            "DescribeScalableTargets": self.describe_scalable_targets,
            "DeregisterScalableTarget": self.deregister_scalable_target,
            "PutScalingPolicy": self.put_scaling_policy,
            "DescribeScalingPolicies": self.describe_scaling_policies,
            "DeleteScalingPolicy": self.delete_scaling_policy,
            "PutScheduledAction": self.put_scheduled_action,
            "DescribeScheduledActions": self.describe_scheduled_actions,
            "DeleteScheduledAction": self.delete_scheduled_action,
            "DescribeScalingActivities": self.describe_scaling_activities,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
        }

    def handles(self, operation: str, request: Mapping[str, Any], region: str) -> bool:  # noqa: ARG002
        """Whether a request is about SageMaker."""
        if operation not in self.operations:
            return False
        if "ResourceARN" in request:
            return self._tagged(request["ResourceARN"]) is not None
        return request.get("ServiceNamespace") == NAMESPACE

    def call(self, operation: str, request: Json, region: str) -> Json:
        """Validate a request and run it.

        Raises:
            ApiError: it is refused.
        """
        validate(_SERVICE, operation, request)
        with self.autoscaler.lock:
            return self.operations[operation](request, region)

    # Scalable targets.

    def register_scalable_target(self, request: Json, region: str) -> Json:
        key = _key(request, region)
        before = self.autoscaler.targets.get(key)
        if self.autoscaler.capacity(key) is None:
            noun = NOUNS[key.dimension]
            raise ValidationException(f"{key.resource_id} does not exist, or has no {noun}")
        low, high = request.get("MinCapacity"), request.get("MaxCapacity")
        if before is not None:
            low = before.bounds.minimum if low is None else low
            high = before.bounds.maximum if high is None else high
        if low is None or high is None:
            raise ValidationException(
                "MinCapacity and MaxCapacity must be given when a target is registered"
            )
        if not 0 <= low <= high:
            raise ValidationException(
                f"Minimum capacity cannot be greater than maximum capacity, got {low} and {high}"
            )
        self._check_quota(key, high)
        target = before
        if target is None:
            target = Target(
                key=key,
                arn=(
                    f"arn:aws:application-autoscaling:{region}:{self._account_id}"
                    f":scalable-target/{secrets.token_hex(18)}"
                ),
                bounds=Bounds(minimum=low, maximum=high),
                role_arn=f"arn:aws:iam::{self._account_id}:{_SERVICE_ROLE}",
                created_at_s=self._now_s(),
            )
            self.autoscaler.targets[key] = target
        target.bounds = Bounds(minimum=low, maximum=high)
        target.suspended |= request.get("SuspendedState", {})
        target.tags |= request.get("Tags", {})
        target.outside = "registered"
        return {"ScalableTargetARN": target.arn}

    def _check_quota(self, key: TargetKey, high: int | None) -> None:
        """Refuse a maximum that could never be reached.

        Raises:
            LimitExceededException: it is one.
        """
        if key.dimension == INSTANCES and high is not None and high > self._max_instances:
            raise LimitExceededException(
                f"MaxCapacity must be at most {self._max_instances} in the local runtime (its"
                f" setting {quotas.SETTING}), got {high}"
            )

    def describe_scalable_targets(self, request: Json, region: str) -> Json:
        ids = request.get("ResourceIds")
        found = [
            target
            for key, target in self.autoscaler.targets.items()
            if key.region == region
            and (ids is None or key.resource_id in ids)
            and request.get("ScalableDimension", key.dimension) == key.dimension
        ]
        page, token = _page(found, request)
        return {"ScalableTargets": [target.document() for target in page], **token}

    def deregister_scalable_target(self, request: Json, region: str) -> Json:
        self.autoscaler.forget(self._target(request, region).key)
        return {}

    # Policies.

    def put_scaling_policy(self, request: Json, region: str) -> Json:
        target, name = self._target(request, region), request["PolicyName"]
        before = self.autoscaler.policies.get((target.key, name))
        kind = request.get("PolicyType", None if before is None else before.type)
        if kind not in {"StepScaling", "TargetTrackingScaling"}:
            raise ValidationException(
                f"PolicyType must be StepScaling or TargetTrackingScaling, got {kind}"
            )
        if before is not None and before.type != kind:
            raise ValidationException(f"The type of policy {name} cannot be changed")
        configuration = request.get(f"{kind}PolicyConfiguration")
        if configuration is None:
            raise ValidationException(f"{kind}PolicyConfiguration must be given")
        policy = Policy(
            key=target.key,
            name=name,
            arn=policy_arn(region, self._account_id, target.key, name),
            type=kind,
            configuration=configuration,
            created_at_s=self._now_s(),
        )
        if before is not None:
            policy.arn, policy.created_at_s = before.arn, before.created_at_s
            policy.high_alarm, policy.low_alarm = before.high_alarm, before.low_alarm
            policy.cooldown = before.cooldown
        try:
            if kind == "StepScaling":
                policy.step = read_step(configuration)
            else:
                policy.tracking = read_tracking(configuration)
        except ValueError as fault:
            raise ValidationException(str(fault)) from None
        if policy.tracking is not None:
            self._make_alarms(policy, [] if before is None else before.alarms)
        self.autoscaler.policies[target.key, name] = policy
        return {"PolicyARN": policy.arn, "Alarms": alarm_documents(self._alarm_arns(policy))}

    def describe_scaling_policies(self, request: Json, region: str) -> Json:
        names = request.get("PolicyNames")
        found = [
            policy
            for (key, name), policy in self.autoscaler.policies.items()
            if _asked_for(key, request, region) and (names is None or name in names)
        ]
        page, token = _page(found, request)
        documents = [policy.document(self._alarm_arns(policy)) for policy in page]
        return {"ScalingPolicies": documents, **token}

    def delete_scaling_policy(self, request: Json, region: str) -> Json:
        key, name = _key(request, region), request["PolicyName"]
        policy = self.autoscaler.policies.get((key, name))
        if policy is None:
            raise ObjectNotFoundException(_missing("scaling policy", request, name))
        self.autoscaler.remove_policy(policy)
        return {}

    # Scheduled actions.

    def put_scheduled_action(self, request: Json, region: str) -> Json:
        target, name = self._target(request, region), request["ScheduledActionName"]
        before = self.autoscaler.scheduled.get((target.key, name))
        merged = request if before is None else {**before.request, **request}
        if "Schedule" not in merged:
            raise ValidationException("Schedule must be given when an action is new")
        bounds = merged.get("ScalableTargetAction", {})
        if "MinCapacity" not in bounds and "MaxCapacity" not in bounds:
            raise ValidationException(
                "ScalableTargetAction must have MinCapacity, MaxCapacity or both"
            )
        if bounds.get("MinCapacity", 0) > bounds.get("MaxCapacity", float("inf")):
            raise ValidationException("Minimum capacity cannot be greater than maximum capacity")
        self._check_quota(target.key, max(bounds.values()))
        try:
            schedule = read(merged["Schedule"], merged.get("Timezone", "UTC"))
        except ScheduleError as fault:
            raise ValidationException(str(fault)) from None
        action = ScheduledAction(
            key=target.key,
            name=name,
            arn=(
                f"arn:aws:autoscaling:{region}:{self._account_id}:scheduledAction:"
                f"{secrets.token_hex(16)}:resource/{NAMESPACE}/{target.key.resource_id}"
                f":scheduledActionName/{name}"
                if before is None
                else before.arn
            ),
            request=merged,
            schedule=schedule,
            created_at_s=self._now_s() if before is None else before.created_at_s,
            due_s=None,
        )
        action.due_s = self.autoscaler.next_due_s(action)
        self.autoscaler.scheduled[target.key, name] = action
        return {}

    def describe_scheduled_actions(self, request: Json, region: str) -> Json:
        names = request.get("ScheduledActionNames")
        found = [
            action
            for (key, name), action in self.autoscaler.scheduled.items()
            if _asked_for(key, request, region) and (names is None or name in names)
        ]
        page, token = _page(found, request)
        return {"ScheduledActions": [action.document() for action in page], **token}

    def delete_scheduled_action(self, request: Json, region: str) -> Json:
        key, name = _key(request, region), request["ScheduledActionName"]
        if self.autoscaler.scheduled.pop((key, name), None) is None:
            raise ObjectNotFoundException(_missing("scheduled action", request, name))
        return {}

    # Activities.

    def describe_scaling_activities(self, request: Json, region: str) -> Json:
        with_others = request.get("IncludeNotScaledActivities", False)
        found = [
            activity
            for activity in reversed(self.autoscaler.activities)
            if _asked_for(activity.key, request, region)
            and (with_others or activity.not_scaled is None)
        ]
        page, token = _page(found, request)
        return {"ScalingActivities": [activity.document() for activity in page], **token}

    # Tags.

    def tag_resource(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        self._tags(request).update(request["Tags"])
        return {}

    def untag_resource(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        for key in request["TagKeys"]:
            self._tags(request).pop(key, None)
        return {}

    def list_tags_for_resource(self, request: Json, region: str) -> Json:  # noqa: ARG002
        return {"Tags": dict(self._tags(request))}

    # What the operations share.

    def _target(self, request: Json, region: str) -> Target:
        target = self.autoscaler.targets.get(_key(request, region))
        if target is None:
            raise ObjectNotFoundException(_missing("scalable target", request))
        return target

    def _tagged(self, arn: str) -> Target | None:
        return next((t for t in self.autoscaler.targets.values() if t.arn == arn), None)

    def _tags(self, request: Json) -> dict[str, str]:
        target = self._tagged(request["ResourceARN"])
        if target is None:
            raise ResourceNotFoundException(f"No such resource: {request['ResourceARN']}")
        return target.tags

    def _make_alarms(self, policy: Policy, before: list[str]) -> None:
        check_metric(policy)
        own = _metric_of(policy)
        for other in self.autoscaler.policies.values():
            if other.key == policy.key and other.name != policy.name and _metric_of(other) == own:
                raise ValidationException(
                    "Only one TargetTrackingScaling policy for a given metric specification is"
                    " allowed."
                )
        name_alarms(policy)
        region = policy.key.region
        for request in alarm_requests(policy, self.autoscaler.choices):
            self._cloudwatch.call("PutMetricAlarm", request, region)
        self.autoscaler.remove_alarms(region, [n for n in before if n not in policy.alarms])

    def _alarm_arns(self, policy: Policy) -> dict[str, str]:
        """The alarms that call a policy: those made for it, or those that name it."""
        alarms, region = self.autoscaler.alarms, policy.key.region
        names = policy.alarms or [
            alarm.name
            for alarm in alarms.in_region(region)
            if any(policy.is_called_by(action) for action in alarm.actions("ALARM"))
        ]
        return {name: alarms.arn(region, name) for name in names}


def _key(request: Json, region: str) -> TargetKey:
    key = TargetKey(region, request["ResourceId"], request.get("ScalableDimension", INSTANCES))
    known = key.names if key.dimension != COPIES else key.component
    if known is None or key.dimension not in NOUNS:
        raise ValidationException(
            "Unsupported service namespace, resource type or scalable dimension"
        )
    return key


def _asked_for(key: TargetKey, request: Json, region: str) -> bool:
    return (
        key.region == region
        and request.get("ResourceId", key.resource_id) == key.resource_id
        and request.get("ScalableDimension", key.dimension) == key.dimension
    )


def _metric_of(policy: Policy) -> tuple[Any, Any]:
    configuration = policy.configuration
    return (
        configuration.get("PredefinedMetricSpecification"),
        configuration.get("CustomizedMetricSpecification"),
    )


def _missing(noun: str, request: Json, name: str | None = None) -> str:
    words = (
        f"No {noun} found for service namespace: {NAMESPACE},"
        f" resource ID: {request['ResourceId']},"
        f" scalable dimension: {request['ScalableDimension']}"
    )
    return words if name is None else f"{words}, name: {name}"


def _page(found: Sequence[_T], request: Json) -> tuple[Sequence[_T], Json]:
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise InvalidNextTokenException(f"Invalid NextToken: {token}")
    start, size = int(token), request.get("MaxResults", _PAGE)
    rest = start + size < len(found)
    return found[start : start + size], {"NextToken": str(start + size)} if rest else {}
