"""The files that a person reads, made from what a run left: written beside it."""

from __future__ import annotations

from pathlib import Path

from benchmarking.findings import Summary
from benchmarking.summary import analyze_folder, write_summary


def write_report(folder: Path) -> Summary:
    """Write ``summary.json`` and the reports from ``run.json`` and ``samples.jsonl``.

    Raises:
        RecordError: the folder holds no run, or a file of it is broken.
    """
    analysis = analyze_folder(folder)
    write_summary(folder, analysis.summary)
    return analysis.summary
