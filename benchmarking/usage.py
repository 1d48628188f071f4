"""What one request of an option uses that is paid for, as a run measured it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from benchmarking.records import Cell, EndpointMetric, Sample


class UsageError(ValueError):
    """A cell's samples do not say what its requests use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Means over the requests of one option.

    AWS bills serverless inference for the compute that processes requests, "by the millisecond",
    and says neither whether this includes cold starts nor how it rounds. ``billed_s`` is the
    container's own time without cold starts, unrounded; rounding up would add at most a millisecond
    to each request.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html (2026-11-20)

    Args:
        cold_share: requests that met a cold start, of all; on-demand ones alone are billed for it.
        spillover_share: requests beyond the provisioned concurrency, of all; None: computed from
            the traffic (see ``benchmarking.cost``).
        capacity_per_s: requests per second that one instance holds within the user's objective;
            None: not measured.
        notes: what a reader has to know about where the numbers come from.
    """

    billed_s: Decimal
    request_bytes: Decimal = Decimal(0)
    response_bytes: Decimal = Decimal(0)
    cold_share: Decimal = Decimal(0)
    cold_start_s: Decimal = Decimal(0)
    spillover_share: Decimal | None = None
    capacity_per_s: Decimal | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("billed_s", "request_bytes", "response_bytes", "cold_start_s"):
            amount: Decimal = getattr(self, name)
            if not amount.is_finite() or amount < 0:
                raise ValueError(f"{name} must be 0 or more, got {amount}")
        for name in ("cold_share", "spillover_share"):
            share: Decimal | None = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {share}")
        if self.capacity_per_s is not None and not self.capacity_per_s > 0:
            raise ValueError(f"capacity_per_s must be above 0, got {self.capacity_per_s}")


def exact(value: float) -> Decimal:
    """The decimal that a float is written as: 0.1 is a tenth."""
    return Decimal(str(value))


def usage_of(
    cell: Cell, samples: Iterable[Sample], *, capacity_per_s: float | None = None
) -> Usage:
    """What the cell's requests used: CloudWatch's ModelLatency where there is one.

    Args:
        samples: of this cell, or of the whole run; those of other cells, of the warm-up and those
            that were not answered are left out.

    Raises:
        UsageError: no request was answered.
    """
    service_s, sizes, answers = [], [], []
    warm_s: list[float] = []
    cold_s: list[float] = []
    for sample in samples:
        if sample.cell != cell.id or sample.phase == "warm-up" or sample.outcome != "ok":
            continue
        service_s.append(sample.service_time_s)
        sizes.append(sample.request_bytes)
        answers.append(sample.response_bytes)
        if sample.cold is not None:
            (cold_s if sample.cold else warm_s).append(sample.service_time_s)
    if not service_s:
        raise UsageError(f"cell {cell.id} must have requests that were answered, got none")
    notes = []
    latency = _metric(cell, "ModelLatency")
    if latency is not None:
        billed_s = exact(latency.average) / 1_000_000
    else:
        billed_s = exact(_mean(warm_s or service_s))
        notes.append(
            "CloudWatch has no ModelLatency: the client's own time was priced, which holds the"
            " network's as well"
        )
    known = len(warm_s) + len(cold_s)
    return Usage(
        billed_s=billed_s,
        request_bytes=exact(_mean(sizes)),
        response_bytes=exact(_mean(answers)),
        cold_share=Decimal(len(cold_s)) / known if known else Decimal(0),
        cold_start_s=_cold_start_s(cell, warm_s, cold_s),
        capacity_per_s=None if capacity_per_s is None else exact(capacity_per_s),
        notes=tuple(notes),
    )


def _cold_start_s(cell: Cell, warm_s: list[float], cold_s: list[float]) -> Decimal:
    setup = _metric(cell, "ModelSetupTime")
    if setup is not None:
        return exact(setup.average) / 1_000_000
    if not (warm_s and cold_s):
        return Decimal(0)
    return max(Decimal(0), exact(_mean(cold_s) - _mean(warm_s)))


def _metric(cell: Cell, name: str) -> EndpointMetric | None:
    return next(
        (metric for metric in cell.metrics if metric.name == name and metric.samples > 0), None
    )


def _mean(values: list[float] | list[int]) -> float:
    return sum(values) / len(values)
