"""``--fail-if "p99>200ms"``: conditions on a summary that decide an exit code.

Grammar::

    expression = condition { "or" condition }
    condition  = [ cell ":" ] metric ( ">" | ">=" | "<" | "<=" ) number [ unit ]

``cell`` is a cell's ID, a pattern of IDs (``serverless-*``), or ``recommended``. Without one a
condition is about every cell that was planned and is possible. Units: ``ms`` or ``s`` for times
(one is required), ``%`` or none for shares (``1%`` is ``0.01``), ``usd`` or ``$`` or none for
costs, ``/s`` or none for rates.

A condition holds when the measured value does, whatever its bounds; the finding says so when they
lie on both sides of the limit. **A number that cannot be known fails**: the sample cannot support
the percentile, the cell is INVALID or was not run, there is no price, nothing is recommended, no
cell fits the pattern. A gate that opens because nothing was measured would be no gate.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from benchmarking import wording
from benchmarking.findings import Bounded, CellSummary, Quantile, Summary

Kind = Literal["time", "share", "usd", "rate"]

RECOMMENDED: Final = "recommended"
METRICS: Final[dict[str, Kind]] = {
    "p50": "time",
    "p95": "time",
    "p99": "time",
    "mean": "time",
    "max": "time",
    "service_p50": "time",
    "service_p95": "time",
    "service_p99": "time",
    "throttle_share": "share",
    "error_share": "share",
    "cold_share": "share",
    "miss_share": "share",
    "cost_per_million": "usd",
    "cost_per_month": "usd",
    "goodput": "rate",
    "achieved_rate": "rate",
}
# Unit as written -> factor to the unit of the summary: milliseconds, 0..1, USD, per second.
_UNITS: Final[dict[Kind, dict[str, float]]] = {
    "time": {"ms": 1.0, "s": 1e3},
    "share": {"": 1.0, "%": 0.01},
    "usd": {"": 1.0, "usd": 1.0, "$": 1.0},
    "rate": {"": 1.0, "/s": 1.0},
}
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION: Final = re.compile(
    r"(?:(?P<cell>[^\s<>=]+):)?\s*(?P<metric>[a-z_0-9]+)\s*(?P<operator>>=|<=|>|<)\s*"
    r"(?P<dollar>\$?)(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<unit>ms|s|%|usd|\$|/s|)",
    re.IGNORECASE,
)


class ThresholdError(ValueError):
    """An expression that does not follow the grammar; the message shows what may stand there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One condition.

    Args:
        limit: in the summary's unit: milliseconds, 0..1, USD, per second.
        text: as the user wrote it.
    """

    cell: str | None
    metric: str
    operator: str
    limit: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a condition says about one cell.

    Args:
        holds: None when the value cannot be known.
        cell: None when no cell fits the condition.
    """

    condition: str
    cell: str | None
    holds: bool | None
    text: str

    @property
    def fails(self) -> bool:
        """Whether the run fails for it: the condition holds, or cannot be decided."""
        return self.holds is not False


def parse(expression: str) -> tuple[Condition, ...]:
    """Read an expression.

    Raises:
        ThresholdError: it does not follow the grammar.
    """
    parts = re.split(r"\s+or\s+", expression.strip(), flags=re.IGNORECASE)
    return tuple(_condition(part.strip()) for part in parts)


def evaluate(expression: str, summary: Summary) -> tuple[Finding, ...]:
    """What each condition says about each cell it is about.

    Raises:
        ThresholdError: the expression does not follow the grammar.
    """
    return tuple(
        finding for condition in parse(expression) for finding in _findings(condition, summary)
    )


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ThresholdError(
            f"condition must look like p99>200ms, cell:p99>0.2s or throttle_share>=1%, got {text!r}"
        )
    metric = match["metric"].lower()
    if metric not in METRICS:
        raise ThresholdError(
            f"metric of {text!r} must be one of {', '.join(METRICS)}, got {match['metric']}"
        )
    unit = match["dollar"] if match["dollar"] else match["unit"].lower()
    units = _UNITS[METRICS[metric]]
    if unit not in units or (match["dollar"] and match["unit"]):
        allowed = ", ".join(name if name else "none" for name in units)
        shown = f"{match['dollar']}{match['unit']}"
        raise ThresholdError(
            f"unit of {text!r} must be one of {allowed}, got {shown if shown else 'none'}"
        )
    limit = float(match["number"]) * units[unit]
    if METRICS[metric] == "share" and limit > 1:
        raise ThresholdError(
            f"limit of {text!r} must be between 0 and 1 or 0 % and 100 %, got {match['number']}"
        )
    return Condition(
        cell=match["cell"],
        metric=metric,
        operator=match["operator"],
        limit=limit,
        text=text,
    )


