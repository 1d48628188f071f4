"""Shadow variants: they get copies of requests, and nobody waits for their answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from time import monotonic

from local_runtime.errors import RuntimeApiError
from local_runtime.http_client import Answer, Body
from local_runtime.instances import AnyInstance, AnyTarget, Fleet, Variant
from local_runtime.pipeline import Hop, Invocation
from local_runtime.settings import Limits


def copy_to_shadows(
    fleet: Fleet,
    variant: AnyTarget,
    body: Body,
    route: Callable[[Variant], tuple[AnyInstance, Sequence[Hop]]],
    *,
    content_type: bytes | None,
    accept: bytes | None,
    passed_on: bytes,
    limits: Limits,
) -> None:
    """Send a request that ``variant`` has got to the shadow variants as well, by their weights.

    The share of requests that a shadow variant gets is its weight in relation to the production
    variant's. One that cannot take a copy now misses it.

    Args:
        route: finds the instance and the containers of a shadow variant for this request.
    """
    for shadow in fleet.shadows:
        if random.random() * variant.weight >= shadow.weight:  # noqa: S311 - no secret
            continue
        if not any(instance.available for instance in shadow.instances):
            continue
        try:
            instance, containers = route(shadow)
        except RuntimeApiError:
            continue
        caller = _Nobody(shadow)
        Invocation(
            instance,
            containers,
            content_type=content_type,
            accept=accept,
            passed_on=passed_on,
            hop_limit=limits.pipeline_hop_bytes,
            timeout_s=limits.invocation_timeout_s,
            caller=caller,
            hops_s=caller.hops_s,
        ).start(body)


class _Nobody:
    """Takes an answer, and measures how long it took."""

    __slots__ = ("_began_s", "_shadow", "hops_s")

    gone = False

    def __init__(self, shadow: Variant) -> None:
        self._shadow = shadow
        self._began_s = monotonic()
        self.hops_s: list[float] = []

    def done(self, outcome: Answer | RuntimeApiError) -> None:
        """Drop it."""
        meter = self._shadow.meter
        if meter is not None:
            meter.answered(self.hops_s, monotonic() - self._began_s, outcome)
