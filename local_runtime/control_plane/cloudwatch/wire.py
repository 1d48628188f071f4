"""The three protocols that clients of CloudWatch speak, and back.

boto3 from 1.44 sends awsJson1.0, older ones and the AWS CLI v1 the query form, the JavaScript SDK
and other Smithy clients rpc-v2-cbor. All end in one request: a dictionary in the words of the
service model, points in time as epoch seconds.

Sources: https://smithy.io/2.0/aws/protocols/ (aws-json-1_0, aws-query) and
https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

import json
import re
import uuid
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Literal

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from local_runtime.control_plane import query_protocol
from local_runtime.control_plane.cloudwatch.cbor import CborError, decode, encode
from local_runtime.control_plane.errors import ApiError, SerializationException
from local_runtime.control_plane.service_model import service_model

Protocol = Literal["json", "query", "cbor"]
Json = dict[str, Any]
Call = Callable[[str, Json], Json]

SERVICE: Final = "cloudwatch"
TARGET: Final = "GraniteServiceVersion20100801."
# PutMetricData takes 1 MB, compressed or not.
# Source: API reference, PutMetricData: "each request is limited to 1 MB in size".
_BODY_LIMIT_BYTES: Final = 1024 * 1024
_CBOR_PATH: Final = re.compile(r"/service/GraniteServiceVersion20100801/operation/(?P<name>\w+)")


def recognize(environ: Mapping[str, Any]) -> Protocol | None:
    """The protocol, by the head alone; None when the request is not for CloudWatch."""
    if environ.get("HTTP_X_AMZ_TARGET", "").startswith(TARGET):
        return "json"
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return "cbor" if _CBOR_PATH.fullmatch(environ["PATH_INFO"]) else None
    if "/monitoring/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
        return "query"
    return None


def answer(
    protocol: Protocol, environ: Mapping[str, Any], body: bytes, call: Call
) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    """Run a request.

    Args:
        protocol: as ``recognize`` found it.
        environ: the request's head.
        body: as it came.
        call: the operation by name; it raises ``ApiError`` or NotImplementedError.

    Returns:
        Status, headers and body of the response.
    """
    request_id = str(uuid.uuid4())
    name = "DescribeAlarms"
    try:
        content = _content(environ, body)
        form = query_protocol.parse_form(content) if protocol == "query" else {}
        name = _operation(protocol, environ, form)
        operation = _model(name)
        request = _request(protocol, operation, content, form)
        status, document = HTTPStatus.OK, call(name, request)
        headers, payload = _success(protocol, operation, document, request_id)
    except NotImplementedError as gap:
        # 501 because clients retry a 500, and no retry will implement an operation.
        status = HTTPStatus.NOT_IMPLEMENTED
        message = f"not implemented by the local runtime: CloudWatch {gap}"
        headers, payload = _failure(protocol, "NotImplemented", message, request_id)
    except ApiError as refusal:
        status = HTTPStatus(refusal.status)
        headers, payload = _failure(
            protocol, refusal.code, str(refusal), request_id, refusal.members
        )
    return (
        status,
        [
            *headers,
            ("Content-Length", str(len(payload))),
            ("x-amzn-RequestId", request_id),
        ],
        payload,
    )


def _content(environ: Mapping[str, Any], body: bytes) -> bytes:
    """The body, decompressed: clients compress a PutMetricData of more than 10 KB."""
    if environ.get("HTTP_CONTENT_ENCODING", "").lower() != "gzip":
        return body
    try:
        content = zlib.decompressobj(wbits=31).decompress(body, 64 * _BODY_LIMIT_BYTES)
    except zlib.error as fault:
        raise SerializationException(f"request body is not gzip: {fault}") from fault
    return content


def _operation(protocol: Protocol, environ: Mapping[str, Any], form: Mapping[str, str]) -> str:
    match protocol:
        case "json":
            return str(environ["HTTP_X_AMZ_TARGET"]).removeprefix(TARGET)
        case "query":
            return form.get("Action", "")
        case "cbor":
            match = _CBOR_PATH.fullmatch(environ["PATH_INFO"])
            assert match is not None
            return match["name"]


def _model(name: str) -> OperationModel:
    model = service_model(SERVICE)
    if name not in model.operation_names:
        raise NotImplementedError(name)
    return model.operation_model(name)


def _request(
    protocol: Protocol, operation: OperationModel, content: bytes, form: Mapping[str, str]
) -> Json:
    match protocol:
        case "query":
            request: Any = query_protocol.parse_request(operation, form)
        case "json":
            try:
                request = json.loads(content or b"{}")
            except ValueError as fault:
                raise SerializationException(f"request body is not JSON: {fault}") from fault
        case "cbor":
            try:
                request = decode(content) if content else {}
            except CborError as fault:
                raise SerializationException(f"request body is not CBOR: {fault}") from fault
    if not isinstance(request, dict):
        raise SerializationException("request body is not an object")
    shape = operation.input_shape
    if shape is None:
        return {}
    timed: Json = _times(shape, request, _epoch_seconds)
    return {name: value for name, value in timed.items() if value is not None}


def _success(
    protocol: Protocol, operation: OperationModel, document: Json, request_id: str
) -> tuple[list[tuple[str, str]], bytes]:
    shape = operation.output_shape
    match protocol:
        case "json":
            return _json_headers(), json.dumps(document).encode()
        case "cbor":
            timed = document if shape is None else _times(shape, document, _datetime)
            return _cbor_headers(), encode(timed)
        case "query":
            timed = document if shape is None else _times(shape, document, _datetime)
            return (
                [("Content-Type", query_protocol.CONTENT_TYPE)],
                query_protocol.response(operation, timed, request_id),
            )


def _failure(
    protocol: Protocol,
    code: str,
    message: str,
    request_id: str,
    members: Mapping[str, Any] | None = None,
) -> tuple[list[tuple[str, str]], bytes]:
    more = {} if members is None else members
    shape = _error_shape(code)
    # The service model gives the code that clients of the query form know to the shape's name.
    old_code = code if shape is None else shape.metadata.get("error", {}).get("code", code)
    # Clients of the newer protocols show the old code, so that programs need not change.
    compatible = ("x-amzn-query-error", f"{old_code};Sender")
    match protocol:
        case "json":
            body = json.dumps({"__type": code, "message": message, **more}).encode()
            return [*_json_headers(), compatible], body
        case "cbor":
            name = f"com.amazonaws.cloudwatch#{code}"
            body = encode({"__type": name, "message": message, **more})
            return [*_cbor_headers(), compatible], body
        case "query":
            operation = service_model(SERVICE).operation_model("DescribeAlarms")
            document = query_protocol.error(
                operation, old_code, message, request_id, shape=shape, members=more
            )
            return [("Content-Type", query_protocol.CONTENT_TYPE)], document


def _error_shape(code: str) -> StructureShape | None:
    model = service_model(SERVICE)
    shape = model.shape_for(code) if code in model.shape_names else None
    return shape if isinstance(shape, StructureShape) else None


def _json_headers() -> list[tuple[str, str]]:
    return [("Content-Type", "application/x-amz-json-1.0")]


def _cbor_headers() -> list[tuple[str, str]]:
    return [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]


def _times(shape: Shape, value: Any, convert: Callable[[Any], Any]) -> Any:
    """The same value with every timestamp of the model converted."""
    if value is None:
        return None
    if shape.type_name == "timestamp":
        return convert(value)
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            name: _times(shape.members[name], member, convert) if name in shape.members else member
            for name, member in value.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_times(shape.member, member, convert) for member in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _times(shape.value, member, convert) for key, member in value.items()}
    return value


def _epoch_seconds(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as fault:
            raise SerializationException(f"not a point in time: {value}") from fault
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    return value


def _datetime(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)
