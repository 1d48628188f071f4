"""What keeps a model from a hosting option, told from DescribeModel's answer alone.

Sources: pages below https://docs.aws.amazon.com/sagemaker/latest/dg/, read 2026-11-20.
Marketplace packages are not told apart from a team's own: the answer does not say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hosting import instances, multi_model
from hosting.images import ImageReference, parse_image_uri

Model = Mapping[str, Any]

# AWS's images for GPUs say so in their tag ("2.6-gpu-py312", "...-cu124"). Triton's say the
# opposite: those for CPUs end in "-cpu".
_GPU_TAG: Final = re.compile(r"(^|[-_.])(gpu|cu\d{2,3})([-_.]|$)")
# Documented: multi-model-support.html, "Supported algorithms, frameworks, and instances"; the
# names are those of AWS's image repositories. Others qualify with a label that cannot be seen here.
_MULTI_MODEL_REPOSITORIES: Final = frozenset(
    {
        "knn",
        "linear-learner",
        "mxnet-inference",
        "pytorch-inference",
        "randomcutforest",
        "sagemaker-scikit-learn",
        "sagemaker-tritonserver",
        "sagemaker-xgboost",
        "tensorflow-inference",
    }
)
_SINGLE_MODEL_REPOSITORIES: Final = frozenset({"huggingface-pytorch-inference"})


def containers(model: Model) -> tuple[Mapping[str, Any], ...]:
    """The container definitions of a model, in the order of execution."""
    primary = model.get("PrimaryContainer")
    return (primary,) if primary is not None else tuple(model.get("Containers", ()))


def is_multi_model(model: Model) -> bool:
    """Whether the model's requests name the model they want."""
    return any(each.get("Mode") == "MultiModel" for each in containers(model))


def needs_gpu(model: Model) -> bool:
    """Whether one of the model's images is AWS's build for GPUs, as far as its name says so."""
    return any(_is_gpu_image(image) for image in _images(model))


def against_serverless(model: Model) -> list[str]:
    """Why the model cannot be served serverless; empty when nothing speaks against it.

    Source: serverless-endpoints.html, "Feature exclusions"; service model for ModelDataSource.
    """
    reasons = []
    if needs_gpu(model):
        reasons.append("its image is for GPUs, which serverless does not have")
    if model.get("VpcConfig"):
        reasons.append("it has a VPC configuration, which serverless does not support")
    if model.get("EnableNetworkIsolation"):
        reasons.append("it has network isolation, which serverless does not support")
    if len(containers(model)) > 1:
        reasons.append("it has several containers, serverless serves one")
    if is_multi_model(model):
        reasons.append("it is a multi-model container, which serverless does not support")
    for each in containers(model):
        if each.get("ModelDataSource"):
            reasons.append("it has a ModelDataSource, which serverless does not support")
        if each.get("ImageConfig", {}).get("RepositoryAccessMode") == "Vpc":
            reasons.append("its image is in a private registry, which serverless does not support")
    return reasons


def against_instances(model: Model, instance_type: str) -> list[str]:
    """Why the model cannot be served on instances of a type, one model to an endpoint."""
    reasons = []
    if is_multi_model(model):
        reasons.append("it is a multi-model container: it is measured as multi-model")
    if needs_gpu(model) and instances.processor(instance_type) != "gpu":
        reasons.append(f"its image is for GPUs, {instance_type} has none")
    return reasons


def against_async(model: Model, instance_type: str) -> list[str]:
    """Why the model cannot be served from a queue.

    Source: service model of sagemaker-runtime: InvokeEndpointAsync has no TargetModel.
    """
    reasons = against_instances(model, instance_type)
    if is_multi_model(model):
        return ["it is a multi-model container, and asynchronous requests cannot name a model"]
    return reasons


def against_multi_model(model: Model, instance_type: str) -> list[str]:
    """Why the model cannot be one of several behind a multi-model endpoint.

    Source: multi-model-support.html, mms-container-apis.html; service model for ModelDataSource.
    """
    reasons = []
    if len(containers(model)) > 1 and not is_multi_model(model):
        reasons.append("it has several containers, and none of them serves several models")
    for each in containers(model)[:1]:
        if each.get("ModelDataSource"):
            reasons.append("it has a ModelDataSource, which multi-model endpoints do not support")
        elif not each.get("ModelDataUrl"):
            reasons.append("it has no model data, so there is nothing to load by name")
        repository = _repository(each)
        if each.get("Mode") != "MultiModel" and repository in _SINGLE_MODEL_REPOSITORIES:
            listed = ", ".join(sorted(_MULTI_MODEL_REPOSITORIES))
            reasons.append(f"image {repository} does not serve several models; those do: {listed}")
        if instances.processor(instance_type) != "cpu":
            reasons += multi_model.instance_type(instance_type, repository=repository)
    if needs_gpu(model) and instances.processor(instance_type) != "gpu":
        reasons.append(f"its image is for GPUs, {instance_type} has none")
    return reasons


def _images(model: Model) -> Iterable[ImageReference]:
    for each in containers(model):
        if "Image" in each:
            try:
                yield parse_image_uri(each["Image"])
            except ValueError:
                continue  # SageMaker took it, so it is an address; what it runs on is not told


def _is_gpu_image(image: ImageReference) -> bool:
    tag = image.tag if image.tag is not None else ""
    if image.repository == multi_model.GPU_REPOSITORY:
        return not tag.endswith("-cpu")
    return _GPU_TAG.search(tag) is not None


def _repository(container: Mapping[str, Any]) -> str | None:
    try:
        return parse_image_uri(container["Image"]).repository
    except (KeyError, ValueError):
        return None
