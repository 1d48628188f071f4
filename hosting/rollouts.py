"""How an update of an endpoint moves traffic, and which of it the service accepts.

Sources: service model of DeploymentConfig (botocore 1.44.5) for sizes and times;
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html for what
guardrails are not for (2026-11-20).
"""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

from hosting import limits, validation

Strategy = Literal["all-at-once", "canary", "linear", "rolling"]

_PERCENT: Final[dict[Strategy, limits.Bounds]] = {
    "canary": limits.CANARY_SIZE_PERCENT,
    "linear": limits.LINEAR_STEP_PERCENT,
    "rolling": limits.ROLLING_BATCH_PERCENT,
}
# Of an instance count, the service takes as much as of a percentage: half of them at most.
LARGEST_SHARE: Final = 0.5


def batches(percent: float) -> int:
    """How often a rollout in steps of ``percent`` waits at least: the last step waits for nothing.

    >>> [batches(percent) for percent in (50, 25, 10)]
    [1, 3, 9]
    """
    return max(1, math.ceil(100 / percent) - 1)


def complaints(
    strategy: Strategy,
    *,
    percent: float | None,
    instances: int | None,
    wait_s: float,
    termination_wait_s: float,
    timeout_s: float | None,
) -> list[str]:
    """Check one rollout by itself."""
    if strategy not in get_args(Strategy):
        return [f"strategy must be one of {', '.join(get_args(Strategy))}, got {strategy!r}"]
    found = [
        *validation.within("wait", wait_s, limits.WAIT_INTERVAL_S),
        *validation.within("termination_wait", termination_wait_s, limits.TERMINATION_WAIT_S),
    ]
    if strategy in _PERCENT:
        if (percent is None) == (instances is None):
            got = "neither" if percent is None else "both"
            found.append(f"either percent or instances must be given, got {got}")
        if percent is not None:
            found.extend(validation.within("percent", percent, _PERCENT[strategy]))
        if instances is not None and instances < 1:
            found.append(f"instances must be 1 or more, got {instances}")
    elif percent is not None or instances is not None:
        found.append(f"percent and instances must be left out of {strategy} rollouts")
    if timeout_s is not None:
        found.extend(validation.within("timeout", timeout_s, limits.DEPLOYMENT_TIMEOUT_S))
        waits_s = termination_wait_s + wait_s * (
            batches(percent) if strategy in {"linear", "rolling"} and percent else 1
        )
        if timeout_s <= waits_s:
            found.append(
                f"timeout must exceed the waits together ({waits_s:g} s), got {timeout_s:g}"
            )
    return found


def complaints_of_endpoint(
    strategy: Strategy,
    *,
    instances: int | None,
    instance_types: list[str],
    variants: int,
    fixed_count: int | None,
) -> list[str]:
    """Check a rollout against the endpoint that it is for.

    Args:
        strategy: how traffic moves.
        instances: size of a step, where it is given as a number of instances.
        instance_types: of all variants.
        variants: how many there are.
        fixed_count: instances of the smallest variant, where nothing scales it; else None.
    """
    found = []
    inferentia = sorted(name for name in instance_types if name.startswith("ml.inf1."))
    if inferentia:
        found.append(
            f"rollout must be left out on {', '.join(inferentia)}: the service then moves all"
            " traffic at once, without waiting"
        )
    if strategy == "rolling" and variants > 1:
        found.append(f"rolling rollouts must have one variant, got {variants}")
    if strategy == "all-at-once" or fixed_count is None:
        return found
    if fixed_count < 2:
        found.append(f"{strategy} rollouts must have 2 instances or more, got {fixed_count}")
    elif instances is not None and instances > fixed_count * LARGEST_SHARE:
        most = math.floor(fixed_count * LARGEST_SHARE)
        found.append(f"instances must be at most half of {fixed_count} ({most}), got {instances}")
    return found
