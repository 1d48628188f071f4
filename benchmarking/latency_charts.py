"""Charts of how long requests took: distribution, spectrum, and course over time.

Every request counts in every chart. Where there are more than can be drawn one by one they are
drawn together (a band from the fastest to the slowest, a line of medians), and the chart says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarking import wording
from benchmarking.figure import Axis, Figure, Point, linear, logarithmic, nines
from benchmarking.findings import CONFIDENCE, CellSummary, Distribution
from benchmarking.observations import COLD, OK, THROTTLE, Observations

# Text keeps its size, so a chart is drawn for each of these widths, in pixels.
WIDTHS: Final = {"wide": 1160, "narrow": 350}
# Requests drawn one by one, over all charts of a page and for one variant.
_DOTS: Final = {"wide": 16_000, "narrow": 5_000}
_COLUMNS: Final = {"wide": 260, "narrow": 90}
_BINS: Final = 90
_STEPS: Final = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart as a page shows it.

    Args:
        drawings: the SVG, for each width.
        legend: (number of the series, its name).
        note: what is drawn, and of how much.
        header, rows: the same as a table.
    """

    name: str
    title: str
    drawings: tuple[str, ...]
    note: str = ""
    legend: tuple[tuple[int, str], ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A cell and the number that decides its colour; ``short`` is its name where room is scarce."""

    number: int
    name: str
    short: str
    cell: CellSummary
    seen: Observations
    answered_ms: list[float] = field(default_factory=list)  # sorted


def series_of(number: int, name: str, cell: CellSummary, seen: Observations) -> Series:
    """A cell as a series."""
    ordered = sorted(seen.answered_ms(seen.latency_ms))
    return Series(
        number=number, name=name, short=_short(cell), cell=cell, seen=seen, answered_ms=ordered
    )


def _short(cell: CellSummary) -> str:
    if cell.instance_type is not None:
        return cell.instance_type.removeprefix("ml.")
    parts = [f"{cell.memory_size_mb} MB"]
    if cell.provisioned_concurrency is not None:
        parts.append(f"+{cell.provisioned_concurrency}")
    if "concurrency" in cell.label:
        parts.append(f"c{cell.max_concurrency}")
    return " ".join(parts)


def distributions(chosen: Sequence[Series], limit_ms: float | None) -> Chart | None:
    """How latencies spread, one hill for each cell, with p50, p95 and p99."""
    drawn = [each for each in chosen if each.answered_ms]
    if not drawn:
        return None
    return Chart(
        name="distributions",
        title="How latencies are distributed",
        drawings=tuple(_hills(drawn, limit_ms, variant) for variant in WIDTHS),
        note=(
            f"{_total(drawn)} answered requests, all of them, on a logarithmic scale. Each hill is "
            "as high at its most frequent latency. Strokes: p50, p95, p99; a thin line: the bounds "
            "of the p99. A percentile that the sample cannot support has no stroke."
        ),
        header=("Cell", "Answered", "Fastest", "p50", "p95", "p99", "Slowest"),
        rows=tuple(_distribution_row(each) for each in drawn),
    )


def spectrum(
    name: str, title: str, chosen: Sequence[Series], limit_ms: float | None
) -> Chart | None:
    """Latency at every percentile, the tail drawn as large as the rest."""
    drawn = [each for each in chosen if each.answered_ms]
    if not drawn:
        return None
    most = max(len(each.answered_ms) for each in drawn)
    highest = 1 - 10.0 ** -max(2, math.ceil(math.log10(most)))
    return Chart(
        name=name,
        title=title,
        drawings=tuple(
            _spectrum(drawn, limit_ms, highest, variant, name=name, title=title)
            for variant in WIDTHS
        ),
        note=(
            f"{_total(drawn)} answered requests. Dotted: beyond what the sample supports with "
            f"{CONFIDENCE:.0%} confidence: measured, but another run may differ much."
        ),
        legend=tuple((each.number, each.name) for each in drawn),
        header=("Cell", "50 %", "90 %", "99 %", "99.9 %", "Slowest"),
        rows=tuple(
            (
                each.name,
                *(wording.ms(_at(each.answered_ms, q)) for q in (0.5, 0.9, 0.99, 0.999)),
                wording.ms(each.answered_ms[-1]),
            )
            for each in drawn
        ),
    )


def over_time(each: Series, share: int, limit_ms: float | None) -> Chart | None:
    """Every request of a cell over time, with throttles, errors and cold starts.

    Args:
        share: among how many cells the page's dots are shared.
    """
    if not len(each.seen):
        return None
    invalid = " (INVALID)" if each.cell.state == "invalid" else ""
    title = f"Latency over time: {each.name}{invalid}"
    drawings, notes = [], []
    for variant in WIDTHS:
        figure, note = _course(each, title, variant, _DOTS[variant] // max(1, share), limit_ms)
        drawings.append(figure.svg(variant))
        notes.append(note)
    outcomes = each.cell.outcomes
    return Chart(
        name=f"time-{each.number}",
        title=title,
        drawings=tuple(drawings),
        note=notes[0],
        header=("Requests", *(outcome for outcome, many in outcomes.items() if many), "cold"),
        rows=(
            (
                f"{len(each.seen):,}",
                *(f"{many:,}" for many in outcomes.values() if many),
                f"{each.seen.cold.count(COLD):,}",
            ),
        ),
    )


def latency_axis(
    values: Sequence[float], title: str = "Latency", extra: float | None = None
) -> Axis:
    """A logarithmic axis that holds these latencies."""
    held = [*values, *([] if extra is None else [extra])]
    return logarithmic(title, max(min(held), 1e-3), max(held), wording.ms)


def _hills(drawn: Sequence[Series], limit_ms: float | None, variant: str) -> str:
    narrow = variant == "narrow"
    row, left = (62, 12) if narrow else (44, 24 + round(6.7 * max(len(e.name) for e in drawn)))
    axis = latency_axis(
        [value for each in drawn for value in (each.answered_ms[0], each.answered_ms[-1])],
        extra=limit_ms,
    )
    figure = Figure(
        name="distributions",
        title="How latencies are distributed",
        summary="; ".join(f"{each.name}: {_in_words(each)}" for each in drawn),
        width=WIDTHS[variant],
        height=len(drawn) * row + 70,
        left=left,
        top=24,
        x=axis,
        y=Axis(title="", place=lambda value: value / len(drawn), ticks=()),
    )
    if limit_ms is not None:
        figure.vertical(limit_ms, f"objective {wording.ms(limit_ms)}")
    for place, each in enumerate(drawn):
        base = len(drawn) - 1 - place
        _hill(figure, each, base, axis)
        _, y = figure.at((each.answered_ms[0], base))
        if narrow:
            figure.text_at(left, y - row * 0.62, each.name, kind="name")
        else:
            figure.text_at(left - 10, y - 8, each.name, anchor="end", kind="name")
    return figure.svg(variant)


def _hill(figure: Figure, each: Series, base: float, axis: Axis) -> None:
    counts = [0] * _BINS
    for value in each.answered_ms:
        counts[min(_BINS - 1, max(0, int(axis.place(value) * _BINS)))] += 1
    top = max(counts)
    across = figure.width - figure.left - figure.right
    # On a narrow screen the name stands above the hill, beside it on a wide one.
    full = figure.y.place(0.72 if figure.width > WIDTHS["narrow"] else 0.55)
    down = (figure.height - figure.top - figure.bottom) * full
    _, floor = figure.at((each.answered_ms[0], base))
    points = [
        (figure.left + across * (number + 0.5) / _BINS, floor - down * count / top)
        for number, count in enumerate(counts)
    ]
    figure.area(points, floor, each.number)
    if each.cell.latency is None:
        return
    for name, bounds in each.cell.latency.percentiles.items():
        if bounds is None:
            continue
        if name == "p99":
            figure.whisker((bounds.low, base + 0.04), (bounds.high, base + 0.04), each.number)
        note = f"{each.name}: {name} {wording.bounds_ms(bounds)}"
        figure.tick((bounds.value, base), name, note)


def _spectrum(
    drawn: Sequence[Series],
    limit_ms: float | None,
    highest: float,
    variant: str,
    *,
    name: str,
    title: str,
) -> str:
    ends = [value for each in drawn for value in (each.answered_ms[0], each.answered_ms[-1])]
    figure = Figure(
        name=name,
        title=title,
        summary="; ".join(f"{each.name}: {_in_words(each)}" for each in drawn),
        width=WIDTHS[variant],
        height=380 if variant == "wide" else 300,
        x=nines("Share of requests at least as fast", highest),
        y=latency_axis(ends, extra=limit_ms),
    )
    if limit_ms is not None:
        figure.horizontal(limit_ms, f"objective {wording.ms(limit_ms)}")
    end = -math.log10(1 - highest)
    for each in drawn:
        n = len(each.answered_ms)
        # Beyond this quantile a sample of n has no upper bound.
        supported = ((1 - CONFIDENCE) / 2) ** (1 / n)
        points = [
            (q, _at(each.answered_ms, q))
            for step in range(_STEPS + 1)
            if (q := 1 - 10 ** (-end * step / _STEPS)) <= 1 - 0.5 / n
        ]
        sure = [point for point in points if point[0] <= supported]
        figure.line(sure, each.number)
        figure.line([*sure[-1:], *points[len(sure) :]], each.number, dotted=True)
    return figure.svg(variant)


def _course(
    each: Series, title: str, variant: str, most: int, limit_ms: float | None
) -> tuple[Figure, str]:
    seen, n = each.seen, len(each.seen)
    latencies = each.answered_ms[:1] + each.answered_ms[-1:]
    last_s = max(seen.planned_s)
    figure = Figure(
        name=f"time-{each.number}",
        title=title,
        summary=f"{n:,} requests over {wording.duration(last_s)}: {_in_words(each)}",
        width=WIDTHS[variant],
        height=190 if variant == "wide" else 170,
        x=linear("Time since the start of the cell", min(seen.planned_s), last_s, _clock),
        y=latency_axis(latencies if latencies else [1.0, 10.0], "", limit_ms),
    )
    if limit_ms is not None:
        figure.horizontal(limit_ms, f"objective {wording.ms(limit_ms)}")
    cold = _points(seen, OK, cold=True)
    warm = _points(seen, OK, cold=False)
    if len(warm) <= most:
        figure.dots(warm, f"c{each.number % 8}")
        note = f"All {n:,} requests are drawn."
    else:
        columns = _together(warm, _COLUMNS[variant])
        lows, highs = [(x, low) for x, low, _, _ in columns], [(x, h) for x, _, _, h in columns]
        figure.band(lows, highs, each.number)
        figure.line([(x, middle) for x, _, middle, _ in columns], each.number)
        note = (
            f"{len(warm):,} requests in {len(columns)} columns: the area reaches from the fastest "
            "to the slowest of a column, the line is its median."
        )
    shown = cold[:: max(1, math.ceil(len(cold) / 400))]
    figure.dots(shown, "cold", 2.6)
    if len(shown) < len(cold):
        note += f" {len(shown):,} of {len(cold):,} cold starts are drawn."
    ended = list(zip(seen.planned_s, seen.outcome, strict=True))
    _rug(figure, [time for time, outcome in ended if outcome == THROTTLE], "throttle", variant)
    failed = [time for time, outcome in ended if outcome not in (OK, THROTTLE)]
    _rug(figure, failed, "error", variant)
    return figure, note


def _rug(figure: Figure, times: Sequence[float], kind: str, variant: str) -> None:
    """Marks along the bottom, higher where more of them fall together."""
    columns = _COLUMNS[variant]
    counts: dict[int, int] = {}
    for time in times:
        column = min(columns - 1, max(0, int(figure.x.place(time) * columns)))
        counts[column] = counts.get(column, 0) + 1
    if counts:
        figure.rug(counts, columns, kind)


def _points(seen: Observations, outcome: int, *, cold: bool) -> list[Point]:
    return [
        (planned, latency)
        for planned, latency, ended, is_cold in zip(
            seen.planned_s, seen.latency_ms, seen.outcome, seen.cold, strict=True
        )
        if ended == outcome and (is_cold == COLD) == cold
    ]


def _together(points: Sequence[Point], columns: int) -> list[tuple[float, float, float, float]]:
    """Time, fastest, median and slowest of each column of points."""
    low, high = points[0][0], points[-1][0]
    width = (high - low) / columns if high > low else 1.0
    groups: dict[int, list[float]] = {}
    for time, latency in points:
        groups.setdefault(min(columns - 1, int((time - low) / width)), []).append(latency)
    answer = []
    for number, values in sorted(groups.items()):
        values.sort()
        middle = values[len(values) // 2]
        answer.append((low + (number + 0.5) * width, values[0], middle, values[-1]))
    return answer


def _at(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, math.ceil(q * len(ordered) - 1e-9) - 1))]


def _in_words(each: Series) -> str:
    if each.cell.latency is None:
        return "nothing answered"
    known = [
        f"{name} {wording.ms(bounds.value)}"
        for name, bounds in each.cell.latency.percentiles.items()
        if bounds is not None
    ]
    return ", ".join(known) if known else "too few requests for a percentile"


def _distribution_row(each: Series) -> tuple[str, ...]:
    latency = each.cell.latency
    assert latency is not None  # it has answered requests
    assert latency.minimum is not None
    assert latency.maximum is not None
    return (
        each.name,
        f"{latency.samples:,}",
        wording.ms(latency.minimum),
        *percentile_texts(latency),
        wording.ms(latency.maximum),
    )


def percentile_texts(latency: Distribution) -> tuple[str, ...]:
    """The percentiles with their bounds, or how many samples each would need."""
    return tuple(
        wording.bounds_ms(bounds) if bounds is not None else latency.unsupported[name]
        for name, bounds in latency.percentiles.items()
    )


def _total(drawn: Sequence[Series]) -> str:
    return f"{sum(len(each.answered_ms) for each in drawn):,}"


def _clock(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
