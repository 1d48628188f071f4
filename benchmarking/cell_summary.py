"""The numbers of one cell, from its record and its samples."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from benchmarking import statistics, wording
from benchmarking.findings import (
    CONFIDENCE,
    QUANTILES,
    Bounded,
    CellState,
    CellSummary,
    Distribution,
    Metric,
)
from benchmarking.observations import COLD, OK, OUTCOMES, THROTTLE, UNKNOWN, WARM, Observations
from benchmarking.records import Cell, EndpointMetric, Objective, Outcome, Run

# CloudWatch's units of time -> milliseconds.
_MS_PER: Final = {"Seconds": 1e3, "Milliseconds": 1.0, "Microseconds": 1e-3}
_NOT_ANSWERED: Final[tuple[Outcome, ...]] = tuple(
    outcome for outcome in OUTCOMES if outcome not in ("ok", "throttle")
)
_ADMITTED: Final[tuple[Outcome, ...]] = tuple(
    outcome for outcome in OUTCOMES if outcome != "throttle"
)


def summarize_cell(run: Run, cell: Cell, label: str, seen: Observations) -> CellSummary:
    """All that a cell's samples say, before it is compared with others."""
    state, reasons = _state(run, cell, seen)
    n = len(seen)
    answered = seen.count("ok")
    span_s, offered_span_s = seen.span_s, seen.offered_span_s
    admitted = n - seen.count("throttle")
    known_cold = [cold == COLD for cold in seen.cold if cold != UNKNOWN]
    good = _good(seen, run.objective)
    return CellSummary(
        id=cell.id,
        option=cell.option,
        label=label,
        configuration=label,
        state=state,
        reasons=reasons,
        memory_size_mb=cell.memory_size_mb,
        max_concurrency=cell.max_concurrency,
        provisioned_concurrency=cell.provisioned_concurrency,
        instance_type=cell.instance_type,
        gap_s=cell.gap_s,
        load=None if cell.load is None else wording.load(cell.load),
        load_shape=None if cell.load is None else cell.load.arrival,
        duration_s=None if cell.load is None else cell.load.duration_s,
        clients=None if cell.load is None else cell.load.clients,
        planned_per_s=None if cell.load is None else cell.load.rate_per_s,
        started_at=cell.started_at,
        requests=n,
        warm_up=seen.warm_up,
        outcomes={outcome: seen.count(outcome) for outcome in OUTCOMES},
        errors=dict(sorted(seen.errors.items(), key=lambda item: -item[1])[:5]),
        latency=distribution(seen, seen.latency_ms) if n else None,
        service_time=distribution(seen, seen.service_ms) if n else None,
        latency_warm=_part(seen, WARM),
        latency_cold=_part(seen, COLD),
        throttle_share=_share(seen.flags("throttle")),
        error_share=_share(seen.flags(*_NOT_ANSWERED, among=_ADMITTED)) if admitted else None,
        cold_share=_share(known_cold),
        good_share=_share(good),
        miss_share=_miss_share(seen, run.objective, good),
        offered_per_s=None if not offered_span_s else n / offered_span_s,
        achieved_per_s=None if not span_s else answered / span_s,
        goodput_per_s=None if not span_s else sum(good) / span_s,
        metrics=tuple(_readable(metric) for metric in cell.metrics),
        client=cell.client,
    )


def distribution(
    seen: Observations, column: array[float], *, cold: int | None = None
) -> Distribution:
    """What a column of times shows about the requests that were answered well.

    Args:
        cold: of those that are ``COLD`` or ``WARM`` only.
    """
    return distribution_of(seen.answered_ms(column, cold=cold))


def distribution_of(values: Sequence[float]) -> Distribution:
    """What times in milliseconds show, given in the order of the plan."""
    percentiles: dict[str, Bounded | None] = {}
    needed: dict[str, int] = {}
    unsupported: dict[str, str] = {}
    for name, quantile in QUANTILES.items():
        q = quantile * 100
        estimate = statistics.percentile(values, q, CONFIDENCE)
        percentiles[name] = None if estimate is None else bounded(estimate)
        if estimate is None:
            needed[name] = statistics.minimum_count(q, CONFIDENCE)
            reason = statistics.unsupported(values, q, CONFIDENCE)
            assert reason is not None  # it is unsupported
            unsupported[name] = reason
    mean = statistics.mean(values, CONFIDENCE)
    return Distribution(
        samples=len(values),
        mean=None if mean is None else bounded(mean),
        minimum=min(values) if values else None,
        maximum=max(values) if values else None,
        percentiles={name: percentiles[name] for name in QUANTILES},
        needed={name: needed[name] for name in QUANTILES if name in needed},
        unsupported={name: unsupported[name] for name in QUANTILES if name in unsupported},
    )


def bounded(estimate: statistics.Estimate) -> Bounded:
    """An estimate as a summary holds it."""
    return Bounded(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        correlated=estimate.correlated,
    )


def _state(run: Run, cell: Cell, seen: Observations) -> tuple[CellState, tuple[str, ...]]:
    """Whether the cell takes part, and the reasons why not (of a measured one: what to know)."""
    answer: tuple[CellState, tuple[str, ...]] = ("measured", ())
    if cell.infeasible is not None:
        answer = "not-possible", (cell.infeasible,)
    elif cell.error is not None:
        answer = "failed", (wording.brief(cell.error),)
    elif not len(seen) and cell.finished_at is None:
        answer = "not-run", (f"the run is {run.state} and did not come to it",)
    elif not len(seen):
        answer = "failed", ("no request of it was measured",)
    elif cell.started_at is not None and cell.finished_at is None:
        answer = "failed", (f"cut short: the run is {run.state}",)
    elif cell.client is None:
        answer = "measured", ("whether the client kept up was not recorded",)
    elif not cell.client.valid:
        answer = "invalid", cell.client.reasons
    return answer


def _good(seen: Observations, objective: Objective) -> list[bool]:
    """Whether each request was answered well, within the objective's latency if there is one."""
    limit = objective.latency_p99_ms
    return [
        outcome == OK and (limit is None or latency <= limit)
        for outcome, latency in zip(seen.outcome, seen.latency_ms, strict=True)
    ]


def _miss_share(seen: Observations, objective: Objective, good: Sequence[bool]) -> Bounded | None:
    throttles_apart = objective.throttle_share is not None
    return _share(
        [
            not hit
            for hit, outcome in zip(good, seen.outcome, strict=True)
            if not (throttles_apart and outcome == THROTTLE)
        ]
    )


def _share(flags: Sequence[bool]) -> Bounded | None:
    return bounded(statistics.share_of(flags, CONFIDENCE)) if flags else None


def _part(seen: Observations, cold: int) -> Distribution | None:
    part = distribution(seen, seen.latency_ms, cold=cold)
    return part if part.samples else None


def _readable(metric: EndpointMetric) -> Metric:
    factor = _MS_PER.get(metric.unit, 1.0)
    return Metric(
        name=metric.name,
        unit="ms" if metric.unit in _MS_PER else "%" if metric.unit == "Percent" else "",
        samples=metric.samples,
        average=metric.average * factor,
        minimum=metric.minimum * factor,
        maximum=metric.maximum * factor,
    )
