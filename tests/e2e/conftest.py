"""A real runtime in its own processes, driven with boto3."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/execution"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312-cpu-py3"
# For a process to end, or a request to be answered, on a machine that is busy with other things.
PATIENCE_S = 300.0
# A period of CloudWatch that no test sees the end of: midnight ends those of a day.
EVER_S = 366 * 86_400
REPOSITORY = Path(__file__).resolve().parents[2]

# Less of everything than AWS gives, but for time: no test may depend on how fast a machine is.
SETTINGS = """
[images."tests/own-server"]
command = ["{python}", "own_server.py"]
cwd = "."

[limits]
stop_grace_s = 3.0
restart_backoff_s = 0.05
queue_length = 10
model_unpacked_bytes = 50_000_000
model_unpack_ratio = 100
model_unpack_ratio_from_bytes = 1_000_000
log_file_bytes = 2_000_000
max_instances_per_variant = 2
"""
# For tests of time-outs alone: what shall be answered there takes next to no time.
HASTY = f"{SETTINGS}invocation_timeout_s = 3.0\n"

# Stands in for somebody's image: a program that listens where it is told.
OWN_SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = dict(self.headers)
        said["path"], said["body"] = self.path, body.decode("latin-1")
        self.answer(200, json.dumps(said).encode(), [("Content-Type", "application/json")])

    def log_message(self, *_):
        pass

PORT = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""

ECHO = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    return data

def output_fn(data, accept):
    return data, accept
"""


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A .tar.gz with these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            data = textwrap.dedent(content).encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def wait_until(condition: Callable[[], Any], *, timeout_s: float = 300.0) -> Any:
    """Poll a real process until ``condition`` is true; its value."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)
    return value


def up(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``up`` with arguments that it refuses."""
    return subprocess.run(
        [sys.executable, "-m", "local_runtime", "up", *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


class Runtime:
    """``python -m local_runtime up`` and clients that talk to it."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: str = SETTINGS,
        keeps_state: bool = True,
        arguments: Sequence[str] = (),
    ) -> None:
        self.state_dir = folder / "state"
        self.temporary = folder / "t"
        self.temporary.mkdir()
        (folder / "own_server.py").write_text(OWN_SERVER)
        (folder / "settings.toml").write_text(settings)
        self._errors = (folder / "stderr.txt").open("w+")
        self._command = [sys.executable, "-m", "local_runtime", "up"]
        self._command += ["--settings", str(folder / "settings.toml")]
        self._command += arguments
        if keeps_state:
            self._command += ["--state-dir", str(self.state_dir)]
        self._names = itertools.count(1)
        self.port = 0
        self._start()
        self.s3.create_bucket(Bucket="models")

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [*self._command, "--port", str(self.port)],
            cwd=REPOSITORY,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline().strip()
        assert self.ready_line.startswith("ready http://127.0.0.1:"), self.stderr
        self.url = self.ready_line.removeprefix("ready ")
        self.port = int(self.url.rpartition(":")[2])
        self.s3 = self.client("s3")
        self.sagemaker = self.client("sagemaker")
        self.invoker = self.client("sagemaker-runtime")

    def restart(self, *, kill: bool = False) -> None:
        """End it, in an instant with every process of it if ``kill``, and start it again."""
        if kill:
            self._kill_everything()
        else:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._start()

    def _kill_everything(self) -> None:
        # Who is stopped neither begins to tidy up nor starts what would be overlooked.
        found: set[int] = set()
        while new := {self.process.pid, *self.processes()} - found:
            _send(signal.SIGSTOP, new)
            found |= new
        _send(signal.SIGKILL, found)
        wait_until(lambda: not any(map(_lives, found - {self.process.pid})))

    @property
    def stderr(self) -> str:
        """What the runtime has said to people so far."""
        self._errors.flush()
        return Path(self._errors.name).read_text()

    def client(self, service: str) -> Any:
        """A boto3 client that does not repeat a failed request."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - opens nothing
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=PATIENCE_S,
                read_timeout=PATIENCE_S,
                max_pool_connections=64,
                s3={"addressing_style": "path"},
            ),
        )

    def name(self, prefix: str = "test") -> str:
        """A name that no other test has."""
        return f"{prefix}-{next(self._names)}"

    def container(
        self,
        files: Mapping[str, str | bytes] | bytes,
        *,
        environment: Mapping[str, str] | None = None,
        image: str = IMAGE,
        **more: Any,
    ) -> dict[str, Any]:
        """A ContainerDefinition whose model data is uploaded."""
        key = f"{self.name('artifact')}.tar.gz"
        body = files if isinstance(files, bytes) else archive(files)
        self.s3.put_object(Bucket="models", Key=key, Body=body)
        return {
            "Image": image,
            "ModelDataUrl": f"s3://models/{key}",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", **(environment or {})},
            **more,
        }

    def handler(self, code: str, **more: Any) -> dict[str, Any]:
        """A container that serves a script."""
        return self.container({"code/inference.py": code}, **more)

    def config(self, *containers: dict[str, Any], mode: str | None = None, **variant: Any) -> str:
        """An endpoint configuration with one variant."""
        return self.config_of([self.variant(*containers, mode=mode, **variant)])

    def variant(
        self, *containers: dict[str, Any], mode: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """A ProductionVariant whose model is created."""
        name = self.name("model")
        model: dict[str, Any] = (
            {"PrimaryContainer": containers[0]}
            if len(containers) == 1
            else {"Containers": list(containers)}
        )
        if mode is not None:
            model["InferenceExecutionConfig"] = {"Mode": mode}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, **model)
        return {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            **more,
        }

    def config_of(self, variants: Sequence[dict[str, Any]], **more: Any) -> str:
        """An endpoint configuration."""
        name = self.name("config")
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants), **more
        )
        return name

    def create(self, config: str) -> str:
        """An endpoint that is being created."""
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name

    def deploy(self, *containers: dict[str, Any], **more: Any) -> str:
        """An endpoint in service."""
        return self.deploy_config(self.config(*containers, **more))

    def deploy_config(self, config: str) -> str:
        """An endpoint in service, from its configuration."""
        name = self.create(config)
        described = self.settled(name)
        assert described["EndpointStatus"] == "InService", described.get("FailureReason")
        return name

    def settled(self, name: str) -> dict[str, Any]:
        """DescribeEndpoint, once no work is under way."""

        def description() -> dict[str, Any] | None:
            answer: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return answer if answer["EndpointStatus"] in {"InService", "Failed"} else None

        found: dict[str, Any] = wait_until(description)
        return found

    def failure(self, *containers: dict[str, Any], **more: Any) -> str:
        """The FailureReason of an endpoint that cannot be served."""
        name = self.create(self.config(*containers, **more))
        described = self.settled(name)
        assert described["EndpointStatus"] == "Failed"
        reason: str = described["FailureReason"]
        return reason

    def invoke(self, name: str, body: bytes | str = b"", **more: Any) -> dict[str, Any]:
        """InvokeEndpoint, its body read."""
        more.setdefault("ContentType", "application/octet-stream")
        answer: dict[str, Any] = self.invoker.invoke_endpoint(EndpointName=name, Body=body, **more)
        answer["Body"] = answer["Body"].read()
        return answer

    def log(self, endpoint: str) -> str:
        """What the containers of an endpoint have printed."""
        folder = self.state_dir / "logs" / REGION / "aws/sagemaker/Endpoints" / endpoint
        paths = [path for path in files_below(folder) if path.suffix == ".log"]
        return "".join(path.read_text() for path in sorted(paths))

    def pids(self, role: str) -> list[int]:
        """Processes below this runtime whose command line contains ``role``."""
        return [pid for pid, command in self.processes().items() if role in command]

    def containers(self, endpoint: str) -> list[int]:
        """Processes that write to the logs of an endpoint: its containers and what they start."""
        return [pid for pid in self.processes() if f"/Endpoints/{endpoint}/" in _output(pid)]

    @property
    def data_plane(self) -> int:
        """The process that serves, not one that it is just starting."""
        found = self.pids("local_runtime.gateway")
        (pid,) = (pid for pid in found if parent_of(pid) == self.process.pid)
        return pid

    def processes(self) -> dict[int, str]:
        """Every process below this runtime, with its command line."""
        return descendants(self.process.pid)

    def stop(self, *, kill: bool = False) -> int:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()
        return code


def files_below(folder: Path) -> list[Path]:
    """The files of a folder in which others create and remove some meanwhile."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def _send(number: signal.Signals, pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _output(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/fd/1").readlink())
    except OSError:  # it has ended since it was listed
        return ""


def parent_of(pid: int) -> int:
    """Who started a process; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def descendants(root: int) -> dict[int, str]:
    """Every living process below ``root``, with its command line."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: dict[int, str] = {}
    for pid, parent in parents.items():
        ancestor: int | None = parent
        while ancestor is not None and ancestor != root:
            ancestor = parents.get(ancestor)
        if ancestor == root:
            try:
                found[pid] = Path("/proc", str(pid), "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return found


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """One runtime for all tests that do not break it."""
    started = Runtime(tmp_path_factory.mktemp("runtime"))
    yield started
    started.stop()


@pytest.fixture
def start_runtime(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Runtime]]:
    """Start runtimes of the test's own."""
    started: list[Runtime] = []

    def start(**more: Any) -> Runtime:
        started.append(Runtime(tmp_path_factory.mktemp("runtime"), **more))
        return started[-1]

    yield start
    for each in started:
        each.stop()
