"""What a benchmark may do in an account, as IAM statements: what it calls, on what it makes.

Endpoints, configurations and models are created under one prefix with one tag, and only what
carries both can be removed again: a benchmark cannot touch what it has not made. A test runs every
verb through a recording proxy and compares its calls with these statements.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
SageMaker" (2026-11-21), for resource types and condition keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

NAME_PREFIX: Final = "bench-"
CREATOR_TAG: Final = "created-by"
CREATOR: Final = "sagemaker-inference-benchmarking"
# Where a benchmark puts objects in the bucket that it is given.
FOLDER: Final = "benchmarking/"

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What benchmarks are allowed to measure, and with whose help. All text may be CDK tokens.

    Args:
        models: names of the models that may be measured; ``*`` stands for any text.
        model_roles: ARNs of execution roles that temporary multi-model models may be given; without
            one, only models that are multi-model already are measured as such.
        bucket: for inputs and answers of asynchronous requests and for copies of models; None: no
            option that needs one.
        artifacts: ARNs of S3 objects that temporary multi-model models are copied from.
        stacks: whether the model may be looked up in a stack instead of being named.
        clean_by_tag: whether what killed runs have left may be looked for in the whole region.
        prices: whether today's prices may be read.
    """

    partition: str = "aws"
    region: str
    account: str
    models: Sequence[str] = ("*",)
    model_roles: Sequence[str] = ()
    bucket: str | None = None
    artifacts: Sequence[str] = ()
    stacks: bool = True
    clean_by_tag: bool = True
    prices: bool = True

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("models must name one model at least, got none")
        if self.artifacts and self.bucket is None:
            raise ValueError("bucket must be given where artifacts are copied, got None")

    def arn(self, kind: str, name: str = f"{NAME_PREFIX}*") -> str:
        """Of a SageMaker resource."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{kind}/{name}"


def document(scope: Scope) -> dict[str, Any]:
    """The statements as a policy document."""
    return {"Version": "2012-10-17", "Statement": statements(scope)}


def statements(scope: Scope) -> list[Statement]:
    """Everything that a benchmark within ``scope`` calls, and nothing else."""
    answer = [*_measuring(scope), *_reading(scope)]
    if scope.model_roles:
        answer += _multi_model(scope)
    if scope.bucket is not None:
        answer += _objects(scope, scope.bucket)
    if scope.clean_by_tag:
        answer += _cleaning(scope)
    if scope.stacks:
        answer += _stacks(scope)
    if scope.prices:
        answer.append(_statement("ReadPrices", ["pricing:GetProducts"], ["*"]))
    return answer


def _measuring(scope: Scope) -> Iterator[Statement]:
    endpoint, config = scope.arn("endpoint"), scope.arn("endpoint-config")
    yield _statement(
        "CreateTaggedEndpoints",
        ["sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig"],
        [endpoint, config],
        {"StringEquals": {f"aws:RequestTag/{CREATOR_TAG}": CREATOR}},
    )
    yield _statement(
        "TagWhatIsCreated",
        ["sagemaker:AddTags"],
        [endpoint, config],
        {
            "StringEquals": {
                f"aws:RequestTag/{CREATOR_TAG}": CREATOR,
                "sagemaker:TaggingAction": ["CreateEndpoint", "CreateEndpointConfig"],
            }
        },
    )
    yield _statement(
        "MeasureEndpoints",
        ["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"],
        [endpoint],
    )
    yield _statement(
        "RemoveTaggedEndpoints",
        ["sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig"],
        [endpoint, config],
        _OWN,
    )


def _reading(scope: Scope) -> Iterator[Statement]:
    yield _statement(
        "ReadModels",
        ["sagemaker:DescribeModel"],
        [scope.arn("model", name) for name in scope.models],
    )
    # These know no resources. ListModels names models when one is misspelled.
    yield _statement(
        "ReadMetricsAndQuotas",
        [
            "cloudwatch:GetMetricStatistics",
            "sagemaker:ListModels",
            "servicequotas:GetServiceQuota",
            "servicequotas:ListServiceQuotas",
        ],
        ["*"],
    )


def _multi_model(scope: Scope) -> Iterator[Statement]:
    model = scope.arn("model")
    yield _statement(
        "CreateTaggedModels",
        ["sagemaker:CreateModel"],
        [model],
        {"StringEquals": {f"aws:RequestTag/{CREATOR_TAG}": CREATOR}},
    )
    yield _statement(
        "TagModels",
        ["sagemaker:AddTags"],
        [model],
        {
            "StringEquals": {
                f"aws:RequestTag/{CREATOR_TAG}": CREATOR,
                "sagemaker:TaggingAction": "CreateModel",
            }
        },
    )
    yield _statement("RemoveTaggedModels", ["sagemaker:DeleteModel"], [model], _OWN)
    yield _statement(
        "RunModelsAsTheyRan",
        ["iam:PassRole"],
        list(scope.model_roles),
        {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )


def _objects(scope: Scope, bucket: str) -> Iterator[Statement]:
    arn = f"arn:{scope.partition}:s3:::{bucket}"
    yield _statement(
        "KeepObjects",
        ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        [f"{arn}/{FOLDER}*"],
    )
    yield _statement(
        "ListObjects",
        ["s3:ListBucket"],
        [arn],
        {"StringLike": {"s3:prefix": [f"{FOLDER}*"]}},
    )
    if scope.artifacts:
        yield _statement("CopyModels", ["s3:GetObject"], list(scope.artifacts))


def _cleaning(scope: Scope) -> Iterator[Statement]:
    yield _statement(
        "FindWhatRunsLeft",
        ["sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints"],
        ["*"],
    )
    kinds = ["endpoint", "endpoint-config", "model"]
    yield _statement("ReadTags", ["sagemaker:ListTags"], [scope.arn(kind) for kind in kinds])


def _stacks(scope: Scope) -> Iterator[Statement]:
    yield _statement(
        "FindModelsInStacks",
        ["cloudformation:DescribeStackResources", "cloudformation:DescribeStacks"],
        [f"arn:{scope.partition}:cloudformation:{scope.region}:{scope.account}:stack/*"],
    )


_OWN: Final = {"StringEquals": {f"aws:ResourceTag/{CREATOR_TAG}": CREATOR}}


def _statement(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: dict[str, Any] | None = None,
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    return statement if condition is None else {**statement, "Condition": condition}
