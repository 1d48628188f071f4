"""Benchmarking toolkits against a runtime whose behaviour is known: who reports it right?"""

from __future__ import annotations

import csv
import http.client
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3
from botocore.credentials import ReadOnlyCredentials

from benchmarking.load import Target, run_closed
from benchmarking.payloads import Payload
from benchmarking.records import SUMMARY_FILE, Sample, read_samples
from benchmarking.statistics import share_of
from tools.bench import page
from tools.bench.servers.known_runtime import blocked_share, quantile_s
from tools.bench.subjects import (
    BUILD,
    ROOT,
    SERVERS,
    Question,
    SkippedError,
    environment,
    free_ports,
    program,
    version,
)

HEADING: Final = "Benchmarks against a known truth"
SEED: Final = 20
MAX_CONCURRENCY: Final = 4
RATE_PER_S: Final = 60.0
CLOSED: Final = (2, 4)  # MaxConcurrency and clients of the closed loop, as the old toolkit has it
_OLD: Final = "sm-serverless-benchmarking"
_OLD_VERSION: Final = "0.2.3"
_WARM_UP_S: Final = 5.0
_ATTEMPTS: Final = 3  # a run that calls itself INVALID is not its toolkit's answer
_TIMEOUT_S: Final = 600
_KEYS: Final = ReadOnlyCredentials("benchmark", "benchmark", None)
_REGION: Final = "us-east-1"
_BODY: Final = b"2,1,0.25"

