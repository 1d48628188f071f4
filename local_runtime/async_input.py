"""What an asynchronous request holds: out of the queue, or out of S3."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from hosting.limits import ASYNC_PAYLOAD_MAX_BYTES
from local_runtime.artifacts import S3Location
from local_runtime.async_delivery import Tools, persistently
from local_runtime.async_queue import AsyncRequest
from local_runtime.endpoints import Endpoint
from local_runtime.http_client import Body
from local_runtime.object_transfer import TransferError

_ATTEMPTS: Final = 3
_RETRY_S: Final = 0.2


async def fetch_input(
    tools: Tools, endpoint: Endpoint, request_id: int, request: AsyncRequest, *, variant: str
) -> Body:
    """The body of a request, and the time that S3 took for it as a metric of ``variant``.

    Raises:
        TransferError: it cannot be had.
    """
    if request.input_location is None:
        inline = await persistently(lambda: tools.queue.body(request_id))
        assert inline is not None, "a request without a location came with a body"
        return inline
    location = S3Location.parse(request.input_location)
    attempt = 1
    while True:
        started_s = time.monotonic()
        try:
            body = await tools.in_thread(
                lambda: tools.transfer.download(location, limit=ASYNC_PAYLOAD_MAX_BYTES)
            )
        except TransferError as error:
            if error.code is not None or attempt == _ATTEMPTS:
                raise
            attempt += 1
            await asyncio.sleep(_RETRY_S)
        else:
            tools.meters.record(
                "RequestDownloadLatency",
                (time.monotonic() - started_s) * 1e6,
                endpoint=endpoint.name,
                variant=variant,
                region=endpoint.region,
            )
            return body
