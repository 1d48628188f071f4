"""What holds for the summary and the report of any run."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import jsonschema  # type: ignore[import-untyped]  # cfn-lint brings it
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarking.comparison import compare
from benchmarking.findings import CellSummary
from benchmarking.markdown import render as as_markdown
from benchmarking.records import Cell, Objective, Option, Outcome, Run, Sample, Traffic, Verb
from benchmarking.report_page import render
from benchmarking.summary import analyze, shipped_schema
from benchmarking.thresholds import METRICS, evaluate
from tests.unit.benchmarking.simulated_run import BUSY, HEALTHY, cell_of, run_of

_VALIDATOR = jsonschema.Draft202012Validator(shipped_schema())
_TIMES = st.floats(0, 100, allow_nan=False)


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    option = draw(st.sampled_from(get_args(Option)))
    serverless = option.startswith("serverless")
    drawn = cell_of(
        draw(st.sampled_from("abc")),
        option=option,
        memory_size_mb=draw(st.sampled_from((1024, 2048))) if serverless else None,
        max_concurrency=draw(st.integers(1, 4)) if serverless else None,
        provisioned_concurrency=1 if option == "serverless-provisioned" else None,
        instance_type=None if serverless else draw(st.sampled_from(("ml.m5.large", "ml.x1.tiny"))),
        client=draw(st.sampled_from((HEALTHY, BUSY, None))),
        error=draw(st.sampled_from((None, None, "the endpoint is Failed"))),
        infeasible=draw(st.sampled_from((None, None, "needs a GPU"))),
        gap_s=draw(st.sampled_from((None, 60.0))),
    )
    return draw(st.sampled_from((drawn, dataclasses.replace(drawn, load=None, started_at=None))))


@st.composite
def runs(draw: st.DrawFn) -> tuple[Run, list[Sample]]:
    chosen = draw(st.lists(cells(), max_size=3, unique_by=lambda cell: cell.id))
    samples = []
    for cell in chosen:
        if cell.infeasible is not None:
            continue
        for number in range(draw(st.sampled_from((0, 1, 2, 30)))):
            sent_s, taken_s = draw(_TIMES), draw(_TIMES)
            outcome = draw(st.sampled_from(get_args(Outcome)))
            samples.append(
                Sample(
                    cell=cell.id,
                    number=number,
                    phase=draw(st.sampled_from(("measure", "warm-up"))),
                    payload=0,
                    intended_s=draw(st.sampled_from((None, sent_s / 2))),
                    sent_s=sent_s,
                    first_byte_s=None,
                    done_s=sent_s + taken_s,
                    status=None,
                    outcome=outcome,
                    error=None if outcome == "ok" else outcome,
                    request_bytes=1,
                    response_bytes=1,
                    cold=draw(st.sampled_from((None, True, False))),
                )
            )
    objective = draw(
        st.sampled_from(
            (
                Objective(),
                Objective(latency_p99_ms=5_000),
                Objective(latency_p99_ms=5_000, throttle_share=0.1),
                Objective(throttle_share=0.0),
            )
        )
    )
    run = run_of(
        chosen,
        verb=draw(st.sampled_from(get_args(Verb))),
        state=draw(st.sampled_from(("complete", "interrupted"))),
        objective=objective,
        traffic=draw(st.sampled_from((None, Traffic(requests_per_month=1e6, peak_to_mean=4)))),
    )
    return run, samples


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(runs())
def test_any_run_has_a_summary_and_a_report(given_run: tuple[Run, list[Sample]]) -> None:
    run, samples = given_run

    analysis = analyze(run, samples)

    summary = analysis.summary
    _VALIDATOR.validate(json.loads(json.dumps(dataclasses.asdict(summary))))
    assert run.state in render(analysis) or run.state == "complete"
    assert as_markdown(summary)
    assert not compare(summary, summary).cells or all(
        each.change == "no difference shown"
        for cell in compare(summary, summary).cells
        for each in cell.differences
    )
    for cell in summary.cells:
        assert sum(cell.outcomes.values()) == cell.requests
        _bounds_hold(cell)
    best = summary.recommendation.cell
    assert best is None or summary.cell(best).state == "measured"
    for metric, kind in METRICS.items():
        evaluate(f"{metric}>1{'s' if kind == 'time' else ''}", summary)


def _bounds_hold(cell: CellSummary) -> None:
    for bounds in (cell.throttle_share, cell.error_share, cell.miss_share, cell.cold_share):
        assert bounds is None or 0 <= bounds.low <= bounds.value <= bounds.high <= 1
    for times in (cell.latency, cell.service_time):
        if times is None:
            continue
        for measure in times.percentiles.values():
            assert measure is None or measure.low <= measure.value <= measure.high
