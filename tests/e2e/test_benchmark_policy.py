"""The policy of benchmarks against what real runs call: every call is allowed, nothing else is.

The runs go through a proxy that writes down each authorization that AWS would ask for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from constructs_lib import BenchmarkJob, Network
from hosting import benchmark_policy
from hosting.benchmark_policy import Scope
from tests.iam_policy import Call, allows

from .conftest import ACCOUNT_ID, ECHO, PATIENCE_S, REGION, REPOSITORY, ROLE, Runtime, wait_until
from .recording_proxy import RecordingProxy

pytestmark = pytest.mark.e2e

# Not called by a run that succeeds: transfers in parts give up with it.
ON_FAILURE = {"s3:AbortMultipartUpload"}
STACK = "measured-dev"


@dataclass(frozen=True)
class Program:
    """``python -m benchmarking`` and its job, talking to a proxy."""

    runtime: Runtime
    proxy: RecordingProxy
    folder: Path
    model: str

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=REPOSITORY,
            env={
                **kept,
                "AWS_ENDPOINT_URL": self.proxy.url,
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "local",
                "AWS_SECRET_ACCESS_KEY": "local",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "XDG_STATE_HOME": str(self.folder / "state"),
                "TMPDIR": str(self.folder),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *arguments: str, code: int = 0) -> str:
        process = self.start(module, *arguments)
        out, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, errors
        return out + errors

    def left(self) -> list[str]:
        sagemaker = self.runtime.sagemaker
        listed = [
            *(each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]),
            *(
                each["EndpointConfigName"]
                for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]
            ),
            *(each["ModelName"] for each in sagemaker.list_models()["Models"]),
        ]
        return [name for name in listed if name.startswith(benchmark_policy.NAME_PREFIX)]


@pytest.fixture(scope="module")
def fast_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    started = Runtime(tmp_path_factory.mktemp("runtime"), arguments=("--speed", "60"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def model(fast_runtime: Runtime) -> str:
    """A model in a stack, so that it can be looked up there."""
    container = fast_runtime.handler(ECHO)
    template = {
        "Resources": {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container},
            }
        }
    }
    cloudformation = fast_runtime.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))

    def resource() -> Any:
        (found,) = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        return found if found["ResourceStatus"] == "CREATE_COMPLETE" else None

    name: str = wait_until(resource)["PhysicalResourceId"]
    return name.rpartition("/")[2]


@pytest.fixture(scope="module")
def recorded(
    fast_runtime: Runtime, model: str, tmp_path_factory: pytest.TempPathFactory
) -> list[Call]:
    """The authorizations of every verb that talks to AWS."""
    folder = tmp_path_factory.mktemp("benchmarks")
    small, large = folder / "small.jsonl", folder / "large.jsonl"
    small.write_text('{"body": "1,2"}\n')
    large.write_text(json.dumps({"body": "x" * 130_000}) + "\n")
    proxy = RecordingProxy(fast_runtime.url)
    as_aws = RecordingProxy(fast_runtime.url, as_aws=True)
    program = Program(fast_runtime, proxy, folder, model)
    aws_program = Program(fast_runtime, as_aws, folder, model)
    one = ("--requests", "20", "--memory-sizes", "1024", "--quiet")
    named = ("--model-name", model, "--payloads", str(small))
    try:
        program.run(
            "benchmarking", "compare", "--model-name", model, "--payloads", str(large),
            "--out", str(folder / "compare"), "--rate", "20", "--duration", "2",
            "--warm-up", "0", "--memory-sizes", "1024", "--instance-type", "ml.m5.large",
            "--copies", "2", "--quiet",
        )  # fmt: skip
        program.run(
            "benchmarking", "stability", "--stack", "measured", "--env", "dev",
            "--payloads", str(small), "--out", str(folder / "stability"), *one,
        )  # fmt: skip
        program.run(
            "benchmarking", "stability", "--model-name", "misspelled", "--payloads", str(small),
            "--out", str(folder / "none"), *one, code=1,
        )  # fmt: skip
        fast_runtime.sagemaker.create_endpoint_config(
            EndpointConfigName="bench-left-behind",
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": model,
                    "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
                }
            ],
        )
        program.run("benchmarking", "clean", "--older-than", "0s")
        aws_program.run(
            "benchmarking", "stability", *named, "--out", str(folder / "dry"), "--dry-run", *one
        )
        aws_program.run("benchmarking", "prices", "--out", str(folder / "prices.json"), code=1)
        fast_runtime.sagemaker.delete_endpoint_config(EndpointConfigName="bench-left-behind")
        assert program.left() == []
    finally:
        proxy.stop()
        as_aws.stop()
    return [*proxy.calls, *as_aws.calls]


def scope(model: str) -> Scope:
    return Scope(
        region=REGION,
        account=ACCOUNT_ID,
        models=[model, "misspelled"],
        model_roles=[ROLE],
        bucket="models",
        artifacts=["arn:aws:s3:::models/artifact-*.tar.gz"],
    )


def test_every_call_of_a_benchmark_is_allowed(recorded: list[Call], model: str) -> None:
    statements = benchmark_policy.statements(scope(model))

    assert len(recorded) > 100
    assert [str(call) for call in recorded if not allows(statements, call)] == []


def test_nothing_is_allowed_that_no_benchmark_calls(recorded: list[Call], model: str) -> None:
    allowed = {
        action
        for statement in benchmark_policy.statements(scope(model))
        for action in statement["Action"]
    }

    assert allowed - {call.action for call in recorded} == ON_FAILURE


def test_no_statement_can_be_left_out(recorded: list[Call], model: str) -> None:
    statements = benchmark_policy.statements(scope(model))

    for left_out in statements:
        others = [statement for statement in statements if statement is not left_out]
        assert not all(allows(others, call) for call in recorded), left_out["Sid"]


def job_statements() -> list[dict[str, Any]]:
    """The policy of a job for these models and this bucket, as it is deployed."""
    stack = cdk.Stack(env=cdk.Environment(region=REGION, account=ACCOUNT_ID))
    BenchmarkJob(
        stack,
        "Job",
        network=Network(
            vpc=ec2.Vpc.from_vpc_attributes(
                stack,
                "Vpc",
                vpc_id="vpc-0123456789abcdef0",
                availability_zones=["us-east-1a"],
                private_subnet_ids=["subnet-0123456789abcdef0"],
            )
        ),
        models=["*"],
        model_roles=[iam.Role.from_role_arn(stack, "Role", ROLE)],
        bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "models"),
        image=ecs.ContainerImage.from_registry("ours"),
    )
    (policy,) = Template.from_stack(stack).find_resources("AWS::IAM::ManagedPolicy").values()
    text = json.dumps(policy["Properties"]["PolicyDocument"]["Statement"])
    joined = json.loads(text.replace('{"Ref": "AWS::Partition"}', '"aws"'))
    statements: list[dict[str, Any]] = _resolved(joined)
    return statements


def _resolved(value: Any) -> Any:
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(parts)
        case dict():
            return {key: _resolved(inner) for key, inner in value.items()}
        case list():
            return [_resolved(inner) for inner in value]
        case _:
            return value


@pytest.fixture
def job(fast_runtime: Runtime, model: str, tmp_path: Path) -> Iterator[Program]:
    proxy = RecordingProxy(fast_runtime.url)
    payloads = b'{"body": "1,2"}\n'
    fast_runtime.s3.put_object(Bucket="models", Key="payloads/few.jsonl", Body=payloads)
    yield Program(fast_runtime, proxy, tmp_path, model)
    proxy.stop()


PLACE = ("--results", "s3://models/results/", "--region", REGION)
FROM_S3 = ("--payloads", "s3://models/payloads/few.jsonl")


def results(runtime: Runtime, run: str) -> set[str]:
    listed = runtime.s3.list_objects_v2(Bucket="models", Prefix=f"results/{run}/")
    return {each["Key"].rpartition("/")[2] for each in listed.get("Contents", ())}


def test_a_job_reads_and_writes_in_s3_within_its_policy(job: Program) -> None:
    job.run(
        "benchmarking.job", *PLACE, "--run", "whole", "--work", str(job.folder),
        "stability", "--model-name", job.model, *FROM_S3,
        "--memory-sizes", "1024", "--requests", "20",
    )  # fmt: skip

    found = results(job.runtime, "whole")
    assert {"run.json", "samples.jsonl", "report.html", "journal.jsonl"} <= found
    statements = job_statements()
    assert [str(call) for call in job.proxy.calls if not allows(statements, call)] == []
    assert job.left() == []
    assert [path.name for path in job.folder.iterdir() if path.name != "state"] == []


def test_a_job_that_is_told_to_stop_removes_its_endpoints_and_keeps_what_it_has(
    job: Program,
) -> None:
    process = job.start(
        "benchmarking.job", *PLACE, "--run", "stopped", "--work", str(job.folder),
        "stability", "--model-name", job.model, *FROM_S3,
        "--memory-sizes", "1024", "--rate", "20", "--duration", "600",
    )  # fmt: skip
    wait_until(lambda: any(c.action == "sagemaker:InvokeEndpoint" for c in job.proxy.calls[:]))

    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode != 0, errors
    assert job.left() == []
    assert {"run.json", "samples.jsonl"} <= results(job.runtime, "stopped")


def test_what_a_killed_job_has_left_is_removed_by_the_next_task(job: Program) -> None:
    process = job.start(
        "benchmarking.job", *PLACE, "--run", "killed", "--work", str(job.folder),
        "stability", "--model-name", job.model, *FROM_S3,
        "--memory-sizes", "1024", "--rate", "20", "--duration", "600",
    )  # fmt: skip
    wait_until(lambda: any(c.action == "sagemaker:InvokeEndpoint" for c in job.proxy.calls[:]))
    wait_until(lambda: "journal.jsonl" in results(job.runtime, "killed"))
    # The container is gone with all that ran in it.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    for pid in children:
        os.kill(int(pid), 9)
    process.communicate()
    assert job.left() != []

    said = job.run(
        "benchmarking.job", *PLACE, "--run", "killed", "--work", str(job.folder), "--clean"
    )

    assert job.left() == [], said
    statements = job_statements()
    assert [str(call) for call in job.proxy.calls if not allows(statements, call)] == []


def test_cleaning_after_a_run_that_never_began_finds_nothing(job: Program) -> None:
    said = job.run("benchmarking.job", *PLACE, "--run", "never", "--clean")

    assert "it has created nothing" in said
