"""Graphs whose axes say their unit."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw

from constructs_lib.measures import MINUTE, Measure, Unit

HEIGHT = 6
COLUMNS = 24


def line(label: str, value: float, *, color: str = cw.Color.RED) -> cw.HorizontalAnnotation:
    """A labelled horizontal line, such as an objective."""
    return cw.HorizontalAnnotation(label=label, value=value, color=color)


def graph(
    title: str,
    left: Sequence[Measure],
    *,
    right: Sequence[Measure] = (),
    stacked: bool = False,
    annotations: Sequence[cw.HorizontalAnnotation] = (),
    width: int = 6,
    maximum: float | None = None,
    period: cdk.Duration = MINUTE,
) -> cw.GraphWidget:
    """Draw measures over time, from zero upwards.

    Args:
        title: what a stranger understands.
        left: measures of one unit.
        right: measures of another.
        stacked: whether the left ones are parts of a whole.
        annotations: lines on the left axis.
        width: of 24 columns.
        maximum: of the left axis; as high as the values without it.
        period: of values whose metric has none of its own.

    Raises:
        ValueError: measures of one axis differ in unit.
    """
    return cw.GraphWidget(
        title=title,
        left=[each.metric for each in left],
        right=[each.metric for each in right] if right else None,
        left_y_axis=_axis(title, left, maximum),
        right_y_axis=_axis(title, right, None) if right else None,
        left_annotations=list(annotations) if annotations else None,
        stacked=stacked,
        width=width,
        height=HEIGHT,
        period=period,
        live_data=False,
    )


def numbers(title: str, measures: Sequence[Measure], *, width: int = 6) -> cw.SingleValueWidget:
    """Show the latest value of measures, which share a unit that the title names.

    Raises:
        ValueError: they differ in unit.
    """
    return cw.SingleValueWidget(
        title=f"{title} ({_unit(title, measures)})",
        metrics=[each.metric for each in measures],
        width=width,
        height=HEIGHT,
        set_period_to_time_range=False,
    )


def text(markdown: str, *, height: int = 1, width: int = COLUMNS) -> cw.TextWidget:
    """Write markdown without a frame."""
    return cw.TextWidget(
        markdown=markdown,
        height=height,
        width=width,
        background=cw.TextWidgetBackground.TRANSPARENT,
    )


def _axis(title: str, measures: Sequence[Measure], maximum: float | None) -> cw.YAxisProps:
    return cw.YAxisProps(label=_unit(title, measures), show_units=False, min=0, max=maximum)


def _unit(title: str, measures: Sequence[Measure]) -> Unit:
    units = sorted({each.unit for each in measures})
    if len(units) != 1:
        got = ", ".join(units) or "no measure"
        raise ValueError(f"measures of {title!r} must share a unit, got {got}")
    return measures[0].unit
