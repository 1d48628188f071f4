"""Cold starts of a serverless endpoint, beside the interpreter that does only what it must.

Both import the same handler with the same libraries and load the same model, in turns, each in a
process of its own that has done nothing for a handler before. The runtime's may have started its
interpreter and the handler host before the request; the bare one starts its interpreter after it,
and how long that takes stands beside.
"""

from __future__ import annotations

import datetime as dt
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tools.bench import page
from tools.bench.ours import BUCKET, Runtime, question_to, runtime
from tools.bench.subjects import BUILD, SkippedError, environment, image_interpreter, version

HEADING: Final = "Cold starts"
GOAL: Final = 1.3
_PACKAGES: Final = ("scikit-learn", "xgboost-cpu")
_IMAGE: Final = (
    "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312-cpu-py3"
)
# An environment ends soon after its answer, so that the next request starts another.
_SETTINGS: Final = "[limits]\nserverless_idle_s = 0.2\n"
_MEMORY_MB: Final = 3072
_END_TIMEOUT_S: Final = 20.0
_METRIC_TIMEOUT_S: Final = 5.0

_HANDLER: Final = """\
import json
import os
{imports}

def model_fn(model_dir):
    return {load}

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    return os.getpid()

def output_fn(process, accept):
    return json.dumps(process)
"""
# What the bare interpreter runs: a byte when the model is there.
_BARE: Final = """\
import os, sys
sys.path.insert(0, sys.argv[1])
import inference
inference.model_fn(sys.argv[1])
os.write(1, b"r")
"""
# An interpreter that has started, and no more.
_STARTS: Final = 'import os; os.write(1, b"r")'
_TRAIN: Final = """\
import sys
import joblib, numpy, xgboost
from sklearn.linear_model import LogisticRegression
rows = numpy.random.default_rng(0).normal(size=(60, 10))
labels = rows[:, 0] > 0
numpy.save(sys.argv[1] + "/NumPy/model.npy", rows)
joblib.dump(LogisticRegression().fit(rows, labels), sys.argv[1] + "/scikit-learn/model.joblib")
data = xgboost.DMatrix(rows, label=labels)
booster = xgboost.train({"objective": "binary:logistic"}, data, num_boost_round=10)
booster.save_model(sys.argv[1] + "/XGBoost/model.json")
"""
# The import, and what loads the model.
_HANDLERS: Final[Mapping[str, tuple[str, str]]] = {
    "nothing": ("", "None"),
    "NumPy": ("import numpy", 'numpy.load(os.path.join(model_dir, "model.npy"))'),
    "scikit-learn": ("import joblib", 'joblib.load(os.path.join(model_dir, "model.joblib"))'),
    "XGBoost": (
        "import xgboost",
        'xgboost.Booster(model_file=os.path.join(model_dir, "model.json"))',
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """A handler, its endpoint, and what was measured, in milliseconds."""

    folder: Path
    endpoint: str
    cold_ms: list[float] = field(default_factory=list)
    bare_ms: list[float] = field(default_factory=list)
    start_ms: list[float] = field(default_factory=list)


class Benchmark:
    """The handlers in turns."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._rounds = 7 if quick else 25

    def run(self) -> str:
        """Measure; the section's text."""
        installed = environment("env-cold", _PACKAGES, python=image_interpreter())
        python = str(installed / "bin" / "python")
        cases = _cases(python)
        settings = BUILD / "short-lived.toml"
        settings.write_text(_SETTINGS)
        arguments = ("--handler-python", python, "--settings", str(settings))
        with runtime(BUILD / "cold", *arguments) as started:
            for case in cases.values():
                _deploy(started, case)
            for number in range(self._rounds + 1):
                for case in cases.values():
                    cold_ms = _ask(started, case.endpoint)
                    bare_ms = _run(python, _BARE, str(case.folder))
                    start_ms = _run(python, _STARTS)
                    if number > 0:  # the first reads the files
                        case.cold_ms.append(cold_ms)
                        case.bare_ms.append(bare_ms)
                        case.start_ms.append(start_ms)
            setup_ms = {name: _setup_ms(started, case.endpoint) for name, case in cases.items()}
        return self._section(cases, setup_ms, installed)

    def _section(
        self, cases: Mapping[str, _Case], setup_ms: Mapping[str, float], installed: Path
    ) -> str:
        rows, goals = [], []
        for name, case in cases.items():
            rows.append(
                [
                    name,
                    page.spread(case.cold_ms),
                    f"{setup_ms[name]:.1f}",
                    page.spread(case.bare_ms),
                    page.spread(case.start_ms),
                ]
            )
            ratios = [cold / bare for cold, bare in zip(case.cold_ms, case.bare_ms, strict=True)]
            least = min(case.cold_ms) / min(case.bare_ms)
            middle = statistics.median(ratios)
            goals.append(
                [
                    f"{name}: at most {GOAL:g}x the bare interpreter",
                    f"{middle:.2f}x",
                    f"{min(ratios):.2f} to {max(ratios):.2f}",
                    f"{least:.2f}x",
                    "met" if middle <= GOAL else "**missed**",
                ]
            )
        command = "python -m tools.bench cold-start" + (" --quick" if self._quick else "")
        versions = ", ".join(f"{name} {version(installed, name)}" for name in _PACKAGES)
        release = subprocess.run(
            [str(installed / "bin" / "python"), "--version"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        return f"""\
From a signed InvokeEndpoint request to its answer, on a serverless endpoint whose environment has
ended; beside it a process of the same interpreter that imports the same handler and loads the same
model, from its start to the moment that it has. Before the request, the runtime may have a process
that waits with an interpreter and its handler host in it, with no module that a handler imports and
no model: both are the request's to wait for. What the bare interpreter needs for its own start
stands beside. {self._rounds} rounds in turns; ratios are taken within a round. {release}, {
            versions
        };
the files are in the page cache.
{page.machine(command)}

{
            page.table(
                (
                    "handler imports",
                    "cold start, ms",
                    "of which ModelSetupTime, p50, ms",
                    "bare interpreter, ms",
                    "of which its own start, ms",
                ),
                rows,
            )
        }

{page.table(("goal", "ratio", "least to most", "of the least times", ""), goals)}"""


def _cases(python: str) -> dict[str, _Case]:
    root = BUILD / "cold-handlers"
    for name, (imports, load) in _HANDLERS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "inference.py").write_text(_HANDLER.format(imports=imports, load=load))
    subprocess.run([python, "-c", _TRAIN, str(root)], check=True)
    return {
        name: _Case(folder=root / name, endpoint=f"cold-{number}")
        for number, name in enumerate(_HANDLERS)
    }


def _deploy(started: Runtime, case: _Case) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for file in case.folder.iterdir():
            if file.is_file():
                tar.add(file, file.name)
    key = f"{case.endpoint}.tar.gz"
    started.client("s3").put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
    container = {
        "Image": _IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/{key}",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    size = {"MemorySizeInMB": _MEMORY_MB, "MaxConcurrency": 1}
    started.create(case.endpoint, [container], ServerlessConfig=size)


def _ask(started: Runtime, endpoint: str) -> float:
    """A request that finds no environment; milliseconds. Returns when there is none again."""
    (request,) = started.requests("any", question_to(endpoint, b"1"), 1)
    began_s = time.perf_counter()
    with socket.create_connection(("127.0.0.1", started.port)) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        content = answer.read()
        took_ms = (time.perf_counter() - began_s) * 1000
    if answer.status != 200:
        raise RuntimeError(f"{endpoint} answered {answer.status}: {content[:300]!r}")
    _wait_for_the_end(int(json.loads(content)))
    return took_ms


def _wait_for_the_end(process: int) -> None:
    deadline_s = time.monotonic() + _END_TIMEOUT_S
    while Path(f"/proc/{process}").exists():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the environment's process {process} has not ended")
        time.sleep(0.02)


def _run(python: str, program: str, *arguments: str) -> float:
    """From the start of an interpreter to the byte that its program writes; milliseconds."""
    variables = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PATH": os.environ["PATH"],
    }
    began_s = time.perf_counter()
    with subprocess.Popen(
        [python, "-c", program, *arguments], stdout=subprocess.PIPE, env=variables, bufsize=0
    ) as process:
        assert process.stdout is not None, "opened as a pipe"
        written = process.stdout.read(1)
        took_ms = (time.perf_counter() - began_s) * 1000
    if written != b"r":
        raise RuntimeError(f"{python} fails with {' '.join(arguments)}")
    return took_ms


def _setup_ms(started: Runtime, endpoint: str) -> float:
    now = dt.datetime.now(tz=dt.UTC)
    asked: dict[str, Any] = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelSetupTime",
        "Dimensions": [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        "StartTime": now - dt.timedelta(hours=2),
        "EndTime": now + dt.timedelta(hours=1),
        "Period": 3 * 3600,
        "ExtendedStatistics": ["p50"],
    }
    client = started.client("cloudwatch")
    deadline_s = time.monotonic() + _METRIC_TIMEOUT_S
    while not (points := client.get_metric_statistics(**asked)["Datapoints"]):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"endpoint {endpoint} has no ModelSetupTime")
        time.sleep(0.1)
    middles: list[float] = [point["ExtendedStatistics"]["p50"] for point in points]
    return statistics.median(middles) / 1000


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        section = Benchmark(quick=quick).run()
    except SkippedError as error:
        print(f"nothing was measured: {error}", file=sys.stderr)
        return 1
    page.put_section(HEADING, section)
    print(section)
    return 0
