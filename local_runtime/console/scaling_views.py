"""Scaling for a page: the bounds, the policies, and what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from local_runtime.control_plane.autoscaling_api import AutoscalingApi
from local_runtime.control_plane.scaling_records import NAMESPACE

Json = dict[str, Any]
Hosts = Mapping[str, str]


class ScalingViews:
    """Asks Application Auto Scaling, as a client would.

    ``hosts`` are the endpoints of inference components, by the components' names.
    """

    def __init__(self, api: AutoscalingApi) -> None:
        self._api = api

    def of_endpoint(self, endpoint: str, region: str, hosts: Hosts) -> Json:
        """Targets, policies and activities of an endpoint and of the components on it."""

        def own(listed: Iterable[Json]) -> Iterator[tuple[Json, str]]:
            for each in listed:
                owner, scaled = _owner(each["ResourceId"], hosts)
                if owner == endpoint:
                    yield each, scaled

        targets = self._listed("DescribeScalableTargets", "ScalableTargets", region)
        policies = self._listed("DescribeScalingPolicies", "ScalingPolicies", region)
        return {
            "targets": [
                {
                    "scaled": scaled,
                    "dimension": target["ScalableDimension"].rpartition(":")[2],
                    "min": target["MinCapacity"],
                    "max": target["MaxCapacity"],
                }
                for target, scaled in own(targets)
            ],
            "policies": [_policy(policy, scaled) for policy, scaled in own(policies)],
            "activities": [
                _activity(activity, hosts) for activity, _ in own(self.activities(region))
            ],
        }

    def activities(self, region: str) -> list[Json]:
        """The newest activities of a region, newest first."""
        more = {"IncludeNotScaledActivities": True}
        return self._listed("DescribeScalingActivities", "ScalingActivities", region, **more)

    def newest(self, region: str, limit: int, hosts: Hosts) -> list[Json]:
        """A line for each of the newest activities that did something."""
        done = [each for each in self.activities(region) if "NotScaledReasons" not in each]
        return [_activity(activity, hosts) for activity in done[:limit]]

    def _listed(self, operation: str, member: str, region: str, **more: Any) -> list[Json]:
        answer = self._api.call(operation, {"ServiceNamespace": NAMESPACE, **more}, region)
        listed: list[Json] = answer[member]
        return listed


def _owner(resource: str, hosts: Hosts) -> tuple[str | None, str]:
    """The endpoint of what is scaled, and its variant or component; None where it is gone."""
    match resource.split("/"):
        case ["endpoint", endpoint, "variant", variant]:
            return endpoint, variant
        case [_, component]:
            return hosts.get(component), component
    raise AssertionError(f"no resource of SageMaker is called {resource!r}")


def _activity(activity: Mapping[str, Any], hosts: Hosts) -> Json:
    endpoint, scaled = _owner(activity["ResourceId"], hosts)
    return {
        "endpoint": endpoint,
        "scaled": scaled,
        "description": activity["Description"],
        "cause": activity["Cause"],
        "status": activity["StatusCode"],
        "message": activity.get("StatusMessage"),
        "begun_s": activity["StartTime"],
        "ended_s": activity.get("EndTime"),
        "not_scaled": [reason["Code"] for reason in activity.get("NotScaledReasons", [])],
    }


def _policy(policy: Mapping[str, Any], scaled: str) -> Json:
    configuration = policy[f"{policy['PolicyType']}PolicyConfiguration"]
    return {
        "name": policy["PolicyName"],
        "scaled": scaled,
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
