"""How a CloudWatch alarm decides its state from datapoints, missing ones included.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
(read 2026-11-20); its two tables are tests of this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
MissingData = Literal["missing", "ignore", "breaching", "notBreaching"]
Comparison = Literal[
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
]

# AWS retrieves more datapoints than it needs; how many depends on the period and is not said. Its
# example reads 5 for an alarm on 3.
EXTRA_DATAPOINTS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmRule:
    """When an alarm on a metric goes off: M of N datapoints beyond the threshold."""

    comparison: Comparison
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_data: MissingData = "missing"

    def __post_init__(self) -> None:
        if self.comparison not in get_args(Comparison):
            allowed = ", ".join(get_args(Comparison))
            raise ValueError(f"comparison must be one of {allowed}, got {self.comparison}")
        if self.missing_data not in get_args(MissingData):
            allowed = ", ".join(get_args(MissingData))
            raise ValueError(f"missing_data must be one of {allowed}, got {self.missing_data}")
        if not 1 <= self.datapoints_to_alarm <= self.evaluation_periods:
            raise ValueError(
                "datapoints_to_alarm must be between 1 and evaluation_periods"
                f" ({self.evaluation_periods}), got {self.datapoints_to_alarm}"
            )

    def breaches(self, value: float) -> bool:
        """Whether a datapoint is beyond the threshold."""
        match self.comparison:
            case "GreaterThanOrEqualToThreshold":
                return value >= self.threshold
            case "GreaterThanThreshold":
                return value > self.threshold
            case "LessThanThreshold":
                return value < self.threshold
            case "LessThanOrEqualToThreshold":
                return value <= self.threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The state that an alarm comes to, and the datapoints that decided, newest first.

    ``used`` holds positions in the evaluation range, 0 for the newest; ``filled`` counts the
    missing datapoints that ``missing_data`` stood in for.
    """

    state: State
    used: tuple[int, ...]
    filled: int


def evaluate(points: Sequence[float | None], rule: AlarmRule, current: State) -> Verdict:
    """Decide the state.

    Args:
        points: the evaluation range, newest first; None where there is no datapoint.
        rule: the alarm's.
        current: the state so far, which "ignore" keeps.
    """
    needed = rule.evaluation_periods
    present = [position for position, value in enumerate(points) if value is not None]
    used = tuple(present[:needed])
    filled = needed - len(used)
    values = [value for value in points if value is not None][:needed]
    breaching = sum(rule.breaches(value) for value in values)
    filled_as_fine = filled == 0 or rule.missing_data in {"breaching", "notBreaching"}
    count = breaching + filled if rule.missing_data == "breaching" else breaching
    state: State
    if count >= rule.datapoints_to_alarm:
        state = "ALARM"
    elif filled_as_fine or breaching < len(used):
        state = "OK"
    elif rule.missing_data == "ignore":
        state = current
    elif used and used[-1] + 1 >= rule.datapoints_to_alarm:
        # Nothing but breaches, the oldest long enough ago: more would have come by now.
        state = "ALARM"
    else:
        # No datapoint at all, or breaches so young that the next one may be fine.
        state = "INSUFFICIENT_DATA"
    return Verdict(state=state, used=used, filled=filled)


def evaluation_range(rule: AlarmRule, extra: int = EXTRA_DATAPOINTS) -> int:
    """How many periods an evaluation looks back."""
    return rule.evaluation_periods + extra


def has_few_samples(percentile: float, samples: float) -> bool:
    """Whether a percentile (0..100) of so few samples means little.

    Fewer than 10/(1-p) samples from the median on, fewer than 10/p below it.
    """
    rest = 100 - percentile if percentile >= 50 else percentile
    # Rounded, because 100 samples are enough for the 90th percentile, and 0.1 is no binary number.
    return rest <= 0 or round(samples * rest, 6) < 1000
