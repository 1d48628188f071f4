"""Running rules over templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import constructs_lib.rules.checks  # noqa: F401  # registers every check
from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.resources import Templates, Undecided
from constructs_lib.rules.rule import CHECKS, Finding, Rule, catalogue
from constructs_lib.rules.serving import Serving


@dataclass(frozen=True, slots=True)
class Report:
    """What rules say of templates, in their order, and what they could not look into."""

    findings: tuple[Finding, ...]
    undecided: tuple[Undecided, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that AWS would refuse or that cannot work."""
        return tuple(finding for finding in self.findings if finding.rule.severity == "error")


def template_rules() -> tuple[Rule, ...]:
    """The rules that look at templates as they are; the others look at an update."""
    return tuple(rule for rule in catalogue().values() if rule.scope == "template")


def check(files: Sequence[TemplateFile], *, rules: Iterable[Rule] | None = None) -> Report:
    """Check templates that are deployed together.

    Args:
        rules: all that look at templates, unless given.
    """
    templates = Templates(files)
    serving = Serving(templates)
    findings = [
        fault.finding(rule)
        for rule in (template_rules() if rules is None else rules)
        for fault in CHECKS[rule.id](serving)
    ]
    order = {id(file): position for position, file in enumerate(files)}
    findings.sort(key=lambda each: (order[id(each.resource.template)], each.resource.logical_id))
    shown = tuple(_readable(each, templates) for each in findings)
    return Report(shown, tuple(templates.undecided))


def _readable(finding: Finding, templates: Templates) -> Finding:
    """The finding with expressions as they stand in the template."""
    return Finding(
        rule=finding.rule,
        resource=finding.resource,
        path=finding.path,
        message=templates.display(finding.message),
        detail=None if finding.detail is None else templates.display(finding.detail),
    )
