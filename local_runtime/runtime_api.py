"""``sagemaker-runtime`` InvokeEndpoint: reads the request, checks it, answers it.

Source: service model of sagemaker-runtime 2017-05-13, InvokeEndpoint.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from hosting import validation
from local_runtime.containers import Container
from local_runtime.endpoints import Endpoint, EndpointTable
from local_runtime.errors import (
    PayloadTooLarge,
    RuntimeApiError,
    TargetModelNotSupported,
    UnknownOperation,
    ValidationError,
    to_response,
)
from local_runtime.http_client import Answer, Body
from local_runtime.http_server import Request
from local_runtime.http_wire import Headers
from local_runtime.instances import Instance, Variant
from local_runtime.pipeline import Invocation
from local_runtime.settings import RuntimeSettings

ROUTE: Final = b"/endpoints/"
_INVOCATIONS: Final = "invocations"
_PREFIX: Final = b"x-amzn-sagemaker-"
# Operations of the API that this runtime does not serve, by the last part of their path.
_NOT_SERVED: Final = {
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "async-invocations": "InvokeEndpointAsync",
}
# Parameters that would have to change what happens: refused, never ignored.
_NOT_UNDERSTOOD: Final = {
    b"x-amzn-sagemaker-inference-component": "InferenceComponentName",
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
_request_id_start: Final = secrets.token_hex(12)


def _request_id() -> bytes:
    """A new id in the form of a UUID; random once per process, for there are many."""
    number = next(_request_ids) & 0xFFFFFFFFFFFF
    start = _request_id_start
    return (
        f"x-amzn-requestid: {start[:8]}-{start[8:12]}-4{start[13:16]}-a{start[17:20]}"
        f"-{number:012x}\r\n"
    ).encode("ascii")


class RuntimeApi:
    """Answers the routes below ``/endpoints/``."""

    def __init__(self, endpoints: EndpointTable, settings: RuntimeSettings) -> None:
        self._endpoints = endpoints
        self._payload_limit = settings.realtime_payload_bytes
        self._hop_limit = settings.limits.pipeline_hop_bytes

    def answer(self, request: Request) -> None:
        """Answer a request of the runtime API, now or when its containers have."""
        try:
            self._invoke(request)
        except RuntimeApiError as error:
            _refuse(request, error)

    def _invoke(self, request: Request) -> None:
        name = _endpoint_name(request)
        parameters = _Parameters(request.head.headers)
        endpoint = self._endpoints.find(name, parameters.region)
        fleet = endpoint.serving()
        variant = fleet.pick_variant(parameters.target_variant)
        parameters.check(endpoint, variant)
        limit = self._payload_limit

        def collected(body: Body) -> None:
            try:
                # Chosen now and not with the head: a large body takes its time to arrive, and a
                # fleet may have been replaced or a container have died meanwhile.
                serving = endpoint.serving()
                variant = serving.pick_variant(parameters.target_variant)
                instance = variant.pick_instance()
                containers = parameters.containers(instance, variant, endpoint)
            except RuntimeApiError as error:
                _refuse(request, error)
                return
            Invocation(
                instance,
                containers,
                content_type=parameters.content_type,
                accept=parameters.accept,
                passed_on=parameters.passed_on,
                hop_limit=self._hop_limit,
                done=_answer_with(request, variant),
                gone=lambda: request.aborted,
            ).start(body)

        def too_large(size: int | None) -> None:
            _refuse(request, PayloadTooLarge(size, limit))

        request.collect(limit, collected, too_large)


class _Parameters:
    """The parameters of InvokeEndpoint, which travel as headers."""

    __slots__ = (
        "accept",
        "content_type",
        "passed_on",
        "region",
        "target_container",
        "target_model",
        "target_variant",
    )

    def __init__(self, headers: Headers) -> None:
        """Read and check what needs no endpoint.

        Raises:
            ValidationError: a value is not allowed, or the parameter is not understood.
        """
        self.accept: bytes | None = None
        self.content_type: bytes | None = None
        self.region: str | None = None
        self.target_container: str | None = None
        self.target_model: str | None = None
        self.target_variant: str | None = None
        passed_on = b""
        for name, value in headers:
            if name == b"content-type":
                self.content_type = value
            elif name == b"accept":
                self.accept = value
            elif name == b"authorization":
                self.region = _signed_region(value)
            elif name.startswith(_PREFIX):
                self._read(name, value.decode("latin-1"))
                if name in _PASSED_ON:
                    passed_on += b"%b: %b\r\n" % (_PASSED_ON[name], value)
        self.passed_on = passed_on

    def _read(self, name: bytes, value: str) -> None:
        complaints: list[str] = []
        if name == _ATTRIBUTES:
            complaints = validation.custom_attributes(value)
        elif name == b"x-amzn-sagemaker-inference-id":
            complaints = validation.inference_id(value)
        elif name == b"x-amzn-sagemaker-target-model":
            complaints = validation.target_model(value)
            self.target_model = value
        elif name == b"x-amzn-sagemaker-target-variant":
            complaints = validation.name("TargetVariant", value)
            self.target_variant = value
        elif name == b"x-amzn-sagemaker-target-container-hostname":
            complaints = validation.name("TargetContainerHostname", value)
            self.target_container = value
        elif name in _NOT_UNDERSTOOD:
            complaints = [f"{_NOT_UNDERSTOOD[name]} is not served by the local runtime"]
        if complaints:
            raise ValidationError("; ".join(complaints))

    def check(self, endpoint: Endpoint, variant: Variant) -> None:
        """Refuse what this endpoint does not take, before the body is received.

        Raises:
            ValidationError: there is such a parameter.
        """
        if self.target_model is not None:
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

    def containers(
        self, instance: Instance, variant: Variant, endpoint: Endpoint
    ) -> Sequence[Container]:
        """The containers that the request goes through.

        Raises:
            ValidationError: the target container does not exist.
        """
        if not variant.direct:
            return instance.containers
        for container in instance.containers:
            if container.place.container == self.target_container:
                return (container,)
        raise ValidationError(
            f"TargetContainerHostname {self.target_container} not found in endpoint"
            f" {endpoint.name}."
        )


def _endpoint_name(request: Request) -> str:
    name, _, operation = request.path[len(ROUTE) :].decode("latin-1").partition("/")
    if operation in _NOT_SERVED:
        raise ValidationError(f"{_NOT_SERVED[operation]} is not served by the local runtime yet")
    if operation != _INVOCATIONS or request.head.method != b"POST":
        raise UnknownOperation(
            f"{request.head.method.decode('ascii')} {request.path.decode('latin-1')}"
            " is no operation of sagemaker-runtime"
        )
    if "%" in name:
        name = unquote_to_bytes(name).decode("utf-8", "replace")
    return name


def _signed_region(authorization: bytes) -> str | None:
    """The region of a SigV4 credential scope: KEY/DATE/REGION/SERVICE/aws4_request."""
    _, found, scope = authorization.partition(b"Credential=")
    parts = scope.split(b"/", 3)
    return parts[2].decode("latin-1") if found and len(parts) == 4 else None


def _answer_with(request: Request, variant: Variant) -> Callable[[Answer | RuntimeApiError], None]:
    def done(outcome: Answer | RuntimeApiError) -> None:
        if isinstance(outcome, RuntimeApiError):
            _refuse(request, outcome)
            return
        lines = variant.header + _request_id()
        for name, value in outcome.headers:
            if name in {b"content-type", _ATTRIBUTES}:
                lines += b"%b: %b\r\n" % (name, value)
        request.respond(200, lines, outcome.body)

    return done


def _refuse(request: Request, error: RuntimeApiError) -> None:
    status, headers, body = to_response(error)
    request.respond(status, headers + _request_id(), body)
