"""The rows of a widget's ``metrics``: what each asks of GetMetricData, and how it is drawn.

A row is ``[namespace, name, dimension, value, ..., {options}]``, in which ``"."`` repeats the
element above and ``"..."`` everything before; or ``[{"expression": ...}]``.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from local_runtime.console.faults import WidgetFault

Axis = Literal["left", "right"]
Json = dict[str, Any]

DEFAULT_PERIOD_S: Final = 300
DEFAULT_STATISTIC: Final = "Average"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One metric or expression. ``query`` has no period yet."""

    query: Json
    region: str | None
    period_s: int | None
    colour: str | None
    axis: Axis
    visible: bool


def read_rows(listed: object, *, statistic: str) -> list[Row]:
    """Read every row.

    Args:
        listed: the widget's ``metrics``.
        statistic: of rows that name none.

    Raises:
        WidgetFault: a row is not complete.
    """
    if not isinstance(listed, list) or not listed:
        raise WidgetFault("metrics must be a list of at least one metric")
    before: list[str] = []
    taken = {str(row[-1].get("id")) for row in listed if _has_options(row)}
    rows: list[Row] = []
    for number, listed_row in enumerate(listed, start=1):
        if not isinstance(listed_row, list) or not listed_row:
            raise WidgetFault(f"metric {number} must be a list, got {listed_row!r}")
        options: Json = listed_row[-1] if _has_options(listed_row) else {}
        words = listed_row[:-1] if _has_options(listed_row) else listed_row
        identity = _word(options, "id", number)
        if identity is None:
            identity = _free_id(number, taken)
        query: Json = {"Id": identity}
        if "label" in options:
            query["Label"] = str(options["label"])
        if "expression" in options:
            query["Expression"] = str(options["expression"])
        else:
            before = _spelled_out(words, before, number)
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": before[0],
                    "MetricName": before[1],
                    "Dimensions": [
                        {"Name": name, "Value": value}
                        for name, value in zip(before[2::2], before[3::2], strict=True)
                    ],
                },
                "Stat": str(options.get("stat", statistic)),
            }
        rows.append(
            Row(
                query=query,
                region=_word(options, "region", number),
                period_s=_period_s(options.get("period"), number),
                colour=options.get("color"),
                axis="right" if options.get("yAxis") == "right" else "left",
                visible=options.get("visible", True) is not False,
            )
        )
    return rows


def rows_of_queries(queries: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows that an alarm's queries are."""
    rows = []
    for query in queries:
        kept = {name: value for name, value in query.items() if name != "ReturnData"}
        period_s = kept.pop("Period", None)
        if "MetricStat" in kept:
            stat = dict(kept["MetricStat"])
            period_s = stat.pop("Period")
            kept["MetricStat"] = stat
        rows.append(
            Row(
                query=kept,
                region=None,
                period_s=period_s,
                colour=None,
                axis="left",
                visible=query.get("ReturnData", True),
            )
        )
    return rows


def with_period(row: Row, period_s: int) -> Json:
    """The query of a row, complete."""
    if "Expression" in row.query:
        return {**row.query, "Period": period_s}
    return {**row.query, "MetricStat": {**row.query["MetricStat"], "Period": period_s}}


def _has_options(row: object) -> bool:
    return isinstance(row, list) and bool(row) and isinstance(row[-1], dict)


def _word(options: Json, name: str, number: int) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise WidgetFault(f"the {name} of metric {number} must be text, got {value!r}")
    return value


def _free_id(number: int, taken: set[Any]) -> str:
    identity = f"row{number}"
    while identity in taken:
        identity += "x"
    return identity


def _spelled_out(words: Sequence[Any], before: Sequence[str], number: int) -> list[str]:
    """A row's words without abbreviations."""
    if not all(isinstance(word, str) for word in words):
        raise WidgetFault(f"metric {number} must be words, got {list(words)!r}")
    whole = list(words)
    if whole and whole[0] == "...":
        rest = whole[1:]
        whole = [*before[: len(before) - len(rest)], *rest]
    repeated = [place for place, word in enumerate(whole) if word == "."]
    if any(place >= len(before) for place in repeated):
        raise WidgetFault(f'metric {number} repeats with "." what no metric before it has')
    for place in repeated:
        whole[place] = before[place]
    if len(whole) < 2 or len(whole) % 2:
        raise WidgetFault(
            f"metric {number} must be a namespace, a name and pairs of dimension and value, got"
            f" {list(words)!r}"
        )
    return whole


def _period_s(period: object, number: int) -> int | None:
    if period is None:
        return None
    if not isinstance(period, int) or isinstance(period, bool) or period < 1:
        raise WidgetFault(f"the period of metric {number} must be seconds, got {period!r}")
    return period
