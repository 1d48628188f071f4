"""How many instances a variant may have here, refused in AWS's words for a quota."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from local_runtime.control_plane.errors import ResourceLimitExceeded

SETTING: Final = "limits.max_instances_per_variant"


def check_instances(variant: Mapping[str, Any], asked: int | None, limit: int) -> None:
    """Refuse more instances than a laptop is asked to carry.

    Args:
        variant: as CreateEndpointConfig has it.
        asked: how many; None for a serverless variant.
        limit: of the settings.

    Raises:
        ResourceLimitExceeded: it is more than the limit.
    """
    if asked is None or asked <= limit:
        return
    kind = variant.get("InstanceType", "instance")
    raise ResourceLimitExceeded(
        f"The account-level service limit '{kind} for endpoint usage' is {limit} Instances, with"
        f" current utilization of 0 Instances and a request delta of {asked} Instances. In the"
        f" local runtime this is the setting {SETTING}."
    )
