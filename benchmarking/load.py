"""Offer a load to an endpoint and keep every request: nothing is retried, nothing left out.

In an open loop requests are sent when the plan says, whatever became of those before; latency
counts from the planned moment. In a closed loop a number of clients wait for their answers.

    health = run_open(
        Target(url=..., endpoint_name="digits", region="us-east-1", credentials=frozen),
        payloads,
        poisson(rate_per_s=50, duration_s=60, seed=1),
        cell="serverless-2048",
        seed=1,
        on_sample=samples.append,
    )
    if not health.valid:
        print("INVALID:", *health.reasons)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from benchmarking import validity
from benchmarking.load_driver import (
    ClosedDriver,
    OpenDriver,
    draw_payloads,
    payload_source,
)
from benchmarking.load_engine import Job, Measured, Stop, run_job
from benchmarking.load_processes import measure_in_processes
from benchmarking.load_recorder import OnSample
from benchmarking.payloads import Payload
from benchmarking.records import ClientHealth
from benchmarking.target import AsyncDelivery, CredentialSource, Target
from benchmarking.workload import Arrivals

__all__ = [
    "AsyncDelivery",
    "CredentialSource",
    "OnSample",
    "Stop",
    "Target",
    "run_closed",
    "run_open",
]

Began = Callable[[dt.datetime], None]

# A cold start may take minutes, and an invocation one minute after it.
TIMEOUT_S: Final = 300.0


def run_open(
    target: Target,
    payloads: Sequence[Payload],
    arrivals: Arrivals,
    *,
    cell: str,
    seed: int,
    on_sample: OnSample,
    warm_up_s: float = 0.0,
    timeout_s: float = TIMEOUT_S,
    stop: Stop | None = None,
    began: Began | None = None,
    processes: int = 1,
    objective_s: float | None = None,
) -> ClientHealth:
    """Send requests at the plan's times; return when all have ended.

    Ctrl-C hands over the samples there are and raises ``KeyboardInterrupt``; an exception that
    ``on_sample`` raises ends the load too.

    Args:
        seed: decides which payload each request sends.
        on_sample: is given each request after it ended, not in the order of their numbers. While
            the client is busy samples are kept back, at the latest until the end.
        warm_up_s: requests planned before it are marked as warm-up.
        timeout_s: of one request, from its sending.
        stop: when set, what is in flight is given up, and samples of all requests that were
            sent are handed over.
        began: is told the wall clock's time of the start, that samples' times count from.
        processes: how many send; one can send several thousand requests a second.
        objective_s: the latency that is asked about; a client is late in relation to it.

    Raises:
        UnreachableError: nothing was sent, because nobody listens there.
    """
    _check(payloads, cell, warm_up_s, timeout_s)
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    payload_of = draw_payloads(len(arrivals), len(payloads), seed)
    job = Job(
        target=target,
        payloads=payloads,
        cell=cell,
        on_sample=on_sample,
        warm_up_s=warm_up_s,
        timeout_s=timeout_s,
        stop=stop,
        began=began,
    )
    if processes == 1:
        parts = [run_job(job, lambda: OpenDriver(arrivals.offsets_s, payload_of))]
    else:
        parts = measure_in_processes(job, arrivals.offsets_s, payload_of, processes)
    return _judge(parts, objective_s)


def run_closed(
    target: Target,
    payloads: Sequence[Payload],
    *,
    clients: int,
    cell: str,
    seed: int,
    on_sample: OnSample,
    duration_s: float | None = None,
    requests: int | None = None,
    think_time_s: float = 0.0,
    warm_up_s: float = 0.0,
    timeout_s: float = TIMEOUT_S,
    stop: Stop | None = None,
    began: Began | None = None,
    objective_s: float | None = None,
) -> ClientHealth:
    """Let ``clients`` send one request after another; return when all have ended.

    The load follows the endpoint: a slow answer delays the requests after it, which is not what
    independent users do. Latency counts from the sending. Arguments as in ``run_open``.

    Args:
        duration_s: after which no client sends.
        requests: how many are sent in all; one of the two is enough.
        think_time_s: between an answer and the client's next request.
    """
    _check(payloads, cell, warm_up_s, timeout_s)
    if clients < 1:
        raise ValueError(f"clients must be at least 1, got {clients}")
    if duration_s is None and requests is None:
        raise ValueError("supply duration_s or requests, got neither")
    for name, value in (("duration_s", duration_s), ("requests", requests)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be above 0, got {value:g}")
    if not think_time_s >= 0:
        raise ValueError(f"think_time_s must be at least 0, got {think_time_s:g}")
    job = Job(
        target=target,
        payloads=payloads,
        cell=cell,
        on_sample=on_sample,
        warm_up_s=warm_up_s,
        timeout_s=timeout_s,
        stop=stop,
        began=began,
    )

    def driver() -> ClosedDriver:
        return ClosedDriver(
            clients=clients,
            think_time_s=think_time_s,
            duration_s=duration_s,
            requests=requests,
            draw=payload_source(len(payloads), seed),
        )

    return _judge([run_job(job, driver)], objective_s)


def _judge(parts: Sequence[Measured], objective_s: float | None) -> ClientHealth:
    """The health of a client made of these processes."""
    return validity.health(
        lateness_s=[value for part in parts for value in part.lateness_s],
        loop_lag_s=max((part.loop_lag_s for part in parts), key=_late),
        service_times_s=[value for part in parts for value in part.service_times_s],
        cpu_share=max(part.cpu_share for part in parts),
        backlog_max=sum(part.backlog_max for part in parts),
        clock_step_s=max((part.clock_step_s for part in parts), key=abs),
        objective_s=objective_s,
    )


def _late(lags_s: Sequence[float]) -> float:
    return sum(lags_s)


def _check(payloads: Sequence[Payload], cell: str, warm_up_s: float, timeout_s: float) -> None:
    if not payloads:
        raise ValueError("payloads must hold at least one, got none")
    if not cell:
        raise ValueError("cell must be an ID, got an empty one")
    if not warm_up_s >= 0:
        raise ValueError(f"warm_up_s must be at least 0, got {warm_up_s:g}")
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above 0, got {timeout_s:g}")
