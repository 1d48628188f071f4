"""The steps of an update, as DeploymentConfig asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.update_policy import UpdatePolicy, complaints_of_update


def blue_green(kind: str, **changes: Any) -> dict[str, Any]:
    """A DeploymentConfig, with a size for the types that take one."""
    routing = {"Type": kind, "WaitIntervalInSeconds": 300, **changes}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 3600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def rolling(size: dict[str, Any], **more: Any) -> dict[str, Any]:
    policy = {"MaximumBatchSize": size, "WaitIntervalInSeconds": 60, **more}
    return {"RollingUpdatePolicy": policy}


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (None, (1.0,)),
        (blue_green("ALL_AT_ONCE"), (1.0,)),
        (blue_green("CANARY", CanarySize=percent(10)), (0.1, 1.0)),
        (blue_green("CANARY", CanarySize=count(1)), (0.25, 1.0)),
        (blue_green("LINEAR", LinearStepSize=percent(30)), (0.3, 0.6, 0.9, 1.0)),
        (blue_green("LINEAR", LinearStepSize=percent(50)), (0.5, 1.0)),
        (blue_green("LINEAR", LinearStepSize=count(2)), (0.5, 1.0)),
    ],
)
def test_traffic_moves_in_the_steps_of_the_policy(
    config: dict[str, Any] | None, shares: tuple[float, ...]
) -> None:
    assert UpdatePolicy.from_api(config).shares(4) == pytest.approx(shares)


def test_a_policy_has_the_times_and_alarms_of_its_config() -> None:
    policy = UpdatePolicy.from_api(blue_green("ALL_AT_ONCE"))

    assert (policy.wait_s, policy.termination_wait_s, policy.timeout_s) == (300, 120, 3600)
    assert policy.alarms == ("errors",)
    assert policy.complaints() == []


@pytest.mark.parametrize(
    ("config", "batches"),
    [
        (rolling(percent(50)), (2, 4, 5)),
        (rolling(percent(5)), (1, 2, 3, 4, 5)),
        (rolling(count(2)), (2, 4, 5)),
    ],
)
def test_a_rolling_update_replaces_at_most_a_batch_at_once(
    config: dict[str, Any], batches: tuple[int, ...]
) -> None:
    assert UpdatePolicy.from_api(config).batches(5) == batches


def test_a_rollback_brings_all_instances_back_at_once_unless_it_has_a_size() -> None:
    whole = UpdatePolicy.from_api(rolling(percent(10)))
    halves = UpdatePolicy.from_api(rolling(percent(10), RollbackMaximumBatchSize=percent(50)))
    pairs = UpdatePolicy.from_api(rolling(percent(10), RollbackMaximumBatchSize=count(2)))

    assert whole.rollback_batches(4) == (4,)
    assert halves.rollback_batches(4) == (2, 4)
    assert pairs.rollback_batches(5) == (2, 4, 5)


@given(size=st.integers(10, 50), instances=st.integers(1, 20))
def test_shares_grow_to_all_traffic(size: int, instances: int) -> None:
    for kind, member in (("CANARY", "CanarySize"), ("LINEAR", "LinearStepSize")):
        shares = UpdatePolicy.from_api(blue_green(kind, **{member: percent(size)})).shares(
            instances
        )

        assert list(shares) == sorted(set(shares))
        assert shares[-1] == 1
        assert 0 < shares[0] <= 0.5


VARIANT = {"VariantName": "v", "InitialInstanceCount": 2}


@pytest.mark.parametrize(
    ("config", "variants", "message"),
    [
        (rolling(percent(50)), [VARIANT, {**VARIANT, "VariantName": "w"}], "one variant, got 2"),
        (rolling(percent(50)), [{"VariantName": "v", "ServerlessConfig": {}}], "a serverless one"),
        (rolling(percent(4)), [VARIANT], "between 5 and 50"),
        (blue_green("CANARY", CanarySize=percent(51)), [VARIANT], "between 1 and 50"),
        (blue_green("CANARY"), [VARIANT], "percent or instances must be given"),
        (blue_green("ALL_AT_ONCE"), [{**VARIANT, "VariantName": "w"}], "must keep the variants"),
        (blue_green("ALL_AT_ONCE", WaitIntervalInSeconds=3600), [VARIANT], "exceed the waits"),
    ],
)
def test_an_update_that_cannot_go_by_its_policy_is_refused(
    config: dict[str, Any], variants: list[dict[str, Any]], message: str
) -> None:
    names = ["v"] if len(variants) == 1 else ["v", "w"]
    complaints = complaints_of_update(
        UpdatePolicy.from_api(config), variants=variants, replaced=names
    )

    assert any(message in complaint for complaint in complaints), complaints
