"""Application Auto Scaling's arithmetic: what a policy makes of a metric and a capacity.

Pure functions over frozen values; times are seconds of whatever clock the caller has. The local
runtime's autoscaler and the simulator call the same ones. Where AWS says nothing, the rule is a
field of ``ScalingChoices`` with its reason.

Sources (read 2026-11-20), below https://docs.aws.amazon.com/autoscaling/application/userguide/:
target-tracking-scaling-policy-overview.html, step-scaling-policy-overview.html.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, get_args

from hosting.limits import SCALING_DEFAULT_COOLDOWN_S

AdjustmentType = Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
Aggregation = Literal["Average", "Minimum", "Maximum"]
Direction = Literal["out", "in"]

# A quotient such as 6 * 5.0 / 5.0 must not become 7 instances by its last bit.
_ROUNDING_SLACK: Final = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingChoices:
    """What AWS's pages leave open about scaling.

    Args:
        tracking_high_datapoints: of the alarm above the target, all of them. Reported by users.
        tracking_low_datapoints: of the alarm below it. Reported by users: scaling in takes a
            quarter of an hour of low values.
        tracking_low_ratio: threshold of the lower alarm over the target. AWS: "usually more than 10
            percent lower".
        zero_counts_as: capacity that target tracking starts from when there is none. AWS says that
            a queue longer than the target wakes an endpoint even without a step policy, which a
            product with zero would not; with 0 it does not, as other reports have it.
        largest_scale_in: capacity that target tracking removes at once; None: down to what the
            metric asks for. AWS: "scales in more gradually", without a number.
        larger_scale_out_restarts_cooldown: whether a larger scale-out within a cooldown starts it
            anew. The capacity that it is measured from stays the one before the first.
        scale_out_blocks_scale_in: whether the cooldown of a scale-out also holds back scaling in.
            The pages only say that it holds back scaling out.
    """

    tracking_high_datapoints: int = 3
    tracking_low_datapoints: int = 15
    tracking_low_ratio: float = 0.9
    zero_counts_as: int = 1
    largest_scale_in: int | None = None
    larger_scale_out_restarts_cooldown: bool = True
    scale_out_blocks_scale_in: bool = False

    def __post_init__(self) -> None:
        for name in ("tracking_high_datapoints", "tracking_low_datapoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 < self.tracking_low_ratio <= 1:
            raise ValueError(
                f"tracking_low_ratio must be above 0 and at most 1, got {self.tracking_low_ratio:g}"
            )
        if self.zero_counts_as < 0:
            raise ValueError(f"zero_counts_as must be 0 or more, got {self.zero_counts_as}")
        if self.largest_scale_in is not None and self.largest_scale_in < 1:
            raise ValueError(f"largest_scale_in must be 1 or more, got {self.largest_scale_in}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The capacities that policies may choose; both ends belong to them."""

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum:
            raise ValueError(
                f"minimum must be between 0 and maximum ({self.maximum}), got {self.minimum}"
            )

    def clamp(self, capacity: int) -> int:
        """The nearest capacity within."""
        return min(max(capacity, self.minimum), self.maximum)


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetTracking:
    """Keep a metric near ``target_value`` by capacity in proportion to it."""

    target_value: float
    scale_out_cooldown_s: float = SCALING_DEFAULT_COOLDOWN_S
    scale_in_cooldown_s: float = SCALING_DEFAULT_COOLDOWN_S
    disable_scale_in: bool = False

    def __post_init__(self) -> None:
        if not self.target_value > 0:
            raise ValueError(f"target_value must be above 0, got {self.target_value:g}")
        for name in ("scale_out_cooldown_s", "scale_in_cooldown_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name):g}")

    def low_threshold(self, choices: ScalingChoices) -> float:
        """Below this the policy thinks of scaling in."""
        return self.target_value * choices.tracking_low_ratio

    def desired(
        self, capacity: int, metric: float, choices: ScalingChoices, direction: Direction
    ) -> int:
        """The capacity at which the metric would meet the target, if it is in proportion.

        Rounded up in both directions: AWS "always acts conservatively by rounding up or down",
        so as not to add too little or remove too much. A policy never moves against its alarm.
        """
        base = capacity if capacity > 0 else choices.zero_counts_as
        wanted = math.ceil(base * metric / self.target_value - _ROUNDING_SLACK)
        if direction == "out":
            return max(wanted, capacity)
        wanted = min(max(wanted, 0), capacity)
        if choices.largest_scale_in is not None:
            wanted = max(wanted, capacity - choices.largest_scale_in)
        return wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class StepAdjustment:
    """One step; the bounds are relative to the alarm's threshold, None is infinity."""

    adjustment: int
    lower_bound: float | None = None
    upper_bound: float | None = None

    @property
    def lower(self) -> float:
        """The lower bound as a number."""
        return -math.inf if self.lower_bound is None else self.lower_bound

    @property
    def upper(self) -> float:
        """The upper bound as a number."""
        return math.inf if self.upper_bound is None else self.upper_bound

    def holds(self, breach: float) -> bool:
        """Whether a metric that is ``breach`` above the threshold falls into this step.

        At or above the threshold the lower bound belongs to the step, below it the upper one.
        """
        if breach >= 0:
            return self.lower <= breach < self.upper
        return self.lower < breach <= self.upper


