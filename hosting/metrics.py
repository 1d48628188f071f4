"""Which metrics each kind of endpoint publishes, in which unit and with which dimensions.

A metric that an endpoint does not publish is an alarm that never fires, so constructs, dashboards
and the local runtime read this one table. Two traps it makes visible: latencies come in
microseconds except ``TimeInBacklog`` and ``TotalProcessingTime`` (milliseconds) and
``ApproximateAgeOfOldestRequest`` (seconds), and an asynchronous endpoint publishes neither
``Invocations`` nor ``InvocationsPerInstance`` nor ``OverheadLatency``.

Sources: pages below https://docs.aws.amazon.com/sagemaker/latest/dg/, read 2026-11-20. Every metric
has a datapoint per minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hosting.endpoint import EndpointKind

Namespace = Literal[
    "AWS/SageMaker", "/aws/sagemaker/Endpoints", "/aws/sagemaker/InferenceComponents"
]
# CloudWatch's words. "None" is a unit too; metrics whose page states no unit have it here.
Unit = Literal["None", "Count", "Seconds", "Milliseconds", "Microseconds", "Percent"]
# CloudWatch's words; "pNN" stands for every percentile.
Statistic = Literal["Average", "Sum", "Minimum", "Maximum", "SampleCount", "pNN"]

PERIOD_S: Final = 60
# While an update is under way, metrics of requests are also published for each fleet by itself,
# with the name of its endpoint configuration as a further dimension.
# Source: deployment-guardrails-configuration.html, "Monitor ... on new fleet" (2026-11-20)
FLEET_DIMENSION: Final = "EndpointConfigName"

_SECONDS_PER_UNIT: Final[Mapping[Unit, float]] = {
    "Seconds": 1.0,
    "Milliseconds": 1e-3,
    "Microseconds": 1e-6,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricDefinition:
    """One metric as CloudWatch lists it.

    ``dimensions`` are the names that a query must give, all of them: CloudWatch does not sum over
    a dimension that is left out, it finds nothing.
    """

    name: str
    namespace: Namespace
    unit: Unit
    dimensions: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    kinds: frozenset[EndpointKind]
    source: str

    def supports(self, statistic: str) -> bool:
        """Whether AWS names this statistic (``Average``, ``p99``, ...) for the metric."""
        if statistic in self.statistics:
            return True
        return "pNN" in self.statistics and _is_percentile(statistic)

    def in_seconds(self, value: float) -> float:
        """Convert a value of this metric to seconds.

        Raises:
            ValueError: the metric does not measure time.
        """
        if self.unit not in _SECONDS_PER_UNIT:
            raise ValueError(f"{self.name} must be a time to convert, got unit {self.unit}")
        return value * _SECONDS_PER_UNIT[self.unit]


def published_by(kind: EndpointKind) -> tuple[MetricDefinition, ...]:
    """Every metric that an endpoint of this kind publishes, sorted by name.

    Raises:
        ValueError: there is no such kind.
    """
    _check_kind(kind)
    return tuple(metric for metric in METRICS if kind in metric.kinds)


def definition(
    name: str, *, kind: EndpointKind, namespace: Namespace | None = None
) -> MetricDefinition:
    """Find a metric of this kind of endpoint.

    Args:
        namespace: needed only where two namespaces use the name (the normalized utilizations of an
            inference component and of the instances below it).

    Raises:
        ValueError: the kind does not publish it, or two namespaces have it and none is given.
    """
    _check_kind(kind)
    of_kind = [
        metric
        for metric in published_by(kind)
        if namespace is None or metric.namespace == namespace
    ]
    found = [metric for metric in of_kind if metric.name == name]
    if not found:
        known = ", ".join(sorted({metric.name for metric in of_kind}))
        raise ValueError(f"metric of kind {kind} must be one of {known}, got {name}")
    if len(found) > 1:
        namespaces = " or ".join(metric.namespace for metric in found)
        raise ValueError(f"namespace of {name} must be {namespaces}, got none")
    return found[0]


def _check_kind(kind: str) -> None:
    if kind not in get_args(EndpointKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(EndpointKind))}, got {kind}")


def _is_percentile(statistic: str) -> bool:
    number = statistic.removeprefix("p")
    if number == statistic or not number.replace(".", "", 1).isdecimal():
        return False
    return 0 <= float(number) <= 100


_VARIANT: Final = ("EndpointName", "VariantName")
_ENDPOINT: Final = ("EndpointName",)
_CONTAINER: Final = ("EndpointName", "VariantName", "ContainerName")
_COMPONENT: Final = ("InferenceComponentName",)

_COUNTED: Final[tuple[Statistic, ...]] = ("Sum",)
_RATIO: Final[tuple[Statistic, ...]] = ("Average", "Sum")
_EXTREMES: Final[tuple[Statistic, ...]] = ("Minimum", "Maximum")
_GAUGE: Final[tuple[Statistic, ...]] = ("Average", "Maximum", "Minimum")
_TIMING: Final[tuple[Statistic, ...]] = ("Average", "Sum", "Minimum", "Maximum", "SampleCount")
_DISTRIBUTION: Final[tuple[Statistic, ...]] = (*_TIMING, "pNN")

_ON_INSTANCES: Final[tuple[EndpointKind, ...]] = ("real-time", "pipeline", "multi-model")

_GENERAL: Final = "monitoring-cloudwatch.html"
_PIPELINE: Final = "inference-pipeline-logs-metrics.html"
_ASYNC: Final = "async-inference-monitor.html"
_SERVERLESS: Final = "serverless-endpoints-monitoring.html"


def _metric(
    name: str,
    unit: Unit,
    statistics: tuple[Statistic, ...],
    kinds: tuple[EndpointKind, ...],
    *,
    namespace: Namespace = "AWS/SageMaker",
    dimensions: tuple[str, ...] = _VARIANT,
    source: str = _GENERAL,
) -> MetricDefinition:
    return MetricDefinition(
        name=name,
        namespace=namespace,
        unit=unit,
        dimensions=dimensions,
        statistics=statistics,
        kinds=frozenset(kinds),
        source=source,
    )


def _invocation_metrics() -> list[MetricDefinition]:
    serverless: tuple[EndpointKind, ...] = (*_ON_INSTANCES, "serverless")
    answered: tuple[EndpointKind, ...] = (*serverless, "async")
    return [
        _metric("Invocations", "None", _COUNTED, serverless),
        _metric("InvocationsPerInstance", "None", _COUNTED, _ON_INSTANCES),
        # The page on serverless endpoints writes "Invocations4XXErrors" and links to this name.
        _metric("Invocation4XXErrors", "None", _RATIO, answered),
        _metric("Invocation5XXErrors", "None", _RATIO, answered),
        _metric("InvocationModelErrors", "None", _RATIO, _ON_INSTANCES),
        # In a pipeline: the sum over its containers.
        _metric("ModelLatency", "Microseconds", _DISTRIBUTION, answered),
        # For a serverless endpoint: including cold starts.
        _metric("OverheadLatency", "Microseconds", _TIMING, serverless),
        _metric("ConcurrentRequestsPerModel", "None", _EXTREMES, _ON_INSTANCES),
        _metric("MidStreamErrors", "None", _RATIO, ("real-time",)),
        _metric("FirstChunkLatency", "Microseconds", _DISTRIBUTION, ("real-time",)),
        _metric("FirstChunkModelLatency", "Microseconds", _DISTRIBUTION, ("real-time",)),
        _metric("FirstChunkOverheadLatency", "Microseconds", _DISTRIBUTION, ("real-time",)),
        _metric(
            "ContainerLatency",
            "Microseconds",
            _TIMING,
            ("pipeline",),
            dimensions=_CONTAINER,
            source=_PIPELINE,
        ),
    ]


def _instance_metrics() -> list[MetricDefinition]:
    """Utilizations, in percent: the first three of one core or GPU, summed, so up to N * 100.

    The pages name no statistics for them: every statistic is left open.
    """
    hosts: tuple[EndpointKind, ...] = (*_ON_INSTANCES, "async", "inference-component")
    return [
        _metric(name, "Percent", _DISTRIBUTION, kinds, namespace="/aws/sagemaker/Endpoints")
        for name, kinds in (
            ("CPUUtilization", hosts),
            ("GPUUtilization", hosts),
            ("GPUMemoryUtilization", hosts),
            ("MemoryUtilization", (*hosts, "serverless")),
            ("DiskUtilization", hosts),
        )
    ]


def _multi_model_metrics() -> list[MetricDefinition]:
    kinds: tuple[EndpointKind, ...] = ("multi-model",)
    return [
        *(
            _metric(name, "Microseconds", _TIMING, kinds)
            for name in (
                "ModelLoadingWaitTime",
                "ModelUnloadingTime",
                "ModelDownloadingTime",
                "ModelLoadingTime",
            )
        ),
        # One value per invocation, 1 when the model was loaded already: Average is the hit ratio.
        _metric("ModelCacheHit", "None", ("Average", "Sum", "SampleCount"), kinds),
        # One value per instance: Sum is the endpoint's total, copies counted.
        _metric("LoadedModelCount", "None", _TIMING, kinds, namespace="/aws/sagemaker/Endpoints"),
    ]


def _async_metrics() -> list[MetricDefinition]:
    """What the queue publishes; its page calls itself exhaustive for asynchronous endpoints."""
    kinds: tuple[EndpointKind, ...] = ("async",)
    queue: tuple[tuple[str, Unit, tuple[Statistic, ...]], ...] = (
        ("ApproximateBacklogSize", "Count", _GAUGE),
        ("ApproximateBacklogSizePerInstance", "Count", _GAUGE),
        ("ApproximateAgeOfOldestRequest", "Seconds", _GAUGE),
        ("HasBacklogWithoutCapacity", "Count", ("Average",)),
    )
    requests: tuple[tuple[str, Unit, tuple[Statistic, ...]], ...] = (
        ("RequestDownloadFailures", "Count", _COUNTED),
        ("ResponseUploadFailures", "Count", _COUNTED),
        ("NotificationFailures", "Count", _COUNTED),
        ("RequestDownloadLatency", "Microseconds", _TIMING),
        ("ResponseUploadLatency", "Microseconds", _TIMING),
        ("ExpiredRequests", "Count", _COUNTED),
        ("InvocationFailures", "Count", _COUNTED),
        # The page spells it with three s; public dashboards and policies use this spelling.
        ("InvocationsProcessed", "Count", _COUNTED),
        ("TimeInBacklog", "Milliseconds", _TIMING),  # the page of 2023 said microseconds
        ("TotalProcessingTime", "Milliseconds", _TIMING),
    )
    return [
        *(
            _metric(name, unit, statistics, kinds, dimensions=_ENDPOINT, source=_ASYNC)
            for name, unit, statistics in queue
        ),
        *(
            _metric(name, unit, statistics, kinds, source=_ASYNC)
            for name, unit, statistics in requests
        ),
    ]


def _serverless_metrics() -> list[MetricDefinition]:
    """The page names no dimensions; they are taken from the invocation metrics beside them."""
    kinds: tuple[EndpointKind, ...] = ("serverless",)
    launch: tuple[Statistic, ...] = ("Average", "Minimum", "Maximum", "SampleCount", "pNN")
    units: tuple[tuple[str, Unit], ...] = (
        ("ServerlessConcurrentExecutionsUtilization", "None"),
        # The next four only with provisioned concurrency.
        ("ServerlessProvisionedConcurrencyExecutions", "Count"),
        ("ServerlessProvisionedConcurrencyUtilization", "None"),
        ("ServerlessProvisionedConcurrencyInvocations", "Count"),
        ("ServerlessProvisionedConcurrencySpilloverInvocations", "Count"),
    )
    return [
        _metric("ModelSetupTime", "Microseconds", launch, kinds),
        *(_metric(name, unit, _GAUGE, kinds, source=_SERVERLESS) for name, unit in units),
    ]


def _component_metrics() -> list[MetricDefinition]:
    kinds: tuple[EndpointKind, ...] = ("inference-component",)
    invocations: tuple[tuple[str, Unit, tuple[Statistic, ...]], ...] = (
        ("Invocations", "None", _COUNTED),
        ("InvocationsPerCopy", "None", _COUNTED),
        ("Invocation4XXErrors", "None", _RATIO),
        ("Invocation5XXErrors", "None", _RATIO),
        ("InvocationModelErrors", "None", _RATIO),
        ("ModelLatency", "Microseconds", _DISTRIBUTION),
        ("OverheadLatency", "Microseconds", _TIMING),
        ("ConcurrentRequestsPerCopy", "None", _EXTREMES),
        # Requests that found no copy. Source: endpoint-auto-scaling-zero-instances.html
        ("NoCapacityInvocationFailures", "None", _COUNTED),
    )
    normalized = (
        "CPUUtilizationNormalized",
        "GPUUtilizationNormalized",
        "GPUMemoryUtilizationNormalized",
    )
    return [
        *(
            _metric(name, unit, statistics, kinds, dimensions=_COMPONENT)
            for name, unit, statistics in invocations
        ),
        *(
            _metric(
                name,
                "Percent",
                _DISTRIBUTION,
                kinds,
                namespace="/aws/sagemaker/InferenceComponents",
                dimensions=_COMPONENT,
            )
            for name in (*normalized, "MemoryUtilizationNormalized")
        ),
        *(
            _metric(name, "Percent", _DISTRIBUTION, kinds, namespace="/aws/sagemaker/Endpoints")
            for name in (*normalized, "CPUReservation", "GPUReservation", "MemoryReservation")
        ),
    ]


METRICS: Final[tuple[MetricDefinition, ...]] = tuple(
    sorted(
        [
            *_invocation_metrics(),
            *_instance_metrics(),
            *_multi_model_metrics(),
            *_async_metrics(),
            *_serverless_metrics(),
            *_component_metrics(),
        ],
        key=lambda metric: (metric.name, metric.namespace, metric.dimensions),
    )
)
