"""What the tests of constructs share."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template


@pytest.fixture
def stack() -> cdk.Stack:
    return cdk.Stack(env=cdk.Environment(region="eu-west-1"))


@pytest.fixture
def caller(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def only(stack: cdk.Stack, resource_type: str) -> dict[str, Any]:
    """The properties of the one resource of a type."""
    (resource,) = Template.from_stack(stack).find_resources(resource_type).values()
    properties: dict[str, Any] = resource["Properties"]
    return properties


def statements(stack: cdk.Stack, *, role: str) -> list[dict[str, Any]]:
    """Every policy statement of the role whose logical id starts with ``role``."""
    template = Template.from_stack(stack)
    found = []
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in template.find_resources(kind).values():
            names = [name.get("Ref", "") for name in policy["Properties"]["Roles"]]
            if any(name.startswith(role) for name in names):
                found.extend(policy["Properties"]["PolicyDocument"]["Statement"])
    return found
