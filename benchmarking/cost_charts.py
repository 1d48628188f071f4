"""Charts of what options cost: against latency, and over the requests of a month."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from benchmarking import wording
from benchmarking.cost import Curve
from benchmarking.figure import Axis, Figure, linear, logarithmic
from benchmarking.findings import Bounded, ColdPoint, Summary
from benchmarking.latency_charts import WIDTHS, Chart, Series, latency_axis
from benchmarking.levels import cold_name
from benchmarking.usage import exact
from benchmarking.verdict import month_or_million

_STEPS = 72


def cost_against_latency(summary: Summary, chosen: Sequence[Series]) -> Chart | None:
    """Each measured cell as a point: p99 across, cost up. The front is a dashed line."""
    points = [
        (each, p99, cost)
        for each in chosen
        if each.cell.state == "measured"
        and each.cell.latency is not None
        and (p99 := each.cell.latency.percentiles["p99"]) is not None
        and (cost := month_or_million(each.cell, summary.traffic)) is not None
    ]
    if len(points) < 2:
        return None
    shown = {each.cell.id for each, _, _ in points}
    left_out = [each.name for each in chosen if each.cell.id not in shown]
    missing = f" Without a p99 or a cost, so not shown: {'; '.join(left_out)}." if left_out else ""
    per = "per month" if summary.traffic is not None else "per million requests"
    title = f"Cost {per} against p99"
    return Chart(
        name="cost-latency",
        title=title,
        drawings=tuple(_scatter(summary, points, title, variant) for variant in WIDTHS),
        note=(
            "Left is faster, low is cheaper. Crosses are bounds. The dashed line joins the cells "
            "that no other beats in both (Pareto front); the thin line joins serverless sizes by "
            f"memory.{missing}"
        ),
        header=("Cell", "p99", f"Cost {per}", "On the front"),
        rows=tuple(
            (
                each.name,
                wording.bounds_ms(p99),
                _bounds_usd(cost),
                "yes" if each.cell.pareto else "no",
            )
            for each, p99, cost in points
        ),
    )


def cost_of_month(
    summary: Summary, chosen: Sequence[Series], curves: Mapping[str, Curve]
) -> Chart | None:
    """Cost per month over the month's requests, one line for each option."""
    drawn = [
        (each, curves[each.cell.id])
        for each in chosen
        if each.cell.state == "measured" and each.cell.id in curves
    ]
    if len(drawn) < 2:
        return None
    title = "Cost per month over requests per month"
    low, high = _traffic_range(summary)
    if not any(usd > 0 for _, curve in drawn for _, usd in _line(curve, low, high)):
        return None
    return Chart(
        name="cost-month",
        title=title,
        drawings=tuple(_month(summary, drawn, (low, high), title, variant) for variant in WIDTHS),
        note=(
            "Both scales are logarithmic. A line ends where the busiest hour no longer fits the "
            "option at this size. Where two lines cross is their break-even."
        ),
        legend=tuple((each.number, each.name) for each, _ in drawn),
        header=("Cell", *(f"{wording.count(n)}" for n in _decades(low, high))),
        rows=tuple(
            (each.name, *(_month_text(curve, n) for n in _decades(low, high)))
            for each, curve in drawn
        ),
    )


def cold_probability(points: Sequence[ColdPoint]) -> Chart | None:
    """How often a request met a cold start, against the idle gap before it."""
    known = [point for point in points if point.probability is not None]
    if not known:
        return None
    title = "Probability of a cold start against the idle gap"
    names = list(dict.fromkeys(cold_name(point) for point in known))
    return Chart(
        name="cold",
        title=title,
        drawings=tuple(_cold(known, names, title, variant) for variant in WIDTHS),
        note=f"{sum(point.requests for point in known):,} requests. Whiskers are bounds.",
        legend=tuple(enumerate(names)),
        header=("Configuration", "Gap", "Requests", "Cold", "Cold, p50", "Warm, p50"),
        rows=tuple(
            (
                cold_name(point),
                wording.duration(point.gap_s),
                f"{point.requests:,}",
                "unknown" if point.probability is None else wording.bounds_share(point.probability),
                _median(point, cold=True),
                _median(point, cold=False),
            )
            for point in points
        ),
    )


def _scatter(
    summary: Summary,
    points: Sequence[tuple[Series, Bounded, Bounded]],
    title: str,
    variant: str,
) -> str:
    costs = [value for _, _, cost in points for value in (cost.low, cost.high) if value > 0]
    limit = summary.objective.latency_p99_ms
    figure = Figure(
        name="cost-latency",
        title=title,
        summary="; ".join(
            f"{each.name}: p99 {wording.ms(p99.value)}, {wording.usd(cost.value)}"
            for each, p99, cost in points
        ),
        width=WIDTHS[variant],
        height=400 if variant == "wide" else 340,
        x=latency_axis([v for _, p99, _ in points for v in (p99.low, p99.high)], "p99", limit),
        y=_cost_axis(costs, title.split(" against", maxsplit=1)[0]),
    )
    if limit is not None:
        figure.vertical(limit, f"objective {wording.ms(limit)}")
    by_memory = sorted(
        (each.cell.memory_size_mb, p99.value, cost.value)
        for each, p99, cost in points
        if each.cell.option == "serverless" and each.cell.memory_size_mb is not None
    )
    if len({memory for memory, _, _ in by_memory}) == len(by_memory):
        figure.stroke([(x, y) for _, x, y in by_memory], "sizes")
    front = sorted((p99.value, cost.value) for each, p99, cost in points if each.cell.pareto)
    figure.stroke(front, "front")
    taken: list[tuple[float, float]] = []
    for each, p99, cost in sorted(points, key=lambda point: point[2].value):
        figure.whisker((p99.low, cost.value), (p99.high, cost.value), each.number)
        figure.whisker((p99.value, cost.low), (p99.value, cost.high), each.number)
        best = each.cell.id == summary.recommendation.cell
        note = f"{each.name}: p99 {wording.bounds_ms(p99)}, {_bounds_usd(cost)}"
        figure.mark(
            (p99.value, cost.value),
            f"c{each.number % 8}{' best' if best else ''}",
            note,
            radius=7 if best else 5,
        )
        text = each.short if variant == "narrow" else each.name
        figure.free_note((p99.value, cost.value), text, taken)
    return figure.svg(variant)


