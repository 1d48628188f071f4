"""Check requests against the API's own description, in the words AWS uses.

botocore carries the description (required members, lengths, ranges, patterns, enumerations) but
its client only checks a part of it: types, required members and minimum lengths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.session import Session

from local_runtime.control_plane.errors import SerializationException, ValidationException

_NUMBERS = {"integer": int, "long": int, "float": (int, float), "double": (int, float)}


@lru_cache
def service_model(service: str) -> ServiceModel:
    """The installed botocore's description of a service."""
    return Session().get_service_model(service)


def validate(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Check a request of ``operation`` as the service does.

    A member that the operation does not know is refused. AWS ignores it, but there the request
    was written against the same description; here it would be something silently dropped.

    Raises:
        SerializationException: a value has another type than its member.
        ValidationException: values break constraints; the message lists all of them.
    """
    shape = service_model(service).operation_model(operation).input_shape
    if shape is None:
        return
    complaints = list(_structure(shape, request, ""))
    if complaints:
        noun = "error" if len(complaints) == 1 else "errors"
        raise ValidationException(
            f"{len(complaints)} validation {noun} detected: {'; '.join(complaints)}"
        )


def _structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        raise SerializationException(f"Unexpected value at '{path}': expected an object")
    for name in shape.required_members:
        if value.get(name) is None:
            yield (
                f"Value null at '{_join(path, name)}' failed to satisfy constraint:"
                " Member must not be null"
            )
    for name, member in value.items():
        if name not in shape.members:
            raise ValidationException(
                f"Unknown parameter in input: '{_join(path, name)}',"
                f" must be one of: {', '.join(shape.members)}"
            )
        if member is not None:
            yield from _value(shape.members[name], member, _join(path, name))


def _value(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _list(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _map(shape, value, path)
    else:
        _require_type(shape, value, path)
        for constraint in _scalar_constraints(shape, value):
            yield _complaint(value, path, constraint)


def _list(shape: ListShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        raise SerializationException(f"Expected list or null at '{path}', got {_kind(value)}")
    for constraint in _length_constraints(shape, len(value)):
        yield _complaint(value, path, constraint)
    if isinstance(shape.member, StructureShape | ListShape | MapShape):
        for position, member in enumerate(value, start=1):
            yield from _value(shape.member, member, f"{path}.{position}.member")
        return
    broken = False
    for position, member in enumerate(value, start=1):
        _require_type(shape.member, member, f"{path}.{position}.member")
        broken = broken or any(_scalar_constraints(shape.member, member))
    if broken:
        yield _complaint(value, path, f"Member must satisfy constraint: {_stated(shape.member)}")


def _map(shape: MapShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        raise SerializationException(f"Expected map or null at '{path}', got {_kind(value)}")
    for constraint in _length_constraints(shape, len(value)):
        yield _complaint(dict(value), path, constraint)
    for key in value:
        if any(_scalar_constraints(shape.key, key)):
            yield _complaint(
                dict(value), path, f"Map keys must satisfy constraint: {_stated(shape.key)}"
            )
            break
    if isinstance(shape.value, StructureShape | ListShape | MapShape):
        for key, member in value.items():
            yield from _value(shape.value, member, f"{path}.{key}.member")
        return
    for key, member in value.items():
        _require_type(shape.value, member, f"{path}.{key}")
    if any(any(_scalar_constraints(shape.value, member)) for member in value.values()):
        yield _complaint(
            dict(value), path, f"Map value must satisfy constraint: {_stated(shape.value)}"
        )


def _require_type(shape: Shape, value: Any, path: str) -> None:
    expected: type | tuple[type, ...]
    if shape.type_name == "boolean":
        fits = isinstance(value, bool)
    elif shape.type_name in _NUMBERS:
        expected = _NUMBERS[shape.type_name]  # type: ignore[assignment]
        fits = isinstance(value, expected) and not isinstance(value, bool)
    elif shape.type_name == "timestamp":
        fits = isinstance(value, int | float | str) and not isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise SerializationException(
            f"{_kind(value)} can not be converted to {_wire_type(shape)} at '{path}'"
        )


def _scalar_constraints(shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, StringShape):
        yield from _length_constraints(shape, len(value))
        pattern = shape.metadata.get("pattern")
        if pattern is not None and _python_pattern(pattern).fullmatch(value) is None:
            yield f"Member must satisfy regular expression pattern: {pattern}"
        if shape.enum and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    elif shape.type_name in _NUMBERS:
        yield from _bounds_constraints(shape, value, "value")


def _length_constraints(shape: Shape, length: int) -> Iterator[str]:
    yield from _bounds_constraints(shape, length, "length")


def _bounds_constraints(shape: Shape, number: float, noun: str) -> Iterator[str]:
    largest, smallest = shape.metadata.get("max"), shape.metadata.get("min")
    if largest is not None and number > largest:
        yield f"Member must have {noun} less than or equal to {largest}"
    if smallest is not None and number < smallest:
        yield f"Member must have {noun} greater than or equal to {smallest}"


def _stated(shape: Shape) -> str:
    """Every constraint of a list's or map's member, which AWS states together."""
    noun = "length" if isinstance(shape, StringShape) else "value"
    metadata, stated = shape.metadata, []
    if "max" in metadata:
        stated.append(f"Member must have {noun} less than or equal to {metadata['max']}")
    if "min" in metadata:
        stated.append(f"Member must have {noun} greater than or equal to {metadata['min']}")
    if "pattern" in metadata:
        stated.append(f"Member must satisfy regular expression pattern: {metadata['pattern']}")
    if "enum" in metadata:
        stated.append(f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]")
    return f"[{', '.join(stated)}]"


def _complaint(value: Any, path: str, constraint: str) -> str:
    return f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    """A value as Java prints it, which is how it reaches AWS's messages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_shown(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(member) for member in value) + "]"
    return str(value)


def _join(path: str, member: str) -> str:
    name = member[:1].lower() + member[1:]
    return f"{path}.{name}" if path else name


def _kind(value: Any) -> str:
    kinds = {bool: "TRUE_VALUE" if value is True else "FALSE_VALUE", str: "STRING_VALUE"}
    kinds |= {int: "NUMBER_VALUE", float: "DECIMAL_VALUE", list: "Start of list"}
    return kinds.get(type(value), "Start of structure or map")


def _wire_type(shape: Shape) -> str:
    return str(shape.type_name).capitalize()


# Java's character classes, spelled inside a Python character class. ``\w`` stands for letters and
# numbers; each pattern that says one of them says the other and the underscore too.
_JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": r"\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{Print}+": r"[\x20-\x7e]+",  # outside of a class
    r"\p{Print}": r"\x20-\x7e",
    r"\z": r"\Z",
    # Everything beyond the first plane, as surrogates.
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
}


@lru_cache(maxsize=256)
def _python_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the service model, which are Java's."""
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)
