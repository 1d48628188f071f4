"""The conditions of ``--fail-if``."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarking.findings import Summary
from benchmarking.summary import summarize
from benchmarking.thresholds import METRICS, ThresholdError, evaluate, parse
from tests.unit.benchmarking.simulated_run import compare_run


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarize(*compare_run(duration_s=60.0))


def fails(expression: str, summary: Summary) -> bool:
    return any(finding.fails for finding in evaluate(expression, summary))


@pytest.mark.parametrize(
    ("expression", "metric", "limit"),
    [
        ("p99>200ms", "p99", 200),
        ("p99 > 0.2 s", "p99", 200),
        ("P99>=200MS", "p99", 200),
        ("throttle_share>1%", "throttle_share", 0.01),
        ("throttle_share>0.01", "throttle_share", 0.01),
        ("cost_per_million>5usd", "cost_per_million", 5),
        ("cost_per_million>$5", "cost_per_million", 5),
        ("cost_per_month>1e3", "cost_per_month", 1000),
        ("goodput<20/s", "goodput", 20),
        ("service_p95<=1s", "service_p95", 1000),
    ],
)
def test_units_become_those_of_the_summary(expression: str, metric: str, limit: float) -> None:
    (condition,) = parse(expression)

    assert condition.metric == metric
    assert condition.limit == pytest.approx(limit)


def test_conditions_are_joined_with_or() -> None:
    first, second = parse("serverless-2048:p99>200ms OR throttle_share > 1 %")

    assert (first.cell, first.metric) == ("serverless-2048", "p99")
    assert (second.cell, second.metric) == (None, "throttle_share")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "must look like"),
        ("p99", "must look like"),
        ("p99>", "must look like"),
        ("p99>-5ms", "must look like"),
        ("p99>200ms and p50>1ms", "must look like"),
        ("p99>200ms or", "must look like"),
        ("p98>200ms", "must be one of p50, p95, p99"),
        ("p99>200", "must be one of ms, s, got none"),
        ("p99>200%", "must be one of ms, s, got %"),
        ("throttle_share>1ms", "must be one of none, %, got ms"),
        ("throttle_share>2", "between 0 and 1"),
        ("cost_per_month>$5usd", "got \\$usd"),
    ],
)
def test_a_broken_expression_says_what_may_stand_there(expression: str, message: str) -> None:
    with pytest.raises(ThresholdError, match=message):
        parse(expression)


def test_a_condition_without_a_cell_is_about_all_that_are_possible(summary: Summary) -> None:
    about = {finding.cell for finding in evaluate("p50>10s", summary)}

    assert about == {cell.id for cell in summary.cells} - {"multi-model-m5-large"}


def test_the_recommended_cell_can_be_asked_for_alone(summary: Summary) -> None:
    (finding,) = evaluate("recommended:p99>200ms", summary)

    assert finding.cell == summary.recommendation.cell
    assert not finding.fails


def test_a_pattern_chooses_cells(summary: Summary) -> None:
    assert fails("serverless-*:p99>200ms", summary)
    assert not fails("serverless-[2-6]*:p99>200ms", summary)


def test_a_condition_that_holds_fails_and_tells_the_number(summary: Summary) -> None:
    (finding,) = evaluate("serverless-1024:p99>200ms", summary)

    assert finding.fails
    assert finding.text.startswith("serverless-1024: p99>200ms holds: p99 is 2")


def test_a_limit_within_the_bounds_is_called_uncertain(summary: Summary) -> None:
    latency = summary.cell("serverless-2048").latency
    assert latency is not None
    p99 = latency.percentiles["p99"]
    assert p99 is not None

    (finding,) = evaluate(f"serverless-2048:p99>{p99.value + 0.01:.2f}ms", summary)

    assert not finding.fails
    assert finding.text.endswith("within its uncertainty")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("async-m5-large:p99>10s", "the cell is invalid: sends were late"),
        ("multi-model-m5-large:p99>10s", "the cell is not-possible"),
        ("nothing-*:p99>10s", "the cells are serverless-1024"),
    ],
)
def test_what_cannot_be_known_fails(summary: Summary, expression: str, reason: str) -> None:
    (finding,) = evaluate(expression, summary)

    assert finding.holds is None
    assert finding.fails
    assert reason in finding.text


def test_a_percentile_without_support_fails_and_says_what_it_needs() -> None:
    run, samples = compare_run(duration_s=10.0)

    findings = evaluate("serverless-2048:p99>10s", summarize(run, samples))

    assert [finding.holds for finding in findings] == [None]
    assert "samples cannot support it, it needs 368" in findings[0].text


def test_a_month_without_traffic_fails() -> None:
    run, samples = compare_run(duration_s=10.0)
    summary = summarize(dataclasses.replace(run, traffic=None), samples)

    assert fails("serverless-2048:cost_per_month>1000", summary)
    assert not fails("serverless-2048:cost_per_million>1000", summary)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_evaluated(summary: Summary, metric: str) -> None:
    unit = "s" if METRICS[metric] == "time" else ""

    (finding,) = evaluate(f"serverless-4096:{metric}>=0{unit}", summary)

    assert finding.holds is True
