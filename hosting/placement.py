"""Where a copy of an inference component goes: which instance has room for what it needs.

A copy takes its part of one instance: processor cores, memory, accelerators. What SageMaker does
when several instances have room is said by two words of its API, SPREAD and BINPACK; which of them
counts when neither is given is not documented.

Source: service model of SageMaker, InferenceComponentComputeResourceRequirements and
InferenceComponentSchedulingConfig.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from hosting.instances import InstanceType

Strategy = Literal["BINPACK", "SPREAD"]

# Halves and quarters of cores are exact; tenths are not, and ten of them make one.
_SLACK: Final = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What an instance has, or a copy takes."""

    cpu_cores: float = 0.0
    memory_mib: float = 0.0
    accelerators: float = 0.0

    @classmethod
    def of_instance(cls, kind: InstanceType) -> Resources:
        """Everything that an instance type has.

        A number that is not known counts as endless, so that nothing is refused by mistake: that
        of the accelerators which are not GPUs, for one. How much SageMaker keeps for itself is not
        documented and not taken off.
        """
        counted = kind.processor in {"cpu", "graviton", "gpu"}
        return cls(
            cpu_cores=math.inf if kind.vcpus is None else kind.vcpus,
            memory_mib=math.inf if kind.memory_mib is None else kind.memory_mib,
            accelerators=math.inf if kind.gpus is None or not counted else kind.gpus,
        )

    @classmethod
    def from_api(cls, requirements: Mapping[str, Any]) -> Resources:
        """Read ComputeResourceRequirements; what is left out is not reserved."""
        return cls(
            cpu_cores=requirements.get("NumberOfCpuCoresRequired", 0.0),
            memory_mib=requirements["MinMemoryRequiredInMb"],
            accelerators=requirements.get("NumberOfAcceleratorDevicesRequired", 0.0),
        )

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            cpu_cores=self.cpu_cores + other.cpu_cores,
            memory_mib=self.memory_mib + other.memory_mib,
            accelerators=self.accelerators + other.accelerators,
        )

    def holds(self, other: Resources) -> bool:
        """Whether ``other`` fits into this."""
        return all(
            mine + _SLACK >= theirs
            for mine, theirs in zip(self._amounts, other._amounts, strict=True)
        )

    def share_of(self, whole: Resources) -> float:
        """The largest share that this is of any of the whole's resources."""
        return max(
            mine / all_of_it if 0 < all_of_it < math.inf else 0.0
            for mine, all_of_it in zip(self._amounts, whole._amounts, strict=True)
        )

    @property
    def _amounts(self) -> tuple[float, float, float]:
        return self.cpu_cores, self.memory_mib, self.accelerators


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupancy:
    """How full an instance is.

    ``copies`` counts those of the component that is being placed.
    """

    capacity: Resources
    used: Resources = Resources()
    copies: int = 0

    def has_room(self, needs: Resources) -> bool:
        """Whether one more copy fits."""
        return self.capacity.holds(self.used + needs)


def choose_instance(
    needs: Resources, instances: Sequence[Occupancy], strategy: Strategy
) -> int | None:
    """The position of the instance that gets the next copy; None when it fits nowhere.

    BINPACK takes the fullest instance that has room. SPREAD takes the one with the fewest copies of
    the component, of those the emptiest. The first of equals wins, so that the choice is the same
    every time.
    """
    best: tuple[tuple[float, float], int] | None = None
    for position, instance in enumerate(instances):
        if not instance.has_room(needs):
            continue
        fullness = instance.used.share_of(instance.capacity)
        order = (-fullness, 0.0) if strategy == "BINPACK" else (float(instance.copies), fullness)
        if best is None or order < best[0]:
            best = order, position
    return None if best is None else best[1]


def choose_copy(instances: Sequence[Occupancy], strategy: Strategy) -> int | None:
    """The position of the instance that gives a copy up; None when none has one.

    The reverse of placing: BINPACK empties the emptiest instance, so that it may go; SPREAD takes
    from the one with the most copies.
    """
    best: tuple[tuple[float, float], int] | None = None
    for position, instance in enumerate(instances):
        if instance.copies == 0:
            continue
        fullness = instance.used.share_of(instance.capacity)
        order = (fullness, 0.0) if strategy == "BINPACK" else (-float(instance.copies), -fullness)
        if best is None or order < best[0]:
            best = order, position
    return None if best is None else best[1]
