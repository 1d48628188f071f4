"""The report as one HTML page that needs nothing else: no server, no network, no script."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmarking import cost_charts, latency_charts, verdict, wording
from benchmarking.cell_summary import distribution
from benchmarking.findings import CellSummary, Held, Summary
from benchmarking.latency_charts import Chart, Series, series_of
from benchmarking.levels import burst_of, burst_words
from benchmarking.observations import pooled
from benchmarking.records import REPORT_FILE, RUN_FILE, SAMPLES_FILE, SUMMARY_FILE, Load
from benchmarking.summary import Analysis

RAW_FILES: Final = {
    SAMPLES_FILE: "every request, one JSON object per line",
    RUN_FILE: "what was asked and deployed",
    SUMMARY_FILE: "all numbers of this page",
    "cells.csv": "the comparison as a table",
    "samples.csv": "every request as a table",
    "histograms.json": "latencies and service times of each cell as HdrHistograms",
    "report.md": "this page as Markdown",
}
# More lines than this in one chart cannot be told apart; then each configuration gets its own.
_LINES_MOST: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatCell:
    """One field of the heat map.

    Args:
        heat: 0..100, rising with the share of requests that were not answered well in time.
    """

    p99: str
    throttled: str
    judgement: str
    heat: int
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """Configurations down, loads across."""

    loads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell | None, ...]], ...]


def render(analysis: Analysis) -> str:
    """The whole page."""
    summary = analysis.summary
    all_series = _gap_series(analysis) if summary.verb == "cold" else _series(analysis)
    # What an INVALID cell measured is the client; its course shows that, nothing else of it is.
    chosen = [each for each in all_series if each.cell.state != "invalid"]
    limit = summary.objective.latency_p99_ms
    measured = [cell for cell in summary.cells if cell.state == "measured"]
    return render_template(
        "report.html.jinja",
        summary=summary,
        run=analysis.run,
        best=_best(summary),
        tiles=_tiles(summary),
        objective=verdict.describe(summary.objective),
        partial=summary.state != "complete",
        latency_charts=_latency_charts(chosen, limit),
        one_load=_one_load(summary),
        time_charts=_time_charts(summary, all_series),
        cost_latency=cost_charts.cost_against_latency(summary, chosen)
        if summary.verb not in ("concurrency", "cold")
        else None,
        cost_month=cost_charts.cost_of_month(summary, chosen, analysis.curves),
        cold_chart=cost_charts.cold_probability(summary.cold),
        heat=_heat_map(summary.cells),
        held=_held(summary.held),
        break_evens=_break_evens(summary),
        with_client=[cell for cell in summary.cells if cell.client is not None],
        with_metrics=[cell for cell in summary.cells if cell.metrics],
        priced=[cell for cell in summary.cells if cell.cost is not None],
        measured=measured,
        configuration=_configuration(analysis),
        files={name: text for name, text in RAW_FILES.items() if name != REPORT_FILE},
    )


def render_template(name: str, **values: Any) -> str:
    """A page of this package, its style and script within it."""
    template = _environment().get_template(name)
    return template.render(css=_asset("report.css"), js=_asset("report.js"), **values)


def _series(analysis: Analysis) -> list[Series]:
    """Every cell with samples; colours count within a configuration where loads are compared."""
    cells = [cell for cell in analysis.summary.cells if len(analysis.observations[cell.id])]
    names = _names(cells)
    configurations = list(dict.fromkeys(cell.configuration for cell in cells))
    answer = []
    for number, cell in enumerate(cells):
        own = [other.id for other in cells if other.configuration == cell.configuration]
        colour = number if len(configurations) == len(cells) else own.index(cell.id)
        if len(cells) <= _LINES_MOST:
            colour = number
        answer.append(series_of(colour, names[cell.id], cell, analysis.observations[cell.id]))
    return answer


def _gap_series(analysis: Analysis) -> list[Series]:
    """One series for each configuration, gap and burst: each cell has few requests."""
    groups: dict[str, list[CellSummary]] = {}
    for cell in analysis.summary.cells:
        if cell.state == "measured" and len(analysis.observations[cell.id]):
            after = "" if cell.gap_s is None else f", after {wording.duration(cell.gap_s)}"
            burst = "" if cell.gap_s is None else burst_words(burst_of(cell))
            groups.setdefault(f"{cell.label}{after}{burst}", []).append(cell)
    answer = []
    for number, (name, cells) in enumerate(groups.items()):
        together = pooled([analysis.observations[cell.id] for cell in cells])
        latency = distribution(together, together.latency_ms)
        cell = dataclasses.replace(cells[0], latency=latency)
        answer.append(series_of(number, name, cell, together))
    return answer


def _time_charts(summary: Summary, chosen: Sequence[Series]) -> list[Chart]:
    if summary.verb == "cold":  # its cells follow one another; there is no course to see
        return []
    limit = summary.objective.latency_p99_ms
    best = summary.recommendation.cell
    ordered = sorted(chosen, key=lambda each: each.cell.id != best)
    return _present([latency_charts.over_time(each, len(chosen), limit) for each in ordered])


def _names(cells: Sequence[CellSummary]) -> dict[str, str]:
    """Names that tell the cells apart: the configuration, with load or gap where it needs them."""
    labels = [cell.label for cell in cells]
    answer = {}
    for cell in cells:
        name = cell.label
        if labels.count(name) > 1 and cell.gap_s is not None:
            name += f", after {wording.duration(cell.gap_s)}"
        elif labels.count(name) > 1 and cell.load is not None:
            name += f", {_short_load(cell)}"
        answer[cell.id] = name
    if len(set(answer.values())) < len(answer):
        return {cell.id: f"{answer[cell.id]} ({cell.id})" for cell in cells}
    return answer


def _short_load(cell: CellSummary) -> str:
    short = wording.short_load(cell.clients, cell.planned_per_s)
    return str(cell.load) if short is None else short


def _latency_charts(chosen: Sequence[Series], limit: float | None) -> list[Chart]:
    if len(chosen) <= _LINES_MOST:
        spectra = [latency_charts.spectrum("spectrum", "Latency spectrum", chosen, limit)]
    else:
        groups: dict[str, list[Series]] = {}
        for each in chosen:
            groups.setdefault(each.cell.configuration, []).append(each)
        spectra = [
            latency_charts.spectrum(
                f"spectrum-{number}",
                f"Latency spectrum: {configuration}",
                [dataclasses.replace(each, name=_short_load(each.cell)) for each in group],
                limit,
            )
            for number, (configuration, group) in enumerate(groups.items())
        ]
    return _present([latency_charts.distributions(chosen, limit), *spectra])


def _present(charts: Sequence[Chart | None]) -> list[Chart]:
    return [chart for chart in charts if chart is not None]


def _best(summary: Summary) -> CellSummary | None:
    cell = summary.recommendation.cell
    return None if cell is None else summary.cell(cell)


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """What the recommended cell does: name, number, its bounds."""
    best = _best(summary)
    if best is None:
        return []
    tiles = []
    p99 = verdict.p99_of(best)
    if p99 is not None:
        low, high = wording.ends(p99)
        tiles.append(("p99 latency", wording.ms(p99.value), f"{low} to {high} ms"))
    if best.throttle_share is not None:
        share = best.throttle_share
        tiles.append(
            ("throttled", wording.share(share.value), f"{' to '.join(wording.ends(share, 100))} %")
        )
    if best.goodput_per_s is not None:
        offered = "" if best.offered_per_s is None else f"of {wording.number(best.offered_per_s)}/s"
        tiles.append(("goodput", f"{wording.number(best.goodput_per_s)}/s", offered))
    if best.cost is not None and best.cost.per_month is not None:
        assert summary.traffic is not None  # it is what the month was priced at
        requests = wording.count(summary.traffic.requests_per_month)
        tiles.append(("per month", wording.usd(best.cost.per_month), f"{requests} requests"))
    if best.cost is not None:
        million = best.cost.per_million
        low, high = wording.usd(million.low), wording.usd(million.high)
        tiles.append(("per million", wording.usd(million.value), f"{low} to {high}"))
    return tiles


def _heat_map(cells: Sequence[CellSummary]) -> HeatMap | None:
    """Where configurations were each tried at several loads."""
    placed: dict[str, dict[str, CellSummary]] = {}
    sizes: dict[str, float] = {}
    for cell in cells:
        if cell.load is None or cell.gap_s is not None:
            continue
        name = _short_load(cell)
        size = cell.clients if cell.clients is not None else cell.planned_per_s
        sizes[name] = 0.0 if size is None else float(size)
        placed.setdefault(cell.configuration, {})[name] = cell
    if len(sizes) < 2 or not any(len(row) > 1 for row in placed.values()):
        return None
    loads = sorted(sizes, key=lambda name: sizes[name])
    return HeatMap(
        loads=tuple(loads),
        rows=tuple(
            (
                configuration,
                tuple(_heat_cell(row[name]) if name in row else None for name in loads),
            )
            for configuration, row in placed.items()
        ),
    )


def _heat_cell(cell: CellSummary) -> HeatCell:
    p99 = verdict.p99_of(cell)
    # The root makes the difference between 1 % and 5 % visible, which matters most.
    lost = 0.0 if cell.good_share is None else math.sqrt(1 - cell.good_share.value)
    throttled = cell.throttle_share
    return HeatCell(
        p99="no p99" if p99 is None else wording.ms(p99.value),
        throttled="" if throttled is None else f"{wording.share(throttled.value)} throttled",
        judgement=cell.judgement if cell.state == "measured" else cell.state,
        heat=round(100 * lost),
        note=cell.verdict,
    )


def _one_load(summary: Summary) -> str | None:
    """The load of all cells when it is the same."""
    loads = {cell.load for cell in summary.cells if cell.load is not None}
    return loads.pop() if len(loads) == 1 else None


def _held(levels: Sequence[Held]) -> list[str]:
    return [each.text for each in levels]


def _break_evens(summary: Summary) -> tuple[list[str], list[str]]:
    """Those about the recommended cell, and all others."""
    best = summary.recommendation.cell
    own: list[str] = []
    others: list[str] = []
    for each in summary.break_evens:
        about = best in (each.cheaper_below, each.cheaper_above)
        (own if about else others).append(each.text)
    return own, others


def _configuration(analysis: Analysis) -> list[tuple[str, str]]:
    run = analysis.run
    rows = [(name.replace("_", " "), _plain(value)) for name, value in run.arguments.items()]
    sizes = run.payload_bytes
    if sizes:
        rows.append(("payloads", f"{len(sizes)}, {min(sizes):,} to {max(sizes):,} bytes"))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value)
    return "not given" if value is None else str(value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("benchmarking", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ms": wording.ms,
        "usd": wording.usd,
        "share": wording.share,
        "number": wording.number,
        "ends": wording.ends,
        "duration": wording.duration,
    }
    environment.globals |= {"load_text": _load_text, "names": _names}
    return environment


def _load_text(load: Load | None) -> str:
    return "none" if load is None else wording.load(load)


@cache
def _asset(name: str) -> str:
    return files("benchmarking").joinpath("report_assets", name).read_text()
