"""What deploying a submission would change, without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local_runtime.control_plane.cloudformation import intrinsics, resource_types
from local_runtime.control_plane.cloudformation.errors import ResourceFailed, ValidationError
from local_runtime.control_plane.cloudformation.stack_engine import changed_properties
from local_runtime.control_plane.cloudformation.stack_values import ExistingResources, StackValues
from local_runtime.control_plane.cloudformation.stacks import Change, Resource, Stack, Submission

# CloudFormation's words for a value that only exists once the change is made.
UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
NO_CHANGES = (
    "The submitted information didn't contain changes."
    " Submit different information to create a change set."
)


@dataclass(slots=True)
class _Foreseen:
    """References to resources as they will be; what is new has no values yet."""

    existing: ExistingResources
    new: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)

    def ref(self, logical_id: str) -> str:
        return UNKNOWN if logical_id in self.new else self.existing.ref(logical_id)

    def attribute(self, logical_id: str, name: str) -> Any:
        return UNKNOWN if logical_id in self.new else self.existing.attribute(logical_id, name)


def changes(values: StackValues, stack: Stack, submission: Submission) -> list[Change]:
    """Every resource that would be added, modified or removed, in the order of the work."""
    template = submission.template
    foreseen = _Foreseen(ExistingResources(values, stack, stack.resources.get))
    resolver = values.resolver(stack, submission, foreseen)
    found: list[Change] = []
    kept: set[str] = set()
    for logical_id in intrinsics.in_dependency_order(template):
        definition = template.resources[logical_id]
        if not resolver.includes(definition):
            continue
        kept.add(logical_id)
        old = stack.resources.get(logical_id)
        if old is None or old.live is None:
            foreseen.new.add(logical_id)
            found.append(Change(action="Add", logical_id=logical_id, type_name=definition["Type"]))
            continue
        try:
            properties = resolver.resolve(definition.get("Properties", {}))
        except ResourceFailed as fault:
            raise ValidationError(str(fault)) from fault
        change = _modification(old, definition, properties, foreseen)
        if change is not None:
            found.append(change)
    removed = [
        Change(
            action="Remove",
            logical_id=resource.logical_id,
            type_name=resource.type_name,
            physical_id=resource.physical_id,
        )
        for resource in stack.resources.values()
        if resource.logical_id not in kept and resource.live is not None
    ]
    return found + removed


def unchanged(stack: Stack, submission: Submission, found: list[Change]) -> bool:
    """Whether a submission asks for nothing that the stack is not already."""
    before = stack.submission
    return (
        before is not None
        and not found
        and before.tags == submission.tags
        and before.template.part("Outputs") == submission.template.part("Outputs")
        and before.parameters == submission.parameters
    )


def _modification(
    old: Resource, definition: Mapping[str, Any], properties: dict[str, Any], foreseen: _Foreseen
) -> Change | None:
    kind = resource_types.resource_type(old.type_name)
    changed = changed_properties(old.properties, properties)
    attributes = ("Metadata", "DeletionPolicy", "UpdateReplacePolicy", "UpdatePolicy")
    other = [name for name in attributes if old.definition.get(name) != definition.get(name)]
    if not changed and not other:
        return None
    replacing = kind.replacing(changed)
    # A value that is not known yet may turn out to be the old one.
    certain = {name for name in replacing if not _unknown(properties.get(name))}
    replacement = "True" if certain else "Conditional" if replacing else "False"
    if replacing:
        foreseen.new.add(old.logical_id)
    details = [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": name,
                "RequiresRecreation": "Always" if name in replacing else "Never",
            },
            "Evaluation": "Dynamic" if _unknown(properties.get(name)) else "Static",
            "ChangeSource": (
                "ResourceReference" if _unknown(properties.get(name)) else "DirectModification"
            ),
        }
        for name in sorted(changed)
    ]
    details += [
        {
            "Target": {"Attribute": name, "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
        for name in other
    ]
    return Change(
        action="Modify",
        logical_id=old.logical_id,
        type_name=old.type_name,
        physical_id=old.physical_id,
        replacement=replacement,
        details=tuple(details),
        scope=tuple((["Properties"] if changed else []) + other),
    )


def _unknown(value: Any) -> bool:
    if isinstance(value, str):
        return UNKNOWN in value
    if isinstance(value, Mapping):
        return any(_unknown(member) for member in value.values())
    if isinstance(value, list):
        return any(_unknown(member) for member in value)
    return False
