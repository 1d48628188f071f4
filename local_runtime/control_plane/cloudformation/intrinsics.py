"""Intrinsic functions: what a template's expressions come to, and what they depend on."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from local_runtime.control_plane.cloudformation.errors import ResourceFailed, ValidationError
from local_runtime.control_plane.cloudformation.template import Template

NO_VALUE = object()
_SUBSTITUTION = re.compile(r"\$\{(?P<literal>!)?(?P<name>[^}]*)\}")
_DYNAMIC_REFERENCE = re.compile(r"\{\{resolve:(?P<service>[a-z-]+):(?P<reference>[^}]*)\}\}")
# Every region gives three zones here; AWS gives what the account sees.
_ZONES = "abc"


class Resources(Protocol):
    """Where references to resources lead."""

    def ref(self, logical_id: str) -> Any:
        """The value of ``Ref``."""

    def attribute(self, logical_id: str, name: str) -> Any:
        """The value of ``Fn::GetAtt``."""


class Resolver:
    """Resolves expressions of one template for one stack."""

    def __init__(
        self,
        template: Template,
        *,
        parameters: Mapping[str, Any],
        pseudo: Mapping[str, Any],
        resources: Resources,
        imported: Callable[[str], Any],
        dynamic: Callable[[str, str], str],
    ) -> None:
        self._template = template
        self._parameters = parameters
        self._pseudo = pseudo
        self._resources = resources
        self._imported = imported
        self._dynamic = dynamic
        self._conditions: dict[str, bool] = {}

    def resolve(self, expression: Any) -> Any:
        """The value of an expression; ``AWS::NoValue`` removes what holds it."""
        value = self._resolve(expression)
        return None if value is NO_VALUE else value

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._conditions:
            conditions = self._template.part("Conditions")
            if name not in conditions:
                raise ValidationError(f"Template format error: Unresolved condition [{name}]")
            self._conditions[name] = self._truth(conditions[name])
        return self._conditions[name]

    def includes(self, definition: Mapping[str, Any]) -> bool:
        """Whether a resource or output is there under this stack's conditions."""
        condition = definition.get("Condition")
        return condition is None or self.condition(condition)

    def _resolve(self, expression: Any) -> Any:
        if isinstance(expression, list):
            members = [self._resolve(member) for member in expression]
            return [member for member in members if member is not NO_VALUE]
        if isinstance(expression, str):
            return self._expand(expression)
        if not isinstance(expression, Mapping):
            return expression
        if len(expression) == 1:
            [(function, argument)] = expression.items()
            if function == "Ref":
                return self._ref(str(argument))
            if function.startswith("Fn::"):
                return self._call(function.removeprefix("Fn::"), argument)
        values = {key: self._resolve(member) for key, member in expression.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def _expand(self, text: str) -> str:
        if "{{resolve:" not in text:
            return text
        return _DYNAMIC_REFERENCE.sub(
            lambda match: self._dynamic(match["service"], match["reference"]), text
        )

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        return self._resources.ref(name)

    def _call(self, function: str, argument: Any) -> Any:
        implementation = getattr(self, f"_fn_{function.lower()}", None)
        if implementation is None:
            raise ValidationError(
                f"Template format error: Fn::{function} is not supported by the local runtime"
            )
        return implementation(argument)

    def _fn_getatt(self, argument: Any) -> Any:
        if isinstance(argument, str):
            argument = argument.split(".", 1)
        logical_id, *names = argument
        name = ".".join(str(self._resolve(part)) for part in names)
        return self._resources.attribute(str(logical_id), name)

    def _fn_join(self, argument: Any) -> str:
        delimiter, members = argument
        return str(delimiter).join(as_text(part) for part in self._resolve(members))

    def _fn_if(self, argument: Any) -> Any:
        name, if_true, if_false = argument
        return self._resolve(if_true if self.condition(name) else if_false)

    def _fn_select(self, argument: Any) -> Any:
        index, members = argument
        return _select(self._resolve(index), self._resolve(members))

    def _fn_split(self, argument: Any) -> list[str]:
        delimiter, text = argument
        return str(self._resolve(text)).split(delimiter)

    def _fn_importvalue(self, argument: Any) -> Any:
        return self._imported(str(self._resolve(argument)))

    def _fn_getazs(self, argument: Any) -> list[str]:
        region = self._resolve(argument)
        return [f"{self._pseudo['AWS::Region'] if region == '' else region}{z}" for z in _ZONES]

    def _fn_base64(self, argument: Any) -> str:
        return base64.b64encode(as_text(self._resolve(argument)).encode()).decode()

    def _fn_cidr(self, argument: Any) -> list[str]:
        return _cidr(*self._resolve(argument))

    def _fn_tojsonstring(self, argument: Any) -> str:
        return json.dumps(self._resolve(argument), separators=(",", ":"))

    def _fn_length(self, argument: Any) -> int:
        return len(self._resolve(argument))

    def _fn_sub(self, argument: Any) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})
        values = {name: self._resolve(value) for name, value in given.items()}

        def replace(match: re.Match[str]) -> str:
            name = match["name"].strip()
            if match["literal"] is not None:
                return f"${{{name}}}"
            if name in values:
                return as_text(values[name])
            return as_text(self._fn_getatt(name) if "." in name else self._ref(name))

        return self._expand(_SUBSTITUTION.sub(replace, text))

    def _fn_findinmap(self, argument: list[Any]) -> Any:
        name, first, second, *options = (self._resolve(part) for part in argument)
        row = self._template.part("Mappings").get(name, {}).get(first, {})
        if second in row:
            return self._resolve(row[second])
        if options and "DefaultValue" in options[0]:
            return options[0]["DefaultValue"]
        raise ValidationError(
            f"Template error: Unable to get mapping for {name}::{first}::{second}"
        )

    def _truth(self, expression: Any) -> bool:
        if isinstance(expression, Mapping) and len(expression) == 1:
            [(function, argument)] = expression.items()
            truths: dict[str, Callable[[Any], bool]] = {
                "Condition": self.condition,
                "Fn::Equals": self._equal,
                "Fn::Not": lambda parts: not self._truth(parts[0]),
                "Fn::And": lambda parts: all(self._truth(part) for part in parts),
                "Fn::Or": lambda parts: any(self._truth(part) for part in parts),
            }
            if function in truths:
                return truths[function](argument)
        raise ValidationError(f"Template format error: {json.dumps(expression)} is not a condition")

    def _equal(self, sides: Any) -> bool:
        left, right = (self._resolve(side) for side in sides)
        return bool(_comparable(left) == _comparable(right))


