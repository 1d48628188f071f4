"""A summary and a quote as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarking import wording
from benchmarking.findings import Bounded, CellSummary, Quantile, Summary
from benchmarking.quote import Line, Quote

_STATES = {
    "invalid": "INVALID",
    "not-possible": "not possible",
    "failed": "failed",
    "not-run": "not run",
}


def summary_table(summary: Summary) -> str:
    """One line per cell, then what follows from them."""
    header = ["cell", "requests", "p50", "p95", "p99", "throttled", "failed", "cold"]
    header += ["$ per million", ""]
    rows = [_row(cell, summary.recommendation.cell) for cell in summary.cells]
    parts = [columns([header, *rows])]
    reasons = [
        f"{cell.id}: {'; '.join(cell.reasons)}"
        for cell in summary.cells
        if cell.state != "measured" and cell.reasons
    ]
    parts += ["", *reasons] if reasons else []
    parts.append(f"\n{summary.recommendation.sentence}")
    # Cells that do not count stand above, with their reasons.
    others = [text for text in summary.warnings if not text.startswith(("INVALID", "FAILED"))]
    parts += [f"warning: {text}" for text in others]
    return "\n".join(parts)


def quote_table(quote: Quote) -> str:
    """One line per endpoint, then the sums."""
    header = ("endpoint", "cells", "requests", "minutes", "USD", "")
    parts = [columns([header, *(_quoted(line) for line in quote.lines)])]
    usd = "unknown" if quote.usd is None else wording.usd(float(quote.usd))
    parts.append(
        f"\n{quote.endpoints} endpoints, about {quote.requests:,.0f} requests,"
        f" {quote.minutes:.1f} minutes and {usd} at AWS's prices"
    )
    parts += [f"no price: {text}" for text in quote.unknown]
    return "\n".join(parts)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first of them underlined; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [rows[0], tuple("-" * width for width in widths), *rows[1:]]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(row: Iterable[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if number in {0, len(widths) - 1} else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _row(cell: CellSummary, winner: str | None) -> tuple[str, ...]:
    remark = _STATES.get(cell.state, "")
    if cell.id == winner:
        remark = "recommended"
    if cell.state == "invalid":  # what was measured is the client
        return (cell.id, f"{cell.requests:,}", *[""] * 7, remark)
    return (
        cell.id,
        f"{cell.requests:,}" if cell.requests else "",
        _time(cell, "p50"),
        _time(cell, "p95"),
        _time(cell, "p99"),
        _share(cell.throttle_share),
        _share(cell.error_share),
        _share(cell.cold_share),
        "" if cell.cost is None else wording.usd(cell.cost.per_million.value),
        remark,
    )


def _time(cell: CellSummary, quantile: Quantile) -> str:
    if cell.latency is None:
        return ""
    value = cell.latency.percentiles.get(quantile)
    return "too few" if value is None else wording.ms(value.value)


def _share(share: Bounded | None) -> str:
    return "" if share is None else wording.share(share.value)


def _quoted(line: Line) -> tuple[str, ...]:
    if line.infeasible is not None:
        return line.key, "", "", "", "", f"not possible: {line.infeasible}"
    usd = "unknown" if line.usd is None else wording.usd(float(line.usd))
    return (
        line.key,
        str(line.cells),
        f"{line.requests:,.0f}",
        f"{line.minutes:.1f}",
        usd,
        "",
    )
