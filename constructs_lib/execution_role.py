"""The role that SageMaker assumes to start and run an endpoint's containers."""

from __future__ import annotations

from typing import get_args

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from constructs_lib.acknowledgment import acknowledge_wildcard
from hosting.metrics import Namespace

LOG_GROUP_PREFIX = "/aws/sagemaker/Endpoints"


class ExecutionRole(Construct):
    """A role with what an endpoint needs and nothing else, or an extension of the caller's role.

    Grants go to ``policy``, a managed policy of its own, so that an auditor finds in one place what
    this endpoint may do. A model must depend on it: CreateModel checks the role's permissions.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (2026-11-20)

    Args:
        role: the caller's own role; without it, a new one that only SageMaker may assume. One that
            was imported as immutable is left alone, with a warning that names the policy to attach.
        in_vpc: whether the containers attach network interfaces to a VPC.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role: iam.IRole | None = None,
        in_vpc: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        self.role: iam.IRole = (
            iam.Role(
                self,
                "Resource",
                assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
                description="Assumed by SageMaker to run an inference endpoint",
            )
            if role is None
            else role
        )
        log_groups = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{LOG_GROUP_PREFIX}/*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self._attached = [] if role is not None and _is_immutable(role) else [self.role]
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="What SageMaker may do to run an inference endpoint",
            roles=self._attached,
            statements=[*_service_statements(log_groups), *(_vpc_statements() if in_vpc else [])],
        )
        if role is not None and _is_immutable(role):
            cdk.Annotations.of(self).add_warning_v2(
                "sagemaker-inference:immutable-role",
                f"{role.role_name} was imported as immutable and gets no permissions: attach the"
                f" managed policy {self.policy.node.path} to it, or SageMaker cannot use it",
            )
        acknowledge_wildcard(
            self.policy,
            "*",
            "ecr:GetAuthorizationToken, cloudwatch:PutMetricData and the calls that attach network"
            " interfaces take no resource; metrics are held to SageMaker's namespaces",
        )
        acknowledge_wildcard(
            self.policy,
            log_groups,
            "an endpoint's log group carries a name that is not known before the role",
        )

    def further_policy(
        self, scope: Construct, construct_id: str, *, description: str
    ) -> iam.ManagedPolicy:
        """Define another policy of the role, for what is defined after the model.

        The model waits for ``policy``; what refers to the endpoint's configuration comes later.
        """
        return iam.ManagedPolicy(scope, construct_id, description=description, roles=self._attached)

    def allow(self, *actions: str, resource: str, wildcard_reason: str | None = None) -> None:
        """Add one statement to the policy.

        Args:
            actions: what is allowed.
            resource: on which ARN.
            wildcard_reason: why ``resource`` ends in a wildcard, where it does.
        """
        self.policy.add_statements(iam.PolicyStatement(actions=list(actions), resources=[resource]))
        if wildcard_reason is not None:
            acknowledge_wildcard(self.policy, resource, wildcard_reason)

    def allow_reading_prefix(self, bucket: s3.IBucket, prefix: str) -> None:
        """Let SageMaker list and read all objects below ``prefix``.

        Without the right to list, S3 answers a missing object with "access denied".
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (2026-11-20)
        """
        self.allow(
            "s3:GetObject",
            resource=bucket.arn_for_objects(f"{prefix}*"),
            wildcard_reason="what lies below the prefix changes without a deployment",
        )
        self.policy.add_statements(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{prefix}*"]}},
            )
        )
        if bucket.encryption_key is not None:
            bucket.encryption_key.grant_decrypt(self.policy)

    def allow_writing_prefix(self, bucket: s3.IBucket, prefix: str) -> None:
        """Let SageMaker add objects below ``prefix``, in parts where they are large."""
        self.allow(
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            resource=bucket.arn_for_objects(f"{prefix}*"),
            wildcard_reason="SageMaker names the objects that it writes",
        )
        if bucket.encryption_key is not None:
            self.allow_encrypting(bucket.encryption_key)

    def allow_encrypting(self, key: kms.IKey) -> None:
        """Let SageMaker write what ``key`` encrypts, in S3 and SNS, and read it again."""
        self.allow("kms:Decrypt", "kms:GenerateDataKey", resource=key.key_arn)

    def grant_storage_encryption(self, key: kms.IKey) -> None:
        """Let SageMaker encrypt the instances' storage volumes with ``key``.

        Source: service model, CreateEndpointConfig.KmsKeyId: the key must admit the role. Which
        calls the service makes is not documented; these are what a volume encrypted through a grant
        needs (see docs/unverified.md).
        """
        key.grant(
            self.policy, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"
        )
        self.policy.add_statements(
            iam.PolicyStatement(
                actions=["kms:CreateGrant"],
                resources=[key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )


def _is_immutable(role: iam.IRole) -> bool:
    """Whether the caller imported the role with ``mutable=False``.

    The role does not say; CDK keeps the mutable one beside it, under this id.
    """
    scope = role.node.scope
    return scope is not None and scope.node.try_find_child(f"MutableRole{role.node.id}") is not None


def _service_statements(log_groups: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            actions=[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            resources=[log_groups],
        ),
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": list(get_args(Namespace))}},
        ),
        iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
    ]


def _vpc_statements() -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            actions=[
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            resources=["*"],
        )
    ]