def references(expression: Any) -> Iterator[str]:
    """Every name that an expression refers to: resources, parameters, pseudo parameters."""
    if isinstance(expression, list):
        for member in expression:
            yield from references(member)
    elif isinstance(expression, Mapping):
        for key, member in expression.items():
            if key == "Ref":
                yield str(member)
            elif key == "Fn::GetAtt":
                yield str(member.split(".", 1)[0] if isinstance(member, str) else member[0])
            elif key == "Fn::Sub":
                text, given = member if isinstance(member, list) else (member, {})
                yield from references(given)
                for match in _SUBSTITUTION.finditer(text):
                    name = match["name"].strip().split(".", 1)[0]
                    if match["literal"] is None and name not in given:
                        yield name
            else:
                yield from references(member)


def imports(expression: Any) -> Iterator[Any]:
    """The argument of every ``Fn::ImportValue`` in an expression."""
    if isinstance(expression, list):
        for member in expression:
            yield from imports(member)
    elif isinstance(expression, Mapping):
        for key, member in expression.items():
            if key == "Fn::ImportValue":
                yield member
            yield from imports(member)


def dependencies(template: Template, logical_id: str) -> set[str]:
    """The resources that must be there before this one, by reference or ``DependsOn``."""
    definition = template.resources[logical_id]
    explicit = definition.get("DependsOn", [])
    named = {explicit} if isinstance(explicit, str) else set(explicit)
    named.update(references(definition.get("Properties", {})))
    return {name for name in named if name in template.resources and name != logical_id}


def in_dependency_order(template: Template) -> list[str]:
    """All resources, each behind those it depends on.

    Raises:
        ValidationError: they depend on one another in a circle.
    """
    waiting = {name: dependencies(template, name) for name in template.resources}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, needed in waiting.items() if not needed & waiting.keys()]
        if not ready:
            raise ValidationError(
                f"Circular dependency between resources: [{', '.join(sorted(waiting))}]"
            )
        for name in ready:
            del waiting[name]
        ordered += ready
    return ordered


def check_references(template: Template) -> None:
    """Refuse names that nothing has.

    Raises:
        ValidationError: a reference leads nowhere.
    """
    known = template.resources.keys() | template.part("Parameters").keys()
    for part, values in (
        ("Resources", template.resources),
        ("Outputs", template.part("Outputs")),
    ):
        missing = sorted(
            {
                name
                for definition in values.values()
                for name in _named(definition, part)
                if name not in known and not name.startswith("AWS::")
            }
        )
        if missing:
            raise ValidationError(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}]"
                f" in the {part} block of the template"
            )


def _named(definition: Mapping[str, Any], part: str) -> Iterator[str]:
    if part == "Outputs":
        yield from references({key: definition.get(key) for key in ("Value", "Export")})
        return
    yield from references(definition.get("Properties", {}))
    explicit = definition.get("DependsOn", [])
    yield from [explicit] if isinstance(explicit, str) else explicit


def as_text(value: Any) -> str:
    """A value as a template's string functions join it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(as_text(member) for member in value)
    if isinstance(value, dict):
        raise ResourceFailed(f"expected a string, got {json.dumps(value)}")
    return str(value)


def _comparable(value: Any) -> Any:
    return as_text(value) if not isinstance(value, list | dict) else value


def _select(index: Any, members: Any) -> Any:
    if isinstance(members, str):
        members = members.split(",")
    if not 0 <= int(index) < len(members):
        raise ValidationError("Template error: Fn::Select cannot select nonexistent value at index")
    return members[int(index)]


def _cidr(block: str, count: Any, bits: Any = 8) -> list[str]:
    network = ipaddress.ip_network(block)
    subnets = network.subnets(new_prefix=network.max_prefixlen - int(bits))
    return [str(next(subnets)) for _ in range(int(count))]
