"""The files that a person reads, made from what a run left, and written beside it."""

from __future__ import annotations

from pathlib import Path

from benchmarking import export, markdown, report_page
from benchmarking.findings import Summary
from benchmarking.records import REPORT_FILE, read_samples
from benchmarking.summary import analyze_folder, write_summary

MARKDOWN_FILE = "report.md"


def write_report(folder: Path) -> Summary:
    """Write ``summary.json``, the report as a page and as Markdown, tables and histograms.

    All of them come from ``run.json`` and ``samples.jsonl`` alone.

    Raises:
        RecordError: the folder holds no run, or a file of it is broken.
    """
    analysis = analyze_folder(folder)
    write_summary(folder, analysis.summary)
    _replace(folder / REPORT_FILE, report_page.render(analysis))
    _replace(folder / MARKDOWN_FILE, markdown.render(analysis.summary))
    _replace(folder / export.HISTOGRAMS_FILE, export.histograms(analysis))
    export.write_cells(folder / export.CELLS_FILE, analysis.summary)
    export.write_samples(
        folder / export.SAMPLES_FILE, read_samples(folder) if analysis.has_samples else ()
    )
    return analysis.summary


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_text(text)
    unfinished.replace(path)
