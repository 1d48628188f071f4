"""What a run leaves on disk: ``run.json`` (what was asked and deployed) and ``samples.jsonl``.

Everything a report says is computed from these two files, so a report can be made again, compared
with another run's and checked by others. Nothing is ever deleted from them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from pydantic import TypeAdapter, ValidationError

SCHEMA: Final = 1
RUN_FILE: Final = "run.json"
SAMPLES_FILE: Final = "samples.jsonl"
SUMMARY_FILE: Final = "summary.json"
REPORT_FILE: Final = "report.html"

Verb = Literal["stability", "concurrency", "cold", "compare", "search"]
Option = Literal["serverless", "serverless-provisioned", "real-time", "multi-model", "async"]
# How a request ended, seen by a client that never retries.
Outcome = Literal[
    "ok", "throttle", "out-of-memory", "model-error", "not-ready", "timeout", "connection", "other"
]
RunState = Literal["running", "complete", "interrupted", "failed"]
Phase = Literal["warm-up", "measure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One request.

    Times are seconds on the client's monotonic clock since the start of the cell
    (``Cell.started_at`` is the same moment on the wall clock).

    Args:
        cell: ``Cell.id``.
        number: position among the cell's requests, from 0.
        phase: whether the plan counted the request as warm-up before anything was sent.
        payload: which payload of the file, from 0.
        intended_s: when the plan wanted it sent; None in a closed loop, which has no plan.
        sent_s: when its first byte was written.
        first_byte_s: when the answer's first byte came; None when none came.
        done_s: when the answer was read whole, or the request was given up. For an asynchronous
            endpoint: when the output or failure object was there.
        status: HTTP status; None without an answer.
        error: what went wrong, in the service's words; None when nothing did.
        cold: whether a cold start was part of it; None when that cannot be told.
    """

    cell: str
    number: int
    phase: Phase
    payload: int
    intended_s: float | None
    sent_s: float
    first_byte_s: float | None
    done_s: float
    status: int | None
    outcome: Outcome
    error: str | None
    request_bytes: int
    response_bytes: int
    cold: bool | None

    @property
    def latency_s(self) -> float:
        """From the intended send time (the sending itself in a closed loop) to the whole answer."""
        return self.done_s - (self.sent_s if self.intended_s is None else self.intended_s)

    @property
    def service_time_s(self) -> float:
        """From the sending to the whole answer."""
        return self.done_s - self.sent_s

    @property
    def lateness_s(self) -> float | None:
        """How long after its intended time the request was sent; None in a closed loop."""
        return None if self.intended_s is None else self.sent_s - self.intended_s


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientHealth:
    """What the client itself did while it measured: whether the numbers can be believed.

    Args:
        lateness_p99_s: of the sending; None in a closed loop.
        loop_lag_p99_s: of the client's event loop.
        cpu_share: processor time of the client's busiest process, of one processor, 0..1.
        backlog_max: requests that were due and not yet sent, at most.
        reasons: why the measurement is INVALID; empty when it is valid.
        notes: what a reader has to know that does not spoil it: the wall clock was set.
    """

    lateness_p99_s: float | None
    loop_lag_p99_s: float
    cpu_share: float
    backlog_max: int
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the endpoint, not the client, was measured."""
        return not self.reasons


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointMetric:
    """One CloudWatch metric of a cell's endpoint over the cell's time, in CloudWatch's unit."""

    name: str
    unit: str
    samples: float
    average: float
    minimum: float
    maximum: float
    percentiles: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How requests were offered.

    Args:
        arrival: ``closed`` is a closed loop; all others are open.
        rate_per_s: offered on average; None in a closed loop.
        clients: of a closed loop; None in an open one.
        duration_s: planned.
        think_time_s: of a closed loop.
    """

    arrival: Literal["poisson", "constant", "burst", "ramp", "trace", "closed"]
    rate_per_s: float | None
    clients: int | None
    duration_s: float
    think_time_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One point of the plan: an option at a size under a load. Its samples carry its ID.

    Args:
        infeasible: why the option is not possible for this model and these payloads; None when it
            is. Such a cell has no samples.
        error: what ended the cell early; None when nothing did. Its samples are kept.
        started_at: wall clock, ISO 8601 with UTC offset; None when it never started.
        gap_s: for ``cold``: how long the endpoint idled before this cell's requests.
    """

    id: str
    option: Option
    memory_size_mb: int | None = None
    max_concurrency: int | None = None
    provisioned_concurrency: int | None = None
    instance_type: str | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    endpoint_name: str | None = None
    load: Load | None = None
    gap_s: float | None = None
    infeasible: str | None = None
    error: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    client: ClientHealth | None = None
    metrics: tuple[EndpointMetric, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What the user calls good. Absent parts are None."""

    latency_p99_ms: float | None = None
    throttle_share: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """The user's month, which monthly costs are computed for.

    Args:
        requests_per_month: all of them.
        peak_to_mean: busiest hour's rate over the mean rate.
        hourly: weights of the 24 hours of a day, in place of ``peak_to_mean``; None: one busy time
            a day that has this peak (``benchmarking.traffic``).
    """

    requests_per_month: float
    peak_to_mean: float = 1.0
    hourly: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """All that is known of a run but its samples.

    Args:
        environment: versions, machine and region, as strings, for a reader.
        payload_bytes: size of each payload of the file, in order.
        prices: the prices that were used, as ``hosting.pricing`` writes them to JSON.
        notes: what a reader has to know: a cut short plan, a price that is old.
    """

    verb: Verb
    run_id: str
    state: RunState
    started_at: str
    finished_at: str | None = None
    model_name: str
    region: str
    seed: int
    arguments: dict[str, Any]
    environment: dict[str, str]
    payload_bytes: tuple[int, ...]
    objective: Objective = Objective()
    traffic: Traffic | None = None
    cells: tuple[Cell, ...] = ()
    prices: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA


class RecordError(ValueError):
    """A file of a run says what no run writes."""


_RUN: Final = TypeAdapter(Run)
_SAMPLE: Final = TypeAdapter(Sample)


def write_sample(stream: TextIO, sample: Sample) -> None:
    """Append a sample as one JSON line."""
    stream.write(json.dumps(dataclasses.asdict(sample), separators=(",", ":")) + "\n")


def read_samples(folder: Path) -> Iterator[Sample]:
    """Read the samples of a run, in the order in which they were written.

    A last line that was cut short (the disk was full, the program was killed) is left out.

    Raises:
        RecordError: a line in the middle is broken; it is named.
    """
    path = folder / SAMPLES_FILE
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _SAMPLE.validate_json(line)
            except ValidationError as error:
                raise RecordError(
                    f"{path} line {number} is not a sample: {_short(error)}"
                ) from None


def write_run(folder: Path, run: Run) -> None:
    """Write the run's record, replacing the one before in one step."""
    path = folder / RUN_FILE
    unfinished = path.with_suffix(".json.tmp")
    unfinished.write_text(json.dumps(dataclasses.asdict(run), indent=2) + "\n")
    unfinished.replace(path)


def read_run(folder: Path) -> Run:
    """Read the run's record.

    Raises:
        RecordError: there is none, it is broken, or a newer version wrote it.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise RecordError(f"folder must hold a run, got {folder} without {RUN_FILE}")
    try:
        run = _RUN.validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(f"{path} is not a run: {_short(error)}") from None
    if run.schema != SCHEMA:
        raise RecordError(f"schema of {path} must be {SCHEMA}, got {run.schema}")
    return run


def _short(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
