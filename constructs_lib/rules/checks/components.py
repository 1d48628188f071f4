"""Inference components and the variants that host them."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Serving


@check("SM-I1")
def _host_of_components_has_a_role(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        if config.resource.get("ExecutionRoleArn") is not None:
            continue
        for variant in config.variants:
            if variant.hosts_components and variant.is_serverless is False:
                message = (
                    f"variant {variant.name} names no model, so it hosts inference components, and"
                    " ExecutionRoleArn is missing"
                )
                yield Fault(config.resource, "ExecutionRoleArn", message)
                break


@check("SM-I2")
def _component_starts_with_a_copy(serving: Serving) -> Iterator[Fault]:
    for component in serving.components:
        if values.number(component.get("RuntimeConfig", "CopyCount")) == 0:
            message = "RuntimeConfig.CopyCount must be 1 or more at creation, got 0"
            yield Fault(component, "RuntimeConfig.CopyCount", message)


@check("SM-I3")
def _region_may_refuse_no_instances(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        for variant in config.variants:
            minimum = values.number(variant.get("ManagedInstanceScaling", "MinInstanceCount"))
            if minimum == 0:
                message = "ManagedInstanceScaling.MinInstanceCount 0 is refused in some regions"
                yield Fault(
                    variant,
                    "ManagedInstanceScaling.MinInstanceCount",
                    message,
                    detail=variant.name,
                )
