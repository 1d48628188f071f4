"""What a benchmark is going to do: endpoints to deploy, and what to measure on each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarking.records import Cell, Load, Option
from benchmarking.workload import Arrivals
from hosting.quotas import ServerlessQuota

SERVERLESS: Final[frozenset[Option]] = frozenset({"serverless", "serverless-provisioned"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """One endpoint: an option at a size.

    Args:
        instances: how many, of an option on instances.
    """

    option: Option
    memory_size_mb: int | None = None
    max_concurrency: int | None = None
    provisioned_concurrency: int | None = None
    instance_type: str | None = None
    instances: int | None = None

    @property
    def is_serverless(self) -> bool:
        """Whether it counts towards the account's serverless quota."""
        return self.option in SERVERLESS

    @property
    def costs_while_idle(self) -> bool:
        """Whether it is paid for by the hour and not by the request."""
        return self.option != "serverless"

    @property
    def key(self) -> str:
        """What tells it from the others of a run."""
        parts: list[str] = [self.option]
        if self.memory_size_mb is not None:
            parts.append(f"{self.memory_size_mb}mb")
        if self.instance_type is not None:
            parts.append(self.instance_type.removeprefix("ml.").replace(".", "-"))
        if self.instances is not None and self.instances > 1:
            parts.append(f"x{self.instances}")
        if self.is_serverless:
            parts.append(f"c{self.max_concurrency}")
        if self.provisioned_concurrency is not None:
            parts.append(f"p{self.provisioned_concurrency}")
        return "-".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One cell's worth of requests.

    Args:
        load: as the record says it.
        arrivals: when requests are sent; None in a closed loop.
        name: what tells it from the others of the same endpoint; empty for the only one.
        gap_s: how long the endpoint is left alone before, on the service's clock.
        warm_up_s: the part of the load's time, from its start, whose requests do not count.
        requests: of a closed loop that ends after them; None: it ends after the load's time.
    """

    load: Load
    arrivals: Arrivals | None = None
    name: str = ""
    gap_s: float | None = None
    warm_up_s: float = 0.0
    requests: int | None = None

    def expected_requests(self, *, service_s: float) -> float:
        """About how many requests it sends, when each takes ``service_s``."""
        if self.arrivals is not None:
            return len(self.arrivals)
        if self.requests is not None:
            return self.requests
        assert self.load.clients is not None, "a closed loop has clients"
        return self.load.clients * self.load.duration_s / (service_s + self.load.think_time_s)

    def expected_s(self, *, service_s: float) -> float:
        """About how long it takes, without its gap."""
        if self.requests is None:
            return self.load.duration_s
        assert self.load.clients is not None, "a closed loop has clients"
        return self.requests / self.load.clients * (service_s + self.load.think_time_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """An endpoint and what is measured on it, in this order.

    Args:
        infeasible: why the endpoint is not possible; then nothing is deployed.
    """

    placement: Placement
    measurements: Sequence[Measurement]
    infeasible: str | None = None

    def cell(self, measurement: Measurement) -> Cell:
        """The record of a measurement, before it."""
        placement = self.placement
        name = f"-{measurement.name}" if measurement.name else ""
        return Cell(
            id=f"{placement.key}{name}",
            option=placement.option,
            memory_size_mb=placement.memory_size_mb,
            max_concurrency=placement.max_concurrency,
            provisioned_concurrency=placement.provisioned_concurrency,
            instance_type=placement.instance_type,
            min_instances=placement.instances,
            max_instances=placement.instances,
            load=measurement.load,
            gap_s=measurement.gap_s,
            infeasible=self.infeasible,
        )


def waves(trials: Iterable[Trial], quota: ServerlessQuota | None) -> Iterator[list[Trial]]:
    """Split trials into those that are deployed together.

    What is paid for while it waits is deployed alone, so that it is there only while it is
    measured. The others are as many together as the account's quota admits; a trial that is larger
    than the whole quota is alone, and AWS says what it thinks of it.

    Args:
        quota: None: there is no limit.
    """
    waiting: list[Trial] = []
    for trial in trials:
        if trial.placement.costs_while_idle:
            yield [trial]
            continue
        together = [*waiting, trial]
        if waiting and quota is not None and not _fits(together, quota):
            yield waiting
            together = [trial]
        waiting = together
    if waiting:
        yield waiting


def _fits(trials: Sequence[Trial], quota: ServerlessQuota) -> bool:
    concurrency = sum(
        trial.placement.max_concurrency
        for trial in trials
        if trial.placement.max_concurrency is not None
    )
    return len(trials) <= quota.endpoints and concurrency <= quota.concurrency
