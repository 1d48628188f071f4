"""What PutDashboard says about a dashboard's body: errors that refuse it, remarks that do not.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
CloudWatch-Dashboard-Body-Structure.html; the form of the messages follows those that users report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

_WIDGETS_LIMIT: Final = 500
_COLUMNS: Final = 24
_LARGEST_HEIGHT: Final = 1000
_ALARMS_LIMIT: Final = 100
# What each type of widget cannot be without.
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "metric": ("region",),
    "text": ("markdown",),
    "log": ("query", "region"),
    "alarm": ("alarms",),
    "explorer": ("metrics", "labels"),
    "custom": ("endpoint",),
    "chart": (),
}
_WIDGET_MEMBERS: Final = ("type", "x", "y", "width", "height", "properties")
_BODY_MEMBERS: Final = ("start", "end", "periodOverride", "widgets", "variables")
_ENUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "view": ("timeSeries", "singleValue", "gauge", "bar", "pie", "table"),
}
_SHORT_PERIODS_S: Final = (1, 5, 10, 20, 30)
_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "object": dict,
    "array": list,
}
_METRIC_PROPERTIES: Final[Mapping[str, str]] = {
    "region": "string",
    "title": "string",
    "stat": "string",
    "stacked": "boolean",
    "liveData": "boolean",
    "annotations": "object",
    "legend": "object",
    "yAxis": "object",
    "metrics": "array",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one place of a body."""

    path: str
    message: str
    is_error: bool = True

    def document(self) -> Json:
        """As the API shows it."""
        return {"DataPath": self.path, "Message": self.message}


def findings(body: Mapping[str, Any]) -> list[Finding]:
    """Everything that is wrong or superfluous in a body, in its order."""
    return list(_body(body))


def refusal(errors: list[Finding]) -> str:
    """The errors in one message."""
    noun = "error" if len(errors) == 1 else "errors"
    shown = [{"dataPath": error.path, "message": error.message} for error in errors]
    return (
        f"The dashboard body is invalid, there are {len(errors)} validation {noun}:\n"
        f"{json.dumps(shown, indent=2)}"
    )


def _body(body: Mapping[str, Any]) -> Iterator[Finding]:
    for name in body:
        if name not in _BODY_MEMBERS:
            yield _unexpected("", name)
    if body.get("periodOverride", "auto") not in ("auto", "inherit"):
        yield Finding("/periodOverride", "Should be equal to one of the allowed values")
    if "end" in body and "start" not in body:
        yield Finding("", "Should have required property 'start'")
    widgets = body.get("widgets")
    if widgets is None:
        yield Finding("", "Should have required property 'widgets'")
    elif not isinstance(widgets, list):
        yield Finding("/widgets", "Should be array")
    else:
        if len(widgets) > _WIDGETS_LIMIT:
            yield Finding("/widgets", f"Should NOT have more than {_WIDGETS_LIMIT} items")
        for position, widget in enumerate(widgets):
            yield from _widget(f"/widgets/{position}", widget)


def _widget(path: str, widget: Any) -> Iterator[Finding]:
    if not isinstance(widget, dict):
        yield Finding(path, "Should be object")
        return
    for name in widget:
        if name not in _WIDGET_MEMBERS:
            yield _unexpected(path, name)
    yield from _place(path, widget)
    kind = widget.get("type")
    if kind is None:
        yield Finding(path, "Should have required property 'type'")
    elif kind not in tuple(_REQUIRED):
        yield Finding(f"{path}/type", "Should be equal to one of the allowed values")
    properties = widget.get("properties")
    if properties is None:
        yield Finding(path, "Should have required property 'properties'")
    elif not isinstance(properties, dict):
        yield Finding(f"{path}/properties", "Should be object")
    elif isinstance(kind, str) and kind in _REQUIRED:
        yield from _properties(f"{path}/properties", kind, properties)


def _place(path: str, widget: Json) -> Iterator[Finding]:
    bounds = {
        "x": (0, _COLUMNS - 1),
        "y": (0, None),
        "width": (1, _COLUMNS),
        "height": (1, _LARGEST_HEIGHT),
    }
    for name, (lowest, highest) in bounds.items():
        if name in widget:
            yield from _integer(f"{path}/{name}", widget[name], lowest, highest)
    for name, other in (("x", "y"), ("y", "x")):
        if name in widget and other not in widget:
            yield Finding(path, f"Should have required property '{other}'")


