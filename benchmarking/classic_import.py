"""Reads result folders of the SageMaker Serverless Inference Benchmarking Toolkit.

They become a run of ours as far as they allow. What they do not hold is left unknown and noted; the
notes also say what their numbers cannot be trusted for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarking.classic import INVOCATIONS, METRICS
from benchmarking.records import (
    SAMPLES_FILE,
    Cell,
    EndpointMetric,
    Load,
    Outcome,
    RecordError,
    Run,
    Sample,
    write_run,
    write_sample,
)
from hosting import pricing

STAGES: Final = ("stability", "concurrency")
# It sleeps a random part of a second before every call.
_THINK_TIME_S: Final = 0.5
_NOTES: Final = (
    "Imported from the SageMaker Serverless Inference Benchmarking Toolkit.",
    "Its client retries once: a throttled request may count as a slow success.",
    "It pauses up to a second before every call: the load never reaches the number of clients.",
    "It does not read answers: latencies end with the answer's head, and open a connection each.",
    "Not in its results: whether its client kept up, whether requests were cold, their sizes.",
    "Nor are wall-clock times, the model's name, and the region.",
    "How many datapoints a metric has is assumed: one for each answered request.",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a cell of the old toolkit is told by."""

    stage: str
    memory_size_mb: int
    max_concurrency: int
    clients: int

    @property
    def id(self) -> str:
        name = f"{self.stage}-{self.memory_size_mb}mb"
        if self.stage == "stability":
            return name
        return f"{name}-c{self.max_concurrency}-{self.clients}-clients"


def import_results(folder: Path, out: Path, *, region: str = "us-east-1") -> Run:
    """Write ``run.json`` and ``samples.jsonl`` to ``out`` from a result folder.

    Args:
        folder: the old toolkit's ``result_save_path``.
        region: what it was run in; its own prices are those of us-east-1.

    Raises:
        RecordError: the folder holds no results, a file of them is broken, or ``out`` holds a run.
    """
    found = {
        stage: path
        for stage in STAGES
        if (path := folder / f"{stage}_benchmark_raw_results" / INVOCATIONS).is_file()
    }
    if not found:
        raise RecordError(
            f"folder must hold results such as {STAGES[0]}_benchmark_raw_results/{INVOCATIONS}, "
            f"got {folder}"
        )
    if (out / SAMPLES_FILE).exists():
        raise RecordError(f"out must not hold a run already, got {out}")
    places: dict[_Place, list[Sample]] = {}
    metrics: dict[_Place, list[EndpointMetric]] = {}
    for stage, path in found.items():
        places |= _read_requests(stage, path)
        metrics |= _read_metrics(stage, path.parent / METRICS, places)
    written = datetime.fromtimestamp(min(p.stat().st_mtime for p in found.values()), UTC)
    run = Run(
        verb="concurrency" if "concurrency" in found else "stability",
        run_id=f"classic-{folder.name}",
        state="complete",
        started_at=written.isoformat(timespec="seconds"),
        model_name="unknown",
        region=region,
        seed=0,
        arguments={"imported_from": folder.name},
        environment={"toolkit": "sm-serverless-benchmarking"},
        payload_bytes=(),
        cells=tuple(_cell(place, places[place], metrics.get(place, ())) for place in places),
        prices=pricing.prices().of_region(region).to_json(),
        notes=(*_NOTES, "The start is when its results were written."),
    )
    out.mkdir(parents=True, exist_ok=True)
    with (out / SAMPLES_FILE).open("w") as stream:
        for samples in places.values():
            for sample in samples:
                write_sample(stream, sample)
    write_run(out, run)
    return run


def _read_requests(stage: str, path: Path) -> dict[_Place, list[Sample]]:
    rows: dict[_Place, list[_Row]] = {}
    for row in _rows(path):
        rows.setdefault(_place(stage, row), []).append(row)
    return {place: _samples(place, of_place) for place, of_place in rows.items()}


def _samples(place: _Place, rows: Sequence[_Row]) -> list[Sample]:
    begin = min(row.number("start_time") for row in rows)
    return [_sample(place, row, number, begin) for number, row in enumerate(rows)]


def _sample(place: _Place, row: _Row, number: int, begin: float) -> Sample:
    outcome, error = _outcome(row)
    return Sample(
        cell=place.id,
        number=number,
        phase="measure",
        payload=round(row.number("invoke_arg_index", 0)),
        intended_s=None,
        sent_s=row.number("start_time") - begin,
        first_byte_s=None,
        done_s=row.number("end_time") - begin,
        status=None,
        outcome=outcome,
        error=error,
        request_bytes=0,
        response_bytes=round(row.number("response_size", 0)),
        cold=None,
    )


def _outcome(row: _Row) -> tuple[Outcome, str | None]:
    kinds: dict[str, Outcome] = {
        "throttle_exception": "throttle",
        "insufficient_memory_error": "out-of-memory",
        "other_model_error": "model-error",
    }
    for column, outcome in kinds.items():
        if row.number(column, 0):
            return outcome, column
    if row.number("response_size", 0) == 0:
        return "other", "an empty answer, which the toolkit records for errors it does not know"
    return "ok", None


def _read_metrics(
    stage: str, path: Path, samples: Mapping[_Place, Sequence[Sample]]
) -> dict[_Place, list[EndpointMetric]]:
    if not path.is_file():
        return {}
    answer: dict[_Place, list[EndpointMetric]] = {}
    for row in _rows(path):
        # A metric without datapoints has a row with its name alone.
        if row.text("Average") == "":
            continue
        place = _place(stage, row)
        if place not in samples:
            continue
        name = row.text("metric_name")
        answered = sum(sample.outcome == "ok" for sample in samples[place])
        answer.setdefault(place, []).append(
            EndpointMetric(
                name=name,
                unit=row.text("Unit"),
                samples=1 if name == "ModelSetupTime" else answered,
                average=row.number("Average"),
                minimum=row.number("Minimum"),
                maximum=row.number("Maximum"),
                percentiles={q: row.number(q) for q in ("p25", "p50", "p75") if row.text(q) != ""},
            )
        )
    return answer


def _cell(place: _Place, samples: Sequence[Sample], metrics: Sequence[EndpointMetric]) -> Cell:
    return Cell(
        id=place.id,
        option="serverless",
        memory_size_mb=place.memory_size_mb,
        max_concurrency=place.max_concurrency,
        load=Load(
            arrival="closed",
            rate_per_s=None,
            clients=place.clients,
            duration_s=max(sample.done_s for sample in samples),
            think_time_s=_THINK_TIME_S,
        ),
        metrics=tuple(metrics),
    )


def _place(stage: str, row: _Row) -> _Place:
    memory = round(row.number("memory_size"))
    if stage == "stability":
        return _Place(stage, memory, 1, 1)
    return _Place(
        stage, memory, round(row.number("max_concurrency")), round(row.number("num_clients"))
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a file, which errors name."""

    where: str
    fields: Mapping[str, str]

    def text(self, column: str) -> str:
        return self.fields.get(column, "")

    def number(self, column: str, missing: float | None = None) -> float:
        text = self.text(column)
        if text == "" and missing is not None:
            return missing
        try:
            return float(text)
        except ValueError:
            raise RecordError(f"{column} of {self.where} must be a number, got {text!r}") from None


def _rows(path: Path) -> Iterator[_Row]:
    with path.open(newline="") as stream:
        for number, fields in enumerate(csv.DictReader(stream), 2):
            known = {name: value for name, value in fields.items() if value is not None}
            yield _Row(f"{path} line {number}", known)
