"""A DeploymentConfig: the steps in which an update of an endpoint moves its traffic.

Sources: service model of DeploymentConfig (botocore 1.44.5), and
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html (2026-11-20).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hosting import rollouts
from hosting.rollouts import Strategy

_STRATEGIES: Final[Mapping[str, Strategy]] = {
    "ALL_AT_ONCE": "all-at-once",
    "CANARY": "canary",
    "LINEAR": "linear",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdatePolicy:
    """How an update reaches the traffic; without arguments, as SageMaker does by itself.

    Args:
        strategy: how traffic moves.
        percent: size of the canary, of a step or of a batch, in percent of the instances.
        instances: the same in instances, instead.
        wait_s: between steps, while alarms are watched; after the only step of all-at-once.
        termination_wait_s: how long the old fleet is kept after the last step.
        timeout_s: after which an update that is not done is taken back.
        rollback_percent: how many of a rolling update's old instances come back at once.
        alarms: names of those that take the update back.
    """

    strategy: Strategy = "all-at-once"
    percent: int | None = None
    instances: int | None = None
    wait_s: float = 0
    termination_wait_s: float = 0
    timeout_s: float | None = None
    rollback_percent: float = 100
    rollback_instances: int | None = None
    alarms: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, config: Mapping[str, Any] | None) -> UpdatePolicy:
        """Read the ``DeploymentConfig`` of a request; None: there was none."""
        if config is None:
            return cls()
        watched = config.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        alarms = tuple(alarm["AlarmName"] for alarm in watched)
        if "RollingUpdatePolicy" in config:
            rolling = config["RollingUpdatePolicy"]
            back = rolling.get("RollbackMaximumBatchSize")
            return cls(
                strategy="rolling",
                **_size(rolling["MaximumBatchSize"]),
                wait_s=rolling["WaitIntervalInSeconds"],
                timeout_s=rolling.get("MaximumExecutionTimeoutInSeconds"),
                rollback_percent=100 if back is None else _size(back)["percent"] or 100,
                rollback_instances=None if back is None else _size(back)["instances"],
                alarms=alarms,
            )
        policy = config.get("BlueGreenUpdatePolicy")
        if policy is None:
            return cls(alarms=alarms)
        routing = policy["TrafficRoutingConfiguration"]
        step = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(routing["Type"])
        size = {} if step is None or step not in routing else _size(routing[step])
        return cls(
            strategy=_STRATEGIES[routing["Type"]],
            **size,
            wait_s=routing["WaitIntervalInSeconds"],
            termination_wait_s=policy.get("TerminationWaitInSeconds", 0),
            timeout_s=policy.get("MaximumExecutionTimeoutInSeconds"),
            alarms=alarms,
        )

    def complaints(self) -> list[str]:
        """What the service refuses about it."""
        return rollouts.complaints(
            self.strategy,
            percent=self.percent,
            instances=self.instances,
            wait_s=self.wait_s,
            termination_wait_s=self.termination_wait_s,
            timeout_s=self.timeout_s,
        )

    def shares(self, instances: int) -> tuple[float, ...]:
        """The share of the traffic that the new fleet has after each step; the last is 1.

        Args:
            instances: how many the new fleet has; what is given in percent needs no number.
        """
        if self.strategy == "all-at-once":
            return (1.0,)
        step = self._step(instances)
        if self.strategy == "canary":
            return (step, 1.0) if step < 1 else (1.0,)
        count = math.ceil(1 / step - 1e-9)
        return (*(step * number for number in range(1, count)), 1.0)

    def batches(self, instances: int) -> tuple[int, ...]:
        """How many instances of the new fleet run after each step of a rolling update.

        At least one joins at each; what a percentage leaves of an instance is dropped.
        """
        return _cumulated(self.percent, self.instances, instances)

    def rollback_batches(self, instances: int) -> tuple[int, ...]:
        """How many instances of the old fleet have come back after each step of a rollback."""
        return _cumulated(self.rollback_percent, self.rollback_instances, instances)

    def waits_after(self, step: int, steps: int) -> bool:
        """Whether ``wait_s`` passes after a step, counted from 0; the last step waits for nothing
        unless it is the only one."""
        return steps == 1 or step < steps - 1

    def _step(self, instances: int) -> float:
        if self.percent is not None:
            return self.percent / 100
        assert self.instances is not None
        return min(self.instances / max(instances, 1), 1.0)


def _size(size: Mapping[str, Any]) -> dict[str, Any]:
    is_count = size["Type"] == "INSTANCE_COUNT"
    return {
        "percent": None if is_count else size["Value"],
        "instances": size["Value"] if is_count else None,
    }


def _cumulated(percent: float | None, count: int | None, instances: int) -> tuple[int, ...]:
    if count is None:
        assert percent is not None
        count = math.floor(instances * percent / 100 + 1e-9)
    count = max(count, 1)
    full = itertools.takewhile(lambda n: n < instances, itertools.count(count, count))
    return (*full, instances)


def complaints_of_update(
    policy: UpdatePolicy, *, variants: Sequence[Mapping[str, Any]], replaced: Sequence[str]
) -> list[str]:
    """Check a policy against the configuration that an update brings.

    Args:
        policy: how traffic shall move.
        variants: the production variants of the new configuration, as the API has them.
        replaced: names of those before.
    """
    names = [variant["VariantName"] for variant in variants]
    found = policy.complaints()
    if sorted(names) != sorted(replaced):
        found.append(
            "an update with a DeploymentConfig must keep the variants"
            f" ({', '.join(replaced)}), got {', '.join(names)}"
        )
    if policy.strategy == "rolling":
        if len(variants) > 1:
            found.append(f"rolling updates must have one variant, got {len(variants)}")
        if any("ServerlessConfig" in variant for variant in variants):
            found.append("rolling updates must have a variant on instances, got a serverless one")
    return found
