"""AWS's query protocol: a form in, XML out, both as the service model describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from local_runtime.control_plane.errors import ValidationException

CONTENT_TYPE = "text/xml"

# Characters that XML 1.0 has no spelling for, such as the escapes of a coloured log line.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a request's body."""
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def parse_request(operation: OperationModel, form: Mapping[str, str]) -> dict[str, Any]:
    """Read the members of an operation's input from a form.

    Raises:
        ValidationException: a field is not of its member's type.
    """
    shape = operation.input_shape
    return {} if shape is None else _structure(shape, form, "") or {}


def _structure(
    shape: StructureShape, form: Mapping[str, str], prefix: str
) -> dict[str, Any] | None:
    members = {}
    for name, member in shape.members.items():
        value = _value(member, form, f"{prefix}{member.serialization.get('name', name)}")
        if value is not None:
            members[name] = value
    return members if members else None


def _value(shape: Shape, form: Mapping[str, str], name: str) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, form, f"{name}.")
    if isinstance(shape, ListShape):
        return _list(shape, form, name)
    text = form.get(name)
    if text is None:
        return None
    try:
        return _scalar(shape, text)
    except ValueError as fault:
        raise ValidationException(f"Value '{text}' at '{name}' is no {shape.type_name}") from fault


def _list(shape: ListShape, form: Mapping[str, str], name: str) -> list[Any] | None:
    if form.get(name) == "":
        return []
    member = shape.member.serialization.get("name", "member")
    base = name if shape.serialization.get("flattened") else f"{name}.{member}"
    values: list[Any] = []
    while True:
        value = _value(shape.member, form, f"{base}.{len(values) + 1}")
        if value is None:
            return values if values else None
        values.append(value)


def _scalar(shape: Shape, text: str) -> Any:
    if shape.type_name == "boolean":
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    if shape.type_name in {"integer", "long"}:
        return int(text)
    if shape.type_name in {"float", "double"}:
        return float(text)
    return text


def response(operation: OperationModel, answer: Mapping[str, Any], request_id: str) -> bytes:
    """Write an operation's answer; members that are None stay away."""
    root = ET.Element(f"{operation.name}Response")
    shape = operation.output_shape
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
        _write_members(ET.SubElement(root, wrapper), shape, answer)
    ET.SubElement(ET.SubElement(root, "ResponseMetadata"), "RequestId").text = request_id
    return _document(operation, root)


def error(
    operation: OperationModel,
    code: str,
    message: str,
    request_id: str,
    *,
    shape: StructureShape | None = None,
    members: Mapping[str, Any] | None = None,
) -> bytes:
    """Write a refusal.

    Args:
        operation: any of the service.
        code: the error's.
        message: for people.
        request_id: of the request refused.
        shape: of the error, when it has more members than the message.
        members: those.
    """
    root = ET.Element("ErrorResponse")
    fault = ET.SubElement(root, "Error")
    ET.SubElement(fault, "Type").text = "Sender"
    ET.SubElement(fault, "Code").text = code
    ET.SubElement(fault, "Message").text = _NOT_XML.sub("\ufffd", message)
    if shape is not None and members:
        _write_members(fault, shape, members)
    ET.SubElement(root, "RequestId").text = request_id
    return _document(operation, root)


def _document(operation: OperationModel, root: ET.Element) -> bytes:
    root.set("xmlns", operation.service_model.metadata.get("xmlNamespace", ""))
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _write(parent: ET.Element, tag: str, shape: Shape, value: Any) -> None:
    element = ET.SubElement(parent, tag)
    if isinstance(shape, StructureShape):
        _write_members(element, shape, value)
    elif isinstance(shape, ListShape):
        for member in value:
            name = shape.member.serialization.get("name", "member")
            _write(element, name, shape.member, member)
    elif isinstance(shape, MapShape):
        for key, member in value.items():
            entry = ET.SubElement(element, "entry")
            _write(entry, "key", shape.key, key)
            _write(entry, "value", shape.value, member)
    else:
        element.text = _NOT_XML.sub("\ufffd", _text(value))


def _write_members(element: ET.Element, shape: StructureShape, values: Mapping[str, Any]) -> None:
    for name, member in shape.members.items():
        value = values.get(name)
        if value is not None:
            _write(element, member.serialization.get("name", name), member, value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    return str(value)
