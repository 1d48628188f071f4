"""``sagemaker-runtime`` InvokeEndpointAsync: reads the request, checks it, puts it into the queue.

Source: service model of sagemaker-runtime 2017-05-13, InvokeEndpointAsync. Refusals of single
parameters have the words in which AWS's services report a broken constraint.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from hosting import limits
from hosting.endpoint import AsyncSpec
from hosting.limits import Bounds
from local_runtime.artifacts import ArtifactError, S3Location
from local_runtime.async_backlog import Backlog
from local_runtime.async_queue import AsyncRequest, QueueUnavailableError
from local_runtime.endpoints import Endpoint, EndpointTable
from local_runtime.errors import RuntimeApiError, ServiceUnavailable, ValidationError
from local_runtime.http_client import Body
from local_runtime.http_request import Request
from local_runtime.settings import RuntimeSettings

OPERATION: Final = b"async-invocations"

_PREFIX: Final = b"x-amzn-sagemaker-"
_OUTPUT_LOCATION: Final = b"x-amzn-sagemaker-outputlocation"
_FAILURE_LOCATION: Final = b"x-amzn-sagemaker-failurelocation"


class _Text(NamedTuple):
    """What a parameter may hold; ``shown`` is how AWS spells ``pattern``."""

    member: str
    length: Bounds
    pattern: str
    shown: str


_ASCII: Final = (limits.CUSTOM_ATTRIBUTES_PATTERN, r"\p{ASCII}*")
_EXTENSION: Final = r"^(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]+$"
_TEXTS: Final = {
    b"content-type": _Text("contentType", Bounds(0, limits.HEADER_MAX_LENGTH), *_ASCII),
    b"accept": _Text("accept", Bounds(0, limits.HEADER_MAX_LENGTH), *_ASCII),
    b"custom-attributes": _Text(
        "customAttributes", Bounds(0, limits.CUSTOM_ATTRIBUTES_MAX_LENGTH), *_ASCII
    ),
    b"inference-id": _Text(
        "inferenceId",
        limits.INFERENCE_ID_LENGTH,
        limits.INFERENCE_ID_PATTERN,
        r"\A\S[\p{Print}]*\z",
    ),
    b"inputlocation": _Text(
        "inputLocation",
        Bounds(1, limits.ASYNC_INPUT_LOCATION_MAX_LENGTH),
        limits.ASYNC_INPUT_LOCATION_PATTERN,
        limits.ASYNC_INPUT_LOCATION_PATTERN,
    ),
    b"s3outputpathextension": _Text(
        "s3OutputPathExtension", limits.ASYNC_OUTPUT_EXTENSION_LENGTH, _EXTENSION, _EXTENSION
    ),
    b"filename": _Text(
        "filename",
        limits.ASYNC_FILENAME_LENGTH,
        limits.ASYNC_FILENAME_PATTERN,
        limits.ASYNC_FILENAME_PATTERN,
    ),
}
_NUMBERS: Final = {
    b"requestttlseconds": ("requestTTLSeconds", limits.ASYNC_REQUEST_TTL_S),
    b"invocationtimeoutseconds": ("invocationTimeoutSeconds", limits.ASYNC_INVOCATION_TIMEOUT_S),
}


class AsyncApi:
    """Answers ``POST /endpoints/NAME/async-invocations``."""

    def __init__(
        self,
        endpoints: EndpointTable,
        settings: RuntimeSettings,
        refuse: Callable[[Request, RuntimeApiError], None],
        request_id: Callable[[], bytes],
    ) -> None:
        """``refuse`` and ``request_id`` are those of the other operations."""
        self._endpoints = endpoints
        self._settings = settings
        self._refuse = refuse
        self._request_id = request_id

    def invoke(self, request: Request, name: str, region: str | None) -> None:
        """Answer a request when it is in the queue.

        Raises:
            ValidationError: it cannot be served as it is.
        """
        endpoint = self._endpoints.find(name, region)
        backlog = _backlog_of(endpoint)
        parameters = _Parameters(request)

        def collected(body: Body) -> None:
            try:
                self._accept(request, endpoint, backlog, parameters, body)
            except RuntimeApiError as error:
                self._refuse(request, error)

        def too_large(_: int | None) -> None:
            self._refuse(request, ValidationError(_refusal([parameters.body_too_large()])))

        request.collect(limits.ASYNC_INLINE_PAYLOAD_MAX_BYTES, collected, too_large)

    def _accept(
        self,
        request: Request,
        endpoint: Endpoint,
        backlog: Backlog,
        parameters: _Parameters,
        body: Body,
    ) -> None:
        if endpoint.backlog is not backlog:
            backlog = _backlog_of(endpoint)  # it was deleted or updated while the body came
        wanted = parameters.request(
            backlog.spec,
            has_body=len(body) > 0,
            failure_suffix=self._settings.choices.async_failure_suffix,
        )
        inline = None if wanted.input_location is not None else bytes(body)
        accepted = backlog.accept(wanted, inline)
        accepted.add_done_callback(lambda future: self._answer(request, wanted, future.exception()))

    def _answer(self, request: Request, wanted: AsyncRequest, error: BaseException | None) -> None:
        if isinstance(error, QueueUnavailableError):
            self._refuse(request, ServiceUnavailable(str(error)))
            return
        if error is not None:
            raise error
        headers = b"content-type: application/json\r\n" + self._request_id()
        for name, location in (
            (_OUTPUT_LOCATION, wanted.output_location),
            (_FAILURE_LOCATION, wanted.failure_location),
        ):
            if location is not None:
                headers += b"%b: %b\r\n" % (name, location.encode("utf-8"))
        request.respond(202, headers, json.dumps({"InferenceId": wanted.inference_id}).encode())


def _backlog_of(endpoint: Endpoint) -> Backlog:
    if endpoint.backlog is not None:
        return endpoint.backlog
    endpoint.serving()  # one that cannot answer at all says so itself
    raise ValidationError(
        f"Endpoint {endpoint.name} is not an asynchronous endpoint and does not support"
        " InvokeEndpointAsync. Use InvokeEndpoint."
    )


class _Parameters:
    """The parameters of InvokeEndpointAsync, which travel as headers."""

    def __init__(self, request: Request) -> None:
        """Read and check what needs no endpoint.

        Raises:
            ValidationError: values break constraints; the message lists all of them.
        """
        self._texts: dict[bytes, str] = {}
        self._numbers: dict[bytes, int] = {}
        complaints: list[str] = []
        for header, raw in request.head.headers:
            if header.startswith(_PREFIX):
                name, value = header[len(_PREFIX) :], raw.decode("latin-1")
                complaints += self._read(name, value)
        if complaints:
            raise ValidationError(_refusal(complaints))

    def _read(self, name: bytes, value: str) -> Iterator[str]:
        if name in _TEXTS:
            self._texts[name] = value
            yield from _text_complaints(_TEXTS[name], value)
        elif name in _NUMBERS:
            member, bounds = _NUMBERS[name]
            if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
                raise ValidationError(f"{member} must be an integer, got {value!r}")
            self._numbers[name] = int(value)
            yield from _bounds_complaints(member, value, int(value), bounds, "value")

    @staticmethod
    def body_too_large() -> str:
        """The complaint about an inline body."""
        return (
            "Value at 'body' failed to satisfy constraint: Member must have length less than or"
            f" equal to {limits.ASYNC_INLINE_PAYLOAD_MAX_BYTES}"
        )

    def request(self, spec: AsyncSpec, *, has_body: bool, failure_suffix: str) -> AsyncRequest:
        """The request as it is queued.

        Raises:
            ValidationError: it has no input or two, or the input is not in S3.
        """
        texts = self._texts
        where = texts.get(b"inputlocation")
        if where is None and not has_body:
            missing = (
                "Value null at 'inputLocation' failed to satisfy constraint: Member must not be"
                " null"
            )
            raise ValidationError(_refusal([missing]))
        if where is not None and has_body:
            raise ValidationError(
                "InputLocation and Body are mutually exclusive: exactly one of them must be given."
            )
        if where is not None:
            where = str(_input_location(where))
        received_at_s = time.time()
        number = str(uuid.uuid4())
        ttl_s = self._numbers.get(b"requestttlseconds", limits.ASYNC_REQUEST_DEFAULT_TTL_S)
        return AsyncRequest(
            inference_id=texts.get(b"inference-id", number),
            input_location=where,
            content_type=texts.get(b"content-type"),
            accept=texts.get(b"accept"),
            custom_attributes=texts.get(b"custom-attributes"),
            invocation_timeout_s=self._numbers.get(
                b"invocationtimeoutseconds", limits.ASYNC_INVOCATION_DEFAULT_TIMEOUT_S
            ),
            received_at_s=received_at_s,
            expires_at_s=received_at_s + ttl_s,
            output_location=_location(
                spec.output_path,
                texts.get(b"s3outputpathextension"),
                # Not the caller's InferenceId, which may come twice: an answer is never overwritten
                # unless the caller names the file.
                texts.get(b"filename", f"{number}.out"),
            ),
            failure_location=_location(spec.failure_path, None, f"{number}{failure_suffix}"),
        )


def _input_location(value: str) -> S3Location:
    try:
        location = S3Location.parse(value)
    except ArtifactError:
        location = S3Location("", "")
    if not location.bucket or not location.key:
        raise ValidationError(f"InputLocation must name an object in S3, got {value!r}")
    return location


def _location(path: str | None, extension: str | None, name: str) -> str | None:
    if path is None:
        return None
    base = S3Location.parse(path)
    parts = [base.key.rstrip("/"), "" if extension is None else extension.strip("/"), name]
    return str(S3Location(base.bucket, "/".join(part for part in parts if part)))


def _text_complaints(text: _Text, value: str) -> Iterator[str]:
    yield from _bounds_complaints(text.member, value, len(value), text.length, "length")
    if re.fullmatch(text.pattern, value) is None:
        yield _complaint(
            text.member, value, f"Member must satisfy regular expression pattern: {text.shown}"
        )


def _bounds_complaints(
    member: str, value: str, number: float, bounds: Bounds, noun: str
) -> Iterator[str]:
    if bounds.maximum is not None and number > bounds.maximum:
        limit = f"less than or equal to {bounds.maximum}"
    elif number < bounds.minimum:
        limit = f"greater than or equal to {bounds.minimum}"
    else:
        return
    yield _complaint(member, value, f"Member must have {noun} {limit}")


def _complaint(member: str, value: str, constraint: str) -> str:
    return f"Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"


def _refusal(complaints: list[str]) -> str:
    noun = "error" if len(complaints) == 1 else "errors"
    return f"{len(complaints)} validation {noun} detected: {'; '.join(complaints)}"
