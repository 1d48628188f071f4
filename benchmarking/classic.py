"""The directory layout and columns of the SageMaker Serverless Inference Benchmarking Toolkit.

For programs that read its results. The names of folders, files and columns are its own; what its
numbers got wrong is mended:

- Times of day are seconds since 1970 and can be joined with CloudWatch's; the latency counts from
  the moment the plan wanted the request sent, and ``service_time`` stands beside it.
- Every request is there, the slowest too: maxima and means are of all answered requests.
- Errors that it took for successes have a column of their own, ``other_error``.
- Requests per second count the idle seconds, and are not cut to whole numbers.
- ``metrics_with_cost.csv`` keeps ``memory_size``. Costs use the run's dated prices.
- ``cost_savings_summary.csv`` compares with an instance only if the run measured one.

- Cells in which the client was the bottleneck are in the raw results alone.

New columns follow the old ones. There are no images: the report holds the charts.
"""

from __future__ import annotations

import csv
import shutil
import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarking.cost import Curve
from benchmarking.findings import CellSummary
from benchmarking.records import (
    REPORT_FILE,
    Cell,
    EndpointMetric,
    RecordError,
    Sample,
    read_samples,
)
from benchmarking.summary import Analysis, analyze_folder
from benchmarking.usage import exact

Row = dict[str, Any]

INVOCATIONS: Final = "invocation_benchmark_results.csv"
METRICS: Final = "endpoint_metrics.csv"
_METRIC_NAMES: Final = ("MemoryUtilization", "ModelLatency", "ModelSetupTime", "OverheadLatency")
_US_PER_MS: Final = 1000
_SAVING_ROWS: Final = 20


def write_layout(folder: Path) -> tuple[Path, ...]:
    """Write a run's serverless cells in the old layout, beside the run; the files written.

    The concurrency folders come from a ``concurrency`` run, the stability and cost folders from
    any other.

    Raises:
        RecordError: the folder holds no run, or the run has no serverless cell with samples.
    """
    analysis = analyze_folder(folder)
    cells = [
        cell
        for cell in analysis.run.cells
        if cell.option == "serverless" and len(analysis.observations[cell.id])
    ]
    if not cells:
        raise RecordError(
            f"the classic layout needs a serverless cell with samples, got none in {folder}"
        )
    by_cell: dict[str, list[Sample]] = {cell.id: [] for cell in cells}
    for sample in read_samples(folder):
        if sample.cell in by_cell:
            by_cell[sample.cell].append(sample)
    stage = "concurrency" if analysis.run.verb == "concurrency" else "stability"
    raw = folder / f"{stage}_benchmark_raw_results"
    summary = folder / f"{stage}_benchmark_summary_results"
    reported = [cell for cell in cells if analysis.summary.cell(cell.id).state != "invalid"]
    if stage == "concurrency":
        name, rows = "concurrency_benchmark_summary", _concurrency_summary(reported, by_cell)
    else:
        name, rows = "invocation_benchmark_summary", _stability_summary(reported, by_cell)
    written = [
        _write(raw / INVOCATIONS, [r for c in cells for r in _requests(c, by_cell[c.id], stage)]),
        _write(raw / METRICS, [row for cell in cells for row in _metrics(cell, stage)]),
        _write(summary / f"{name}.csv", rows),
        _write(summary / "endpoint_metrics_summary.csv", [_metric_row(c, stage) for c in reported]),
    ]
    if stage == "stability":
        written += _costs(folder / "cost_analysis_summary_results", analysis, reported)
    report = folder / "benchmarking_report" / "benchmarking_report.html"
    if (folder / REPORT_FILE).is_file():
        report.parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / REPORT_FILE, report)
        written.append(report)
    return tuple(written)


