"""What an option costs at the user's traffic, computed exactly from measured use and dated prices.

All arithmetic is decimal: a cost is the sum a person gets who multiplies the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Final, Literal, get_args

from benchmarking.queueing import covered, erlang_b
from benchmarking.records import Cell, Traffic
from benchmarking.traffic import HOURS, Day, day_of
from benchmarking.usage import Usage, exact
from hosting.pricing import (
    FREE_SERVERLESS_SECONDS,
    GB,
    HOURS_PER_MONTH,
    SECONDS_PER_MONTH,
    Price,
    PriceList,
)
from hosting.scaling import ScalingChoices

MILLION: Final = 1_000_000
_ZERO: Final = Decimal(0)
# Tracking scales in after this many low minutes, so that an asynchronous endpoint's last instance
# outlives the work by as much.
_LINGER_S: Final = 60 * ScalingChoices().tracking_low_datapoints

Part = Literal["duration", "cold-starts", "provisioned", "instances", "volumes", "data"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What may be counted either way.

    Args:
        bill_cold_starts: whether a cold start's time is billed as inference; AWS does not say.
        free_tier: whether the month is one of an account's first two.
        volume_gb: storage of each instance; None: not counted, because the service's own choice of
            a size is not documented.
        linger_s: how long an instance waits for work before an asynchronous endpoint is at zero.
    """

    bill_cold_starts: bool = False
    free_tier: bool = False
    volume_gb: int | None = None
    linger_s: float = _LINGER_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What an option costs, in USD.

    Args:
        per_request: at the month's traffic all of the month over its requests; without traffic,
            when all that is paid for is used. None: no traffic, and instances of which nobody
            measured how much they hold.
        parts: what ``per_month`` is the sum of; of a million requests without traffic.
        limit: requests per month beyond which the busiest hour does not fit; None: no limit known.
        prices: those that were used.
    """

    per_request: Decimal | None
    per_month: Decimal | None
    parts: Mapping[Part, Decimal]
    limit: Decimal | None
    prices: tuple[Price, ...]
    notes: tuple[str, ...] = ()

    @property
    def per_million(self) -> Decimal | None:
        """Of a million requests."""
        return None if self.per_request is None else self.per_request * MILLION

    @property
    def certain(self) -> bool:
        """Whether every price in it has a source that is not doubted."""
        return all(price.certainty not in {"C", "D"} for price in self.prices)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """An option's cost per month as a function of the month's requests.

    Args:
        label: of the option, for messages.
    """

    label: str
    cell: Cell
    usage: Usage
    day: Day
    terms: Terms
    rates: Mapping[str, Price]
    notes: tuple[str, ...] = ()

    def at(self, requests: Decimal) -> Decimal:
        """The month's cost."""
        return sum(self.parts(requests).values(), _ZERO)

    def parts(self, requests: Decimal) -> dict[Part, Decimal]:
        """What the month's cost is made of; parts that an option cannot have are left out."""
        if not (requests.is_finite() and requests >= 0):
            raise ValueError(f"requests must be 0 or more, got {requests}")
        if self.on_instances:
            parts = self._instance_parts(requests)
        else:
            parts = self._serverless_parts(requests)
        if "data-in" in self.rates:
            data_in = self.usage.request_bytes * self._usd("data-in")
            data_out = self.usage.response_bytes * self._usd("data-out")
            parts["data"] = requests * (data_in + data_out) / GB
        return parts

    @property
    def on_instances(self) -> bool:
        """Whether hours of instances are paid for, and not seconds of requests."""
        return self.cell.instance_type is not None

    @cached_property
    def limit(self) -> Decimal | None:
        """Requests per month beyond which the busiest hour's mean load does not fit.

        A serverless variant holds ``max_concurrency`` requests at once, instances what was measured
        of each. Chance gathers requests, so some are throttled well below this.
        """
        if self.on_instances:
            if self.usage.capacity_per_s is None:
                return None
            peak_per_s = self.max_instances * self.usage.capacity_per_s
        else:
            if self.cell.max_concurrency is None or self.usage.billed_s == 0:
                return None
            peak_per_s = self.cell.max_concurrency / self.usage.billed_s
        return peak_per_s * SECONDS_PER_MONTH / self.day.peak

    @cached_property
    def bends(self) -> tuple[Decimal, ...]:
        """Requests per month at which the cost jumps or changes its slope, rising."""
        points: set[Decimal] = set()
        if self.on_instances:
            capacity = self.usage.capacity_per_s
            if capacity is not None:
                for level, _ in self.day.levels:
                    if level == 0:
                        continue
                    monthly = capacity * SECONDS_PER_MONTH / level
                    for count in range(max(1, self.min_instances), self.max_instances):
                        points.add(count * monthly)
        elif self.terms.free_tier and self.straight:
            per_request = self._on_demand_s
            if per_request > 0:
                points.add(FREE_SERVERLESS_SECONDS / per_request)
        return tuple(sorted(points))

    @property
    def straight(self) -> bool:
        """Whether the cost is a straight line between its bends."""
        if self.on_instances:
            return self.min_instances > 0
        return self.provisioned == 0 or self.usage.spillover_share is not None

    @property
    def min_instances(self) -> int:
        """Instances that are always there; one where the cell does not say."""
        return 1 if self.cell.min_instances is None else self.cell.min_instances

    @property
    def max_instances(self) -> int:
        """Instances that scaling may reach; as many as always where the cell does not say."""
        if self.cell.max_instances is None:
            return max(1, self.min_instances)
        return self.cell.max_instances

    @property
    def provisioned(self) -> int:
        """Units of provisioned concurrency."""
        units = self.cell.provisioned_concurrency
        return 0 if units is None else units

    def full_use(self) -> dict[Part, Decimal] | None:
        """A million requests' parts when all that is paid for is used; None when that is unknown.

        For provisioned concurrency: every unit works all the time, and nothing spills over. There
        is no free tier in it.
        """
        requests = Decimal(MILLION)
        parts = replace(self, terms=replace(self.terms, free_tier=False)).parts(requests)
        if self.on_instances:
            if self.usage.capacity_per_s is None:
                return None
            hours = requests / self.usage.capacity_per_s / 3600
            parts["instances"] = hours * self._usd("instance")
            if "volumes" in parts:
                parts["volumes"] = hours * self._volume_usd_per_hour
        elif self.provisioned:
            busy_s = requests * self.usage.billed_s
            parts["provisioned"] = busy_s * self._usd("provisioned-usage")
            parts["duration"] = busy_s * self._usd("provisioned-duration")
            parts["cold-starts"] = _ZERO
        return parts

    def _serverless_parts(self, requests: Decimal) -> dict[Part, Decimal]:
        spilled = self._spilled(requests)
        on_demand_s = spilled * self.usage.billed_s
        cold_s = requests * self._billed_cold_s
        usd = self._usd("serverless-duration")
        duration = on_demand_s * usd
        cold = cold_s * usd
        if self.terms.free_tier and on_demand_s + cold_s > 0:
            total_s = on_demand_s + cold_s
            charged = max(_ZERO, total_s - FREE_SERVERLESS_SECONDS) / total_s
            duration, cold = duration * charged, cold * charged
        parts: dict[Part, Decimal] = {"duration": duration, "cold-starts": cold}
        if self.provisioned:
            parts["provisioned"] = (
                self.provisioned * SECONDS_PER_MONTH * self._usd("provisioned-usage")
            )
            warm_s = (requests - spilled) * self.usage.billed_s
            parts["duration"] += warm_s * self._usd("provisioned-duration")
        return parts

    @property
    def _billed_cold_s(self) -> Decimal:
        if not self.terms.bill_cold_starts:
            return _ZERO
        return self.usage.cold_share * self.usage.cold_start_s

    @property
    def _on_demand_s(self) -> Decimal:
        """Billed on-demand seconds of a request, on average."""
        spilled = Decimal(1)
        if self.provisioned and self.usage.spillover_share is not None:
            spilled = self.usage.spillover_share
        return spilled * self.usage.billed_s + self._billed_cold_s

    def _spilled(self, requests: Decimal) -> Decimal:
        """Requests of the month that no provisioned unit was free for."""
        if self.provisioned == 0:
            return requests
        if self.usage.spillover_share is not None:
            return requests * self.usage.spillover_share
        load = requests * self.usage.billed_s / SECONDS_PER_MONTH
        return sum(
            (
                requests * level * hours / HOURS * erlang_b(self.provisioned, level * load)
                for level, hours in self.day.levels
            ),
            _ZERO,
        )

    def _instance_parts(self, requests: Decimal) -> dict[Part, Decimal]:
        hours = self._instances(requests) * HOURS_PER_MONTH
        parts: dict[Part, Decimal] = {"instances": hours * self._usd("instance")}
        if "volume" in self.rates:
            parts["volumes"] = hours * self._volume_usd_per_hour
        return parts

    def _instances(self, requests: Decimal) -> Decimal:
        """Instances that run, averaged over the month."""
        rate_per_s = requests / SECONDS_PER_MONTH
        running = (
            hours * self._instances_at(level * rate_per_s) for level, hours in self.day.levels
        )
        return sum(running, _ZERO) / HOURS

    def _instances_at(self, rate_per_s: Decimal) -> Decimal:
        needed = 0
        if self.usage.capacity_per_s is not None:
            # The product is exact where the quotient was rounded down to a whole number.
            needed = int(rate_per_s / self.usage.capacity_per_s)
            needed += needed * self.usage.capacity_per_s < rate_per_s
        if self.min_instances == 0 and needed < 2:
            return min(covered(rate_per_s, self._stay_s), Decimal(self.max_instances))
        return Decimal(min(max(needed, self.min_instances), self.max_instances))

    @property
    def _stay_s(self) -> Decimal:
        return self.usage.billed_s + exact(self.terms.linger_s)

    @property
    def _volume_usd_per_hour(self) -> Decimal:
        gigabytes = 0 if self.terms.volume_gb is None else self.terms.volume_gb
        return gigabytes * self._usd("volume") / HOURS_PER_MONTH

    def _usd(self, name: str) -> Decimal:
        return self.rates[name].usd


