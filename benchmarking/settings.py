"""What the user asked for, checked; kept in the run's record so that it can be taken up again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from pydantic import TypeAdapter, ValidationError

from benchmarking import workload
from benchmarking.errors import RefusedError
from benchmarking.plan import Measurement
from benchmarking.records import Load, Objective, Option, Traffic, Verb
from benchmarking.workload import Arrivals
from hosting import instances, limits, validation

Arrival = Literal["poisson", "constant", "burst", "ramp", "trace", "closed"]
ARRIVALS: Final[tuple[Arrival, ...]] = get_args(Arrival)
OPTIONS: Final[tuple[Option, ...]] = get_args(Option)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One run's arguments.

    Args:
        payloads: the file.
        memory_sizes: of serverless endpoints, in MB.
        max_concurrency: of serverless endpoints; verbs other than ``concurrency`` use one.
        rates: requests per second; none for a closed loop.
        duration_s: of each cell's counted requests.
        warm_up_s: before them.
        clients: of a closed loop.
        client_multiples: of ``concurrency``: clients per unit of MaxConcurrency.
        requests: of a closed loop that ends after so many.
        ramp_from: the rate that a ramp starts with; it ends with the rate.
        burst_size: requests of a burst.
        burst_every_s: between two bursts.
        gaps_s: idle times of ``cold``, on the service's clock.
        bursts: requests at once after each gap of ``cold``.
        repeats: how often each gap is tried.
        provisioned_memory_sizes: of ``compare``; none: the size that is cheapest on demand.
        exhaustive: whether ``search`` tests every memory size.
        copies: models behind a multi-model endpoint.
        timeout_s: of a request; None: what the option needs.
        processes: how many send the requests of an open loop.
        bill_cold_starts, free_tier, volume_gb: how costs are counted (``benchmarking.cost.Terms``).
        price_list: a file that prices are taken from; None: the list of this package.
        assumed_service_s: of a request, for the estimate before anything is measured.
    """

    verb: Verb
    model_name: str
    payloads: str
    region: str
    seed: int = 1
    memory_sizes: tuple[int, ...] = limits.SERVERLESS_MEMORY_MB
    max_concurrency: tuple[int, ...] = (5,)
    arrival: Arrival = "poisson"
    rates: tuple[float, ...] = ()
    duration_s: float = 60.0
    warm_up_s: float = 0.0
    clients: int = 1
    client_multiples: tuple[float, ...] = (1.0, 1.5, 2.0)
    requests: int | None = None
    think_time_s: float = 0.0
    ramp_from: float = 0.0
    burst_size: int = 10
    burst_every_s: float = 10.0
    trace: str | None = None
    trace_speed: float = 1.0
    gaps_s: tuple[float, ...] = ()
    bursts: tuple[int, ...] = (1,)
    repeats: int = 3
    options: tuple[Option, ...] = OPTIONS
    instance_types: tuple[str, ...] = ("ml.m5.large",)
    instances: int = 1
    provisioned_concurrency: int = 1
    provisioned_memory_sizes: tuple[int, ...] = ()
    exhaustive: bool = False
    copies: int = 1
    bucket: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    objective: Objective = field(default_factory=Objective)
    traffic: Traffic | None = None
    budget_usd: str | None = None
    timeout_s: float | None = None
    give_up_after: int = 50
    processes: int = 1
    assumed_service_s: float = 0.5
    serverless_quota: tuple[int, int] | None = None
    bill_cold_starts: bool = False
    free_tier: bool = False
    volume_gb: int | None = None
    price_list: str | None = None
    keep_going: bool = True
    metrics: bool = True
    fail_if: str | None = None
    layout: Literal["plain", "classic"] = "plain"

    def __post_init__(self) -> None:
        complaints: list[str] = []
        for size in (*self.memory_sizes, *self.provisioned_memory_sizes):
            if size not in limits.SERVERLESS_MEMORY_MB:
                allowed = ", ".join(map(str, limits.SERVERLESS_MEMORY_MB))
                complaints.append(f"memory_sizes must be among {allowed}, got {size}")
        for concurrency in self.max_concurrency:
            complaints += validation.within(
                "max_concurrency", concurrency, limits.SERVERLESS_MAX_CONCURRENCY
            )
        complaints += validation.within(
            "provisioned_concurrency",
            self.provisioned_concurrency,
            limits.SERVERLESS_PROVISIONED_CONCURRENCY,
        )
        for name in self.instance_types:
            try:
                instances.instance_type(name)
            except ValueError as error:
                complaints.append(str(error))
        complaints += _above_zero(
            [
                *(("rate", rate) for rate in self.rates),
                ("duration", self.duration_s),
                ("clients", self.clients),
                ("instances", self.instances),
                ("repeats", self.repeats),
                ("copies", self.copies),
                ("give_up_after", self.give_up_after),
                ("processes", self.processes),
                ("assumed_service_ms", self.assumed_service_s),
                *(("client_multiples", each) for each in self.client_multiples),
                *(("bursts", each) for each in self.bursts),
            ]
        )
        complaints += [f"gaps must be 0 or more, got {gap:g}" for gap in self.gaps_s if gap < 0]
        if self.warm_up_s < 0:
            complaints.append(f"warm_up must be 0 or more, got {self.warm_up_s:g}")
        if self.arrival == "trace" and self.trace is None:
            complaints.append("trace must name a file when arrival is trace")
        if complaints:
            raise RefusedError("; ".join(dict.fromkeys(complaints)))

    @property
    def rate(self) -> float:
        """The one rate of a verb that offers one."""
        if len(self.rates) != 1:
            raise RefusedError(f"rate must be one value for {self.verb}, got {len(self.rates)}")
        return self.rates[0]

    @property
    def concurrency(self) -> int:
        """The one MaxConcurrency of a verb that uses one."""
        if len(self.max_concurrency) != 1:
            raise RefusedError(
                f"max_concurrency must be one value for {self.verb},"
                f" got {len(self.max_concurrency)}"
            )
        return self.max_concurrency[0]

    def open_loop(self, rate: float | None = None, *, name: str = "") -> Measurement:
        """Requests as the arguments say they arrive, whatever becomes of the ones before."""
        arrivals = self._arrivals(rate)
        load = arrivals.load()
        if self.arrival in {"poisson", "constant"}:
            # What was asked for; the plan has drawn a few more or less.
            load = dataclasses.replace(load, rate_per_s=self.rate if rate is None else rate)
        return Measurement(load=load, arrivals=arrivals, warm_up_s=self.warm_up_s, name=name)

    def closed_loop(self, clients: int, *, name: str = "") -> Measurement:
        """Clients that each wait for an answer before they send again."""
        load = Load(
            arrival="closed",
            rate_per_s=None,
            clients=clients,
            duration_s=self.duration_s + self.warm_up_s,
            think_time_s=self.think_time_s,
        )
        return Measurement(load=load, name=name, warm_up_s=self.warm_up_s, requests=self.requests)

    def _arrivals(self, rate: float | None) -> Arrivals:
        total_s = self.warm_up_s + self.duration_s
        if self.arrival == "trace":
            assert self.trace is not None, "checked when the settings were made"
            return workload.trace(Path(self.trace), speed=self.trace_speed)
        if self.arrival == "burst":
            return workload.burst(self.burst_size, self.burst_every_s, total_s)
        per_s = self.rate if rate is None else rate
        if self.arrival == "constant":
            return workload.constant(per_s, total_s)
        if self.arrival == "ramp":
            return workload.ramp(self.ramp_from, per_s, total_s, self.seed)
        return workload.poisson(per_s, total_s, self.seed)

    def to_json(self) -> dict[str, Any]:
        """As ``run.json`` has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            RefusedError: another version of this program wrote it.
        """
        try:
            return TypeAdapter(cls).validate_python(document)
        except ValidationError as error:
            raise RefusedError(f"the run's arguments cannot be read: {error}") from None


def _above_zero(values: Iterable[tuple[str, float]]) -> list[str]:
    return [
        f"{name} must be above 0, got {value:g}"
        for name, value in values
        if not (value > 0 and math.isfinite(value))
    ]
