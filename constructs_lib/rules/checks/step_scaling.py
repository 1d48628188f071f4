"""Steps of a step scaling policy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Policy, Serving
from hosting.expression import Unresolved


@check("SM-T2")
def _steps_join_without_gap(serving: Serving) -> Iterator[Fault]:
    for policy in serving.policies:
        if policy.target is None:
            continue
        steps = _known_steps(policy)
        if steps is None:
            continue
        for message in _complaints(steps):
            path = "StepScalingPolicyConfiguration.StepAdjustments"
            yield Fault(policy.resource, path, message)


def _known_steps(policy: Policy) -> list[tuple[float, float]] | None:
    """Lower and upper bound of each step; None when one is not known."""
    adjustments = policy.resource.get("StepScalingPolicyConfiguration", "StepAdjustments")
    if not isinstance(adjustments, list):
        return None
    steps = []
    for adjustment in adjustments:
        bounds = []
        for name, open_end in (
            ("MetricIntervalLowerBound", -math.inf),
            ("MetricIntervalUpperBound", math.inf),
        ):
            bound = values.at(adjustment, name)
            value = open_end if bound is None else values.number(bound)
            if value is None or isinstance(adjustment, Unresolved):
                return None
            bounds.append(value)
        steps.append((bounds[0], bounds[1]))
    return sorted(steps)


def _complaints(steps: list[tuple[float, float]]) -> Iterator[str]:
    if not steps:
        yield "StepAdjustments must hold at least one step, got none"
        return
    for lower, upper in steps:
        if lower == -math.inf and upper == math.inf:
            yield "a step must have a lower or an upper bound, got one with neither"
        elif lower >= upper:
            yield f"a step's lower bound must be below its upper one, got {lower:g} and {upper:g}"
    for (_, end), (start, _) in pairwise(steps):
        if start > end:
            yield f"steps must join, got a gap from {end:g} to {start:g}"
        if start < end:
            yield f"steps must not overlap, got {start:g} to {end:g} twice"
    first, last = steps[0][0], max(upper for _, upper in steps)
    if -math.inf < first < 0:
        yield f"steps below the threshold must reach down without a bound, got {first:g}"
    if 0 < last < math.inf:
        yield f"steps above the threshold must reach up without a bound, got {last:g}"
