"""What the checks say of every environment's stacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from cfnlint.api import lint

from app import build
from stacks.environments import ENVIRONMENTS, environment_named
from tests.conftest import Assembly, findings

every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


@every_environment
def test_no_finding_is_left_unacknowledged(
    environment: str, assembly_of: Callable[[str], Assembly]
) -> None:
    assert assembly_of(environment).findings == []


@every_environment
def test_templates_pass_cfn_lint(environment: str, assembly_of: Callable[[str], Assembly]) -> None:
    assembly = assembly_of(environment)

    for template in assembly.templates.values():
        assert lint(json.dumps(template), regions=[environment_named(environment).region]) == []


def test_app_registers_the_checks(tmp_path: Path) -> None:
    """Without this, the test above would also pass with no check at all."""
    app = cdk.App(
        outdir=str(tmp_path), context={"@aws-cdk/core:failSynthOnValidationErrors": False}
    )
    build(app, environment_named("local"))
    s3.Bucket(cdk.Stack(app, "Careless"), "Bucket")

    app.synth()

    rules = {finding.rpartition(": ")[2] for finding in findings(tmp_path)}
    assert {"AwsSolutions-S10", "NIST.800.53.R5-S3BucketVersioningEnabled"} <= rules
