"""What is decided about a multi-model container before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hosting.endpoint import ContainerSpec, VariantSpec
from hosting.instances import instance_type
from local_runtime.artifacts import ObjectStore, S3Location
from local_runtime.settings import Limits

_MIB: Final = 1024 * 1024
_GIB: Final = 1024 * _MIB
# A process per model with a pool of threads each would fight over the processors.
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiModelPlan:
    """Where a container's models come from, and how much room they have on an instance."""

    prefix: S3Location
    store: ObjectStore
    memory_bytes: int
    disk_bytes: int
    caches_models: bool


def plan_models(
    container: ContainerSpec, variant: VariantSpec, store: ObjectStore, limits: Limits
) -> MultiModelPlan:
    """The plan of a container in MultiModel mode.

    Raises:
        ArtifactError: its ModelDataUrl is no address of S3.
    """
    return MultiModelPlan(
        prefix=S3Location.parse(
            "" if container.model_data_url is None else container.model_data_url
        ),
        store=store,
        memory_bytes=memory_budget(variant.instance_type, limits),
        disk_bytes=disk_budget(variant.volume_size_gb, limits),
        caches_models=container.caches_models,
    )


def memory_budget(instance: str | None, limits: Limits) -> int:
    """The bytes that models may take: a share of the instance's memory, within the settings'.

    The rest is the container's own. How AWS divides it is not documented.
    """
    memory_mib = None if instance is None else instance_type(instance).memory_mib
    if memory_mib is None:
        return limits.multi_model_memory_bytes
    share = int(memory_mib * _MIB * limits.multi_model_memory_share)
    return min(share, limits.multi_model_memory_bytes)


def disk_budget(volume_gb: int | None, limits: Limits) -> int:
    """The bytes of unpacked models: those of the instance's volume, within the settings'."""
    if volume_gb is None:
        return limits.multi_model_disk_bytes
    return min(volume_gb * _GIB, limits.multi_model_disk_bytes)


def multi_model_environment(
    environment: Mapping[str, str], model: Mapping[str, str]
) -> dict[str, str]:
    """A container's environment, as a container in MultiModel mode has it.

    Args:
        environment: what any container has.
        model: the Environment of its ContainerDefinition.
    """
    result = {
        **dict.fromkeys(_ONE_THREAD, "1"),
        **environment,
        "SAGEMAKER_MULTI_MODEL": "true",
    }
    # Each model has a folder of its own, which the handler host names when it loads one.
    del result["SM_MODEL_DIR"]
    code = model.get("SAGEMAKER_SUBMIT_DIRECTORY")
    if code is not None and not code.startswith("s3://"):
        result["SAGEMAKER_SUBMIT_DIRECTORY"] = code
    return result