def _integer(path: str, value: Any, lowest: int, highest: int | None) -> Iterator[Finding]:
    if not _is(value, "integer"):
        yield Finding(path, "Should be integer")
    elif value < lowest:
        yield Finding(path, f"Should be >= {lowest}")
    elif highest is not None and value > highest:
        yield Finding(path, f"Should be <= {highest}")


def _properties(path: str, kind: str, properties: Json) -> Iterator[Finding]:
    for name in _REQUIRED[kind]:
        if name not in properties:
            yield Finding(path, f"Should have required property '{name}'")
    match kind:
        case "metric":
            yield from _metric_properties(path, properties)
        case "text" if not _is(properties.get("markdown", ""), "string"):
            yield Finding(f"{path}/markdown", "Should be string")
        case "alarm":
            yield from _alarms(f"{path}/alarms", properties.get("alarms", []), _ALARMS_LIMIT)


def _metric_properties(path: str, properties: Json) -> Iterator[Finding]:
    for name, expected in _METRIC_PROPERTIES.items():
        if name in properties and not _is(properties[name], expected):
            yield Finding(f"{path}/{name}", f"Should be {expected}")
    for name, allowed in _ENUMS.items():
        if name in properties and properties[name] not in allowed:
            yield Finding(f"{path}/{name}", "Should be equal to one of the allowed values")
    annotations = properties.get("annotations", {})
    has_alarm = isinstance(annotations, dict) and "alarms" in annotations
    if "metrics" not in properties and not has_alarm:
        yield Finding(path, "Should have required property 'metrics'")
    if has_alarm:
        yield from _alarms(f"{path}/annotations/alarms", annotations["alarms"], 1)
    yield from _period(f"{path}/period", properties.get("period", 60))
    rows = properties.get("metrics", [])
    for position, row in enumerate(rows if isinstance(rows, list) else []):
        yield from _row(f"{path}/metrics/{position}", row)


def _alarms(path: str, alarms: Any, limit: int) -> Iterator[Finding]:
    if not isinstance(alarms, list):
        yield Finding(path, "Should be array")
    elif not alarms:
        yield Finding(path, "Should NOT have less than 1 items")
    elif len(alarms) > limit:
        yield Finding(path, f"Should NOT have more than {limit} items")
    else:
        for position, alarm in enumerate(alarms):
            if not _is(alarm, "string"):
                yield Finding(f"{path}/{position}", "Should be string")


def _period(path: str, period_s: Any) -> Iterator[Finding]:
    if not _is(period_s, "integer"):
        yield Finding(path, "Should be integer")
    elif period_s not in _SHORT_PERIODS_S and (period_s < 1 or period_s % 60):
        yield Finding(path, "Should be 1, 5, 10, 20, 30 or a multiple of 60")


def _row(path: str, row: Any) -> Iterator[Finding]:
    """One metric: namespace, name, dimensions in pairs, and how to draw it; or an expression."""
    if not isinstance(row, list):
        yield Finding(path, "Should be array")
        return
    if not row:
        yield Finding(path, "Should NOT have less than 1 items")
        return
    drawn = row[-1] if isinstance(row[-1], dict) else None
    words = row if drawn is None else row[:-1]
    wrong = False
    for position, word in enumerate(words):
        if not _is(word, "string"):
            wrong = True
            message = 'Invalid metric field type, only "String" type is allowed'
            yield Finding(f"{path}/{position}", message)
    if wrong:
        return
    if drawn is not None and "period" in drawn:
        yield from _period(f"{path}/{len(words)}/period", drawn["period"])
    if not words:
        if "expression" not in row[-1]:
            yield Finding(f"{path}/0", "Should have required property 'expression'")
    elif "..." in words:
        return  # stands for fields of the row before, however many
    elif len(words) < 2:
        yield Finding(path, "Should NOT have less than 2 items")
    elif len(words) % 2:
        yield Finding(path, f"Should NOT have more than {len(words) - 1} items")


def _is(value: Any, kind: str) -> bool:
    expected = _KINDS[kind]
    return isinstance(value, expected) and (kind == "boolean" or not isinstance(value, bool))


def _unexpected(path: str, name: str) -> Finding:
    return Finding(f"{path}/{name}", "Unknown property, it will be ignored", is_error=False)