# When, service time (None: throttled), cold start time, how long it really took.
Log = list[tuple[float, float | None, float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One figure: what was true, what a toolkit says, and whether that is right."""

    what: str
    true: str
    said: str
    verdict: str


class Truth:
    """The known runtime, running."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self.client_environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": _KEYS.access_key,
            "AWS_SECRET_ACCESS_KEY": _KEYS.secret_key,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MPLBACKEND": "Agg",
        }
        self._sagemaker = boto3.client(
            "sagemaker",
            endpoint_url=self.url,
            region_name=_REGION,
            aws_access_key_id=_KEYS.access_key,
            aws_secret_access_key=_KEYS.secret_key,
        )

    def deploy(self, name: str, max_concurrency: int) -> Target:
        """An endpoint without an environment."""
        self._sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "variant1",
                    "ModelName": "known",
                    "ServerlessConfig": {
                        "MemorySizeInMB": 1024,
                        "MaxConcurrency": max_concurrency,
                    },
                }
            ],
        )
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        return Target(url=self.url, endpoint_name=name, region=_REGION, credentials=lambda: _KEYS)

    def logs(self) -> dict[str, Log]:
        """What really happened, by endpoint."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request("GET", "/truth")
        found: dict[str, Log] = json.loads(connection.getresponse().read())
        connection.close()
        return found


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    port = free_ports(1)
    server = [sys.executable, str(SERVERS / "known_runtime.py"), str(port), str(SEED)]
    question = Question(target="/truth", body=b"")
    with program(server, folder=BUILD / "known"):
        _await(port, question)
        truth = Truth(port)
        seconds, spoiled = 30 if quick else 90, 0
        ours, invalid = _open_loop(truth, seconds=seconds)
        while invalid is not None and spoiled < _ATTEMPTS - 1:
            print(f"INVALID: {invalid}", file=sys.stderr, flush=True)
            spoiled += 1
            ours, invalid = _open_loop(truth, seconds=seconds)
        ours += _closed_loop(truth, requests=400 if quick else 1000)
        try:
            theirs = _old_toolkit(truth, invocations=100 if quick else 300)
            skipped = ""
        except SkippedError as error:
            theirs, skipped = [], f"\n\n{_OLD} is not in a table: {error}."
            print(f"{_OLD}: skipped, {error}", file=sys.stderr, flush=True)
    section = _section(ours, invalid, spoiled, theirs, quick=quick) + skipped
    page.put_section(HEADING, section)
    print(section)
    wrong = [line.what for line in ours if line.verdict.startswith("**")]
    if wrong or invalid is not None:
        print(f"not as it should be: {wrong}, {invalid}", file=sys.stderr)
    return 1 if wrong else 0


def _await(port: int, question: Question) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", question.target)
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()


# -- ours


def _open_loop(truth: Truth, *, seconds: int) -> tuple[list[Line], str | None]:
    """The command as users run it; also why it calls its measurement invalid, if it does."""
    folder = BUILD / "truth"
    out = folder / f"run-{time.time_ns()}"
    folder.mkdir(parents=True, exist_ok=True)
    payloads = folder / "payloads.jsonl"
    payloads.write_text(json.dumps({"body": _BODY.decode(), "content_type": "text/csv"}) + "\n")
    before = set(truth.logs())
    command = [sys.executable, "-m", "benchmarking", "concurrency", "--model-name", "known"]
    command += ["--payloads", str(payloads), "--out", str(out), "--memory-sizes", "1024"]
    command += ["--max-concurrency", str(MAX_CONCURRENCY), "--rate", f"{RATE_PER_S:g}"]
    command += ["--duration", str(seconds), "--warm-up", f"{_WARM_UP_S:g}", "--seed", str(SEED)]
    print("benchmarking: running", flush=True)
    run = subprocess.run(
        [*command, "--no-metrics", "--quiet"],
        cwd=ROOT,
        env={**os.environ, **truth.client_environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if not (out / SUMMARY_FILE).exists():
        raise RuntimeError(f"it ended with exit code {run.returncode}: {run.stderr.strip()}")
    (cell,) = json.loads((out / SUMMARY_FILE).read_text())["cells"]
    samples = list(read_samples(out))
    (log,) = (rows for name, rows in truth.logs().items() if name not in before)
    marks = [sample.cold for sample in sorted(samples, key=_number) if sample.cold is not None]
    served = [row for row in log if row[1] is not None]
    cold = share_of(marks)
    percentiles, throttled = cell["latency"]["percentiles"], cell["throttle_share"]
    blocked = blocked_share(RATE_PER_S, MAX_CONCURRENCY)
    lines = [
        *(
            _within(
                f"p{q} of the good answers, ms (drawn from {quantile_s(q / 100) * 1e3:.2f})",
                _really_took_s(log, q / 100) * 1e3,
                percentiles.get(f"p{q}"),
            )
            for q in (50, 99)
        ),
        _within("share of throttled requests, %", blocked * 100, throttled, factor=100),
        _within(
            "share of cold starts among the requests that were served, %",
            sum(row[2] > 0 for row in served) / len(served) * 100,
            {"value": cold.value, "low": cold.low, "high": cold.high},
            factor=100,
        ),
        _exactly(
            "throttled requests",
            sum(row[1] is None for row in log),
            sum(sample.outcome == "throttle" for sample in samples),
        ),
        _exactly("requests that reached the runtime", len(log), len(samples)),
    ]
    return lines, None if cell["state"] != "invalid" else "; ".join(cell["reasons"])


def _really_took_s(log: Log, p: float) -> float:
    """Quantile of what the runtime did after the warm-up."""
    took = sorted(row[3] for row in log if row[1] is not None and row[0] - log[0][0] >= _WARM_UP_S)
    return took[math.ceil(p * len(took)) - 1]


def _number(sample: Sample) -> int:
    return sample.number


def _closed_loop(truth: Truth, *, requests: int) -> list[Line]:
    max_concurrency, clients = CLOSED
    target = truth.deploy("ours-closed", max_concurrency)
    samples: list[Sample] = []
    run_closed(
        target,
        [Payload(body=_BODY, content_type="text/csv")],
        clients=clients,
        requests=requests,
        think_time_s=0.02,
        cell="closed",
        seed=SEED,
        on_sample=samples.append,
    )
    log = truth.logs()["ours-closed"]
    said = sum(sample.outcome == "throttle" for sample in samples)
    what = f"throttled requests, {clients} clients in a closed loop on {max_concurrency}"
    return [_exactly(what, sum(row[1] is None for row in log), said)]


def _within(what: str, true: float, said: Mapping[str, float] | None, *, factor: float = 1) -> Line:
    if said is None:
        return Line(what=what, true=f"{true:.2f}", said="too few requests", verdict="**none**")
    value, low, high = (said[each] * factor for each in ("value", "low", "high"))
    return Line(
        what=what,
        true=f"{true:.2f}",
        said=f"{value:.2f} ({low:.2f} to {high:.2f})",
        verdict="within its bounds" if low <= true <= high else "**outside its bounds**",
    )


def _exactly(what: str, true: int, said: int) -> Line:
    verdict = "exact" if true == said else "**wrong**"
    return Line(what=what, true=f"{true:,}", said=f"{said:,}", verdict=verdict)


# -- the old toolkit


def _old_toolkit(truth: Truth, *, invocations: int) -> list[Line]:
    print(f"{_OLD}: installing where it is not", flush=True)
    installed = environment("env-old-toolkit", (f"{_OLD}=={_OLD_VERSION}",))
    folder = BUILD / "old-toolkit"
    folder.mkdir(parents=True, exist_ok=True)
    examples = folder / "invocations.jsonl"
    examples.write_text(json.dumps({"Body": _BODY.decode(), "ContentType": "text/csv"}) + "\n")
    results = folder / f"results-{time.time_ns()}"
    before = set(truth.logs())
    command = [str(installed / "bin" / "python"), "-m", "sm_serverless_benchmarking"]
    command += ["known", str(examples), "--result_save_path", str(results)]
    command += ["--memory_sizes", "1024", "2048", "--stability_benchmark_invocations", "20"]
    # One value of max_conc crashes it: two, the second without interest.
    command += ["--concurrency_benchmark_max_conc", str(CLOSED[0]), str(CLOSED[1])]
    command += ["--concurrency_benchmark_invocations", str(invocations)]
    command += ["--concurrency_num_clients_multiplier", str(CLOSED[1] // CLOSED[0])]
    print(f"{_OLD} {version(installed, _OLD)}: running", flush=True)
    run = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **truth.client_environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if run.returncode:
        last = (run.stderr.strip() or "nothing").rpartition("\n")[2]
        raise SkippedError(f"it ended with exit code {run.returncode}: {last}")
    row = _old_row(results)
    logs = {name: log for name, log in truth.logs().items() if name not in before}
    log = _log_of(logs, invocations)
    return _old_lines(row, log, invocations)


def _old_row(results: Path) -> Mapping[str, str]:
    """What its table says of the level that ours was measured at."""
    folder = results / "concurrency_benchmark_summary_results"
    with (folder / "concurrency_benchmark_summary.csv").open() as table:
        for row in csv.DictReader(table):
            if (row["max_concurrency"], row["num_clients"]) == tuple(map(str, CLOSED)):
                return row
    raise SkippedError(f"its table has no line for {CLOSED[1]} clients on {CLOSED[0]}")


def _log_of(logs: Mapping[str, Log], invocations: int) -> Log:
    """The log of its endpoint with the smaller concurrency: throttled most."""
    busy = [log for log in logs.values() if len(log) >= invocations]
    return max(busy, key=lambda log: sum(row[1] is None for row in log))


def _old_lines(row: Mapping[str, str], log: Log, invocations: int) -> list[Line]:
    served = sorted(row[3] for row in log if row[1] is not None)
    throttles = sum(each[1] is None for each in log)
    slowest_ms, said_ms = served[-1] * 1e3, float(row["invocation_latency_max"])
    said_throttles = int(float(row["throttle_exception"]))
    return [
        _exactly("throttled requests", throttles, said_throttles),
        _exactly("requests that reached the runtime", len(log), invocations),
        Line(
            what="p99 of the good answers, ms",
            true=f"{served[math.ceil(0.99 * len(served)) - 1] * 1e3:.2f}",
            said="no percentile above the median",
            verdict="not told",
        ),
        Line(
            what="slowest good answer, ms",
            true=f"{slowest_ms:.2f}",
            said=f"{said_ms:.2f}",
            verdict="**too low**" if said_ms < slowest_ms else "not below the truth",
        ),
        Line(
            what="cold starts",
            true=f"{sum(each[2] > 0 for each in log)}",
            said="not per request",
            verdict="not told",
        ),
    ]


# -- the page


def _section(
    ours: Sequence[Line],
    invalid: str | None,
    spoiled: int,
    theirs: Sequence[Line],
    *,
    quick: bool,
) -> str:
    head = ("figure", "true", "reported", "")
    command = "python -m tools.bench truth" + (" --quick" if quick else "")
    client = "valid" if invalid is None else f"**INVALID**: {invalid}"
    if spoiled:
        client += f" ({spoiled} before it called itself INVALID: the machine was busy)"
    text = f"""\
A server on the loopback interface plays a serverless endpoint: environments that are kept, started
cold when all are busy, throttling beyond MaxConcurrency {MAX_CONCURRENCY}; service times are
log-normal. The share of throttles is known by Erlang's formula, all else from the server's log.
`python -m benchmarking concurrency` offers {RATE_PER_S:g} requests/s as a Poisson process; its
figures have bounds at 95 % confidence: one in twenty of them may miss the truth. It calls its
measurement {client}.
{page.machine(command)}

{page.table(head, [_cells(line) for line in ours])}"""
    if theirs:
        text += f"""

{_OLD} {_OLD_VERSION}, on the same runtime, {CLOSED[1]} clients on MaxConcurrency {CLOSED[0]}, as
many as its options let it have; the truth is what the runtime's log says of its own requests:

{page.table(head, [_cells(line) for line in theirs])}"""
    return text


def _cells(line: Line) -> list[str]:
    return [line.what, line.true, line.said, line.verdict]
