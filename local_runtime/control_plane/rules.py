"""What CreateModel and CreateEndpointConfig refuse beyond the shape of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hosting import limits, options, update_policy, validation
from local_runtime.control_plane.errors import ValidationException


def check_model(request: Mapping[str, Any]) -> None:
    """Check the containers of a CreateModel request against one another.

    Raises:
        ValidationException: they do not fit together.
    """
    primary, listed = request.get("PrimaryContainer"), request.get("Containers")
    _refuse(
        validation.model_containers(
            primary=primary is not None, containers=None if listed is None else len(listed)
        )
    )
    containers: list[Mapping[str, Any]] = [primary] if primary is not None else listed or []
    for container in containers:
        if container.get("Image") is None and container.get("ModelPackageName") is None:
            raise ValidationException(
                "Either Image or ModelPackageName must be specified for each container"
            )
        if container.get("ModelDataUrl") is not None and container.get("ModelDataSource"):
            raise ValidationException(
                "Only one of ModelDataUrl and ModelDataSource can be specified for a container"
            )
    multi_model = sum(container.get("Mode") == "MultiModel" for container in containers)
    if multi_model > limits.MAX_MULTI_MODEL_CONTAINERS:
        # AWS's words, reported in public issues.
        raise ValidationException(
            "More than one container in MultiModel mode is not supported with inference pipeline."
        )
    mode = request.get("InferenceExecutionConfig", {}).get("Mode")
    # The host name of a primary container is ignored, so it cannot clash with anything.
    hostnames = [container.get("ContainerHostname") for container in listed or []]
    _refuse(
        [
            *validation.hostnames(hostnames, argument="ContainerHostname", direct=mode == "Direct"),
            *validation.environment(
                [container.get("Environment", {}) for container in containers],
                argument="Environment",
            ),
        ]
    )


def check_endpoint_config(request: Mapping[str, Any]) -> None:
    """Check the variants of a CreateEndpointConfig request.

    Raises:
        ValidationException: they do not fit together.
    """
    production = request["ProductionVariants"]
    shadow = request.get("ShadowProductionVariants", [])
    complaints = validation.variants(
        [variant["VariantName"] for variant in production],
        shadows=[variant["VariantName"] for variant in shadow],
    )
    for variant in (*production, *shadow):
        complaints += _variant(variant)
    complaints += _components(request)
    if any("ServerlessConfig" in variant for variant in production) and len(production) > 1:
        complaints.append("an endpoint configuration with a serverless variant has no other")
    weights = [variant.get("InitialVariantWeight", 1.0) for variant in production]
    if sum(weights) == 0:
        complaints.append("the weights of the production variants must not all be 0")
    _refuse(complaints)


def check_async_models(request: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that what answers from a queue needs no parameter that its requests do not have.

    Source: service model of sagemaker-runtime: InvokeEndpointAsync has no TargetModel.

    Raises:
        ValidationException: a model does.
    """
    if "AsyncInferenceConfig" not in request:
        return
    _refuse(
        f"model {name} has a multi-model container and cannot be used with AsyncInferenceConfig"
        for name, model in models.items()
        for container in [model.get("PrimaryContainer", {}), *model.get("Containers", [])]
        if container.get("Mode") == "MultiModel"
    )


def check_serverless_models(
    request: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
) -> None:
    """Check that serverless variants ask for nothing that serverless inference does not have.

    AWS's page names these without saying which call refuses them: this is the first that can.
    Source: serverless-endpoints.html, "Feature exclusions".

    Raises:
        ValidationException: one asks for it.
    """
    complaints = []
    for variant in request["ProductionVariants"]:
        if "ServerlessConfig" not in variant:
            continue
        asked = [
            member
            for member in ("DataCaptureConfig", "AsyncInferenceConfig", "ShadowProductionVariants")
            if request.get(member)
        ]
        name = variant["VariantName"]
        if asked:
            complaints.append(f"variant {name} is serverless and cannot have {', '.join(asked)}")
        model_name = variant.get("ModelName", "")
        reasons = options.against_serverless(models.get(model_name, {}))
        if reasons:
            complaints.append(
                f"variant {name} is serverless and cannot serve model {model_name}:"
                f" {', '.join(reasons)}"
            )
    _refuse(complaints)


