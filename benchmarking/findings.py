"""What a summary says: the numbers of each cell, each with its bounds, and what follows from them.

``summary.json`` is a ``Summary``. Its schema is shipped as ``summary.schema.json``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from benchmarking.records import ClientHealth, Objective, Option, Outcome, RunState, Traffic, Verb

SCHEMA: Final = 1
CONFIDENCE: Final = 0.95

# ``measured`` alone takes part in the recommendation.
CellState = Literal["measured", "invalid", "not-possible", "failed", "not-run"]
# What the sample shows about the objective.
Judgement = Literal["meets", "misses", "not-shown", "no-objective", "not-judged"]
Quantile = Literal["p50", "p95", "p99"]
QUANTILES: Final[dict[Quantile, float]] = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounded:
    """A number and the bounds that hold it with ``Summary.confidence``.

    Args:
        correlated: requests depended on one another for so long that the bounds may be too narrow.
    """

    value: float
    low: float
    high: float
    correlated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """How long the requests took that were answered well, in milliseconds.

    Args:
        percentiles: None for one that this many samples cannot support.
        needed: how many independent samples each unsupported percentile needs.
        unsupported: why, in words.
    """

    samples: int
    mean: Bounded | None
    minimum: float | None
    maximum: float | None
    percentiles: dict[Quantile, Bounded | None]
    needed: dict[Quantile, int] = field(default_factory=dict)
    unsupported: dict[Quantile, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A CloudWatch metric in the unit a person reads: milliseconds, percent or a plain number."""

    name: str
    unit: Literal["ms", "%", ""]
    samples: float
    average: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """What an option costs, in USD.

    Args:
        per_request: one of the month's requests; without traffic, one at the measured rate.
        per_million: a million of them. Its bounds are those of the duration that is billed.
        per_month: at the user's traffic; None when the run names no traffic.
        per_million_cold_billed: when cold starts are billed as well (AWS does not say); None where
            that changes nothing or is counted already.
        basis: what it was computed from, in a sentence.
        parts: what the month (the million without traffic) is made of.
        limit: requests per month beyond which the busiest hour does not fit; None: not known.
        fits: whether the user's traffic does.
        certain: False when a price in it is extrapolated or doubted.
    """

    per_request: float
    per_million: Bounded
    per_month: float | None
    per_million_cold_billed: float | None = None
    basis: str
    parts: dict[str, float] = field(default_factory=dict)
    limit: float | None = None
    fits: bool = True
    certain: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class CellSummary:
    """One cell: an option at a size under a load.

    Args:
        label: the option and its size in words; ``load`` is the load in words.
        load_shape: the arrivals' name; ``closed`` for a closed loop.
        configuration: the same for all cells of one configuration, whatever their load.
        reasons: why the state is not ``measured``; for a measured cell, what to know about it.
        requests: measured ones, without the warm-up's.
        throttle_share: of all requests.
        error_share: of the requests that were not throttled.
        cold_share: of the requests of which it is known.
        miss_share: those slower than the objective's latency or failed, of the requests that were
            not throttled; of all, the throttled among them, when the objective has no limit of its
            own for throttles. A p99 is met when at most 1 % miss.
        good_share: those answered well, within the objective's latency if there is one; of all.
        goodput_per_s: requests answered well, within the objective's latency if there is one.
        cost_missing: why there is no cost.
        verdict: why this is the recommendation, or why it is not.
        pareto: no other measured cell is both cheaper and faster at p99.
    """

    id: str
    option: Option
    label: str
    configuration: str
    state: CellState
    reasons: tuple[str, ...] = ()
    memory_size_mb: int | None = None
    max_concurrency: int | None = None
    provisioned_concurrency: int | None = None
    instance_type: str | None = None
    gap_s: float | None = None
    load: str | None = None
    load_shape: str | None = None
    duration_s: float | None = None
    clients: int | None = None
    planned_per_s: float | None = None
    started_at: str | None = None
    requests: int = 0
    warm_up: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    latency: Distribution | None = None
    service_time: Distribution | None = None
    latency_warm: Distribution | None = None
    latency_cold: Distribution | None = None
    throttle_share: Bounded | None = None
    error_share: Bounded | None = None
    cold_share: Bounded | None = None
    miss_share: Bounded | None = None
    good_share: Bounded | None = None
    offered_per_s: float | None = None
    achieved_per_s: float | None = None
    goodput_per_s: float | None = None
    metrics: tuple[Metric, ...] = ()
    client: ClientHealth | None = None
    cost: Money | None = None
    cost_missing: str | None = None
    judgement: Judgement = "not-judged"
    pareto: bool = False
    verdict: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakEven:
    """Requests per month at which two options cost the same.

    Args:
        cheaper_below, cheaper_above: cells. Below and above ``requests_per_month``.
        requests_per_month: None when one is cheaper at any number: ``cheaper_below`` is.
    """

    cheaper_below: str
    cheaper_above: str
    requests_per_month: float | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The highest load that a configuration was shown to hold under the objective.

    Args:
        cell: None when it held none of those tried.
        text: in words, with the lowest load that it did not hold.
    """

    configuration: str
    cell: str | None
    per_s: float | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdPoint:
    """How often, and for how long, requests met a cold start after a gap.

    Args:
        burst: how many requests came at once after the gap; None when that is not known.
    """

    configuration: str
    gap_s: float
    burst: int | None
    requests: int
    probability: Bounded | None
    cold: Distribution | None
    warm: Distribution | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """What to do, in one sentence, and what stands behind it.

    Args:
        cell: the winner; None when the samples show none.
        tied: cells that meet the objective and cannot be told apart from it in cost.
        basis: the rule by which it won.
    """

    sentence: str
    cell: str | None
    tied: tuple[str, ...]
    basis: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceUsed:
    """One price that costs were computed with.

    Args:
        age_days: at the start of the run.
    """

    name: str
    usd: str
    unit: str
    certainty: str
    source: str
    checked: str
    age_days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """The prices that costs were computed with.

    Args:
        as_of: when the list was put together.
        old: whether one was checked more than 90 days before the run.
    """

    region: str
    as_of: str
    used: tuple[PriceUsed, ...]
    old: bool
    warnings: tuple[str, ...]
    not_counted: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a run shows. Made from its record and its samples alone.

    Args:
        warnings: what a reader has to see before any number: the run is partial, a cell is
            INVALID, prices are old.
        indistinguishable: pairs of cells, as sentences, whose p99 or cost cannot be told apart.
    """

    run_id: str
    verb: Verb
    state: RunState
    model_name: str
    region: str
    seed: int
    started_at: str
    finished_at: str | None
    objective: Objective
    traffic: Traffic | None
    recommendation: Recommendation
    cells: tuple[CellSummary, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pareto: tuple[str, ...] = ()
    break_evens: tuple[BreakEven, ...] = ()
    indistinguishable: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    cold: tuple[ColdPoint, ...] = ()
    prices: Prices | None = None
    confidence: float = CONFIDENCE
    schema: int = SCHEMA

    def cell(self, cell_id: str) -> CellSummary:
        """Find a cell.

        Raises:
            ValueError: the run has no such cell.
        """
        for cell in self.cells:
            if cell.id == cell_id:
                return cell
        known = ", ".join(cell.id for cell in self.cells)
        raise ValueError(f"cell must be one of {known}, got {cell_id}")
