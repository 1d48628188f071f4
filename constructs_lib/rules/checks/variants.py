"""Variants of an endpoint configuration: storage keys, shadows, the limits of model servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Container, Serving, Variant
from hosting import instances, limits, model_servers, multi_model


@check("SM-K1")
def _key_has_a_volume_to_encrypt(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        if not values.given(config.resource.get("KmsKeyId")):
            continue
        for variant in config.all_variants:
            if variant.instance_type is not None and _has_local_storage(variant.instance_type):
                message = (
                    f"KmsKeyId is given and {variant.instance_type} stores on local disks, which"
                    " their hardware encrypts: AWS's pages say either that CreateEndpointConfig"
                    " fails or that the key does not encrypt them"
                )
                yield Fault(config.resource, "KmsKeyId", message, detail=variant.name)


def _has_local_storage(instance_type: str) -> bool:
    if instance_type not in instances.instance_types():
        return False
    return instances.has_local_storage(instance_type) is True


@check("SM-H1")
def _shadow_stands_beside_one_simple_variant(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        if not config.shadows:
            continue
        counts = (len(config.variants), len(config.shadows))
        if counts > (limits.VARIANTS_WITH_SHADOW, limits.MAX_SHADOW_VARIANTS) or max(counts) > 1:
            message = (
                "a shadow variant needs exactly one production and one shadow variant,"
                f" got {counts[0]} and {counts[1]}"
            )
            yield Fault(config.resource, "ShadowProductionVariants", message)
        if config.is_async:
            message = "shadow variants do not go with asynchronous inference"
            yield Fault(config.resource, "AsyncInferenceConfig", message, detail="async")
        for variant in config.all_variants:
            for feature in _not_shadowed(variant):
                message = f"shadow variants do not go with {feature} (variant {variant.name})"
                yield Fault(variant, "", message, detail=f"{variant.name}/{feature}")


def _not_shadowed(variant: Variant) -> Iterator[str]:
    if variant.is_serverless:
        yield "serverless inference"
    if (variant.instance_type or "").startswith("ml.inf1."):
        yield "Inf1 instances"
    if variant.model is not None:
        if variant.model.has_several_containers:
            yield "several containers"
        if variant.model.is_multi_model:
            yield "MultiModel mode"


@check("SM-E1")
def _model_server_allows_what_the_queue_allows(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        for variant in config.variants if config.is_async else ():
            if variant.model is None:
                continue
            for container in variant.model.containers:
                low = list(_low_limits(container))
                if low:
                    place = container.path.removeprefix("Properties.")
                    message = (
                        "the model server's own limits are below those of asynchronous inference:"
                        f" {', '.join(low)}"
                    )
                    detail = None if place == "PrimaryContainer" else place
                    yield Fault(container, "Environment", message, detail=detail)


def _low_limits(container: Container) -> Iterator[str]:
    environment = container.get("Environment")
    if container.image is None or not isinstance(environment, Mapping | None):
        return
    for name in model_servers.async_environment(container.image.repository):
        value = container.get("Environment", name)
        known = values.number(value)
        # The servers' own defaults are made for real-time requests.
        least = (
            limits.INVOCATION_TIMEOUT_S
            if name.endswith("_TIMEOUT")
            else limits.REALTIME_PAYLOAD_STRICT_MAX_BYTES
        )
        if value is None:
            yield f"{name} is not set"
        elif known is not None and known <= least:
            yield f"{name} is {values.shown(known)}"


@check("SM-M6")
def _multi_model_runs_on_supported_types(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        for variant in config.all_variants:
            if variant.model is None or variant.processor is None:
                continue
            for container in variant.model.containers:
                if container.mode != "MultiModel" or variant.instance_type is None:
                    continue
                repository = None if container.image is None else container.image.repository
                for complaint in multi_model.instance_type(
                    variant.instance_type, repository=repository
                ):
                    message = complaint.replace("instance_type", "InstanceType")
                    yield Fault(variant, "InstanceType", message, detail=variant.name)