def curve(
    cell: Cell,
    usage: Usage,
    prices: PriceList,
    region: str,
    *,
    label: str | None = None,
    day: Day | None = None,
    terms: Terms | None = None,
) -> Curve:
    """The cost of a cell's option as a function of the month's requests.

    Raises:
        ValueError: the cell lacks what its option is priced by.
        UnknownPriceError: the list lacks a price.
    """
    terms = Terms() if terms is None else terms
    rates, notes = _rates(cell, prices, region, terms)
    day = Day() if day is None else day
    notes = [*usage.notes, *notes]
    if cell.instance_type is not None:
        low = 1 if cell.min_instances is None else cell.min_instances
        high = low if cell.max_instances is None else cell.max_instances
        if not 0 <= low <= high:
            raise ValueError(f"min_instances must be between 0 and {high}, got {low}")
        if high > low and usage.capacity_per_s is None:
            notes.append(
                f"what one instance holds was not measured: {max(1, low)} of up to {high}"
                " instances are counted"
            )
    return Curve(
        label=cell.id if label is None else label,
        cell=cell,
        usage=usage,
        day=day,
        terms=terms,
        rates=rates,
        notes=tuple(notes),
    )


def cost(
    cell: Cell,
    usage: Usage,
    prices: PriceList,
    region: str,
    *,
    traffic: Traffic | None = None,
    terms: Terms | None = None,
) -> Cost:
    """What a cell's option costs at the user's traffic.

    Raises:
        ValueError: the cell lacks what its option is priced by, or there is no such traffic.
        UnknownPriceError: the list lacks a price.
    """
    day = None if traffic is None else day_of(traffic)
    function = curve(cell, usage, prices, region, day=day, terms=terms)
    notes = list(function.notes)
    per_month = per_request = None
    if traffic is not None:
        requests = exact(traffic.requests_per_month)
        parts: Mapping[Part, Decimal] = function.parts(requests)
        per_month = function.at(requests)
        per_request = per_month / requests
        if function.limit is not None and requests > function.limit:
            notes.append(
                f"the busiest hour does not fit: at most {function.limit:,.0f} requests per month"
                f" of this shape do, got {requests:,.0f}"
            )
    else:
        million = function.full_use()
        parts = {} if million is None else million
        per_request = None if million is None else sum(million.values(), _ZERO) / MILLION
    return Cost(
        per_request=per_request,
        per_month=per_month,
        parts=parts,
        limit=function.limit,
        prices=tuple(function.rates.values()),
        notes=tuple(notes),
    )


