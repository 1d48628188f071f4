"""Where widgets stand: on a grid of 24 columns, each cell taken once.

Source: "Dashboard body structure and syntax" of CloudWatch: widgets are 6 by 6 unless they say
otherwise, and one without a position takes the next that is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from local_runtime.console.faults import WidgetFault

Json = dict[str, Any]

COLUMNS: Final = 24
_ROWS: Final = 1000  # of one widget
_SIZE: Final = 6


def read(widget: Mapping[str, Any], number: int) -> Json:
    """A widget's size and position; ``x`` and ``y`` are None where it has none.

    Raises:
        WidgetFault: a number is none, or none that CloudWatch takes.
    """
    place: Json = {
        "width": _whole(widget.get("width", _SIZE), "width", number, 1, COLUMNS),
        "height": _whole(widget.get("height", _SIZE), "height", number, 1, _ROWS),
        "x": None,
        "y": None,
    }
    if "x" in widget or "y" in widget:
        place["x"] = _whole(widget.get("x", 0), "x", number, 0, COLUMNS - 1)
        place["y"] = _whole(widget.get("y", 0), "y", number, 0, None)
    return place


def settle(widgets: Sequence[Json]) -> None:
    """Give each a place of its own: behind the one before, or below what is in its way.

    Rows that nothing stands in are left out: a position far below the others is none of pixels.
    """
    x = y = 0
    for widget in widgets:
        if widget["x"] is None:
            if x + widget["width"] > COLUMNS:
                x, y = 0, _below(widgets, widget)
            widget["x"], widget["y"] = x, y
        widget["x"] = min(widget["x"], COLUMNS - widget["width"])
        x, y = widget["x"] + widget["width"], widget["y"]
    settled: list[Json] = []
    for widget in sorted(widgets, key=lambda each: (each["y"], each["x"])):
        lowest = max((_end(each) for each in settled), default=0)
        widget["y"] = min(widget["y"], lowest)
        while in_the_way := [_end(each) for each in settled if _overlap(each, widget)]:
            widget["y"] = min(in_the_way)
        settled.append(widget)


def _below(widgets: Sequence[Json], widget: Json) -> int:
    """The first row under every widget that has been placed before this one."""
    before = widgets[: next(at for at, each in enumerate(widgets) if each is widget)]
    return max((_end(each) for each in before), default=0)


def _end(widget: Json) -> int:
    end: int = widget["y"] + widget["height"]
    return end


def _overlap(one: Json, other: Json) -> bool:
    beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
    return not beside and one["y"] < _end(other) and other["y"] < _end(one)


def _whole(value: object, name: str, number: int, least: int, most: int | None) -> int:
    allowed = f"{least} or more" if most is None else f"{least} to {most}"
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < least
        or (most is not None and value > most)
    ):
        raise WidgetFault(
            f"{name} of widget {number} must be a whole number, {allowed}, got {value!r}"
        )
    return value
