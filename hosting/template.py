"""The endpoints of a synthesized CloudFormation template, as ``EndpointSpec`` values.

    endpoints(Path("cdk.out/Pipeline.template.json"), pseudo={"AWS::Region": "eu-west-1"})

A model or an endpoint configuration is found by the name that a variant or an endpoint gives, in
the same template or in a sibling whose exports it imports.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hosting.endpoint import EndpointSpec
from hosting.expression import Unresolved, is_scalar, shown, text
from hosting.intrinsics import Stack, TemplateError

__all__ = ["TemplateError", "Unresolved", "endpoints"]

Document = Mapping[str, Any]


def endpoints(
    template: Document | Path,
    *,
    parameters: Mapping[str, object] | None = None,
    pseudo: Mapping[str, str] | None = None,
    siblings: Mapping[str, Document | Path] | None = None,
) -> tuple[EndpointSpec, ...]:
    """Read the endpoints that a template defines, in its order.

    Args:
        template: the template, or the file that holds it as JSON.
        parameters: values that replace the defaults of its parameters.
        pseudo: values of pseudo parameters such as ``AWS::Region``; the others stay unresolved.
        siblings: other templates of the app by stack name, for models and configurations that are
            defined there and imported here. Their parameters have their defaults.

    Raises:
        TemplateError: the template is malformed, or an endpoint's configuration or model is not
            in it. The message starts with the place.
    """
    # Each stack sees all others: imports may go through several.
    shared: list[Stack] = []
    given = {} if siblings is None else siblings
    for stack_name, sibling in given.items():
        shared.append(Stack(_document(sibling), name=stack_name, pseudo=pseudo, siblings=shared))
    stack = Stack(_document(template), parameters=parameters, pseudo=pseudo, siblings=shared)
    configs: dict[str | Unresolved, _Request] = {}
    models: dict[str | Unresolved, _Request] = {}
    for each in (*shared, stack):
        configs |= _named(each, "AWS::SageMaker::EndpointConfig", "EndpointConfigName")
        models |= _named(each, "AWS::SageMaker::Model", "ModelName")
    specs = []
    for logical_id, properties in stack.resources("AWS::SageMaker::Endpoint"):
        where = f"{logical_id}/Properties"
        config_name = _read(properties, _ENDPOINT, where)["EndpointConfigName"]
        config = _found(config_name, configs, f"{where}/EndpointConfigName")
        for field in ("ProductionVariants", "ShadowProductionVariants"):
            for position, variant in enumerate(config.document.get(field, [])):
                place = f"{config.where}/{field}/{position}"
                if "ModelName" not in variant:
                    raise TemplateError(
                        place, "ModelName must be given (inference components are not read)"
                    )
                _found(variant["ModelName"], models, f"{place}/ModelName")
        spec = EndpointSpec.from_api(
            stack.name_of(logical_id, "EndpointName"),  # type: ignore[arg-type]  # or Unresolved
            config.document,
            {name: model.document for name, model in models.items()},  # type: ignore[misc]
        )
        specs.append(dataclasses.replace(spec, logical_id=logical_id))
    return tuple(specs)


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    """What would create a resource, and where in its template it stands."""

    where: str
    document: Document


def _document(template: Document | Path) -> Document:
    if not isinstance(template, Path):
        return template
    try:
        document: Document = json.loads(template.read_text())
    except (ValueError, RecursionError) as error:
        raise TemplateError(str(template), f"it must be JSON: {error}") from error
    return document


def _named(
    stack: Stack, resource_type: str, name_attribute: str
) -> dict[str | Unresolved, _Request]:
    """Each resource of a type as the request that would create it, by name."""
    requests = {}
    for logical_id, properties in stack.resources(resource_type):
        name = stack.name_of(logical_id, name_attribute)
        where = stack.place(f"{logical_id}/Properties")
        document = _read(properties, _REQUESTS[resource_type], where)
        requests[name] = _Request(where, {**document, name_attribute: name})
    return requests


def _found(
    name: str | Unresolved, among: Mapping[str | Unresolved, _Request], where: str
) -> _Request:
    if name not in among:
        known = ", ".join(sorted(str(each) for each in among)) or "none, the templates define none"
        raise TemplateError(
            where, f"must be one of {known} (Fn::GetAtt gives the name, Ref an ARN), got {name}"
        )
    return among[name]


# How a property is read: by a function, as a list of one shape, or as named fields. An unresolved
# value may stand for a scalar; for a list or a structure it would hide what an endpoint is made of.
@dataclasses.dataclass(frozen=True, slots=True)
class _ListOf:
    item: _Shape


@dataclasses.dataclass(frozen=True, slots=True)
class _MapOf:
    item: _Shape


@dataclasses.dataclass(frozen=True, slots=True)
class _Structure:
    fields: Mapping[str, _Shape]
    required: tuple[str, ...] = ()


_Scalar = Callable[[object], object]
_Shape = _Scalar | _ListOf | _MapOf | _Structure


def _read(value: object, shape: _Shape, where: str) -> Any:
    match shape:
        case _ListOf(item):
            if not isinstance(value, list):
                raise TemplateError(where, f"must be a list, got {shown(value)}")
            return [_read(each, item, f"{where}/{n}") for n, each in enumerate(value)]
        case _MapOf(item):
            if not isinstance(value, Mapping):
                raise TemplateError(where, f"must be a mapping, got {shown(value)}")
            return {key: _read(each, item, f"{where}/{key}") for key, each in value.items()}
        case _Structure(fields, required):
            if not isinstance(value, Mapping):
                raise TemplateError(where, f"must be a mapping, got {shown(value)}")
            for key in required:
                if key not in value:
                    raise TemplateError(where, f"{key} must be given")
            known = fields.keys() & value.keys()
            return {**value} | {
                key: _read(value[key], fields[key], f"{where}/{key}") for key in known
            }
    if isinstance(value, Unresolved):
        return value
    try:
        return shape(value)
    except ValueError as error:
        raise TemplateError(where, f"{error}, got {shown(value)}") from error


# CloudFormation takes numbers and truth values as text, and text for numbers.
def _text(value: object) -> str:
    if not is_scalar(value):
        raise ValueError("must be text")
    return text(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not is_scalar(value):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _whole(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


_S3_DATA_SOURCE: Final = _Structure({"S3Uri": _text, "CompressionType": _text}, ("S3Uri",))
_CONTAINER: Final = _Structure(
    {
        "Image": _text,
        "ContainerHostname": _text,
        "ModelDataUrl": _text,
        "ModelDataSource": _Structure({"S3DataSource": _S3_DATA_SOURCE}, ("S3DataSource",)),
        "Environment": _MapOf(_text),
        "Mode": _text,
        "MultiModelConfig": _Structure({"ModelCacheSetting": _text}),
        "ModelPackageName": _text,
    }
)
_MODEL: Final = _Structure(
    {
        "PrimaryContainer": _CONTAINER,
        "Containers": _ListOf(_CONTAINER),
        "InferenceExecutionConfig": _Structure({"Mode": _text}),
        "ExecutionRoleArn": _text,
    }
)
_SERVERLESS: Final = _Structure(
    {"MemorySizeInMB": _whole, "MaxConcurrency": _whole, "ProvisionedConcurrency": _whole},
    ("MemorySizeInMB", "MaxConcurrency"),
)
_VARIANT: Final = _Structure(
    {
        "VariantName": _text,
        "ModelName": _text,
        "InstanceType": _text,
        "InitialInstanceCount": _whole,
        "InitialVariantWeight": _number,
        "ContainerStartupHealthCheckTimeoutInSeconds": _whole,
        "ModelDataDownloadTimeoutInSeconds": _whole,
        "VolumeSizeInGB": _whole,
        "ServerlessConfig": _SERVERLESS,
    },
    ("VariantName",),
)
_NOTIFICATION: Final = _Structure(
    {
        "SuccessTopic": _text,
        "ErrorTopic": _text,
        "IncludeInferenceResponseIn": _ListOf(_text),
    }
)
_ASYNC: Final = _Structure(
    {
        "ClientConfig": _Structure({"MaxConcurrentInvocationsPerInstance": _whole}),
        "OutputConfig": _Structure(
            {
                "S3OutputPath": _text,
                "S3FailurePath": _text,
                "KmsKeyId": _text,
                "NotificationConfig": _NOTIFICATION,
            }
        ),
    },
    ("OutputConfig",),
)
_DATA_CAPTURE: Final = _Structure(
    {
        "EnableCapture": _truth,
        "InitialSamplingPercentage": _whole,
        "DestinationS3Uri": _text,
        "KmsKeyId": _text,
        "CaptureOptions": _ListOf(_Structure({"CaptureMode": _text}, ("CaptureMode",))),
    },
    ("InitialSamplingPercentage", "DestinationS3Uri", "CaptureOptions"),
)
_REQUESTS: Final[Mapping[str, _Structure]] = {
    "AWS::SageMaker::Model": _MODEL,
    "AWS::SageMaker::EndpointConfig": _Structure(
        {
            "ProductionVariants": _ListOf(_VARIANT),
            "ShadowProductionVariants": _ListOf(_VARIANT),
            "AsyncInferenceConfig": _ASYNC,
            "DataCaptureConfig": _DATA_CAPTURE,
            "KmsKeyId": _text,
        },
        ("ProductionVariants",),
    ),
}
_ENDPOINT: Final = _Structure({"EndpointConfigName": _text}, ("EndpointConfigName",))
