"""Resources that are kept as what was asked for, with nothing behind them."""

from __future__ import annotations

from typing import Any

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
)


class Recorded(ResourceType):
    """A type that nothing here models.

    Its properties are kept under a generated physical id. ``Fn::GetAtt`` answers an ARN for an
    attribute that ends in ``Arn``, the physical id for one that ends in ``Id`` or ``Name``, and
    fails for any other: a made-up value would deploy something wrong.

    Args:
        warn: say so in the resource's event.
    """

    create_only: frozenset[str] | None = frozenset()

    def __init__(self, *, warn: bool = True) -> None:
        self._warn = warn

    def create(self, context: Context, properties: Properties) -> Live:
        del properties
        notes = (
            f"warning: {context.type_name} is recorded only, the local runtime does not run it"
            if self._warn
            else None
        )
        return Live(physical_id=context.name(), notes=notes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del context, old, new
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        """Nothing is there to remove."""

    def attribute(self, context: Context, live: Live, name: str) -> Any:
        if name.endswith("Arn"):
            service = context.type_name.split("::")[1].lower()
            return context.arn(service, live.physical_id)
        if name.endswith(("Id", "Name")):
            return live.physical_id
        raise ResourceFailed(
            f"{context.type_name} is recorded only by the local runtime,"
            f" which has no value for its attribute {name}"
        )