@dataclass(frozen=True, kw_only=True, slots=True)
class StepScaling:
    """Change the capacity by how far the metric is beyond its alarm's threshold."""

    adjustment_type: AdjustmentType
    steps: tuple[StepAdjustment, ...]
    cooldown_s: float = SCALING_DEFAULT_COOLDOWN_S
    min_adjustment_magnitude: int | None = None
    aggregation: Aggregation = "Average"

    def __post_init__(self) -> None:
        if self.adjustment_type not in get_args(AdjustmentType):
            allowed = ", ".join(get_args(AdjustmentType))
            raise ValueError(
                f"adjustment_type must be one of {allowed}, got {self.adjustment_type}"
            )
        if self.cooldown_s < 0:
            raise ValueError(f"cooldown_s must be 0 or more, got {self.cooldown_s:g}")
        complaint = step_complaint(self.steps)
        if complaint is not None:
            raise ValueError(complaint)

    def adjustment(self, breach: float) -> int | None:
        """The adjustment for a metric that is ``breach`` above the threshold; None: no step."""
        for step in self.steps:
            if step.holds(breach):
                return step.adjustment
        return None

    def desired(self, capacity: int, breach: float) -> int | None:
        """The capacity that the step asks for, before any bound; None: no step fits."""
        adjustment = self.adjustment(breach)
        if adjustment is None:
            return None
        match self.adjustment_type:
            case "ExactCapacity":
                return adjustment
            case "ChangeInCapacity":
                return max(capacity + adjustment, 0)
            case "PercentChangeInCapacity":
                change = percent_change(capacity, adjustment)
                least = self.min_adjustment_magnitude
                if least is not None and adjustment != 0 and abs(change) < least:
                    change = int(math.copysign(least, adjustment))
                return max(capacity + change, 0)

    def aggregate(self, datapoints: Sequence[float]) -> float:
        """The one value that steps are chosen by.

        Raises:
            ValueError: there are no datapoints.
        """
        if not datapoints:
            raise ValueError("datapoints must not be empty")
        match self.aggregation:
            case "Average":
                return math.fsum(datapoints) / len(datapoints)
            case "Minimum":
                return min(datapoints)
            case "Maximum":
                return max(datapoints)


def step_complaint(steps: Sequence[StepAdjustment]) -> str | None:
    """Which of AWS's rules for step adjustments these break, or None."""
    return next(_step_complaints(steps), None)


def _step_complaints(steps: Sequence[StepAdjustment]) -> Iterator[str]:
    if not steps:
        yield "steps must not be empty"
        return
    ordered = sorted(steps, key=lambda step: step.lower)
    for step in ordered:
        if step.lower_bound is None and step.upper_bound is None:
            # The API's reference says so of each step, also of an only one.
            yield "a step must have a lower or an upper bound"
        if step.lower >= step.upper:
            yield f"a step's lower bound must be below its upper one, got {step.lower:g}"
    for before, after in pairwise(ordered):
        if before.upper > after.lower:
            yield f"steps must not overlap, got two above {after.lower:g}"
        if before.upper < after.lower:
            yield f"steps must not leave a gap, got one above {before.upper:g}"
    if -math.inf < ordered[0].lower < 0:
        yield "with a negative lower bound there must be a step without a lower bound"
    if 0 < ordered[-1].upper < math.inf:
        yield "with a positive upper bound there must be a step without an upper bound"


def percent_change(capacity: int, percent: float) -> int:
    """A percentage of the capacity, rounded as AWS does: toward 0, but never to 0.

    12.7 is 12, 0.67 is 1, -0.58 is -1 and -6.67 is -6; nothing of nothing is 0.
    """
    change = capacity * percent / 100
    if change == 0:
        return 0
    if abs(change) < 1:
        return 1 if change > 0 else -1
    return math.trunc(change)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cooldown:
    """What the last scaling activity of a policy left behind.

    ``base`` is the capacity before it. ``until_s`` is infinite while the activity is under way:
    a cooldown begins when it completes.
    """

    direction: Direction
    base: int
    until_s: float

    def holds(self, direction: Direction, now_s: float) -> bool:
        """Whether it is still on, and about this direction."""
        return self.direction == direction and now_s < self.until_s


def admit_scale_out(desired_from_base: int, capacity: int) -> int | None:
    """What remains of a scale-out within the cooldown of an earlier one.

    The capacity that the earlier one has added counts: a step of 3 after a step of 2 adds 1.

    Args:
        desired_from_base: what the policy asks for from the capacity before the earlier one.
        capacity: what is there now.

    Returns:
        The new capacity, or None when the earlier one was large enough.
    """
    return desired_from_base if desired_from_base > capacity else None


def may_scale_in(cooldowns: Sequence[Cooldown], now_s: float, choices: ScalingChoices) -> bool:
    """Whether no cooldown holds back a scale-in."""
    if any(cooldown.holds("in", now_s) for cooldown in cooldowns):
        return False
    return not choices.scale_out_blocks_scale_in or not any(
        cooldown.holds("out", now_s) for cooldown in cooldowns
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What one target tracking policy would do now.

    ``direction`` None: it is content, or has no data. A policy whose scale-in is disabled makes no
    proposal to scale in and has no say in it.
    """

    direction: Direction | None
    desired: int
    may_scale_in: bool = True


def combine(capacity: int, proposals: Sequence[Proposal]) -> int:
    """What several target tracking policies do together.

    Out if any of them is ready to, in only if all that may are; the largest capacity wins.
    """
    out = [proposal.desired for proposal in proposals if proposal.direction == "out"]
    if out:
        return max(capacity, *out)
    having_say = [proposal for proposal in proposals if proposal.may_scale_in]
    if not having_say or any(proposal.direction != "in" for proposal in having_say):
        return capacity
    return min(capacity, max(proposal.desired for proposal in having_say))