def _month(
    summary: Summary,
    drawn: Sequence[tuple[Series, Curve]],
    span: tuple[float, float],
    title: str,
    variant: str,
) -> str:
    low, high = span
    lines = [(each, _line(curve, low, high)) for each, curve in drawn]
    usd = [value for _, line in lines for _, value in line if value > 0]
    figure = Figure(
        name="cost-month",
        title=title,
        summary="; ".join(each.text for each in summary.break_evens[:6]) or "no break-even",
        width=WIDTHS[variant],
        height=400 if variant == "wide" else 320,
        x=logarithmic("Requests per month", low, high, wording.count_short),
        y=logarithmic("USD per month", max(min(usd), max(usd) / 1e6), max(usd), wording.usd_short),
    )
    if summary.traffic is not None:
        requests = summary.traffic.requests_per_month
        figure.vertical(requests, f"your {wording.count(requests)}", kind="yours")
    for each, line in lines:
        figure.line(line, each.number)
        if line and line[-1][0] < high * 0.999:
            note = f"{each.name}: full at {wording.count(line[-1][0])} requests per month"
            figure.mark(line[-1], f"c{each.number % 8}", note, radius=3.5)
    return figure.svg(variant)


def _cold(known: Sequence[ColdPoint], names: Sequence[str], title: str, variant: str) -> str:
    gaps = [point.gap_s for point in known]
    figure = Figure(
        name="cold",
        title=title,
        summary="; ".join(
            f"{wording.duration(point.gap_s)}: {wording.share(point.probability.value)}"
            for point in known
            if point.probability is not None
        ),
        width=WIDTHS[variant],
        height=300,
        x=dataclasses.replace(
            logarithmic("Idle gap", max(min(gaps), 0.1), max(*gaps, 1.0), wording.duration),
            ticks=tuple((gap, wording.duration(gap)) for gap in sorted(set(gaps))),
        ),
        y=linear("Cold", 0, 1, lambda value: f"{value:.0%}"),
    )
    for number, name in enumerate(names):
        own = sorted((p for p in known if cold_name(p) == name), key=lambda p: p.gap_s)
        shares = [(p.gap_s, p.probability) for p in own if p.probability is not None]
        figure.line([(gap, share.value) for gap, share in shares], number)
        for gap, share in shares:
            figure.whisker((gap, share.low), (gap, share.high), number)
            note = f"{name}, {wording.duration(gap)}: {wording.bounds_share(share)}"
            figure.mark((gap, share.value), f"c{number % 8}", note, radius=4)
    return figure.svg(variant)


def _line(curve: Curve, low: float, high: float) -> list[tuple[float, float]]:
    end = high if curve.limit is None else min(high, float(curve.limit))
    if end <= low:
        return []
    steps = {low * (end / low) ** (step / _STEPS) for step in range(_STEPS + 1)}
    steps |= {float(bend) for bend in curve.bends if low < bend < end}
    return [(x, float(curve.at(exact(x)))) for x in sorted(steps)]


def _traffic_range(summary: Summary) -> tuple[float, float]:
    """Two powers of ten to each side of what matters: the user's traffic and the break-evens."""
    middle = [
        each.requests_per_month
        for each in summary.break_evens
        if each.requests_per_month is not None
    ]
    if summary.traffic is not None:
        middle.append(summary.traffic.requests_per_month)
    if not middle:
        return 1e4, 1e9
    low = 10.0 ** math.floor(math.log10(max(min(middle), 1.0)) - 1)
    high = 10.0 ** math.ceil(math.log10(max(middle)) + 0.7)
    return max(low, high / 1e8), high


def _decades(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def _month_text(curve: Curve, requests: float) -> str:
    if curve.limit is not None and Decimal(requests) > curve.limit:
        return "does not fit"
    return wording.usd(float(curve.at(exact(requests))))


def _cost_axis(values: Sequence[float], title: str) -> Axis:
    if not values or max(values) / min(values) < 8:
        return linear(title, 0, max(values, default=1.0) * 1.15, wording.usd_short)
    return logarithmic(title, min(values) / 1.3, max(values) * 1.3, wording.usd_short)


def _bounds_usd(cost: Bounded) -> str:
    return f"{wording.usd(cost.value)} ({wording.usd(cost.low)} to {wording.usd(cost.high)})"


def _median(point: ColdPoint, *, cold: bool) -> str:
    part = point.cold if cold else point.warm
    if part is None:
        return "none"
    median = part.percentiles["p50"]
    return "too few" if median is None else wording.bounds_ms(median)
