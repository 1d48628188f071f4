"""What a rule and a finding are, and the registry that rules enter by being defined.

What a rule says about itself (severity, source, remedy, examples) stands in ``catalogue.toml``;
how it finds out is a function in ``checks/``.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from constructs_lib.rules.resources import Resource
from constructs_lib.rules.serving import Container, Serving, Variant

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What a rule says about itself.

    Args:
        id: such as ``SM-A1``.
        title: what must hold, in half a sentence.
        severity: an error is refused by AWS or cannot work; a warning may be meant.
        scope: what it looks at: templates as they are, or the update from one to the next.
        basis: whether ``source`` states it, or it follows from what ``source`` states.
        source: the page.
        checked: the day the page was read.
        remedy: what to do.
        resources: of the smallest template that breaks the rule.
        change: what replaces what in ``resources`` to keep the rule.
        before: of an update, the resources of the template that is replaced.
    """

    id: str
    title: str
    severity: Severity
    scope: Literal["template", "update"] = "template"
    basis: Literal["documented", "reasoned"]
    source: str
    checked: str
    remedy: str
    resources: str
    change: tuple[str, str]
    before: str | None = None

    @property
    def bad(self) -> str:
        """A template that breaks the rule."""
        return _template(self.resources)

    @property
    def good(self) -> str:
        """The nearest template that keeps the rule."""
        return _template(self.resources.replace(*self.change))

    @property
    def old(self) -> str | None:
        """Of an update, the template that ``bad`` or ``good`` replaces."""
        return None if self.before is None else _template(self.before)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A rule that a resource breaks.

    ``detail`` tells apart what the same rule finds in one resource; it is part of the id that an
    acknowledgment names.
    """

    rule: Rule
    resource: Resource
    path: str
    message: str
    detail: str | None = None

    @property
    def id(self) -> str:
        """The rule, and the detail in brackets as cdk-nag writes it."""
        return self.rule.id if self.detail is None else f"{self.rule.id}[{self.detail}]"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a check yields: where, and what is wrong there."""

    place: Resource | Container | Variant
    path: str
    message: str
    detail: str | None = None

    def finding(self, rule: Rule) -> Finding:
        """The fault as a rule's finding."""
        match self.place:
            case Resource():
                resource, prefix = self.place, "Properties"
            case Container():
                resource, prefix = self.place.resource, self.place.path
            case Variant():
                resource, prefix = self.place.config.resource, self.place.path
        return Finding(
            rule=rule,
            resource=resource,
            path=f"{prefix}.{self.path}" if self.path else prefix,
            message=self.message,
            detail=self.detail,
        )


Check = Callable[[Serving], Iterator[Fault]]

CHECKS: dict[str, Check] = {}


def check(rule_id: str) -> Callable[[Check], Check]:
    """Register a function as the check of a rule."""

    def register(function: Check) -> Check:
        CHECKS[rule_id] = function
        return function

    return register


@cache
def catalogue() -> dict[str, Rule]:
    """Every rule by its id, in the order of the catalogue.

    Raises:
        TypeError: an entry lacks a field or has one too many.
    """
    entries: dict[str, dict[str, Any]] = tomllib.loads(
        files("constructs_lib.rules").joinpath("catalogue.toml").read_text(encoding="utf-8")
    )
    return {
        rule_id: Rule(id=rule_id, **{**entry, "change": tuple(entry["change"])})
        for rule_id, entry in entries.items()
    }


def _template(resources: str) -> str:
    return f"Resources:\n{textwrap.indent(resources.strip(), '  ')}\n"
