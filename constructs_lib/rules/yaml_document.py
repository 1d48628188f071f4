"""YAML as CloudFormation takes it."""

from __future__ import annotations

from typing import Any, Final

import yaml

MAX_DEPTH: Final = 200


def load(text: str) -> object:
    """Read YAML with the short forms of CloudFormation's functions.

    Raises:
        ValueError: it is not YAML, or more than CloudFormation takes.
    """
    try:
        _check_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader, see below
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        # Aliases of aliases would grow without bound, and CloudFormation does not take them.
        # Source: AWS CloudFormation User Guide, template-formats.html (2026-11-20)
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("CloudFormation's YAML has no aliases")  # noqa: TRY004
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        # The time that YAML takes grows with the square of the depth.
        if depth > MAX_DEPTH:
            raise ValueError(f"values must nest at most {MAX_DEPTH} deep")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as CloudFormation takes it: short forms of functions, dates as text."""


def _function(loader: Any, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        argument: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        argument = loader.construct_sequence(node, deep=True)
    else:
        argument = loader.construct_mapping(node, deep=True)
    if tag in {"Ref", "Condition"}:
        return {tag: argument}
    if tag == "GetAtt" and isinstance(argument, str):
        argument = argument.split(".", 1)
    return {f"Fn::{tag}": argument}


_Loader.add_multi_constructor("!", _function)
# 2010-09-09 is a version, not a date.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
