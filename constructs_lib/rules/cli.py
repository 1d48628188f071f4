"""The command line: check templates, explain a rule, foretell an update."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from constructs_lib.rules import document, report, update
from constructs_lib.rules.document import UnreadableError
from constructs_lib.rules.engine import check
from constructs_lib.rules.rule import Rule, catalogue

_DESCRIPTION = "Find mistakes of SageMaker inference in CloudFormation templates."
_EXIT_CODES = "exit code: 0 nothing wrong, 1 errors found, 2 input that cannot be read"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 1 for errors found, 2 for input that cannot be read."""
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except UnreadableError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m constructs_lib.rules", description=_DESCRIPTION, epilog=_EXIT_CODES
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    checking = commands.add_parser("check", help="check templates", epilog=_EXIT_CODES)
    checking.add_argument(
        "templates",
        nargs="+",
        type=Path,
        metavar="TEMPLATE",
        help="JSON or YAML, or a folder with *.template.json such as cdk.out; what several export"
        " and import is followed",
    )
    checking.add_argument("--region", help="where the templates will be deployed")
    checking.add_argument("--json", type=Path, metavar="FILE", help="write the findings as JSON")
    checking.add_argument("--sarif", type=Path, metavar="FILE", help="write them as SARIF 2.1.0")
    checking.set_defaults(run=_check)
    explaining = commands.add_parser("explain", help="say what a rule wants, and who says so")
    explaining.add_argument("rule", metavar="SM-…", help="as a finding names it")
    explaining.set_defaults(run=_explain)
    foretelling = commands.add_parser(
        "impact", help="say what an update does to each endpoint", epilog=_EXIT_CODES
    )
    foretelling.add_argument("old", type=Path, help="the deployed template, or a folder")
    foretelling.add_argument("new", type=Path, help="the template that replaces it, or a folder")
    foretelling.add_argument("--json", type=Path, metavar="FILE", help="write the impacts as JSON")
    foretelling.set_defaults(run=_impact)
    return parser


def _check(arguments: argparse.Namespace) -> int:
    files = document.read(arguments.templates, region=arguments.region)
    found = check(files)
    _write(arguments.json, report.as_json(found))
    _write(arguments.sarif, report.as_sarif(found))
    sys.stdout.write(f"{report.as_text(found)}\n")
    return 1 if found.errors else 0


def _explain(arguments: argparse.Namespace) -> int:
    rule_id = arguments.rule.partition("[")[0]
    if rule_id not in catalogue():
        sys.stderr.write(f"rule must be one of {', '.join(catalogue())}, got {arguments.rule}\n")
        return 2
    sys.stdout.write(explanation(catalogue()[rule_id]))
    return 0


def explanation(rule: Rule) -> str:
    """Everything about a rule, with its examples."""
    parts = [
        f"{rule.id} ({rule.severity}): {rule.title}",
        "",
        f"What to do: {rule.remedy}",
        f"Source ({rule.basis}, read {rule.checked}): {rule.source}",
        "",
    ]
    if rule.old is not None:
        parts += ["Before:", "", rule.old]
    parts += ["Breaks it:", "", rule.bad, "Keeps it:", "", rule.good]
    return "\n".join(parts)


def _impact(arguments: argparse.Namespace) -> int:
    found = update.impact(document.read([arguments.old]), document.read([arguments.new]))
    _write(arguments.json, update.as_json(found))
    sys.stdout.write(f"{update.as_text(found)}\n")
    return 1 if any(each.effect is update.Effect.REFUSED for each in found) else 0


def _write(path: Path | None, document: object) -> None:
    if path is None:
        return
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from error
