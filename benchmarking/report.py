"""The files that a person reads, made from what a run left: written beside it."""

from __future__ import annotations

from pathlib import Path

from benchmarking import report_page
from benchmarking.findings import Summary
from benchmarking.records import REPORT_FILE
from benchmarking.summary import analyze_folder, write_summary


def write_report(folder: Path) -> Summary:
    """Write ``summary.json`` and the reports from ``run.json`` and ``samples.jsonl``.

    Raises:
        RecordError: the folder holds no run, or a file of it is broken.
    """
    analysis = analyze_folder(folder)
    write_summary(folder, analysis.summary)
    _replace(folder / REPORT_FILE, report_page.render(analysis))
    return analysis.summary


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_text(text)
    unfinished.replace(path)
