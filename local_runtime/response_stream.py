"""InvokeEndpointWithResponseStream: an answer that is handed on while the container writes it."""

from __future__ import annotations

from local_runtime.errors import InvocationTimeExceeded, RuntimeApiError
from local_runtime.event_stream import CONTENT_TYPE, StreamErrorCode, payload_parts, stream_error
from local_runtime.http_client import Answer, HttpConnection
from local_runtime.http_request import Request
from local_runtime.http_wire import Headers, ResponseHead

_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"


class EventResponse:
    """The answer to one request, event by event. A container's connection feeds it.

    A client that reads too slowly makes the container wait, not this process grow.
    """

    __slots__ = ("_begun", "_connection", "_headers", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._headers: Headers = []
        self._connection: HttpConnection | None = None
        self._begun = False

    def add_headers(self, headers: Headers) -> None:
        """Send these with the answer, whatever the container says."""
        self._headers += headers

    # -- what the container's connection calls

    def began(self, head: ResponseHead, connection: HttpConnection) -> None:
        """The head of the answer is here; its body follows in pieces."""
        self._connection = connection
        self._start(head)
        self._request.set_backpressure(self._hold)
        self._request.on_abort = connection.resume

    def piece(self, data: bytes) -> None:
        """A piece of the body is here."""
        for event in payload_parts(data):
            self._request.write(event)

    # -- how it ends

    def complete(self, answer: Answer) -> None:
        """The answer is complete; one that came whole is sent now."""
        if not self._begun:
            self._start(answer.head)
            for event in payload_parts(answer.body):
                self._request.write(event)
        self._request.end_response()

    def break_off(self, error: RuntimeApiError) -> bool:
        """Say why the rest does not come; False when nothing has been sent yet."""
        if not self._begun:
            return False
        late = isinstance(error, InvocationTimeExceeded)
        code: StreamErrorCode = "ModelInvocationTimeExceeded" if late else "StreamBroken"
        self._request.write(stream_error(code, str(error)))
        self._request.end_response()
        return True

    def _start(self, head: ResponseHead) -> None:
        self._begun = True
        headers = [(b"content-type", CONTENT_TYPE), *self._headers]
        content_type = head.header(b"content-type")
        if content_type is not None:
            headers.append((b"x-amzn-sagemaker-content-type", content_type))
        attributes = head.header(_ATTRIBUTES)
        if attributes is not None:
            headers.append((_ATTRIBUTES, attributes))
        self._request.start_response(200, headers, length=None, has_body=True)

    def _hold(self, full: bool) -> None:
        assert self._connection is not None
        if full:
            self._connection.pause()
        else:
            self._connection.resume()
