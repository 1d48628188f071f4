"""Buckets as this library defines them."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from constructs_lib.acknowledgment import acknowledge


def private_bucket(
    scope: Construct,
    construct_id: str,
    *,
    encryption_key: kms.IKey | None,
    removal_policy: cdk.RemovalPolicy,
    lifecycle_rules: Sequence[s3.LifecycleRule] = (),
    versioned: bool = True,
) -> s3.Bucket:
    """Define a bucket that is encrypted, not public, and reached through TLS alone.

    With ``RemovalPolicy.DESTROY`` its objects are deleted with it.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        encryption=s3.BucketEncryption.S3_MANAGED
        if encryption_key is None
        else s3.BucketEncryption.KMS,
        encryption_key=encryption_key,
        bucket_key_enabled=None if encryption_key is None else True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=True,
        versioned=versioned,
        lifecycle_rules=list(lifecycle_rules) if lifecycle_rules else None,
        removal_policy=removal_policy,
        auto_delete_objects=removal_policy == cdk.RemovalPolicy.DESTROY,
    )
    for finding in ("AwsSolutions-S1", "NIST.800.53.R5-S3BucketLoggingEnabled"):
        acknowledge(bucket, finding, "a bucket for access logs is the account's, not an endpoint's")
    acknowledge(
        bucket,
        "NIST.800.53.R5-S3BucketReplicationEnabled",
        "models and answers can be made again; an endpoint reads from its own region",
    )
    if encryption_key is None:
        acknowledge(
            bucket,
            "NIST.800.53.R5-S3DefaultEncryptionKMS",
            "encrypted with S3's own keys, because the caller gave none",
        )
    if not versioned:
        acknowledge(
            bucket,
            "NIST.800.53.R5-S3BucketVersioningEnabled",
            "its objects are written once and deleted after a while",
        )
    return bucket
