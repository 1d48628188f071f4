"""The examples in the docstrings of the public API run as they stand."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns_subscriptions as sns_subscriptions
from aws_cdk.assertions import Template

import constructs_lib
from constructs_lib import ContainerImage, ModelArtifact

_WITH_EXAMPLE = (
    *("Endpoint", "Store", "Comparison", "Job"),
    *("Alarms", "Dashboard", "Topic", "Widgets"),
)
CONSTRUCTS = [
    name
    for name in constructs_lib.__all__
    if name.endswith(_WITH_EXAMPLE) and name != "ImportedEndpoint"
]


def _example(name: str) -> str:
    documentation = inspect.getdoc(getattr(constructs_lib, name)) or ""
    _, marker, rest = documentation.partition("::\n\n")
    assert marker, f"{name} must have an example"
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line)
    return textwrap.dedent("\n".join(lines))


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_example_synthesizes(name: str, handler_folder: Path) -> None:
    stack = cdk.Stack(env=cdk.Environment(region="eu-west-1"))
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    artifact = ModelArtifact.from_handler(handler_folder)
    known = {
        **{public: getattr(constructs_lib, public) for public in constructs_lib.__all__},
        "cdk": cdk,
        "cw": cw,
        "sns_subscriptions": sns_subscriptions,
        "stack": stack,
        "vpc": ec2.Vpc(stack, "Vpc"),
        "role": role,
        "caller": role,
        "trainer": role,
        "benchmark": role,
        "handler": handler_folder,
        "houston": artifact,
        "boston": artifact,
        "scikit_learn": ContainerImage.from_framework("scikit-learn"),
    }

    exec(_example(name), known)  # noqa: S102 - our own documentation

    assert Template.from_stack(stack).to_json()["Resources"]


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_example_is_short(name: str) -> None:
    assert len(_example(name).strip().splitlines()) <= 18
