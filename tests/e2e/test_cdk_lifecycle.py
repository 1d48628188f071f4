"""The pinned CDK command line against a running local runtime."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sagemaker as sagemaker

from .conftest import IMAGE, PATIENCE_S, REPOSITORY, Runtime, archive, wait_until

pytestmark = pytest.mark.e2e

CLI = REPOSITORY / "node_modules" / ".bin" / "cdk"
# Each step says its name, so that an answer tells which artifact gave it.
STEP = """
import time

def model_fn(model_dir):
    time.sleep({startup_s})
    {model}

def input_fn(data, content_type):
    return bytes(data)

def predict_fn(data, model):
    return data + b" {name}"

def output_fn(data, accept):
    return data, "text/plain"
"""


class Deployment:
    """An app of two stacks, one using the other's bucket, and the CLI that deploys it."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._folder = folder
        self.runtime = runtime
        self._assemblies = 0
        self.command("bootstrap", "aws://123456789012/us-east-1", assembly=self.synthesize("none"))

    def synthesize(self, name: str, *, startup_s: float = 0, model: str = "return None") -> Path:
        """The cloud assembly of an app whose second step says ``name``."""
        self._assemblies += 1
        folder = self._folder / f"assembly-{self._assemblies}"
        app = cdk.App(
            outdir=str(folder), context={"@aws-cdk/core:defaultCrossStackReferences": "strong"}
        )
        environment = cdk.Environment(account="123456789012", region="us-east-1")
        storage = cdk.Stack(app, "Storage", env=environment)
        bucket = s3.Bucket(
            storage,
            "Bucket",
            removal_policy=cdk.RemovalPolicy.DESTROY,
            auto_delete_objects=True,
            enforce_ssl=True,
        )
        serving = cdk.Stack(app, "Serving", env=environment)
        role = iam.Role(serving, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        bucket.grant_read(role)
        steps = {
            "first": STEP.format(name="first", startup_s=0, model="return None"),
            "second": STEP.format(name=name, startup_s=startup_s, model=model),
        }
        described = sagemaker.CfnModel(
            serving,
            "Model",
            execution_role_arn=role.role_arn,
            containers=[
                self._container(serving, hostname, code, bucket) for hostname, code in steps.items()
            ],
        )
        config = sagemaker.CfnEndpointConfig(
            serving,
            "Config",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name="AllTraffic",
                    model_name=described.attr_model_name,
                    instance_type="ml.m5.large",
                    initial_instance_count=1,
                    initial_variant_weight=1,
                )
            ],
        )
        endpoint = sagemaker.CfnEndpoint(
            serving, "Endpoint", endpoint_config_name=config.attr_endpoint_config_name
        )
        cdk.CfnOutput(serving, "EndpointName", value=endpoint.attr_endpoint_name)
        cdk.CfnOutput(storage, "BucketName", value=bucket.bucket_name)
        app.synth()
        return folder

    def _container(
        self, scope: cdk.Stack, hostname: str, code: str, bucket: s3.Bucket
    ) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        path = self._folder / f"{hostname}-{self._assemblies}.tar.gz"
        path.write_bytes(archive({"code/inference.py": code}))
        asset = assets.Asset(scope, f"{hostname.capitalize()}Artifact", path=str(path))
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            image=IMAGE,
            container_hostname=hostname,
            model_data_url=asset.s3_object_url,
            environment={"SAGEMAKER_PROGRAM": "inference.py", "BUCKET": bucket.bucket_name},
        )

    def start(self, *arguments: str, assembly: Path) -> subprocess.Popen[str]:
        """Start the CLI on an assembly."""
        assert CLI.exists(), "the CDK command line is missing: run `npm ci`"
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._folder),
            "AWS_ENDPOINT_URL": self.runtime.url,
            "AWS_ENDPOINT_URL_S3": self.runtime.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
        }
        return subprocess.Popen(
            [str(CLI), *arguments, "--app", str(assembly), "--no-notices", "--progress", "events"],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *arguments: str, assembly: Path, succeeds: bool = True) -> str:
        """Run the CLI; what it said."""
        process = self.start(*arguments, assembly=assembly)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode == 0) is succeeds, said
        return said

    def deploy(self, assembly: Path, *, succeeds: bool = True) -> str:
        return self.command(
            "deploy", "--all", "--require-approval", "never", assembly=assembly, succeeds=succeeds
        )

    def destroy(self, assembly: Path) -> str:
        return self.command("destroy", "--all", "--force", assembly=assembly)

    def stack(self, name: str = "Serving") -> dict[str, Any]:
        stacks = self.runtime.client("cloudformation").describe_stacks(StackName=name)
        described: dict[str, Any] = stacks["Stacks"][0]
        return described

    def endpoint(self) -> str:
        [output] = self.stack()["Outputs"]
        return str(output["OutputValue"])

    def answer(self) -> bytes:
        answer: bytes = self.runtime.invoke(self.endpoint(), b"x")["Body"]
        return answer

    def models(self) -> list[str]:
        """The models that the stacks have, by their logical ids."""
        models = self.runtime.sagemaker.list_models(NameContains="Serving-", MaxResults=100)
        return [model["ModelName"] for model in models["Models"]]


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    runtime = Runtime(tmp_path_factory.mktemp("runtime"))
    yield Deployment(tmp_path_factory.mktemp("app"), runtime)
    runtime.stop()


