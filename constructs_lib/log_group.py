"""The log group that an endpoint's containers write to."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.execution_role import LOG_GROUP_PREFIX


def endpoint_log_group(
    scope: Construct,
    endpoint_name: str,
    *,
    retention: logs.RetentionDays,
    encryption_key: kms.IKey | None,
) -> logs.LogGroup:
    """Define the log group before SageMaker does, which would keep its events for ever."""
    name = f"{LOG_GROUP_PREFIX}/{endpoint_name}"
    if encryption_key is not None:
        admit_logs(scope, encryption_key, name)
    return logs.LogGroup(
        scope,
        "LogGroup",
        log_group_name=name,
        retention=retention,
        encryption_key=encryption_key,
        # A group that outlives its stack keeps the next deployment from defining it again.
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def admit_logs(scope: Construct, key: kms.IKey, log_group_name: str) -> None:
    """Let CloudWatch Logs use ``key`` for one log group, or for those that ``*`` stands for.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    (2026-11-20)
    """
    stack = cdk.Stack.of(scope)
    group_arn = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=log_group_name,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.{stack.url_suffix}")],
            actions=[
                "kms:Decrypt",
                "kms:Describe*",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            resources=["*"],
            conditions={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group_arn}},
        )
    )
