"""Each rule's own examples: what breaks it, what keeps it, and that nothing else watches."""

from __future__ import annotations

import pytest

from constructs_lib.rules import document, update
from constructs_lib.rules.engine import check, template_rules
from constructs_lib.rules.rule import CHECKS, Rule, catalogue

TEMPLATE_RULES = template_rules()
UPDATE_RULES = tuple(rule for rule in catalogue().values() if rule.scope == "update")

each_rule = pytest.mark.parametrize("rule", TEMPLATE_RULES, ids=lambda rule: str(rule.id))
each_update_rule = pytest.mark.parametrize("rule", UPDATE_RULES, ids=lambda rule: str(rule.id))


def broken(text: str, rules: tuple[Rule, ...] = TEMPLATE_RULES) -> set[str]:
    report = check([document.parse(text, name="example.yaml")], rules=rules)
    assert report.undecided == ()
    return {finding.rule.id for finding in report.findings}


def refused(rule: Rule, new: str) -> set[str]:
    assert rule.old is not None
    old = [document.parse(rule.old, name="old.yaml")]
    impacts = update.impact(old, [document.parse(new, name="new.yaml")])
    return {reason.rule for each in impacts for reason in each.reasons if reason.rule is not None}


@each_rule
def test_bad_example_breaks_this_rule_and_no_other(rule: Rule) -> None:
    assert broken(rule.bad) == {rule.id}


@each_rule
def test_good_example_breaks_no_rule(rule: Rule) -> None:
    assert rule.good != rule.bad
    assert broken(rule.good) == set()


@each_rule
def test_bad_example_passes_once_its_rule_is_removed(rule: Rule) -> None:
    """The mutation: no other rule hides that one is missing."""
    others = tuple(each for each in TEMPLATE_RULES if each.id != rule.id)

    assert broken(rule.bad, others) == set()


@each_update_rule
def test_bad_update_is_refused_by_this_rule(rule: Rule) -> None:
    assert refused(rule, rule.bad) == {rule.id}


@each_update_rule
def test_good_update_is_not_refused(rule: Rule) -> None:
    assert refused(rule, rule.good) == set()


def test_every_rule_of_the_catalogue_has_a_check_and_every_check_a_rule() -> None:
    assert set(CHECKS) == {rule.id for rule in TEMPLATE_RULES}
    assert set(update.RULES) == {rule.id for rule in UPDATE_RULES}


@pytest.mark.parametrize("rule", catalogue().values(), ids=lambda rule: str(rule.id))
def test_rule_says_who_says_so_and_what_to_do(rule: Rule) -> None:
    assert rule.source.startswith("https://")
    assert rule.checked.startswith("2026-")
    assert rule.basis in {"documented", "reasoned"}
    assert rule.severity in {"error", "warning"}
    assert rule.remedy.endswith(".")
