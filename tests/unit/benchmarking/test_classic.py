"""The old toolkit's layout, written and read."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from benchmarking.classic import write_layout
from benchmarking.classic_import import import_results
from benchmarking.records import Cell, RecordError, read_run, read_samples
from benchmarking.report import write_report
from benchmarking.summary import analyze_folder
from tests.unit.benchmarking.simulated_run import (
    BUSY,
    compare_run,
    concurrency_run,
    run_of,
    write,
)

STABILITY = """\
invocation_latency,response_size,throttle_exception,insufficient_memory_error,other_model_error,\
start_time,end_time,invoke_arg_index,memory_size
162.37,14.0,0,0,0,8600.1,8600.26237,0.0,1024
-1.0,,1,0,0,8600.9,8600.91,,1024
44.5,0.0,0,0,0,8601.5,8601.5445,1.0,1024
-1.0,0.0,0,1,0,8602.0,8602.2,1.0,1024
41.3,14.0,0,0,0,8601.9,8601.9413,2.0,2048
"""
METRICS = """\
Timestamp,Average,Minimum,Maximum,Unit,p25,p50,p75,metric_name,memory_size
2023-10-09,36789.5,30000.0,124000.0,Microseconds,30000.0,31000.0,34000.0,ModelLatency,1024
,,,,,,,,ModelSetupTime,1024
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    raw = tmp_path / "old" / "stability_benchmark_raw_results"
    raw.mkdir(parents=True)
    (raw / "invocation_benchmark_results.csv").write_text(STABILITY)
    (raw / "endpoint_metrics.csv").write_text(METRICS)
    return tmp_path / "old"


