"""``python -m benchmarking``, each verb once, small, against a runtime whose clock is fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .conftest import ECHO, REPOSITORY, ROLE, SETTINGS, Runtime

pytestmark = pytest.mark.e2e

SPEED = 60  # a minute of the service in a second
# Environments go after three idle minutes, so that three seconds without a request are a long gap.
ROOM = SETTINGS.replace(
    "startup_timeout_s = 5.0", "startup_timeout_s = 30.0\nserverless_idle_s = 180.0"
)


@dataclass
class Bench:
    """The command line, and what it talks to."""

    runtime: Runtime
    folder: Path
    model: str
    payloads: Path
    more: dict[str, str] = field(default_factory=dict)

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
            timeout=120,
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


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A runtime of this module's own, a model and payloads."""
    folder = tmp_path_factory.mktemp("bench")
    runtime = Runtime(
        tmp_path_factory.mktemp("runtime"), settings=ROOM, arguments=("--speed", str(SPEED))
    )
    payloads = folder / "payloads.jsonl"
    payloads.write_text('{"body": "1,2"}\n{"body": {"instances": [[3]]}}\n')
    yield Bench(runtime, folder, create_model(runtime), payloads)
    runtime.stop()


def test_stability_measures_each_memory_size_and_leaves_nothing(bench: Bench) -> None:
    out = bench.out()

    done = bench(
        "stability", *bench.subject(out), "--memory-sizes", "1024", "6144", "--requests", "150"
    )

    assert done.returncode == 0, done.stderr
    run = record(out)
    assert [cell["id"] for cell in run["cells"]] == ["serverless-1024mb-c5", "serverless-6144mb-c5"]
    assert run["state"] == "complete"
    assert len(samples(out)) == 300
    for cell in run["cells"]:
        counted = {metric["name"]: metric["samples"] for metric in cell["metrics"]}
        assert counted["Invocations"] == 150
    assert {path.name for path in out.iterdir()} >= {"report.html", "summary.json", "journal.jsonl"}
    assert "serverless-1024mb-c5" in done.stdout
    assert bench.left() == []


def test_concurrency_shows_throttles_beyond_what_an_endpoint_holds(bench: Bench) -> None:
    out = bench.out()

    done = bench(
        "concurrency", *bench.subject(out), "--max-concurrency", "2",
        "--client-multiples", "1", "3", "--requests", "200",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    throttled = {
        name: sum(s["outcome"] == "throttle" for s in samples(out) if s["cell"] == name)
        for name in ("serverless-2048mb-c2-2clients", "serverless-2048mb-c2-6clients")
    }
    assert throttled["serverless-2048mb-c2-2clients"] == 0
    assert throttled["serverless-2048mb-c2-6clients"] > 0
    assert bench.left() == []


def test_cold_starts_are_seen_after_a_long_gap_and_not_after_a_short_one(bench: Bench) -> None:
    out = bench.out()

    done = bench(
        "cold", *bench.subject(out), "--memory-sizes", "1024",
        "--gaps", "1m", "5m", "--repeats", "1",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    cold = {s["cell"]: s["cold"] for s in samples(out) if "gap" in s["cell"]}
    assert cold == {
        "serverless-1024mb-c1-gap60s-burst1-1": False,
        "serverless-1024mb-c1-gap300s-burst1-1": True,
    }
    assert bench.left() == []


def test_compare_offers_the_same_arrivals_to_every_option(bench: Bench) -> None:
    out = bench.out()

    done = bench(
        "compare", *bench.subject(out), "--memory-sizes", "1024", "--rate", "30",
        "--duration", "2", "--warm-up", "0.5", "--requests-per-month", "1e6",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    run = record(out)
    assert [cell["option"] for cell in run["cells"]] == [
        "serverless",
        "serverless-provisioned",
        "real-time",
        "multi-model",
        "async",
    ]
    plans = {
        cell["id"]: sorted(s["intended_s"] for s in samples(out) if s["cell"] == cell["id"])
        for cell in run["cells"]
    }
    assert len(set(map(tuple, plans.values()))) == 1
    answered = {s["cell"] for s in samples(out) if s["outcome"] == "ok"}
    assert answered == set(plans)
    assert bench.left() == []
    assert "Contents" not in bench.runtime.s3.list_objects_v2(
        Bucket="models", Prefix="benchmarking/"
    )


def test_search_ends_with_the_smallest_that_was_shown_to_be_enough(bench: Bench) -> None:
    out = bench.out()

    done = bench(
        "search", *bench.subject(out), "--memory-sizes", "1024", "2048", "--rate", "150",
        "--duration", "5", "--warm-up", "1", "--objective-p99-ms", "2000",
        "--throttle-share", "20%",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert any(note.startswith("search: 1024 MB") for note in record(out)["notes"]), record(out)
    assert bench.left() == []


def test_a_dry_run_prices_the_plan_and_creates_nothing(bench: Bench) -> None:
    out = bench.out()

    done = bench("compare", *bench.subject(out), "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "10 endpoints" in done.stdout
    assert "$" in done.stdout
    assert not out.exists()


def test_a_budget_below_the_plan_is_refused_before_anything_is_created(bench: Bench) -> None:
    out = bench.out()

    done = bench("compare", *bench.subject(out), "--budget-usd", "0.0001")

    assert done.returncode == 1
    assert "budget_usd must be at least $" in done.stderr
    assert not out.exists()


def test_a_threshold_that_does_not_hold_has_an_exit_code_of_its_own(bench: Bench) -> None:
    out = bench.out()

    done = bench(
        "stability", *bench.subject(out), "--memory-sizes", "1024", "--requests", "60",
        "--fail-if", "p50>0.0001ms",
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert bench("report", str(out)).returncode == 0
    assert bench("report", str(out), "--fail-if", "p50>").returncode == 2


def test_invoke_arguments_become_payloads(bench: Bench) -> None:
    source, target = bench.folder / "arguments.json", bench.folder / "converted.jsonl"
    source.write_text(json.dumps([{"Body": "@literal", "ContentType": "text/plain"}]))

    done = bench("convert-payloads", str(source), "--out", str(target))

    assert done.returncode == 0, done.stderr
    assert json.loads(target.read_text()) == {"body": "@@literal", "content_type": "text/plain"}
