"""The files that a report consists of."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarking import export, markdown
from benchmarking.cli import main
from benchmarking.histogram import Histogram
from benchmarking.records import Sample
from benchmarking.report import write_report
from benchmarking.report_page import render
from benchmarking.summary import Analysis, analyze, summarize
from benchmarking.thresholds import evaluate
from tests.unit.benchmarking.simulated_run import (
    cold_run,
    compare_run,
    concurrency_run,
    run_of,
    write,
)


@pytest.fixture(scope="module")
def compared() -> Analysis:
    return analyze(*compare_run(duration_s=60.0))


@pytest.fixture(scope="module")
def page(compared: Analysis) -> str:
    return render(compared)


def test_a_report_is_all_that_the_issue_of_a_run_needs(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", *compare_run(duration_s=10.0))

    summary = write_report(folder)

    written = {path.name for path in folder.iterdir()}
    assert written == {
        "run.json",
        "samples.jsonl",
        "summary.json",
        "report.html",
        "report.md",
        "cells.csv",
        "samples.csv",
        "histograms.json",
    }
    page = (folder / "report.html").read_text()
    links = set(re.findall(r'href="([^"#]+)"', page))
    assert links == written - {"report.html"}
    assert summary.recommendation.sentence in page.replace("&#39;", "'")


def test_a_page_asks_for_nothing_else(page: str) -> None:
    addresses = re.findall(r"(?:src|href|url|@import)\s*[=(:]\s*[\"']?([^\"')\s>]+)", page)

    assert [each for each in addresses if "//" in each] == []
    assert "http" not in re.sub(r"https?://docs\S+", "", page.split("<main", maxsplit=1)[0])


def test_names_are_shown_as_text_and_never_as_markup() -> None:
    run, samples = compare_run(duration_s=10.0)
    evil = "<script>alert(1)</script>"
    cell = dataclasses.replace(run.cells[0], error=evil, id=evil)
    own = [
        dataclasses.replace(sample, cell=evil, error=evil)
        for sample in samples
        if sample.cell == run.cells[0].id
    ]
    bad = run_of([cell], model_name=evil, notes=(evil,), environment={evil: evil})

    text = render(analyze(bad, own))

    assert evil not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_every_chart_has_words_for_those_who_do_not_see_it(page: str) -> None:
    charts = re.findall(r"<svg class=\"chart.*?</svg>", page, re.DOTALL)

    assert len(charts) > 10
    assert all(re.search(r"<desc id=[^>]+>[^<]{10,}</desc>", chart) for chart in charts)


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)

    assert len(ids) == len(set(ids))


def test_the_numbers_of_an_invalid_cell_are_not_reported(page: str) -> None:
    row = page.split('<tr class=" invalid">')[1].split("</tr>", maxsplit=1)[0]

    assert "numbers are not reported" in row
    assert "<b>" not in row


@pytest.mark.parametrize("make", [concurrency_run, cold_run])
def test_runs_of_other_kinds_have_a_page(make: type, request: pytest.FixtureRequest) -> None:
    run, samples = make()

    text = render(analyze(run, samples))

    assert ("heat-title" in text) == (run.verb == "concurrency")
    assert ("cold-title" in text) == (run.verb == "cold")


def test_a_run_that_never_started_has_a_page() -> None:
    run, _ = compare_run(duration_s=5.0)
    cells = [
        dataclasses.replace(cell, started_at=None, finished_at=None, client=None)
        for cell in run.cells
    ]

    text = render(analyze(dataclasses.replace(run, state="failed", cells=tuple(cells)), ()))

    assert "Nothing can be recommended" in text


def test_a_long_run_has_a_small_page() -> None:
    run, samples = compare_run(duration_s=20.0)
    (cell,) = (cell for cell in run.cells if cell.id == "serverless-2048")
    own = [sample for sample in samples if sample.cell == cell.id]
    repeats = 200_000 // len(own)

    def many() -> Iterator[Sample]:
        for repeat in range(repeats):
            for sample in own:
                shift = repeat * 25.0
                assert sample.intended_s is not None
                yield dataclasses.replace(
                    sample,
                    intended_s=sample.intended_s + shift,
                    sent_s=sample.sent_s + shift,
                    done_s=sample.done_s + shift,
                )

    text = render(analyze(dataclasses.replace(run, cells=(cell,)), many()))

    assert len(text) < 400_000
    assert "requests in 260 columns" in text


def test_markdown_has_a_line_for_each_cell(compared: Analysis) -> None:
    text = markdown.render(compared.summary)

    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(compared.summary.cells)
    assert len({line.count("|") for line in table}) == 1
    assert compared.summary.recommendation.sentence in text


def test_tables_hold_every_cell_and_every_request(tmp_path: Path) -> None:
    run, samples = compare_run(duration_s=10.0)
    export.write_cells(tmp_path / "cells.csv", summarize(run, samples))

    count = export.write_samples(tmp_path / "samples.csv", samples)

    with (tmp_path / "cells.csv").open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    with (tmp_path / "samples.csv").open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert [row["cell"] for row in cells] == [cell.id for cell in run.cells]
    assert count == len(written) == len(samples)
    assert float(written[0]["latency_ms"]) == pytest.approx(samples[0].latency_s * 1e3, abs=1e-3)


def test_a_report_writes_test_results_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "run", *compare_run(duration_s=10.0))
    results = tmp_path / "ci" / "results.xml"
    command = ["report", str(folder), "--junit", str(results)]

    assert main([*command, "--fail-if", "recommended:throttle_share>=0%"]) == 3
    (suite,) = ET.parse(results).iter("testsuite")  # noqa: S314 - our own
    assert suite.get("failures") == "1"
    assert main(command) == 1
    assert "--junit writes what --fail-if finds" in capsys.readouterr().err


def test_histograms_hold_the_latencies_of_every_answered_request(compared: Analysis) -> None:
    document = json.loads(export.histograms(compared))

    cell = compared.summary.cell("serverless-2048")
    histogram = Histogram.decode(document[cell.id]["latency"])
    assert len(histogram) == cell.outcomes["ok"]
    assert cell.latency is not None
    median = cell.latency.percentiles["p50"]
    assert median is not None
    assert histogram.percentile_s(50) * 1e3 == pytest.approx(median.value, rel=0.002)


def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "run", *compare_run(duration_s=10.0))
    (tmp_path / "file").write_text("")

    assert main(["report", str(folder), "--json", str(tmp_path / "file" / "summary.json")]) == 1

    assert capsys.readouterr().err.startswith("python -m benchmarking: [Errno ")


def test_a_summary_elsewhere_leaves_the_runs_own_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", *compare_run(duration_s=10.0))

    assert main(["report", str(folder), "--json", str(folder / "other.json")]) == 0

    assert (folder / "other.json").read_text() == (folder / "summary.json").read_text()


def test_thresholds_become_test_results(compared: Analysis) -> None:
    findings = evaluate("serverless-1024:p99>200ms or recommended:p99>200ms", compared.summary)

    suite = ET.fromstring(export.junit(findings, suite="benchmark"))  # noqa: S314 - our own

    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("classname") for case in suite] == ["serverless-1024", "serverless-2048"]
