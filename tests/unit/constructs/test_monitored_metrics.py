"""Every metric on a dashboard or an alarm is published as it is asked for, and in its unit.

Exhaustive over kinds of endpoints and their configurations; what stands in the synthesized template
is compared with the table of published metrics, not with the code that wrote it.
"""

from __future__ import annotations

from functools import cache

import aws_cdk as cdk
import pytest
from constructs import Construct
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constructs_lib import EndpointAlarms, InferenceDashboard
from constructs_lib.instance_endpoint import InstanceEndpoint
from hosting import limits, metrics
from local_runtime.control_plane.cloudwatch import expressions
from local_runtime.control_plane.cloudwatch.series_math import Series
from tests.unit.constructs.monitoring import CASES, Case, Drawn, Published, alarms, body, lines
from tests.unit.constructs.units import LABELS, Algebra, Quantity, of_metric

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

RAW_LABELS = {
    "% of one core": {"CPUUtilization"},
    "% of one GPU": {"GPUUtilization", "GPUMemoryUtilization"},
}


@cache
def _drawn(case: Case) -> list[Drawn]:
    stack = cdk.Stack(env=cdk.Environment(region="us-east-1"))
    InferenceDashboard(stack, "Dashboard", endpoints=[case.monitored(stack)])
    return list(lines(body(stack)))


@cache
def _watched(case: Case) -> list[Drawn]:
    stack = cdk.Stack(env=cdk.Environment(region="us-east-1"))
    monitored = case.monitored(stack)
    has_fleets = isinstance(monitored.endpoint, InstanceEndpoint)
    EndpointAlarms(stack, "Alarms", monitored=monitored, updates=has_fleets)
    return [drawn for _, drawn in alarms(stack).values()]


def _definition(case: Case, published: Published) -> metrics.MetricDefinition:
    found = [
        each
        for each in metrics.METRICS
        if each.name == published.name
        and each.namespace == published.namespace
        and each.kinds & set(case.kinds)
        and set(each.dimensions) == set(published.dimensions) - {metrics.FLEET_DIMENSION}
    ]
    assert len(found) == 1, f"{case.kinds} endpoints do not publish {published}"
    return found[0]


@every_case
def test_metrics_are_published_by_the_kind_with_exactly_these_dimensions(case: Case) -> None:
    for drawn in [*_drawn(case), *_watched(case)]:
        assert drawn.metrics
        for published in drawn.metrics.values():
            definition = _definition(case, published)
            assert definition.supports(published.statistic), f"{drawn.where}: {published}"


@every_case
def test_single_fleets_are_asked_for_only_by_alarms_of_updates(case: Case) -> None:
    for drawn in [*_drawn(case), *_watched(case)]:
        for published in drawn.metrics.values():
            of_one_fleet = metrics.FLEET_DIMENSION in published.dimensions
            assert of_one_fleet == drawn.where.startswith("AlarmsUpdate"), drawn.where
            assert not of_one_fleet or published.namespace == "AWS/SageMaker"


@every_case
def test_dimensions_name_the_endpoints_variants_and_containers(case: Case) -> None:
    for drawn in [*_drawn(case), *_watched(case)]:
        for published in drawn.metrics.values():
            dimensions = published.dimensions
            if "VariantName" in dimensions:
                assert dimensions["VariantName"] in case.variants
            if "ContainerName" in dimensions:
                assert dimensions["ContainerName"] in case.containers


@every_case
def test_axes_name_the_unit_that_the_values_have_after_the_math(case: Case) -> None:
    for drawn in _drawn(case):
        if drawn.unit in RAW_LABELS:
            (published,) = [drawn.metrics[drawn.expression]]
            assert published.name in RAW_LABELS[drawn.unit]
            variant = published.dimensions["VariantName"]
            assert case.cores.get(variant) is None or case.gpus.get(variant) is None
            continue
        found = Algebra(lambda name, drawn=drawn: _quantity(case, drawn, name)).unit(  # type: ignore[misc]
            drawn.expression
        )
        if drawn.unit == "USD/h":
            # A price has a unit that the expression does not show.
            assert found.powers in {(), (("instance", 1),)}
            continue
        expected = LABELS[drawn.unit]
        assert found.powers == expected.powers, drawn.where
        assert found.scale == pytest.approx(expected.scale), drawn.where


