"""A topic that CloudWatch's alarms can reach."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from constructs_lib.acknowledgment import acknowledge

_ENCRYPTION_RULES = tuple(
    f"{pack}-SNSEncryptedKMS"
    for pack in ("HIPAA.Security", "NIST.800.53.R4", "NIST.800.53.R5", "PCI.DSS.321")
)


class AlarmTopic(Construct):
    """A topic that hears of alarms of this account and region, through TLS alone.

    ::

        topic = AlarmTopic(stack, "Alarms")
        topic.topic.add_subscription(sns_subscriptions.EmailSubscription("team@example.com"))

    CloudWatch cannot use AWS's own key of SNS, under which its messages would be lost without a
    trace: the topic is encrypted with a key of yours or not at all.
    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (2026-11-21)

    Args:
        encryption_key: encrypts messages; CloudWatch is let to use it. Without it they lie
            unencrypted, and hold the names of alarms and the values that set them off.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, encryption_key: kms.IKey | None = None
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Resource", enforce_ssl=True, master_key=encryption_key)
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        of_this_account = {
            "StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account},
        }
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions=of_this_account,
            )
        )
        if encryption_key is not None:
            encryption_key.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[cloudwatch],
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],
                    conditions=of_this_account,
                )
            )
            return
        for rule in _ENCRYPTION_RULES:
            acknowledge(
                self.topic,
                rule,
                "CloudWatch cannot publish to a topic under AWS's own key, and this stack has no"
                " key of its own; messages hold names of alarms and values of metrics",
            )
