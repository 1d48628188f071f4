"""What changed between two runs, beyond what chance does: cell by cell, with bounds.

A difference is called one when its bounds leave out zero. With 95 % confidence one comparison in
twenty does so by chance alone; the text says how many comparisons were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TextIO

from benchmarking import statistics
from benchmarking.findings import CONFIDENCE, Bounded, CellSummary, Summary
from benchmarking.records import Run
from benchmarking.summary import analyze_folder

Kind = Literal["time", "share", "usd"]
Change = Literal["better", "worse", "no difference shown"]
METRICS: Final[dict[str, Kind]] = {
    "p50": "time",
    "p95": "time",
    "p99": "time",
    "mean": "time",
    "throttle_share": "share",
    "error_share": "share",
    "cold_share": "share",
    "cost_per_million": "usd",
}
SCHEMA: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One number of one cell in both runs. Of all of them, more is worse.

    Args:
        difference: after minus before: milliseconds, 0..1, or USD.
        relative: of what it was before; None where that was 0.
    """

    metric: str
    kind: Kind
    before: Bounded
    after: Bounded
    difference: Bounded
    relative: Bounded | None
    change: Change


@dataclass(frozen=True, kw_only=True, slots=True)
class CellComparison:
    """One cell of both runs.

    Args:
        problem: why the two cannot be compared; None when they can.
        expected: the problem is no news: the option is possible in neither run.
        missing: numbers that one of the two samples does not support.
    """

    cell: str
    label: str
    problem: str | None
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    expected: bool = False

    @property
    def worse(self) -> tuple[Difference, ...]:
        """What got worse, beyond chance."""
        return tuple(each for each in self.differences if each.change == "worse")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two runs.

    Args:
        context: what differs between the runs themselves, as sentences.
        comparisons: how many numbers were compared.
    """

    before: str
    after: str
    sentence: str
    context: tuple[str, ...]
    cells: tuple[CellComparison, ...]
    comparisons: int
    confidence: float = CONFIDENCE
    schema: int = SCHEMA

    @property
    def regressions(self) -> tuple[str, ...]:
        """Why a gate should close: what got worse, and what can no longer be known."""
        answer = [
            f"{cell.label}: {each.metric} got worse" for cell in self.cells for each in cell.worse
        ]
        unknown = [
            f"{cell.label}: {cell.problem}"
            for cell in self.cells
            if cell.problem is not None and not cell.expected
        ]
        return (*answer, *unknown)


def compare_folders(before: Path, after: Path) -> Comparison:
    """Compare what two runs left.

    Raises:
        RecordError: one of the folders holds no run, or a file of it is broken.
    """
    first, second = analyze_folder(before), analyze_folder(after)
    return compare(first.summary, second.summary, runs=(first.run, second.run))


def compare(before: Summary, after: Summary, *, runs: tuple[Run, Run] | None = None) -> Comparison:
    """Compare two summaries.

    Args:
        runs: their records, to say what else differs between them.
    """
    cells = tuple(_cells(before, after))
    compared = sum(len(cell.differences) for cell in cells)
    context = list(_context(before, after))
    if runs is not None:
        context += _environment(*runs)
    return Comparison(
        before=before.run_id,
        after=after.run_id,
        sentence=_sentence(cells),
        context=tuple(context),
        cells=cells,
        comparisons=compared,
    )


def main(
    before: Path,
    after: Path,
    *,
    out: TextIO,
    json_file: Path | None = None,
    markdown_file: Path | None = None,
    html_file: Path | None = None,
    fail_on_regression: bool = False,
) -> bool:
    """Compare two runs, print the comparison, and write the files that were asked for.

    Returns:
        Whether a gate stays open: always, unless ``fail_on_regression`` is asked for and something
        got worse or can no longer be known.

    Raises:
        RecordError: one of the folders holds no run, or a file of it is broken.
    """
    # The page draws with the report's template engine, which only this needs.
    from benchmarking import comparison_report  # noqa: PLC0415

    found = compare_folders(before, after)
    out.write(comparison_report.text(found))
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(found), indent=2) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(comparison_report.markdown(found))
    if html_file is not None:
        html_file.write_text(comparison_report.html(found))
    return not (fail_on_regression and found.regressions)


def _cells(before: Summary, after: Summary) -> Iterator[CellComparison]:
    names = _names(before) | _names(after)
    later = {cell.id: cell for cell in after.cells}
    for cell in before.cells:
        if cell.id not in later:
            yield _apart(cell, names, "only the first run has it")
            continue
        other = later.pop(cell.id)
        problem = _problem(cell, other)
        if problem is None:
            yield _compared(cell, other, names)
        else:
            nowhere = cell.state == other.state == "not-possible"
            yield _apart(cell, names, problem, expected=nowhere)
    for cell in later.values():
        yield _apart(cell, names, "only the second run has it")


def _names(summary: Summary) -> dict[str, str]:
    """The cells' labels, with their IDs where labels alone do not tell them apart."""
    labels = [cell.label for cell in summary.cells]
    return {
        cell.id: cell.label if labels.count(cell.label) == 1 else f"{cell.label} ({cell.id})"
        for cell in summary.cells
    }


