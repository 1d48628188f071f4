"""S3 buckets and their policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SERVICE = "s3"
_MISSING = ("NoSuchBucket", "NoSuchBucketPolicy")


class Bucket(ResourceType):
    """``AWS::S3::Bucket``: each setting goes to the operation that puts it."""

    name_property = "BucketName"
    create_only: frozenset[str] | None = frozenset(
        {"BucketName", "BucketNamePrefix", "BucketNamespace"}
    )
    ignored = frozenset(
        {
            "AbacStatus",
            "AccelerateConfiguration",
            "AccessControl",
            "AnalyticsConfigurations",
            "BucketNamePrefix",
            "BucketNamespace",
            "IntelligentTieringConfigurations",
            "InventoryConfigurations",
            "MetadataConfiguration",
            "MetadataTableConfiguration",
            "MetricsConfigurations",
            "ObjectLockConfiguration",
            "ReplicationConfiguration",
            "WebsiteConfiguration",
        }
    )

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("BucketName", context.name().lower()))
        request: Properties = {"Bucket": name}
        if context.region != "us-east-1":
            request["CreateBucketConfiguration"] = {"LocationConstraint": context.region}
        if "ObjectLockEnabled" in properties:
            request["ObjectLockEnabledForBucket"] = properties["ObjectLockEnabled"]
        context.call(_SERVICE, "CreateBucket", request)
        attributes = {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{context.region}.amazonaws.com",
            "DualStackDomainName": f"{name}.s3.dualstack.{context.region}.amazonaws.com",
            "WebsiteURL": f"http://{name}.s3-website-{context.region}.amazonaws.com",
        }
        notes = self._put(context, name, {}, properties)
        return Live(physical_id=name, attributes=attributes, notes=notes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        notes = self._put(context, live.physical_id, old, new)
        return Live(physical_id=live.physical_id, attributes=live.attributes, notes=notes)

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        gone(context, _SERVICE, "DeleteBucket", {"Bucket": live.physical_id}, *_MISSING)

    def _put(self, context: Context, name: str, old: Properties, new: Properties) -> str | None:
        """Bring every setting to its new value; the warnings of what is not carried out."""
        warnings = []
        for setting, (operation, member, spell, removal) in _SETTINGS.items():
            if setting in new and new[setting] != old.get(setting):
                request = {"Bucket": name, member: spell(new[setting])}
                try:
                    context.call(_SERVICE, operation, request)
                except ResourceFailed as refusal:
                    # moto only logs into buckets whose policy is already there; AWS's
                    # CloudFormation may write the two in either order.
                    if setting != "LoggingConfiguration":
                        raise
                    warnings.append(f"LoggingConfiguration is recorded only: {refusal}")
            elif setting in old and setting not in new:
                if isinstance(removal, str):
                    context.call(_SERVICE, removal, {"Bucket": name})
                else:
                    context.call(_SERVICE, operation, {"Bucket": name, member: removal})
        tags = context.tags(new)
        if tags:
            request = {"Bucket": name, "Tagging": {"TagSet": tags}}
            context.call(_SERVICE, "PutBucketTagging", request)
        elif context.tags_before(old):
            context.call(_SERVICE, "DeleteBucketTagging", {"Bucket": name})
        return f"warning: {'; '.join(warnings)}" if warnings else None


class BucketPolicy(ResourceType):
    """``AWS::S3::BucketPolicy``."""

    create_only: frozenset[str] | None = frozenset({"Bucket"})

    def create(self, context: Context, properties: Properties) -> Live:
        self._put(context, properties)
        return Live(physical_id=str(properties["Bucket"]))

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        self._put(context, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        request = {"Bucket": properties["Bucket"]}
        gone(context, _SERVICE, "DeleteBucketPolicy", request, *_MISSING)

    @staticmethod
    def _put(context: Context, properties: Properties) -> None:
        policy = properties["PolicyDocument"]
        request = {
            "Bucket": properties["Bucket"],
            "Policy": policy if isinstance(policy, str) else json.dumps(policy),
        }
        context.call(_SERVICE, "PutBucketPolicy", request)


def empty(context: Context, bucket: str) -> None:
    """Delete every version of every object."""
    client = context.client(_SERVICE)
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in pages:
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [only(version, "Key", "VersionId") for version in found]
        if objects:
            client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def _same(value: Any) -> Any:
    return value


def _encryption(value: Properties) -> Properties:
    return {
        "Rules": [
            {
                **only(rule, "BucketKeyEnabled", "BlockedEncryptionTypes"),
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            }
            for rule in value["ServerSideEncryptionConfiguration"]
            if "ServerSideEncryptionByDefault" in rule
        ]
    }


def _cors(value: Properties) -> Properties:
    renamed = {"ExposedHeaders": "ExposeHeaders", "Id": "ID", "MaxAge": "MaxAgeSeconds"}
    rules = [
        {renamed.get(name, name): member for name, member in rule.items()}
        for rule in value["CorsRules"]
    ]
    return {"CORSRules": rules}


def _lifecycle(value: Properties) -> Properties:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Properties) -> Properties:
    spelled = only(rule, "Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration")
    if "Id" in rule:
        spelled["ID"] = rule["Id"]
    days = rule.get("NoncurrentVersionExpirationInDays")
    if days is not None:
        spelled["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    expiration = {
        api: rule[name]
        for name, api in (
            ("ExpirationInDays", "Days"),
            ("ExpirationDate", "Date"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if name in rule
    }
    if expiration:
        spelled["Expiration"] = expiration
    if "Transitions" in rule:
        spelled["Transitions"] = [
            _renamed(each, TransitionInDays="Days", TransitionDate="Date")
            for each in rule["Transitions"]
        ]
    if "NoncurrentVersionTransitions" in rule:
        spelled["NoncurrentVersionTransitions"] = [
            _renamed(each, TransitionInDays="NoncurrentDays")
            for each in rule["NoncurrentVersionTransitions"]
        ]
    sizes = only(rule, "ObjectSizeGreaterThan", "ObjectSizeLessThan")
    both = {**sizes, **({"Tags": rule["TagFilters"]} if "TagFilters" in rule else {})}
    prefix = rule.get("Prefix", "")
    spelled["Filter"] = {"And": {"Prefix": prefix, **both}} if both else {"Prefix": prefix}
    return spelled


def _logging(value: Properties) -> Properties:
    return {
        "LoggingEnabled": {
            "TargetBucket": value.get("DestinationBucketName"),
            "TargetPrefix": value.get("LogFilePrefix", ""),
        }
    }


def _notification(value: Properties) -> Properties:
    spelled: Properties = {}
    for member, api, target in (
        ("TopicConfigurations", "TopicConfigurations", ("Topic", "TopicArn")),
        ("QueueConfigurations", "QueueConfigurations", ("Queue", "QueueArn")),
        ("LambdaConfigurations", "LambdaFunctionConfigurations", ("Function", "LambdaFunctionArn")),
    ):
        if member in value:
            spelled[api] = [_notification_rule(rule, *target) for rule in value[member]]
    if "EventBridgeConfiguration" in value:
        spelled["EventBridgeConfiguration"] = {}
    return spelled


def _notification_rule(rule: Properties, target: str, api: str) -> Properties:
    spelled = {"Events": [rule["Event"]], api: rule[target]}
    if "Filter" in rule:
        rules = rule["Filter"]["S3Key"]["Rules"]
        spelled["Filter"] = {"Key": {"FilterRules": rules}}
    return spelled


def _renamed(value: Properties, **names: str) -> Properties:
    return {names.get(name, name): member for name, member in value.items()}


# Setting: the operation that puts it, the member it travels in, how the API spells it, and the
# operation that removes it or the value that stands for none.
_SETTINGS: dict[str, tuple[str, str, Callable[[Any], Any], str | Properties]] = {
    "OwnershipControls": (
        "PutBucketOwnershipControls",
        "OwnershipControls",
        _same,
        "DeleteBucketOwnershipControls",
    ),
    "PublicAccessBlockConfiguration": (
        "PutPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        _same,
        "DeletePublicAccessBlock",
    ),
    "VersioningConfiguration": (
        "PutBucketVersioning",
        "VersioningConfiguration",
        _same,
        {"Status": "Suspended"},
    ),
    "BucketEncryption": (
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
        "DeleteBucketEncryption",
    ),
    "CorsConfiguration": (
        "PutBucketCors",
        "CORSConfiguration",
        _cors,
        "DeleteBucketCors",
    ),
    "LifecycleConfiguration": (
        "PutBucketLifecycleConfiguration",
        "LifecycleConfiguration",
        _lifecycle,
        "DeleteBucketLifecycle",
    ),
    "LoggingConfiguration": (
        "PutBucketLogging",
        "BucketLoggingStatus",
        _logging,
        {},
    ),
    "NotificationConfiguration": (
        "PutBucketNotificationConfiguration",
        "NotificationConfiguration",
        _notification,
        {},
    ),
}
