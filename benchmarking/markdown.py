"""The report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarking import verdict, wording
from benchmarking.findings import Bounded, CellSummary, Distribution, Quantile, Summary

_STATES = {
    "measured": "",
    "invalid": " **INVALID**",
    "not-possible": " (not possible)",
    "failed": " (failed)",
    "not-run": " (not run)",
}


def render(summary: Summary) -> str:
    """The recommendation, the comparison, and what to know about both."""
    lines = [f"# Benchmark of {_text(summary.model_name)}: {summary.verb}", ""]
    lines += [f"> **{_text(warning)}**" for warning in summary.warnings]
    lines += [""] if summary.warnings else []
    lines += [f"**{_text(summary.recommendation.sentence)}**", ""]
    lines += [f"Objective: {verdict.describe(summary.objective)}. "]
    if summary.traffic is not None:
        requests = summary.traffic.requests_per_month
        lines[-1] += f"Traffic: {requests:,.0f} requests per month. "
    lines[-1] += f"Rule: {summary.recommendation.basis}."
    lines += ["", *cell_table(summary), ""]
    lines += _section("Held loads", (each.text for each in summary.held))
    lines += _section("Not told apart by these samples", summary.indistinguishable)
    lines += _section("Break-even", (each.text for each in summary.break_evens))
    lines += _section("Notes", summary.notes)
    lines += [
        f"Bounds hold with {summary.confidence:.0%} confidence.",
        f"Run `{summary.run_id}` of {summary.started_at} in {summary.region}, seed {summary.seed}"
        + ("." if summary.prices is None else f"; prices of {summary.prices.as_of}."),
        "",
    ]
    return "\n".join(lines)


def cell_table(summary: Summary) -> list[str]:
    """The comparison, a line for each cell."""
    month = summary.traffic is not None
    header = ["Option", "Load", "p50", "p95", "p99", "Goodput", "Throttled", "Failed", "Cold"]
    header += ["Per month" if month else "Per million", "Verdict"]
    return table(header, [_row(cell, month=month) for cell in summary.cells])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; bars and line ends in a field are escaped."""
    return [
        f"| {' | '.join(header)} |",
        f"|{'|'.join(' --- ' for _ in header)}|",
        *(f"| {' | '.join(_text(field) for field in row)} |" for row in rows),
    ]


def _row(cell: CellSummary, *, month: bool) -> list[str]:
    name = f"{cell.label}{_STATES[cell.state]}"
    load = "" if cell.load is None else cell.load
    if cell.state == "invalid" or not cell.requests:
        return [name, load, *[""] * 8, cell.verdict]
    latency = cell.latency
    cost = ""
    if cell.cost is not None:
        whole = cell.cost.per_month if month else cell.cost.per_million.value
        cost = "" if whole is None else wording.usd(whole)
    goodput = "" if cell.goodput_per_s is None else f"{wording.number(cell.goodput_per_s)}/s"
    return [
        name,
        load,
        *(_percentile(latency, quantile) for quantile in ("p50", "p95", "p99")),
        goodput,
        *(_share(each) for each in (cell.throttle_share, cell.error_share, cell.cold_share)),
        cost,
        cell.verdict,
    ]


def _percentile(latency: Distribution | None, name: str) -> str:
    if latency is None:
        return ""
    quantile: Quantile = "p50" if name == "p50" else "p95" if name == "p95" else "p99"
    bounds = latency.percentiles[quantile]
    return wording.bounds_ms(bounds) if bounds is not None else "not supported"


def _share(measure: Bounded | None) -> str:
    return "unknown" if measure is None else wording.bounds_share(measure)


def _section(title: str, texts: Iterable[str]) -> list[str]:
    items = [f"- {_text(text)}" for text in texts]
    return [f"## {title}", "", *items, ""] if items else []


def _text(field: str) -> str:
    return field.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")
