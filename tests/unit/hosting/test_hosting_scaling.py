"""What policies make of metrics: AWS's worked examples, and laws for any values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.scaling import (
    Bounds,
    Cooldown,
    Proposal,
    ScalingChoices,
    StepAdjustment,
    StepScaling,
    TargetTracking,
    admit_scale_out,
    combine,
    may_scale_in,
    percent_change,
    step_complaint,
)

CHOICES = ScalingChoices()

# The user guide's example: threshold 50, capacity 10, percentages.
GUIDE_OUT = StepScaling(
    adjustment_type="PercentChangeInCapacity",
    steps=(
        StepAdjustment(adjustment=0, lower_bound=0, upper_bound=10),
        StepAdjustment(adjustment=10, lower_bound=10, upper_bound=20),
        StepAdjustment(adjustment=30, lower_bound=20),
    ),
)
GUIDE_IN = StepScaling(
    adjustment_type="PercentChangeInCapacity",
    steps=(
        StepAdjustment(adjustment=0, lower_bound=-10, upper_bound=0),
        StepAdjustment(adjustment=-10, lower_bound=-20, upper_bound=-10),
        StepAdjustment(adjustment=-30, upper_bound=-20),
    ),
)

capacities = st.integers(0, 200)
metrics = st.floats(0, 1e6, allow_nan=False)
targets = st.floats(1e-3, 1e5, allow_nan=False)


@st.composite
def contiguous_steps(draw: st.DrawFn) -> tuple[StepAdjustment, ...]:
    """Steps that cover the whole line, in any order."""
    edges = draw(st.lists(st.integers(-100, 100), min_size=1, max_size=6, unique=True))
    bounds: list[float | None] = [None, *sorted(edges), None]
    steps = [
        StepAdjustment(
            adjustment=draw(st.integers(-50, 50)), lower_bound=bounds[i], upper_bound=bounds[i + 1]
        )
        for i in range(len(bounds) - 1)
    ]
    return tuple(draw(st.permutations(steps)))


def test_the_guides_example_of_steps_goes_from_10_to_11_to_14_to_13_to_10() -> None:
    capacities = [10]
    for policy, metric in ((GUIDE_OUT, 60), (GUIDE_OUT, 70), (GUIDE_IN, 40), (GUIDE_IN, 30)):
        desired = policy.desired(capacities[-1], metric - 50)
        assert desired is not None
        capacities.append(desired)

    assert capacities == [10, 11, 14, 13, 10]


@pytest.mark.parametrize("metric", [50, 59.9, 49, 40.1])
def test_the_guides_example_leaves_the_capacity_between_40_and_60(metric: float) -> None:
    policy = GUIDE_OUT if metric >= 50 else GUIDE_IN

    assert policy.desired(10, metric - 50) == 10


@pytest.mark.parametrize(
    ("percent", "change"), [(127, 12), (6.7, 1), (-5.8, -1), (-66.7, -6), (0, 0)]
)
def test_percentages_round_as_the_guide_says(percent: float, change: int) -> None:
    assert percent_change(10, percent) == change


def test_a_minimum_magnitude_lifts_a_small_percentage() -> None:
    policy = StepScaling(
        adjustment_type="PercentChangeInCapacity",
        steps=(StepAdjustment(adjustment=25, lower_bound=0),),
        min_adjustment_magnitude=2,
    )

    assert policy.desired(4, 0) == 6


def test_exact_capacity_does_not_look_at_the_present_one() -> None:
    policy = StepScaling(
        adjustment_type="ExactCapacity", steps=(StepAdjustment(adjustment=5, lower_bound=0),)
    )

    assert [policy.desired(capacity, 1) for capacity in (0, 3, 9)] == [5, 5, 5]


def test_the_first_instance_comes_by_the_step_of_awss_async_example() -> None:
    policy = StepScaling(
        adjustment_type="ChangeInCapacity", steps=(StepAdjustment(adjustment=1, lower_bound=0),)
    )

    assert policy.desired(0, 0.0) == 1


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "empty"),
        ([StepAdjustment(adjustment=1)], "a lower or an upper bound"),
        ([StepAdjustment(adjustment=1, lower_bound=3, upper_bound=3)], "below its upper"),
        (
            [
                StepAdjustment(adjustment=1, lower_bound=0, upper_bound=5),
                StepAdjustment(adjustment=2, lower_bound=4),
            ],
            "overlap",
        ),
        (
            [
                StepAdjustment(adjustment=1, lower_bound=0, upper_bound=5),
                StepAdjustment(adjustment=2, lower_bound=6),
            ],
            "gap",
        ),
        ([StepAdjustment(adjustment=1, lower_bound=0, upper_bound=5)], "without an upper"),
        ([StepAdjustment(adjustment=1, lower_bound=-5, upper_bound=0)], "without a lower"),
    ],
)
def test_steps_that_aws_refuses_are_refused(steps: list[StepAdjustment], words: str) -> None:
    assert words in str(step_complaint(steps))
    with pytest.raises(ValueError, match=words):
        StepScaling(adjustment_type="ChangeInCapacity", steps=tuple(steps))


@given(steps=contiguous_steps(), breach=st.floats(-150, 150))
def test_exactly_one_of_contiguous_steps_holds_any_breach(
    steps: tuple[StepAdjustment, ...], breach: float
) -> None:
    assert step_complaint(steps) is None
    assert sum(step.holds(breach) for step in steps) == 1


@given(steps=contiguous_steps(), capacity=capacities, breach=st.floats(-150, 150))
def test_steps_never_ask_for_less_than_nothing(
    steps: tuple[StepAdjustment, ...], capacity: int, breach: float
) -> None:
    for kind in ("ChangeInCapacity", "PercentChangeInCapacity"):
        policy = StepScaling(adjustment_type=kind, steps=steps)

        desired = policy.desired(capacity, breach)

        assert desired is not None
        assert desired >= 0
        adjustment = policy.adjustment(breach)
        assert adjustment is not None
        assert (desired - capacity) * adjustment >= 0


@given(capacity=st.integers(1, 200), per_cent=st.integers(1, 1000))
def test_a_percentage_changes_something_in_its_direction(capacity: int, per_cent: int) -> None:
    assert percent_change(capacity, per_cent) >= 1
    assert percent_change(capacity, -per_cent) == -percent_change(capacity, per_cent)


@pytest.mark.parametrize(
    ("capacity", "metric", "desired"),
    [(1, 15.0, 3), (2, 5.1, 3), (6, 5.0, 6), (3, 5.0, 3), (0, 12.0, 3)],
)
def test_target_tracking_scales_out_in_proportion(
    capacity: int, metric: float, desired: int
) -> None:
    assert TargetTracking(target_value=5).desired(capacity, metric, CHOICES, "out") == desired


@pytest.mark.parametrize(("capacity", "metric", "desired"), [(5, 2.0, 2), (5, 0.0, 0), (1, 0.1, 1)])
def test_target_tracking_rounds_up_when_it_scales_in(
    capacity: int, metric: float, desired: int
) -> None:
    assert TargetTracking(target_value=5).desired(capacity, metric, CHOICES, "in") == desired


def test_with_zero_counting_as_zero_target_tracking_cannot_leave_it() -> None:
    choices = ScalingChoices(zero_counts_as=0)

    assert TargetTracking(target_value=5).desired(0, 100.0, choices, "out") == 0


def test_a_limited_scale_in_goes_step_by_step() -> None:
    choices = ScalingChoices(largest_scale_in=1)

    assert TargetTracking(target_value=5).desired(5, 0.0, choices, "in") == 4


@given(capacity=capacities, metric=metrics, target=targets)
def test_a_policy_never_moves_against_its_alarm(
    capacity: int, metric: float, target: float
) -> None:
    policy = TargetTracking(target_value=target)

    assert policy.desired(capacity, metric, CHOICES, "out") >= capacity
    assert 0 <= policy.desired(capacity, metric, CHOICES, "in") <= capacity


@given(capacity=capacities, low=metrics, more=metrics, target=targets)
def test_a_larger_metric_never_asks_for_less_capacity(
    capacity: int, low: float, more: float, target: float
) -> None:
    policy = TargetTracking(target_value=target)

    for direction in ("out", "in"):
        smaller = policy.desired(capacity, low, CHOICES, direction)
        larger = policy.desired(capacity, low + more, CHOICES, direction)
        assert smaller <= larger


@given(capacity=st.integers(1, 200), metric=metrics, target=targets)
def test_the_capacity_that_is_asked_for_brings_the_metric_to_its_target(
    capacity: int, metric: float, target: float
) -> None:
    policy = TargetTracking(target_value=target)
    direction = "out" if metric > target else "in"

    desired = policy.desired(capacity, metric, CHOICES, direction)  # type: ignore[arg-type]

    if desired > 0:
        assert capacity * metric / desired <= target * (1 + 1e-6)
    else:
        assert metric * capacity <= target * 1e-6


@given(low=st.integers(0, 50), width=st.integers(0, 50), capacity=st.integers(-100, 300))
def test_clamped_capacities_are_within_their_bounds(low: int, width: int, capacity: int) -> None:
    bounds = Bounds(minimum=low, maximum=low + width)

    clamped = bounds.clamp(capacity)

    assert bounds.minimum <= clamped <= bounds.maximum
    assert clamped == capacity or not bounds.minimum <= capacity <= bounds.maximum


def test_within_a_cooldown_the_capacity_added_before_counts() -> None:
    """The guide's example: 2 were added, then a step of 3 adds 1 more."""
    base, now = 10, 12

    assert admit_scale_out(base + 3, now) == 13
    assert admit_scale_out(base + 2, now) is None


