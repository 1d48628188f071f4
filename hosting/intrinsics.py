"""CloudFormation's intrinsic functions, resolved as far as a template allows.

What a deployment decides (a generated name, the region, an export of a stack that was not given)
stays an ``Unresolved`` value, which prints like the text of ``Fn::Sub``; text around it is kept::

    >>> stack = Stack({"Resources": {}}, pseudo={"AWS::Region": "eu-west-1"})
    >>> str(stack.resolve({"Fn::Sub": "arn:${AWS::Partition}:s3:::models-${AWS::Region}"}))
    'arn:${AWS::Partition}:s3:::models-eu-west-1'

Source: AWS CloudFormation template reference, intrinsic functions, condition functions and pseudo
parameters; read 2026-11-20.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hosting.expression import (
    Scalar,
    Unresolved,
    call,
    inside,
    is_scalar,
    is_unknown,
    joined,
    shown,
    text,
)

# A template nested deeper than this was not written by anybody; Python's own stack is the limit.
_MAX_DEPTH: Final = 100
_PLACEHOLDER: Final = re.compile(r"\$\{(!?)([^{}]*)\}")
# Pseudo parameters by the name that Ref uses; AWS::NoValue removes the property instead.
_NO_VALUE: Final = "AWS::NoValue"
_PSEUDO: Final = "AWS::"
# The attribute that gives a resource's own name, where the property of that name sets it.
_NAME_ATTRIBUTES: Final = {
    "AWS::SageMaker::Model": "ModelName",
    "AWS::SageMaker::EndpointConfig": "EndpointConfigName",
    "AWS::SageMaker::Endpoint": "EndpointName",
}


class TemplateError(ValueError):
    """A template that CloudFormation would refuse too, and the place in it.

    ``where`` is a path that starts with the section or the logical id:
    ``Endpoint/Properties/EndpointConfigName``.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a value stands, and what is being resolved around it (to notice circles)."""

    where: str
    pending: tuple[str, ...] = ()
    depth: int = 0

    def at(self, step: object) -> _Scope:
        if self.depth >= _MAX_DEPTH:
            raise self.error(f"values must nest at most {_MAX_DEPTH} deep")
        return _Scope(f"{self.where}/{step}", self.pending, self.depth + 1)

    def entering(self, name: str) -> _Scope:
        if name in self.pending:
            raise self.error(f"{name} refers to itself")
        return _Scope(name, (*self.pending, name), self.depth + 1)

    def error(self, problem: str) -> TemplateError:
        return TemplateError(self.where, problem)


class _Removed:
    """What AWS::NoValue leaves: the property or list element goes."""

    def __repr__(self) -> str:
        return f"${{{_NO_VALUE}}}"


_REMOVED: Final = _Removed()


class Stack:
    """One template with the values its parameters will have.

    Args:
        document: the template.
        name: set when several stacks are read together; it tells their resources apart in
            ``Unresolved`` values, and is what ``AWS::StackName`` gives.
        parameters: values that replace the parameters' defaults.
        pseudo: values of pseudo parameters, such as ``AWS::Region``; the others stay unresolved.
        siblings: stacks whose exports ``Fn::ImportValue`` finds.

    Raises:
        TemplateError: a section is not what it must be.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        name: str | None = None,
        parameters: Mapping[str, object] | None = None,
        pseudo: Mapping[str, str] | None = None,
        siblings: Sequence[Stack] = (),
    ) -> None:
        self._name = name
        self._parameter_values = {} if parameters is None else dict(parameters)
        self._pseudo = {} if pseudo is None else dict(pseudo)
        if name is not None:
            self._pseudo["AWS::StackName"] = name
        self._siblings = siblings
        self._sections = {
            section: _section(document, section)
            for section in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs")
        }
        unknown = sorted(self._parameter_values.keys() - self._sections["Parameters"].keys())
        if unknown:
            raise TemplateError("Parameters", f"there is no parameter {', '.join(unknown)}")

    def resolve(self, value: object, *, where: str = "value") -> Any:
        """Replace every intrinsic function inside a value; literals stay as they are.

        Args:
            where: how an error calls the place of the value.

        Raises:
            TemplateError: a function is called with what it does not take.
        """
        resolved = self._resolve(value, _Scope(where))
        return None if resolved is _REMOVED else resolved

    def resources(self, resource_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical id and resolved properties of each resource of a type that will exist.

        A resource whose condition cannot be decided is included.

        Raises:
            TemplateError: as ``resolve``.
        """
        for logical_id, resource in self._sections["Resources"].items():
            if self._resource(logical_id, _Scope(self.place(logical_id)))["Type"] != resource_type:
                continue
            condition = resource.get("Condition")
            scope = _Scope(self.place(f"{logical_id}/Condition"))
            if condition is not None and self._named_condition(condition, scope) is False:
                continue
            where = _Scope(self.place(f"{logical_id}/Properties"))
            properties = self._resolve(resource.get("Properties", {}), where)
            if not isinstance(properties, dict):
                raise where.error(f"properties must be a mapping, got {shown(properties)}")
            yield logical_id, properties

    def name_of(self, logical_id: str, attribute: str) -> str | Unresolved:
        """The name a resource was given, or what ``Fn::GetAtt`` stands for until it has one."""
        scope = _Scope(self.place(logical_id))
        name: str | Unresolved = self._get_att([logical_id, attribute], scope)
        return name

    def place(self, path: str) -> str:
        """A path as errors show it."""
        return path if self._name is None else f"{self._name}/{path}"

    def _resolve(self, value: object, scope: _Scope) -> Any:
        if isinstance(value, Mapping):
            return self._resolve_mapping(value, scope)
        if isinstance(value, list):
            items = [self._resolve(item, scope.at(n)) for n, item in enumerate(value)]
            return [item for item in items if item is not _REMOVED]
        if value is None or is_scalar(value) or isinstance(value, Unresolved):
            return value
        raise scope.error(f"values must be JSON, got {type(value).__name__}")

    def _resolve_mapping(self, value: Mapping[Any, Any], scope: _Scope) -> Any:
        for key in value:
            if not isinstance(key, str):
                raise scope.error(f"keys must be text, got {shown(key)}")
            if _is_function(key):
                if len(value) > 1:
                    raise scope.error(
                        f"{key} must stand alone, got {len(value) - 1} keys beside it"
                    )
                return self._call(key, value[key], scope.at(key))
        items = {key: self._resolve(item, scope.at(key)) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _REMOVED}

    def _call(self, function: str, argument: object, scope: _Scope) -> Any:
        known: Mapping[str, Callable[[Any, _Scope], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::ImportValue": self._import_value,
            "Fn::Base64": self._base64,
        }
        if function in known:
            return known[function](argument, scope)
        return call(function, self._resolve(argument, scope))

    def _ref(self, name: object, scope: _Scope) -> Any:
        if not isinstance(name, str):
            raise scope.error(f"Ref must name a parameter or a resource, got {shown(name)}")
        if name == _NO_VALUE:
            return _REMOVED
        if name.startswith(_PSEUDO):
            return self._pseudo.get(name, Unresolved(f"${{{name}}}"))
        if name in self._sections["Parameters"]:
            return self._parameter(name, scope)
        self._resource(name, scope)
        return self._symbol(name)

    def _parameter(self, name: str, scope: _Scope) -> Any:
        declared = self._sections["Parameters"][name]
        if not isinstance(declared, Mapping):
            raise scope.error(f"parameter {name} must be a mapping, got {shown(declared)}")
        kind = declared.get("Type", "String")
        if not isinstance(kind, str):
            raise scope.error(f"type of parameter {name} must be text, got {shown(kind)}")
        value = self._parameter_values.get(name, declared.get("Default"))
        # Of a parameter of an SSM type the value is a name in the parameter store.
        if value is None or kind.startswith("AWS::SSM::Parameter::Value"):
            return self._symbol(name)
        if not is_scalar(value):
            raise scope.error(f"parameter {name} must be text or a number, got {shown(value)}")
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [item.strip() for item in text(value).split(",")]
        return value

    def _get_att(self, argument: object, scope: _Scope) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if not (isinstance(parts, list) and len(parts) == 2 and isinstance(parts[0], str)):
            raise scope.error(
                f"Fn::GetAtt must be a logical id and an attribute, got {shown(argument)}"
            )
        logical_id = parts[0]
        attribute = self._resolve(parts[1], scope.at(1))
        if not isinstance(attribute, str | Unresolved):
            raise scope.error(f"attribute of {logical_id} must be text, got {shown(attribute)}")
        resource = self._resource(logical_id, scope)
        properties = resource.get("Properties")
        if (
            attribute == _NAME_ATTRIBUTES.get(resource["Type"])
            and isinstance(properties, Mapping)
            and attribute in properties
        ):
            inner = scope.entering(self.place(f"{logical_id}/Properties/{attribute}"))
            name = self._resolve(properties[attribute], inner)
            if isinstance(name, str | Unresolved):
                return name
            if name is not _REMOVED:
                raise inner.error(f"a name must be text, got {shown(name)}")
        return self._symbol(f"{logical_id}.{inside(attribute)}")

    def _sub(self, argument: object, scope: _Scope) -> Any:
        if isinstance(argument, list) and len(argument) == 2:
            template, names = argument
        else:
            template, names = argument, {}
        if not isinstance(template, str) or not isinstance(names, Mapping):
            raise scope.error(
                f"Fn::Sub must be a text, or a text and a mapping, got {shown(argument)}"
            )
        parts: list[object] = []
        end = 0
        for found in _PLACEHOLDER.finditer(template):
            parts.append(template[end : found.start()])
            end = found.end()
            literal, name = found.groups()
            if literal:
                parts.append(f"${{{name}}}")
            elif name in names:
                parts.append(self._resolve(names[name], scope.at(name)))
            elif "." in name:
                parts.append(self._get_att(name, scope))
            else:
                parts.append(self._ref(name, scope))
        return _join_all("", [*parts, template[end:]], scope)

    def _join(self, argument: object, scope: _Scope) -> Any:
        if not (isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str)):
            raise scope.error(f"Fn::Join must be a delimiter and a list, got {shown(argument)}")
        items = self._resolve(argument[1], scope.at(1))
        if isinstance(items, Unresolved):
            return call("Fn::Join", [argument[0], items])
        if not isinstance(items, list):
            raise scope.error(f"Fn::Join must get a list, got {shown(items)}")
        return _join_all(argument[0], items, scope)

    def _select(self, argument: object, scope: _Scope) -> Any:
        if not (isinstance(argument, list) and len(argument) == 2):
            raise scope.error(f"Fn::Select must be an index and a list, got {shown(argument)}")
        index, items = (self._resolve(item, scope.at(n)) for n, item in enumerate(argument))
        if isinstance(index, Unresolved) or isinstance(items, Unresolved):
            return call("Fn::Select", [index, items])
        if not isinstance(items, list):
            raise scope.error(f"Fn::Select must get a list, got {shown(items)}")
        position = _index(index)
        if position is None or position >= len(items):
            raise scope.error(
                f"Fn::Select must get an index below {len(items)}, got {shown(index)}"
            )
        return items[position]

    def _split(self, argument: object, scope: _Scope) -> Any:
        if not (isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str)):
            raise scope.error(f"Fn::Split must be a delimiter and a text, got {shown(argument)}")
        delimiter, joint = argument[0], self._resolve(argument[1], scope.at(1))
        if isinstance(joint, Unresolved):
            return call("Fn::Split", [delimiter, joint])
        if not isinstance(joint, str) or not delimiter:
            raise scope.error(f"Fn::Split must be a delimiter and a text, got {shown(argument)}")
        return joint.split(delimiter)

    def _if(self, argument: object, scope: _Scope) -> Any:
        if not (isinstance(argument, list) and len(argument) == 3):
            raise scope.error(f"Fn::If must be a condition and two values, got {shown(argument)}")
        holds = self._named_condition(argument[0], scope.at(0))
        if holds is not None:
            chosen = 1 if holds else 2
            return self._resolve(argument[chosen], scope.at(chosen))
        either, other = (self._resolve(argument[n], scope.at(n)) for n in (1, 2))
        return either if either == other else call("Fn::If", [argument[0], either, other])

    def _find_in_map(self, argument: object, scope: _Scope) -> Any:
        if not (isinstance(argument, list) and len(argument) in {3, 4}):
            raise scope.error(f"Fn::FindInMap must be a map and two keys, got {shown(argument)}")
        keys = [self._resolve(item, scope.at(n)) for n, item in enumerate(argument[:3])]
        if any(isinstance(key, Unresolved) for key in keys):
            return call("Fn::FindInMap", keys)
        if not all(isinstance(key, str) for key in keys):
            raise scope.error(f"Fn::FindInMap must be a map and two keys, got {shown(keys)}")
        found: object = self._sections["Mappings"]
        for key in keys:
            if not isinstance(found, Mapping):
                raise scope.error(f"a map must hold mappings, got {shown(found)}")
            if key not in found:
                return self._map_default(argument, keys, scope)
            found = found[key]
        items = found if isinstance(found, list) else [found]
        if not all(is_scalar(item) for item in items):
            raise scope.error(f"a map must hold text or lists of text, got {shown(found)}")
        return found

    def _map_default(self, argument: list[Any], keys: list[Any], scope: _Scope) -> Any:
        options = argument[3] if len(argument) == 4 else None
        if isinstance(options, Mapping) and "DefaultValue" in options:
            return self._resolve(options["DefaultValue"], scope.at("DefaultValue"))
        raise scope.error(f"there is no {'/'.join(keys)} in Mappings")

    def _import_value(self, argument: object, scope: _Scope) -> Any:
        name = self._resolve(argument, scope.at("name"))
        if not isinstance(name, str | Unresolved):
            raise scope.error(f"Fn::ImportValue must get a name, got {shown(name)}")
        for sibling in self._siblings:
            for value in sibling.exports(name, scope):
                return value
        return call("Fn::ImportValue", name)

    def exports(self, name: str | Unresolved, scope: _Scope) -> Iterator[Any]:
        """The values that this stack exports under a name: one, or none."""
        for output_id, output in self._sections["Outputs"].items():
            export = output.get("Export") if isinstance(output, Mapping) else None
            if isinstance(export, Mapping) and "Name" in export:
                place = self.place(f"Outputs/{output_id}")
                if self._resolve(export["Name"], scope.entering(f"{place}/Export/Name")) == name:
                    yield self._resolve(output.get("Value"), scope.entering(f"{place}/Value"))

    def _base64(self, argument: object, scope: _Scope) -> Any:
        plain = self._resolve(argument, scope.at(0))
        if isinstance(plain, Unresolved):
            return call("Fn::Base64", plain)
        if not isinstance(plain, str):
            raise scope.error(f"Fn::Base64 must get a text, got {shown(plain)}")
        return base64.b64encode(plain.encode("utf-8", "surrogatepass")).decode("ascii")

    def _named_condition(self, name: object, scope: _Scope) -> bool | None:
        if not isinstance(name, str) or name not in self._sections["Conditions"]:
            raise scope.error(f"there is no condition {shown(name)}")
        inner = scope.entering(self.place(f"Conditions/{name}"))
        return self._condition(self._sections["Conditions"][name], inner)

    def _condition(self, value: object, scope: _Scope) -> bool | None:
        """Whether a condition holds; None when that is decided at deployment."""
        if not (isinstance(value, Mapping) and len(value) == 1):
            raise scope.error(f"a condition must be one function, got {shown(value)}")
        [(function, argument)] = value.items()
        inner = scope.at(function)
        if function == "Condition":
            return self._named_condition(argument, inner)
        if function == "Fn::Equals":
            return self._equals(argument, inner)
        if function not in {"Fn::And", "Fn::Or", "Fn::Not"}:
            if isinstance(function, str) and _is_function(function):
                return None
            raise scope.error(f"a condition must be one function, got {shown(value)}")
        limit = {"Fn::Not": 1}.get(function, 10)
        if not (isinstance(argument, list) and 1 <= len(argument) <= limit):
            raise inner.error(f"{function} must get 1 to {limit} conditions, got {shown(argument)}")
        results = [self._condition(item, inner.at(n)) for n, item in enumerate(argument)]
        if function == "Fn::Not":
            return None if results[0] is None else not results[0]
        # One true decides an Or, one false an And, whatever the others turn out to be.
        decisive: bool = function == "Fn::Or"
        if decisive in results:
            return decisive
        return None if None in results else not decisive

    def _equals(self, argument: object, scope: _Scope) -> bool | None:
        if not (isinstance(argument, list) and len(argument) == 2):
            raise scope.error(f"Fn::Equals must compare two values, got {shown(argument)}")
        left, right = (self._resolve(item, scope.at(n)) for n, item in enumerate(argument))
        if left == right:
            return True
        if is_unknown(left) or is_unknown(right):
            return None
        if is_scalar(left) and is_scalar(right):
            return text(left) == text(right)
        return False

    def _resource(self, logical_id: str, scope: _Scope) -> Mapping[str, Any]:
        resource = self._sections["Resources"].get(logical_id)
        if resource is None:
            raise scope.error(f"there is no resource or parameter {logical_id}")
        if not isinstance(resource, Mapping):
            raise scope.error(f"resource {logical_id} must be a mapping, got {shown(resource)}")
        if not isinstance(resource.get("Type"), str):
            raise scope.error(
                f"type of resource {logical_id} must be text, got {shown(resource.get('Type'))}"
            )
        return resource

    def _symbol(self, reference: str) -> Unresolved:
        prefix = "" if self._name is None else f"{self._name}."
        return Unresolved(f"${{{prefix}{reference}}}")


def _section(document: object, name: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise TemplateError("template", f"it must be a mapping, got {shown(document)}")
    section = document.get(name, {})
    if not isinstance(section, Mapping) or not all(isinstance(key, str) for key in section):
        raise TemplateError(name, f"it must be a mapping of names, got {shown(section)}")
    return section


def _is_function(key: str) -> bool:
    return key == "Ref" or key.startswith("Fn::")


def _join_all(delimiter: str, items: Sequence[object], scope: _Scope) -> str | Unresolved:
    parts: list[Scalar | Unresolved] = []
    for item in items:
        if not is_scalar(item) and not isinstance(item, Unresolved):
            raise scope.error(f"only text and numbers can be joined, got {shown(item)}")
        parts.append(item)
    return joined(delimiter, parts)


def _index(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None
