"""Requests against botocore's description of the services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.control_plane.errors import SerializationException, ValidationException
from local_runtime.control_plane.sagemaker import SageMakerApi
from local_runtime.control_plane.service_model import _python_pattern, service_model, validate
from local_runtime.control_plane.store import Store

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model/m"


def complaint(request: dict[str, Any], operation: str = "CreateEndpointConfig") -> str:
    with pytest.raises(ValidationException) as caught:
        validate("sagemaker", operation, request)
    return str(caught.value)


def test_all_faults_are_listed_with_their_place() -> None:
    variants = [{"VariantName": "a"}, {"VariantName": "-", "InitialInstanceCount": 0}]

    assert complaint({"ProductionVariants": variants}) == (
        "3 validation errors detected:"
        " Value null at 'endpointConfigName' failed to satisfy constraint: Member must not be null;"
        " Value '-' at 'productionVariants.2.member.variantName' failed to satisfy constraint:"
        " Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62};"
        " Value '0' at 'productionVariants.2.member.initialInstanceCount' failed to satisfy"
        " constraint: Member must have value greater than or equal to 1"
    )


def test_an_empty_list_is_too_short() -> None:
    assert complaint({"EndpointConfigName": "c", "ProductionVariants": []}) == (
        "1 validation error detected: Value '[]' at 'productionVariants' failed to satisfy"
        " constraint: Member must have length greater than or equal to 1"
    )


def test_a_tag_may_be_written_in_any_script_but_not_with_any_sign() -> None:
    tags = [{"Key": "größe", "Value": "大 x:1"}]
    validate("sagemaker", "AddTags", {"ResourceArn": ARN, "Tags": tags})

    assert "tags.1.member.value" in complaint(
        {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "<b>"}]}, "AddTags"
    )


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"ModelName": 1}, "NUMBER_VALUE can not be converted to String at 'modelName'"),
        ({"ModelName": "m", "Containers": {}}, "Expected list or null at 'containers'"),
        (
            {"ModelName": "m", "PrimaryContainer": []},
            "Unexpected value at 'primaryContainer': expected an object",
        ),
        (
            {"ModelName": "m", "EnableNetworkIsolation": "yes"},
            "STRING_VALUE can not be converted to Boolean at 'enableNetworkIsolation'",
        ),
    ],
)
def test_a_value_of_another_type_does_not_parse(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(SerializationException, match=re.escape(message)):
        validate("sagemaker", "CreateModel", request_)


def shapes(shape: Shape | None, seen: set[str]) -> Iterator[Shape]:
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    yield shape
    if isinstance(shape, StructureShape):
        for member in shape.members.values():
            yield from shapes(member, seen)
    elif isinstance(shape, ListShape):
        yield from shapes(shape.member, seen)
    elif isinstance(shape, MapShape):
        yield from shapes(shape.key, seen)
        yield from shapes(shape.value, seen)


def test_every_pattern_of_our_operations_compiles() -> None:
    operations = SageMakerApi(Store("123456789012")).operations
    model, seen = service_model("sagemaker"), set[str]()

    for operation in operations:
        for shape in shapes(model.operation_model(operation).input_shape, seen):
            if "pattern" in shape.metadata:
                _python_pattern(shape.metadata["pattern"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
members = st.sampled_from(
    ["ModelName", "PrimaryContainer", "Containers", "Image", "Environment", "Tags", "Key", "Mode"]
)


@given(request=st.dictionaries(members, json_values | st.dictionaries(members, json_values)))
def test_no_request_breaks_the_check(request: dict[str, Any]) -> None:
    try:
        validate("sagemaker", "CreateModel", request)
    except (ValidationException, SerializationException):
        return
    assert request["ModelName"] is not None
