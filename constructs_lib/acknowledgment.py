"""Acknowledged findings of cdk-nag, each beside the resource it excuses."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Acknowledge one finding on one construct."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=reason))


def acknowledge_wildcard(construct: IConstruct, resource: str, reason: str) -> None:
    """Acknowledge that a policy names ``resource``, which ends in a wildcard.

    cdk-nag names such a finding after the resource as it stands in the template, with references
    spelled ``<LogicalId>`` or ``<LogicalId.Attribute>``, and other functions as JSON.
    """
    rendered = _rendered(cdk.Stack.of(construct).resolve(resource))
    acknowledge(construct, f"AwsSolutions-IAM5[Resource::{rendered}]", reason)


def _rendered(value: Any) -> str:
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_rendered(part) for part in parts)
        case {"Fn::Sub": text}:
            return str(text).replace("${", "<").replace("}", ">")
        case dict():
            return json.dumps(value, separators=(",", ":"))
        case _:
            return str(value)