def _requests(cell: Cell, samples: Iterable[Sample], stage: str) -> Iterable[Row]:
    started = _started(cell)
    for sample in samples:
        outcome = sample.outcome
        row: Row = {
            "invocation_latency": sample.latency_s * 1e3 if outcome == "ok" else -1,
            "response_size": sample.response_bytes,
            "throttle_exception": int(outcome == "throttle"),
            "insufficient_memory_error": int(outcome == "out-of-memory"),
            "other_model_error": int(outcome == "model-error"),
            "start_time": None if started is None else started + sample.sent_s,
            "end_time": None if started is None else started + sample.done_s,
        }
        if stage == "stability":
            row["invoke_arg_index"] = sample.payload
        row |= _size(cell, stage)
        known = ("ok", "throttle", "out-of-memory", "model-error")
        yield row | {
            "other_error": int(outcome not in known),
            "service_time": sample.service_time_s * 1e3 if outcome == "ok" else -1,
            "cold_start": None if sample.cold is None else int(sample.cold),
            "phase": sample.phase,
            "error": sample.error,
        }


def _metrics(cell: Cell, stage: str) -> Iterable[Row]:
    for metric in cell.metrics:
        if metric.name in _METRIC_NAMES:
            yield {
                "Timestamp": cell.started_at,
                "Average": metric.average,
                "Minimum": metric.minimum,
                "Maximum": metric.maximum,
                "Unit": metric.unit,
                **{name: metric.percentiles.get(name) for name in ("p25", "p50", "p75")},
                "metric_name": metric.name,
                **_size(cell, stage),
            }


def _size(cell: Cell, stage: str) -> Row:
    size: Row = {"memory_size": cell.memory_size_mb}
    if stage == "concurrency":
        size["max_concurrency"] = cell.max_concurrency
        size["num_clients"] = None if cell.load is None else cell.load.clients
        size["offered_per_s"] = None if cell.load is None else cell.load.rate_per_s
    return size


def _metric_row(cell: Cell, stage: str) -> Row:
    row: Row = {"memory_size": cell.memory_size_mb}
    if stage == "concurrency":
        row["max_concurrency"] = cell.max_concurrency
    return row | {name: _average(cell, name) for name in _METRIC_NAMES}


def _average(cell: Cell, name: str) -> float | None:
    """The metric's average: percent, or milliseconds."""
    found = _metric(cell, name)
    if found is None:
        return None
    return found.average / _US_PER_MS if found.unit == "Microseconds" else found.average


def _metric(cell: Cell, name: str) -> EndpointMetric | None:
    return next((metric for metric in cell.metrics if metric.name == name), None)


def _stability_summary(cells: Sequence[Cell], by_cell: dict[str, list[Sample]]) -> list[Row]:
    rows = []
    for cell in cells:
        answered = _answered_ms(by_cell[cell.id])
        rows.append(
            {
                "memory_size": cell.memory_size_mb,
                "successful_invocations": len(answered),
                "invocation_latency_min": min(answered, default=None),
                "invocation_latency_mean": statistics.fmean(answered) if answered else None,
                "invocation_latency_median": statistics.median(answered) if answered else None,
                "invocation_latency_max": max(answered, default=None),
                "invocation_latency_iqr": _iqr(answered),
                "cell": cell.id,
            }
        )
    return rows


def _concurrency_summary(cells: Sequence[Cell], by_cell: dict[str, list[Sample]]) -> list[Row]:
    rows: list[Row] = []
    for number, cell in enumerate(cells):
        measured = [sample for sample in by_cell[cell.id] if sample.phase == "measure"]
        answered = _answered_ms(measured)
        per_s = _answers_per_second(measured)
        outcomes = [sample.outcome for sample in measured]
        rows.append(
            {
                "": number,
                "max_concurrency": cell.max_concurrency,
                "num_clients": None if cell.load is None else cell.load.clients,
                "memory_size": cell.memory_size_mb,
                "throttle_exception": outcomes.count("throttle"),
                "insufficient_memory_error": outcomes.count("out-of-memory"),
                "other_model_error": outcomes.count("model-error"),
                "num_invocations": len(measured),
                "invocation_latency_median": statistics.median(answered) if answered else None,
                "invocation_latency_mean": statistics.fmean(answered) if answered else None,
                "invocation_latency_max": max(answered, default=None),
                "invocation_latency_iqr": _iqr(answered),
                "tps_avg": statistics.fmean(per_s) if per_s else None,
                **_quartiles("tps_p", per_s),
                "tps_max": max(per_s, default=None),
                "offered_per_s": None if cell.load is None else cell.load.rate_per_s,
                "cell": cell.id,
            }
        )
    return rows


