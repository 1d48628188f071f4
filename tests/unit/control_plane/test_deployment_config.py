"""UpdateEndpoint with a DeploymentConfig: what is refused, told to the data plane, and shown."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.control_plane.conftest import CONTAINER, RunningControlPlane, fresh, variant

HELD = {**CONTAINER, "Environment": {"HOLD": "1"}}


def blue_green(kind: str = "ALL_AT_ONCE", **more: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": 60, **more}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


ROLLING = {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 60}}


class Updating:
    """An endpoint with two instances, and updates of it that only the test finishes."""

    def __init__(self, served: RunningControlPlane) -> None:
        self.served = served
        self.sagemaker = served.client("sagemaker")
        self.name = fresh("e")
        self.first = self.config(CONTAINER)
        self.sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=self.first)
        served.store.wait_for_endpoint(
            "eu-west-1",
            self.name,
            lambda endpoint: endpoint is not None and endpoint.status == "InService",
            timeout_s=60,
        )

    def config(self, container: dict[str, Any] = HELD, *variants: dict[str, Any]) -> str:
        model, config = fresh("model"), fresh("config")
        self.sagemaker.create_model(ModelName=model, PrimaryContainer=container)
        changed = variants if variants else ({"InitialInstanceCount": 2},)
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=config,
            ProductionVariants=[variant(model, **changes) for changes in changed],
        )
        return config

    def update(self, config: str, **request: Any) -> dict[str, Any]:
        self.sagemaker.update_endpoint(EndpointName=self.name, EndpointConfigName=config, **request)
        return self.served.document(self.name)

    def described(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=self.name)
        return answer


@pytest.fixture
def updating(served: RunningControlPlane) -> Updating:
    return Updating(served)


def test_the_data_plane_is_told_how_to_update_and_describe_shows_how_far_it_is(
    updating: Updating, served: RunningControlPlane
) -> None:
    config = updating.config()
    told = updating.update(config, DeploymentConfig=blue_green("CANARY", CanarySize=percent(10)))
    served.store.advance(
        updating.name, told["generation"], {"stage": "Baking", "share": 0.1, "counts": {}}
    )

    pending = updating.described()["PendingDeploymentSummary"]

    assert told["deployment_config"] == blue_green("CANARY", CanarySize=percent(10))
    assert told["previous"]["capacities"]["AllTraffic"]["instances"] == 2
    assert pending["EndpointConfigName"] == config
    [shown] = pending["ProductionVariants"]
    assert (shown["CurrentWeight"], shown["DesiredWeight"]) == (0.1, 1.0)
    assert [each["Status"] for each in shown["VariantStatus"]] == ["Baking"]


def test_an_update_that_is_taken_back_is_rolling_back_until_it_is_done(
    updating: Updating, served: RunningControlPlane
) -> None:
    told = updating.update(updating.config(), DeploymentConfig=ROLLING)
    progress = {"stage": "Deleting", "share": 0.5, "counts": {}}
    served.store.advance(updating.name, told["generation"], progress, failure_reason="alarm a rang")
    during = updating.described()
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        updating.update(updating.first)
    kept = served.document(updating.name)["previous"]["config"]["EndpointConfigName"]
    served.report(updating.name, "RolledBack", failure_reason="alarm a rang")
    after = updating.described()

    assert (during["EndpointStatus"], during["FailureReason"]) == ("RollingBack", "alarm a rang")
    assert kept == updating.first
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", updating.first)
    assert after["FailureReason"] == "alarm a rang"
    assert "PendingDeploymentSummary" not in after


def test_a_config_is_used_again_when_it_is_retained(
    updating: Updating, served: RunningControlPlane
) -> None:
    for request, expected in (
        ({"DeploymentConfig": ROLLING}, ROLLING),
        ({}, None),
        ({"RetainDeploymentConfig": True}, ROLLING),
    ):
        told = updating.update(updating.config(), **request)
        assert told["deployment_config"] == expected
        served.report(updating.name, "InService")
    assert updating.described()["LastDeploymentConfig"] == ROLLING
    with pytest.raises(ClientError, match="cannot be specified when RetainDeploymentConfig"):
        updating.update(updating.config(), DeploymentConfig=ROLLING, RetainDeploymentConfig=True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**blue_green(), **ROLLING}, "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy"),
        (blue_green("CANARY", CanarySize=percent(60)), "percent must be between 1 and 50, got 60"),
        (blue_green("LINEAR"), "either percent or instances must be given, got neither"),
        (blue_green(WaitIntervalInSeconds=3601), "less than or equal to 3600"),
    ],
)
def test_a_config_that_the_service_refuses_is_refused(
    updating: Updating, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        updating.update(updating.config(), DeploymentConfig=config)

    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert updating.described()["EndpointStatus"] == "InService"


def test_an_update_by_policy_keeps_the_variants_and_rolls_one_only(updating: Updating) -> None:
    two = updating.config(HELD, {}, {"VariantName": "Other"})

    with pytest.raises(ClientError, match=r"must keep the variants \(AllTraffic\), got"):
        updating.update(two, DeploymentConfig=blue_green())
    with pytest.raises(ClientError, match="rolling updates must have one variant, got 2"):
        updating.update(two, DeploymentConfig=ROLLING)


def test_alarms_are_read_by_the_data_plane(served: RunningControlPlane) -> None:
    name = fresh("alarm")
    served.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Mine",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )

    states = served.control_plane._alarm_states("eu-west-1", [name, "none-such"])  # noqa: SLF001

    assert states == {name: "INSUFFICIENT_DATA", "none-such": None}
