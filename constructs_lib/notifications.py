"""Topics that hear of every answer of an asynchronous endpoint."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from constructs_lib.execution_role import ExecutionRole


def encrypted_topic(
    scope: Construct, construct_id: str, *, encryption_key: kms.IKey | None
) -> sns.Topic:
    """Define a topic that is encrypted and reached through TLS alone.

    Without a key of the caller's, the account's own key of SNS encrypts, which every principal of
    the account may use through SNS.
    """
    return sns.Topic(
        scope,
        construct_id,
        enforce_ssl=True,
        master_key=kms.Alias.from_alias_name(scope, f"{construct_id}Key", "alias/aws/sns")
        if encryption_key is None
        else encryption_key,
    )


def allow_announcing(role: ExecutionRole, topic: sns.ITopic, key: kms.IKey | None) -> None:
    """Let ``role`` publish to ``topic``, and use the ``key`` that encrypts it.

    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (2026-11-20)
    """
    role.allow("sns:Publish", resource=topic.topic_arn)
    if key is not None:
        role.allow_encrypting(key)
