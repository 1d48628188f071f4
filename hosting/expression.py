"""Values that only a deployment knows, written like the text of ``Fn::Sub``."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

Scalar = str | int | float  # bool is an int

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3  # a value nested deeper than Python's stack can still be shown
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A value that only a deployment knows. Equal expressions are equal values.

    >>> print(joined("", ["arn:", Unresolved("${AWS::Partition}"), ":s3:::models"]))
    arn:${AWS::Partition}:s3:::models
    """

    expression: str

    def __str__(self) -> str:
        return self.expression


def is_scalar(value: object) -> TypeGuard[Scalar]:
    """Whether a value is text, a number or a truth value."""
    return isinstance(value, str | int | float)


def is_unknown(value: object) -> bool:
    """Whether a value is unresolved or holds one that is."""
    if isinstance(value, Mapping):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(is_unknown(item) for item in value)
    return isinstance(value, Unresolved)


def text(value: Scalar) -> str:
    """A scalar as CloudFormation puts it into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def inside(value: Scalar | Unresolved) -> str:
    """A part of a longer expression; "${" of literal text is told apart as ``Fn::Sub`` does."""
    return str(value) if isinstance(value, Unresolved) else text(value).replace("${", "${!")


def joined(delimiter: str, items: Sequence[Scalar | Unresolved]) -> str | Unresolved:
    """Join values; unresolved when one of them is."""
    known = [text(item) for item in items if not isinstance(item, Unresolved)]
    if len(known) == len(items):
        return delimiter.join(known)
    return Unresolved(inside(delimiter).join(inside(item) for item in items))


def call(function: str, argument: object) -> Unresolved:
    """A call of a function that cannot be carried out yet."""
    arguments = json.dumps(argument, default=str, sort_keys=True, ensure_ascii=False)
    return Unresolved(f"${{{function}: {arguments}}}")


def shown(value: object) -> str:
    """A value for an error message, cut when it would drown the message."""
    return _SHORT.repr(value)
