"""As much of IAM as tests of policies need: Allow, wildcards and two condition operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Call:
    """One authorization that AWS asks for: an API call may ask for several."""

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action} on {', '.join(self.resources)} with {dict(self.context)}"


def allows(statements: Iterable[Mapping[str, Any]], call: Call) -> bool:
    """Whether each resource of the call is allowed by some statement."""
    matching = [
        statement
        for statement in statements
        if statement["Effect"] == "Allow"
        and any(fnmatchcase(call.action, pattern) for pattern in _list(statement["Action"]))
        and _conditions_hold(statement.get("Condition", {}), call.context)
    ]
    return all(
        any(
            fnmatchcase(resource, pattern)
            for statement in matching
            for pattern in _list(statement["Resource"])
        )
        for resource in call.resources
    )


def _conditions_hold(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    for operator, tests in condition.items():
        assert operator in {"StringEquals", "StringLike"}, operator
        for key, values in tests.items():
            if key not in context or not any(
                fnmatchcase(context[key], value)
                if operator == "StringLike"
                else context[key] == value
                for value in _list(values)
            ):
                return False
    return True


def _list(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
