"""The last steps of an asynchronous request: its answer into the bucket, then word to the topic."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from hosting.endpoint import AsyncSpec
from local_runtime.artifacts import S3Location
from local_runtime.async_queue import AsyncQueue, AsyncRequest, QueueUnavailableError, Verdict
from local_runtime.clock import Clock
from local_runtime.meters import Meters
from local_runtime.notifications import (
    ERROR_TOPIC,
    SUCCESS_TOPIC,
    NotificationError,
    Publisher,
    notification,
)
from local_runtime.object_transfer import ObjectTransfer, TransferError
from local_runtime.settings import RuntimeSettings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_RETRY_S: Final = 0.1
_RETRY_MAX_S: Final = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What the queues of all endpoints share."""

    queue: AsyncQueue
    transfer: ObjectTransfer
    publisher: Publisher
    meters: Meters
    clock: Clock
    settings: RuntimeSettings
    threads: ThreadPoolExecutor

    async def in_thread(self, call: Callable[[], _T]) -> _T:
        """Do something that blocks, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, call)


class Delivery:
    """Uploads and announces what was decided, for one endpoint.

    Everything here may happen twice, when the process dies in between: the object is then written
    again with the same bytes, and the topic hears of it again.
    """

    def __init__(self, tools: Tools, *, region: str, endpoint: str, spec: AsyncSpec) -> None:
        self.spec = spec
        self._tools = tools
        self._region = region
        self._endpoint = endpoint

    async def deliver(
        self, request_id: int, request: AsyncRequest, verdict: Verdict, answer: bytes | Path
    ) -> None:
        """Take a decided request to its end; then the queue does not hold it any more."""
        tools = self._tools
        try:
            await self._store(request, verdict, answer)
        except TransferError as error:
            _log.warning("endpoint %s: %s", self._endpoint, error)
            self._count("ResponseUploadFailures", verdict.variant)
            if verdict.succeeded:
                reason = f"ClientError: Failed to upload the inference response: {error}"
                verdict = replace(verdict, content_type="text/plain", failure_reason=reason)
                await persistently(lambda: tools.queue.decide(request_id, verdict, reason.encode()))
                # From here on it is a failure like any other.
                await self.deliver(request_id, request, verdict, reason.encode())
                return
        await self._announce(request, verdict, answer)
        await persistently(lambda: tools.queue.remove(request_id))
        total_ms = (time.time() - request.received_at_s) * 1e3
        self._record("TotalProcessingTime", max(total_ms, 0.0), verdict.variant)

    async def publish(self, topic_arn: str, message: str, variant: str) -> None:
        """Send a message to a topic, a bounded number of times if need be."""
        limits = self._tools.settings.limits
        for attempt in range(1, limits.async_notification_attempts + 1):
            try:
                await self._tools.in_thread(
                    lambda: self._tools.publisher.publish(topic_arn, message)
                )
            except NotificationError as error:
                _log.warning("endpoint %s: attempt %s: %s", self._endpoint, attempt, error)
            else:
                return
            if attempt < limits.async_notification_attempts:
                await self._tools.clock.sleep(
                    limits.async_notification_retry_s * 2 ** (attempt - 1)
                )
        self._count("NotificationFailures", variant)

    async def _store(self, request: AsyncRequest, verdict: Verdict, answer: bytes | Path) -> None:
        where = request.output_location if verdict.succeeded else request.failure_location
        if where is None:
            return
        location = S3Location.parse(where)
        attempts = self._tools.settings.limits.async_upload_attempts
        delay_s = _RETRY_S
        for attempt in range(1, attempts + 1):
            started_s = time.perf_counter()
            try:
                await self._tools.in_thread(
                    lambda: self._tools.transfer.upload(
                        location,
                        answer,
                        content_type=verdict.content_type,
                        kms_key_id=self.spec.kms_key_id,
                    )
                )
            except TransferError as error:
                if error.code is not None or attempt == attempts:
                    raise
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _RETRY_MAX_S)
            else:
                took_us = (time.perf_counter() - started_s) * 1e6
                self._record("ResponseUploadLatency", took_us, verdict.variant)
                return

    async def _announce(
        self, request: AsyncRequest, verdict: Verdict, answer: bytes | Path
    ) -> None:
        spec = self.spec
        topic = spec.success_topic_arn if verdict.succeeded else spec.error_topic_arn
        if topic is None:
            return
        included = (SUCCESS_TOPIC if verdict.succeeded else ERROR_TOPIC) in spec.response_in
        response = None
        if included:
            response = await self._tools.in_thread(
                lambda: answer.read_bytes() if isinstance(answer, Path) else answer
            )
        message = notification(
            request,
            verdict,
            region=self._region,
            endpoint=self._endpoint,
            ended_at_s=time.time(),
            response=response,
        )
        await self.publish(topic, message, verdict.variant)

    def _record(self, name: str, value: float, variant: str) -> None:
        self._tools.meters.record(
            name, value, endpoint=self._endpoint, variant=variant, region=self._region
        )

    def _count(self, name: str, variant: str) -> None:
        self._record(name, 1, variant)


async def persistently(step: Callable[[], Awaitable[_T]]) -> _T:
    """Write to the queue, as often as it takes: what is known must not be lost to a full disk."""
    delay_s = _RETRY_S
    while True:
        try:
            return await step()
        except (QueueUnavailableError, OSError) as error:
            _log.error("asynchronous queue: %s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _RETRY_MAX_S)