def check_update(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse to make an endpoint on instances serverless; the other way is allowed.

    Source: serverless-endpoints-create.html

    Raises:
        ValidationException: the update would.
    """
    if _is_serverless(after) and not _is_serverless(before):
        raise ValidationException(
            "An endpoint that serves on instances cannot be updated to a serverless one; create"
            " another endpoint"
        )
    if hosts_components(after) != hosts_components(before):
        raise ValidationException(
            "An endpoint with inference components cannot be updated to one without, or the other"
            " way; create another endpoint"
        )


def check_rollout(
    config: Mapping[str, Any] | None, after: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """Check a DeploymentConfig, and that an update can go by it.

    Args:
        config: the one that the update would go by; None: it has none.
        after: the endpoint configuration that the update brings.
        before: the one that the endpoint has.

    Raises:
        ValidationException: it cannot.
    """
    if config is None:
        return
    if hosts_components(after) and "RollingUpdatePolicy" in config:
        raise ValidationException(
            "RollingUpdatePolicy of an endpoint with inference components is not served by the"
            " local runtime; use BlueGreenUpdatePolicy"
        )
    if "BlueGreenUpdatePolicy" in config and "RollingUpdatePolicy" in config:
        raise ValidationException(
            "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified"
        )
    _refuse(
        update_policy.complaints_of_update(
            update_policy.UpdatePolicy.from_api(config),
            variants=after["ProductionVariants"],
            replaced=[variant["VariantName"] for variant in before["ProductionVariants"]],
        )
    )


def check_resize(variant: Mapping[str, Any], update: Mapping[str, int]) -> None:
    """Check a ServerlessUpdateConfig against the variant that it is for.

    Raises:
        ValidationException: they do not fit together.
    """
    size = variant.get("ServerlessConfig")
    if size is None:
        raise ValidationException(
            f"Variant {variant['VariantName']} is not serverless: ServerlessUpdateConfig cannot be"
            " given"
        )
    size = {**size, **update}
    _refuse(
        validation.serverless_size(
            size["MemorySizeInMB"], size["MaxConcurrency"], size.get("ProvisionedConcurrency")
        )
    )


def check_capacity(config: Mapping[str, Any], variant: Mapping[str, Any], desired: int) -> None:
    """Check the number of instances that a variant shall have.

    Raises:
        ValidationException: it needs more.
    """
    least = least_instances(config, variant)
    if desired < least:
        raise ValidationException(
            f"DesiredInstanceCount of variant {variant['VariantName']} must be {least} or more for"
            f" this kind of endpoint, got {desired}"
        )


def least_instances(config: Mapping[str, Any], variant: Mapping[str, Any]) -> int:
    """How few instances a variant may have: none behind a queue, or where copies decide.

    Source: endpoint-auto-scaling-zero-instances.html for ManagedInstanceScaling.
    """
    managed = variant.get("ManagedInstanceScaling", {}).get("MinInstanceCount")
    if "AsyncInferenceConfig" in config or managed == 0:
        return limits.ASYNC_MIN_CAPACITY
    return limits.REALTIME_MIN_CAPACITY


def _is_serverless(config: Mapping[str, Any]) -> bool:
    return any("ServerlessConfig" in variant for variant in config["ProductionVariants"])


def hosts_components(config: Mapping[str, Any]) -> bool:
    """Whether an endpoint configuration is for inference components: its variants name no model."""
    return any("ModelName" not in variant for variant in config["ProductionVariants"])


def _components(request: Mapping[str, Any]) -> list[str]:
    """What an endpoint for inference components must have, and cannot.

    That all variants are of one sort is our choice: AWS's pages show no endpoint that mixes them.
    """
    production = request["ProductionVariants"]
    complaints = [
        f"MinInstanceCount of variant {variant['VariantName']} must be at most its MaxInstanceCount"
        for variant in production
        if (managed := variant.get("ManagedInstanceScaling", {})).get("MinInstanceCount", 0)
        > managed.get("MaxInstanceCount", float("inf"))
    ]
    if not hosts_components(request):
        return complaints
    if any("ModelName" in variant for variant in production):
        complaints.append("either all variants must have a ModelName, or none")
    if "ExecutionRoleArn" not in request:
        complaints.append("ExecutionRoleArn must be given when variants have no ModelName")
    complaints += [
        f"{member} cannot be given when variants have no ModelName"
        for member in ("AsyncInferenceConfig", "ShadowProductionVariants", "DataCaptureConfig")
        if request.get(member)
    ]
    for variant in production:
        if "ServerlessConfig" in variant:
            complaints.append(f"variant {variant['VariantName']} is serverless and needs ModelName")
        if "InstancePools" in variant:
            complaints.append(
                "InstancePools with inference components are not served by the local runtime"
            )
    return complaints


def _variant(variant: Mapping[str, Any]) -> list[str]:
    name = variant["VariantName"]
    serverless = variant.get("ServerlessConfig")
    if serverless is None:
        missing = [
            member
            for member in ("InstanceType", "InitialInstanceCount")
            if variant.get(member) is None
        ]
        # Instance pools name their own types.
        if missing and variant.get("InstancePools") is None:
            return [f"variant {name} needs {' and '.join(missing)}, or a ServerlessConfig"]
        return []
    complaints = [
        f"variant {name} has a ServerlessConfig and cannot have {member}"
        for member in ("InstanceType", "InitialInstanceCount", "InstancePools")
        if variant.get(member) is not None
    ]
    return complaints + validation.serverless_size(
        serverless["MemorySizeInMB"],
        serverless["MaxConcurrency"],
        serverless.get("ProvisionedConcurrency"),
    )


def _refuse(complaints: Iterable[str]) -> None:
    message = "; ".join(complaints)
    if message:
        raise ValidationException(message)
