"""The charts on an endpoint's page: a dashboard's widgets for what its kind publishes.

Rows name metrics with the dimensions that ``hosting.metrics`` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hosting.endpoint import EndpointKind, EndpointSpec
from hosting.metrics import definition

Json = dict[str, Any]
# The metric, its statistic, its label and its axis.
_Line = tuple[str, str, str]

_MINUTE_S: Final = 60
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
}


def body(spec: EndpointSpec) -> Json:
    """A dashboard's body."""
    widgets = [
        {
            "type": "metric",
            "width": 12,
            "properties": {
                "title": title,
                "period": _MINUTE_S,
                "yAxis": {"left": {"min": 0}},
                "metrics": [row for line in lines for row in _rows(spec, line)],
            },
        }
        for title, lines in _CHARTS.get(spec.kind, ())
    ]
    return {"widgets": widgets}


def _rows(spec: EndpointSpec, line: _Line) -> Iterator[list[Any]]:
    """A row for each variant, or one for the endpoint."""
    name, statistic, label = line
    metric = definition(name, kind=spec.kind)
    variants = [variant.name for variant in spec.variants]
    if "VariantName" not in metric.dimensions:
        yield [metric.namespace, name, "EndpointName", spec.name, _options(statistic, label)]
        return
    for variant in variants:
        told = label if len(variants) == 1 else f"{label} ({variant})"
        words = [metric.namespace, name, "EndpointName", spec.name, "VariantName", variant]
        yield [*words, _options(statistic, told)]


def _options(statistic: str, label: str) -> Json:
    return {"stat": statistic, "label": label}
