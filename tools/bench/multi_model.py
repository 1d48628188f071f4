"""Many small models on one endpoint, beside Multi Model Server with the same models.

Both run the same interpreter with the same libraries and handler. A model's memory is what it adds
to the proportional set size of everything that the server consists of.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tools.bench import load, page
from tools.bench.ours import BUCKET, ON_ONE_INSTANCE, Runtime, question_to, runtime
from tools.bench.peers import CSV
from tools.bench.process_tree import proportional_bytes
from tools.bench.subjects import (
    BUILD,
    SERVERS,
    START_TIMEOUT_S,
    SkippedError,
    environment,
    free_ports,
    image_interpreter,
    program,
    version,
)

HEADING: Final = "Many models on one endpoint"
MEMORY_RATIO: Final = 20
FIRST_ANSWER_RATIO: Final = 1 / 10
HIT_RATIO: Final = 1.1
_PACKAGES: Final = (
    "multi-model-server==1.1.11", "sagemaker-inference", "numpy", "scikit-learn", "setuptools<81",
)  # fmt: skip
_IMAGE: Final = (
    "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312-cpu-py3"
)
_MANY: Final = "many"
_SINGLE: Final = "single-{}"
# The first models teach either server what to import; what follows is a model's own.
_FIRST: Final = 2
_CLIENTS: Final = 8
_IN_TURN: Final = (1, 4)
_MIB: Final = 1024 * 1024
_GIB: Final = 1024 * _MIB
# Room for a few models, so that each of many is on disk and not in memory when it is asked.
_SMALL_MEMORY: Final = "[limits]\nmulti_model_memory_bytes = 30_000_000\n"
_PROPERTIES: Final = """\
enable_envvars_config=true
model_store=/
default_service_handler=sagemaker_inference.default_handler_service
default_workers_per_model={workers}
async_logging=true
decode_input_request=false
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{port}
"""


class Models:
    """Trained models as folders, and the score that each gives the question."""

    def __init__(self, python: Path, count: int) -> None:
        self.folder = BUILD / "small-models"
        shutil.rmtree(self.folder, ignore_errors=True)
        script = str(SERVERS / "train_small_models.py")
        command = [str(python), script, str(self.folder), str(count), CSV.decode()]
        subprocess.run(command, check=True)
        self._expected: list[float] = json.loads((self.folder / "expected.json").read_text())

    def check(self, number: int, answer: dict[str, Any]) -> None:
        """Refuse another model's answer.

        Raises:
            RuntimeError: it is one.
        """
        if not math.isclose(answer["score"], self._expected[number], rel_tol=1e-9):
            raise RuntimeError(f"model {number} gives {self._expected[number]}, got {answer}")

    def archive(self, number: int) -> bytes:
        """A model as it lies in S3."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            tar.add(self.folder / str(number), ".")
        return packed.getvalue()


class Ours:
    """An endpoint of this runtime with these models, and the first of them alone on others."""

    def __init__(self, started: Runtime, models: Models, count: int, *, singles: int = 0) -> None:
        self.started = started
        self._models = models
        s3 = started.client("s3")
        for number in range(count):
            s3.put_object(Bucket=BUCKET, Key=_key(number), Body=models.archive(number))
        self._client = started.client("sagemaker-runtime")
        container = {"Image": _IMAGE, "Environment": {"SAGEMAKER_PROGRAM": "inference.py"}}
        url = f"s3://{BUCKET}/{_MANY}/"
        started.create(
            _MANY, [{**container, "Mode": "MultiModel", "ModelDataUrl": url}], **ON_ONE_INSTANCE
        )
        for number in range(singles):
            data = {"ModelDataUrl": f"s3://{BUCKET}/{_key(number)}"}
            started.create(_SINGLE.format(number), [{**container, **data}], **ON_ONE_INSTANCE)

    def ask(self, number: int) -> float:
        """Ask a model through boto3; milliseconds, those of the client included."""
        return self._ask(number)[0]

    def ask_cold(self, number: int) -> float:
        """Ask a model that is not in memory.

        Raises:
            RuntimeError: it was.
        """
        took_ms, answers = self._ask(number)
        if answers != 1:
            raise RuntimeError(f"model {number} was in memory and had answered {answers - 1} times")
        return took_ms

    def _ask(self, number: int) -> tuple[float, int]:
        began_s = time.perf_counter()
        answer = self._client.invoke_endpoint(
            EndpointName=_MANY,
            TargetModel=_key(number).partition("/")[2],
            Body=CSV,
            ContentType="text/csv",
            Accept="application/json",
        )
        content = json.loads(answer["Body"].read())
        took_ms = (time.perf_counter() - began_s) * 1000
        self._models.check(number, content)
        return took_ms, content["answers"]

    def ask_all(self, count: int) -> None:
        """Ask each model twice, many at a time and in any order; the second answers are hits."""
        numbers = [number for number in range(count) for _ in range(2)]
        random.Random(0).shuffle(numbers)  # noqa: S311 - no secret
        with ThreadPoolExecutor(_CLIENTS) as pool:
            for _ in pool.map(self._ask, numbers):
                pass

    def scripts(self, count: int) -> tuple[Path, Path]:
        """For wrk: the first models in turn, below one name and each below its own."""
        many, single = BUILD / f"many-{count}.lua", BUILD / f"single-{count}.lua"
        question = question_to(_MANY, CSV)
        numbers = [number for _ in range(64) for number in range(count)]
        targets = {number: _key(number).partition("/")[2] for number in range(count)}
        requests = {
            number: self.started.requests(_MANY, question, 64, TargetModel=target)
            for number, target in targets.items()
        }
        load.write_script(many, [requests[number].pop() for number in numbers])
        alone = {
            number: self.started.requests("any", question_to(_SINGLE.format(number), CSV), 64)
            for number in targets
        }
        load.write_script(single, [alone[number].pop() for number in numbers])
        return many, single


