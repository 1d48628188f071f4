"""What multi-model endpoints run on.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-support.html (2026-11-20)
"""

from __future__ import annotations

from typing import Final

from hosting import instances

# GPU types that the guide lists, each with a single GPU.
GPU_TYPES: Final = frozenset(
    {
        "ml.p2.xlarge",
        "ml.p3.2xlarge",
        *(f"ml.g5.{size}" for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")),
        *(f"ml.g4dn.{size}" for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")),
    }
)
# The one image of AWS that serves several models on a GPU.
GPU_REPOSITORY: Final = "sagemaker-tritonserver"


def instance_type(name: str, *, repository: str | None) -> list[str]:
    """Check an instance type for a multi-model container: any CPU type, or one of few GPU types.

    Args:
        name: the instance type.
        repository: of the image, where it is known; on a GPU it must be Triton's.
    """
    processor = instances.processor(name)
    if processor in {"cpu", "graviton"}:
        return []
    gpus = instances.instance_type(name).gpus if name in instances.instance_types() else None
    # Single-GPU types newer than the guide's list are neither promised nor excluded.
    if processor == "gpu" and gpus in {1, None}:
        if repository is None or repository == GPU_REPOSITORY:
            return []
        return [
            f"image of a multi-model endpoint on {name} must be {GPU_REPOSITORY}, got {repository}"
        ]
    return [
        (
            "instance_type of a multi-model endpoint must have CPUs alone or a single GPU"
            f" (such as {', '.join(sorted(GPU_TYPES)[:3])}), got {name}"
        )
    ]
