"""``sagemaker-runtime`` InvokeEndpoint: reads the request, checks it, answers it.

Source: service model of sagemaker-runtime 2017-05-13, InvokeEndpoint.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from time import monotonic
from typing import Final
from urllib.parse import unquote_to_bytes

from hosting import validation
from hosting.limits import HEADER_MAX_LENGTH
from local_runtime.async_api import OPERATION, AsyncApi
from local_runtime.data_capture import DataCapture
from local_runtime.endpoints import Endpoint, EndpointTable
from local_runtime.errors import (
    PayloadTooLarge,
    RuntimeApiError,
    TargetModelMissing,
    TargetModelNotSupported,
    ValidationError,
    to_response,
)
from local_runtime.http_client import Answer, Body
from local_runtime.http_request import Request
from local_runtime.http_wire import Headers, RequestHead, ResponseHead
from local_runtime.instances import AnyInstance, AnyTarget, Variant
from local_runtime.multi_model import MultiModelContainer
from local_runtime.pipeline import Hop, Invocation
from local_runtime.response_stream import EventResponse
from local_runtime.settings import Limits, RuntimeSettings
from local_runtime.shadow import copy_to_shadows

ROUTE: Final = b"/endpoints/"
_INVOCATIONS: Final = b"invocations"
_PREFIX: Final = b"x-amzn-sagemaker-"
_STREAM: Final = b"invocations-response-stream"
_OPERATIONS: Final = frozenset({_INVOCATIONS, _STREAM, OPERATION})
# Paths, credentials' scopes and answers' heads that are taken apart once: a client's differ little.
_REMEMBERED: Final = 256
# Parameters that would have to change what happens: refused, never ignored.
_NOT_UNDERSTOOD: Final = {
    b"x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    b"x-amzn-sagemaker-session-id": "SessionId",
    b"x-amzn-sagemaker-prefix-aware-id": "PrefixAwareId",
}
# What containers get besides Content-Type and Accept, spelled as AWS spells it.
_PASSED_ON: Final = {
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    b"x-amzn-sagemaker-inference-id": b"X-Amzn-SageMaker-Inference-Id",
    b"x-amzn-sagemaker-target-variant": b"X-Amzn-SageMaker-Target-Variant",
    b"x-amzn-sagemaker-target-container-hostname": b"X-Amzn-SageMaker-Target-Container-Hostname",
}
_ATTRIBUTES: Final = b"x-amzn-sagemaker-custom-attributes"

_request_ids = itertools.count()
# In the form of a UUID, but random once per process: there is one for each request.
_ID_HEADER: Final = b"x-amzn-requestid: "
_REQUEST_ID_LINE: Final = b"x-amzn-requestid: %b-%b-4%b-a%b-" % tuple(
    secrets.token_hex(length)[cut:].encode("ascii")
    for length, cut in ((4, 0), (2, 0), (2, 1), (2, 1))
)


def _request_id() -> bytes:
    return b"%b%012x\r\n" % (_REQUEST_ID_LINE, next(_request_ids))


class RuntimeApi:
    """Answers the routes below ``/endpoints/``."""

    def __init__(self, endpoints: EndpointTable, settings: RuntimeSettings) -> None:
        self._endpoints = endpoints
        self._limits = settings.limits
        self._async_api = AsyncApi(endpoints, settings, _refuse, _request_id)

    def answer(self, request: Request) -> None:
        """Answer a request of the runtime API, now or when its containers have."""
        try:
            self._invoke(request)
        except RuntimeApiError as error:
            _refuse(request, error)

    def _invoke(self, request: Request) -> None:
        name, operation = _endpoint_and_operation(request.path)
        if operation == OPERATION:
            region = _signed_region(request.head.header(b"authorization"))
            self._async_api.invoke(request, name, region)
            return
        streamed = operation == _STREAM
        known = request.head.known
        parameters = (
            _Parameters(request.head, streamed=streamed)
            if known is None
            else _known_parameters(known, streamed)
        )
        endpoint = self._endpoints.find(name, parameters.region)
        if endpoint.backlog is not None:
            raise ValidationError(
                f"Endpoint {name} is an asynchronous endpoint and does not support InvokeEndpoint."
                " Use InvokeEndpointAsync."
            )
        limit = endpoint.serving().payload_limit
        response = EventResponse(request) if streamed else None
        call = _Call(request, endpoint, parameters, self._limits, response)
        request.collect(limit, call.collected, _too_large(request, limit))


class _Call:
    """One InvokeEndpoint: what remains to be done when its body is here."""

    __slots__ = (
        "_began_s",
        "_captured",
        "_endpoint",
        "_hops_s",
        "_limits",
        "_parameters",
        "_request",
        "_response",
        "_variant",
    )

    def __init__(
        self,
        request: Request,
        endpoint: Endpoint,
        parameters: _Parameters,
        limits: Limits,
        response: EventResponse | None,
    ) -> None:
        self._request = request
        self._endpoint = endpoint
        self._parameters = parameters
        self._limits = limits
        self._response = response
        self._began_s = monotonic()
        self._variant: AnyTarget
        self._captured: tuple[DataCapture, Body] | None = None
        self._hops_s: list[float] = []

    def collected(self, body: Body) -> None:
        """Send the body through the containers.

        They are chosen now and not with the head: a large body takes its time, and meanwhile the
        fleet may have been replaced.
        """
        parameters = self._parameters
        try:
            fleet = self._endpoint.serving()
            self._variant = variant = fleet.pick_target(
                parameters.component, parameters.target_variant
            )
            instance, containers = self._route(variant)
            if self._response is not None:
                self._response.add_headers(_header_list(variant.header + _request_id()))
        except RuntimeApiError as error:
            _refuse(self._request, error)
            return
        if fleet.capture is not None and self._response is None and fleet.capture.wants():
            self._captured = fleet.capture, body
        Invocation(
            instance,
            containers,
            content_type=parameters.content_type,
            accept=parameters.accept,
            passed_on=parameters.passed_on,
            hop_limit=self._limits.pipeline_hop_bytes,
            timeout_s=(
                self._limits.invocation_timeout_s
                if self._response is None
                else self._limits.streaming_timeout_s
            ),
            caller=self,
            hops_s=self._hops_s,
            stream=self._response,
        ).start(body)
        if fleet.shadows:
            copy_to_shadows(
                fleet,
                variant,
                body,
                self._route,
                content_type=parameters.content_type,
                accept=parameters.accept,
                passed_on=parameters.passed_on,
                limits=self._limits,
            )

    def _route(self, variant: AnyTarget) -> tuple[AnyInstance, Sequence[Hop]]:
        parameters = self._parameters
        parameters.check(self._endpoint, variant)
        instance = parameters.instance(variant)
        return instance, parameters.containers(instance, variant, self._endpoint)

    @property
    def gone(self) -> bool:
        return self._request.aborted

    def done(self, outcome: Answer | RuntimeApiError) -> None:
        meter = self._variant.meter
        if meter is not None:
            meter.answered(
                self._hops_s,
                monotonic() - self._began_s,
                outcome,
                self._parameters.target_container,
            )
        if isinstance(outcome, RuntimeApiError):
            if self._response is None or not self._response.break_off(outcome):
                _refuse(self._request, outcome)
            return
        if self._response is not None:
            self._response.complete(outcome)
            return
        if self._captured is not None:
            capture, body = self._captured
            capture.take(
                self._variant.name,
                content_type=self._parameters.content_type,
                body=body,
                passed_on=self._parameters.passed_on,
                answer=outcome,
            )
        self._request.respond(
            200,
            self._variant.header + _request_id() + _from_container(outcome.head),
            outcome.body,
        )


class _Parameters:
    """The parameters of InvokeEndpoint, which travel as headers."""

    __slots__ = (
        "accept",
        "component",
        "content_type",
        "passed_on",
        "region",
        "target_container",
        "target_model",
        "target_variant",
    )

    def __init__(self, head: RequestHead, *, streamed: bool = False) -> None:
        """Read and check what needs no endpoint.

        Raises:
            ValidationError: a value is not allowed, or the parameter is not understood.
        """
        # InvokeEndpointWithResponseStream answers in a form of its own: Accept is about that.
        self.accept = head.header(b"x-amzn-sagemaker-accept" if streamed else b"accept")
        self.content_type = head.header(b"content-type")
        for argument, value in (("Accept", self.accept), ("ContentType", self.content_type)):
            if value is not None and not (len(value) <= HEADER_MAX_LENGTH and value.isascii()):
                raise ValidationError(
                    f"{argument} must be at most {HEADER_MAX_LENGTH} ASCII characters,"
                    f" got {len(value)}"
                )
        self.region = _signed_region(head.header(b"authorization"))
        self.component: str | None = None
        self.target_container: str | None = None
        self.target_model: str | None = None
        self.target_variant: str | None = None
        self.passed_on = b""
        for name, value in head.beginning_with(_PREFIX):
            self._read(name, value.decode("latin-1"))
            if name in _PASSED_ON:
                self.passed_on += b"%b: %b\r\n" % (_PASSED_ON[name], value)
        if streamed and self.target_model is not None:
            raise ValidationError("InvokeEndpointWithResponseStream does not support TargetModel")

    def _read(self, name: bytes, value: str) -> None:
        complaints: list[str] = []
        if name == _ATTRIBUTES:
            complaints = validation.custom_attributes(value)
        elif name == b"x-amzn-sagemaker-inference-id":
            complaints = validation.inference_id(value)
        elif name == b"x-amzn-sagemaker-target-model":
            complaints = _target_model_complaints(value)
            self.target_model = value
        elif name == b"x-amzn-sagemaker-target-variant":
            complaints = validation.name("TargetVariant", value)
            self.target_variant = value
        elif name == b"x-amzn-sagemaker-target-container-hostname":
            complaints = validation.name("TargetContainerHostname", value)
            self.target_container = value
        elif name == b"x-amzn-sagemaker-inference-component":
            complaints = validation.name("InferenceComponentName", value)
            self.component = value
        elif name in _NOT_UNDERSTOOD:
            complaints = [f"{_NOT_UNDERSTOOD[name]} is not served by the local runtime"]
        if complaints:
            raise ValidationError("; ".join(complaints))

    def check(self, endpoint: Endpoint, variant: AnyTarget) -> None:
        """Refuse what this endpoint does not take, before the body is received.

        Raises:
            ValidationError: there is such a parameter.
        """
        if self.target_model is not None and not variant.multi_model:
            raise TargetModelNotSupported(endpoint.name)
        if variant.direct and self.target_container is None:
            raise ValidationError(
                f"Endpoint {endpoint.name} is invoked directly: TargetContainerHostname must be"
                " given."
            )
        if self.target_container is not None and not variant.direct:
            raise ValidationError(
                f"Endpoint {endpoint.name} is not configured for direct invocation and does not"
                " support TargetContainerHostname."
            )

    def instance(self, variant: AnyTarget) -> AnyInstance:
        """The instance that the request goes to.

        Raises:
            ServiceUnavailable: none can answer.
            ThrottlingException: the variant has as many requests as it may.
        """
        if self.target_model is not None and isinstance(variant, Variant):
            return variant.pick_instance_for(self.target_model)
        return variant.pick_instance()

    def containers(
        self, instance: AnyInstance, variant: AnyTarget, endpoint: Endpoint
    ) -> Sequence[Hop]:
        """The containers that the request goes through.

        Raises:
            ValidationError: the target container or the target model is missing.
        """
        if variant.multi_model:
            chosen = self._chosen(instance.containers, variant, endpoint)
            return [self._hop(container, endpoint) for container in chosen]
        return self._chosen(instance.containers, variant, endpoint)

    def _hop(self, container: Hop, endpoint: Endpoint) -> Hop:
        """The container, with the model that the request wants of it."""
        if not isinstance(container, MultiModelContainer):
            if self.target_model is not None and self.target_container is not None:
                raise TargetModelNotSupported(endpoint.name)
            return container
        if self.target_model is None:
            raise TargetModelMissing(_request_id()[len(_ID_HEADER) : -2].decode("ascii"))
        return container.hop(self.target_model)

    def _chosen(
        self, containers: Sequence[Hop], variant: AnyTarget, endpoint: Endpoint
    ) -> Sequence[Hop]:
        if not variant.direct:
            return containers
        for container in containers:
            if container.place.container == self.target_container:
                return (container,)
        raise ValidationError(
            f"TargetContainerHostname {self.target_container} not found in endpoint"
            f" {endpoint.name}."
        )


@lru_cache(_REMEMBERED)
def _known_parameters(head: RequestHead, streamed: bool) -> _Parameters:
    return _Parameters(head, streamed=streamed)


@lru_cache(maxsize=4096)
def _target_model_complaints(value: str) -> list[str]:
    """Callers name the same models again and again."""
    return validation.target_model(value)


def is_operation(request: Request) -> bool:
    """Whether a request below ``/endpoints/`` is meant for this API, and not for a bucket."""
    if request.head.method != b"POST":
        return False
    return request.path.rpartition(b"/")[2] in _OPERATIONS


@lru_cache(_REMEMBERED)
def _endpoint_and_operation(path: bytes) -> tuple[str, bytes]:
    name, _, operation = path[len(ROUTE) :].partition(b"/")
    if b"%" in name:
        name = unquote_to_bytes(name)
    return name.decode("utf-8", "replace"), operation


def _header_list(lines: bytes) -> Headers:
    pairs = (line.split(b": ", 1) for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, value in pairs]


def _signed_region(authorization: bytes | None) -> str | None:
    """The region of a SigV4 credential scope: KEY/DATE/REGION/SERVICE/aws4_request."""
    if authorization is None:
        return None
    return _scoped_region(authorization.partition(b"Credential=")[2].partition(b",")[0])


@lru_cache(_REMEMBERED)
def _scoped_region(scope: bytes) -> str | None:
    parts = scope.split(b"/", 3)
    return parts[2].decode("latin-1") if len(parts) == 4 else None


@lru_cache(_REMEMBERED)
def _from_container(head: ResponseHead) -> bytes:
    """The header lines of a container's answer that its client gets."""
    content_type, attributes = head.header(b"content-type"), head.header(_ATTRIBUTES)
    return b"%b%b" % (
        b"" if content_type is None else b"content-type: %b\r\n" % content_type,
        b"" if attributes is None else b"%b: %b\r\n" % (_ATTRIBUTES, attributes),
    )


def _too_large(request: Request, limit: int) -> Callable[[int | None], None]:
    return lambda size: _refuse(request, PayloadTooLarge(size, limit))


def _refuse(request: Request, error: RuntimeApiError) -> None:
    status, headers, body = to_response(error)
    if isinstance(error, TargetModelMissing):  # its message names the request
        headers += b"%b%b\r\n" % (_ID_HEADER, error.request_id.encode("ascii"))
    else:
        headers += _request_id()
    request.respond(status, headers, body)