def _rates(
    cell: Cell, prices: PriceList, region: str, terms: Terms
) -> tuple[dict[str, Price], list[str]]:
    """The prices that an option pays, by their item ("instance" also for asynchronous ones)."""
    notes: list[str] = []
    rates: dict[str, Price] = {}
    if cell.option in {"serverless", "serverless-provisioned"}:
        memory = cell.memory_size_mb
        if memory is None:
            raise ValueError(f"memory_size_mb of cell {cell.id} must be given, got None")
        rates["serverless-duration"] = prices.serverless_duration(region, memory)
        if cell.option == "serverless-provisioned":
            if not cell.provisioned_concurrency:
                raise ValueError(
                    f"provisioned_concurrency of cell {cell.id} must be 1 or more,"
                    f" got {cell.provisioned_concurrency}"
                )
            rates["provisioned-usage"] = prices.provisioned_usage(region, memory)
            rates["provisioned-duration"] = prices.provisioned_duration(region, memory)
    else:
        if cell.instance_type is None:
            raise ValueError(f"instance_type of cell {cell.id} must be given, got None")
        hour = prices.async_instance_hour if cell.option == "async" else prices.instance_hour
        rates["instance"] = hour(region, cell.instance_type)
        if terms.volume_gb is not None:
            rates["volume"] = prices.volume_gb_month(region)
        else:
            notes.append("storage volumes of instances are not counted")
    if cell.option == "async":
        # Payloads travel through S3, which takes nothing for it within a region.
        # Source: https://aws.amazon.com/sagemaker/pricing/ (not read again; docs/unverified.md)
        notes.append("S3 requests and SNS messages of asynchronous requests are not counted")
    else:
        rates["data-in"] = prices.data_in(region)
        rates["data-out"] = prices.data_out(region)
    return rates, notes


def used(costs: Iterable[Cost]) -> tuple[Price, ...]:
    """Every price in the costs, once: what ``pricing.warnings`` takes."""
    return tuple(dict.fromkeys(price for each in costs for price in each.prices))
