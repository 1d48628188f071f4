"""What is captured waits for S3, and is written once."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from hosting.endpoint import DataCaptureSpec
from local_runtime.artifacts import S3Location
from local_runtime.clock import Clock
from local_runtime.data_capture import DataCapture
from local_runtime.http_client import Answer
from local_runtime.http_wire import ResponseHead
from local_runtime.object_transfer import TransferError


class Bucket:
    """S3 as far as uploads go; it refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.objects: dict[str, bytes] = {}

    def upload(self, location: S3Location, content: bytes, **_: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise TransferError("NoSuchBucket", "there is no such bucket")
        self.objects[location.key] = content


def capture(bucket: Bucket, *, destination: str = "s3://b/p/") -> DataCapture:
    spec = DataCaptureSpec(
        destination=destination,
        sampling_percentage=100,
        modes=("InputAndOutput",),
        csv_content_types=("text/csv",),
    )
    return DataCapture("e", spec, bucket, Clock(), now_s=lambda: 1_700_000_040.25)  # type: ignore[arg-type]


def take(capturing: DataCapture, body: bytes) -> None:
    answer = Answer(ResponseHead(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\n"), body)
    capturing.take("v", content_type=b"TEXT/CSV", body=body, passed_on=b"", answer=answer)


def written(bucket: Bucket) -> list[str]:
    lines = [line for content in bucket.objects.values() for line in content.splitlines()]
    return [json.loads(line)["captureData"]["endpointInput"]["data"] for line in lines]


def test_what_s3_refuses_is_written_with_what_came_after() -> None:
    bucket = Bucket(refusals=1)
    capturing = capture(bucket)

    async def both() -> None:
        take(capturing, b"1")
        await capturing.flush()
        take(capturing, b"2")
        await capturing.close()

    asyncio.run(both())

    assert written(bucket) == ["1", "2"]
    [key] = bucket.objects
    assert key.startswith("p/e/v/2023/11/14/22/14-00-250-")


def test_what_cannot_be_written_in_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    capturing = capture(Bucket(refusals=9))
    take(capturing, b"1")

    with caplog.at_level(logging.WARNING):
        asyncio.run(capturing.close())

    assert "1 captured requests are lost" in caplog.text


def test_a_destination_may_be_a_whole_bucket_and_text_that_is_none_is_base64() -> None:
    bucket = Bucket()
    capturing = capture(bucket, destination="s3://b")
    take(capturing, b"\xff")

    asyncio.run(capturing.close())

    [key] = bucket.objects
    assert key.startswith("e/v/2023/")
    assert written(bucket) == ["/w=="]
