"""What a summary concludes from a run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # cfn-lint brings it
import pytest

from benchmarking.findings import CellSummary, Summary
from benchmarking.records import Cell, Load, Objective, RecordError, Run, Sample, Traffic
from benchmarking.summary import (
    analyze_folder,
    json_schema,
    read_summary,
    shipped_schema,
    summarize,
    write_summary,
)
from benchmarking.terminal import summary_table
from benchmarking.verdict import p99_of
from tests.unit.benchmarking.simulated_run import (
    BUSY,
    Truth,
    cell_of,
    cold_run,
    compare_run,
    concurrency_run,
    run_of,
    simulate,
    write,
)


@pytest.fixture(scope="module")
def compared() -> Summary:
    return summarize(*compare_run())


def one(truth: Truth, *, objective: Objective | None = None, seconds: float = 120.0) -> CellSummary:
    load = Load(arrival="poisson", rate_per_s=20.0, clients=None, duration_s=seconds)
    cell = cell_of("only", memory_size_mb=2048, max_concurrency=truth.slots, load=load)
    limits = Objective(latency_p99_ms=200.0) if objective is None else objective
    return summarize(run_of([cell], objective=limits), simulate(cell, truth, seed=3)).cells[0]


def test_the_cheapest_cell_that_meets_the_objective_wins(compared: Summary) -> None:
    assert compared.recommendation.cell == "serverless-2048"
    assert compared.recommendation.sentence.startswith("Use Serverless 2048 MB")
    assert "$6.49 a month" in compared.recommendation.sentence


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("serverless-1024", "too slow: p99 2"),
        ("serverless-2048-c2", "throttles: 3"),
        ("serverless-4096", "too dear: $8.36 a month"),
        ("provisioned-2048", "too dear: $108.93 a month"),
        ("async-m5-large", "INVALID, the client was the bottleneck: sends were late"),
        ("multi-model-m5-large", "not possible: the model's image does not serve several models"),
    ],
)
def test_every_loser_has_its_reason(compared: Summary, cell: str, reason: str) -> None:
    assert compared.cell(cell).verdict.startswith(reason)


def test_the_bounds_hold_the_truth(compared: Summary) -> None:
    # The network's time is uniform around 6.6 ms, the service's median is 79 ms.
    latency = compared.cell("serverless-2048").latency
    assert latency is not None
    median = latency.percentiles["p50"]
    assert median is not None
    assert median.low < 79 + 6.6 < median.high


def test_a_cell_that_is_slower_and_dearer_is_not_on_the_front(compared: Summary) -> None:
    front = {cell.id for cell in compared.cells if cell.pareto}

    assert front == set(compared.pareto)
    assert "serverless-2048" in front
    assert "provisioned-2048" not in front


def test_cells_whose_p99_cannot_be_told_apart_are_named(compared: Summary) -> None:
    text = "\n".join(compared.indistinguishable)

    assert "Serverless 5120 MB, concurrency 12 and of Serverless 6144 MB" in text
    assert "Serverless 1024 MB" not in text


def test_a_break_even_says_which_is_cheaper_below_and_above(compared: Summary) -> None:
    found = next(
        each
        for each in compared.break_evens
        if {each.cheaper_below, each.cheaper_above} == {"serverless-2048", "real-time-m5-large"}
    )

    assert found.cheaper_below == "serverless-2048"
    assert found.requests_per_month == pytest.approx(26.1e6, rel=0.02)


def test_an_invalid_cell_is_never_recommended_and_heads_the_warnings() -> None:
    run, samples = compare_run(duration_s=60.0)
    cells = [
        dataclasses.replace(cell, client=BUSY) if cell.id == "serverless-2048" else cell
        for cell in run.cells
    ]

    summary = summarize(dataclasses.replace(run, cells=tuple(cells)), samples)

    assert summary.recommendation.cell != "serverless-2048"
    assert summary.cell("serverless-2048").state == "invalid"
    assert summary.warnings[0].startswith("INVALID: Serverless 2048 MB")
    lines = summary_table(summary).splitlines()
    (line,) = [line for line in lines if line.startswith("serverless-2048 ")]
    assert line.split() == [
        "serverless-2048",
        f"{summary.cell('serverless-2048').requests:,}",
        "INVALID",
    ]


def test_of_a_containers_log_the_report_shows_the_first_and_the_last_line() -> None:
    cell = cell_of(
        "broken", error="the endpoint is Failed: exit code 1\nTraceback:\n  File\nKeyError: 7\n"
    )

    (summary,) = summarize(run_of([cell]), []).cells

    assert summary.reasons == ("the endpoint is Failed: exit code 1 … KeyError: 7",)


def test_a_partial_run_says_how_much_of_it_there_is() -> None:
    run, samples = compare_run(duration_s=30.0)
    unmeasured = dataclasses.replace(run.cells[0], started_at=None, finished_at=None)
    cells = (unmeasured, *run.cells[1:])
    rest = [sample for sample in samples if sample.cell != unmeasured.id]

    summary = summarize(dataclasses.replace(run, state="interrupted", cells=cells), rest)

    assert summary.warnings[0] == (
        "PARTIAL: the run is interrupted; 8 of 10 cells were measured whole"
    )
    assert summary.cells[0].state == "not-run"


def test_a_cell_that_ended_early_keeps_its_numbers_and_does_not_compete() -> None:
    run, samples = compare_run(duration_s=30.0)
    died = dataclasses.replace(run.cells[1], error="the endpoint is Failed")

    summary = summarize(
        dataclasses.replace(run, cells=(run.cells[0], died, *run.cells[2:])), samples
    )

    assert summary.cell(died.id).state == "failed"
    assert summary.cell(died.id).latency is not None
    assert summary.recommendation.cell != died.id


def test_a_cell_that_was_cut_short_does_not_compete() -> None:
    run, samples = compare_run(duration_s=30.0)
    cut = dataclasses.replace(run.cells[1], finished_at=None, client=None)
    cells = (run.cells[0], cut, *run.cells[2:])

    summary = summarize(dataclasses.replace(run, state="interrupted", cells=cells), samples)

    assert summary.cell(cut.id).verdict == "failed: cut short: the run is interrupted"
    assert summary.recommendation.cell != cut.id


def test_many_invalid_cells_make_one_warning() -> None:
    run, samples = compare_run(duration_s=20.0)
    cells = tuple(
        dataclasses.replace(cell, client=BUSY if cell.infeasible is None else None)
        for cell in run.cells
    )

    summary = summarize(dataclasses.replace(run, cells=cells), samples)

    assert summary.warnings[0].startswith("INVALID: the client was the bottleneck in 10 of 10")
    assert summary.recommendation.sentence.startswith(
        "Nothing can be recommended: in 10 cells the client was the bottleneck"
    )


def test_a_percentile_that_the_sample_cannot_support_is_not_given() -> None:
    cell = one(Truth(service_ms=50), seconds=10)
    assert cell.latency is not None

    assert cell.latency.percentiles["p50"] is not None
    assert cell.latency.percentiles["p99"] is None
    assert cell.latency.needed == {"p99": 368}
    assert cell.judgement == "not-shown"
    assert cell.verdict.startswith(f"not enough samples ({cell.requests})")


def test_equal_latencies_have_a_percentile_whatever_floats_add_to_them() -> None:
    cell = cell_of("even", memory_size_mb=2048, max_concurrency=8)

    def even(sample: Sample) -> Sample:
        at_s = sample.number / 30
        return dataclasses.replace(sample, intended_s=at_s, sent_s=at_s, done_s=at_s + 0.1)

    samples = [even(each) for each in simulate(cell, Truth(service_ms=40.0), seed=1)]
    (summary,) = summarize(run_of([cell]), samples).cells

    assert summary.latency is not None
    p99 = summary.latency.percentiles["p99"]
    assert p99 is not None
    assert (p99.low, p99.value, p99.high) == (100.0, 100.0, 100.0)


def test_failures_count_against_the_percentile_that_answers_alone_would_meet() -> None:
    cell = one(Truth(service_ms=50, slots=50, error_share=0.05))

    assert (p99 := p99_of(cell)) is not None
    assert p99.high < 200
    assert cell.judgement == "misses"
    assert cell.verdict.startswith("fails: ")
    assert "model-error" in cell.verdict


def test_throttles_count_as_misses_when_the_objective_does_not_speak_of_them() -> None:
    truth = Truth(service_ms=79, slots=2)

    silent = one(truth, objective=Objective(latency_p99_ms=200.0))
    allowing = one(truth, objective=Objective(latency_p99_ms=200.0, throttle_share=0.5))

    assert silent.judgement == "misses"
    assert silent.verdict.startswith("throttles: ")
    assert allowing.judgement == "meets"


def test_no_throttle_allowed_is_met_when_none_is_seen() -> None:
    cell = one(
        Truth(service_ms=50, slots=50),
        objective=Objective(latency_p99_ms=200.0, throttle_share=0.0),
    )

    assert cell.judgement == "meets"


def test_traffic_that_does_not_fit_loses() -> None:
    run, samples = compare_run(duration_s=60.0)

    summary = summarize(
        dataclasses.replace(run, traffic=Traffic(requests_per_month=900e6)), samples
    )

    assert summary.cell("serverless-2048").verdict.startswith("too small: the busiest hour fits")
    assert summary.recommendation.cell != "serverless-2048"


def test_without_an_objective_nothing_is_traded_for_another() -> None:
    run, samples = compare_run(duration_s=30.0)

    summary = summarize(dataclasses.replace(run, objective=Objective()), samples)

    assert summary.recommendation.cell is None
    assert "Serverless 1024 MB, concurrency 12 is the cheapest" in summary.recommendation.sentence
    assert "the fastest at p99" in summary.recommendation.sentence


def test_without_traffic_costs_are_those_at_the_measured_rate() -> None:
    run, samples = compare_run(duration_s=30.0)

    summary = summarize(dataclasses.replace(run, traffic=None), samples)

    instance = summary.cell("real-time-m5-large").cost
    assert instance is not None
    assert instance.per_month is None
    # $0.115 an hour over 20 requests a second, and 2.3 KB of data at $0.016 a GB.
    assert instance.per_million.value == pytest.approx(0.115 / 3600 / 20 * 1e6 + 0.0351, rel=0.01)


def test_an_unknown_price_is_said_and_not_guessed() -> None:
    run, samples = compare_run(duration_s=30.0)

    summary = summarize(dataclasses.replace(run, prices={}), samples)

    assert summary.cell("serverless-2048").cost is None
    assert summary.cell("serverless-2048").cost_missing == "the run recorded no prices"
    assert "no price is known" in summary.recommendation.sentence


def test_the_highest_load_held_counts_only_with_every_lower_one() -> None:
    summary = summarize(*concurrency_run())

    by_configuration = {each.configuration: each for each in summary.held}
    assert by_configuration["Serverless 2048 MB, concurrency 2"].cell is None
    assert by_configuration["Serverless 2048 MB, concurrency 16"].cell == "serverless-2048-c16-80"
    assert summary.recommendation.cell == "serverless-2048-c16-80"


def test_cold_starts_are_counted_for_each_gap_and_burst() -> None:
    summary = summarize(*cold_run())

    single = {point.gap_s: point for point in summary.cold if point.burst == 1}
    assert {point.burst for point in summary.cold} == {1, 4}
    assert single[30.0].probability is not None
    assert single[30.0].probability.value == 0
    assert single[1800.0].probability is not None
    assert single[1800.0].probability.value == 1
    assert "no cold start seen up to a gap of 2 min" in summary.recommendation.sentence


def test_metrics_are_in_units_that_people_read(compared: Summary) -> None:
    metrics = {metric.name: metric for metric in compared.cell("serverless-2048").metrics}

    assert metrics["ModelLatency"].unit == "ms"
    assert metrics["ModelLatency"].average == pytest.approx(79 * 1.016)
    assert metrics["MemoryUtilization"].unit == "%"


def test_goodput_leaves_out_what_came_too_late(compared: Summary) -> None:
    slow = compared.cell("serverless-1024")
    assert slow.goodput_per_s is not None
    assert slow.achieved_per_s is not None

    assert slow.goodput_per_s < slow.achieved_per_s


def test_the_order_of_the_file_does_not_matter() -> None:
    run, samples = compare_run(duration_s=30.0)

    assert summarize(run, samples) == summarize(run, list(reversed(samples)))


def test_a_sample_of_a_cell_that_the_run_does_not_have_is_refused() -> None:
    run, samples = compare_run(duration_s=5.0)

    with pytest.raises(RecordError, match="must be one of the run's"):
        summarize(dataclasses.replace(run, cells=run.cells[1:]), samples)


def test_a_run_without_samples_recommends_nothing(tmp_path: Path) -> None:
    run = run_of([Cell(id="a", option="serverless", memory_size_mb=1024)], state="failed")
    folder = write(tmp_path / "run", run, [])
    (folder / "samples.jsonl").unlink()

    summary = analyze_folder(folder).summary

    assert summary.recommendation.sentence == (
        "Nothing can be recommended: no cell was measured whole."
    )


def test_a_summary_is_read_as_it_was_written(tmp_path: Path, compared: Summary) -> None:
    write_summary(tmp_path, compared)

    assert read_summary(tmp_path / "summary.json") == compared


def test_a_summary_follows_the_shipped_schema(tmp_path: Path, compared: Summary) -> None:
    write_summary(tmp_path, compared)

    jsonschema.validate(json.loads((tmp_path / "summary.json").read_text()), shipped_schema())


def test_the_shipped_schema_is_fresh() -> None:
    assert shipped_schema() == json_schema(), "run python -m tools.generate_summary_schema"


def test_a_file_that_is_no_summary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{"schema": 1}')

    with pytest.raises(RecordError, match="is not a summary"):
        read_summary(path)


def test_hours_of_instances_are_priced_by_the_load_they_were_shown_to_hold() -> None:
    cells: list[Cell] = []
    samples: list[Sample] = []
    for rate in (10.0, 20.0, 200.0):
        load = Load(arrival="poisson", rate_per_s=rate, clients=None, duration_s=60.0)
        cell = cell_of(
            f"real-time-{rate:g}",
            option="real-time",
            instance_type="ml.m5.large",
            min_instances=1,
            max_instances=4,
            load=load,
        )
        cells.append(cell)
        samples += simulate(cell, Truth(service_ms=33, slots=2, waits=True), seed=7)
    run: Run = run_of(cells, verb="concurrency", traffic=Traffic(requests_per_month=150e6))

    summary = summarize(run, samples)

    cost = summary.cell("real-time-20").cost
    assert cost is not None
    # 57 requests a second need three instances of some 20 each.
    assert cost.parts["instances"] == pytest.approx(3 * 730 * 0.115)
