"""A template as text, its parts, and its parameters' values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from local_runtime.control_plane.cloudformation.errors import ValidationError

Definition = dict[str, Any]

_PARTS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
    "Hooks",
}
_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(?P<inner>.+)>")


@dataclass(frozen=True, slots=True)
class Template:
    """A template that parsed; each part is a dictionary, empty when it is absent."""

    text: str
    document: Definition

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read JSON or YAML.

        Raises:
            ValidationError: it is neither, or not a template.
        """
        document = _load(text)
        if not isinstance(document, dict):
            raise ValidationError("Template format error: unsupported structure.")
        unknown = sorted(set(document) - _PARTS)
        if unknown:
            raise ValidationError(f"Invalid template property or properties [{', '.join(unknown)}]")
        template = cls(text, document)
        if not template.resources:
            raise ValidationError(
                "Template format error: At least one Resources member must be defined."
            )
        for logical_id, resource in template.resources.items():
            if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
                raise ValidationError(
                    "Template format error: [/Resources/"
                    f"{logical_id}] Every Resources object must contain a Type member."
                )
        if "Transform" in document:
            raise ValidationError(
                f"Transform {document['Transform']} is not supported by the local runtime:"
                " deploy the processed template"
            )
        return template

    def part(self, name: str) -> Definition:
        """One part of the template."""
        part = self.document.get(name)
        return {} if part is None else part

    @property
    def resources(self) -> dict[str, Definition]:
        return self.part("Resources")

    @property
    def description(self) -> str | None:
        return self.document.get("Description")

    def same_as(self, other: Template) -> bool:
        """Whether deploying the other would ask for the same."""
        return self.document == other.document


def parameter_values(
    template: Template,
    given: Mapping[str, str],
    read_ssm: Callable[[str], str],
) -> dict[str, Any]:
    """The value of each parameter: given or default, as a string, number or list.

    Raises:
        ValidationError: one is missing, unknown, or breaks its constraints.
    """
    declared = template.part("Parameters")
    unknown = [key for key in given if key not in declared]
    if unknown:
        raise ValidationError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [
        key
        for key, parameter in declared.items()
        if key not in given and "Default" not in parameter
    ]
    if missing:
        raise ValidationError(f"Parameters: [{', '.join(missing)}] must have values")
    return {
        key: _parameter(key, parameter, str(given.get(key, parameter.get("Default"))), read_ssm)
        for key, parameter in declared.items()
    }


def _parameter(key: str, parameter: Definition, text: str, read_ssm: Callable[[str], str]) -> Any:
    allowed = parameter.get("AllowedValues")
    if allowed is not None and text not in [str(value) for value in allowed]:
        raise ValidationError(
            f"Parameter '{key}' must be one of AllowedValues: {[str(value) for value in allowed]}"
        )
    pattern = parameter.get("AllowedPattern")
    if pattern is not None and re.fullmatch(pattern, text) is None:
        described = parameter.get("ConstraintDescription")
        raise ValidationError(f"Parameter '{key}' {described or f'must match pattern {pattern}'}")
    kind = str(parameter.get("Type", "String"))
    from_ssm = _SSM_VALUE.fullmatch(kind)
    if from_ssm is not None:
        kind, text = from_ssm["inner"], read_ssm(text)
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [part.strip() for part in text.split(",")]
    if kind == "Number":
        _require_number(key, text)
    return text


def _require_number(key: str, text: str) -> None:
    try:
        float(text)
    except ValueError as fault:
        raise ValidationError(f"Parameter '{key}' must be a number.") from fault


# YAML with the short forms of intrinsic functions, and dates left as text.
_Loader: Any = type("_Loader", (yaml.SafeLoader,), {})


def _short_form(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix in {"Ref", "Condition"}:
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as fault:
        raise ValidationError(f"Template format error: YAML not well-formed. {fault}") from fault
