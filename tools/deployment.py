"""Every stack of this repository, deployed to a local runtime with the real CDK CLI."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.runtime_client import client

ROOT = Path(__file__).parent.parent


def deploy_all(environment: Mapping[str, str], assembly: Path) -> None:
    """Bootstrap and deploy.

    Args:
        environment: of the runtime's clients.
        assembly: the folder that the templates are written to.
    """
    bootstrap(environment, assembly)
    deploy(environment, assembly)


def bootstrap(environment: Mapping[str, str], assembly: Path) -> None:
    """Prepare the runtime's account for the CDK."""
    _cdk("bootstrap", environment, assembly)


def deploy(environment: Mapping[str, str], assembly: Path) -> None:
    """Synthesize and deploy."""
    _cdk("deploy", environment, assembly, "--all", "--require-approval", "never")


def stack_outputs(environment: Mapping[str, str]) -> dict[str, str]:
    """The outputs of every deployed stack."""
    stacks = client("cloudformation", environment).describe_stacks()["Stacks"]
    return {
        output["OutputKey"]: output["OutputValue"]
        for stack in stacks
        for output in stack.get("Outputs", [])
    }


def _cdk(verb: str, environment: Mapping[str, str], assembly: Path, *arguments: str) -> None:
    command = ["npx", "cdk", verb, "-c", "env=local", "--output", str(assembly), *arguments]
    print(f"$ {shlex.join(command)}", flush=True)
    finished = subprocess.run(command, cwd=ROOT, env=dict(environment), check=False)
    if finished.returncode != 0:
        raise SystemExit(f"cdk {verb} failed with exit code {finished.returncode}")
