"""Widgets of dashboards, evaluated."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_runtime.console.dashboard_views import drawn, parsed
from local_runtime.console.faults import WidgetFault
from local_runtime.console.log_lines import LogLines
from local_runtime.console.scene import Scene
from local_runtime.console.time_range import RangeError, TimeRange, range_of_body
from local_runtime.control_plane.cloudwatch.alarms import AlarmBook
from local_runtime.control_plane.cloudwatch.metric_store import MetricName, MetricStore
from local_runtime.control_plane.cloudwatch.statistics import Tally

REGION = "eu-west-1"
NOW_S = 1_000_000.0
DIMENSIONS = (("EndpointName", "screening"), ("VariantName", "AllTraffic"))
REQUESTS = [
    "AWS/SageMaker",
    "Invocations",
    "EndpointName",
    "screening",
    "VariantName",
    "AllTraffic",
]
LATENCY = ["AWS/SageMaker", "ModelLatency", *REQUESTS[2:]]


def _sample(value: float, count: float = 1) -> Tally:
    return Tally(
        count=count, total=value * count, smallest=value, largest=value, values={value: count}
    )


def _scene(*, speed: float = 1, hours: int = 1) -> Scene:
    """Ten requests in each of the last five whole minutes of the service, 20 ms each."""
    store = MetricStore(speed)
    end_s = NOW_S * speed
    for minute in range(1, 6):
        time_s = (end_s // 60 * 60 - 60 * minute) / speed
        invocations = MetricName(REGION, "AWS/SageMaker", "Invocations", DIMENSIONS)
        store.put(invocations, time_s, _sample(1, 10))
        latency = MetricName(REGION, "AWS/SageMaker", "ModelLatency", DIMENSIONS)
        store.put(latency, time_s, _sample(20_000, 10), unit="Microseconds")
    store.complete_until(end_s)
    return Scene(
        store=store,
        alarms=AlarmBook("123456789012"),
        range=TimeRange.read(f"PT{hours}H", now_s=NOW_S, speed=speed),
        region=REGION,
    )


def _draw(properties: dict[str, Any], scene: Scene | None = None) -> dict[str, Any]:
    widget = {"type": "metric", "properties": properties}
    scene = _scene() if scene is None else scene
    [document] = drawn({"widgets": [widget]}, scene, lambda group: LogLines(None, REGION, group))
    assert json.dumps(document)
    return document


def test_a_line_has_its_values_its_unit_and_its_summary() -> None:
    [line] = (document := _draw({"metrics": [LATENCY], "period": 60}))["lines"]

    assert line["unit"] == "Microseconds"
    assert (line["latest"], line["average"], line["count"]) == (20_000, 20_000, 5)
    assert document["values"] == [[20_000] * 5]
    assert len(document["times"]) == 5


def test_a_fast_clock_has_its_minutes_in_seconds_of_the_wall() -> None:
    scene = _scene(speed=60)

    document = _draw({"metrics": [[*REQUESTS, {"stat": "Sum"}]], "period": 60}, scene)

    assert document["values"] == [[10] * 5]
    assert document["times"][1] - document["times"][0] == pytest.approx(1)
    assert document["end_s"] - document["start_s"] == pytest.approx(60)


def test_rows_repeat_what_stands_above_them() -> None:
    document = _draw(
        {
            "period": 60,
            "stat": "Sum",
            "metrics": [REQUESTS, [".", "ModelLatency", ".", ".", ".", ".", {"stat": "p50"}],
                        ["...", {"stat": "Average", "label": "mean ${AVG}"}]],
        }
    )  # fmt: skip

    assert [line["label"] for line in document["lines"]] == [
        "Invocations Sum",
        "ModelLatency p50",
        "mean 20000",
    ]


def test_expressions_are_evaluated_and_hidden_rows_are_not_shown() -> None:
    document = _draw(
        {
            "period": 60,
            "yAxis": {"left": {"label": "ms", "showUnits": False}},
            "metrics": [
                [{"expression": "m / 1000", "label": "Model", "id": "e"}],
                [*LATENCY, {"id": "m", "visible": False}],
            ],
        }
    )

    [line] = document["lines"]
    assert (line["label"], line["latest"], line["unit"]) == ("Model", 20, "Milliseconds")


def test_a_stack_adds_the_lines_up() -> None:
    document = _draw(
        {"stacked": True, "period": 60, "stat": "Sum", "metrics": [REQUESTS, REQUESTS]}
    )

    assert document["stack"] == [[10] * 5, [20] * 5]


def test_a_number_of_the_whole_time_counts_everything() -> None:
    properties = {"view": "singleValue", "setPeriodToTimeRange": True, "stat": "Sum"}

    [line] = _draw({**properties, "metrics": [REQUESTS]})["lines"]

    assert line["latest"] == 50


def test_the_period_under_way_is_left_out_unless_it_is_the_first_or_wanted() -> None:
    scene = _scene()
    metric = MetricName(REGION, "AWS/SageMaker", "Invocations", DIMENSIONS)
    scene.store.put(metric, NOW_S - 1, _sample(1, 3))
    properties = {"metrics": [REQUESTS], "period": 60, "stat": "Sum"}

    assert _draw(properties, scene)["lines"][0]["latest"] == 10
    assert _draw({**properties, "liveData": True}, scene)["lines"][0]["latest"] == 3


def test_a_long_range_has_longer_periods() -> None:
    scene = _scene(hours=200)

    assert _draw({"metrics": [REQUESTS], "period": 60}, scene)["period_s"] == 3600


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["AWS/SageMaker", "Invocations", "EndpointName", "screening"], "other-dimensions"),
        (["AWS/SageMaker", "Invocations", *["EndpointName", "x", "VariantName", "y"]], "unknown"),
        (["Mine", "Nothing"], "unknown"),
    ],
)
def test_a_line_without_values_says_what_may_be_the_reason(row: list[str], reason: str) -> None:
    [line] = _draw({"metrics": [row]})["lines"]

    assert line["absence"]["reason"] == reason


def test_a_line_that_has_become_quiet_says_since_when() -> None:
    scene = _scene()
    metric = MetricName(REGION, "AWS/SageMaker", "Invocations", (("EndpointName", "old"),))
    scene.store.put(metric, NOW_S - 90_000, _sample(1))

    [line] = _draw({"metrics": [["AWS/SageMaker", "Invocations", "EndpointName", "old"]]}, scene)[
        "lines"
    ]

    assert line["absence"] == {"reason": "quiet", "seen_s": pytest.approx(NOW_S - 90_000)}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"metrics": [[{"expression": "x + 1"}]]}, "unknown id x"),
        ({"metrics": [["AWS/SageMaker"]]}, "metric 1 must be a namespace, a name"),
        ({"metrics": [[".", "Invocations"]]}, "metric 1 repeats"),
        ({"metrics": []}, "at least one metric"),
        ({"metrics": [REQUESTS], "view": "map"}, "view must be one of"),
        ({"metrics": [REQUESTS], "period": "60"}, "period must be seconds, got '60'"),
        ({"metrics": [[*REQUESTS, {"stat": "p999"}]]}, "statistic must be one of"),
        ({"metrics": [REQUESTS], "yAxis": {"left": {"min": "0"}}}, "yAxis.left.min"),
        ({"annotations": {"horizontal": [{"value": "x"}]}}, "must be a number"),
        ({"annotations": {"alarms": ["arn:none"]}}, "no alarm has the ARN"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why(properties: dict[str, Any], words: str) -> None:
    assert words in _draw(properties)["fault"]


def test_one_faulty_widget_leaves_the_others_drawn() -> None:
    widgets: list[object] = [
        {"type": "metric", "y": 6, "properties": {"metrics": [REQUESTS], "period": 60}},
        {"type": "custom", "y": 0, "properties": {}},
        "nonsense",
        {"type": "text", "y": 12, "properties": {"markdown": "# Hello"}},
    ]

    found = drawn({"widgets": widgets}, _scene(), lambda group: LogLines(None, REGION, group))

    assert [(each["number"], "fault" in each) for each in found] == [
        (2, True),
        (3, True),
        (1, False),
        (4, False),
    ]


def test_a_body_that_is_no_dashboard_is_refused() -> None:
    with pytest.raises(WidgetFault, match="not JSON"):
        parsed("{")
    with pytest.raises(WidgetFault, match="list of widgets"):
        parsed('{"widgets": 1}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70) | st.text("abm1.", max_size=3)
    | st.sampled_from([".", "...", "AWS/SageMaker", "Invocations", "Sum", "right", "timeSeries"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["value", "label", "color", "fill", "visible", "id", "expression", "stat", "period",
             "left", "right", "min", "max", "horizontal", "vertical", "alarms", "yAxis", "position"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)  # the first example compiles what the others use
@given(
    kind=st.sampled_from(["metric", "text", "alarm", "log", 3]),
    properties=st.dictionaries(
        st.sampled_from(
            ["metrics", "annotations", "yAxis", "view", "period", "stat", "stacked", "title",
             "legend", "markdown", "alarms", "states", "query", "setPeriodToTimeRange", "region"]
        ),
        _JSON,
    ),
)  # fmt: skip
def test_any_widget_is_drawn_or_refused(kind: object, properties: dict[str, Any]) -> None:
    widget = {"type": kind, "properties": properties}

    [found] = drawn({"widgets": [widget]}, _scene(), lambda group: LogLines(None, REGION, group))

    assert json.dumps(found)


def test_ranges_are_durations() -> None:
    assert TimeRange.read("P1DT2H", now_s=0, speed=1).length_s == 26 * 3600
    assert range_of_body({"start": "-PT6H"}, now_s=0, speed=1) == "PT6H"
    assert range_of_body({"start": "1970-01-01T00:00:00Z"}, now_s=90, speed=60) == "PT5400S"
    assert range_of_body({}, now_s=0, speed=1) is None
    with pytest.raises(RangeError, match="must be a duration"):
        TimeRange.read("3 hours", now_s=0, speed=1)


def test_a_row_that_cannot_be_evaluated_leaves_the_others_drawn() -> None:
    document = _draw(
        {
            "period": 60,
            "metrics": [
                [*REQUESTS, {"id": "m", "stat": "Sum", "label": "Requests"}],
                [{"expression": "ANOMALY_DETECTION_BAND(m, 2)", "label": "Expected", "id": "band"}],
                [{"expression": "m * 2", "label": "Twice", "id": "twice"}],
            ],
        }
    )

    assert [(line["label"], line["latest"]) for line in document["lines"]] == [
        ("Requests", 10),
        ("Twice", 20),
    ]
    [left_out] = document["left_out"]
    assert left_out["label"] == "Expected"
    assert "anomaly detection" in left_out["reason"]


@pytest.mark.parametrize(
    ("recorded", "seen_s"), [(True, pytest.approx(NOW_S - 90_000)), (False, None)]
)
def test_an_expression_without_values_says_since_when(recorded: bool, seen_s: object) -> None:
    scene = _scene()
    old = ["AWS/SageMaker", "Invocations", "EndpointName", "old"]
    if recorded:
        metric = MetricName(REGION, "AWS/SageMaker", "Invocations", (("EndpointName", "old"),))
        scene.store.put(metric, NOW_S - 90_000, _sample(1))
    rows = [
        [{"expression": "half * 2", "id": "e"}],
        [{"expression": "m / 2", "id": "half", "visible": False}],
        [*old, {"id": "m", "visible": False}],
    ]

    [line] = _draw({"metrics": rows}, scene)["lines"]

    assert line["absence"] == {"reason": "expression", "seen_s": seen_s}


@pytest.mark.parametrize("option", ["id", "region"])
def test_options_of_a_row_are_text(option: str) -> None:
    fault = _draw({"metrics": [[*REQUESTS, {option: ["m"]}]]})["fault"]

    assert fault == f"the {option} of metric 1 must be text, got ['m']"


def _places(*widgets: dict[str, Any]) -> list[tuple[int, int, int]]:
    shown = [{"type": "text", "properties": {"markdown": ""}, **widget} for widget in widgets]
    found = drawn({"widgets": shown}, _scene(), lambda group: LogLines(None, REGION, group))
    assert not any("fault" in each for each in found)
    return sorted((each["number"], each["x"], each["y"]) for each in found)


def test_widgets_without_a_position_follow_one_another() -> None:
    places = _places({"width": 12}, {"width": 12, "height": 3}, {"width": 6}, {"width": 24})

    assert places == [(1, 0, 0), (2, 12, 0), (3, 0, 6), (4, 0, 12)]


def test_a_widget_moves_below_what_is_in_its_way() -> None:
    places = _places(
        {"x": 0, "y": 0, "width": 24, "height": 2},
        {"x": 12, "y": 1, "width": 12},
        {"x": 0, "y": 1, "width": 12},
    )

    assert places == [(1, 0, 0), (2, 12, 2), (3, 0, 2)]


def test_rows_without_widgets_take_no_room() -> None:
    assert _places({"x": 0, "y": 0}, {"x": 0, "y": 10**9}) == [(1, 0, 0), (2, 0, 6)]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"width": 25}, "width of widget 1 must be a whole number, 1 to 24, got 25"),
        ({"height": 0}, "height of widget 1 must be a whole number, 1 to 1000, got 0"),
        ({"x": 24}, "x of widget 1 must be a whole number, 0 to 23, got 24"),
        ({"y": -1}, "y of widget 1 must be a whole number, 0 or more, got -1"),
        ({"y": 0.5}, "y of widget 1 must be a whole number, 0 or more, got 0.5"),
    ],
)
def test_a_place_beside_the_grid_is_refused(place: dict[str, Any], message: str) -> None:
    widget = {"type": "text", "properties": {"markdown": ""}, **place}

    [found] = drawn({"widgets": [widget]}, _scene(), lambda group: LogLines(None, REGION, group))

    assert found["fault"] == message


def test_a_fixed_period_makes_no_more_values_than_can_be_drawn() -> None:
    scene = replace(_scene(hours=90 * 24), fixed_periods=True)

    fault = _draw({"metrics": [REQUESTS], "period": 1}, scene)["fault"]

    assert fault.startswith("a period of 1 s makes 7,776,000 values in this time, and 100,800 are")


def test_a_line_that_was_never_recorded_leaves_the_axis_its_unit() -> None:
    other = ["AWS/SageMaker", "ModelLatency", "EndpointName", "quiet", "VariantName", "AllTraffic"]

    document = _draw({"metrics": [LATENCY, other], "period": 60})

    assert document["axes"]["left"]["unit"] == "Microseconds"
