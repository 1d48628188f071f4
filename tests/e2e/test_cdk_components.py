"""The constructs of inference components, deployed to a local runtime by the CDK command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from botocore.exceptions import ClientError

from constructs_lib import (
    ComputeNeeds,
    Container,
    ContainerImage,
    CopyScaling,
    InferenceComponent,
    InferenceComponentEndpoint,
    Instances,
    ManagedScaling,
    ModelArtifact,
)

from .conftest import PATIENCE_S, REPOSITORY, Runtime, wait_until

pytestmark = pytest.mark.e2e

CLI = REPOSITORY / "node_modules" / ".bin" / "cdk"
HANDLER = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    return b"{name}"

def output_fn(data, accept):
    return data, "text/plain"
"""


class Shared:
    """An app of one stack: an endpoint and a component that scales down to no copy."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._folder = folder
        self._runtime = runtime
        self._assemblies = 0

    def synthesize(self, name: str, *, copies: int = 1) -> Path:
        """The cloud assembly of an app whose component says ``name``."""
        self._assemblies += 1
        code = self._folder / f"code-{self._assemblies}"
        code.mkdir()
        (code / "inference.py").write_text(HANDLER.format(name=name))
        folder = self._folder / f"assembly-{self._assemblies}"
        app = cdk.App(outdir=str(folder))
        environment = cdk.Environment(account="123456789012", region="us-east-1")
        stack = cdk.Stack(app, "Shared", env=environment)
        endpoint = InferenceComponentEndpoint(
            stack,
            "Endpoint",
            instances=Instances(
                instance_type="ml.m5.large",
                managed_scaling=ManagedScaling(min_count=0, max_count=2),
            ),
        )
        component = InferenceComponent(
            stack,
            "Component",
            endpoint=endpoint,
            container=Container(
                image=ContainerImage.from_framework("scikit-learn"),
                artifact=ModelArtifact.from_handler(code),
            ),
            needs=ComputeNeeds(memory_mib=8192, cpu_cores=1),
            copies=copies,
            scaling=CopyScaling(max_copies=2, target=1_000),
        )
        cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)
        cdk.CfnOutput(stack, "ComponentName", value=component.component_name)
        app.synth()
        return folder

    def command(self, *arguments: str, assembly: Path) -> str:
        """Run the CLI; what it said."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._folder),
            "AWS_ENDPOINT_URL": self._runtime.url,
            "AWS_ENDPOINT_URL_S3": self._runtime.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
        }
        done = subprocess.run(
            [str(CLI), *arguments, "--app", str(assembly), "--no-notices", "--progress", "events"],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deploy(self, assembly: Path) -> None:
        self.command("deploy", "--all", "--require-approval", "never", assembly=assembly)

    def outputs(self) -> tuple[str, str]:
        """The names of the endpoint and of the component."""
        described = self._runtime.client("cloudformation").describe_stacks(StackName="Shared")
        outputs = {
            each["OutputKey"]: each["OutputValue"] for each in described["Stacks"][0]["Outputs"]
        }
        return outputs["EndpointName"], outputs["ComponentName"]

    def answers(self, expected: bytes) -> bool:
        """Whether the component answers so; a request to one without a copy wakes it."""
        endpoint, component = self.outputs()
        try:
            answer = self._runtime.invoke(
                endpoint, b"x", ContentType="text/csv", InferenceComponentName=component
            )
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationError"  # noqa: PT017
            return False
        return bool(answer["Body"] == expected)


def test_a_component_is_deployed_updated_in_place_woken_and_destroyed(tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    (tmp_path / "app").mkdir()
    runtime = Runtime(tmp_path / "runtime", arguments=["--speed", "60"])
    try:
        app = Shared(tmp_path / "app", runtime)
        one = app.synthesize("one")
        app.command("bootstrap", "aws://123456789012/us-east-1", assembly=one)
        app.deploy(one)
        # Nobody has called for a while: there may be no copy any more.
        wait_until(lambda: app.answers(b"one"))
        endpoint, component = app.outputs()

        # Another model and another number of copies: the same component.
        two = app.synthesize("two", copies=2)
        app.deploy(two)
        assert app.outputs() == (endpoint, component)
        wait_until(lambda: app.answers(b"two"))

        def copies() -> Any:
            described = runtime.sagemaker.describe_inference_component(
                InferenceComponentName=component
            )
            return described["RuntimeConfig"]["CurrentCopyCount"]

        wait_until(lambda: copies() == 0)

        wait_until(lambda: app.answers(b"two"))

        app.command("destroy", "--all", "--force", assembly=two)
        assert runtime.sagemaker.list_inference_components()["InferenceComponents"] == []
        assert runtime.sagemaker.list_endpoints()["Endpoints"] == []
    finally:
        runtime.stop()
