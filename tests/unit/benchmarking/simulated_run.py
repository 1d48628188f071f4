"""Runs as a benchmark leaves them, simulated: Poisson arrivals at queues with known service times.

Every cell is a queue of its own: a request is throttled when all slots are busy (serverless), or
waits for an instance (real-time). Service times are lognormal; a slot that idled is cold.
"""

from __future__ import annotations

import dataclasses
import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarking.records import (
    RUN_FILE,
    SAMPLES_FILE,
    Cell,
    ClientHealth,
    EndpointMetric,
    Load,
    Objective,
    Outcome,
    Run,
    Sample,
    Traffic,
    write_run,
    write_sample,
)
from hosting import pricing

STARTED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HEALTHY = ClientHealth(lateness_p99_s=0.0004, loop_lag_p99_s=0.0006, cpu_share=0.31, backlog_max=2)
BUSY = ClientHealth(
    lateness_p99_s=0.041,
    loop_lag_p99_s=0.055,
    cpu_share=0.99,
    backlog_max=140,
    reasons=("sends were late: p99 41 ms, allowed 1 ms", "client processor 99 % busy"),
)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the simulated endpoint does.

    Args:
        slots: requests in progress at once.
        waits: whether a request waits for a slot; otherwise it is throttled.
        cold_s: what the first request of a slot takes longer.
    """

    service_ms: float
    sigma: float = 0.18
    slots: int = 8
    waits: bool = False
    cold_s: float = 0.0
    error_share: float = 0.0
    network_ms: float = 6.0


def arrivals(rate_per_s: float, duration_s: float, rng: random.Random) -> Iterator[float]:
    """Poisson arrivals."""
    now = rng.expovariate(rate_per_s)
    while now < duration_s:
        yield now
        now += rng.expovariate(rate_per_s)


def simulate(
    cell: Cell, truth: Truth, *, seed: int, warm_up_s: float = 0.0, start: bool = True
) -> list[Sample]:
    """The samples of a cell, in the order in which its requests end."""
    assert cell.load is not None
    rng = random.Random(f"{seed}-{cell.id}")  # noqa: S311 - a simulation
    plan = _plan(cell.load, warm_up_s, rng)
    busy: list[float] = []
    warm_slots = 0 if start else truth.slots
    samples = []
    for number, (intended_s, phase) in enumerate(plan):
        sent_s = intended_s + rng.uniform(0.00002, 0.0003)
        while busy and busy[0] <= sent_s:
            heapq.heappop(busy)
        network_s = truth.network_ms / 1e3 * rng.uniform(0.9, 1.3)
        outcome: Outcome = "ok"
        cold = False
        if len(busy) >= truth.slots and not truth.waits:
            outcome, done_s = "throttle", sent_s + network_s
        else:
            begin = sent_s
            if len(busy) >= truth.slots:
                begin = heapq.heappop(busy)
            service_s = truth.service_ms / 1e3 * rng.lognormvariate(0, truth.sigma)
            if len(busy) >= warm_slots and truth.cold_s:
                cold = True
                warm_slots += 1
                service_s += truth.cold_s * rng.uniform(0.8, 1.25)
            if rng.random() < truth.error_share:
                outcome = "model-error"
            end = begin + service_s
            heapq.heappush(busy, end)
            done_s = end + network_s
        answered = outcome == "ok"
        samples.append(
            Sample(
                cell=cell.id,
                number=number,
                phase="warm-up" if phase else "measure",
                payload=number % 3,
                intended_s=None if cell.load.arrival == "closed" else intended_s,
                sent_s=sent_s,
                first_byte_s=done_s - 0.0002,
                done_s=done_s,
                status=200 if answered else 400 if outcome == "throttle" else 424,
                outcome=outcome,
                error=None if answered else _ERRORS[outcome],
                request_bytes=2048,
                response_bytes=310 if answered else 60,
                cold=cold if answered else None,
            )
        )
    return sorted(samples, key=lambda sample: sample.done_s)


_ERRORS = {
    "throttle": "ThrottlingException: Rate exceeded",
    "model-error": "ModelError: ValueError: input is not an image",
}


def _plan(load: Load, warm_up_s: float, rng: random.Random) -> list[tuple[float, bool]]:
    rate = 20.0 if load.rate_per_s is None else load.rate_per_s
    return [(at, at < warm_up_s) for at in arrivals(rate, load.duration_s + warm_up_s, rng)]


def metrics(samples: Sequence[Sample], truth: Truth) -> tuple[EndpointMetric, ...]:
    """What CloudWatch would say, in its units."""
    answered = [sample for sample in samples if sample.outcome == "ok"]
    if not answered:
        return ()
    mean_us = truth.service_ms * 1e3 * 1.016
    cold = [sample for sample in answered if sample.cold]
    found = [
        EndpointMetric(
            name="ModelLatency",
            unit="Microseconds",
            samples=len(answered),
            average=mean_us,
            minimum=mean_us * 0.6,
            maximum=mean_us * 1.9,
        ),
        EndpointMetric(
            name="MemoryUtilization",
            unit="Percent",
            samples=4,
            average=31.5,
            minimum=30.0,
            maximum=33.0,
        ),
    ]
    if cold:
        found.append(
            EndpointMetric(
                name="ModelSetupTime",
                unit="Microseconds",
                samples=len(cold),
                average=truth.cold_s * 1e6,
                minimum=truth.cold_s * 8e5,
                maximum=truth.cold_s * 1.25e6,
            )
        )
    return tuple(found)


def cell_of(cell_id: str, **given: object) -> Cell:
    """A cell that was run, with a healthy client, unless the arguments say otherwise."""
    defaults: dict[str, object] = {
        "option": "serverless",
        "load": Load(arrival="poisson", rate_per_s=20.0, clients=None, duration_s=120.0),
        "endpoint_name": f"benchmark-{cell_id}",
        "started_at": STARTED.isoformat(),
        "finished_at": (STARTED + timedelta(minutes=2)).isoformat(),
        "client": HEALTHY,
    }
    cell: Cell = Cell(id=cell_id, **{**defaults, **given})  # type: ignore[arg-type]
    return cell


def run_of(cells: Sequence[Cell], **given: object) -> Run:
    """A complete run with the shipped prices, unless the arguments say otherwise."""
    defaults: dict[str, object] = {
        "verb": "compare",
        "run_id": "20261120-093000-7f3a",
        "state": "complete",
        "started_at": STARTED.isoformat(),
        "finished_at": (STARTED + timedelta(minutes=18)).isoformat(),
        "model_name": "digit-reader",
        "region": "us-east-1",
        "seed": 7,
        "arguments": {"model_name": "digit-reader", "rate": 20.0, "duration": "2m", "seed": 7},
        "environment": {"python": "3.11.15", "boto3": "1.44.5", "machine": "Linux x86_64"},
        "payload_bytes": (2048, 2048, 2048),
        "objective": Objective(latency_p99_ms=200.0, throttle_share=0.01),
        "traffic": Traffic(requests_per_month=2_000_000, peak_to_mean=3.0),
        "prices": pricing.prices().of_region("us-east-1").to_json(),
    }
    return Run(cells=tuple(cells), **{**defaults, **given})  # type: ignore[arg-type]


# Service time falls with memory, and less and less so.
_MEMORY_MS = {1024: 148.0, 2048: 79.0, 3072: 58.0, 4096: 51.0, 5120: 49.0, 6144: 48.5}


def compare_run(*, duration_s: float = 120.0, rate_per_s: float = 20.0) -> tuple[Run, list[Sample]]:
    """All options under the same arrivals; one throttles, one is impossible, one INVALID."""
    load = Load(arrival="poisson", rate_per_s=rate_per_s, clients=None, duration_s=duration_s)
    cells: list[Cell] = []
    samples: list[Sample] = []

    def add(cell: Cell, truth: Truth) -> None:
        found = simulate(cell, truth, seed=7, warm_up_s=5.0)
        samples.extend(found)
        cells.append(dataclasses.replace(cell, metrics=metrics(found, truth)))

    for memory, ms in _MEMORY_MS.items():
        add(
            cell_of(f"serverless-{memory}", memory_size_mb=memory, max_concurrency=12, load=load),
            Truth(service_ms=ms, slots=12, cold_s=1.6),
        )
    add(
        cell_of("serverless-2048-c2", memory_size_mb=2048, max_concurrency=2, load=load),
        Truth(service_ms=79.0, slots=2, cold_s=1.6),
    )
    add(
        cell_of(
            "provisioned-2048",
            option="serverless-provisioned",
            memory_size_mb=2048,
            max_concurrency=12,
            provisioned_concurrency=4,
            load=load,
        ),
        Truth(service_ms=79.0, slots=12),
    )
    add(
        cell_of(
            "real-time-m5-large",
            option="real-time",
            instance_type="ml.m5.large",
            min_instances=1,
            max_instances=1,
            load=load,
        ),
        Truth(service_ms=33.0, slots=2, waits=True),
    )
    add(
        cell_of(
            "async-m5-large",
            option="async",
            instance_type="ml.m5.large",
            min_instances=0,
            max_instances=1,
            load=load,
            client=BUSY,
        ),
        Truth(service_ms=60.0, slots=2, waits=True, network_ms=210.0),
    )
    cells.append(
        Cell(
            id="multi-model-m5-large",
            option="multi-model",
            instance_type="ml.m5.large",
            infeasible="the model's image does not serve several models",
        )
    )
    return run_of(cells), samples


def concurrency_run() -> tuple[Run, list[Sample]]:
    """Serverless at four levels of concurrency, each under rising load."""
    cells, samples = [], []
    for slots in (2, 4, 8, 16):
        for rate in (10.0, 20.0, 40.0, 80.0, 120.0):
            load = Load(arrival="poisson", rate_per_s=rate, clients=None, duration_s=60.0)
            cell = cell_of(
                f"serverless-2048-c{slots}-{rate:g}",
                memory_size_mb=2048,
                max_concurrency=slots,
                load=load,
            )
            samples += simulate(cell, Truth(service_ms=79.0, slots=slots), seed=7)
            cells.append(cell)
    return run_of(cells, verb="concurrency", traffic=None), samples


def cold_run() -> tuple[Run, list[Sample]]:
    """Single requests and bursts of four after gaps; a slot is given up minutes after its use."""
    cells, samples = [], []
    rng = random.Random(7)  # noqa: S311 - a simulation
    for repeat in range(8):
        for gap_s in (30.0, 120.0, 300.0, 600.0, 900.0, 1800.0):
            for size in (1, 4):
                load = Load(arrival="burst", rate_per_s=size, clients=None, duration_s=1.0)
                cell = cell_of(
                    f"serverless-2048mb-c8-gap{gap_s:g}s-burst{size}-{repeat}",
                    memory_size_mb=2048,
                    max_concurrency=8,
                    gap_s=gap_s,
                    load=load,
                )
                cells.append(cell)
                samples += [_after_gap(cell, number, gap_s, rng) for number in range(size)]
    return run_of(cells, verb="cold", objective=Objective(), traffic=None), samples


def _after_gap(cell: Cell, number: int, gap_s: float, rng: random.Random) -> Sample:
    cold = number > 1 or rng.random() < min(1.0, max(0.0, (gap_s - 100) / 900))
    taken_s = 0.085 * rng.lognormvariate(0, 0.15) + (rng.uniform(1.4, 2.1) if cold else 0)
    return Sample(
        cell=cell.id,
        number=number,
        phase="measure",
        payload=0,
        intended_s=0.0,
        sent_s=0.0001,
        first_byte_s=taken_s,
        done_s=taken_s,
        status=200,
        outcome="ok",
        error=None,
        request_bytes=2048,
        response_bytes=310,
        cold=cold,
    )


def write(folder: Path, run: Run, samples: Sequence[Sample]) -> Path:
    """Write a run into a folder, as a benchmark does."""
    folder.mkdir(parents=True, exist_ok=True)
    write_run(folder, run)
    with (folder / SAMPLES_FILE).open("w") as stream:
        for sample in samples:
            write_sample(stream, sample)
    assert (folder / RUN_FILE).is_file()
    return folder
