"""Writes the app that somebody without constructs would have: the same resources, one by one."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_MADE_BY_THE_SYNTHESIZER: Final = {"BootstrapVersion", "CheckBootstrapVersion"}
_PLAIN: Final = {"Type", "Properties"}

_APP = """\
import sys

import aws_cdk as cdk
import aws_cdk.aws_s3_assets as s3_assets

app = cdk.App(stack_traces=False, context={{"aws:cdk:disable-creation-stack-traces": True}})
{stacks}
if "checked" in sys.argv:
    from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

    from constructs_lib.rules import SageMakerInferenceRules

    cdk.Validations.of(app).add_plugins(
        AwsSolutionsChecks(app), NIST80053R5Checks(app), SageMakerInferenceRules()
    )
app.synth()
"""


def write(assembly: Path, program: Path) -> None:
    """Write a program that synthesizes what is in ``assembly``, from plain CfnResource calls."""
    stacks = [
        _stack(path.name.partition(".")[0], json.loads(path.read_text()), assembly)
        for path in sorted(assembly.glob("*.template.json"))
    ]
    program.write_text(_APP.format(stacks="\n".join(stacks)), encoding="utf-8")


def resources(assembly: Path) -> dict[str, Mapping[str, Any]]:
    """The resources of each stack."""
    return {
        path.name: json.loads(path.read_text())["Resources"]
        for path in sorted(assembly.glob("*.template.json"))
    }


def _stack(name: str, template: Mapping[str, Any], assembly: Path) -> str:
    lines = [f"stack = cdk.Stack(app, {name!r})"]
    assets = json.loads((assembly / f"{name}.assets.json").read_text())["files"]
    for key, asset in assets.items():
        path = asset["source"]["path"]
        if not path.endswith(".template.json"):
            lines.append(f"s3_assets.Asset(stack, {key!r}, path={str(assembly / path)!r})")
    for key, resource in template["Resources"].items():
        properties = pprint.pformat(resource.get("Properties", {}), sort_dicts=False)
        call = f"stack, {key!r}, type={resource['Type']!r}, properties={properties}"
        lines.append(f"resource = cdk.CfnResource({call})")
        lines += [
            f"resource.add_override({attribute!r}, {value!r})"
            for attribute, value in resource.items()
            if attribute not in _PLAIN
        ]
    for key, output in template.get("Outputs", {}).items():
        lines.append(
            f"cdk.CfnOutput(stack, {key!r}, value=cdk.Token.as_string({output['Value']!r}))"
        )
    surplus = set(template.get("Parameters", {})) - _MADE_BY_THE_SYNTHESIZER
    if surplus or set(template) & {"Mappings", "Conditions"}:
        raise NotImplementedError(f"{name} has more than resources and outputs: {surplus}")
    return "\n".join(lines)
