"""The CDK's own custom resources, done here instead of in a Lambda function."""

from __future__ import annotations

import fnmatch
import io
import mimetypes
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types import storage
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
)

_AUTO_DELETE_TAG = "aws-cdk:auto-delete-objects"
# ``aws s3 sync`` spells system metadata as options; these are the members they end up in.
_SYSTEM_METADATA = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "storage-class": "StorageClass",
    "website-redirect": "WebsiteRedirectLocation",
    "sse": "ServerSideEncryption",
    "sse-kms-key-id": "SSEKMSKeyId",
    "acl": "ACL",
}


class AutoDeleteObjects(ResourceType):
    """``Custom::S3AutoDeleteObjects``: empty the bucket before it is deleted.

    As in the CDK, only while the bucket still carries the tag that asks for it.
    """

    create_only: frozenset[str] | None = frozenset()

    def create(self, context: Context, properties: Properties) -> Live:
        del properties
        return Live(physical_id=context.name())

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        if old["BucketName"] != new["BucketName"]:
            self.delete(context, live, old)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        bucket, client = properties["BucketName"], context.client("s3")
        try:
            tags = client.get_bucket_tagging(Bucket=bucket)["TagSet"]
            if {"Key": _AUTO_DELETE_TAG, "Value": "true"} in tags:
                storage.empty(context, bucket)
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] not in {"NoSuchBucket", "NoSuchTagSet"}:
                raise ResourceFailed(str(refusal)) from refusal


class BucketNotifications(ResourceType):
    """``Custom::S3BucketNotifications``: the bucket's notifications, in the API's spelling."""

    create_only: frozenset[str] | None = frozenset({"BucketName"})

    def create(self, context: Context, properties: Properties) -> Live:
        self._put(context, properties, properties.get("NotificationConfiguration", {}))
        return Live(physical_id=context.name())

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        self._put(context, new, new.get("NotificationConfiguration", {}))
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        self._put(context, properties, {})

    @staticmethod
    def _put(context: Context, properties: Properties, configuration: Properties) -> None:
        request = {
            "Bucket": properties["BucketName"],
            "NotificationConfiguration": configuration,
        }
        context.call("s3", "PutBucketNotificationConfiguration", request)


class BucketDeployment(ResourceType):
    """``Custom::CDKBucketDeployment``: the content of asset archives in a bucket."""

    create_only: frozenset[str] | None = frozenset()

    def create(self, context: Context, properties: Properties) -> Live:
        return self._deploy(context, context.name(), properties)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        if _destination(old) != _destination(new) and not _flag(old, "RetainOnDelete", True):
            self._clear(context, old, kept=set())
        return self._deploy(context, live.physical_id, new)

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        if not _flag(properties, "RetainOnDelete", True):
            self._clear(context, properties, kept=set())

    def _deploy(self, context: Context, physical_id: str, properties: Properties) -> Live:
        bucket, prefix = _destination(properties)
        client, written = context.client("s3"), set()
        try:
            for name, body in _files(client, properties):
                key = f"{prefix}{name}"
                written.add(key)
                client.put_object(
                    Bucket=bucket, Key=key, Body=body, **_object_settings(name, properties)
                )
            if _flag(properties, "Prune", True):
                self._clear(context, properties, kept=written)
        except ClientError as refusal:
            raise ResourceFailed(str(refusal)) from refusal
        attributes = {
            "DestinationBucketArn": f"arn:aws:s3:::{bucket}",
            "SourceObjectKeys": properties["SourceObjectKeys"],
        }
        return Live(physical_id=physical_id, attributes=attributes)

    @staticmethod
    def _clear(context: Context, properties: Properties, kept: set[str]) -> None:
        """Delete what is below the destination; excluded objects were never ours."""
        bucket, prefix = _destination(properties)
        client = context.client("s3")
        try:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for page in pages:
                surplus = [
                    {"Key": entry["Key"]}
                    for entry in page.get("Contents", [])
                    if entry["Key"] not in kept
                    and _included(entry["Key"].removeprefix(prefix), properties)
                ]
                if surplus:
                    client.delete_objects(Bucket=bucket, Delete={"Objects": surplus})
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] != "NoSuchBucket":
                raise ResourceFailed(str(refusal)) from refusal


def _files(client: Any, properties: Properties) -> Iterator[tuple[str, bytes]]:
    """Every file to deploy; of two with one name the later source wins, being written last."""
    buckets, keys = properties["SourceBucketNames"], properties["SourceObjectKeys"]
    markers = properties.get("SourceMarkers", [{}] * len(keys))
    for bucket, key, replacements in zip(buckets, keys, markers, strict=True):
        body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        if not _flag(properties, "Extract", True):
            yield key.rsplit("/", 1)[-1], body
            continue
        try:
            archive = zipfile.ZipFile(io.BytesIO(body))
        except zipfile.BadZipFile as fault:
            raise ResourceFailed(f"s3://{bucket}/{key} is not a zip archive") from fault
        with archive:
            for member in archive.infolist():
                if not member.is_dir() and _included(member.filename, properties):
                    yield member.filename, _replace(archive.read(member), replacements)


def _replace(body: bytes, replacements: Mapping[str, Any]) -> bytes:
    for marker, value in replacements.items():
        body = body.replace(marker.encode(), str(value).encode())
    return body


def _included(name: str, properties: Properties) -> bool:
    """``aws s3 sync`` reads its filters in order: excluded, unless included again."""
    excluded = any(fnmatch.fnmatchcase(name, glob) for glob in properties.get("Exclude", []))
    return not excluded or any(
        fnmatch.fnmatchcase(name, glob) for glob in properties.get("Include", [])
    )


def _object_settings(name: str, properties: Properties) -> Properties:
    content_type, encoding = mimetypes.guess_type(name)
    settings: Properties = {}
    if content_type is not None and encoding is None:
        settings["ContentType"] = content_type
    for option, value in properties.get("SystemMetadata", {}).items():
        settings[_SYSTEM_METADATA[option]] = value
    if "UserMetadata" in properties:
        settings["Metadata"] = {
            key.removeprefix("x-amz-meta-"): value
            for key, value in properties["UserMetadata"].items()
        }
    return settings


def _destination(properties: Properties) -> tuple[str, str]:
    prefix = str(properties.get("DestinationBucketKeyPrefix", "")).strip("/")
    return str(properties["DestinationBucketName"]), f"{prefix}/" if prefix else ""


def _flag(properties: Properties, name: str, default: bool) -> bool:
    return str(properties.get(name, default)).lower() == "true"
