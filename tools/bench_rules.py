"""Measure what checking a template costs, and write it into docs/benchmarks.md.

    python -m tools.bench_rules [--rounds N]

The sizes are measured in turns, so that a busy moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from constructs_lib.rules import document
from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.engine import check, template_rules
from constructs_lib.rules.rule import catalogue

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEADING = "## Checking templates with the rules"
TARGET_MS = 150

_TEMPLATE = """\
{heading}

{rules} rules over templates of scaled asynchronous endpoints with alarms, from text to report;
{rounds} rounds with the sizes in turn. Target: below {target} ms per template after load.
Written by `python -m tools.bench_rules` on {today}: Python {python}, {system},
{processors} processors, aws-cdk-lib {cdk}.

| template | size | median, ms | least to most, ms |
|---|---|---|---|
{rows}

Loading takes {load:.1f} s ({quickest:.1f} to {slowest:.1f} s in five processes), nearly all of it
the import of aws-cdk-lib.
"""


def _deployment(endpoints: int) -> str:
    """A template with so many scaled endpoints and their alarms, as JSON."""
    example = document.parse(catalogue()["SM-D1"].good, name="example.yaml").document
    scaled = document.parse(catalogue()["SM-A2"].good, name="example.yaml").document
    resources: dict[str, Any] = {}
    for number in range(endpoints):
        text = json.dumps({**example["Resources"], **scaled["Resources"]})
        for name in ("Model", "Config", "Endpoint", "Target", "Policy", "Alarm"):
            text = text.replace(f'"{name}"', f'"{name}{number}"')
            text = text.replace(f"${{{name}.", f"${{{name}{number}.")
        resources |= json.loads(text)
    return json.dumps({"Resources": resources})


def _measure(texts: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds from text to report, per template and round."""
    for text in texts.values():
        _check(text)
    taken: dict[str, list[float]] = {name: [] for name in texts}
    for _ in range(rounds):
        for name, text in texts.items():
            start = time.perf_counter()
            _check(text)
            taken[name].append((time.perf_counter() - start) * 1000)
    return taken


def _check(text: str) -> None:
    parsed: TemplateFile = document.parse(text, name="template.json")
    check([parsed])


def _load_seconds(rounds: int) -> list[float]:
    """Seconds to import the rules in a new process, with the CDK that their plugin needs."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import constructs_lib.rules.engine"], check=True)
        taken.append(time.perf_counter() - start)
    return taken


def _section(rounds: int) -> str:
    texts = {
        f"{count} endpoint{'s' if count > 1 else ''}": _deployment(count) for count in (1, 10, 100)
    }
    taken = _measure(texts, rounds)
    load = _load_seconds(5)
    rows = [
        f"| {name} | {len(texts[name]) / 1024:.0f} KiB | {statistics.median(each):.1f} |"
        f" {min(each):.1f} to {max(each):.1f} |"
        for name, each in taken.items()
    ]
    return _TEMPLATE.format(
        heading=HEADING,
        rules=len(template_rules()),
        rounds=rounds,
        target=TARGET_MS,
        today=dt.datetime.now(tz=dt.UTC).date(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        processors=os.cpu_count(),
        cdk=version("aws-cdk-lib"),
        rows="\n".join(rows),
        load=statistics.median(load),
        quickest=min(load),
        slowest=max(load),
    )


def _with_section(page: str, section: str) -> str:
    """The page with this section in the place of its older self, or at the end."""
    before, heading, rest = page.partition(HEADING)
    if not heading:
        lead = page.rstrip() if page.strip() else "# Benchmarks"
        return f"{lead}\n\n{section}"
    _, following, later = rest.partition("\n## ")
    return f"{before}{section}" + (f"\n## {later}" if following else "")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="how often each size is measured")
    section = _section(parser.parse_args().rounds)
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(_with_section(page, section), encoding="utf-8")
    sys.stdout.write(section)


if __name__ == "__main__":
    main()
