"""What the constructs cost: the whole app's synth beside the same resources as raw L1.

Processor time, of Python and of the Node process behind jsii, is what is compared: on a busy
machine the wall's clock measures the neighbours.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tools.bench import page, raw_app
from tools.bench.subjects import BUILD, ROOT

HEADING: Final = "Synthesizing the whole app"
GOAL: Final = 1.5
ENVIRONMENT: Final = "dev"


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    rounds = 3 if quick else 7
    folder = BUILD / "synth"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference = folder / "reference"
    _synthesize(["app.py"], reference)
    program = folder / "raw_app.py"
    raw_app.write(reference, program)
    subjects = {
        "the app: constructs and checks": ["app.py"],
        "raw L1, the same checks": [str(program), "checked"],
        "raw L1, no checks": [str(program)],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        for position, (name, arguments) in enumerate(subjects.items()):
            out = folder / f"out-{position}"
            taken[name].append(_synthesize(arguments, out))
            if raw_app.resources(out) != raw_app.resources(reference):
                raise RuntimeError(f"{name}: the resources are not those of the app")
    section = _section(taken, rounds, "python -m tools.bench synth" + (" --quick" if quick else ""))
    page.put_section(HEADING, section)
    print(section)
    return 0


def _synthesize(arguments: list[str], out: Path) -> tuple[float, float]:
    """Run an app; processor seconds and seconds."""
    shutil.rmtree(out, ignore_errors=True)
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    variables = {
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps({**context, "env": ENVIRONMENT}),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None, "opened as a pipe"
    errors = process.stderr.read()
    # wait4 counts the children that it has waited for, too: jsii's Node process.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed:\n{errors.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def _section(taken: dict[str, list[tuple[float, float]]], rounds: int, command: str) -> str:
    rows = [
        [name, page.spread([cpu for cpu, _ in each], 2), page.spread([wall for _, wall in each], 2)]
        for name, each in taken.items()
    ]
    app, checked, bare = taken.values()
    goals = [
        _goal("against raw L1 with the same checks", app, checked, GOAL),
        _goal("against raw L1 without checks", app, bare, None),
    ]
    return f"""\
Five stacks of environment {ENVIRONMENT}: by the constructs of this project, and as `CfnResource`
calls generated from the synthesized templates, with the same assets; that both synthesize equal
resources is checked. A process each, {rounds} rounds in turns, median, least and most.
{page.machine(command)} aws-cdk-lib {version("aws-cdk-lib")}.

{page.table(("program", "processor time, s", "time, s"), rows)}

{page.table(("processor time of the app", "goal", "ratio", "least to most", ""), goals)}"""


def _goal(
    what: str,
    ours: list[tuple[float, float]],
    theirs: list[tuple[float, float]],
    goal: float | None,
) -> list[str]:
    ratios = [a[0] / b[0] for a, b in zip(ours, theirs, strict=True)]
    middle = statistics.median(ratios)
    verdict = "" if goal is None else ("met" if middle <= goal else "**missed**")
    limit = "" if goal is None else f"at most {goal:g}x"
    return [what, limit, f"{middle:.2f}x", f"{min(ratios):.2f} to {max(ratios):.2f}", verdict]
