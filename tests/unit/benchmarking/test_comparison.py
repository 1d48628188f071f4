"""What two runs have in common, and what chance does not explain."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest

from benchmarking import comparison, comparison_report
from benchmarking.comparison import Comparison, compare
from benchmarking.records import Run, Sample
from benchmarking.summary import summarize
from tests.unit.benchmarking.simulated_run import Truth, cell_of, run_of, simulate, write


def one_run(service_ms: float, *, seed: int, slots: int = 30) -> tuple[Run, list[Sample]]:
    cell = cell_of("serverless-2048mb-c30", memory_size_mb=2048, max_concurrency=30)
    return run_of([cell], run_id=f"run-{seed}"), simulate(
        cell, Truth(service_ms=service_ms, slots=slots), seed=seed
    )


def compared(before: tuple[Run, list[Sample]], after: tuple[Run, list[Sample]]) -> Comparison:
    return compare(summarize(*before), summarize(*after))


def test_the_same_endpoint_measured_twice_shows_no_difference() -> None:
    found = compared(one_run(60, seed=1), one_run(60, seed=2))

    assert found.sentence == "No difference shown in 1 cell."
    assert found.regressions == ()


def test_a_slower_endpoint_is_worse_by_what_it_is_slower() -> None:
    found = compared(one_run(60, seed=1), one_run(72, seed=2))

    p99 = next(each for each in found.cells[0].differences if each.metric == "p99")
    assert p99.change == "worse"
    assert p99.relative is not None
    # 6 of 66 ms at the median are the network's, which got no slower.
    assert p99.relative.low < 0.19 < p99.relative.high
    assert "p99 got worse" in " ".join(found.regressions)


def test_throttles_that_appear_are_worse() -> None:
    found = compared(one_run(60, seed=1), one_run(60, seed=2, slots=2))

    changes = {each.metric: each.change for each in found.cells[0].differences}
    assert changes["throttle_share"] == "worse"


def test_a_faster_endpoint_is_better_and_no_regression() -> None:
    found = compared(one_run(72, seed=1), one_run(60, seed=2))

    assert found.sentence.startswith("The second run is better in 1 of 1 cells")
    assert found.regressions == ()


def test_cells_under_other_loads_are_not_compared() -> None:
    run, samples = one_run(60, seed=1)
    cell = run.cells[0]
    assert cell.load is not None
    faster = dataclasses.replace(cell, load=dataclasses.replace(cell.load, rate_per_s=40.0))

    found = compared((run, samples), (dataclasses.replace(run, cells=(faster,)), samples))

    assert found.cells[0].problem is not None
    assert found.cells[0].problem.startswith("the loads differ: 20/s")
    assert found.regressions != ()


def test_a_cell_that_only_one_run_has_is_named() -> None:
    run, samples = one_run(60, seed=1)
    other = cell_of("serverless-4096mb-c30", memory_size_mb=4096, max_concurrency=30)

    found = compared((run, samples), (dataclasses.replace(run, cells=(*run.cells, other)), samples))

    assert found.cells[1].problem == "only the second run has it"


def test_what_is_possible_in_neither_run_is_no_regression() -> None:
    run, samples = one_run(60, seed=1)
    impossible = dataclasses.replace(
        cell_of("multi-model", option="multi-model", instance_type="ml.m5.large"),
        infeasible="the image serves one model",
    )
    both = dataclasses.replace(run, cells=(*run.cells, impossible))

    found = compared((both, samples), (both, samples))

    assert found.cells[1].problem == "possible in neither run"
    assert found.regressions == ()


def test_a_percentile_that_one_sample_cannot_support_is_named() -> None:
    run, samples = one_run(60, seed=1)

    found = compared((run, samples), (run, samples[:100]))

    assert "p99 in the second run" in found.cells[0].missing


def test_what_else_differs_is_said(tmp_path: Path) -> None:
    run, samples = one_run(60, seed=1)
    write(tmp_path / "a", run, samples)
    newer = dataclasses.replace(run, environment={**run.environment, "boto3": "1.50.0"})
    write(tmp_path / "b", dataclasses.replace(newer, state="interrupted"), samples)

    found = comparison.compare_folders(tmp_path / "a", tmp_path / "b")

    assert "boto3: 1.44.5, then 1.50.0" in found.context
    assert "the second run is interrupted" in found.context


@pytest.mark.parametrize("service_ms", [60, 90])
def test_the_gate_closes_on_a_regression_alone(tmp_path: Path, service_ms: float) -> None:
    write(tmp_path / "a", *one_run(60, seed=1))
    write(tmp_path / "b", *one_run(service_ms, seed=2))
    out = io.StringIO()

    stays_open = comparison.main(
        tmp_path / "a",
        tmp_path / "b",
        out=out,
        json_file=tmp_path / "c.json",
        markdown_file=tmp_path / "c.md",
        html_file=tmp_path / "c.html",
        fail_on_regression=True,
    )

    assert stays_open == (service_ms == 60)
    assert "about 0.4 would differ by chance alone" in out.getvalue()
    assert json.loads((tmp_path / "c.json").read_text())["before"] == "run-1"
    assert (tmp_path / "c.md").read_text().startswith("# run-1 against run-2")
    assert "<h1>run-1 → run-2</h1>" in (tmp_path / "c.html").read_text()


def test_the_text_has_a_line_for_each_number() -> None:
    text = comparison_report.text(compared(one_run(60, seed=1), one_run(72, seed=2)))

    assert "  p99 " in text
    assert "  cost per million " in text
    assert "worse" in text
