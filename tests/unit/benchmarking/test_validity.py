"""When the client, not the endpoint, was measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarking.records import ClientHealth
from benchmarking.validity import health


def judged(**seen: Any) -> ClientHealth:
    quiet: dict[str, Any] = {
        "lateness_s": [0.0001] * 1000,
        "loop_lag_s": [0.0001] * 1000,
        "service_times_s": [0.1] * 1000,
        "cpu_share": 0.1,
        "backlog_max": 1,
        "clock_step_s": 0.0,
    }
    return health(**{**quiet, **seen})


def test_a_client_that_keeps_to_its_plan_is_valid() -> None:
    found = judged()

    assert found.valid
    assert (found.lateness_p99_s, found.loop_lag_p99_s) == (0.0001, 0.0001)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (
            {"lateness_s": [0.0] * 980 + [0.012] * 20},
            "sent 12.0 ms late or later, allowed are 10.0",
        ),
        ({"loop_lag_s": [0.02] * 1000}, "event loop lagged by 20.0 ms"),
        ({"cpu_share": 0.9}, "used 90% of a processor, allowed are 80%"),
    ],
)
def test_a_client_that_was_the_bottleneck_is_named(seen: dict[str, Any], reason: str) -> None:
    found = judged(**seen)

    assert not found.valid
    assert len(found.reasons) == 1
    assert reason in found.reasons[0]


def test_the_faster_the_endpoint_the_stricter_the_plan_is_kept() -> None:
    lateness_s = [0.002] * 1000

    assert judged(lateness_s=lateness_s, service_times_s=[0.1] * 9).valid
    assert not judged(lateness_s=lateness_s, service_times_s=[0.001] * 9).valid


def test_one_interruption_does_not_decide() -> None:
    assert judged(lateness_s=[0.0] * 999 + [1.0]).valid
    assert judged(lateness_s=[0.0] * 9 + [1.0]).valid


def test_a_closed_loop_has_no_lateness() -> None:
    found = judged(lateness_s=[])

    assert found.valid
    assert found.lateness_p99_s is None


def test_a_run_in_which_nothing_went_well_is_judged_too() -> None:
    assert judged(service_times_s=[]).valid


def test_a_clock_that_was_set_is_noted_and_spoils_nothing() -> None:
    found = judged(clock_step_s=-3600.0)

    assert found.valid
    assert "the wall clock was set by -3600.0 s" in found.notes[0]


def test_lateness_that_cannot_decide_about_the_objective_is_allowed() -> None:
    late: dict[str, Any] = {"lateness_s": [0.004] * 1000, "service_times_s": [0.003] * 9}

    assert not judged(**late).valid
    assert not judged(**late, objective_s=0.05).valid
    assert judged(**late, objective_s=0.2).valid
