"""The policy as the command line prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarking.cli import main
from benchmarking.errors import RefusedError
from benchmarking.policy import render
from hosting import benchmark_policy
from hosting.benchmark_policy import Scope


def test_the_command_line_prints_the_policy_of_what_it_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    role = "arn:aws:iam::123456789012:role/model"

    code = main(
        [
            *("policy", "--region", "eu-west-1", "--account", "123456789012"),
            *("--model-name", "digits", "--model-role", role),
            *("--bucket", "ours", "--artifact", "s3://models/digits.tar.gz"),
        ]
    )

    assert code == 0
    assert json.loads(capsys.readouterr().out) == benchmark_policy.document(
        Scope(
            region="eu-west-1",
            account="123456789012",
            models=["digits"],
            model_roles=[role],
            bucket="ours",
            artifacts=["arn:aws:s3:::models/digits.tar.gz"],
        )
    )


def test_regions_of_other_partitions_have_their_own_arns() -> None:
    assert '"arn:aws-cn:sagemaker:cn-north-1:*:endpoint/bench-*"' in render(region="cn-north-1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"region": None}, "no AWS region is set"),
        (
            {"artifacts": ["models/a"], "bucket": "b"},
            "must look like s3://bucket/key, got models/a",
        ),
        ({"artifacts": ["s3://models/a"]}, "bucket must be given where artifacts are copied"),
        ({"model_roles": ["model"]}, "model_role must be an ARN, got model"),
    ],
)
def test_values_of_another_form_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        render(**({"region": "eu-west-1"} | arguments))
