"""docs/rules.md says what the rules are."""

from __future__ import annotations

from constructs_lib.rules.rule import catalogue
from tools.generate_rule_docs import MARKER, PAGE, current, page


def test_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == current(), "run python -m tools.generate_rule_docs"


def test_page_keeps_what_people_wrote() -> None:
    assert page("# Ours\n").endswith(f"{MARKER}\n# Ours\n")


def test_page_has_a_section_for_every_rule() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [rule for rule in catalogue() if f"\n## {rule}\n" not in text] == []
