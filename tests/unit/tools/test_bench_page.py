"""docs/benchmarks.md: each benchmark writes its own section."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.bench import page


def test_a_section_is_replaced_where_it_stands_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text("# Benchmarks\n\n## One\n\nold\n\n### Part\n\nold\n\n## Two\n\nkept\n")
    monkeypatch.setattr(page, "PAGE", path)

    page.put_section("One", "new")
    page.put_section("Three", "added")

    assert path.read_text() == (
        "# Benchmarks\n\n## One\n\nnew\n\n## Two\n\nkept\n\n## Three\n\nadded\n"
    )


def test_a_figure_is_its_median_with_the_least_and_the_most() -> None:
    assert page.spread([3.0, 1.0, 2000.0], 0) == "3 (1 to 2,000)"
