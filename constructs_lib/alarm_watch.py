"""What is watched of an endpoint: which metric, beyond which threshold, for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cw

from constructs_lib.alarm_thresholds import (
    ComponentThresholds,
    InstanceThresholds,
    ModelThresholds,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from constructs_lib.measures import EndpointMeasures
from constructs_lib.monitored import Objective

_FINE = cw.TreatMissingData.NOT_BREACHING
_UNKNOWN = cw.TreatMissingData.MISSING


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """One alarm to be. ``missing`` says what a period without data means for its metric.

    What only requests publish is fine without requests; of instances that publish nothing, nothing
    is known.
    """

    name: str
    metric: cw.Metric | cw.MathExpression
    threshold: float
    says: str
    missing: cw.TreatMissingData
    at_least: int = 1
    of: int = 1
    reaches: bool = False
    takes_back: bool = False

    @property
    def comparison(self) -> cw.ComparisonOperator:
        """How the metric must relate to the threshold."""
        if self.reaches:
            return cw.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        return cw.ComparisonOperator.GREATER_THAN_THRESHOLD


def of_requests(
    measures: EndpointMeasures,
    thresholds: RequestThresholds,
    objective: Objective,
    min_requests: int,
) -> Iterator[Watch]:
    """Errors, and latency where something is expected of it."""
    if thresholds.error_percent is not None:
        yield Watch(
            name="Errors",
            metric=measures.error_share(min_requests=min_requests).metric,
            threshold=thresholds.error_percent,
            says=f"more than {thresholds.error_percent:g} % of the requests fail",
            missing=_FINE,
            at_least=3,
            of=5,
            takes_back=True,
        )
    if objective.latency is not None:
        latency_ms = objective.latency.to_milliseconds()
        yield Watch(
            name="Latency",
            metric=measures.latency(objective.statistic, min_requests=min_requests).metric,
            threshold=latency_ms,
            says=f"{objective.statistic} of the time the model takes is above {latency_ms:g} ms",
            missing=_FINE,
            at_least=3,
            of=5,
            takes_back=True,
        )


def of_models(
    rare: EndpointMeasures, thresholds: ModelThresholds, min_requests: int
) -> Iterator[Watch]:
    """Models that push one another out, and requests that wait for theirs."""
    if thresholds.missed_percent is not None:
        yield Watch(
            name="CacheThrash",
            metric=rare.misses_under_pressure(min_requests=min_requests).metric,
            threshold=thresholds.missed_percent,
            says=f"more than {thresholds.missed_percent:g} % of the requests load their model"
            " while others are unloaded: the models in use do not fit into memory",
            missing=_FINE,
            at_least=3,
            of=3,
        )
    if thresholds.loading_wait is not None:
        wait_s = thresholds.loading_wait.to_seconds(integral=False)
        yield Watch(
            name="LoadingWait",
            metric=rare.published("ModelLoadingWaitTime", "Maximum"),
            threshold=wait_s * 1_000_000,
            says=f"requests wait longer than {wait_s:g} s for their model",
            missing=_FINE,
            at_least=3,
            of=5,
        )


def of_queue(
    minutely: EndpointMeasures, counted: EndpointMeasures, thresholds: QueueThresholds
) -> Iterator[Watch]:
    """Requests that wait too long or for nothing, and what is lost around the model."""
    if thresholds.oldest_request is not None:
        age_s = thresholds.oldest_request.to_seconds(integral=False)
        yield Watch(
            name="OldestRequest",
            metric=minutely.published("ApproximateAgeOfOldestRequest", "Maximum"),
            threshold=age_s,
            says=f"the oldest request has waited longer than {age_s:g} s",
            missing=_FINE,
            at_least=5,
            of=5,
        )
    if thresholds.stuck_minutes is not None:
        yield Watch(
            name="StuckAtZero",
            metric=minutely.published("HasBacklogWithoutCapacity", "Average"),
            threshold=1,
            says=f"requests wait and no instance has run for {thresholds.stuck_minutes} min",
            missing=_UNKNOWN,
            at_least=thresholds.stuck_minutes,
            of=thresholds.stuck_minutes,
            reaches=True,
        )
    counts = (
        ("ExpiredRequests", thresholds.expired_requests, "requests expired in the queue"),
        (
            "NotificationFailures",
            thresholds.notification_failures,
            "announcements were not taken by a topic",
        ),
    )
    for name, threshold, says in counts:
        if threshold is not None:
            yield Watch(
                name=name,
                metric=counted.published(name, "Sum"),
                threshold=threshold,
                says=f"more than {threshold:g} {says} in 5 minutes",
                missing=_FINE,
            )
    if thresholds.transfer_failures is not None:
        yield Watch(
            name="TransferFailures",
            metric=counted.math(
                "Transfers that failed",
                "requests",
                "FILL({read}, 0) + FILL({written}, 0)",
                read=("RequestDownloadFailures", "Sum"),
                written=("ResponseUploadFailures", "Sum"),
            ).metric,
            threshold=thresholds.transfer_failures,
            says=f"more than {thresholds.transfer_failures:g} requests were not fetched from"
            " S3, or answers not put there, in 5 minutes",
            missing=_FINE,
        )


def of_serverless(
    minutely: EndpointMeasures,
    rare: EndpointMeasures,
    thresholds: ServerlessThresholds,
    min_requests: int,
) -> Iterator[Watch]:
    """Cold starts, and the ends of concurrency and memory."""
    if thresholds.cold_start_percent is not None:
        yield Watch(
            name="ColdStarts",
            metric=rare.cold_start_share(min_requests=min_requests).metric,
            threshold=thresholds.cold_start_percent,
            says=f"more than {thresholds.cold_start_percent:g} % of the requests wait for a"
            " cold start",
            missing=_FINE,
            at_least=3,
            of=3,
        )
    if thresholds.concurrency_percent is not None:
        yield Watch(
            name="Concurrency",
            metric=minutely.concurrency_share().metric,
            threshold=thresholds.concurrency_percent,
            says=f"{thresholds.concurrency_percent:g} % of the maximum concurrency is in use;"
            " at 100 % further requests are refused, which no metric counts",
            missing=_FINE,
            at_least=3,
            of=5,
            reaches=True,
        )
    if thresholds.memory_percent is not None:
        yield _memory(rare, thresholds.memory_percent, _FINE)


def of_instances(measures: EndpointMeasures, thresholds: InstanceThresholds) -> Iterator[Watch]:
    """Instances that are about to be full."""
    if thresholds.memory_percent is not None:
        yield _memory(measures, thresholds.memory_percent, _UNKNOWN)
    if thresholds.disk_percent is not None:
        yield Watch(
            name="Disk",
            metric=measures.published("DiskUtilization", "Maximum"),
            threshold=thresholds.disk_percent,
            says=f"more than {thresholds.disk_percent:g} % of an instance's disk is in use",
            missing=_UNKNOWN,
            at_least=3,
            of=3,
        )


def _memory(measures: EndpointMeasures, percent: float, missing: cw.TreatMissingData) -> Watch:
    return Watch(
        name="Memory",
        metric=measures.published("MemoryUtilization", "Maximum"),
        threshold=percent,
        says=f"more than {percent:g} % of the memory is in use",
        missing=missing,
        at_least=3,
        of=3,
    )


def of_component(measures: EndpointMeasures, thresholds: ComponentThresholds) -> Iterator[Watch]:
    """Requests that find no copy."""
    if thresholds.refused_requests is not None:
        yield Watch(
            name="Refused",
            metric=measures.published("NoCapacityInvocationFailures", "Sum"),
            threshold=thresholds.refused_requests,
            says=f"more than {thresholds.refused_requests:g} requests a minute find no copy",
            missing=_FINE,
            at_least=5,
            of=15,
        )