@given(ends=st.lists(st.floats(0, 100), max_size=4), now=st.floats(0, 100), out=st.floats(0, 100))
def test_nothing_scales_in_within_a_scale_in_cooldown(
    ends: list[float], now: float, out: float
) -> None:
    cooldowns = [Cooldown(direction="in", base=2, until_s=end) for end in ends]
    cooldowns.append(Cooldown(direction="out", base=2, until_s=out))

    assert may_scale_in(cooldowns, now, CHOICES) == all(now >= end for end in ends)


def test_a_scale_out_holds_back_scaling_in_only_when_chosen() -> None:
    cooldowns = [Cooldown(direction="out", base=1, until_s=10)]

    assert may_scale_in(cooldowns, 5, ScalingChoices())
    assert not may_scale_in(cooldowns, 5, ScalingChoices(scale_out_blocks_scale_in=True))


def test_an_activity_under_way_holds_back_scaling_in() -> None:
    assert not may_scale_in([Cooldown(direction="in", base=3, until_s=math.inf)], 1e9, CHOICES)


def test_policies_scale_out_together_when_one_is_ready_and_in_when_all_are() -> None:
    out = Proposal(direction="out", desired=7)
    inwards = Proposal(direction="in", desired=2)
    content = Proposal(direction=None, desired=4)

    assert combine(4, [inwards, out]) == 7
    assert combine(4, [out, Proposal(direction="out", desired=9)]) == 9
    assert combine(4, [inwards, content]) == 4
    assert combine(4, [inwards, Proposal(direction="in", desired=3)]) == 3


