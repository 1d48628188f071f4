"""Dashboards as CloudWatch keeps them, with each widget evaluated or the reason why it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from local_runtime.console import (
    alarm_views,
    log_widget,
    markdown,
    metric_widget,
    widget_places,
)
from local_runtime.console.faults import WidgetFault, as_object
from local_runtime.console.log_widget import Groups
from local_runtime.console.scene import Scene

Json = dict[str, Any]

_ELSEWHERE: Final = {
    "custom": "its content comes from a Lambda function, which the local runtime does not run",
    "explorer": "it shows resources found by their tags, which the local runtime does not search",
}


def parsed(text: str) -> Json:
    """A dashboard's body.

    Raises:
        WidgetFault: it is not one.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise WidgetFault(f"the dashboard's body is not JSON: {fault}") from fault
    if not isinstance(body, dict) or not isinstance(body.get("widgets", []), list):
        raise WidgetFault("the dashboard's body must be an object with a list of widgets")
    return body


def drawn(body: Mapping[str, Any], scene: Scene, groups: Groups) -> list[Json]:
    """Every widget, in the order of its place: rows from the top, from left to right."""
    widgets = [
        _widget(number, widget, scene, groups)
        for number, widget in enumerate(body.get("widgets", []), start=1)
    ]
    widget_places.settle(widgets)
    return sorted(widgets, key=lambda each: (each["y"], each["x"]))


def _widget(number: int, widget: object, scene: Scene, groups: Groups) -> Json:
    document: Json = {
        "number": number,
        "type": None,
        "title": None,
        **widget_places.read({}, number),
    }
    try:
        given = as_object(widget, f"widget {number}")
        document["type"] = str(given.get("type"))
        properties = as_object(given.get("properties", {}), "properties")
        title = properties.get("title")
        document["title"] = None if title is None else str(title)
        document |= widget_places.read(given, number)
        document |= _content(document["type"], properties, scene, groups)
    except WidgetFault as fault:
        document["fault"] = str(fault)
    return document


def _content(
    kind: str, properties: Mapping[str, Any], scene: Scene, groups: Groups
) -> dict[str, Any]:
    if kind == "metric":
        return metric_widget.draw(properties, scene)
    if kind == "text":
        return {
            "content": markdown.tree(str(properties.get("markdown", ""))),
            "transparent": properties.get("background") == "transparent",
        }
    if kind == "alarm":
        arns = properties.get("alarms")
        if not isinstance(arns, list):
            raise WidgetFault(f"alarms must be a list of ARNs, got {arns!r}")
        return {"alarms": _with_states(alarm_views.by_arn(scene.alarms, arns), properties)}
    if kind == "log":
        return log_widget.draw(properties, groups)
    if kind in _ELSEWHERE:
        raise WidgetFault(_ELSEWHERE[kind])
    raise WidgetFault(
        f"type must be one of metric, text, alarm, log, custom, explorer, got {kind!r}"
    )


def _with_states(alarms: list[Json], properties: Mapping[str, Any]) -> list[Json]:
    states = properties.get("states")
    if not isinstance(states, list) or not states:
        return alarms
    return [alarm for alarm in alarms if alarm["state"] in states]
