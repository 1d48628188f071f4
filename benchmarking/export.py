"""A run as tables (CSV), as histograms (HdrHistogram) and as test results (JUnit)."""

from __future__ import annotations

import csv
import dataclasses
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from benchmarking.findings import Bounded, CellSummary, Distribution, Summary
from benchmarking.histogram import Histogram
from benchmarking.observations import Observations
from benchmarking.records import Sample
from benchmarking.summary import Analysis
from benchmarking.thresholds import Finding

CELLS_FILE: Final = "cells.csv"
HISTOGRAMS_FILE: Final = "histograms.json"
SAMPLES_FILE: Final = "samples.csv"
_TIMES: Final = ("latency_ms", "service_time_ms", "lateness_ms")
_OWN: Final = tuple(field.name for field in dataclasses.fields(Sample))


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write every request, with its latency, service time and lateness; say how many."""
    count = 0
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*_OWN, *_TIMES])
        for sample in samples:
            late = sample.lateness_s
            writer.writerow(
                [
                    *(getattr(sample, name) for name in _OWN),
                    f"{sample.latency_s * 1e3:.3f}",
                    f"{sample.service_time_s * 1e3:.3f}",
                    "" if late is None else f"{late * 1e3:.3f}",
                ]
            )
            count += 1
    return count


def write_cells(path: Path, summary: Summary) -> None:
    """Write the comparison: a line for each cell, an empty field for what is not known."""
    rows = [_flat(cell) for cell in summary.cells]
    header = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, header)
        writer.writeheader()
        writer.writerows(rows)


def histograms(analysis: Analysis) -> str:
    """Latencies and service times of the answered requests of each cell, in microseconds.

    JSON: for each cell two histograms in HdrHistogram's interchange format, which tools in other
    languages merge and plot.
    """
    document = {
        cell: {
            "latency": Histogram.of(_seconds(seen, seen.latency_ms)).encode(),
            "service_time": Histogram.of(_seconds(seen, seen.service_ms)).encode(),
        }
        for cell, seen in analysis.observations.items()
        if seen.count("ok")
    }
    return json.dumps(document, indent=1) + "\n"


def _seconds(seen: Observations, column_ms: array[float]) -> Iterator[float]:
    return (value / 1e3 for value in seen.answered_ms(column_ms))


def junit(findings: Sequence[Finding], *, suite: str) -> str:
    """Findings of thresholds as JUnit writes them: a test for each condition and cell."""
    root = ET.Element(
        "testsuite",
        name=suite,
        tests=str(len(findings)),
        failures=str(sum(finding.fails for finding in findings)),
    )
    for finding in findings:
        case = ET.SubElement(
            root,
            "testcase",
            name=finding.condition,
            classname="none" if finding.cell is None else finding.cell,
        )
        if finding.fails:
            ET.SubElement(case, "failure", message=finding.text)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _flat(cell: CellSummary) -> dict[str, Any]:
    row: dict[str, Any] = {
        "cell": cell.id,
        "option": cell.option,
        "label": cell.label,
        "state": cell.state,
        "reasons": "; ".join(cell.reasons),
        "memory_size_mb": cell.memory_size_mb,
        "max_concurrency": cell.max_concurrency,
        "provisioned_concurrency": cell.provisioned_concurrency,
        "instance_type": cell.instance_type,
        "gap_s": cell.gap_s,
        "load": cell.load,
        "requests": cell.requests,
        "warm_up": cell.warm_up,
        **{f"outcome_{outcome}": many for outcome, many in cell.outcomes.items()},
    }
    for name in ("latency", "service_time"):
        row |= _times(name, getattr(cell, name))
    for name in ("throttle_share", "error_share", "cold_share", "miss_share", "good_share"):
        row |= _bounds(name, getattr(cell, name))
    for name in ("offered_per_s", "achieved_per_s", "goodput_per_s"):
        row[name] = getattr(cell, name)
    for metric in cell.metrics:
        row[f"{metric.name}_average{f'_{metric.unit}' if metric.unit else ''}"] = metric.average
    row |= _bounds("usd_per_million", None if cell.cost is None else cell.cost.per_million)
    row["usd_per_month"] = None if cell.cost is None else cell.cost.per_month
    return row | {"judgement": cell.judgement, "pareto": cell.pareto, "verdict": cell.verdict}


def _times(name: str, times: Distribution | None) -> dict[str, Any]:
    if times is None:
        return {}
    row: dict[str, Any] = {f"{name}_min_ms": times.minimum}
    row |= _bounds(f"{name}_mean_ms", times.mean)
    for quantile, bounds in times.percentiles.items():
        row |= _bounds(f"{name}_{quantile}_ms", bounds)
    return row | {f"{name}_max_ms": times.maximum}


def _bounds(name: str, bounds: Bounded | None) -> dict[str, Any]:
    if bounds is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: bounds.value, f"{name}_low": bounds.low, f"{name}_high": bounds.high}