def test_stability_has_the_old_folders_and_columns(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", *compare_run(duration_s=20.0))
    write_report(folder)

    written = {str(path.relative_to(folder)) for path in write_layout(folder)}

    assert written == {
        "stability_benchmark_raw_results/invocation_benchmark_results.csv",
        "stability_benchmark_raw_results/endpoint_metrics.csv",
        "stability_benchmark_summary_results/invocation_benchmark_summary.csv",
        "stability_benchmark_summary_results/endpoint_metrics_summary.csv",
        "cost_analysis_summary_results/metrics_with_cost.csv",
        "cost_analysis_summary_results/cost_savings_summary.csv",
        "benchmarking_report/benchmarking_report.html",
    }
    raw = rows(folder / "stability_benchmark_raw_results" / "invocation_benchmark_results.csv")
    assert list(raw[0])[:9] == STABILITY.splitlines()[0].split(",")


def test_what_measured_the_client_is_in_the_raw_results_alone(tmp_path: Path) -> None:
    run, samples = compare_run(duration_s=20.0)
    first = dataclasses.replace(run.cells[0], client=BUSY)
    spoiled = dataclasses.replace(run, cells=(first, *run.cells[1:]))
    folder = write(tmp_path / "run", spoiled, samples)

    write_layout(folder)

    raw = rows(folder / "stability_benchmark_raw_results" / "invocation_benchmark_results.csv")
    assert str(first.memory_size_mb) in {row["memory_size"] for row in raw}
    for name in (
        "stability_benchmark_summary_results/invocation_benchmark_summary.csv",
        "stability_benchmark_summary_results/endpoint_metrics_summary.csv",
        "cost_analysis_summary_results/metrics_with_cost.csv",
    ):
        assert str(first.memory_size_mb) not in {row["memory_size"] for row in rows(folder / name)}


def test_the_mended_columns_say_what_the_old_ones_did_not(tmp_path: Path) -> None:
    run, samples = compare_run(duration_s=20.0)
    folder = write(tmp_path / "run", run, samples)

    write_layout(folder)

    costs = rows(folder / "cost_analysis_summary_results" / "metrics_with_cost.csv")
    assert [row["memory_size"] for row in costs][:3] == ["1024", "2048", "3072"]
    raw = rows(folder / "stability_benchmark_raw_results" / "invocation_benchmark_results.csv")
    assert 0 <= float(raw[0]["start_time"]) - 1_795_167_000 < 30  # seconds since 1970
    summary = rows(
        folder / "stability_benchmark_summary_results" / "invocation_benchmark_summary.csv"
    )
    slowest = max(
        sample.latency_s * 1e3
        for sample in samples
        if (sample.cell, sample.outcome, sample.phase) == ("serverless-1024", "ok", "measure")
    )
    assert float(summary[0]["invocation_latency_max"]) == pytest.approx(slowest)


def test_concurrency_counts_idle_seconds_and_keeps_fractions(tmp_path: Path) -> None:
    run, samples = concurrency_run()
    folder = write(tmp_path / "run", run, samples)

    write_layout(folder)

    table = rows(
        folder / "concurrency_benchmark_summary_results" / "concurrency_benchmark_summary.csv"
    )
    first = table[0]
    own = [sample for sample in samples if sample.cell == run.cells[0].id]
    throttled = sum(sample.outcome == "throttle" for sample in own)
    assert int(first["throttle_exception"]) == throttled
    assert int(first["num_invocations"]) == len(own)
    # Poisson arrivals leave some seconds of ten a second idle at two slots, but hardly all.
    assert float(first["tps_avg"]) == pytest.approx((len(own) - throttled) / 60, rel=0.05)
    assert "." in first["tps_avg"]


def test_a_run_without_serverless_cells_has_no_classic_layout(tmp_path: Path) -> None:
    cell = Cell(id="a", option="real-time", instance_type="ml.m5.large")
    folder = write(tmp_path / "run", run_of([cell]), [])

    with pytest.raises(RecordError, match="needs a serverless cell with samples"):
        write_layout(folder)


def test_old_results_become_a_run(old: Path, tmp_path: Path) -> None:
    import_results(old, tmp_path / "new")

    run = read_run(tmp_path / "new")
    samples = list(read_samples(tmp_path / "new"))
    assert [cell.id for cell in run.cells] == ["stability-1024mb", "stability-2048mb"]
    assert [sample.outcome for sample in samples] == [
        "ok",
        "throttle",
        "other",
        "out-of-memory",
        "ok",
    ]
    assert samples[0].latency_s == pytest.approx(0.16237)
    assert samples[1].sent_s == pytest.approx(0.8)
    assert samples[0].cold is None
    assert run.cells[0].metrics[0].average == 36789.5
    assert len(run.cells[0].metrics) == 1


def test_an_empty_answer_is_no_success(old: Path, tmp_path: Path) -> None:
    import_results(old, tmp_path / "new")

    sample = list(read_samples(tmp_path / "new"))[2]
    assert sample.outcome == "other"
    assert sample.error is not None
    assert "empty answer" in sample.error


def test_what_old_results_do_not_hold_is_noted(old: Path, tmp_path: Path) -> None:
    import_results(old, tmp_path / "new")

    summary = analyze_folder(tmp_path / "new").summary
    assert any("whether its client kept up" in note for note in summary.notes)
    assert summary.cells[0].reasons == ("whether the client kept up was not recorded",)
    assert summary.cells[0].cold_share is None


def test_an_imported_run_has_a_report(old: Path, tmp_path: Path) -> None:
    import_results(old, tmp_path / "new")

    write_report(tmp_path / "new")

    assert "Serverless 1024 MB" in (tmp_path / "new" / "report.html").read_text()


def test_a_broken_line_is_named(old: Path, tmp_path: Path) -> None:
    path = old / "stability_benchmark_raw_results" / "invocation_benchmark_results.csv"
    path.write_text(STABILITY.replace("8601.5,", "soon,"))

    with pytest.raises(RecordError, match=r"start_time of .*line 4 must be a number, got 'soon'"):
        import_results(old, tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="must hold results such as"):
        import_results(tmp_path, tmp_path / "new")


def test_an_import_never_overwrites_a_run(old: Path, tmp_path: Path) -> None:
    import_results(old, tmp_path / "new")

    with pytest.raises(RecordError, match="must not hold a run already"):
        import_results(old, tmp_path / "new")
