"""What an update does to each endpoint: nothing, in place, a new fleet, a replacement, a refusal.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html,
endpoint-scaling.html, serverless-endpoints.html; CloudFormation template reference, "update
requires" of each property (2026-11-20)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from constructs_lib.rules import values
from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.resources import Resource, Templates
from constructs_lib.rules.rule import catalogue
from constructs_lib.rules.serving import Endpoint, EndpointConfig, Serving, Variant

# What this module decides; SM-U2 is a rule of templates too.
RULES: Final = ("SM-G5", "SM-S4", "SM-U1")


class Effect(StrEnum):
    """What happens to an endpoint, worst last."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    DELETED = "deleted"
    IN_PLACE = "in place"
    NEW_FLEET = "new fleet"
    REPLACED = "replaced"
    UNDECIDED = "cannot be decided"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, and what to do; ``rule`` where a rule says so."""

    text: str
    remedy: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """What an update does to one endpoint."""

    endpoint: str
    effect: Effect
    reasons: tuple[Reason, ...]


def impact(old: Sequence[TemplateFile], new: Sequence[TemplateFile]) -> list[Impact]:
    """Compare what is deployed with what will be, endpoint by endpoint."""
    before, after = Serving(Templates(_unnamed(old))), Serving(Templates(_unnamed(new)))
    old_endpoints = {each.resource.symbol: each for each in before.endpoints}
    new_endpoints = {each.resource.symbol: each for each in after.endpoints}
    impacts = []
    for symbol in sorted(old_endpoints.keys() | new_endpoints.keys()):
        was, will_be = old_endpoints.get(symbol), new_endpoints.get(symbol)
        if was is None and will_be is not None:
            found = _impact(will_be, Effect.CREATED)
        elif will_be is None and was is not None:
            found = _impact(was, Effect.DELETED, Reason("its callers get a ValidationError"))
        elif was is not None and will_be is not None:
            found = _Comparison(before, after, was, will_be).impact()
        impacts.append(found)
    return impacts


def _unnamed(files: Sequence[TemplateFile]) -> list[TemplateFile]:
    """The templates under names that both sides share, so that equal resources compare equal.

    One template each: they are the same stack, whatever the files are called. Several: a stack
    keeps its file's name.
    """
    if len(files) == 1:
        [file] = files
        return [TemplateFile("stack", file.document, file.text)]
    return list(files)


def _impact(endpoint: Endpoint, effect: Effect, *reasons: Reason) -> Impact:
    return Impact(endpoint.resource.logical_id, effect, reasons)


@dataclass(frozen=True, slots=True)
class _Comparison:
    before: Serving
    after: Serving
    was: Endpoint
    will_be: Endpoint

    def impact(self) -> Impact:
        if self._value(self.was, "EndpointName") != self._value(self.will_be, "EndpointName"):
            reason = Reason(
                "EndpointName changes: CloudFormation creates the endpoint under the new name, then"
                " deletes the old one",
                "move the callers to the new name first, or keep the name",
            )
            return _impact(self.will_be, Effect.REPLACED, reason)
        changed = _changed(self.was.resource, self.will_be.resource)
        old_config, new_config = self.was.config, self.will_be.config
        if old_config is not None and new_config is not None:
            changes = list(self._config_changes(old_config, new_config))
            if changes:
                return self._update(old_config, new_config, changes)
        elif changed:
            reason = Reason("its endpoint configuration is not in the templates")
            return _impact(self.will_be, Effect.UNDECIDED, reason)
        if not changed:
            return _impact(self.will_be, Effect.UNCHANGED)
        reason = Reason(f"{', '.join(changed)} changes; the instances stay")
        return _impact(self.will_be, Effect.IN_PLACE, reason)

    def _update(self, old: EndpointConfig, new: EndpointConfig, changes: list[Reason]) -> Impact:
        refusals = list(self._refusals(old, new))
        if refusals:
            return _impact(self.will_be, Effect.REFUSED, *refusals)
        return _impact(self.will_be, Effect.NEW_FLEET, *changes, *self._rollout())

    def _config_changes(self, old: EndpointConfig, new: EndpointConfig) -> Iterator[Reason]:
        """Why the endpoint gets another configuration, and with it a new fleet."""
        if old.resource.logical_id != new.resource.logical_id:
            yield Reason(
                f"endpoint configuration {new.resource.logical_id} takes the place of"
                f" {old.resource.logical_id}"
            )
        else:
            changed = _changed(old.resource, new.resource)
            if changed:
                yield Reason(f"{', '.join(changed)} of {new.resource.logical_id} changes")
        old_models = {variant.name: variant.model for variant in old.all_variants}
        for variant in new.all_variants:
            model, previous = variant.model, old_models.get(variant.name)
            if model is None or previous is None:
                continue
            if model.resource.logical_id != previous.resource.logical_id:
                yield Reason(
                    f"model {model.resource.logical_id} takes the place of"
                    f" {previous.resource.logical_id}"
                )
            else:
                changed = _changed(previous.resource, model.resource)
                if changed:
                    yield Reason(f"{', '.join(changed)} of {model.resource.logical_id} changes")

    def _refusals(self, old: EndpointConfig, new: EndpointConfig) -> Iterator[Reason]:
        yield from self._fixed_names(old, new)
        old_serverless = any(variant.is_serverless for variant in old.variants)
        new_serverless = any(variant.is_serverless for variant in new.variants)
        if new_serverless and not old_serverless:
            text = "a real-time endpoint cannot become serverless by an update"
            yield _refusal("SM-S4", text)
        if not (old.is_complete and new.is_complete):
            return
        remaining = {variant.name: variant for variant in new.variants}
        gone = [variant for variant in old.variants if variant.name not in remaining]
        guarded = values.given(self.will_be.resource.get("DeploymentConfig"))
        for variant in old.variants:
            scaled = any(True for _ in self.before.targets_of(variant))
            if variant in gone and scaled:
                text = f"variant {variant.name} is scaled and is not there any more"
                yield _refusal("SM-U1", text)
            elif variant in gone and guarded:
                left = ", ".join(str(name) for name in remaining)
                text = (
                    f"variant {variant.name} is not there any more, and a rollout keeps the names:"
                    f" {left}"
                )
                yield _refusal("SM-G5", text)
            elif scaled and _type_changes(variant, remaining[variant.name]):
                text = (
                    f"variant {variant.name} is scaled and changes from"
                    f" {variant.instance_type} to {remaining[variant.name].instance_type}"
                )
                yield _refusal("SM-U1", text)

    def _fixed_names(self, old: EndpointConfig, new: EndpointConfig) -> Iterator[Reason]:
        pairs = [(old.resource, new.resource, "EndpointConfigName")]
        old_models = {variant.name: variant.model for variant in old.all_variants}
        for variant in new.all_variants:
            previous = old_models.get(variant.name)
            if variant.model is not None and previous is not None:
                pairs.append((previous.resource, variant.model.resource, "ModelName"))
        for was, will_be, name_property in pairs:
            name = values.text(will_be.get(name_property))
            same = name is not None and name == values.text(was.get(name_property))
            replaced = set(_changed(was, will_be)) - {"Tags"}
            if same and replaced and was.logical_id == will_be.logical_id:
                text = (
                    f"{will_be.logical_id} must be replaced and has the fixed name {name}, which"
                    " CloudFormation refuses"
                )
                yield Reason(text, catalogue()["SM-U2"].remedy, "SM-U2")

    def _rollout(self) -> Iterator[Reason]:
        get = self.will_be.resource.get
        routing = get("DeploymentConfig", "BlueGreenUpdatePolicy", "TrafficRoutingConfiguration")
        kind = values.text(values.at(routing, "Type"))
        if values.given(get("DeploymentConfig", "RollingUpdatePolicy")):
            how = "batch by batch (rolling)"
        elif kind in {"CANARY", "LINEAR"}:
            how = f"in steps ({kind})"
        else:
            how = "all at once"
        yield Reason(f"new instances start beside the old ones, then traffic moves {how}")
        alarms = get("DeploymentConfig", "AutoRollbackConfiguration", "Alarms")
        if alarms is None:
            yield Reason("no alarm stops a bad update", "name alarms in AutoRollbackConfiguration")

    def _value(self, endpoint: Endpoint, name: str) -> str | None:
        return values.expression(endpoint.resource.get(name))


def _refusal(rule_id: str, text: str) -> Reason:
    return Reason(text, catalogue()[rule_id].remedy, rule_id)


def _type_changes(was: Variant, will_be: Variant) -> bool:
    types = (was.instance_type, will_be.instance_type)
    return None not in types and types[0] != types[1]


def _changed(was: Resource, will_be: Resource) -> list[str]:
    """The properties that differ."""
    names = was.properties.keys() | will_be.properties.keys()
    return sorted(
        name
        for name in names
        if _comparable(was.properties.get(name)) != _comparable(will_be.properties.get(name))
    )


def _comparable(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def as_text(impacts: Sequence[Impact]) -> str:
    """Each endpoint with what happens, why, and what to do."""
    if not impacts:
        return "there is no endpoint in either template"
    lines = []
    for each in impacts:
        lines.append(f"{each.endpoint}: {each.effect}")
        for reason in each.reasons:
            rule = "" if reason.rule is None else f"{reason.rule}: "
            lines.append(f"    {rule}{reason.text}")
            if reason.remedy is not None:
                lines.append(f"      to do: {reason.remedy}")
    return "\n".join(lines)


def as_json(impacts: Sequence[Impact]) -> list[Mapping[str, Any]]:
    """The impacts with every field."""
    return [
        {
            "endpoint": each.endpoint,
            "effect": each.effect.value,
            "reasons": [
                {"rule": reason.rule, "text": reason.text, "remedy": reason.remedy}
                for reason in each.reasons
            ],
        }
        for each in impacts
    ]
