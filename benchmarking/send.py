"""Offers one measurement's load to one deployed endpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from benchmarking.aws import Account
from benchmarking.deployment import Deployed, place
from benchmarking.load import run_closed, run_open
from benchmarking.payloads import Payload
from benchmarking.plan import Measurement
from benchmarking.records import ClientHealth, Option, Sample
from benchmarking.target import AsyncDelivery, Target
from hosting import limits

# A serverless answer may have to wait for a cold start of minutes; AWS's guide of 2022 said that it
# can take up to 4. On instances 60 s are the service's limit, and some more bring its own message.
_TIMEOUT_S: Final[dict[Option, float]] = {
    "serverless": 300.0,
    "serverless-provisioned": 300.0,
    "real-time": 70.0,
    "multi-model": 70.0,
    "async": 3600.0,
}


def target_of(account: Account, endpoint: Deployed, payloads: Sequence[Payload]) -> Target:
    """Where the requests go; the bodies of asynchronous ones are uploaded where they have to be."""
    delivery = None
    if endpoint.placement.option == "async":
        delivery = AsyncDelivery(
            s3_url=account.client("s3").meta.endpoint_url,
            inputs=_uploaded(account, endpoint, payloads),
        )
    return Target(
        url=account.runtime_url,
        endpoint_name=endpoint.endpoint_name,
        region=account.region,
        credentials=account.credentials.get_frozen_credentials,
        asynchronous=delivery,
    )


def payloads_for(endpoint: Deployed, payloads: Sequence[Payload]) -> tuple[Payload, ...]:
    """The payloads as this option is asked: a target model only where there are several models."""
    if endpoint.target_models:
        models = endpoint.target_models
        return tuple(
            replace(each, target_model=models[n % len(models)]) for n, each in enumerate(payloads)
        )
    if endpoint.placement.option == "multi-model":
        return tuple(payloads)
    return tuple(replace(each, target_model=None) for each in payloads)


def _uploaded(
    account: Account, endpoint: Deployed, payloads: Sequence[Payload]
) -> tuple[str, ...] | None:
    """Where the bodies are, when one of them is too large to be sent in a request."""
    if all(len(each.body) <= limits.ASYNC_INLINE_PAYLOAD_MAX_BYTES for each in payloads):
        return None
    assert endpoint.output is not None, "an asynchronous endpoint has a place in S3"
    bucket, key = place(endpoint.output)
    for n, each in enumerate(payloads):
        account.client("s3").put_object(
            Bucket=bucket, Key=f"{key}input/{n}", Body=each.body, ContentType=each.content_type
        )
    return tuple(f"{endpoint.output}input/{n}" for n in range(len(payloads)))


def send(
    account: Account,
    endpoint: Deployed,
    measurement: Measurement,
    payloads: Sequence[Payload],
    *,
    cell: str,
    seed: int,
    timeout_s: float | None,
    stop: threading.Event,
    on_sample: Callable[[Sample], None],
    began: Callable[[datetime], None],
    processes: int = 1,
    objective_s: float | None = None,
) -> ClientHealth:
    """Send a measurement's requests; how the client fared.

    Args:
        began: is told the moment that samples' times count from.
    """
    target = target_of(account, endpoint, payloads)
    asked = payloads_for(endpoint, payloads)
    patience_s = _TIMEOUT_S[endpoint.placement.option] if timeout_s is None else timeout_s
    if measurement.arrivals is not None:
        return run_open(
            target,
            asked,
            measurement.arrivals,
            cell=cell,
            seed=seed,
            warm_up_s=measurement.warm_up_s,
            timeout_s=patience_s,
            on_sample=on_sample,
            stop=stop,
            began=began,
            processes=processes,
            objective_s=objective_s,
        )
    assert measurement.load.clients is not None, "a closed loop has clients"
    return run_closed(
        target,
        asked,
        clients=measurement.load.clients,
        duration_s=measurement.load.duration_s,
        requests=measurement.requests,
        think_time_s=measurement.load.think_time_s,
        cell=cell,
        seed=seed,
        warm_up_s=measurement.warm_up_s,
        timeout_s=patience_s,
        on_sample=on_sample,
        stop=stop,
        began=began,
        objective_s=objective_s,
    )
