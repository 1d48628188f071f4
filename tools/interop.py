"""``python -m tools.interop``: clients that others wrote, unmodified, against the local runtime.

Each lives in an environment of its own below ``build/interop`` and is installed once. One that does
not install is skipped, with pip's last word. Results also go to ``build/interop/summary.json``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.runtime_client import ROOT, client, local_runtime

FOLDER = ROOT / "build" / "interop"
BUCKET = "interop"
ROLE = "arn:aws:iam::123456789012:role/execution"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
TIMEOUT_S = 600

HANDLER = """
import json
import time

def model_fn(model_dir):
    print("ready")
    return [0.5, -1.0, 2.0]

def input_fn(data, content_type):
    text = data if isinstance(data, str) else data.decode()
    return [float(field) for field in text.split(",")]

def predict_fn(row, weights):
    time.sleep(0.03)
    return sum(a * b for a, b in zip(row, weights))

def output_fn(score, accept):
    return json.dumps({"score": score}), "application/json"
"""
ROW, SCORE = "2,1,0.25", 0.5

TEMPLATE = """
Resources:
  Artifacts:
    Type: AWS::S3::Bucket
Outputs:
  Bucket:
    Value: !Ref Artifacts
"""


class NotInstalledError(Exception):
    """The client cannot be installed here."""


class WrongAnswerError(Exception):
    """The client did not get what it should have."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one client."""

    client: str
    version: str
    outcome: str
    words: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime that clients are pointed to, and what is deployed there."""

    environment: Mapping[str, str]
    endpoint: str
    serverless_model: str

    def aws(self, service: str) -> Any:
        """A boto3 client, to look at what others have done."""
        return client(service, self.environment)


@dataclass(frozen=True, slots=True)
class Client:
    """One client: what pip installs, the distribution that has its version, what it shall do."""

    name: str
    requirements: Sequence[str]
    distribution: str
    exercise: Callable[[Path, Runtime], str]


def main() -> int:
    """Try the clients that the command line names, or all.

    Returns:
        0 when none has failed; a client that was skipped has not.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.interop", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(CLIENTS))
    names = parser.parse_args().clients or list(CLIENTS)
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        parser.error(f"clients must be among {', '.join(CLIENTS)}, got {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with local_runtime(speed=1) as environment:
        runtime = _deploy(_without_user_settings(environment))
        results = [_try(CLIENTS[name], runtime) for name in names]
    for result in results:
        print(
            f"{result.outcome:<8} {result.client} {result.version}  {result.words}"
            f"  ({result.seconds:.0f} s)"
        )
    summary = [asdict(result) for result in results]
    (FOLDER / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return int(any(result.outcome == "failed" for result in results))


def _try(tried: Client, runtime: Runtime) -> Result:
    began_s, version = time.monotonic(), ""
    try:
        folder = _environment(tried)
        version = _version(folder, tried.distribution)
        outcome, words = "ok", tried.exercise(folder / "bin", runtime)
    except NotInstalledError as reason:
        outcome, words = "skipped", str(reason)
    except WrongAnswerError as fault:
        outcome, words = "failed", str(fault)
    return Result(tried.name, version, outcome, words, time.monotonic() - began_s)


def _environment(tried: Client) -> Path:
    """A virtual environment with the client, made at its first use."""
    folder = FOLDER / tried.name
    complete = folder / "requirements.txt"
    wanted = "\n".join(tried.requirements)
    if complete.is_file() and complete.read_text() == wanted:
        return folder
    print(f"installing {tried.name}", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    installed = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *tried.requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode != 0:
        raise NotInstalledError(f"not installable here: {_last_line(installed.stderr)}")
    complete.write_text(wanted)
    return folder


def _version(folder: Path, distribution: str) -> str:
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    return _run([folder / "bin" / "python", "-c", code], os.environ).strip()


def _run(
    command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path | None = None
) -> str:
    """Run a client; its standard output.

    Raises:
        WrongAnswerError: it has failed, or not ended in time.
    """
    shown = " ".join(str(word) for word in command[1:5])
    try:
        ended = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise WrongAnswerError(f"{shown} did not end in {TIMEOUT_S} s") from error
    if ended.returncode != 0:
        said = _last_line(ended.stderr)
        raise WrongAnswerError(f"{shown} ended with exit code {ended.returncode}: {said}")
    return ended.stdout


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise WrongAnswerError(what)


# -- what is deployed


def _without_user_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: value for name, value in environment.items() if name != "AWS_PROFILE"},
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_PAGER": "",
        "MPLBACKEND": "Agg",
    }


def _deploy(environment: Mapping[str, str]) -> Runtime:
    runtime = Runtime(environment, endpoint="scores", serverless_model="scores")
    s3, sagemaker = runtime.aws("s3"), runtime.aws("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=_archive("code/inference.py", HANDLER))
    sagemaker.create_model(
        ModelName=runtime.serverless_model,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        },
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=runtime.endpoint,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": runtime.serverless_model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=runtime.endpoint, EndpointConfigName=runtime.endpoint)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=runtime.endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    return runtime


def _archive(name: str, text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


# -- AWS CLI


def _aws_cli(programs: Path, runtime: Runtime) -> str:
    work = FOLDER / "aws-cli-work"
    work.mkdir(exist_ok=True)
    (work / "row.csv").write_text(ROW)
    (work / "template.yaml").write_text(TEMPLATE)

    def aws(*words: str) -> str:
        return _run([programs / "aws", *words], runtime.environment, cwd=work)

    def read(*words: str) -> Any:
        return json.loads(aws(*words, "--output", "json"))

    stack = "interop"
    aws("cloudformation", "deploy", "--stack-name", stack, "--template-file", "template.yaml")
    described = read("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"][0]
    _require(described["StackStatus"] == "CREATE_COMPLETE", "the stack is not complete")
    bucket = described["Outputs"][0]["OutputValue"]
    aws("s3", "cp", "row.csv", f"s3://{bucket}/rows/row.csv")
    aws("s3", "cp", f"s3://{bucket}/rows/row.csv", "copy.csv")
    _require((work / "copy.csv").read_text() == ROW, "the object came back changed")
    _require("rows/" in aws("s3", "ls", f"s3://{bucket}"), "s3 ls does not show the prefix")
    listed = read("sagemaker", "list-endpoints")["Endpoints"]
    _require(
        runtime.endpoint in [each["EndpointName"] for each in listed],
        "list-endpoints does not show the endpoint",
    )
    metadata = read(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", runtime.endpoint),
        *("--content-type", "text/csv", "--body", "fileb://row.csv", "answer.json"),
    )
    _require(
        metadata["InvokedProductionVariant"] == "AllTraffic"
        and json.loads((work / "answer.json").read_text()) == {"score": SCORE},
        "invoke-endpoint gave another answer",
    )
    group = f"/aws/sagemaker/Endpoints/{runtime.endpoint}"
    events = read("logs", "filter-log-events", "--log-group-name", group)["events"]
    _require("ready" in [event["message"] for event in events], "the log does not say ready")
    metrics = read("cloudwatch", "list-metrics", "--namespace", "AWS/SageMaker")["Metrics"]
    _require("Invocations" in [metric["MetricName"] for metric in metrics], "no metric Invocations")
    aws("s3", "rm", "--recursive", f"s3://{bucket}")
    aws("cloudformation", "delete-stack", "--stack-name", stack)
    aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", stack)
    return "stack deployed, read and deleted; object copied; endpoint listed and invoked; log read"


# -- the serverless benchmarking toolkit of aws-samples


def _toolkit(programs: Path, runtime: Runtime) -> str:
    work = FOLDER / f"{programs.parent.name}-work"
    work.mkdir(exist_ok=True)
    examples = work / "invocations.jsonl"
    examples.write_text(json.dumps({"Body": ROW, "ContentType": "text/csv"}) + "\n")
    results = work / f"results-{time.time_ns()}"
    _run(
        [
            *(programs / "python", "-m", "sm_serverless_benchmarking"),
            *(runtime.serverless_model, str(examples), "--result_save_path", str(results)),
            *("--memory_sizes", "1024", "2048", "--stability_benchmark_invocations", "20"),
            *("--concurrency_benchmark_max_conc", "2", "4"),
            *("--concurrency_benchmark_invocations", "24"),
            *("--concurrency_num_clients_multiplier", "1", "2"),
        ],
        runtime.environment,
        cwd=work,
    )
    files = [path for path in results.rglob("*") if path.is_file()]
    _require(any(path.suffix == ".html" for path in files), "it wrote no report")
    with (results / "stability_benchmark_raw_results" / "endpoint_metrics.csv").open() as table:
        found = {row["metric_name"] for row in csv.DictReader(table) if row.get("Average")}
    missing = {"MemoryUtilization", "ModelSetupTime", "ModelLatency", "OverheadLatency"} - found
    _require(not missing, f"it found no values of {', '.join(sorted(missing))}")
    sagemaker = runtime.aws("sagemaker")
    left = [
        endpoint["EndpointName"]
        for endpoint in sagemaker.list_endpoints()["Endpoints"]
        if endpoint["EndpointName"] != runtime.endpoint
    ]
    _require(not left, f"it left endpoints behind: {left}")
    return f"both benchmarks run, {len(files)} files written, every endpoint deleted again"


CLIENTS = {
    each.name: each
    for each in (
        Client("aws-cli", ["awscli>=1.40,<2"], "awscli", _aws_cli),
        Client(
            "serverless-benchmarking",
            ["sm-serverless-benchmarking==0.2.3"],
            "sm-serverless-benchmarking",
            _toolkit,
        ),
        # This boto3 asks CloudWatch by the query protocol, the newest one by JSON.
        Client(
            "serverless-benchmarking-boto3-1.34",
            ["sm-serverless-benchmarking==0.2.3", "boto3==1.34.0"],
            "sm-serverless-benchmarking",
            _toolkit,
        ),
    )
}

if __name__ == "__main__":
    sys.exit(main())
