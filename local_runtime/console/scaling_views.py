"""Scaling for a page: the bounds, the policies, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_runtime.control_plane.autoscaling_api import AutoscalingApi
from local_runtime.control_plane.scaling_records import NAMESPACE

Json = dict[str, Any]


class ScalingViews:
    """Asks Application Auto Scaling, as a client would."""

    def __init__(self, api: AutoscalingApi) -> None:
        self._api = api

    def of_endpoint(self, endpoint: str, region: str) -> Json:
        """Targets, policies and activities of an endpoint."""
        prefix = f"endpoint/{endpoint}/variant/"
        targets = self._listed("DescribeScalableTargets", "ScalableTargets", region)
        policies = self._listed("DescribeScalingPolicies", "ScalingPolicies", region)
        return {
            "targets": [
                {
                    "variant": target["ResourceId"].removeprefix(prefix),
                    "dimension": target["ScalableDimension"].rpartition(":")[2],
                    "min": target["MinCapacity"],
                    "max": target["MaxCapacity"],
                }
                for target in targets
                if target["ResourceId"].startswith(prefix)
            ],
            "policies": [
                _policy(policy, prefix)
                for policy in policies
                if policy["ResourceId"].startswith(prefix)
            ],
            "activities": [
                _activity(activity)
                for activity in self.activities(region)
                if activity["ResourceId"].startswith(prefix)
            ],
        }

    def activities(self, region: str) -> list[Json]:
        """The newest activities of a region, newest first."""
        more = {"IncludeNotScaledActivities": True}
        return self._listed("DescribeScalingActivities", "ScalingActivities", region, **more)

    def newest(self, region: str, limit: int) -> list[Json]:
        """A line for each of the newest activities that did something."""
        done = [each for each in self.activities(region) if "NotScaledReasons" not in each]
        return [_activity(activity) for activity in done[:limit]]

    def _listed(self, operation: str, member: str, region: str, **more: Any) -> list[Json]:
        answer = self._api.call(operation, {"ServiceNamespace": NAMESPACE, **more}, region)
        listed: list[Json] = answer[member]
        return listed


def _activity(activity: Mapping[str, Any]) -> Json:
    _, endpoint, _, variant = activity["ResourceId"].split("/")
    return {
        "endpoint": endpoint,
        "variant": variant,
        "description": activity["Description"],
        "cause": activity["Cause"],
        "status": activity["StatusCode"],
        "message": activity.get("StatusMessage"),
        "begun_s": activity["StartTime"],
        "ended_s": activity.get("EndTime"),
        "not_scaled": [reason["Code"] for reason in activity.get("NotScaledReasons", [])],
    }


def _policy(policy: Mapping[str, Any], prefix: str) -> Json:
    configuration = policy[f"{policy['PolicyType']}PolicyConfiguration"]
    return {
        "name": policy["PolicyName"],
        "variant": policy["ResourceId"].removeprefix(prefix),
        "type": policy["PolicyType"],
        "rule": _rule(configuration),
        "alarms": [alarm["AlarmName"] for alarm in policy["Alarms"]],
    }


def _rule(configuration: Mapping[str, Any]) -> str:
    """A policy in a few words."""
    if "TargetValue" in configuration:
        predefined = configuration.get("PredefinedMetricSpecification", {})
        custom = configuration.get("CustomizedMetricSpecification", {})
        metric = predefined.get("PredefinedMetricType", custom.get("MetricName", "a metric"))
        return f"keep {metric} at {configuration['TargetValue']:g}"
    steps = [
        f"{step['ScalingAdjustment']:+d}"
        f" from {step.get('MetricIntervalLowerBound', '-∞')}"
        f" to {step.get('MetricIntervalUpperBound', '∞')}"
        for step in configuration.get("StepAdjustments", [])
    ]
    return f"{configuration.get('AdjustmentType', '')}: {'; '.join(steps)}"
