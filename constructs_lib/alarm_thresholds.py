"""When the alarms of an endpoint go off. 0 is a threshold; None leaves an alarm out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk

from hosting import validation
from hosting.limits import Bounds
from hosting.objectives import BURN_WINDOWS, BurnWindow

_PERCENT = Bounds(0, 100)
_COUNT = Bounds(0)
_HALF_AN_HOUR = cdk.Duration.minutes(30)
_HALF_A_MINUTE = cdk.Duration.seconds(30)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestThresholds:
    """Of the requests to an endpoint; latency has its own, in the endpoint's objective.

    Args:
        error_percent: more failed requests than that, in 3 of 5 minutes.
        min_requests: with fewer in a minute or window, neither their share of failures nor their
            latency says anything; 20 without it, and 1 for a queue, where each failure is work
            that nobody repeats.
        burn_windows: pairs of ``hosting.objectives``: in both windows, the error budget of the
            objective's availability goes faster than the pair's rate; empty for no such alarm.
    """

    error_percent: float | None = 5.0
    min_requests: int | None = None
    burn_windows: Sequence[BurnWindow] = BURN_WINDOWS

    def __post_init__(self) -> None:
        validation.require(
            _within("error_percent", self.error_percent, _PERCENT),
            _whole("min_requests", self.min_requests, _COUNT),
            []
            if len({window.long_s for window in self.burn_windows}) == len(self.burn_windows)
            else ["burn_windows must differ in their long windows"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceThresholds:
    """Of instances, each the fullest of its variant, for 15 minutes.

    Args:
        memory_percent: of memory, above which containers are about to be killed.
        disk_percent: of disk space, above which logs and models are about to fail.
    """

    memory_percent: float | None = 90.0
    disk_percent: float | None = 80.0

    def __post_init__(self) -> None:
        validation.require(
            _within("memory_percent", self.memory_percent, _PERCENT),
            _within("disk_percent", self.disk_percent, _PERCENT),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueThresholds:
    """Of the queue of an asynchronous endpoint.

    Args:
        oldest_request: some request has waited longer, for 5 minutes.
        stuck_minutes: so many in a row, requests waited and no instance ran; 1 at least. Starting
            an instance takes up to 10.
        expired_requests: more in 5 minutes were dropped unanswered.
        notification_failures: more in 5 minutes were not taken by a topic.
        transfer_failures: more in 5 minutes could not be read from S3, or written to it.
    """

    oldest_request: cdk.Duration | None = _HALF_AN_HOUR
    stuck_minutes: int | None = 15
    expired_requests: float | None = 0.0
    notification_failures: float | None = 0.0
    transfer_failures: float | None = 0.0

    def __post_init__(self) -> None:
        validation.require(
            _whole("stuck_minutes", self.stuck_minutes, Bounds(1, 1440)),
            _within("expired_requests", self.expired_requests, _COUNT),
            _within("notification_failures", self.notification_failures, _COUNT),
            _within("transfer_failures", self.transfer_failures, _COUNT),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessThresholds:
    """Of a serverless endpoint.

    Args:
        cold_start_percent: a larger share of the requests waited for a cold start, for 15 minutes
            with ``min_requests`` of the request thresholds in each 5.
        concurrency_percent: so much of the maximum concurrency was in use in 3 of 5 minutes.
            SageMaker publishes no metric of refused requests; at 100 the next one is refused.
        memory_percent: of the variant's memory, for 15 minutes.
    """

    cold_start_percent: float | None = 10.0
    concurrency_percent: float | None = 100.0
    memory_percent: float | None = 90.0

    def __post_init__(self) -> None:
        validation.require(
            _within("cold_start_percent", self.cold_start_percent, _PERCENT),
            _within("concurrency_percent", self.concurrency_percent, _PERCENT),
            _within("memory_percent", self.memory_percent, _PERCENT),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelThresholds:
    """Of the models of a multi-model container.

    Args:
        missed_percent: a larger share of the requests had to load a model while other models were
            unloaded for it, for 15 minutes: the models that are asked for do not fit.
        loading_wait: some request waited longer for its model, in 3 of 5 periods of 5 minutes.
    """

    missed_percent: float | None = 50.0
    loading_wait: cdk.Duration | None = _HALF_A_MINUTE

    def __post_init__(self) -> None:
        validation.require(_within("missed_percent", self.missed_percent, _PERCENT))


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentThresholds:
    """Of an inference component.

    Args:
        refused_requests: more in a minute found no copy, in 5 of 15 minutes. Where copies scale to
            zero, the first requests are refused by design; they start a copy.
    """

    refused_requests: float | None = 0.0

    def __post_init__(self) -> None:
        validation.require(_within("refused_requests", self.refused_requests, _COUNT))


def _whole(argument: str, value: int | None, bounds: Bounds) -> list[str]:
    return [] if value is None else validation.whole(argument, value, bounds)


def _within(argument: str, value: float | None, bounds: Bounds) -> list[str]:
    return [] if value is None else validation.within(argument, value, bounds)
