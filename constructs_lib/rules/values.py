"""Values of a template that may not be known yet: absent, known, or a deployment's to decide.

``None`` is a property that is not there, an ``Unresolved`` one that only a deployment knows. What
is malformed counts as not known: other tools say what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hosting.expression import Unresolved, is_scalar
from hosting.expression import text as as_text

UNKNOWN: Final = Unresolved("${?}")


def at(value: Any, *path: str) -> Any:
    """The value at a path: None when it is absent, unresolved when that cannot be told."""
    for step in path:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return UNKNOWN
        value = value.get(step)
    return value


def given(value: Any) -> bool:
    """Whether a property is certainly set, though perhaps to a value not known yet."""
    if isinstance(value, Unresolved):
        # Functions such as Fn::If and macros may leave nothing; an import or an attribute may not.
        certain = not value.expression.startswith("${Fn::") or value.expression.startswith(
            "${Fn::ImportValue"
        )
        return certain and value is not UNKNOWN
    return value is not None


def items(value: Any) -> Sequence[Any]:
    """The elements of a list; none when it is absent or unknown."""
    return value if isinstance(value, list) else ()


def is_complete(value: Any) -> bool:
    """Whether a list's length is known."""
    if value is None:
        return True
    return isinstance(value, list) and all(given(item) for item in value)


def text(value: Any) -> str | None:
    """A known text, or None."""
    return as_text(value) if is_scalar(value) else None


def expression(value: Any) -> str | None:
    """A text with what is not known written as in ``Fn::Sub``; None when there is none."""
    return value.expression if isinstance(value, Unresolved) else text(value)


def number(value: Any) -> float | None:
    """A known finite number, or None. CloudFormation takes numbers as text too."""
    if isinstance(value, bool) or not is_scalar(value):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def truth(value: Any) -> bool | None:
    """A known truth value, or None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def shown(value: float) -> str:
    """A number without the decimals that it does not need."""
    return f"{value:g}" if value < 1e6 else f"{value:.0f}"