def _answered_ms(samples: Iterable[Sample]) -> list[float]:
    return [
        sample.latency_s * 1e3
        for sample in samples
        if sample.outcome == "ok" and sample.phase == "measure"
    ]


def _answers_per_second(samples: Sequence[Sample]) -> list[int]:
    """Answers in each whole second between the first sending and the last answer."""
    if not samples:
        return []
    begin = min(sample.sent_s for sample in samples)
    whole = int(max(sample.done_s for sample in samples) - begin)
    counts = [0] * max(1, whole)
    for sample in samples:
        second = int(sample.done_s - begin)
        if sample.outcome == "ok" and second < len(counts):
            counts[second] += 1
    return counts


def _iqr(values: Sequence[float]) -> float | None:
    quartiles = _quartiles("", values)
    low, high = quartiles["25"], quartiles["75"]
    return None if low is None or high is None else high - low


def _quartiles(prefix: str, values: Sequence[float]) -> dict[str, float | None]:
    names = [f"{prefix}{number}" for number in (25, 50, 75)]
    if len(values) < 2:
        return dict.fromkeys(names, values[0] if values else None)
    return dict(zip(names, statistics.quantiles(values, method="inclusive"), strict=True))


def _costs(folder: Path, analysis: Analysis, cells: Sequence[Cell]) -> list[Path]:
    summary = analysis.summary
    rows = []
    for cell in cells:
        cost = summary.cell(cell.id).cost
        model, overhead = _average(cell, "ModelLatency"), _average(cell, "OverheadLatency")
        total = None if model is None or overhead is None else model + overhead
        rows.append(
            {
                "memory_size": cell.memory_size_mb,
                **{name: _average(cell, name) for name in _METRIC_NAMES},
                "average_latency": total,
                "cost_per_invocation": None if cost is None else cost.per_request,
                "cost_per_1M_invocations": None if cost is None else cost.per_million.value,
            }
        )
    written = [_write(folder / "metrics_with_cost.csv", rows)]
    savings = _savings(analysis)
    if savings:
        written.append(_write(folder / "cost_savings_summary.csv", savings))
    return written


def _savings(analysis: Analysis) -> list[Row]:
    """The recommended serverless size against the instance that the run measured."""
    cells = [
        cell
        for cell in analysis.summary.cells
        if cell.id in analysis.curves and cell.state != "invalid"
    ]
    serverless = _first(cells, "serverless", analysis.summary.recommendation.cell)
    instance = _first(cells, "real-time", analysis.summary.recommendation.cell)
    if serverless is None or instance is None:
        return []
    ours, theirs = analysis.curves[serverless.id], analysis.curves[instance.id]
    end = _crossing(ours, theirs)
    rows = []
    for step in range(1, _SAVING_ROWS + 1):
        requests = round(end * step / _SAVING_ROWS)
        cost, other = float(ours.at(exact(requests))), float(theirs.at(exact(requests)))
        rows.append(
            {
                "monthly_invocations": requests,
                "serverless_monthly_cost": cost,
                "instance_monthly_cost": other,
                "monthly_percent_savings": round(100 * (other - cost) / other, 2),
                "serverless": serverless.label,
                "instance": instance.label,
            }
        )
    return rows


def _first(cells: Sequence[CellSummary], option: str, best: str | None) -> CellSummary | None:
    of_option = [cell for cell in cells if cell.option == option]
    return next((c for c in of_option if c.id == best), of_option[0] if of_option else None)


def _crossing(ours: Curve, theirs: Curve) -> float:
    """About where serverless stops being the cheaper; the table ends there."""
    requests = 1e5
    while requests < 1e12 and ours.at(exact(requests)) < theirs.at(exact(requests)):
        requests *= 1.05
    return requests


def _started(cell: Cell) -> float | None:
    return None if cell.started_at is None else datetime.fromisoformat(cell.started_at).timestamp()


def _write(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, header)
        writer.writeheader()
        writer.writerows(rows)
    return path
