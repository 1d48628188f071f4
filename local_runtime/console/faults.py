"""Why something is not drawn.

ConsoleFault
├── NotFound      nothing has this name
├── BadRequest    a parameter that cannot be taken
└── WidgetFault   a widget that cannot be drawn; the rest of its dashboard is
"""

from __future__ import annotations

from typing import Any


class ConsoleFault(Exception):  # noqa: N818 - says what is wrong
    """The message is one sentence for a person."""

    status = 400


class NotFound(ConsoleFault):
    """Nothing has this name."""

    status = 404


class BadRequest(ConsoleFault):
    """A parameter that cannot be taken."""


class WidgetFault(ConsoleFault):
    """A widget that cannot be drawn."""


def as_object(value: object, name: str) -> dict[str, Any]:
    """A value that has to be a JSON object.

    Raises:
        WidgetFault: it is something else.
    """
    if not isinstance(value, dict):
        raise WidgetFault(f"{name} must be an object, got {value!r}")
    return value