def _findings(condition: Condition, summary: Summary) -> list[Finding]:
    cells = _selected(condition, summary)
    if isinstance(cells, str):
        return [Finding(condition=condition.text, cell=None, holds=None, text=cells)]
    return [_finding(condition, cell) for cell in cells]


def _selected(condition: Condition, summary: Summary) -> list[CellSummary] | str:
    if condition.cell == RECOMMENDED:
        if summary.recommendation.cell is None:
            return f"{condition.text} cannot be known: {summary.recommendation.sentence}"
        return [summary.cell(summary.recommendation.cell)]
    if condition.cell is None:
        cells = [cell for cell in summary.cells if cell.state != "not-possible"]
        return cells if cells else f"{condition.text} cannot be known: the run has no possible cell"
    pattern = condition.cell
    chosen = [cell for cell in summary.cells if fnmatchcase(cell.id, pattern)]
    known = ", ".join(cell.id for cell in summary.cells)
    return chosen if chosen else f"{condition.text} cannot be known: the cells are {known}"


def _finding(condition: Condition, cell: CellSummary) -> Finding:
    value = _value(condition.metric, cell)
    asked = condition.text.rpartition(":")[2]
    if isinstance(value, str):
        return Finding(
            condition=condition.text,
            cell=cell.id,
            holds=None,
            text=f"{cell.id}: {asked} cannot be known: {value}",
        )
    measured = value.value if isinstance(value, Bounded) else value
    holds = _OPERATORS[condition.operator](measured, condition.limit)
    shown = _shown(METRICS[condition.metric], value)
    doubt = ""
    if isinstance(value, Bounded) and value.low <= condition.limit <= value.high:
        doubt = ", within its uncertainty"
    state = "holds" if holds else "does not hold"
    return Finding(
        condition=condition.text,
        cell=cell.id,
        holds=holds,
        text=f"{cell.id}: {asked} {state}: {condition.metric} is {shown}{doubt}",
    )


def _value(metric: str, cell: CellSummary) -> Bounded | float | str:
    """The value, or why there is none."""
    if cell.state != "measured":
        return f"the cell is {cell.state}: {'; '.join(cell.reasons)}"
    if METRICS[metric] == "time":
        return _time(metric, cell)
    if METRICS[metric] == "usd":
        if cell.cost is None:
            return f"no cost: {cell.cost_missing}"
        if metric == "cost_per_million":
            return cell.cost.per_million
        month = cell.cost.per_month
        return "the run names no traffic" if month is None else month
    values = {
        "throttle_share": cell.throttle_share,
        "error_share": cell.error_share,
        "cold_share": cell.cold_share,
        "miss_share": cell.miss_share,
        "goodput": cell.goodput_per_s,
        "achieved_rate": cell.achieved_per_s,
    }
    value = values[metric]
    return "no request tells" if value is None else value


def _time(metric: str, cell: CellSummary) -> Bounded | float | str:
    distribution = cell.service_time if metric.startswith("service_") else cell.latency
    if distribution is None or distribution.samples == 0:
        return "no request was answered"
    name = metric.removeprefix("service_")
    if name == "max":
        assert distribution.maximum is not None  # there are samples
        return distribution.maximum
    if name == "mean":
        mean = distribution.mean
        return "too few samples for a mean with bounds" if mean is None else mean
    quantile: Quantile = "p50" if name == "p50" else "p95" if name == "p95" else "p99"
    value = distribution.percentiles[quantile]
    if value is None:
        needed = distribution.needed.get(quantile)
        more = "" if needed is None else f", it needs {needed:,}"
        return f"{distribution.samples:,} samples cannot support it{more}"
    return value


def _shown(kind: Kind, value: Bounded | float) -> str:
    if kind == "time":
        return wording.bounds_ms(value) if isinstance(value, Bounded) else wording.ms(value)
    if kind == "share":
        return wording.bounds_share(value) if isinstance(value, Bounded) else wording.share(value)
    plain = value.value if isinstance(value, Bounded) else value
    return wording.usd(plain) if kind == "usd" else f"{wording.number(plain)}/s"