class Theirs:
    """Multi Model Server, with models loaded as the service loads them."""

    def __init__(self, port: int, pid: int, models: Models) -> None:
        self.pid = pid
        self._port = port
        self._models = models

    def load(self, number: int) -> float:
        """Load a model and ask it; milliseconds."""
        began_s = time.perf_counter()
        request = {"model_name": f"m{number}", "url": str(self._models.folder / str(number))}
        self.call("POST", "/models", json.dumps(request).encode(), "application/json")
        self.ask(number)
        return (time.perf_counter() - began_s) * 1000

    def ask(self, number: int) -> float:
        """Ask a model that is loaded; milliseconds."""
        began_s = time.perf_counter()
        answer = self.call("POST", f"/models/m{number}/invoke", CSV, "text/csv")
        took_ms = (time.perf_counter() - began_s) * 1000
        self._models.check(number, json.loads(answer))
        return took_ms

    def call(self, method: str, path: str, body: bytes, content_type: str) -> bytes:
        """One request.

        Raises:
            RuntimeError: its answer is no success.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=START_TIMEOUT_S)
        with contextlib.closing(connection):
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {content[:300]!r}")
        return content


@contextlib.contextmanager
def _multi_model_server(
    installed: Path, folder: Path, models: Models, *, workers: int
) -> Iterator[Theirs]:
    """Multi Model Server without a model, as AWS's container starts it for multi-model endpoints.

    Raises:
        SkippedError: there is no Java, or it does not start.
    """
    if shutil.which("java") is None:
        raise SkippedError("no Java runtime is installed")
    port = free_ports()
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    (folder / "mms.properties").write_text(_PROPERTIES.format(workers=workers, port=port))
    log_config = next(installed.glob("lib/*/site-packages/sagemaker_inference/etc/log4j2.xml"))
    command = [str(installed / "bin" / "multi-model-server"), "--start", "--foreground"]
    command += ["--model-store", "/", "--mms-config", "mms.properties"]
    command += ["--log-config", str(log_config)]
    variables = {
        "PATH": f"{installed / 'bin'}{os.pathsep}{os.environ['PATH']}",  # of its workers
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_BASE_DIR": str(folder),
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        # As the runtime has it for its models: they are many.
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    with program(command, folder=folder, environment=variables) as pid:
        server = Theirs(port, pid, models)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                server.call("GET", "/ping", b"", "text/plain")
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                if time.monotonic() > deadline_s:
                    raise SkippedError(f"not ready after {START_TIMEOUT_S:.0f} s") from error
                time.sleep(0.1)
            else:
                break
        yield server


class Benchmark:
    """The figures of both servers."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        # So many models are added for one figure of memory, and so many figures are taken.
        self._step, self._their_step = (10, 1) if quick else (20, 2)
        self._steps = 3 if quick else 5
        self._crowd = 100 if quick else 1000
        self._cold, self._cold_rounds = 20, 2 if quick else 5
        self._rounds, self._seconds = (3, 1.0) if quick else (7, 2.0)
        self._skipped: dict[str, str] = {}
        self._memory: dict[str, list[float]] = {}
        self._first: dict[str, list[float]] = {}
        self._hits: dict[str, list[float]] = {}
        self._crowd_bytes = 0
        self._crowd_s = 0.0

    def run(self) -> str:
        """Measure; the section's text."""
        python = image_interpreter()
        installed = environment("env-models", _PACKAGES, python=python)
        interpreter = installed / "bin" / "python"
        models = Models(interpreter, self._crowd)
        with runtime(BUILD / "many", "--handler-python", str(interpreter)) as started:
            ours = Ours(started, models, self._crowd, singles=_IN_TURN[-1])
            self._measure_hits(ours)
            self._measure_memory(ours)
            self._ask_a_crowd(ours)
        settings = BUILD / "small-memory.toml"
        settings.write_text(_SMALL_MEMORY)
        arguments = ("--handler-python", str(interpreter), "--settings", str(settings))
        with runtime(BUILD / "few", *arguments) as started:
            ours = Ours(started, models, self._cold)
            for number in range(self._cold):
                ours.ask(number)
            self._first[_OURS] = [
                ours.ask_cold(number)
                for _ in range(self._cold_rounds)
                for number in range(self._cold)
            ]
        processors = os.cpu_count() or 1
        for workers in dict.fromkeys((processors, 1)):
            name = f"{_THEIRS}, {workers} worker{'s' if workers > 1 else ''} per model"
            try:
                self._measure_theirs(name, installed, models, workers)
            except SkippedError as error:
                print(f"{name}: skipped, {error}", file=sys.stderr, flush=True)
                self._skipped[name] = str(error)
        return self._section(installed, python)

    def _measure_hits(self, ours: Ours) -> None:
        """In turns with endpoints that have one model each, at one connection."""
        for number in range(_IN_TURN[-1]):
            ours.ask(number)
        scripts = {
            title.format(count): script
            for count in _IN_TURN
            for title, script in zip((_HITS, _ALONE), ours.scripts(count), strict=True)
        }
        port = ours.started.port
        for script in scripts.values():
            load.run(port, script, connections=1, seconds=1)
        for _ in range(self._rounds):
            for name, script in scripts.items():
                sample = load.run(port, script, connections=1, seconds=self._seconds)
                self._hits.setdefault(name, []).append(sample.p50_ms)

    def _measure_memory(self, ours: Ours) -> None:
        taken = self._memory[_OURS] = []
        before = proportional_bytes(ours.started.pid)
        for step in range(self._steps):
            for number in range(self._step):
                ours.ask(_IN_TURN[-1] + step * self._step + number)
            now = proportional_bytes(ours.started.pid)
            taken.append((now - before) / self._step)
            before = now

    def _ask_a_crowd(self, ours: Ours) -> None:
        """Every model in memory at once, and no answer of another."""
        began_s = time.perf_counter()
        ours.ask_all(self._crowd)
        self._crowd_s = time.perf_counter() - began_s
        self._crowd_bytes = proportional_bytes(ours.started.pid)

    def _measure_theirs(self, name: str, installed: Path, models: Models, workers: int) -> None:
        folder = BUILD / f"many-multi-{workers}"
        with _multi_model_server(installed, folder, models, workers=workers) as server:
            first, memory = [], []
            for number in range(_FIRST):
                server.load(number)
            before = proportional_bytes(server.pid)
            for step in range(self._steps):
                for number in range(self._their_step):
                    loaded = _FIRST + step * self._their_step + number
                    first.append(server.load(loaded))
                    for _ in range(2 * workers):  # each worker answers
                        server.ask(loaded)
                now = proportional_bytes(server.pid)
                memory.append((now - before) / self._their_step)
                before = now
            self._hits[name] = [server.ask(number % _FIRST) for number in range(100)]
            self._first[name], self._memory[name] = first, memory

    # -- the page

    def _section(self, installed: Path, python: str) -> str:
        rows = [
            [
                name,
                page.spread([each / _MIB for each in taken], 2),
                f"{_GIB / statistics.median(taken):,.0f}",
                page.spread(self._first[name], 1),
            ]
            for name, taken in self._memory.items()
        ]
        head = ["server", "memory per model, MiB", "models per GiB"]
        head += ["first answer of a model on disk, ms"]
        hits = [[name, page.spread(taken, 3)] for name, taken in self._hits.items()]
        skipped = "".join(
            f"\n\n{name} is not in the table: {why}." for name, why in self._skipped.items()
        )
        command = "python -m tools.bench multi-model" + (" --quick" if self._quick else "")
        names = ("multi-model-server", "scikit-learn", "numpy")
        versions = ", ".join(f"{name} {version(installed, name)}" for name in names)
        release = subprocess.run(
            [python, "--version"], check=True, capture_output=True, text=True
        ).stdout.strip()
        return f"""\
Logistic regressions of scikit-learn with ten features, each another, below one handler. The
handlers of both servers run {release} with the same libraries ({versions}), one thread each;
Multi Model Server has a process per worker and model, as many workers as processors unless an
endpoint says otherwise. Memory is what a further model that has answered adds to the proportional
set size of the whole server, Java or our supervisor included: {self._steps} figures over
{self._step} models each, {self._their_step} of Multi Model Server's. The first answer is that of a
model whose files are unpacked and whose process does not exist: our memory limit holds five models
and {self._cold} are asked in turns through boto3, so that another model is evicted for each; Multi
Model Server is asked to load one, then to answer. Answers in memory are ours by wrk, {self._rounds}
rounds in turns with endpoints that have one of the same models each.
{page.machine(command)}

{page.table(head, rows)}{skipped}

{page.table(("a model in memory answers at one connection", "p50, ms"), hits)}

{self._crowd:,} models on one instance, all in memory, each asked twice by {_CLIENTS} clients in any
order: {2 * self._crowd:,} answers in {self._crowd_s:.0f} s, none wrong (each model has a score of
its own, which is checked); {self._crowd_bytes / _GIB:.2f} GiB in all.

{page.table(("goal", "measured", "least to most", ""), self._goals())}"""

    def _goals(self) -> list[list[str]]:
        rows = []
        ours, first = self._memory[_OURS], statistics.median(self._first[_OURS])
        for name in self._memory:
            if name == _OURS:
                continue
            ratios = [theirs / mine for theirs, mine in zip(self._memory[name], ours, strict=True)]
            default = not name.endswith("1 worker per model")
            rows.append(
                _goal(
                    f"{MEMORY_RATIO}x the models per GiB of {name}" if default
                    else f"models per GiB beside {name}",
                    ratios,
                    statistics.median(ratios) >= MEMORY_RATIO if default else None,
                )
            )  # fmt: skip
            ratios = [first / each for each in self._first[name]]
            rows.append(
                _goal(
                    f"the first answer in at most 1/10 of the time of {name}",
                    ratios,
                    statistics.median(ratios) <= FIRST_ANSWER_RATIO,
                    digits=3,
                )
            )
        crowd = f"{self._crowd:,} models on one instance"
        rows.append([crowd, "no wrong answer", "", "met" if self._crowd >= 1000 else ""])
        for count in _IN_TURN:
            pairs = zip(
                self._hits[_HITS.format(count)], self._hits[_ALONE.format(count)], strict=True
            )
            ratios = [many / single for many, single in pairs]
            what = f"{count} model{'s in turn' if count > 1 else ''}, p50 in memory: at most"
            rows.append(
                _goal(
                    f"{what} {HIT_RATIO:g}x that of endpoints with one model each",
                    ratios,
                    statistics.median(ratios) <= HIT_RATIO,
                    digits=2,
                )
            )
        return rows


_OURS: Final = "this runtime"
_HITS: Final = "this runtime, {} in turn on one endpoint"
_ALONE: Final = "this runtime, {} in turn, an endpoint for each"
_THEIRS: Final = "Multi Model Server"


def _goal(what: str, ratios: Sequence[float], met: bool | None, *, digits: int = 1) -> list[str]:
    verdict = "" if met is None else "met" if met else "**missed**"
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    return [what, f"{middle:.{digits}f}x", f"{least:.{digits}f} to {most:.{digits}f}", verdict]


def _key(number: int) -> str:
    return f"{_MANY}/m{number}.tar.gz"


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    if not load.installed():
        print(f"nothing was measured: {load.MISSING}", file=sys.stderr)
        return 1
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        section = Benchmark(quick=quick).run()
    except SkippedError as error:
        print(f"nothing was measured: {error}", file=sys.stderr)
        return 1
    page.put_section(HEADING, section)
    print(section)
    return 0
