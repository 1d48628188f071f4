"""The console's files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_runtime.console import asset_files

ROOT = Path(__file__).parents[3]
UPLOT = asset_files.FOLDER / "vendor" / "uplot-1.6.32"
OWN = [
    path
    for path in sorted(asset_files.FOLDER.rglob("*"))
    if path.is_file() and "vendor" not in path.parts
]


@pytest.mark.parametrize("name", ["uPlot.esm.js", "uPlot.min.css", "LICENSE"])
def test_the_charting_library_is_the_one_that_npm_has(name: str) -> None:
    installed = ROOT / "tests" / "browser" / "node_modules" / "uplot"
    if not installed.is_dir():
        pytest.skip("uplot is not installed: npm ci --prefix tests/browser")
    theirs = installed / name if name == "LICENSE" else installed / "dist" / name

    assert (UPLOT / name).read_bytes() == theirs.read_bytes()


def test_the_charting_library_travels_with_its_licence() -> None:
    assert "MIT License" in (UPLOT / "LICENSE").read_text()
    assert "v1.6.32" in (UPLOT / "uPlot.esm.js").read_text()[:400]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_refers_to_nothing_outside_and_writes_no_html(path: Path) -> None:
    text = path.read_text()
    addresses = re.findall(r"https?://[^\s\"'`/]+", text)

    # The name of a drawing's elements, and a test of what a text links to.
    assert set(addresses) <= {"http://www.w3.org"}
    assert re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) is None
    assert re.search(r"<[^>]+\sstyle=|<style|<script>|\son\w+=\"", text) is None


def test_every_module_that_is_imported_is_there() -> None:
    for path in OWN:
        for name in re.findall(r"(?:from|import) \"(\.[^\"]+)\"", path.read_text()):
            assert (path.parent / name).is_file(), f"{path.name} imports {name}"


def test_every_file_is_served_with_its_type() -> None:
    files = asset_files.load()

    assert files["index.html"].media_type == "text/html; charset=utf-8"
    assert files["main.js"].media_type == "text/javascript; charset=utf-8"
    assert {"main.js", "colours.css", "icon.svg"} <= set(files)
