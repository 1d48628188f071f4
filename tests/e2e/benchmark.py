"""The benchmark's command line and what it talks to, for its end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .conftest import ECHO, PATIENCE_S, REPOSITORY, ROLE, SETTINGS, Runtime

SPEED = 60  # a minute of the service in a second
# Environments go after eight idle minutes, so that eight seconds without a request are a long gap.
ROOM = f"{SETTINGS}serverless_idle_s = 480.0\n"


@dataclass
class Bench:
    """The command line, and what it talks to."""

    runtime: Runtime
    folder: Path
    model: str
    payloads: Path
    more: dict[str, str] = field(default_factory=dict)
    repository: Path = REPOSITORY

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **kept,
            "AWS_ENDPOINT_URL": self.runtime.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "XDG_STATE_HOME": str(self.folder / "state"),
            **self.more,
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "benchmarking", *arguments]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=REPOSITORY,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def out(self) -> Path:
        return self.folder / self.runtime.name("out")

    def subject(self, out: Path) -> list[str]:
        return [
            *("--model-name", self.model),
            *("--payloads", str(self.payloads)),
            *("--out", str(out)),
        ]

    def left(self) -> list[str]:
        """Endpoints and configurations of benchmarks."""
        sagemaker = self.runtime.sagemaker
        listed = [
            *(e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]),
            *(
                c["EndpointConfigName"]
                for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]
            ),
            *(m["ModelName"] for m in sagemaker.list_models()["Models"]),
        ]
        return [name for name in listed if name.startswith("bench-")]


def record(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return document


def samples(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def create_model(runtime: Runtime, code: str = ECHO) -> str:
    name = runtime.name("measured")
    runtime.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=runtime.handler(code)
    )
    return name


def new_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A runtime with a fast clock, a model and payloads."""
    folder = tmp_path_factory.mktemp("bench")
    runtime = Runtime(
        tmp_path_factory.mktemp("runtime"), settings=ROOM, arguments=("--speed", str(SPEED))
    )
    payloads = folder / "payloads.jsonl"
    payloads.write_text('{"body": "1,2"}\n{"body": {"instances": [[3]]}}\n')
    return Bench(runtime, folder, create_model(runtime), payloads)
