"""``policy``: what people and pipelines must be allowed to run benchmarks, as JSON for IAM."""

from __future__ import annotations

import json
from collections.abc import Sequence

import boto3

from benchmarking.errors import RefusedError
from hosting import benchmark_policy
from hosting.benchmark_policy import Scope


def render(
    *,
    region: str | None,
    account: str = "*",
    models: Sequence[str] = ("*",),
    model_roles: Sequence[str] = (),
    bucket: str | None = None,
    artifacts: Sequence[str] = (),
) -> str:
    """The policy document; nothing is asked of AWS.

    Args:
        account: its twelve digits; ``*``: the one of whoever the policy is attached to.
        models: names of models that may be measured.
        model_roles: ARNs of their execution roles.
        artifacts: ``s3://`` URLs of the archives that multi-model endpoints are made of.

    Raises:
        RefusedError: there is no region, or a value is of another form.
    """
    if region is None:
        raise RefusedError("no AWS region is set: give --region or set AWS_REGION")
    for url in artifacts:
        if not url.startswith("s3://"):
            raise RefusedError(f"artifact must look like s3://bucket/key, got {url}")
    for arn in model_roles:
        if not arn.startswith("arn:"):
            raise RefusedError(f"model_role must be an ARN, got {arn}")
    partition = boto3.Session().get_partition_for_region(region)
    try:
        scope = Scope(
            partition=partition,
            region=region,
            account=account,
            models=models,
            model_roles=model_roles,
            bucket=bucket,
            artifacts=[f"arn:{partition}:s3:::{url.removeprefix('s3://')}" for url in artifacts],
        )
    except ValueError as error:
        raise RefusedError(str(error)) from None
    return json.dumps(benchmark_policy.document(scope), indent=2)
