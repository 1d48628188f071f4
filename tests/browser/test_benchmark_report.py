"""Benchmark reports in a browser: alone from a file, readable at both widths and colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from benchmarking import comparison
from benchmarking.records import Run, Sample
from benchmarking.report import write_report
from tests.browser.visitor import PATIENCE_MS
from tests.unit.benchmarking.simulated_run import cold_run, compare_run, concurrency_run, write

Open = Callable[..., Page]

_AXE = """async () => (await axe.run(document, {
  resultTypes: ["violations"],
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations"""
_WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of simulated runs, by the verb's name, one interrupted, and a comparison."""
    folder = tmp_path_factory.mktemp("reports")
    runs: dict[str, tuple[Run, list[Sample]]] = {
        "compare": compare_run(duration_s=60.0),
        "concurrency": concurrency_run(),
        "cold": cold_run(),
    }
    run, samples = runs["compare"]
    runs["interrupted"] = (dataclasses.replace(run, state="interrupted"), samples)
    for name, (one, own) in runs.items():
        write_report(write(folder / name, one, own))
    slower = [dataclasses.replace(each, done_s=each.done_s + 0.02) for each in samples]
    write(folder / "slower", dataclasses.replace(run, run_id="slower"), slower)
    (folder / "comparison").mkdir()
    with (folder / "comparison" / "text").open("w") as out:
        comparison.main(
            folder / "compare",
            folder / "slower",
            out=out,
            html_file=folder / "comparison" / "report.html",
        )
    return folder


@pytest.fixture
def open_report(browser: Browser, reports: Path) -> Iterator[Open]:
    """Open a report's file; at the end, no page asked for anything else, and none complained."""
    contexts = []
    complaints: list[str] = []

    def open_page(name: str, *, width: int = 1440, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        address = (reports / name / "report.html").as_uri()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: complaints.append(request.url) if request.url != address else None,
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("name", ["compare", "concurrency", "cold", "interrupted", "comparison"])
def test_a_report_has_no_fault_that_axe_finds(open_report: Open, axe: str, name: str) -> None:
    found: list[str] = []
    for width, scheme in ((1440, "light"), (390, "dark")):
        page = open_report(name, width=width, scheme=scheme)
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        page.evaluate(axe)
        violations: list[dict[str, Any]] = page.evaluate(_AXE)
        found += [
            f"{scheme} at {width}: {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in violations
        ]

    assert found == []


@pytest.mark.parametrize("name", ["compare", "concurrency", "cold", "comparison"])
@pytest.mark.parametrize("width", [390, 800, 1440])
def test_nothing_is_wider_than_the_window(open_report: Open, name: str, width: int) -> None:
    page = open_report(name, width=width)

    assert page.evaluate(_WIDER) is False


def test_the_recommendation_is_seen_without_scrolling(open_report: Open) -> None:
    for width in (390, 1440):
        page = open_report("compare", width=width)
        box = page.locator(".sentence").bounding_box()

        assert box is not None
        assert box["y"] + box["height"] < 900


def test_an_interrupted_run_says_so_before_anything_else(open_report: Open) -> None:
    page = open_report("interrupted")

    assert page.title().startswith("PARTIAL")
    assert page.locator("main > section").first.inner_text().count("PARTIAL") == 1


def test_each_width_shows_the_chart_that_was_drawn_for_it(open_report: Open) -> None:
    for width, shown, hidden in ((390, "narrow", "wide"), (1440, "wide", "narrow")):
        page = open_report("compare", width=width)

        assert page.locator(f"#spectrum svg.{shown}").is_visible()
        assert not page.locator(f"#spectrum svg.{hidden}").is_visible()


def test_pointing_at_a_name_leaves_its_line_alone(open_report: Open) -> None:
    page = open_report("compare")

    page.locator("#spectrum .legend li").first.hover()

    faded = page.locator("#spectrum svg.wide path.line.faded").count()
    lines = page.locator("#spectrum svg.wide path.line").count()
    assert 0 < faded < lines


@pytest.mark.parametrize("name", ["compare", "concurrency", "comparison"])
def test_a_printed_report_fits_its_sheet(open_report: Open, name: str) -> None:
    page = open_report(name, width=720)
    page.emulate_media(media="print")

    assert page.evaluate(_WIDER) is False
