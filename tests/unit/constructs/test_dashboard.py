"""What dashboards show, and what they say where nothing is known."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cw
from aws_cdk.assertions import Template

from constructs_lib import (
    EndpointMeasures,
    EndpointWidgets,
    ImportedEndpoint,
    InferenceDashboard,
    Instances,
    Measure,
    Monitored,
    Objective,
)
from constructs_lib.dashboard_graph import graph
from hosting.endpoint import EndpointKind
from hosting.pricing import Price, PriceList
from tests.unit.constructs.monitoring import (
    CASES,
    body,
    lines,
    multi_model,
    pipeline,
    provisioned,
    queue,
    real_time,
    scaled,
    serverless,
    tracked,
    two_variants,
)

PRICES = PriceList(
    date(2026, 1, 1),
    (
        Price(
            item="instance",
            size="ml.m5.large",
            region="eu-west-1",
            usd=Decimal("0.25"),
            unit="hour",
            certainty="list",
            source="a test",
            checked="2026-01-01",
        ),
        *(
            Price(
                item=item,  # type: ignore[arg-type]
                size="2048",
                region="eu-west-1",
                usd=Decimal(usd),
                unit="second",
                certainty="A",
                source="a test",
                checked="2026-01-01",
            )
            for item, usd in (
                ("serverless-duration", "0.00004"),
                ("provisioned-usage", "0.00001"),
                ("provisioned-duration", "0.00002"),
            )
        ),
    ),
)


def _widgets(document: dict[str, Any], title: str) -> list[dict[str, Any]]:
    return [
        widget["properties"]
        for widget in document["widgets"]
        if widget["properties"].get("title", "").startswith(title)
    ]


def _notes(document: dict[str, Any]) -> str:
    return "\n".join(w["properties"].get("markdown", "") for w in document["widgets"])


def _show(stack: cdk.Stack, *endpoints: Any, **arguments: Any) -> dict[str, Any]:
    monitored = [
        each if isinstance(each, Monitored) else Monitored(endpoint=each, title="Screening")
        for each in endpoints
    ]
    InferenceDashboard(stack, "Dashboard", endpoints=monitored, price_list=PRICES, **arguments)
    return body(stack)


def test_overview_comes_before_the_sections(stack: cdk.Stack) -> None:
    document = _show(stack, real_time(stack))

    headings = [
        widget["properties"]["markdown"].partition("\n")[0]
        for widget in document["widgets"]
        if widget["properties"].get("markdown", "").startswith("#")
    ]
    assert headings == ["# Overview", "## Screening"]


def test_widgets_fill_rows_without_overlap(stack: cdk.Stack) -> None:
    document = _show(stack, queue(stack))

    cells = [
        (x, y)
        for widget in document["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_pipeline_stacks_its_containers_and_the_overhead_to_the_whole(stack: cdk.Stack) -> None:
    (widget,) = _widgets(_show(stack, pipeline(stack)), "Time by container")

    labels = [row[-1]["label"] for row in widget["metrics"] if "label" in row[-1]]
    assert widget["stacked"] is True
    assert labels == ["scale", "classify", "Added by SageMaker"]


def test_processor_load_is_related_to_the_cores(stack: cdk.Stack) -> None:
    (line,) = [each for each in lines(_show(stack, real_time(stack))) if "Processors" in each.where]

    assert line.expression.endswith(" / 2")
    assert line.unit == "%"


def test_processor_load_on_types_of_unequal_size_is_of_one_core(stack: cdk.Stack) -> None:
    endpoint = CASES["pooled"].make(stack)

    (line,) = [each for each in lines(_show(stack, endpoint)) if "Processors" in each.where]

    assert line.unit == "% of one core"


def test_gpus_are_shown_for_the_variant_that_has_them(stack: cdk.Stack) -> None:
    document = _show(stack, two_variants(stack))

    assert [widget["title"] for widget in _widgets(document, "GPUs")] == ["GPUs of Next"]


def test_overview_adds_up_what_all_variants_get(stack: cdk.Stack) -> None:
    first = next(lines(_show(stack, two_variants(stack))))

    assert "invocations_Sum_screening + invocations_Sum_screening__Next" in first.expression


def test_latency_objective_is_a_line_in_milliseconds(stack: cdk.Stack) -> None:
    objective = Objective(latency=cdk.Duration.millis(150), percentile=95)
    monitored = Monitored(endpoint=real_time(stack), title="Screening", objective=objective)

    (widget,) = [
        widget
        for widget in _widgets(_show(stack, monitored), "Time the model took")
        if "against" not in widget["title"]
    ]

    (annotation,) = widget["annotations"]["horizontal"]
    assert (annotation["value"], annotation["label"]) == (150, "objective for p95")
    assert {row[-1]["label"] for row in widget["metrics"] if "label" in row[-1]} == {
        "p50",
        "p90",
        "p95",
        "p99",
    }


@pytest.mark.parametrize(
    ("make", "title", "values"),
    [
        (scaled, "Requests for each instance", [1000]),
        (scaled, "Instances", [1, 4]),
        (tracked, "Processors", [70]),
        (queue, "Backlog for each instance", [3]),
        (queue, "Instances", [0, 5]),
        (provisioned, "Concurrency in use", [50]),
    ],
)
def test_what_scaling_aims_at_is_drawn_in_the_graphs_unit(
    stack: cdk.Stack, make: Any, title: str, values: list[float]
) -> None:
    (widget,) = _widgets(_show(stack, make(stack)), title)

    assert [each["value"] for each in widget["annotations"]["horizontal"]] == values


def test_provisioned_concurrency_is_shown_where_there_is_some(stack: cdk.Stack) -> None:
    document = _show(stack, serverless(stack))

    assert _widgets(document, "Provisioned concurrency") == []


def test_cost_is_the_instances_that_report_times_their_price(stack: cdk.Stack) -> None:
    document = _show(stack, real_time(stack))

    (line,) = [each for each in lines(document) if each.unit == "USD/h"]
    assert line.expression.endswith("/ (PERIOD(cpuUtilization_SampleCount_screening) / 60) * 0.25")
    assert "ml.m5.large at 0.25 USD per hour in eu-west-1 (AWS's price list" in _notes(document)


def test_queue_without_instances_costs_nothing(stack: cdk.Stack) -> None:
    (line,) = [each for each in lines(_show(stack, queue(stack))) if each.unit == "USD/h"]

    assert line.expression.startswith("FILL(cpuUtilization_SampleCount_screening, 0)")


def test_serverless_requests_cost_their_seconds(stack: cdk.Stack) -> None:
    (line,) = [each for each in lines(_show(stack, serverless(stack))) if each.unit == "USD/h"]

    assert line.expression.endswith(
        "/ 1000000 / PERIOD(modelLatency_Sum_screening) * 3600 * 0.00004"
    )


def test_provisioned_concurrency_costs_also_while_it_waits(stack: cdk.Stack) -> None:
    (line,) = [each for each in lines(_show(stack, provisioned(stack))) if each.unit == "USD/h"]

    # Two, at 0.00001 USD a second, for 3,600 seconds.
    assert line.expression.endswith("* 0.00002 + 0.07200")


def test_unknown_price_is_said_and_not_guessed() -> None:
    stack = cdk.Stack(env=cdk.Environment(region="ap-south-2"))

    document = _show(stack, real_time(stack))

    assert _widgets(document, "Cost now") == []
    assert "no price: region of a instance price must be one of eu-west-1" in _notes(document)


def test_stack_without_a_region_has_no_prices() -> None:
    stack = cdk.Stack()

    document = _show(stack, real_time(stack))

    assert "no price, the stack is not bound to a region" in _notes(document)


def test_several_instance_types_have_no_single_price(stack: cdk.Stack) -> None:
    document = _show(stack, CASES["pooled"].make(stack))

    assert "the template names no single instance type" in _notes(document)


def test_components_are_paid_with_their_endpoint(stack: cdk.Stack) -> None:
    document = _show(stack, CASES["component"].make(stack))

    assert "paid for with the instances of its endpoint" in _notes(document)


def test_alarm_states_are_on_top(stack: cdk.Stack) -> None:
    alarm = cw.Alarm.from_alarm_arn(stack, "Alarm", "arn:aws:cloudwatch:eu-west-1:1:alarm:sample")

    document = _show(stack, real_time(stack), alarms=[alarm])

    assert document["widgets"][1]["type"] == "alarm"
    assert document["widgets"][1]["properties"]["alarms"] == [alarm.alarm_arn]


def test_first_three_hours_are_shown_unless_told(stack: cdk.Stack) -> None:
    assert _show(stack, real_time(stack))["start"] == "-PT3H"


def test_multi_model_section_relates_hits_to_all_requests(stack: cdk.Stack) -> None:
    (line,) = [
        each
        for each in lines(_show(stack, multi_model(stack)))
        if each.where.startswith("Model was loaded already")
    ]

    assert line.expression == "modelCacheHit_Average_screening * 100"


def test_widgets_compose_with_a_dashboard_of_your_own(stack: cdk.Stack) -> None:
    widgets = EndpointWidgets(Monitored(endpoint=real_time(stack), title="Screening"))
    cw.Dashboard(stack, "Mine", widgets=[[widgets.traffic(), widgets.latency()]])

    titles = [widget["properties"]["title"] for widget in body(stack)["widgets"]]
    assert titles == ["Requests", "Time the model took"]


@pytest.mark.parametrize(
    ("endpoints", "name", "message"),
    [
        ([], None, "endpoints must hold one endpoint at least, got none"),
        (["House prices", "House-Prices"], None, "differ in their titles, got House prices, House"),
        (["Screening"], "no spaces", r"dashboard_name must be 1 to 255 letters.*got 'no spaces'"),
        (["Screening"], "", "dashboard_name must be 1 to 255 letters"),
    ],
)
def test_dashboard_refuses_what_cloudwatch_would(
    stack: cdk.Stack, endpoints: list[str], name: str | None, message: str
) -> None:
    endpoint = real_time(stack)
    monitored = [Monitored(endpoint=endpoint, title=title) for title in endpoints]

    with pytest.raises(ValueError, match=message):
        InferenceDashboard(stack, "Dashboard", endpoints=monitored, dashboard_name=name)
    # The id is free for a second try.
    InferenceDashboard(
        stack, "Dashboard", endpoints=[Monitored(endpoint=endpoint, title="Screening")]
    )


def test_title_needs_something_to_name_metrics_by(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"title must hold a letter or a digit, got '--'"):
        Monitored(endpoint=real_time(stack), title="--")


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("one\n# two", "title must be one line of text"),
        ("x" * 101, "title must be at most 100 letters"),
    ],
)
def test_title_is_one_short_line(stack: cdk.Stack, title: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Monitored(endpoint=real_time(stack), title=title)


def test_titles_of_any_alphabet_name_different_metrics(stack: cdk.Stack) -> None:
    endpoint = real_time(stack)
    titles = ["住宅価格", "価格", "Älter 2", "Öfter 2"]

    slugs = [Monitored(endpoint=endpoint, title=title).slug for title in titles]

    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch("[a-z0-9_]+", slug) for slug in slugs)


@pytest.mark.parametrize(
    ("percentile", "statistic"), [(99, "p99"), (99.9, "p99.9"), (99.99999, "p99.99999")]
)
def test_percentile_keeps_its_digits(percentile: float, statistic: str) -> None:
    assert Objective(percentile=percentile).statistic == statistic


@pytest.mark.parametrize(
    ("kind", "count", "message"),
    [
        ("async", 40, "at most 500 widgets, got 685 for 40 endpoints"),
        ("multi-model", 60, "at most 500 widgets"),
    ],
)
def test_dashboard_refuses_more_than_it_holds(
    stack: cdk.Stack, kind: EndpointKind, count: int, message: str
) -> None:
    endpoints = [
        Monitored(
            endpoint=ImportedEndpoint(
                stack, f"Endpoint{number}", endpoint_name=f"endpoint-{number}", kind=kind
            ),
            title=f"Endpoint {number}",
        )
        for number in range(count)
    ]

    with pytest.raises(ValueError, match=message):
        InferenceDashboard(stack, "Dashboard", endpoints=endpoints)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("DASHBOARD_METRICS", "at most 20 metrics, got"),
        ("DASHBOARD_WIDGET_METRICS", "at most 5 metrics in one widget, got 6"),
    ],
)
def test_metrics_that_expressions_read_count_too(
    stack: cdk.Stack, monkeypatch: pytest.MonkeyPatch, limit: str, message: str
) -> None:
    monkeypatch.setattr(f"hosting.limits.{limit}", int(message.split()[2]))

    with pytest.raises(ValueError, match=message):
        InferenceDashboard(
            stack, "Dashboard", endpoints=[Monitored(endpoint=real_time(stack), title="Screening")]
        )


def test_alarm_widget_refuses_more_alarms_than_it_shows(stack: cdk.Stack) -> None:
    arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:number"
    alarms = [
        cw.Alarm.from_alarm_arn(stack, f"Alarm{number}", f"{arn}-{number}") for number in range(101)
    ]
    monitored = Monitored(endpoint=real_time(stack), title="Screening")

    with pytest.raises(ValueError, match="alarms must number at most 100, got 101"):
        InferenceDashboard(stack, "Dashboard", endpoints=[monitored], alarms=alarms)


def test_dashboard_shows_endpoints_of_other_regions_and_accounts() -> None:
    app = cdk.App()
    here = cdk.Stack(app, "Here", env=cdk.Environment(account="1" * 12, region="us-east-1"))
    there = cdk.Stack(app, "There", env=cdk.Environment(account="2" * 12, region="eu-west-1"))
    endpoints = [
        Monitored(
            endpoint=ImportedEndpoint(scope, name, endpoint_name=name, kind="real-time"),
            title=name,
        )
        for scope, name in ((here, "near"), (there, "far"))
    ]

    InferenceDashboard(here, "Dashboard", endpoints=endpoints)

    found = {
        (row[3], row[-1].get("region"), row[-1].get("accountId"))
        for widget in body(here)["widgets"]
        for row in widget["properties"].get("metrics", [])
        if isinstance(row[0], str)
    }
    assert found == {("near", None, None), ("far", "eu-west-1", "2" * 12)}


def test_price_is_that_of_the_endpoints_region() -> None:
    app = cdk.App()
    here = cdk.Stack(app, "Here", env=cdk.Environment(region="us-east-1"))
    there = cdk.Stack(app, "There", env=cdk.Environment(region="eu-west-1"))
    far = ImportedEndpoint(
        there,
        "Far",
        endpoint_name="far",
        kind="real-time",
        instances=Instances(instance_type="ml.m5.large"),
    )

    InferenceDashboard(
        here, "Dashboard", endpoints=[Monitored(endpoint=far, title="Far")], price_list=PRICES
    )

    assert "Far: ml.m5.large at 0.25 USD per hour in eu-west-1" in json.dumps(body(here))


def test_measure_refuses_names_that_are_no_source(stack: cdk.Stack) -> None:
    measures = EndpointMeasures(Monitored(endpoint=real_time(stack), title="Screening"))

    with pytest.raises(ValueError, match=r"no names but m, got '\{other\} \+ 1'"):
        measures.math("Wrong", "ms", "{other} + 1", m=("ModelLatency", "p99"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latency": cdk.Duration.millis(0)}, "latency must be above 0, got 0"),
        ({"percentile": 0}, "percentile must be above 0 and below 100, got 0"),
        ({"percentile": 100}, "percentile must be above 0 and below 100, got 100"),
        ({"availability": 0}, "availability must be above 0 and below 1, got 0"),
        ({"availability": 1}, "availability must be above 0 and below 1, got 1"),
    ],
)
def test_objective_refuses_what_cannot_be_kept_or_broken(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(**arguments)


def test_axis_refuses_measures_of_two_units(stack: cdk.Stack) -> None:
    measures = EndpointMeasures(Monitored(endpoint=real_time(stack), title="Screening"))

    with pytest.raises(ValueError, match=r"'Mixed' must share a unit, got ms, requests/min"):
        graph("Mixed", [measures.traffic(), measures.latency("p99")])


def test_measures_refuse_what_the_kind_does_not_publish(stack: cdk.Stack) -> None:
    measures = EndpointMeasures(Monitored(endpoint=real_time(stack), title="Screening"))

    with pytest.raises(ValueError, match=r"metric of kind real-time must be one of"):
        measures.backlog()


def test_measures_refuse_a_statistic_that_is_not_published(stack: cdk.Stack) -> None:
    measures = EndpointMeasures(Monitored(endpoint=real_time(stack), title="Screening"))

    with pytest.raises(ValueError, match=r"statistic of OverheadLatency must be one of .*got p99"):
        measures.overhead("p99")


def test_measures_refuse_an_unknown_variant(stack: cdk.Stack) -> None:
    monitored = Monitored(endpoint=real_time(stack), title="Screening")

    with pytest.raises(ValueError, match=r"variant_name must be one of AllTraffic, got 'Next'"):
        EndpointMeasures(monitored, variant_name="Next")


def test_a_measure_of_your_own_is_of_what_the_kind_publishes(stack: cdk.Stack) -> None:
    measures = EndpointMeasures(Monitored(endpoint=queue(stack), title="Summaries"))

    measure = measures.math(
        "Answered a minute",
        "requests/min",
        "{n} / PERIOD({n}) * 60",
        n=("InvocationsProcessed", "Sum"),
    )

    assert isinstance(measure, Measure)
    assert isinstance(measure.metric, cw.MathExpression)
    assert "invocationsProcessed_Sum_summaries / " in measure.metric.expression


def test_dashboard_of_a_gpu_type_that_the_table_lacks_shows_raw_utilization(
    stack: cdk.Stack,
) -> None:
    document = _show(stack, real_time(stack, instances=Instances(instance_type="ml.g99.large")))

    units = {each.unit for each in lines(document) if each.where.startswith("GPUs")}
    assert units == {"% of one GPU"}


def test_body_is_json_whatever_titles_hold(stack: cdk.Stack) -> None:
    title = 'He said "100 %" \\ and <b>left</b>'

    document = _show(stack, Monitored(endpoint=real_time(stack), title=title))

    assert title in _notes(document)
    assert json.dumps(document)
    assert Template.from_stack(stack)
