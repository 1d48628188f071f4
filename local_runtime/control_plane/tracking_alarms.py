"""The two alarms that AWS makes for a target tracking policy.

Names and datapoints as users of AWS have reported them; the pages only say that there are alarms.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from hosting.metrics import PERIOD_S
from hosting.scaling import ScalingChoices
from local_runtime.control_plane.errors import ValidationException
from local_runtime.control_plane.scaling_records import CONCURRENCY, COPIES, INSTANCES, Policy

Json = dict[str, Any]

_HIGH_RESOLUTION_S: Final = 10
# Predefined metric: dimension that it scales, metric, statistic, period of the upper alarm.
# The statistic of those with Maximum is not documented: the metric's own page names it.
_PREDEFINED: Final[Mapping[str, tuple[str, str, str, int]]] = {
    "SageMakerVariantInvocationsPerInstance": (
        INSTANCES,
        "InvocationsPerInstance",
        "Sum",
        PERIOD_S,
    ),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        INSTANCES,
        "ConcurrentRequestsPerModel",
        "Maximum",
        _HIGH_RESOLUTION_S,
    ),
    "SageMakerVariantProvisionedConcurrencyUtilization": (
        CONCURRENCY,
        "ServerlessProvisionedConcurrencyUtilization",
        "Maximum",
        PERIOD_S,
    ),
    "SageMakerInferenceComponentInvocationsPerCopy": (
        COPIES,
        "InvocationsPerCopy",
        "Sum",
        PERIOD_S,
    ),
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": (
        COPIES,
        "ConcurrentRequestsPerCopy",
        "Maximum",
        _HIGH_RESOLUTION_S,
    ),
}


def name_alarms(policy: Policy) -> None:
    """Give a policy's alarms their names; those that it has are kept."""
    assert policy.tracking is not None
    stem = f"TargetTracking-{policy.key.resource_id}"
    if policy.high_alarm is None:
        policy.high_alarm = f"{stem}-AlarmHigh-{uuid.uuid4()}"
    if policy.tracking.disable_scale_in:
        policy.low_alarm = None
    elif policy.low_alarm is None:
        policy.low_alarm = f"{stem}-AlarmLow-{uuid.uuid4()}"


def alarm_requests(policy: Policy, choices: ScalingChoices) -> list[Json]:
    """PutMetricAlarm for each alarm of a target tracking policy.

    Raises:
        ValidationException: its metric cannot be tracked.
    """
    tracking = policy.tracking
    assert tracking is not None
    requests = []
    for name, comparison, threshold, datapoints, is_high in (
        (
            policy.high_alarm,
            "GreaterThanThreshold",
            tracking.target_value,
            choices.tracking_high_datapoints,
            True,
        ),
        (
            policy.low_alarm,
            "LessThanThreshold",
            tracking.low_threshold(choices),
            choices.tracking_low_datapoints,
            False,
        ),
    ):
        if name is None:
            continue
        requests.append(
            {
                "AlarmName": name,
                "AlarmDescription": (
                    f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}."
                ),
                "ActionsEnabled": True,
                "AlarmActions": [f"{policy.arn}:createdBy/{uuid.uuid4()}"],
                "ComparisonOperator": comparison,
                "Threshold": threshold,
                "EvaluationPeriods": datapoints,
                **_metric(policy, high=is_high),
            }
        )
    return requests


def check_metric(policy: Policy) -> None:
    """Refuse a policy whose metric cannot be tracked.

    Raises:
        ValidationException: it cannot.
    """
    _metric(policy, high=True)


def _metric(policy: Policy, *, high: bool) -> Json:
    configuration = policy.configuration
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise ValidationException(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must"
            " be specified"
        )
    if customized is None:
        return _predefined(policy, configuration, high=high)
    if "Metrics" in customized:
        return {"Metrics": [_query(query) for query in customized["Metrics"]]}
    missing = [
        member for member in ("MetricName", "Namespace", "Statistic") if member not in customized
    ]
    if missing:
        raise ValidationException(f"CustomizedMetricSpecification must have {', '.join(missing)}")
    members = ("MetricName", "Namespace", "Dimensions", "Statistic", "Unit")
    metric = {member: customized[member] for member in members if member in customized}
    return metric | {"Period": PERIOD_S}


def _predefined(policy: Policy, configuration: Json, *, high: bool) -> Json:
    name = configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]
    dimension, metric, statistic, period_s = _PREDEFINED.get(name, ("", "", "", 0))
    if dimension != policy.key.dimension:
        raise ValidationException(
            f"{name} is not a supported metric for scalable dimension {policy.key.dimension}"
        )
    return {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [
            {"Name": name, "Value": value} for name, value in _dimensions(policy).items()
        ],
        "Statistic": statistic,
        # A quick metric is for scaling out; capacity leaves by the minute.
        "Period": period_s if high else PERIOD_S,
    }


def _dimensions(policy: Policy) -> dict[str, str]:
    if policy.key.component is not None:
        return {"InferenceComponentName": policy.key.component}
    names = policy.key.names
    assert names is not None, "a key is one or the other"
    return dict(zip(("EndpointName", "VariantName"), names, strict=True))


def _query(query: Json) -> Json:
    """A query of the policy as one of an alarm, which has a period."""
    if "MetricStat" not in query:
        return query
    return query | {"MetricStat": {**query["MetricStat"], "Period": PERIOD_S}}
