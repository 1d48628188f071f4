"""What each cell's option costs, priced with the run's own price list."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from benchmarking import cost as costs
from benchmarking import statistics, wording
from benchmarking.findings import CONFIDENCE, Bounded, Money, Prices, PriceUsed
from benchmarking.observations import COLD, Observations
from benchmarking.records import Cell, Run, Traffic
from benchmarking.traffic import day_of
from benchmarking.usage import Usage, UsageError, exact, usage_of
from hosting import pricing

# Endpoints are priced by these keys of a run's arguments; what a run does not name is not counted.
_TERMS: Final = ("bill_cold_starts", "free_tier", "volume_gb")


@dataclasses.dataclass(frozen=True, slots=True)
class Priced:
    """A cell's cost, or why it has none; ``curve`` is the month's cost at any traffic."""

    money: Money | None
    missing: str | None
    curve: costs.Curve | None
    prices: tuple[pricing.Price, ...] = ()


def price_list(run: Run) -> pricing.PriceList | None:
    """The prices that the run recorded; None when it recorded none.

    Raises:
        PricingError: what it recorded is no price list.
    """
    return pricing.from_json(run.prices) if run.prices else None


def price_cell(
    run: Run, cell: Cell, seen: Observations, *, capacity_per_s: float | None = None
) -> Priced:
    """Price a cell.

    Args:
        capacity_per_s: requests per second that one instance was shown to hold; None: not measured.
    """
    prices = price_list(run)
    if prices is None:
        return Priced(None, "the run recorded no prices", None)
    try:
        usage = usage_of(cell, seen.samples(), capacity_per_s=capacity_per_s)
        return _priced(run, cell, seen, usage, prices)
    except (UsageError, pricing.UnknownPriceError) as reason:
        return Priced(None, str(reason), None)


def summarize_prices(run: Run, used: Iterable[pricing.Price]) -> Prices | None:
    """Where the prices came from and how old they were; None when none was used."""
    prices = price_list(run)
    chosen = sorted(set(used), key=lambda price: price.label)
    if prices is None or not chosen:
        return None
    today = _day(run)
    return Prices(
        region=run.region,
        as_of=prices.as_of.isoformat(),
        used=tuple(
            PriceUsed(
                name=price.label,
                usd=format(price.usd, "f"),
                unit=price.unit,
                certainty=pricing.CERTAINTIES[price.certainty],
                source=price.source,
                checked=price.checked,
                age_days=price.age(today),
            )
            for price in chosen
        ),
        old=any(price.age(today) > pricing.STALE_AFTER_DAYS for price in chosen),
        warnings=pricing.warnings(chosen, today),
        not_counted=pricing.NOT_COUNTED,
    )


def _priced(
    run: Run, cell: Cell, seen: Observations, usage: Usage, prices: pricing.PriceList
) -> Priced:
    terms = _terms(run.arguments)
    traffic = run.traffic if run.traffic is not None else _measured_traffic(cell, seen)
    if traffic is None:
        return Priced(None, "one request alone has no rate to price it at", None)
    found = costs.cost(cell, usage, prices, run.region, traffic=traffic, terms=terms)
    assert found.per_request is not None  # there is traffic

    def million(use: Usage, with_terms: costs.Terms = terms) -> float:
        priced = costs.cost(cell, use, prices, run.region, traffic=traffic, terms=with_terms)
        assert priced.per_million is not None  # there is traffic
        return float(priced.per_million)

    below_s, above_s = _spread_s(seen)
    shortest = dataclasses.replace(usage, billed_s=max(Decimal(0), usage.billed_s - below_s))
    longest = dataclasses.replace(usage, billed_s=usage.billed_s + above_s)
    cold_billed = None
    if not terms.bill_cold_starts and usage.cold_share * usage.cold_start_s:
        cold_billed = million(usage, dataclasses.replace(terms, bill_cold_starts=True))
    monthly = run.traffic is not None
    scale = 1.0 if monthly else costs.MILLION / traffic.requests_per_month
    fits = found.limit is None or exact(traffic.requests_per_month) <= found.limit
    money = Money(
        per_request=float(found.per_request),
        per_million=Bounded(value=million(usage), low=million(shortest), high=million(longest)),
        per_month=float(found.per_month) if monthly and found.per_month is not None else None,
        per_million_cold_billed=None if cell.instance_type is not None else cold_billed,
        basis=_basis(cell, usage, traffic, monthly=monthly),
        parts={part: float(usd) * scale for part, usd in found.parts.items() if usd},
        limit=None if found.limit is None else float(found.limit),
        fits=fits or not monthly,
        certain=found.certain,
        notes=found.notes,
    )
    curve = costs.curve(cell, usage, prices, run.region, day=day_of(traffic), terms=terms)
    return Priced(money, None, curve, found.prices)


def _measured_traffic(cell: Cell, seen: Observations) -> Traffic | None:
    """A month at the rate that was measured, for a run that names no traffic of its own."""
    rate = None if cell.load is None else cell.load.rate_per_s
    if rate is None:
        span_s = seen.span_s
        if not span_s:
            return None
        rate = len(seen) / span_s
    return Traffic(requests_per_month=rate * pricing.SECONDS_PER_MONTH) if rate > 0 else None


def _spread_s(seen: Observations) -> tuple[Decimal, Decimal]:
    """How far the true mean duration may lie below and above the measured one."""
    durations = [
        duration for duration, cold in zip(seen.service_ms, seen.cold, strict=True) if cold != COLD
    ]
    mean = statistics.mean(durations, CONFIDENCE)
    if mean is None:
        return Decimal(0), Decimal(0)
    return exact((mean.value - mean.low) / 1e3), exact((mean.high - mean.value) / 1e3)


def _basis(cell: Cell, usage: Usage, traffic: Traffic, *, monthly: bool) -> str:
    rate = traffic.requests_per_month / pricing.SECONDS_PER_MONTH
    if cell.instance_type is not None:
        what = "hours of its instances"
    else:
        what = f"{wording.ms(float(usage.billed_s) * 1e3)} billed for each request"
    if monthly:
        return f"{what}, at {wording.count(traffic.requests_per_month)} requests per month"
    return f"{what}, at the measured {wording.number(rate)}/s around the clock"


def _terms(arguments: Mapping[str, Any]) -> costs.Terms:
    named = {name: arguments[name] for name in _TERMS if arguments.get(name) is not None}
    return dataclasses.replace(costs.Terms(), **named)


def _day(run: Run) -> date:
    return datetime.fromisoformat(run.started_at).date()
