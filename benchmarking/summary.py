"""The summary of a run: made of its record and its samples, written to ``summary.json``."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from benchmarking import levels, verdict, wording
from benchmarking.break_even import break_even, cheaper
from benchmarking.cell_cost import Priced, price_cell, summarize_prices
from benchmarking.cell_summary import summarize_cell
from benchmarking.cost import Curve
from benchmarking.findings import (
    SCHEMA,
    BreakEven,
    CellSummary,
    Held,
    Prices,
    Recommendation,
    Summary,
)
from benchmarking.observations import Observations, collect
from benchmarking.recommendation import recommend
from benchmarking.records import (
    SUMMARY_FILE,
    Objective,
    RecordError,
    Run,
    Sample,
    Verb,
    read_run,
    read_samples,
)
from benchmarking.usage import exact

SCHEMA_FILE: Final = "summary.schema.json"
_SUMMARY: Final = TypeAdapter(Summary)
# More sentences than this hide what matters: then only those about the winner are kept.
_PAIRS_MOST: Final = 12
_EACH_MOST: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Analysis:
    """A summary, and what its charts are drawn from.

    Args:
        curves: cost per month as a function of requests, of the cells that have a price.
    """

    run: Run
    summary: Summary
    observations: Mapping[str, Observations]
    curves: Mapping[str, Curve]

    @property
    def has_samples(self) -> bool:
        """Whether one request was recorded, if only of a warm-up."""
        return any(len(seen) or seen.warm_up for seen in self.observations.values())


def summarize(run: Run, samples: Iterable[Sample]) -> Summary:
    """Say what a run shows.

    Raises:
        RecordError: a sample belongs to no cell of the run.
    """
    return analyze(run, samples).summary


def analyze(run: Run, samples: Iterable[Sample]) -> Analysis:
    """Summarize a run, and keep what its charts need.

    Raises:
        RecordError: a sample belongs to no cell of the run.
    """
    seen = collect(run, samples)
    names = wording.labels(run.cells)
    bare = [summarize_cell(run, cell, names[cell.id], seen[cell.id]) for cell in run.cells]
    capacities = _capacities(bare, run)
    priced = {
        cell.id: price_cell(run, cell, seen[cell.id], capacity_per_s=capacities.get(cell.id))
        for cell in run.cells
        # A cell of cold starts is too few requests, all at once, to have a month's cost.
        if len(seen[cell.id]) and run.verb != "cold"
    }
    cells = [_with_cost(cell, priced.get(cell.id), run.verb) for cell in bare]
    recommendation, judged = recommend(cells, run.objective, run.traffic, run.verb)
    compared = run.verb not in ("concurrency", "cold")
    front = verdict.pareto(judged, run.traffic) if compared else ()
    judged = tuple(dataclasses.replace(cell, pareto=cell.id in front) for cell in judged)
    held = levels.held(judged, run.objective) if run.verb != "cold" else ()
    cold = levels.cold_points(judged, seen)
    if run.verb == "concurrency" and held:
        recommendation = _by_level(recommendation, held, run.objective)
    if run.verb == "cold":
        recommendation = dataclasses.replace(
            recommendation, sentence=levels.cold_sentence(cold), basis="what each gap showed"
        )
    curves = {
        cell_id: each.curve
        for cell_id, each in priced.items()
        if each.curve is not None and compared
    }
    prices = summarize_prices(run, (price for each in priced.values() for price in each.prices))
    summary = Summary(
        run_id=run.run_id,
        verb=run.verb,
        state=run.state,
        model_name=run.model_name,
        region=run.region,
        seed=run.seed,
        started_at=run.started_at,
        finished_at=run.finished_at,
        objective=run.objective,
        traffic=run.traffic,
        recommendation=recommendation,
        cells=judged,
        warnings=_warnings(run, judged, prices),
        notes=run.notes,
        pareto=front,
        break_evens=_break_evens(judged, curves),
        indistinguishable=_indistinguishable(judged, recommendation) if compared else (),
        held=held,
        cold=cold,
        prices=prices,
    )
    return Analysis(run, summary, seen, curves)


def analyze_folder(folder: Path) -> Analysis:
    """Analyze what a run left in a folder.

    Raises:
        RecordError: it holds no run, or a file of it is broken.
    """
    run = read_run(folder)
    try:
        return analyze(run, read_samples(folder))
    except FileNotFoundError:
        # A run that ended before its first request leaves its record alone.
        return analyze(run, ())


def write_summary(folder: Path, summary: Summary) -> None:
    """Write ``summary.json``, replacing the one before in one step."""
    write_summary_file(folder / SUMMARY_FILE, summary)


def write_summary_file(path: Path, summary: Summary) -> None:
    """Write what ``summary.json`` says to another file."""
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_bytes(_SUMMARY.dump_json(summary, indent=2) + b"\n")
    unfinished.replace(path)


def read_summary(path: Path) -> Summary:
    """Read a ``summary.json``.

    Raises:
        RecordError: it is none, or a newer version wrote it.
    """
    try:
        summary = _SUMMARY.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RecordError(f"{path} is not a summary: {place}: {first['msg']}") from None
    if summary.schema != SCHEMA:
        raise RecordError(f"schema of {path} must be {SCHEMA}, got {summary.schema}")
    return summary


def json_schema() -> dict[str, Any]:
    """The JSON schema of ``summary.json``, computed; the shipped file is this."""
    schema = _SUMMARY.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def shipped_schema() -> dict[str, Any]:
    """The JSON schema that is part of the package."""
    text = files("benchmarking").joinpath(SCHEMA_FILE).read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema


def _with_cost(cell: CellSummary, priced: Priced | None, verb: Verb) -> CellSummary:
    if priced is None:
        missing = "cold starts alone are not priced" if verb == "cold" else "nothing was measured"
        return dataclasses.replace(cell, cost_missing=missing)
    return dataclasses.replace(cell, cost=priced.money, cost_missing=priced.missing)


def _capacities(cells: Sequence[CellSummary], run: Run) -> dict[str, float]:
    """What one instance was shown to hold, of options on instances tried at several loads."""
    judged = [
        dataclasses.replace(cell, judgement=verdict.judge(cell, run.objective)) for cell in cells
    ]
    instances = {cell.id: cell.min_instances for cell in run.cells}
    answer = {}
    for each in levels.held(judged, run.objective):
        for cell in judged:
            many = instances[cell.id]
            if cell.configuration == each.configuration and each.per_s and many:
                answer[cell.id] = each.per_s / many
    return answer


def _by_level(
    recommendation: Recommendation, held: Sequence[Held], objective: Objective
) -> Recommendation:
    able = [each for each in held if each.per_s is not None]
    best = max(able, key=lambda each: each.per_s or 0.0) if able else None
    return dataclasses.replace(
        recommendation,
        sentence=levels.sentence(held, objective),
        cell=None if best is None or not verdict.has_limits(objective) else best.cell,
        basis="the highest load shown to be held, with every lower one",
    )


def _warnings(run: Run, cells: Sequence[CellSummary], prices: Prices | None) -> tuple[str, ...]:
    answer = []
    possible = [cell for cell in cells if cell.state != "not-possible"]
    measured = [cell for cell in cells if cell.state == "measured"]
    if run.state != "complete":
        answer.append(
            f"PARTIAL: the run is {run.state}; {len(measured)} of {len(possible)} cells were "
            "measured whole"
        )
    invalid = [cell for cell in cells if cell.state == "invalid"]
    if len(invalid) > _EACH_MOST:
        answer.append(
            f"INVALID: the client was the bottleneck in {len(invalid)} of {len(possible)} cells, "
            "whose numbers are not reported; each verdict says why"
        )
    else:
        answer += [
            f"INVALID: {cell.label}{'' if cell.load is None else f' at {cell.load}'}: the client "
            f"was the bottleneck: {'; '.join(cell.reasons)}"
            for cell in invalid
        ]
    answer += [
        f"FAILED: {cell.label}: {'; '.join(cell.reasons)}"
        for cell in cells
        if cell.state == "failed"
    ]
    doubted = [
        cell.label
        for cell in measured
        if cell.latency is not None
        and (p99 := cell.latency.percentiles["p99"]) is not None
        and p99.correlated
    ]
    if doubted:
        answer.append(
            "Requests depended on one another for so long that bounds may be too narrow; measure "
            f"longer: {'; '.join(dict.fromkeys(doubted))}"
        )
    if prices is not None:
        answer += [f"Prices: {text}" for text in prices.warnings]
    return tuple(answer)


def _break_evens(
    cells: Sequence[CellSummary], curves: Mapping[str, Curve]
) -> tuple[BreakEven, ...]:
    labels = {cell.id: cell.label for cell in cells if cell.state == "measured"}
    options = {cell.id: cell.option for cell in cells}
    one_each: dict[str, str] = {}
    for cell_id in curves:
        if cell_id in labels:
            one_each.setdefault(labels[cell_id], cell_id)
    answer = []
    for a, b in itertools.combinations(one_each.values(), 2):
        points = break_even(curves[a], curves[b])
        for point in points:
            below, above = point.cheaper_below, point.cheaper_above
            where = float(point.requests)
            answer.append(
                BreakEven(
                    cheaper_below=below,
                    cheaper_above=above,
                    requests_per_month=where,
                    text=(
                        f"{labels[below]} is cheaper below {wording.count(where)} requests per "
                        f"month, {labels[above]} above "
                        f"({wording.usd(float(point.per_month))} a month there)"
                    ),
                )
            )
        if not points and options[a] != options[b]:
            always = cheaper(curves[a], curves[b], exact(1.0))
            other = b if always == a else a
            if always is not None:
                answer.append(
                    BreakEven(
                        cheaper_below=always,
                        cheaper_above=other,
                        requests_per_month=None,
                        text=f"{labels[always]} is cheaper than {labels[other]} at any traffic "
                        "that both hold",
                    )
                )
    return tuple(answer)


def _indistinguishable(
    cells: Sequence[CellSummary], recommendation: Recommendation
) -> tuple[str, ...]:
    timed = [
        (cell, p99)
        for cell in cells
        if cell.state == "measured"
        and cell.latency is not None
        and (p99 := cell.latency.percentiles["p99"]) is not None
    ]
    pairs = [
        (first, second)
        for first, second in itertools.combinations(timed, 2)
        if not verdict.apart(first[1], second[1])
    ]
    if len(pairs) > _PAIRS_MOST:
        pairs = [pair for pair in pairs if recommendation.cell in (pair[0][0].id, pair[1][0].id)][
            :_PAIRS_MOST
        ]
    return tuple(
        f"The p99 of {a.label} and of {b.label} cannot be told apart "
        f"({wording.ms(p.value)} and {wording.ms(q.value)})"
        for (a, p), (b, q) in pairs
    )
