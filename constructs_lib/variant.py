"""Production and shadow variants beside an endpoint's main one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk

from constructs_lib.container import AnyContainer
from constructs_lib.instances import Instances
from hosting import limits, validation


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A further model behind the same endpoint, on instances of its own.

    Args:
        name: for weights, metrics and ``TargetVariant``.
        containers: of the variant's model; as many as the endpoint's kind asks for.
        instances: what they run on.
        weight: the variant's share of the requests is its weight divided by the sum of all. 0 is
            legal: such a variant answers only requests that name it. A shadow variant's weight is
            the share of requests that are copied to it.

    Raises:
        ValueError: the name or the weight is not what SageMaker accepts.
    """

    name: str
    containers: Sequence[AnyContainer]
    instances: Instances
    weight: float = 1.0

    def __post_init__(self) -> None:
        validation.require(
            validation.name("name", self.name),
            []
            if cdk.Token.is_unresolved(self.weight)
            else validation.within("weight", self.weight, limits.VARIANT_WEIGHT),
        )
