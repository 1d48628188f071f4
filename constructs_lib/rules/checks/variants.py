"""Variants of an endpoint configuration: storage keys, shadows, the limits of model servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Container, Serving, Variant
from hosting import instances, limits


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


# What the model servers of AWS's images read, by the repository's beginning: the time for one
# answer, and the sizes of request and response. Their own defaults are made for real-time requests.
# Source: async-inference-create-endpoint.html (2026-11-20)
_ASYNC_VARIABLES: Final[Mapping[str, tuple[str, tuple[str, str]]]] = {
    "huggingface-pytorch-inference": (
        "MMS_DEFAULT_RESPONSE_TIMEOUT",
        ("MMS_MAX_REQUEST_SIZE", "MMS_MAX_RESPONSE_SIZE"),
    ),
    "pytorch-inference": (
        "TS_DEFAULT_RESPONSE_TIMEOUT",
        ("TS_MAX_REQUEST_SIZE", "TS_MAX_RESPONSE_SIZE"),
    ),
}


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
    for repository, (timeout, sizes) in _ASYNC_VARIABLES.items():
        if container.image.repository != repository:
            continue
        for name, least in (
            (timeout, limits.INVOCATION_TIMEOUT_S),
            *((size, limits.REALTIME_PAYLOAD_STRICT_MAX_BYTES) for size in sizes),
        ):
            value = container.get("Environment", name)
            if value is None:
                yield f"{name} is not set"
            elif (known := values.number(value)) is not None and known <= least:
                yield f"{name} is {values.shown(known)}"
