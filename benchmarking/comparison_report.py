"""A comparison of two runs as text, Markdown and a page that needs nothing else."""

from __future__ import annotations

from typing import Final

from benchmarking import report_page, wording
from benchmarking.comparison import CellComparison, Comparison, Difference
from benchmarking.figure import Axis, Figure, linear
from benchmarking.findings import Bounded
from benchmarking.latency_charts import WIDTHS, Chart
from benchmarking.markdown import table

_NAMES: Final = {
    "throttle_share": "throttled",
    "error_share": "failed",
    "cold_share": "cold",
    "cost_per_million": "cost per million",
}
HEADER: Final = ("Number", "Before", "After", "Difference", "")


def text(found: Comparison) -> str:
    """For a terminal."""
    lines = [found.sentence, ""]
    for cell in found.cells:
        lines.append(cell.label)
        if cell.problem is not None:
            lines.append(f"  not compared: {cell.problem}")
        rows = [row(each) for each in cell.differences]
        widths = [max((len(r[column]) for r in rows), default=0) for column in range(len(HEADER))]
        for each in rows:
            fields = (field.ljust(width) for field, width in zip(each, widths, strict=True))
            lines.append(f"  {'  '.join(fields)}".rstrip())
        lines += [f"  not supported by the sample: {missing}" for missing in cell.missing]
    lines += ["", chance(found)]
    lines += [f"differs: {each}" for each in found.context]
    return "\n".join(lines) + "\n"


def markdown(found: Comparison) -> str:
    """For a pull request."""
    lines = [f"# {found.before} against {found.after}", "", f"**{found.sentence}**", ""]
    lines += [f"- differs: {each}" for each in found.context]
    for cell in found.cells:
        lines += ["", f"## {cell.label}", ""]
        if cell.problem is not None:
            lines.append(f"Not compared: {cell.problem}.")
            continue
        lines += table(HEADER, [row(each) for each in cell.differences])
        lines += [f"\nNot supported by the sample: {missing}." for missing in cell.missing]
    return "\n".join([*lines, "", chance(found), ""])


def html(found: Comparison) -> str:
    """For a browser."""
    return report_page.render_template(
        "comparison.html.jinja",
        found=found,
        rows={cell.cell: [row(each) for each in cell.differences] for cell in found.cells},
        header=HEADER,
        chance=chance(found),
        chart=forest(found.cells),
    )


def row(each: Difference) -> tuple[str, str, str, str, str]:
    """A difference in words: number, before, after, difference, change."""
    name = _NAMES.get(each.metric, each.metric)
    return (name, _value(each, each.before), _value(each, each.after), _delta(each), each.change)


def chance(found: Comparison) -> str:
    """How many differences chance alone would show."""
    expected = found.comparisons * (1 - found.confidence)
    return (
        f"{found.comparisons} numbers were compared with {found.confidence:.0%} confidence: about "
        f"{wording.number(expected)} would differ by chance alone."
    )


def forest(cells: tuple[CellComparison, ...]) -> Chart | None:
    """The relative difference of each cell's p99 with its bounds, around a line at no change."""
    drawn = [
        (cell.label, each, each.relative)
        for cell in cells
        for each in cell.differences
        if each.metric == "p99" and each.relative is not None
    ]
    if not drawn:
        return None
    low = min(0.0, *(bounds.low for _, _, bounds in drawn))
    high = max(0.0, *(bounds.high for _, _, bounds in drawn))
    margin = max((high - low) * 0.08, 0.01)
    drawings = []
    for variant, width in WIDTHS.items():
        narrow = variant == "narrow"
        figure = Figure(
            name="forest",
            title="Difference of p99",
            summary="; ".join(f"{label}: {_delta(each)}" for label, each, _ in drawn),
            width=width,
            height=len(drawn) * (46 if narrow else 34) + 66,
            left=14 if narrow else 24 + round(6.7 * max(len(label) for label, _, _ in drawn)),
            x=linear("Difference of p99", low - margin, high + margin, lambda v: f"{v:+.0%}"),
            y=Axis(title="", place=lambda value: value / len(drawn), ticks=()),
        )
        figure.vertical(0.0, "no change", kind="yours")
        for number, (label, each, bounds) in enumerate(drawn):
            y = len(drawn) - number - 0.5
            series = {"worse": 6, "better": 2}.get(each.change, 7)
            figure.whisker((bounds.low, y), (bounds.high, y), series)
            note = f"{label}: {_delta(each)}, {each.change}"
            figure.mark((bounds.value, y), f"c{series}", note)
            _, down = figure.at((bounds.value, y))
            if narrow:
                figure.text_at(14, down - 12, label, kind="name")
            else:
                figure.text_at(figure.left - 10, down + 4, label, anchor="end", kind="name")
        drawings.append(figure.svg(variant))
    return Chart(
        name="forest",
        title="Difference of p99, after against before",
        drawings=tuple(drawings),
        note="Lines are bounds. Where one crosses no change, no difference is shown.",
    )


def _value(each: Difference, bounds: Bounded) -> str:
    if each.kind == "time":
        return wording.bounds_ms(bounds)
    return wording.bounds_share(bounds) if each.kind == "share" else wording.usd(bounds.value)


def _delta(each: Difference) -> str:
    bounds = each.difference
    if each.kind == "time":
        shown = f"{_signed(bounds.value)} ms ({_signed(bounds.low)} to {_signed(bounds.high)})"
    elif each.kind == "share":
        low, high = _signed(bounds.low * 100), _signed(bounds.high * 100)
        shown = f"{_signed(bounds.value * 100)} points ({low} to {high})"
    else:
        sign = "-" if bounds.value < 0 else "+"
        shown = f"{sign}{wording.usd(abs(bounds.value))}"
    if each.relative is None or each.kind == "share":
        return shown
    return f"{shown}, {_signed(each.relative.value * 100)} %"


def _signed(value: float) -> str:
    text = wording.rounded(value)
    return f"+{text}" if value > 0 and text != "0" else text
