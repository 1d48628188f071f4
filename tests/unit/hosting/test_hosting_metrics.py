"""Laws of the metric table, and the facts that cost people alarms."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from hosting import metrics
from hosting.endpoint import EndpointKind
from hosting.metrics import METRICS, MetricDefinition, definition, published_by

KINDS: tuple[EndpointKind, ...] = get_args(EndpointKind)
EACH_METRIC = pytest.mark.parametrize(
    "metric", METRICS, ids=lambda metric: ".".join((metric.name, *metric.dimensions))
)


def names(kind: EndpointKind) -> set[str]:
    return {metric.name for metric in published_by(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_occurs_once_per_kind_and_namespace(kind: EndpointKind) -> None:
    found = Counter((metric.namespace, metric.name) for metric in published_by(kind))

    assert [key for key, count in found.items() if count > 1] == []


@EACH_METRIC
def test_every_metric_has_a_kind_a_statistic_and_a_page(metric: MetricDefinition) -> None:
    assert metric.kinds
    assert metric.kinds <= set(KINDS)
    assert metric.statistics
    assert metric.source.endswith(".html")


@EACH_METRIC
def test_every_duration_says_its_unit(metric: MetricDefinition) -> None:
    is_duration = metric.name.endswith(("Latency", "Time", "TimeInBacklog", "OldestRequest"))

    assert (metric.unit in {"Seconds", "Milliseconds", "Microseconds"}) is is_duration


@pytest.mark.parametrize("kind", KINDS)
def test_utilizations_are_percentages_in_a_namespace_of_their_own(kind: EndpointKind) -> None:
    for metric in published_by(kind):
        if metric.unit == "Percent":
            assert metric.namespace != "AWS/SageMaker"


def test_an_asynchronous_endpoint_counts_no_invocations_and_no_overhead() -> None:
    """Source: async-inference-monitor.html ("any metric not listed below is not published")."""
    assert names("async").isdisjoint({"Invocations", "InvocationsPerInstance", "OverheadLatency"})


def test_the_backlog_belongs_to_the_endpoint_and_not_to_a_variant() -> None:
    backlog = {
        metric.name for metric in published_by("async") if metric.dimensions == ("EndpointName",)
    }

    assert backlog == {
        "ApproximateBacklogSize",
        "ApproximateBacklogSizePerInstance",
        "ApproximateAgeOfOldestRequest",
        "HasBacklogWithoutCapacity",
    }


def test_only_pipelines_have_a_latency_per_container() -> None:
    [metric] = [metric for metric in METRICS if "ContainerName" in metric.dimensions]

    assert (metric.name, set(metric.kinds)) == ("ContainerLatency", {"pipeline"})


def test_a_serverless_endpoint_has_no_instances_to_measure() -> None:
    assert names("serverless").isdisjoint({"InvocationsPerInstance", "CPUUtilization"})
    assert {"ModelSetupTime", "MemoryUtilization"} <= names("serverless")


def test_the_cache_of_a_multi_model_endpoint_is_measured_nowhere_else() -> None:
    assert definition("ModelCacheHit", kind="multi-model").kinds == {"multi-model"}
    assert definition("LoadedModelCount", kind="multi-model").namespace == (
        "/aws/sagemaker/Endpoints"
    )


@pytest.mark.parametrize(
    ("kind", "name", "value", "seconds"),
    [
        ("real-time", "ModelLatency", 250_000, 0.25),
        ("async", "TimeInBacklog", 1500, 1.5),
        ("async", "ApproximateAgeOfOldestRequest", 90, 90),
    ],
)
def test_durations_of_every_unit_convert_to_seconds(
    kind: EndpointKind, name: str, value: float, seconds: float
) -> None:
    assert definition(name, kind=kind).in_seconds(value) == pytest.approx(seconds)


def test_a_count_does_not_convert_to_seconds() -> None:
    with pytest.raises(ValueError, match="Invocations must be a time to convert, got unit None"):
        definition("Invocations", kind="real-time").in_seconds(1)


@pytest.mark.parametrize(
    ("statistic", "supported"),
    [("Average", True), ("p99", True), ("p99.9", True), ("p", False), ("p101", False)],
)
def test_percentiles_of_any_rank_are_supported_where_one_is(
    statistic: str, supported: bool
) -> None:
    assert definition("ModelLatency", kind="real-time").supports(statistic) is supported
    assert not definition("InvocationsPerInstance", kind="real-time").supports("p99")


def test_a_metric_that_is_not_published_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"metric of kind async must be one of .*TimeInBack"):
        definition("Invocations", kind="async")


def test_a_name_in_two_namespaces_needs_the_namespace() -> None:
    name = "CPUUtilizationNormalized"
    with pytest.raises(ValueError, match="namespace of CPUUtilizationNormalized must be"):
        definition(name, kind="inference-component")

    found = definition(
        name, kind="inference-component", namespace="/aws/sagemaker/InferenceComponents"
    )
    assert found.dimensions == ("InferenceComponentName",)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of real-time, pipeline, .*got batch"):
        metrics.published_by("batch")  # type: ignore[arg-type]
