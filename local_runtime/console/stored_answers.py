"""Objects that the console shows: answers of asynchronous requests, and the names of models."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from local_runtime.console.faults import BadRequest
from local_runtime.control_plane.local_client import LocalClients

Json = dict[str, Any]

_SHOWN_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 1000
_MISSING: Final = ("NoSuchKey", "NoSuchBucket", "404")


class StoredAnswers:
    """Reads the runtime's S3."""

    def __init__(self, clients: LocalClients) -> None:
        self._clients = clients

    def read(self, location: str, region: str) -> Json:
        """The beginning of an object, as text where it is text.

        Raises:
            BadRequest: the location is not one of S3.
        """
        bucket, _, key = location.removeprefix("s3://").partition("/")
        if not location.startswith("s3://") or not bucket or not key:
            raise BadRequest(f"location must be like s3://BUCKET/KEY, got {location!r}")
        s3 = self._clients.client("s3", region)
        try:
            answer = s3.get_object(Bucket=bucket, Key=key)
        except ClientError as refused:
            if refused.response["Error"]["Code"] in _MISSING:
                return {"location": location, "exists": False}
            raise
        content = answer["Body"].read()
        return {
            "location": location,
            "exists": True,
            "bytes": len(content),
            "content_type": answer.get("ContentType"),
            "text": _text(content[:_SHOWN_BYTES]),
            "whole": len(content) <= _SHOWN_BYTES,
        }

    def keys(self, bucket: str, prefix: str, region: str) -> list[str]:
        """The keys below a prefix, the first of them."""
        s3 = self._clients.client("s3", region)
        try:
            answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_MOST_KEYS)
        except ClientError as refused:
            if refused.response["Error"]["Code"] in _MISSING:
                return []
            raise
        return [each["Key"] for each in answer.get("Contents", [])]


def _text(content: bytes) -> str | None:
    """None for what is no text."""
    try:
        return content.decode()
    except UnicodeDecodeError as fault:
        # The last character may have been cut through.
        cut = content[: fault.start]
        return cut.decode() if len(content) - fault.start < 4 and cut else None
