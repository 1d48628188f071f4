"""The files that a person reads, made from what a run left, and written beside it."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from benchmarking import export, markdown, report_page, wording
from benchmarking.findings import Bounded, CellSummary, Summary
from benchmarking.records import REPORT_FILE, read_samples
from benchmarking.summary import analyze_folder, write_summary
from benchmarking.verdict import p99_of

MARKDOWN_FILE = "report.md"


def write_report(folder: Path) -> Summary:
    """Write ``summary.json``, ``report.html``, ``report.md``, ``cells.csv`` and ``samples.csv``.

    All of them come from ``run.json`` and ``samples.jsonl`` alone.

    Raises:
        RecordError: the folder holds no run, or a file of it is broken.
    """
    analysis = analyze_folder(folder)
    write_summary(folder, analysis.summary)
    _replace(folder / REPORT_FILE, report_page.render(analysis))
    _replace(folder / MARKDOWN_FILE, markdown.render(analysis.summary))
    export.write_cells(folder / export.CELLS_FILE, analysis.summary)
    export.write_samples(
        folder / export.SAMPLES_FILE, read_samples(folder) if analysis.has_samples else ()
    )
    return analysis.summary


def terminal_table(summary: Summary) -> Table:
    """The comparison for a terminal; its title is the recommendation."""
    month = summary.traffic is not None
    table = Table(
        title=Text(summary.recommendation.sentence, style="bold"),
        title_justify="left",
        caption=Text("\n".join(summary.warnings)) if summary.warnings else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("cell")
    for name in ("p50", "p99", "goodput", "throttled", "failed", "cold"):
        table.add_column(name, justify="right")
    table.add_column("USD per month" if month else "USD per million", justify="right")
    table.add_column("verdict", ratio=1)
    for cell in summary.cells:
        best = cell.id == summary.recommendation.cell
        table.add_row(*_row(cell, month=month), style="bold green" if best else None)
    return table


def _row(cell: CellSummary, *, month: bool) -> list[Text]:
    verdict = Text(cell.verdict)
    if cell.state == "invalid" or not cell.requests:
        return [Text(cell.id), *[Text("")] * 7, verdict]
    median = None if cell.latency is None else cell.latency.percentiles["p50"]
    cost = None
    if cell.cost is not None:
        cost = cell.cost.per_month if month else cell.cost.per_million.value
    goodput = cell.goodput_per_s
    return [
        Text(cell.id),
        Text("?" if median is None else wording.ms(median.value)),
        Text(_with_bounds(p99_of(cell))),
        Text("" if goodput is None else f"{wording.number(goodput)}/s"),
        *(Text(_share(each)) for each in (cell.throttle_share, cell.error_share, cell.cold_share)),
        Text("?" if cost is None else wording.usd(cost)),
        verdict,
    ]


def _with_bounds(p99: Bounded | None) -> str:
    return "not supported" if p99 is None else wording.bounds_ms(p99)


def _share(measure: Bounded | None) -> str:
    return "?" if measure is None else wording.share(measure.value)


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_text(text)
    unfinished.replace(path)
