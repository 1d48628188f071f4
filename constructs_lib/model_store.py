"""Where the models of a multi-model endpoint are."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_s3_deployment as s3_deployment
from constructs import Construct, DependencyGroup, IDependable

from constructs_lib.acknowledgment import acknowledge, acknowledge_wildcard
from constructs_lib.model_artifact import PackagedArtifact
from constructs_lib.storage import private_bucket
from hosting import validation

ARCHIVE_SUFFIX = ".tar.gz"

# What CDK gives its function, 128 MiB, is too little to copy models.
_DEPLOYMENT_MEMORY_MIB = 1024


# What nag packs say of the function that CDK copies assets with.
_CDKS_OWN = "CDK's own function, which runs while a stack is deployed"
_DEPLOYMENT_FINDINGS = (
    "AwsSolutions-L1",
    *(
        f"AwsSolutions-IAM4[Policy::arn:{partition}:iam::aws:policy/service-role/"
        "AWSLambdaBasicExecutionRole]"
        for partition in ("aws", "<AWS::Partition>")
    ),
    *(
        f"AwsSolutions-IAM5[Action::{action}]"
        for action in (
            "kms:GenerateDataKey*",
            "kms:ReEncrypt*",
            "s3:Abort*",
            "s3:DeleteObject*",
            "s3:GetBucket*",
            "s3:GetObject*",
            "s3:List*",
        )
    ),
    "NIST.800.53.R5-IAMNoInlinePolicy",
    "NIST.800.53.R5-LambdaConcurrency",
    "NIST.800.53.R5-LambdaDLQ",
    "NIST.800.53.R5-LambdaInsideVPC",
)


class ModelStore(Construct):
    """A prefix of a bucket with one ``<model>.tar.gz`` for each model.

    A new object is served without a deployment; an object must never be overwritten, because
    instances keep serving the copy they have: publish a new version under a new name.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/add-models-to-endpoint.html (2026-11-20)

    ::

        store = ModelStore(stack, "Models", initial_models={"houston": houston, "boston": boston})
        store.grant_publish(trainer, models=["houston-*"])

    Args:
        bucket: where the models lie; without it, a private bucket is defined.
        prefix: below which they lie; ``models/`` without it.
        initial_models: by the name under which each is deployed, ``<prefix><name>.tar.gz``. They
            are added and never removed: others may have published beside them.
        encryption_key: of the bucket that is defined; without it, S3 manages the key.
        removal_policy: what becomes of a bucket that is defined here; it is retained without it.

    Raises:
        ValueError: the prefix does not end in a slash, or a key is given for the caller's bucket.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: s3.IBucket | None = None,
        prefix: str = "models/",
        initial_models: Mapping[str, PackagedArtifact] | None = None,
        encryption_key: kms.IKey | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        if not prefix.endswith("/"):
            raise ValueError(f"prefix must end in '/', got {prefix!r}")
        if bucket is not None and encryption_key is not None:
            raise ValueError("encryption_key must be left out with bucket, which has its own")
        for name in {} if initial_models is None else initial_models:
            validation.require(validation.target_model(name, argument="initial_models"))
        super().__init__(scope, construct_id)
        self.bucket: s3.IBucket = (
            private_bucket(
                self, "Bucket", encryption_key=encryption_key, removal_policy=removal_policy
            )
            if bucket is None
            else bucket
        )
        self.prefix = prefix
        self.initial_models: IDependable = (
            DependencyGroup() if initial_models is None else self._deploy(initial_models)
        )

    @property
    def url(self) -> str:
        """The prefix, as ModelDataUrl takes it."""
        return self.bucket.s3_url_for_object(self.prefix)

    def grant_publish(
        self, grantee: iam.IGrantable, *, models: Sequence[str] = ("*",)
    ) -> iam.Grant:
        """Allow ``grantee`` to add models.

        Args:
            grantee: who publishes.
            models: names below the prefix, where ``*`` stands for anything, such as ``tenant-a/*``.
        """
        if self.bucket.encryption_key is not None:
            self.bucket.encryption_key.grant_encrypt(grantee)
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:PutObject", "s3:AbortMultipartUpload"],
            resource_arns=[self.bucket.arn_for_objects(f"{self.prefix}{name}") for name in models],
        )

    def _deploy(self, models: Mapping[str, PackagedArtifact]) -> IDependable:
        with tempfile.TemporaryDirectory() as folder:
            for name, artifact in models.items():
                target = Path(folder, f"{name}{ARCHIVE_SUFFIX}")
                target.parent.mkdir(parents=True, exist_ok=True)
                archive, _ = artifact.package(target.parent)
                archive.rename(target)
            deployment = s3_deployment.BucketDeployment(
                self,
                "InitialModels",
                sources=[s3_deployment.Source.asset(folder)],
                destination_bucket=self.bucket,
                destination_key_prefix=self.prefix,
                prune=False,
                retain_on_delete=True,
                memory_limit=_DEPLOYMENT_MEMORY_MIB,
            )
        self._acknowledge(deployment)
        return deployment

    def _acknowledge(self, deployment: s3_deployment.BucketDeployment) -> None:
        """Acknowledge findings of the one function per stack that copies assets for CDK."""
        function = deployment.handler_role.node.scope
        assert function is not None, "a role has a scope"
        for finding in _DEPLOYMENT_FINDINGS:
            acknowledge(function, finding, _CDKS_OWN)
        asset = deployment.node.find_child("Asset1")
        assert isinstance(asset, s3_assets.Asset), "the folder of archives"
        for bucket in (asset.bucket, self.bucket):
            acknowledge_wildcard(function, bucket.arn_for_objects("*"), _CDKS_OWN)
