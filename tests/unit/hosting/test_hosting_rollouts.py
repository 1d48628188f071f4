"""Which rollouts the service accepts, and how often they wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting import rollouts


@given(percent=st.integers(1, 100))
def test_batches_cover_all_instances(percent: int) -> None:
    """One batch after each wait, and the first before any."""
    waits = rollouts.batches(percent)

    assert (waits + 1) * percent >= 100
    assert waits == 1 or waits * percent < 100


@pytest.mark.parametrize("strategy", ["linear", "rolling"])
def test_timeout_counts_a_wait_for_each_step(strategy: rollouts.Strategy) -> None:
    def complaints(timeout_s: float) -> list[str]:
        return rollouts.complaints(
            strategy,
            percent=25,
            instances=None,
            wait_s=600,
            termination_wait_s=0,
            timeout_s=timeout_s,
        )

    assert complaints(1801) == []
    assert complaints(1800) == ["timeout must exceed the waits together (1800 s), got 1800"]


def test_all_faults_are_named_at_once() -> None:
    found = rollouts.complaints(
        "canary", percent=90, instances=None, wait_s=-1, termination_wait_s=4000, timeout_s=1
    )

    assert [each.partition(" ")[0] for each in found] == [
        "wait",
        "termination_wait",
        "percent",
        "timeout",
        "timeout",
    ]


def test_what_is_scaled_may_be_large_enough_by_then() -> None:
    assert (
        rollouts.complaints_of_endpoint(
            "canary", instances=3, instance_types=["ml.m5.large"], variants=2, fixed_count=None
        )
        == []
    )
