"""Our runtime as a subject: started by its command, deployed to and signed for with boto3."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from tools.bench.subjects import ROOT, SERVERS, Question

IMAGE: Final = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
BUCKET: Final = "models"
ON_ONE_INSTANCE: Final[dict[str, Any]] = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
_ROLE: Final = "arn:aws:iam::123456789012:role/execution"
_EXIT_TIMEOUT_S: Final = 60


class Runtime:
    """A runtime that runs, and clients of it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid
        self._session = boto3.Session(
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - nobody checks it
            region_name="us-east-1",
        )
        self.client("s3").create_bucket(Bucket=BUCKET)

    def client(self, service: str) -> Any:
        """A client of it, as an application makes one."""
        return self._session.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            config=Config(s3={"addressing_style": "path"}),
        )

    def deploy(self, name: str, handlers: Sequence[str]) -> None:
        """Create an endpoint with a container per handler and wait until it serves.

        Raises:
            RuntimeError: it does not come into service.
        """
        containers = []
        for handler in dict.fromkeys(handlers):
            self.client("s3").put_object(
                Bucket=BUCKET, Key=f"{handler}.tar.gz", Body=_archive(SERVERS / handler)
            )
        for position, handler in enumerate(handlers):
            containers.append(
                {
                    "ContainerHostname": f"container-{position + 1}",
                    "Image": IMAGE,
                    "ModelDataUrl": f"s3://{BUCKET}/{handler}.tar.gz",
                    "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
                }
            )
        self.create(name, containers, **ON_ONE_INSTANCE)

    def create(
        self,
        name: str,
        containers: Sequence[Mapping[str, Any]],
        *,
        asynchronous: Mapping[str, Any] | None = None,
        **variant: Any,
    ) -> None:
        """Create an endpoint with one variant and wait until it serves.

        Args:
            name: of the endpoint, its configuration and its model.
            containers: of the model.
            asynchronous: its AsyncInferenceConfig, if it has one.
            variant: what else its production variant says.

        Raises:
            WaiterError: it does not come into service.
        """
        client = self.client("sagemaker")
        client.create_model(ModelName=name, ExecutionRoleArn=_ROLE, Containers=containers)
        client.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": name, **variant}],
            **({} if asynchronous is None else {"AsyncInferenceConfig": asynchronous}),
        )
        client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        client.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def requests(self, name: str, question: Question, count: int, **more: str) -> list[bytes]:
        """Requests as boto3 sends them, whole: each with its own id, time and signature.

        Args:
            name: of the endpoint.
            question: what it is asked.
            count: how many.
            more: arguments of InvokeEndpoint, such as TargetModel.
        """
        client = self.client("sagemaker-runtime")
        taken: list[bytes] = []

        def take(request: Any, **_: Any) -> None:
            lines = [f"{request.method} {question.target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
            for key, value in request.headers.items():
                text = value.decode("ascii") if isinstance(value, bytes) else value
                lines.append(f"{key}: {text}")
            taken.append("\r\n".join([*lines, "", ""]).encode("ascii") + question.body)
            raise _TakenError

        client.meta.events.register("before-send.sagemaker-runtime.InvokeEndpoint", take)
        for _ in range(count):
            with contextlib.suppress(_TakenError):
                client.invoke_endpoint(
                    EndpointName=name,
                    Body=question.body,
                    ContentType=question.content_type,
                    Accept="application/json",
                    **more,
                )
        return taken


class _TakenError(Exception):
    """The request has been seen and is not to be sent."""


def question_to(name: str, body: bytes) -> Question:
    """What an endpoint of ours is asked."""
    return Question(target=f"/endpoints/{name}/invocations", body=body)


@contextlib.contextmanager
def runtime(folder: Path, *arguments: str) -> Iterator[Runtime]:
    """``python -m local_runtime up``, from here to the end of the block.

    Args:
        folder: for what it prints.
        arguments: more of them, for ``up``.

    Raises:
        RuntimeError: it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "log.txt").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "local_runtime", "up", "--port", "0", *arguments],
            cwd=ROOT,
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None, "opened as a pipe"
            line = process.stdout.readline()
            ready = re.fullmatch(r"ready http://127\.0\.0\.1:(\d+)\n", line)
            if ready is None:
                raise RuntimeError(f"the runtime did not start, see {folder / 'log.txt'}")
            yield Runtime(int(ready[1]), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_EXIT_TIMEOUT_S)


def _archive(handler: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(handler, "code/inference.py")
    return packed.getvalue()