def _apart(
    cell: CellSummary, names: Mapping[str, str], problem: str, *, expected: bool = False
) -> CellComparison:
    return CellComparison(cell=cell.id, label=names[cell.id], problem=problem, expected=expected)


def _problem(before: CellSummary, after: CellSummary) -> str | None:
    if before.state == after.state == "not-possible":
        return "possible in neither run"
    for name, cell in (("first", before), ("second", after)):
        if cell.state != "measured":
            return f"{cell.state} in the {name} run: {'; '.join(cell.reasons)}"
    if before.label != after.label:
        return f"{before.label} in the first run, {after.label} in the second"
    if before.load != after.load:
        return f"the loads differ: {before.load}, and {after.load}"
    return None


def _compared(before: CellSummary, after: CellSummary, names: Mapping[str, str]) -> CellComparison:
    differences, missing = [], []
    for metric, kind in METRICS.items():
        first, second = _value(metric, before), _value(metric, after)
        if first is None or second is None:
            if not (first is None and second is None):
                missing.append(f"{metric} in the {'first' if first is None else 'second'} run")
            elif metric.startswith("p"):
                missing.append(f"{metric} in either run")
            continue
        differences.append(_difference(metric, kind, first, second))
    return CellComparison(
        cell=before.id,
        label=names[before.id],
        problem=None,
        differences=tuple(differences),
        missing=tuple(missing),
    )


def _difference(metric: str, kind: Kind, before: Bounded, after: Bounded) -> Difference:
    found = statistics.subtract(_estimate(before), _estimate(after))
    bounds = Bounded(value=found.value, low=found.low, high=found.high, correlated=found.correlated)
    change: Change = "no difference shown"
    if bounds.low > 0:
        change = "worse"
    elif bounds.high < 0:
        change = "better"
    return Difference(
        metric=metric,
        kind=kind,
        before=before,
        after=after,
        difference=bounds,
        relative=_relative(bounds, before.value),
        change=change,
    )


def _relative(bounds: Bounded, base: float) -> Bounded | None:
    if base <= 0:
        return None
    return Bounded(value=bounds.value / base, low=bounds.low / base, high=bounds.high / base)


def _estimate(bounds: Bounded) -> statistics.Estimate:
    return statistics.Estimate(
        bounds.value, bounds.low, bounds.high, CONFIDENCE, correlated=bounds.correlated
    )


def _value(metric: str, cell: CellSummary) -> Bounded | None:
    if metric == "cost_per_million":
        return None if cell.cost is None else cell.cost.per_million
    shares = {
        "throttle_share": cell.throttle_share,
        "error_share": cell.error_share,
        "cold_share": cell.cold_share,
    }
    if metric in shares:
        return shares[metric]
    if cell.latency is None:
        return None
    if metric == "mean":
        return cell.latency.mean
    return next(each for name, each in cell.latency.percentiles.items() if name == metric)


def _sentence(cells: tuple[CellComparison, ...]) -> str:
    compared = [cell for cell in cells if cell.problem is None]
    if not compared:
        return "Nothing can be compared: the runs have no measured cell in common."
    worse = [cell.label for cell in compared if cell.worse]
    better = [
        cell.label for cell in compared if any(each.change == "better" for each in cell.differences)
    ]
    parts = []
    if worse:
        parts.append(f"worse in {len(worse)} of {len(compared)} cells ({'; '.join(worse)})")
    if better:
        parts.append(f"better in {len(better)} of {len(compared)} cells ({'; '.join(better)})")
    if not parts:
        return f"No difference shown in {len(compared)} cell{'s' if len(compared) != 1 else ''}."
    return f"The second run is {', and '.join(parts)}."


def _context(before: Summary, after: Summary) -> Iterator[str]:
    for name, first, second in (
        ("model", before.model_name, after.model_name),
        ("region", before.region, after.region),
        ("verb", before.verb, after.verb),
        (
            "price list",
            None if before.prices is None else before.prices.as_of,
            None if after.prices is None else after.prices.as_of,
        ),
    ):
        if first != second:
            yield f"{name}: {first}, then {second}"
    for name, summary in (("first", before), ("second", after)):
        if summary.state != "complete":
            yield f"the {name} run is {summary.state}"


def _environment(before: Run, after: Run) -> Iterator[str]:
    for name in dict.fromkeys([*before.environment, *after.environment]):
        first, second = before.environment.get(name), after.environment.get(name)
        if first != second:
            yield f"{name}: {first}, then {second}"
    if before.payload_bytes != after.payload_bytes:
        yield "the payloads have other sizes"
