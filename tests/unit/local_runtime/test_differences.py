"""docs/differences.md is complete about what a person can set."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from local_runtime.settings import CHOICES, Choices, Limits

PAGE = Path(__file__).resolve().parents[3] / "docs" / "differences.md"
SETTINGS = {f"limits.{each.name}" for each in dataclasses.fields(Limits)} | {
    f"choices.{each.name}" for each in dataclasses.fields(Choices)
}


def _rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if line.startswith("|") and not line.startswith(("|---", "| what |"))
    ]


def test_every_setting_is_in_the_table() -> None:
    named = {name for row in _rows() for name in re.findall(r"`([a-z]+\.[a-z_]+)`", row[-1])}

    assert sorted(SETTINGS - named) == []


def test_the_table_names_no_setting_that_does_not_exist() -> None:
    named = {
        name for row in _rows() for name in re.findall(r"`((?:limits|choices)\.[a-z_]+)`", row[-1])
    }

    assert sorted(named - SETTINGS) == []


def test_every_row_says_what_it_is_about_what_aws_does_and_what_happens_here() -> None:
    for row in _rows():
        if not row[0].startswith("**"):
            assert len(row) == 4, row
            assert all(row), row


def test_every_choice_has_its_alternatives() -> None:
    assert set(CHOICES) == {each.name for each in dataclasses.fields(Choices)}
    assert all(len(values) > 1 for values in CHOICES.values())
