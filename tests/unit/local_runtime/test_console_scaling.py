"""What has been scaled, told by the endpoint that it belongs to."""

from __future__ import annotations

from typing import Any, cast

from local_runtime.console.scaling_views import ScalingViews
from local_runtime.control_plane.autoscaling_api import AutoscalingApi


class _Scaling:
    """Application Auto Scaling with one activity for each resource."""

    def __init__(self, *resources: str) -> None:
        self._activities = [
            {
                "ResourceId": resource,
                "Description": "Setting desired count to 2.",
                "Cause": "an alarm",
                "StatusCode": "Successful",
                "StartTime": 1.0,
            }
            for resource in resources
        ]

    def call(self, operation: str, _: dict[str, Any], __: str) -> dict[str, Any]:
        member = operation.removeprefix("Describe")
        return {member: self._activities if member == "ScalingActivities" else []}


def _views(*resources: str) -> ScalingViews:
    return ScalingViews(cast(AutoscalingApi, _Scaling(*resources)))


def test_copies_of_a_component_are_scaled_on_its_endpoint() -> None:
    views = _views("inference-component/small", "endpoint/other/variant/AllTraffic")

    found = views.of_endpoint("host", "eu-west-1", {"small": "host"})

    assert [(each["endpoint"], each["scaled"]) for each in found["activities"]] == [
        ("host", "small")
    ]


def test_activities_of_a_component_that_is_gone_belong_to_no_endpoint() -> None:
    views = _views("inference-component/gone", "endpoint/host/variant/AllTraffic")

    newest = views.newest("eu-west-1", 5, {})

    assert [each["endpoint"] for each in newest] == [None, "host"]
