"""Findings for people and for machines: text, JSON and SARIF."""

from __future__ import annotations

from typing import Any, Final

from constructs_lib.rules.engine import Report, template_rules
from constructs_lib.rules.rule import Finding, Rule

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(report: Report) -> str:
    """Each finding with what to do, then what could not be looked into, then the count."""
    lines = []
    for finding in report.findings:
        rule = finding.rule
        lines += [
            f"{_place(finding)}: {rule.severity} {finding.id}: {finding.message}",
            f"    {rule.remedy}",
            f"    {rule.basis}, {rule.checked}: {rule.source}",
        ]
    lines += [
        f"{each.template}: {each.logical_id or 'the template'} cannot be decided: {each.reason}"
        for each in report.undecided
    ]
    errors = len(report.errors)
    lines.append(f"{_count(errors, 'error')}, {_count(len(report.findings) - errors, 'warning')}")
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """The report with every field of every finding."""
    return {
        "errors": len(report.errors),
        "warnings": len(report.findings) - len(report.errors),
        "findings": [
            {
                "id": finding.id,
                "rule": finding.rule.id,
                "severity": finding.rule.severity,
                "template": finding.resource.template.name,
                "line": finding.resource.template.line_of(finding.resource.logical_id),
                "resource": finding.resource.logical_id,
                "path": finding.path,
                "message": finding.message,
                "remedy": finding.rule.remedy,
                "basis": finding.rule.basis,
                "source": finding.rule.source,
                "checked": finding.rule.checked,
            }
            for finding in report.findings
        ],
        "undecided": [
            {"template": each.template, "resource": each.logical_id, "reason": each.reason}
            for each in report.undecided
        ],
    }


def as_sarif(report: Report) -> dict[str, Any]:
    """The findings as SARIF 2.1.0, which code hosts show beside the lines they concern."""
    rules = template_rules()
    positions = {rule.id: position for position, rule in enumerate(rules)}
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "SageMaker Inference Rules",
                        "rules": [_sarif_rule(rule) for rule in rules],
                    }
                },
                "results": [
                    _sarif_result(each, positions[each.rule.id]) for each in report.findings
                ],
            }
        ],
    }


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": f"{rule.remedy} ({rule.basis}, {rule.checked})"},
        "helpUri": rule.source,
        "defaultConfiguration": {"level": rule.severity},
    }


def _sarif_result(finding: Finding, position: int) -> dict[str, Any]:
    template = finding.resource.template
    location: dict[str, Any] = {"artifactLocation": {"uri": template.name}}
    line = template.line_of(finding.resource.logical_id)
    if line is not None:
        location["region"] = {"startLine": line}
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": position,
        "level": finding.rule.severity,
        "message": {"text": f"{finding.message}. {finding.rule.remedy}"},
        "locations": [
            {
                "physicalLocation": location,
                "logicalLocations": [
                    {"fullyQualifiedName": f"{finding.resource.logical_id}.{finding.path}"}
                ],
            }
        ],
        "partialFingerprints": {
            "finding/v1": f"{finding.id}/{finding.resource.logical_id}/{finding.path}"
        },
    }


def _place(finding: Finding) -> str:
    template = finding.resource.template
    line = template.line_of(finding.resource.logical_id)
    where = template.name if line is None else f"{template.name}:{line}"
    return f"{where}: {finding.resource.logical_id}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