def test_a_changed_artifact_serves_without_a_failed_request_and_leaves_nothing_old(
    deployment: Deployment,
) -> None:
    one, two = deployment.synthesize("one"), deployment.synthesize("two")
    deployment.deploy(one)
    assert deployment.answer() == b"x first one"
    [old] = deployment.models()
    assert "requires replacement" in deployment.command("diff", "Serving", assembly=two)

    answers: set[bytes] = set()
    done = threading.Event()

    def invoke() -> None:
        while not done.wait(0.02):
            answers.add(deployment.answer())

    thread = threading.Thread(target=invoke)
    thread.start()
    try:
        said = deployment.deploy(two)
    finally:
        done.set()
        thread.join()

    assert deployment.answer() == b"x first two"
    assert answers == {b"x first one", b"x first two"}
    [new] = deployment.models()
    assert new != old
    assert re.search(r"Storage.*no changes", said)
    assert "There were no differences" in deployment.command("diff", "Serving", assembly=two)


def test_a_handler_that_does_not_import_rolls_the_deployment_back(deployment: Deployment) -> None:
    good = deployment.synthesize("good")
    deployment.deploy(good)
    models, endpoint = deployment.models(), deployment.endpoint()

    said = deployment.deploy(
        deployment.synthesize("bad", model="raise ValueError('no weights')"), succeeds=False
    )

    assert "no weights" in said
    assert deployment.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert deployment.answer() == b"x first good"
    assert (deployment.models(), deployment.endpoint()) == (models, endpoint)


def test_interrupting_the_cli_leaves_the_stack_to_finish(deployment: Deployment) -> None:
    deployment.deploy(deployment.synthesize("before"))
    slow = deployment.synthesize("after", startup_s=10)
    process = deployment.start("deploy", "--all", "--require-approval", "never", assembly=slow)
    wait_until(lambda: deployment.stack()["StackStatus"] == "UPDATE_IN_PROGRESS")

    process.send_signal(signal.SIGINT)

    process.communicate(timeout=PATIENCE_S)
    wait_until(lambda: deployment.stack()["StackStatus"] == "UPDATE_COMPLETE")
    assert deployment.answer() == b"x first after"


def test_a_stack_whose_bucket_another_one_uses_goes_last(deployment: Deployment) -> None:
    assembly = deployment.synthesize("last")
    deployment.deploy(assembly)
    said = deployment.command(
        "destroy", "Storage", "--exclusively", "--force", assembly=assembly, succeeds=False
    )
    assert "cannot be deleted as it is in use by Serving" in said

    [output] = deployment.stack("Storage")["Outputs"][-1:]
    assert output["OutputValue"]
    deployment.destroy(assembly)

    assert deployment.models() == []
    runtime = deployment.runtime
    assert runtime.sagemaker.list_endpoints()["Endpoints"] == []
    buckets = [bucket["Name"] for bucket in runtime.s3.list_buckets()["Buckets"]]
    assert [name for name in buckets if name.startswith("storage-")] == []
    wait_until(lambda: runtime.pids("handler_host") == [])
