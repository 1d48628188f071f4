"""One asynchronous request on its way through the containers of an instance."""

from __future__ import annotations

import asyncio

from local_runtime.async_queue import AsyncRequest
from local_runtime.errors import RuntimeApiError
from local_runtime.http_client import (
    Answer,
    AnswerTooLargeError,
    Body,
    ConnectionLostError,
)
from local_runtime.instance import Instance
from local_runtime.pipeline import Invocation


class Errand(Invocation):
    """An invocation that somebody awaits, and what became of it on the way."""

    __slots__ = ("_outcome", "answer", "lost", "sent")

    def __init__(self, request: AsyncRequest, instance: Instance, hop_limit: int) -> None:
        passed_on = b"X-Amzn-SageMaker-Inference-Id: %b\r\n" % request.inference_id.encode(
            "latin-1"
        )
        if request.custom_attributes is not None:
            attributes = request.custom_attributes.encode("latin-1")
            passed_on += b"X-Amzn-SageMaker-Custom-Attributes: %b\r\n" % attributes
        super().__init__(
            instance,
            instance.containers,
            content_type=_header(request.content_type),
            accept=_header(request.accept),
            passed_on=passed_on,
            hop_limit=hop_limit,
            timeout_s=request.invocation_timeout_s,
            caller=self,
        )
        self.answer: Answer | None = None
        self.lost = False
        self.sent = True
        self._outcome: asyncio.Future[Answer | RuntimeApiError] = (
            asyncio.get_running_loop().create_future()
        )

    async def run(self, body: Body) -> Answer | RuntimeApiError:
        """The last container's answer, or what went wrong."""
        self.start(body)
        return await self._outcome

    # -- the caller's side

    @property
    def gone(self) -> bool:
        return self._outcome.cancelled()

    def done(self, outcome: Answer | RuntimeApiError) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    # -- what the containers say

    def answered(self, answer: Answer) -> None:
        self.answer = answer
        super().answered(answer)

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        self.lost = isinstance(error, ConnectionLostError)
        super().failed(error)

    def refused(self, error: RuntimeApiError) -> None:
        self.sent = False
        super().refused(error)


def _header(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")