def test_a_policy_without_scale_in_has_no_say_in_it() -> None:
    quiet = Proposal(direction=None, desired=4, may_scale_in=False)

    assert combine(4, [Proposal(direction="in", desired=2), quiet]) == 2
    assert combine(4, [quiet]) == 4


@given(
    capacity=capacities,
    proposals=st.lists(
        st.builds(
            Proposal,
            direction=st.sampled_from(["out", "in", None]),
            desired=capacities,
            may_scale_in=st.booleans(),
        ),
        max_size=5,
    ),
)
def test_a_combination_is_the_largest_that_one_of_the_ready_policies_asks_for(
    capacity: int, proposals: list[Proposal]
) -> None:
    result = combine(capacity, proposals)

    directions = {proposal.direction for proposal in proposals}
    if result > capacity:
        assert "out" in directions
    if result < capacity:
        assert "out" not in directions
        assert all(p.direction == "in" for p in proposals if p.may_scale_in)
        assert result >= max(p.desired for p in proposals if p.may_scale_in)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tracking_high_datapoints", 0),
        ("tracking_low_datapoints", 0),
        ("tracking_low_ratio", 0.0),
        ("tracking_low_ratio", 1.5),
        ("zero_counts_as", -1),
        ("largest_scale_in", 0),
    ],
)
def test_choices_that_mean_nothing_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        ScalingChoices(**{name: value})  # type: ignore[arg-type]
