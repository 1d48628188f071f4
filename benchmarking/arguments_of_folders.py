"""The verbs that work on what runs have left: their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarking.argument_types import duration


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, where there are some, and leaves the epilog's lines alone."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help if action.help is not None else ""
        if isinstance(action.default, list) and action.default:
            return f"{text} (default: {' '.join(map(str, action.default))})"
        if action.default is None or isinstance(action.default, bool | list):
            return text
        return super()._get_help_string(action)


def add_account(group: Any) -> None:
    """Which account and region."""
    group.add_argument("--region", help="AWS region (default: that of the environment)")
    group.add_argument("--profile", help="of the AWS configuration")


def add_outputs(group: Any) -> None:
    """Files that are written besides those of the run's folder."""
    group.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    group.add_argument(
        "--junit", type=Path, metavar="FILE", help="write there what --fail-if finds, for a CI"
    )


def add_folder_verbs(verbs: Any) -> None:
    """``resume``, ``report``, ``compare-runs`` and ``apply``."""
    verb = _simple(verbs, "resume", "go on with a run that did not end")
    verb.add_argument("folder", type=Path, metavar="DIR")
    add_account(verb)
    add_outputs(verb)
    verb.add_argument("--quiet", action="store_true", help="no progress")
    verb = _simple(verbs, "report", "make a run's report again from its record and samples")
    verb.add_argument("folder", type=Path, metavar="DIR")
    verb.add_argument("--fail-if", metavar="EXPR")
    verb.add_argument("--layout", choices=("plain", "classic"), default="plain")
    add_outputs(verb)
    verb = _simple(verbs, "compare-runs", "what changed between two runs, beyond chance")
    verb.add_argument("before", type=Path, metavar="A")
    verb.add_argument("after", type=Path, metavar="B")
    for form in ("json", "markdown", "html"):
        verb.add_argument(f"--{form}", type=Path, metavar="FILE", help=f"write it as {form} too")
    verb.add_argument(
        "--fail-on-regression",
        action="store_true",
        help="exit code 3 when something got worse beyond chance, or can no longer be known",
    )
    verb = _simple(
        verbs, "apply", "write the sizes that a run recommends to an environment's settings"
    )
    verb.add_argument("folder", type=Path, metavar="DIR")
    verb.add_argument("--env", required=True)
    verb.add_argument("--settings", type=Path, default=Path("stacks/settings"), metavar="FOLDER")
    verb.add_argument("--cell", metavar="ID", help="in place of the recommended one")
    verb.add_argument("--yes", action="store_true", help="do not ask")


def add_clean(verbs: Any) -> None:
    """``clean``."""
    verb = _simple(
        verbs,
        "clean",
        "remove what runs have left that were killed",
        "Reads the journals of your runs, and removes what those that do not run any more have"
        " left. With --older-than also everything in the region that carries this tool's tags and"
        " is older, whoever has created it. Nothing else is touched.",
    )
    verb.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="of runs")
    verb.add_argument("--older-than", type=duration, metavar="TIME", help="such as 2h")
    verb.add_argument("--dry-run", action="store_true", help="show what would be removed")
    add_account(verb)


def add_converters(verbs: Any) -> None:
    """What reads or writes other files, and ``prices`` and ``policy``."""
    verb = _simple(verbs, "import-classic", "read a result folder of the old toolkit as a run")
    verb.add_argument("source", type=Path, metavar="FOLDER", help="its result_save_path")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    verb.add_argument("--region", help="that it was run in, for prices (default: us-east-1)")
    verb = _simple(
        verbs, "convert-payloads", "make a list of payloads from arguments of InvokeEndpoint"
    )
    verb.add_argument("source", type=Path, metavar="FILE", help="JSON array or JSON lines")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    verb = _simple(verbs, "prices", "write today's prices of a region to a file for --prices")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE")
    verb.add_argument(
        "--offers",
        action="store_true",
        help="read the public offer file (4 MB), which needs no credentials",
    )
    add_account(verb)
    verb = _simple(
        verbs, "policy", "print the IAM policy that benchmarks need, and nothing beyond it"
    )
    verb.add_argument("--region", help="AWS region (default: that of the environment)")
    verb.add_argument("--account", default="*", metavar="ID", help="twelve digits")
    verb.add_argument(
        "--model-name", action="append", default=[], metavar="NAME", help="may be repeated"
    )
    verb.add_argument(
        "--model-role",
        action="append",
        default=[],
        metavar="ARN",
        help="that copies of the model behind multi-model endpoints may run with",
    )
    verb.add_argument("--bucket", help="as given to compare; asynchronous and multi-model need it")
    verb.add_argument(
        "--artifact",
        action="append",
        default=[],
        metavar="S3-URL",
        help="of a model that is copied for multi-model endpoints",
    )


def _simple(verbs: Any, name: str, short: str, long: str | None = None) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=short,
        description=f"{short[0].upper()}{short[1:]}." if long is None else long,
        formatter_class=Formatter,
    )
    return verb