def _quantity(case: Case, drawn: Drawn, name: str) -> Quantity:
    published = drawn.metrics[name]
    variant = published.dimensions.get("VariantName", "")
    found = of_metric(
        published.name,
        published.statistic,
        _definition(case, published).unit,
        cores=case.cores.get(variant),
        gpus=case.gpus.get(variant),
    )
    assert found is not None, f"{drawn.where} relates {name} to a number that nobody knows"
    return found


@every_case
def test_math_of_alarms_adds_and_compares_only_what_is_alike(case: Case) -> None:
    for drawn in _watched(case):
        if len(drawn.metrics) > 1:
            Algebra(lambda name, drawn=drawn: _quantity(case, drawn, name)).unit(  # type: ignore[misc]
                drawn.expression
            )


@every_case
def test_local_runtime_evaluates_every_expression(case: Case) -> None:
    for drawn in [*_drawn(case), *_watched(case)]:
        series = {
            name: Series({0: 3.0, 1: 0.0, 3: 7.0}, name=name, period_s=60.0)
            for name in drawn.metrics
        }
        context = expressions.Context(
            series=series, metric_ids=list(series), first=0, last=5, period_s=60.0, moment_s=float
        )

        result = expressions.evaluate(drawn.expression, context)

        assert isinstance(result, Series), drawn.where
        assert result.points, drawn.where


@every_case
def test_alarms_stay_within_what_cloudwatch_accepts(case: Case) -> None:
    stack = cdk.Stack(env=cdk.Environment(region="us-east-1"))
    EndpointAlarms(stack, "Alarms", monitored=case.monitored(stack))

    for name, (alarm, drawn) in alarms(stack).items():
        if "Metrics" in alarm:
            assert len(drawn.metrics) <= limits.ALARM_MATH_METRICS
            period_s = {q["MetricStat"]["Period"] for q in alarm["Metrics"] if "MetricStat" in q}
            assert len(period_s) == 1, f"{name} mixes periods"
        else:
            period_s = {alarm["Period"]}
        window_s = period_s.pop() * alarm["EvaluationPeriods"]
        assert window_s in limits.ALARM_WINDOW_S
        assert alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]
        assert len(alarm["AlarmDescription"]) <= limits.ALARM_DESCRIPTION_MAX_LENGTH
        assert alarm["TreatMissingData"] in {"missing", "notBreaching"}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    chosen=st.lists(st.sampled_from(sorted(CASES)), min_size=1, max_size=6),
    words=st.lists(
        st.text("aB1 -_,", min_size=1, max_size=8).filter(lambda word: any(map(str.isalnum, word))),
        min_size=6,
        max_size=6,
        unique_by=lambda word: "_".join(
            "".join(c if c.isalnum() else " " for c in word.lower()).split()
        ),
    ),
)
def test_endpoints_of_all_kinds_share_a_dashboard(chosen: list[str], words: list[str]) -> None:
    stack = cdk.Stack(env=cdk.Environment(region="us-east-1"))
    endpoints = [
        CASES[name].monitored(Construct(stack, f"Part{position}"), title)
        for position, (name, title) in enumerate(zip(chosen, words, strict=False))
    ]
    InferenceDashboard(stack, "Dashboard", endpoints=endpoints)

    document = body(stack)

    assert len(document["widgets"]) <= limits.DASHBOARD_WIDGETS
    titles = [widget["properties"].get("markdown", "") for widget in document["widgets"]]
    assert all(any(each.title in title for title in titles) for each in endpoints)
