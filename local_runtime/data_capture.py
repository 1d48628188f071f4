"""Data capture: a share of what endpoints were asked and answered, as JSON lines in S3.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
for the lines and where they are; service model, CaptureContentTypeHeader, for the encodings.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from hosting.endpoint import DataCaptureSpec
from local_runtime.artifacts import S3Location
from local_runtime.clock import Clock
from local_runtime.http_client import Answer, Body
from local_runtime.object_transfer import ObjectTransfer, TransferError

_log = logging.getLogger(__name__)

# "The delivery of capture data to Amazon S3 can require a couple of minutes": one, of the service.
_INTERVAL_S: Final = 60.0
_SHORTEST_WALL_S: Final = 1.0
# What waits to be written; beyond, the oldest is given up.
_WAITING_BYTES: Final = 64 * 1024 * 1024
_UNKNOWN_TYPE: Final = "application/octet-stream"
_INFERENCE_ID: Final = re.compile(rb"X-Amzn-SageMaker-Inference-Id: ([^\r]*)\r\n")


@dataclass(slots=True)
class _File:
    """Lines of one variant and one hour that are not written yet."""

    lines: list[str] = field(default_factory=list)
    size: int = 0
    begun_s: float = 0.0


class DataCapture:
    """Captures requests of one fleet: ``wants`` is asked for each, ``take`` gets those it wants.

    Only requests that the model has answered are captured, and none that are answered as a stream.
    """

    def __init__(
        self,
        endpoint: str,
        spec: DataCaptureSpec,
        transfer: ObjectTransfer,
        clock: Clock,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        endpoint: its name.
        spec: what is captured, and where it goes.
        transfer: how it gets there.
        clock: for the time between two deliveries.
        now_s: the wall's seconds since 1970.
        """
        self._endpoint = endpoint
        self._spec = spec
        self._destination = S3Location.parse(spec.destination)
        self._transfer = transfer
        self._interval_s = max(clock.wall_s(_INTERVAL_S), _SHORTEST_WALL_S)
        self._now_s = now_s
        self._share = spec.sampling_percentage / 100
        self._input = any(mode in {"Input", "InputAndOutput"} for mode in spec.modes)
        self._output = any(mode in {"Output", "InputAndOutput"} for mode in spec.modes)
        self._files: dict[tuple[str, str], _File] = {}
        self._delivering: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Deliver from now on."""
        self._delivering = asyncio.ensure_future(self._deliver())

    async def close(self) -> None:
        """Deliver what is left."""
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
            self._delivering = None
        await self.flush()
        for (variant, _), file in self._files.items():
            _log.warning(
                "endpoint %s, variant %s: %s captured requests are lost",
                self._endpoint,
                variant,
                len(file.lines),
            )

    def wants(self) -> bool:
        """Whether the next request is one of the sample."""
        return random.random() < self._share  # noqa: S311 - no secret

    def take(
        self,
        variant: str,
        *,
        content_type: bytes | None,
        body: Body,
        passed_on: bytes,
        answer: Answer,
    ) -> None:
        """Capture a request and its answer.

        Args:
            variant: the one that answered.
            content_type: of the request.
            body: of the request.
            passed_on: the request's other headers, as containers get them.
            answer: the last container's.
        """
        now_s = self._now_s()
        moment = datetime.fromtimestamp(now_s, UTC)
        data: dict[str, Any] = {}
        if self._input:
            data["endpointInput"] = self._observed("INPUT", content_type, body)
        if self._output:
            answered_type = answer.header(b"content-type")
            data["endpointOutput"] = self._observed("OUTPUT", answered_type, answer.body)
        event = {"eventId": str(uuid.uuid4())}
        inference_id = _INFERENCE_ID.search(passed_on)
        if inference_id is not None:
            event["inferenceId"] = inference_id[1].decode("latin-1")
        event["inferenceTime"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        line = json.dumps({"captureData": data, "eventMetadata": event, "eventVersion": "0"})
        file = self._files.setdefault((variant, f"{moment:%Y/%m/%d/%H}"), _File(begun_s=now_s))
        file.lines.append(line)
        file.size += len(line)
        self._give_up_oldest()

    def _observed(self, mode: str, content_type: bytes | None, body: Body) -> dict[str, str]:
        told = _UNKNOWN_TYPE if content_type is None else content_type.decode("latin-1")
        data, encoding = self._encoded(told.partition(";")[0].strip().lower(), bytes(body))
        return {"observedContentType": told, "mode": mode, "data": data, "encoding": encoding}

    def _encoded(self, media_type: str, body: bytes) -> tuple[str, str]:
        """Text as itself where the configuration knows its type; everything else in Base64."""
        for types, encoding in (
            (self._spec.csv_content_types, "CSV"),
            (self._spec.json_content_types, "JSON"),
        ):
            if media_type in types:
                try:
                    return body.decode("utf-8"), encoding
                except UnicodeDecodeError:
                    break
        return base64.b64encode(body).decode("ascii"), "BASE64"

    def _give_up_oldest(self) -> None:
        while sum(file.size for file in self._files.values()) > _WAITING_BYTES:
            key = min(self._files, key=lambda each: self._files[each].begun_s)
            _log.warning(
                "endpoint %s: %s captured requests are given up, S3 does not take them",
                self._endpoint,
                len(self._files.pop(key).lines),
            )

    async def _deliver(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits; what cannot be written waits on."""
        waiting, self._files = self._files, {}
        for (variant, hour), file in waiting.items():
            begun = datetime.fromtimestamp(file.begun_s, UTC)
            name = f"{begun:%M-%S}-{begun.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            prefix = self._destination.key.strip("/")
            parts = [part for part in (prefix, self._endpoint, variant, hour, name) if part]
            try:
                await asyncio.to_thread(
                    self._transfer.upload,
                    S3Location(self._destination.bucket, "/".join(parts)),
                    "".join(f"{line}\n" for line in file.lines).encode(),
                    content_type="application/jsonlines",
                    kms_key_id=self._spec.kms_key_id,
                )
            except TransferError as error:
                _log.warning(
                    "endpoint %s: captured data was not written: %s", self._endpoint, error
                )
                newer = self._files.get((variant, hour), _File())
                file.lines += newer.lines
                file.size += newer.size
                self._files[variant, hour] = file
