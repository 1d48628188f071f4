"""What the policy of benchmarks keeps out. What it lets in is tested with real runs."""

from __future__ import annotations

import pytest

from hosting import benchmark_policy
from hosting.benchmark_policy import Scope
from tests.iam_policy import Call, allows

SAGEMAKER = "arn:aws:sagemaker:eu-west-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/model"
OURS = {"aws:RequestTag/created-by": "sagemaker-inference-benchmarking"}
CARRIES = {"aws:ResourceTag/created-by": "sagemaker-inference-benchmarking"}
STATEMENTS = benchmark_policy.statements(
    Scope(
        region="eu-west-1",
        account="123456789012",
        models=["digits"],
        model_roles=[ROLE],
        bucket="ours",
        artifacts=["arn:aws:s3:::models/digits.tar.gz"],
    )
)


@pytest.mark.parametrize(
    "call",
    [
        Call("sagemaker:InvokeEndpoint", (f"{SAGEMAKER}:endpoint/production",)),
        Call("sagemaker:DeleteEndpoint", (f"{SAGEMAKER}:endpoint/production",), CARRIES),
        Call("sagemaker:DeleteEndpoint", (f"{SAGEMAKER}:endpoint/bench-theirs",)),
        Call("sagemaker:DeleteModel", (f"{SAGEMAKER}:model/digits",), CARRIES),
        Call(
            "sagemaker:CreateEndpoint",
            (f"{SAGEMAKER}:endpoint/bench-a", f"{SAGEMAKER}:endpoint-config/production"),
            OURS,
        ),
        Call("sagemaker:CreateEndpointConfig", (f"{SAGEMAKER}:endpoint-config/bench-a",)),
        Call("sagemaker:UpdateEndpoint", (f"{SAGEMAKER}:endpoint/bench-a",), CARRIES),
        # Whoever may tag anything could make it removable.
        Call("sagemaker:AddTags", (f"{SAGEMAKER}:endpoint/bench-a",), OURS),
        Call(
            "sagemaker:AddTags",
            (f"{SAGEMAKER}:endpoint/production",),
            {**OURS, "sagemaker:TaggingAction": "CreateEndpoint"},
        ),
        Call("sagemaker:DescribeModel", (f"{SAGEMAKER}:model/secret",)),
        Call("iam:PassRole", (ROLE,), {"iam:PassedToService": "lambda.amazonaws.com"}),
        Call(
            "iam:PassRole",
            ("arn:aws:iam::123456789012:role/admin",),
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
        ),
        Call("s3:GetObject", ("arn:aws:s3:::ours/secrets/a",)),
        Call("s3:GetObject", ("arn:aws:s3:::models/other.tar.gz",)),
        Call("s3:PutObject", ("arn:aws:s3:::models/digits.tar.gz",)),
        Call("s3:ListBucket", ("arn:aws:s3:::ours",), {"s3:prefix": ""}),
        Call("s3:DeleteBucket", ("arn:aws:s3:::ours",)),
    ],
    ids=str,
)
def test_what_is_not_the_benchmarks_own_is_out_of_reach(call: Call) -> None:
    assert not allows(STATEMENTS, call)


@pytest.mark.parametrize(
    "call",
    [
        Call("sagemaker:InvokeEndpoint", (f"{SAGEMAKER}:endpoint/bench-7f-serverless-1",)),
        Call("sagemaker:DeleteEndpoint", (f"{SAGEMAKER}:endpoint/bench-a",), CARRIES),
        Call(
            "sagemaker:CreateEndpoint",
            (f"{SAGEMAKER}:endpoint/bench-a", f"{SAGEMAKER}:endpoint-config/bench-a"),
            OURS,
        ),
        Call("s3:ListBucket", ("arn:aws:s3:::ours",), {"s3:prefix": "benchmarking/7f/"}),
    ],
    ids=str,
)
def test_what_is_the_benchmarks_own_is_within_reach(call: Call) -> None:
    assert allows(STATEMENTS, call)


def test_without_roles_and_bucket_no_model_is_made_and_no_object_touched() -> None:
    plain = benchmark_policy.statements(Scope(region="eu-west-1", account="123456789012"))

    actions = {action for statement in plain for action in statement["Action"]}
    assert not {action for action in actions if action.startswith(("s3:", "iam:"))}
    assert "sagemaker:CreateModel" not in actions


def test_the_document_fits_the_limits_of_a_managed_policy() -> None:
    # 6,144 characters without white space. Source: IAM and AWS STS quotas (2026-11-21).
    text = "".join(str(benchmark_policy.document(Scope(region="r" * 14, account="1" * 12))).split())

    assert len(text) < 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "models must name one model at least, got none"),
        ({"artifacts": ["arn:aws:s3:::a/b"]}, "bucket must be given where artifacts are copied"),
    ],
)
def test_a_scope_that_makes_no_sense_is_refused(
    arguments: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Scope(region="eu-west-1", account="123456789012", **arguments)  # type: ignore[arg-type]
