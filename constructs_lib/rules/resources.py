"""Resources of several templates with their properties resolved as far as the templates allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constructs_lib.rules import values
from constructs_lib.rules.document import TemplateFile
from hosting.expression import Unresolved
from hosting.intrinsics import Stack, TemplateError


@dataclass(frozen=True, eq=False, slots=True)
class Resource:
    """One resource that will exist, or may."""

    template: TemplateFile
    symbol: str
    logical_id: str
    type: str
    properties: Mapping[str, Any]

    def get(self, *path: str) -> Any:
        """A property; None when it is absent, unresolved when that cannot be told."""
        return values.at(self.properties, *path)

    @property
    def ref(self) -> str:
        """What ``Ref`` gives until there is a deployment."""
        return f"${{{self.symbol}}}"

    def attribute(self, name: str) -> str:
        """What ``Fn::GetAtt`` gives until there is a deployment."""
        return f"${{{self.symbol}.{name}}}"


@dataclass(frozen=True, slots=True)
class Undecided:
    """A resource that rules could not look into, and why."""

    template: str
    logical_id: str
    reason: str
    type: str = ""


@dataclass(slots=True)
class Templates:
    """Templates that are deployed together, so that one may import what another exports."""

    files: Sequence[TemplateFile]
    undecided: list[Undecided] = field(default_factory=list)
    _resources: dict[str, list[Resource]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Each stack sees all others: imports may go through several.
        shared: list[Stack] = []
        read: list[tuple[TemplateFile, Stack, str]] = []
        for file in self.files:
            name = self._stack_name(file)
            stack = self._stack(file, name, shared)
            if stack is not None:
                shared.append(stack)
                read.append((file, stack, name))
        for each in read:
            self._read(*each)

    def of_type(self, *types: str) -> Iterator[Resource]:
        """Every resource of these types."""
        for each in types:
            yield from self._resources.get(each, ())

    def has_all(self, *types: str) -> bool:
        """Whether every resource whose type starts with one of these could be looked into."""
        return not any(each.type.startswith(types) for each in self.undecided)

    def display(self, expression: str) -> str:
        """An expression as it would stand in the template itself."""
        for name in self._names:
            expression = expression.replace(f"${{{name}.", "${")
        return expression

    def _stack_name(self, file: TemplateFile) -> str:
        """A name of this template's own, of the letters that a stack's name has."""
        stem = Path(file.name).name.removesuffix(".json").removesuffix(".template")
        name = base = re.sub("[^A-Za-z0-9-]", "-", stem)
        while name in self._names:
            name = f"{base}-{len(self._names) + 1}"
        self._names.append(name)
        return name

    def _stack(self, file: TemplateFile, name: str, shared: list[Stack]) -> Stack | None:
        pseudo = {
            name: value
            for name, value in (("AWS::Region", file.region), ("AWS::AccountId", file.account))
            if value is not None
        }
        try:
            return Stack(_readable(file), name=name, pseudo=pseudo, siblings=shared)
        except TemplateError as error:
            self.undecided.append(Undecided(file.name, "", str(error)))
            return None

    def _read(self, file: TemplateFile, stack: Stack, stack_name: str) -> None:
        for logical_id, resource in _readable(file)["Resources"].items():
            resource_type = resource["Type"]
            if not resource_type.startswith(_READ):
                continue
            try:
                if not _exists(stack, resource.get("Condition")):
                    continue
                properties = stack.resolve(
                    resource.get("Properties", {}), where=f"{logical_id}/Properties"
                )
            except (TemplateError, RecursionError) as error:
                reason = self.display(str(error)) or "values are nested too deep"
                self.undecided.append(Undecided(file.name, logical_id, reason, resource_type))
                continue
            if isinstance(properties, Unresolved) or not isinstance(properties, Mapping | None):
                reason = "its properties are not known before the deployment"
                self.undecided.append(Undecided(file.name, logical_id, reason, resource_type))
                continue
            self._resources.setdefault(resource_type, []).append(
                Resource(
                    file,
                    f"{stack_name}.{logical_id}",
                    logical_id,
                    resource_type,
                    {} if properties is None else properties,
                )
            )


# What rules look into; the thousand other resources of a template are not resolved.
_READ = (
    "AWS::SageMaker::",
    "AWS::ApplicationAutoScaling::",
    "AWS::CloudWatch::",
    "AWS::IAM::",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
)


def by_name(
    resources: Iterable[Resource], name_property: str, attribute: str
) -> dict[str, list[Resource]]:
    """Resources by every expression that stands for their name."""
    named: dict[str, list[Resource]] = {}
    for resource in resources:
        own = values.expression(resource.get(name_property))
        for name in (own, resource.attribute(attribute), resource.ref):
            if name is not None:
                named.setdefault(name, []).append(resource)
    return named


def nearest(found: Sequence[Resource], asking: Resource, name: str) -> Resource | None:
    """The one resource that a name means: of the asking template if there is one, never a guess."""
    beside = [each for each in found if each.template is asking.template]
    candidates = beside if beside else [each for each in found if _is_meant(each, asking, name)]
    return candidates[0] if len(candidates) == 1 else None


def _is_meant(resource: Resource, asking: Resource, name: str) -> bool:
    """Whether a name means a resource of another template.

    A parameter of one template is not that of another, though both are called the same; a name
    that is spelled out means nothing in another region.
    """
    if name.startswith((resource.ref, f"${{{resource.symbol}.")):
        return True
    return "${" not in name and resource.template.region == asking.template.region


def _exists(stack: Stack, condition: object) -> bool:
    if condition is None:
        return True
    return stack.resolve({"Fn::If": [condition, True, False]}) is not False


def _readable(file: TemplateFile) -> dict[str, Any]:
    """The template without what is not a resource: macros' own sections, malformed entries."""
    readable = dict(file.document)
    readable["Resources"] = {
        logical_id: resource
        for logical_id, resource in file.document["Resources"].items()
        if isinstance(logical_id, str)
        and isinstance(resource, Mapping)
        and isinstance(resource.get("Type"), str)
    }
    for section in ("Parameters", "Mappings", "Conditions", "Outputs"):
        entries = readable.get(section)
        readable[section] = (
            {key: entry for key, entry in entries.items() if isinstance(key, str)}
            if isinstance(entries, Mapping)
            else {}
        )
    return readable
