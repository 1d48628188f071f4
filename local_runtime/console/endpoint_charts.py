"""The charts on an endpoint's page: a dashboard's widgets for what its kind publishes.

Rows name metrics with the dimensions that ``hosting.metrics`` gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from hosting.endpoint import EndpointKind, EndpointSpec
from hosting.metrics import Namespace, definition

Json = dict[str, Any]
# The metric, its statistic, its label and its axis.
_Line = tuple[str, str, str]

_MINUTE_S: Final = 60
_OF_COMPONENTS: Final[Namespace] = "/aws/sagemaker/InferenceComponents"
_REQUESTS: Final[tuple[_Line, ...]] = (("Invocations", "Sum", "Requests"),)
_ERRORS: Final[tuple[_Line, ...]] = (
    ("Invocation4XXErrors", "Sum", "4xx: the request's fault"),
    ("Invocation5XXErrors", "Sum", "5xx: the model's fault"),
)
_LATENCY: Final[tuple[_Line, ...]] = (
    ("ModelLatency", "p50", "Model, half of the requests within"),
    ("ModelLatency", "p99", "Model, 99 % within"),
)
_OVERHEAD: Final[tuple[_Line, ...]] = (("OverheadLatency", "Average", "Overhead, average"),)
_HOST: Final[tuple[_Line, ...]] = (
    ("CPUUtilization", "Average", "CPU, all cores summed"),
    ("MemoryUtilization", "Average", "Memory"),
)
_CHARTS: Final[Mapping[EndpointKind, tuple[tuple[str, tuple[_Line, ...]], ...]]] = {
    "real-time": (
        ("Requests per minute", (*_REQUESTS, *_ERRORS)),
        ("Latency", (*_LATENCY, *_OVERHEAD)),
        ("Use of the instances", _HOST),
    ),
    "pipeline": (
        ("Requests per minute", (*_REQUESTS, *_ERRORS)),
        ("Latency of the whole pipeline", (*_LATENCY, *_OVERHEAD)),
        ("Use of the instances", _HOST),
    ),
    "multi-model": (
        ("Requests per minute", (*_REQUESTS, *_ERRORS)),
        ("Latency", (*_LATENCY, *_OVERHEAD)),
        ("Share of requests whose model was loaded", (("ModelCacheHit", "Average", "Hits"),)),
        (
            "Waiting for models",
            (
                ("ModelLoadingWaitTime", "Average", "Waited, average"),
                ("ModelDownloadingTime", "Average", "Download"),
                ("ModelLoadingTime", "Average", "Load"),
            ),
        ),
        ("Models in memory", (("LoadedModelCount", "Sum", "Models"),)),
        ("Use of the instances", _HOST),
    ),
    "async": (
        (
            "Queue",
            (
                ("ApproximateBacklogSize", "Average", "Waiting and in work"),
                ("ApproximateBacklogSizePerInstance", "Average", "Per instance"),
            ),
        ),
        (
            "Requests per minute",
            (
                ("InvocationsProcessed", "Sum", "Answered"),
                ("InvocationFailures", "Sum", "Failed"),
                ("ExpiredRequests", "Sum", "Expired"),
            ),
        ),
        (
            "Age of the oldest request",
            (("ApproximateAgeOfOldestRequest", "Maximum", "Oldest"),),
        ),
        (
            "Time per request",
            (
                ("TimeInBacklog", "Average", "In the queue"),
                ("TotalProcessingTime", "Average", "Until the answer is stored"),
            ),
        ),
        ("Model latency", _LATENCY),
        ("Use of the instances", _HOST),
    ),
    "serverless": (
        ("Requests per minute", (*_REQUESTS, *_ERRORS)),
        ("Latency", (*_LATENCY, *_OVERHEAD)),
        ("Cold starts", (("ModelSetupTime", "Average", "Set-up, average"),)),
        (
            "Use of the allowed concurrency",
            (("ServerlessConcurrentExecutionsUtilization", "Maximum", "Share in use"),),
        ),
        ("Memory", (("MemoryUtilization", "Maximum", "Memory"),)),
    ),
    # One metric in each: their lines are components, of which there may be many.
    "inference-component": (
        ("Requests per minute", _REQUESTS),
        ("4xx per minute: the request's fault", _ERRORS[:1]),
        ("5xx per minute: the model's fault", _ERRORS[1:]),
        (
            "Refused per minute: no copy runs",
            (("NoCapacityInvocationFailures", "Sum", "Refused"),),
        ),
        ("Model latency, 99 % within", _LATENCY[1:]),
        ("Requests at once, per copy", (("ConcurrentRequestsPerCopy", "Maximum", "At once"),)),
        (
            "Reserved on the instances",
            (
                ("CPUReservation", "Average", "CPU"),
                ("MemoryReservation", "Average", "Memory"),
            ),
        ),
        (
            "CPU, of what the copies reserve",
            (("CPUUtilizationNormalized", "Average", "CPU"),),
        ),
        (
            "Memory, of what the copies reserve",
            (("MemoryUtilizationNormalized", "Average", "Memory"),),
        ),
    ),
}


def body(
    spec: EndpointSpec, components: Sequence[str], moments: Iterable[tuple[float, str]]
) -> Json:
    """A dashboard's body.

    Args:
        spec: of the endpoint.
        components: the inference components on it, each with lines of its own.
        moments: when it was deployed and scaled, which the chart of its instances shows.
    """
    charts = [
        _chart(title, [row for line in lines for row in _rows(spec, components, line)])
        for title, lines in _CHARTS[spec.kind]
    ]
    if spec.kind != "serverless":
        charts.insert(1, _instances(spec, moments))
    return {"widgets": [chart for chart in charts if chart["properties"]["metrics"]]}


def _chart(title: str, rows: list[list[Any]], **more: Any) -> Json:
    properties = {
        "title": title,
        "period": _MINUTE_S,
        "yAxis": {"left": {"min": 0}},
        "metrics": rows,
        **more,
    }
    return {"type": "metric", "width": 12, "properties": properties}


def _instances(spec: EndpointSpec, moments: Iterable[tuple[float, str]]) -> Json:
    """How many instances report: each sends one value a minute."""
    rows: list[list[Any]] = []
    # Below components, instances report what is reserved on them.
    counted_by = "MemoryReservation" if spec.kind == "inference-component" else "CPUUtilization"
    for number, (words, variant) in enumerate(_of_variants(spec, counted_by)):
        each = f"m{number}"
        known = f"FILL({each}, 0)" if spec.kind == "async" else each
        counted = f"{known} / (PERIOD({each}) / 60)"
        rows.append([{"expression": counted, "label": variant or "Instances"}])
        rows.append([*words, {"id": each, "stat": "SampleCount", "visible": False}])
    marks = [
        {"value": datetime.fromtimestamp(when_s, UTC).isoformat(), "label": label}
        for when_s, label in moments
    ]
    return _chart("Instances", rows, annotations={"vertical": marks})


def _rows(spec: EndpointSpec, components: Sequence[str], line: _Line) -> Iterator[list[Any]]:
    """A row for each variant or component, or one for the endpoint."""
    name, statistic, label = line
    namespace = _OF_COMPONENTS if name.endswith("Normalized") else None
    metric = definition(name, kind=spec.kind, namespace=namespace)
    if "InferenceComponentName" in metric.dimensions:
        for component in components:
            words = [metric.namespace, name, "InferenceComponentName", component]
            yield [*words, {"stat": statistic, "label": component}]
        return
    if "VariantName" not in metric.dimensions:
        words = [metric.namespace, name, "EndpointName", spec.name]
        yield [*words, {"stat": statistic, "label": label}]
        return
    for words, variant in _of_variants(spec, name):
        told = f"{label} ({variant})" if variant else label
        yield [*words, {"stat": statistic, "label": told}]


def _of_variants(spec: EndpointSpec, name: str) -> Iterator[tuple[list[str], str]]:
    """A metric of each variant, with the variant's name where there are several."""
    metric = definition(name, kind=spec.kind)
    for variant in spec.variants:
        words = [metric.namespace, name, "EndpointName", spec.name, "VariantName", variant.name]
        yield words, variant.name if len(spec.variants) > 1 else ""
