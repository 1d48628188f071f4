"""What the instance types of endpoints are made of.

The table in ``instances.json`` is generated (see ``tools/generate_instance_table.py``). Memory and
processors are those of the EC2 type of the same name; how much of it SageMaker keeps for itself is
not documented.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Processor = Literal["cpu", "gpu", "graviton", "inferentia", "trainium", "gaudi"]

# EC2 spells a type as series, generation, options, and size after a dot; the option "g" is
# Graviton, "d" local NVMe storage. Source: EC2 instance types guide, naming conventions.
_NAME: Final = re.compile(
    r"ml\.(?P<family>(?P<series>[a-z]+?)(?P<generation>\d+)(?P<options>[a-z0-9-]*))"
    r"\.(?P<size>[a-z0-9-]+)"
)
_ACCELERATED: Final[dict[str, Processor]] = {
    "g": "gpu",
    "gr": "gpu",
    "p": "gpu",
    "inf": "inferentia",
    "trn": "trainium",
    "dl": "gaudi",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceType:
    """One instance type. ``None``: EC2's record lacks the type."""

    name: str
    processor: Processor
    vcpus: int | None
    memory_mib: int | None
    gpus: int | None
    gpu_memory_mib: int | None
    local_storage_gb: int | None


def instance_types() -> tuple[str, ...]:
    """Every instance type that the service model lists for endpoints."""
    return tuple(_table()["types"])


def instance_type(name: str) -> InstanceType:
    """Look an instance type up.

    Raises:
        ValueError: the service model does not list it for endpoints.
    """
    types = _table()["types"]
    if name not in types:
        parts = _NAME.fullmatch(name)
        relatives = [
            known
            for known in types
            if parts is not None and known.startswith(f"ml.{parts['family']}.")
        ]
        choices = ", ".join(relatives) or f"one of {len(types)} types such as ml.m5.large"
        raise ValueError(f"instance_type must be {choices}, got {name}")
    vcpus, memory_mib, gpus, gpu_memory_mib, local_storage_gb = types[name] or [None] * 5
    return InstanceType(
        name=name,
        processor=processor(name),
        vcpus=vcpus,
        memory_mib=memory_mib,
        gpus=gpus,
        gpu_memory_mib=gpu_memory_mib,
        local_storage_gb=local_storage_gb,
    )


def processor(name: str) -> Processor:
    """What an instance type computes with, told by its name: also of types newer than the table.

    Raises:
        ValueError: it is not an instance type's name.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"instance_type must look like ml.m5.large, got {name}")
    if parts["series"] in _ACCELERATED:
        return _ACCELERATED[parts["series"]]
    return "graviton" if "g" in parts["options"] else "cpu"


def has_local_storage(name: str) -> bool | None:
    """Whether the instance brings NVMe storage of its own; None when EC2's record lacks the type.

    Such an endpoint stores model data there and not on a volume. Its storage is encrypted by the
    hardware; a KMS key of the endpoint configuration is either refused (CloudFormation reference:
    "the call to CreateEndpointConfig fails") or has no effect on it (service model of botocore
    1.44.5, CreateEndpointConfig KmsKeyId). The sources disagree; leave the key out.

    Raises:
        ValueError: the service model does not list the type for endpoints.
    """
    local_storage_gb = instance_type(name).local_storage_gb
    return None if local_storage_gb is None else local_storage_gb > 0


def is_burstable(name: str) -> bool:
    """Whether the type earns credits for its processors, so that load tests of it mislead."""
    parts = _NAME.fullmatch(name)
    return parts is not None and parts["series"] == "t"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files("hosting").joinpath("instances.json").read_text())
    return table
